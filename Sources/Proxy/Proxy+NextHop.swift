// Where a request goes (RFC 3261 §16.5, §16.6 steps 6 and 7): its first Route that is not ours, a connection, a static
// route, its Request-URI. What is not told in digits has to be looked up first (`Proxy+Resolution`).

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Decides the next hop (§16.5, §16.6 steps 6, 7).
    /// - Returns: False when the request was refused.
    mutating func findNextHop(_ plan: inout RequestPlan, dialogs: DialogTable) -> Bool {
        if plan.consumedRoutes < routes.count {
            let next = routes[plan.consumedRoutes]
            guard let uri = try? URI(message.bytes, next.uri) else {
                reject(400, plan)
                return false
            }
            plan.nextHopIsStrict = !uri.hasLooseRoute(in: message.bytes)
            return resolve(uri, next.uri, &plan)
        }
        guard let uri = try? URI(message.bytes, message.requestURI) else {
            reject(416, plan)
            return false
        }
        switch takePath(&plan) {
        case .taken: return true
        case .gone:
            counters.flowsGone += 1
            reject(430, plan)
            return false
        case .none: break
        }
        if plan.isInDialog, isOwn(uri, in: message.bytes),
            let isRouted = routeLeniently(&plan, dialogs: dialogs)
        {
            return isRouted
        }
        switch useFlow(&plan, dialogs: dialogs) {
        case .taken: return true
        case .gone where !isOwn(uri, in: message.bytes) && endpoint(of: uri, in: message.bytes) == nil:
            counters.flowsGone += 1
            reject(430, plan)
            return false
        case .gone, .none: break
        }
        switch takeRouteToken(&plan) {
        case .taken: return true
        case .gone where endpoint(of: uri, in: message.bytes) == nil:
            counters.flowsGone += 1
            reject(430, plan)
            return false
        case .gone, .none: break
        }
        if !plan.isInDialog, let route = settings.routes.first(where: { matches($0, plan) }) {
            return follow(route, &plan)
        }
        if isOwn(uri, in: message.bytes) {
            reject(404, plan)
            return false
        }
        if uri.scheme == .other {  // A service that no route takes (RFC 5031 §4): nothing else leads there.
            reject(416, plan)
            return false
        }
        return resolve(uri, message.requestURI, &plan)
    }

    private mutating func resolve(_ uri: URI, _ range: ByteRange, _ plan: inout RequestPlan) -> Bool {
        if isOwn(uri, in: message.bytes) {  // What is then still ours is never sent to (S1-5).
            effects.items.append(.note(.hairpin(callID: Array(message.bytes[message.callID.range]))))
            reject(483, plan)
            return false
        }
        if let egress = settings.egress {
            plan.nextHop = egress
            return true
        }
        guard let endpoint = endpoint(of: uri, in: message.bytes) else {
            if let name = name(of: uri, in: message.bytes) {
                return waitsForName(name, &plan)
            }
            effects.items.append(.note(.unresolvable(uri: Array(message.bytes[range.range]))))
            reject(502, plan)
            return false
        }
        plan.nextHop = endpoint
        plan.isTransportOpen = uri.scheme == .sip && uri.transport(in: message.bytes) == nil
        return true
    }

    /// The next hop has to be looked up first, unless too many wait for that already.
    mutating func waitsForName(_ name: ResolutionTarget, _ plan: inout RequestPlan) -> Bool {
        guard resolutions.count < Self.resolutionLimit else {
            counters.overloaded += 1
            effects.items.append(.note(.overloaded))
            reject(503, plan) { $0.put("Retry-After: 5\r\n") }
            return false
        }
        var target = ForkTarget(requestURI: plan.requestURI, group: 0, candidates: [], name: name)
        target.health = plan.health
        target.isTransportOpen = name.transport == nil && !name.isSecure
        plan.targets = [target]
        return true
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
