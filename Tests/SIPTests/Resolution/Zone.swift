// A zone in text, a resolver that asks it, and what came out in words: the tests of resolution read like tables.

import Primitives
import SIP

/// Records by question; whatever is not in it does not exist.
struct Zone {
    var answers: [DNSQuestion: DNSAnswer] = [:]

    /// One record a line: `NAME TYPE DATA…`; a NAPTR has order, preference, flags, service, replacement, and `-` is an
    /// empty text. `ttl` is everybody's.
    init(_ text: String, ttl: UInt32 = 300) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 3 else { continue }
            add(words, ttl: ttl)
        }
    }

    private mutating func add(_ words: [String], ttl: UInt32) {
        let name = Array(words[0].utf8)
        switch words[1] {
        case "A", "AAAA":
            let question = DNSQuestion(name: name, type: words[1] == "A" ? .a : .aaaa)
            var list: [Address] = []
            if case .addresses(let before, _) = answers[question] { list = before }
            answers[question] = .addresses(list + [Address(text: words[2])!], ttl: ttl)
        case "SRV":
            let question = DNSQuestion(name: name, type: .srv)
            var list: [DNSService] = []
            if case .services(let before, _) = answers[question] { list = before }
            list.append(
                DNSService(
                    priority: UInt16(words[2])!, weight: UInt16(words[3])!, port: UInt16(words[4])!,
                    target: words[5] == "." ? [] : Array(words[5].utf8)))
            answers[question] = .services(list.sorted { $0.priority < $1.priority }, ttl: ttl)
        case "NAPTR":
            let question = DNSQuestion(name: name, type: .naptr)
            var list: [DNSPointer] = []
            if case .pointers(let before, _) = answers[question] { list = before }
            func text(_ word: String) -> [UInt8] { word == "-" ? [] : Array(word.utf8) }
            list.append(
                DNSPointer(
                    order: UInt16(words[2])!, preference: UInt16(words[3])!, flags: text(words[4]),
                    service: text(words[5]), regularExpression: words.count > 7 ? text(words[7]) : [],
                    replacement: text(words[6])))
            answers[question] = .pointers(list, ttl: ttl)
        default: preconditionFailure("no such type in a zone: \(words[1])")
        }
    }

    func answer(_ question: DNSQuestion) -> DNSAnswer { answers[question] ?? .none(ttl: nil) }
}

extension DNSQuestion {
    var words: String { "\(String(decoding: name, as: UTF8.self)) \(type)" }

    init(_ name: String, _ type: DNSType) { self.init(name: Array(name.utf8), type: type) }
}

extension ResolutionTarget {
    /// `example.com`, `example.com:5070`, `example.com;tcp`, `sips example.com`.
    init(_ text: String) {
        var rest = Substring(text)
        let isSecure = rest.hasPrefix("sips ")
        if isSecure { rest = rest.dropFirst(5) }
        var transport: TransportProtocol?
        if let semicolon = rest.firstIndex(of: ";") {
            let name = Array(rest[rest.index(after: semicolon)...].utf8)
            transport = TransportProtocol(name, ByteRange(name))
            rest = rest[..<semicolon]
        }
        var port: UInt16?
        if let colon = rest.firstIndex(of: ":") {
            port = UInt16(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        }
        self.init(isSecure: isSecure, host: Array(rest.utf8), port: port, transport: transport)
    }
}

extension Endpoint {
    var words: String { "\(transport.lowercasedName) \(text)" }
}

/// A resolver and its clock.
struct ResolverBench {
    var resolver: Resolver
    var zone: Zone
    var now = Instant.zero
    private var actions: [ResolverAction] = []
    /// Everything asked, in order.
    private(set) var asked: [DNSQuestion] = []
    private var nextToken: UInt64 = 1

    init(
        _ zone: String = "", ttl: UInt32 = 300, transports: [TransportProtocol] = [.udp, .tcp, .tls, .ws, .wss],
        families: [AddressFamily] = [.ipv4], seed: UInt64 = 1, _ change: (inout ResolverSettings) -> Void = { _ in }
    ) {
        var settings = ResolverSettings()
        settings.transports = transports
        settings.families = families
        change(&settings)
        resolver = Resolver(settings, random: SplitMix(seed: seed))
        self.zone = Zone(zone, ttl: ttl)
    }

    /// Begins a resolution without answering anything.
    /// - Returns: Its token, what it asked and what ended.
    mutating func begin(_ target: String) -> (token: UInt64, asked: [DNSQuestion], ended: [Resolution]) {
        nextToken += 1
        resolver.resolve(ResolutionTarget(target), token: nextToken, now: now, into: &actions)
        let (asked, ended) = drain()
        return (nextToken, asked, ended)
    }

    mutating func answer(_ question: DNSQuestion, _ answer: DNSAnswer) -> (asked: [DNSQuestion], ended: [Resolution]) {
        resolver.receive(answer, to: question, now: now, into: &actions)
        return drain()
    }

    mutating func advance(milliseconds: Int64) -> (asked: [DNSQuestion], ended: [Resolution]) {
        now = now.advanced(milliseconds: milliseconds)
        resolver.advance(to: now, into: &actions)
        return drain()
    }

    private mutating func drain() -> (asked: [DNSQuestion], ended: [Resolution]) {
        var result: (asked: [DNSQuestion], ended: [Resolution]) = ([], [])
        for action in actions {
            switch action {
            case .ask(let question): result.asked.append(question)
            case .resolved(let resolution): result.ended.append(resolution)
            }
        }
        actions.removeAll()
        asked += result.asked
        return result
    }

    /// Resolves with the zone answering everything; `nil` when it did not end.
    mutating func resolve(_ target: String) -> [String]? { resolution(target)?.endpoints.map(\.words) }

    mutating func resolution(_ target: String) -> Resolution? {
        var (_, open, ended) = begin(target)
        while let question = open.first {
            open.removeFirst()
            let step = answer(question, zone.answer(question))
            open += step.asked
            ended += step.ended
        }
        return ended.count == 1 ? ended[0] : nil
    }
}
