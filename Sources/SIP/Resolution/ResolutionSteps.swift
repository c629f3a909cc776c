// ResolutionSteps is RFC 3263 §4 as a pure function: from what is wanted and what is known, to the endpoints in the
// order in which they are tried, or to the questions that have to be answered first.
//
//   port or transport written ──────────────────────────────────┐
//   neither ──NAPTR──▶ services of the lowest order that we speak ├──SRV──▶ servers by priority and weight ──A, AAAA──▶
//                └── none of them ──▶ SRV of each transport ──────┘                                         endpoints
//                                            └── none of those ──▶ A and AAAA of the host itself, default port
//
// It is asked again from the start with each new answer, so it keeps no state of its own and no step can be left out.
// Chance is used only in the last run, when everything is known.
//
// Where the RFCs leave a choice: NAPTR records of other services (ENUM, a transport we do not speak) count as none, not
// as a refusal. All usable ones of the lowest order are used, by preference, so that a request may fall back from one
// transport to the next. Servers that answer a NAPTR or SRV question with an error count as having none, because there
// are such servers in front of phones; servers that do not answer at all end the resolution, because the questions that
// would follow fare alike. An SRV target of "." means that the service is not there: the host itself is not tried.
//
// Limits: `candidateLimit` SRV names, `DNSAnswer.recordLimit` servers, `ResolverSettings.endpointLimit` endpoints.

internal import Primitives

/// What a resolution is for.
enum ResolutionGoal: Hashable, Sendable {
    case target(ResolutionTarget)
    /// The addresses of a host; every endpoint has this port and transport, whatever SIP speaks here.
    case host([UInt8], port: UInt16, TransportProtocol, [AddressFamily])
}

struct ResolutionSteps {
    enum Outcome: Equatable {
        case wants([DNSQuestion])
        /// `hasFailed`: some question on the way has no answer, so more endpoints may exist.
        case done([Endpoint], hasFailed: Bool, until: Instant)
    }

    static let candidateLimit = 8

    /// An SRV name and the transport that it stands for.
    private struct Candidate {
        var name: [UInt8]
        var transport: TransportProtocol
    }

    private let settings: ResolverSettings
    private let known: [KnownAnswer]
    private var wanted: [DNSQuestion] = []
    private var until = Instant.distantFuture
    private var hasFailed = false

    static func next(
        _ goal: ResolutionGoal, known: [KnownAnswer], settings: ResolverSettings,
        using random: inout some RandomNumberGenerator
    ) -> Outcome {
        var steps = ResolutionSteps(settings: settings, known: known)
        let endpoints: [Endpoint]?
        switch goal {
        case .target(let target): endpoints = steps.endpoints(for: target, using: &random)
        case .host(let host, let port, let transport, let families):
            endpoints = steps.endpoints(host, port, transport, families)
        }
        guard let endpoints else { return .wants(steps.wanted) }
        return .done(limited(endpoints), hasFailed: steps.hasFailed, until: steps.until)
    }

    private init(settings: ResolverSettings, known: [KnownAnswer]) {
        self.settings = settings
        self.known = known
    }

    private static func limited(_ endpoints: [Endpoint]) -> [Endpoint] {
        var result: [Endpoint] = []
        for endpoint in endpoints where !result.contains(endpoint) {
            guard result.count < ResolverSettings.endpointLimit else { break }
            result.append(endpoint)
        }
        return result
    }

    /// The answer to a question, or `nil` and the question is wanted. A name that cannot exist has no records.
    private mutating func answer(_ name: [UInt8], _ type: DNSType) -> DNSAnswer? {
        let question = DNSQuestion(name: name, type: type)
        guard question.isValid else { return DNSAnswer.none(ttl: nil) }
        if let known = known.first(where: { $0.question == question }) {
            until = min(until, known.until)
            if case .failed = known.answer { hasFailed = true }
            return known.answer
        }
        if !wanted.contains(question) { wanted.append(question) }
        return nil
    }

    // MARK: §4.1, the transport

    private mutating func endpoints(
        for target: ResolutionTarget, using random: inout some RandomNumberGenerator
    ) -> [Endpoint]? {
        if let written = target.transport {
            guard let transport = Self.transport(written, isSecure: target.isSecure),
                settings.transports.contains(transport)
            else { return [] }
            if let port = target.port { return endpoints(target.host, port, transport, settings.families) }
            let candidate = Candidate(name: Self.service(transport, target.host), transport: transport)
            return endpoints([candidate], host: target.host, fallback: transport, using: &random)
        }
        guard let usual = usualTransport(isSecure: target.isSecure) else { return [] }
        if let port = target.port { return endpoints(target.host, port, usual, settings.families) }
        guard let answer = answer(target.host, .naptr) else { return nil }
        switch answer {
        case .failed(let failure) where failure.isSilence: return []
        case .pointers(let pointers, _):
            let candidates = candidates(pointers, isSecure: target.isSecure)
            if !candidates.isEmpty { return endpoints(candidates, host: target.host, fallback: nil, using: &random) }
        case .none, .failed, .addresses, .services: break
        }
        let candidates = transports(isSecure: target.isSecure).map {
            Candidate(name: Self.service($0, target.host), transport: $0)
        }
        return endpoints(candidates, host: target.host, fallback: usual, using: &random)
    }

    /// What a URI's transport parameter means: with `sips:` everything is under TLS, and UDP cannot be
    /// (RFC 3261 §26.2.2, RFC 7118).
    private static func transport(_ written: TransportProtocol, isSecure: Bool) -> TransportProtocol? {
        switch written {
        case .udp: isSecure ? nil : .udp
        case .tcp: isSecure ? .tls : .tcp
        case .tls: .tls
        case .ws: isSecure ? .wss : .ws
        case .wss: .wss
        case .other: nil
        }
    }

