// Where a request goes (RFC 3261 §16.5, §16.6 steps 6 and 7): its first Route that is not ours, a connection, a static
// route, its Request-URI. What is not told in digits has to be looked up first (`Proxy+Resolution`).

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Finds the next hop (§16.5, §16.6 steps 6, 7).
    mutating func findNextHop(_ plan: inout RequestPlan, dialogs: DialogTable) -> Decision {
        if plan.consumedRoutes < routes.count {
            let next = routes[plan.consumedRoutes]
            guard let uri = try? URI(message.bytes, next.uri) else { return .refuse(400) }
            plan.nextHopIsStrict = !uri.hasLooseRoute(in: message.bytes)
            return resolve(uri, next.uri, &plan)
        }
        guard let uri = message.parsedRequestURI else { return .refuse(416) }
        let isGone = Decision.refuse(430, .connectionGone)
        switch takePath(&plan) {
        case .taken: return .proceed
        case .gone: return isGone
        case .none: break
        }
        let isOwn = isOwn(uri, in: message.bytes)
        if plan.isInDialog, isOwn, let decision = routeLeniently(&plan, dialogs: dialogs) { return decision }
        switch useFlow(&plan, dialogs: dialogs) {
        case .taken: return .proceed
        case .gone where !isOwn && endpoint(of: uri, in: message.bytes) == nil: return isGone
        case .gone, .none: break
        }
        switch takeRouteToken(&plan) {
        case .taken: return .proceed
        case .gone where endpoint(of: uri, in: message.bytes) == nil: return isGone
        case .gone, .none: break
        }
        if !plan.isInDialog, let index = settings.routes.firstIndex(where: { matches($0, plan) }) {
            let route = settings.routes[index]
            if plan.createsDialog, route.dialog != nil { plan.templateRoute = index }
            return follow(route, &plan)
        }
        if isRegistrarDomain(uri, in: message.bytes) { return .refuse(480) }  // The registrar knows nobody there.
        if isOwn { return .refuse(404) }
        // A service that no route takes (RFC 5031 §4): nothing else leads there.
        if uri.scheme == .other { return .refuse(416) }
        return reach(uri, message.requestURI, &plan)
    }

    private mutating func resolve(_ uri: URI, _ range: ByteRange, _ plan: inout RequestPlan) -> Decision {
        // What is then still ours is never sent to (S1-5).
        isOwn(uri, in: message.bytes) ? .refuse(483, .hairpin) : reach(uri, range, &plan)
    }

    /// The same of what is none of ours.
    private mutating func reach(_ uri: URI, _ range: ByteRange, _ plan: inout RequestPlan) -> Decision {
        if let egress = settings.egress {
            plan.nextHop = egress
            return .proceed
        }
        guard let endpoint = endpoint(of: uri, in: message.bytes) else {
            if let name = name(of: uri, in: message.bytes) { return lookUp(name, &plan) }
            return .refuse(502, .unresolvable(uri: message.copy(range)))
        }
        plan.nextHop = endpoint
        plan.isTransportOpen = uri.scheme == .sip && uri.transport(in: message.bytes) == nil
        return .proceed
    }

    /// The next hop has to be looked up first, unless too many wait for that already.
    func lookUp(_ name: ResolutionTarget, _ plan: inout RequestPlan) -> Decision {
        guard !lookUps.isFull else { return .refuse(503, .full, retryAfter: 5) }
        var target = ForkTarget(requestURI: plan.requestURI, group: 0, candidates: [], name: name)
        target.health = plan.health
        target.isTransportOpen = name.transport == nil && !name.isSecure
        plan.targets = [target]
        return .proceed
    }

    /// Address, port and transport that a URI names in digits: maddr before host, the transports of this node only. A
    /// sips URI is reached by TLS (RFC 3261 §26.2.2); nobody can be connected to by WebSocket, but a connection that is
    /// there is found by its endpoint.
    func endpoint(of uri: URI, in bytes: [UInt8]) -> Endpoint? {
        let named = uri.transport(in: bytes)
        let transport: TransportProtocol
        switch uri.scheme {
        case .sip: transport = named ?? .udp
        case .sips: transport = named == .ws || named == .wss ? .wss : .tls
        default: return nil
        }
        guard settings.speaks(transport) else { return nil }
        let host = uri.parameter("maddr", in: bytes) ?? uri.host
        guard let address = Address(bytes: bytes, range: host) else { return nil }
        let endpoint = Endpoint(address: address, port: uri.port ?? transport.defaultPort, transport: transport)
        return settings.reaches(endpoint) ? endpoint : nil
    }
}
