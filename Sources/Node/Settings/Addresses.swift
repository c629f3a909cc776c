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

    /// Two that want the same TCP port.
    func portProblems() -> [SettingProblem] {
        var list = ProblemList()
        for endpoint in sip.listen where endpoint.transport != .udp {
            let text = "\(endpoint.transport.configuredName)://\(endpoint.text)"
            if let bus = cluster.bus, bus.address == endpoint.address,
                endpoint.port == bus.port || Int(endpoint.port) == Int(bus.port) + 1
            {
                list.add("sip.listen", "\(text) is taken by cluster.bus, which uses its port and the next")
            }
            if let http = management.http, http.port == endpoint.port, http.address.takesPort(of: endpoint.address) {
                list.add("management.http", "\(http.text) is taken by sip.listen, \(text)")
            }
        }
        if let bus = cluster.bus, let http = management.http, http.address.takesPort(of: bus.address),
            http.port == bus.port || Int(http.port) == Int(bus.port) + 1
        {
            list.add("management.http", "\(http.text) is taken by cluster.bus, which uses its port and the next")
        }
        for case .tcp(let door) in management.control {
            if sip.listen.contains(where: { $0.transport != .udp && $0.address == door.address && $0.port == door.port }
            ) {
                list.add("management.ctl", "\(door.text) is taken by sip.listen")
            }
            if let bus = cluster.bus, bus.address == door.address,
                door.port == bus.port || Int(door.port) == Int(bus.port) + 1
            {
                list.add("management.ctl", "\(door.text) is taken by cluster.bus, which uses its port and the next")
            }
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