    /// What we speak for the scheme, in our order of preference. `sip:` does not ask for the secure ones by itself.
    private func transports(isSecure: Bool) -> [TransportProtocol] {
        settings.transports.filter { transport in
            switch transport {
            case .udp, .tcp, .ws: !isSecure
            case .tls, .wss: isSecure
            case .other: false
            }
        }
    }

    /// UDP for `sip:`, TLS for `sips:`; another one we speak where that is none of ours.
    private func usualTransport(isSecure: Bool) -> TransportProtocol? {
        let usual: TransportProtocol = isSecure ? .tls : .udp
        let spoken = transports(isSecure: isSecure)
        return spoken.contains(usual) ? usual : spoken.first
    }

    private static func service(_ transport: TransportProtocol, _ host: [UInt8]) -> [UInt8] {
        let prefix: StaticString =
            switch transport {
            case .udp, .other: "_sip._udp."
            case .tcp: "_sip._tcp."
            case .tls: "_sips._tcp."
            case .ws: "_sip._ws."
            case .wss: "_sips._ws."
            }
        return [UInt8](copying: prefix) + host
    }

    /// The usable NAPTR records of the lowest order, by preference.
    private func candidates(_ pointers: [DNSPointer], isSecure: Bool) -> [Candidate] {
        var usable: [(index: Int, pointer: DNSPointer, transport: TransportProtocol)] = []
        for (index, pointer) in pointers.enumerated() {
            guard let (transport, isSIPS) = Self.transport(of: pointer), isSIPS || !isSecure,
                settings.transports.contains(transport)
            else { continue }
            usable.append((index, pointer, transport))
        }
        let order = usable.map(\.pointer.order).min()
        return usable.filter { $0.pointer.order == order }
            .sorted { ($0.pointer.preference, $0.index) < ($1.pointer.preference, $1.index) }
            .map { Candidate(name: $0.pointer.replacement, transport: $0.transport) }
    }

    /// What a NAPTR record offers (RFC 3263 §4.1, RFC 7118 §10); `nil` for other services and for rules that do not
    /// lead to an SRV name.
    private static func transport(of pointer: DNSPointer) -> (transport: TransportProtocol, isSIPS: Bool)? {
        guard pointer.flags == [UInt8(ascii: "s")] || pointer.flags == [UInt8(ascii: "S")],
            pointer.regularExpression.isEmpty, !pointer.replacement.isEmpty
        else { return nil }
        let service = pointer.service
        let all = ByteRange(service)
        if Text.equalsIgnoringCase(service, all, "SIP+D2U") { return (.udp, false) }
        if Text.equalsIgnoringCase(service, all, "SIP+D2T") { return (.tcp, false) }
        if Text.equalsIgnoringCase(service, all, "SIPS+D2T") { return (.tls, true) }
        if Text.equalsIgnoringCase(service, all, "SIP+D2W") { return (.ws, false) }
        if Text.equalsIgnoringCase(service, all, "SIPS+D2W") { return (.wss, true) }
        return nil
    }

    // MARK: §4.2, the port and the address

    /// Servers of the services; the host itself when there is none and `fallback` is a transport.
    private mutating func endpoints(
        _ candidates: [Candidate], host: [UInt8], fallback: TransportProtocol?,
        using random: inout some RandomNumberGenerator
    ) -> [Endpoint]? {
        var groups: [(services: [DNSService], transport: TransportProtocol)] = []
        var (isFound, isSilent, isComplete) = (false, false, true)
        for candidate in candidates.prefix(Self.candidateLimit) {
            switch answer(candidate.name, .srv) {
            case nil: isComplete = false
            case .services(let services, _):
                isFound = true
                groups.append((services.filter { !$0.target.isEmpty }, candidate.transport))
            case .failed(let failure): isSilent = isSilent || failure.isSilence
            case .some(.none), .addresses, .pointers: break
            }
        }
        guard isComplete else { return nil }
        if !isFound {
            guard !isSilent, let fallback else { return [] }
            return endpoints(host, fallback.defaultPort, fallback, settings.families)
        }
        var room = DNSAnswer.recordLimit
        for index in groups.indices {
            groups[index].services = Array(groups[index].services.prefix(room))
            room -= groups[index].services.count
            for service in groups[index].services {
                if endpoints(service, groups[index].transport) == nil { isComplete = false }
            }
        }
        guard isComplete else { return nil }
        var result: [Endpoint] = []
        for group in groups {
            for service in ServiceOrder.ordered(group.services, using: &random) {
                result += endpoints(service, group.transport) ?? []
            }
        }
        return result
    }

    private mutating func endpoints(_ service: DNSService, _ transport: TransportProtocol) -> [Endpoint]? {
        endpoints(service.target, service.port, transport, settings.families)
    }

    /// The addresses of a host, one of each family in turn, beginning with the preferred one.
    private mutating func endpoints(
        _ host: [UInt8], _ port: UInt16, _ transport: TransportProtocol, _ families: [AddressFamily]
    ) -> [Endpoint]? {
        var lists: [[Address]] = []
        var isComplete = true
        for family in families {
            switch answer(host, family == .ipv4 ? .a : .aaaa) {
            case nil: isComplete = false
            case .addresses(let addresses, _): lists.append(addresses.filter { !$0.isUnspecified })
            case .some(.none), .failed, .services, .pointers: break
            }
        }
        guard isComplete else { return nil }
        var result: [Endpoint] = []
        for index in 0..<(lists.map(\.count).max() ?? 0) {
            for list in lists where index < list.count {
                result.append(Endpoint(address: list[index], port: port, transport: transport))
            }
        }
        return result
    }
}
