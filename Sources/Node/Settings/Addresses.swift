// What is wrong with an address that an operator has written, beyond its being one.

import SIP

extension Address {
    /// Why no one host can have it, or be reached by it; `nil` when one can. Not looked at: `isUnspecified`.
    var objection: String? {
        guard isIPv6 else {
            if low >> 28 == 14 { return "\(text) is a multicast address; name that of one host" }
            return low == 0xFFFF_FFFF ? "\(text) is the broadcast address; name that of one host" : nil
        }
        if high >> 56 == 0xFF { return "\(text) is a multicast address; name that of one host" }
        if high >> 54 == 0xFE80 >> 6 {
            return "\(text) is a link-local address, which says nothing without its link; name a global one"
        }
        guard high == 0, low >> 32 == 0xFFFF else { return nil }
        return "\(text) is an IPv4 address written as IPv6; write \(Address(ipv4: UInt32(low & 0xFFFF_FFFF)).text)"
    }
}

extension Subnet {
    /// Why a text is no block.
    @Sendable
    static func objection(to text: String) -> String {
        let parts = text.trimmed.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = Address(text: String(parts[0])), let length = Int(parts[1]),
            let block = Subnet(containing: address, prefixLength: length)
        else { return "'\(text)' is not an address or a block like 192.0.2.0/24" }
        return "'\(text)' has bits set behind the first \(length); write \(block.text)"
    }

    private init?(containing address: Address, prefixLength: Int) {
        let width = address.isIPv6 ? 128 : 32
        guard (0...width).contains(prefixLength) else { return nil }
        var cut = address
        let low = UInt64.max << UInt64(min(64, width - prefixLength))
        cut.low &= width - prefixLength >= 64 ? 0 : low
        if width - prefixLength > 64 { cut.high &= width - prefixLength == 128 ? 0 : .max << UInt64(64 - prefixLength) }
        self.init(address: cut, prefixLength: prefixLength)
    }

    /// Whether every address of the other is one of this.
    func covers(_ other: Subnet) -> Bool { prefixLength <= other.prefixLength && contains(other.address) }
}

extension Settings {
    /// Addresses that cannot be a host's.
    func addressProblems() -> [SettingProblem] {
        var list = ProblemList()
        let own = [("sip.service-address", sip.serviceAddress), ("cluster.bus", cluster.bus)]
        var named = sip.listen.map { ("sip.listen", $0.address) } + sip.balancer.map { ("sip.balancer", $0.address) }
        named += (own + [("management.http", management.http)]).compactMap { key, endpoint in
            endpoint.map { (key, $0.address) }
        }
        named += sip.advertise.compactMap { uri in uri.address.map { ("sip.advertise", $0) } }
        named += cluster.peers.map { ("cluster.peers", $0.address) } + dns.servers.map { ("dns.servers", $0.address) }
        for (key, address) in named {
            if let objection = address.objection { list.add(key, objection) }
        }
        for endpoint in sip.balancer {
            if endpoint.address.isUnspecified { list.add("sip.balancer", "\(endpoint.text) is no address to send to") }
            if sip.listen.contains(where: { $0.address == endpoint.address && $0.port == endpoint.port }) {
                list.add("sip.balancer", "\(endpoint.text) is in sip.listen; name the balancer, or leave it out")
            }
        }
        return list.problems
    }

    /// Who wants which TCP port. The bus takes its port and the next.
    private struct PortClaim {
        let key: String
        let text: String
        let address: Address
        let port: UInt16
        var takesNext = false

        init(_ key: String, _ endpoint: Endpoint, _ text: String) {
            self.key = key
            self.text = text
            address = endpoint.address
            port = endpoint.port
        }

        private var last: Int { Int(port) + (takesNext ? 1 : 0) }

        func meets(_ other: PortClaim) -> Bool {
            guard address.takesPort(of: other.address) || other.address.takesPort(of: address) else { return false }
            return Int(port) <= other.last && Int(other.port) <= last
        }
    }

    /// In the order in which a node opens them; what comes later is what is told.
    private func portClaims() -> [PortClaim] {
        var claims: [PortClaim] = []
        if let bus = cluster.bus {
            claims.append(PortClaim("cluster.bus", bus, bus.text))
            claims[0].takesNext = true
        }
        for endpoint in sip.listen where endpoint.transport != .udp {
            let text = "\(endpoint.transport.configuredName)://\(endpoint.text)"
            claims.append(PortClaim("sip.listen", endpoint, text))
        }
        if let http = management.http { claims.append(PortClaim("management.http", http, http.text)) }
        for case .tcp(let door) in management.control { claims.append(PortClaim("management.ctl", door, door.text)) }
        return claims
    }

    /// Two that want the same TCP port.
    func portProblems() -> [SettingProblem] {
        var list = ProblemList()
        let claims = portClaims()
        for (index, claim) in claims.enumerated() {
            let taken = claims[..<index].first { other in
                // That an address is there twice is told where it is read.
                claim.meets(other) && !(claim.key == "sip.listen" && other.key == claim.key)
            }
            guard let taken else { continue }
            let whose =
                taken.takesNext ? "cluster.bus, which uses its port and the next" : "\(taken.key), \(taken.text)"
            list.add(claim.key, "\(claim.text) is taken by \(whose)")
        }
        if let bus = cluster.bus {
            for peer in cluster.peers where peer.address == bus.address && Int(peer.port) == Int(bus.port) + 1 {
                list.add("cluster.peers", "\(peer.text) is our own: cluster.bus uses its port and the next")
            }
        }
        if let moving = sip.serviceAddress, sip.listen.contains(moving) {
            list.add(
                "sip.service-address", "\(moving.text) is in sip.listen; name the address that moves between hosts")
        }
        return list.problems
    }
}

extension Address {
    /// Whether a port cannot be had on both.
    fileprivate func takesPort(of other: Address) -> Bool {
        self == other || isUnspecified && (isIPv6 || !other.isIPv6)
    }
}
