// `dns`: whom to ask for names, and for how long (RFC 3263).

package import SIP

package struct DNSSettings: Equatable, Sendable {
    /// `dns.families`: which addresses of a name are used.
    package enum Families: String, CaseIterable, Sendable {
        /// Those that `sip.listen` has, in its order.
        case auto
        case ipv4, ipv6
    }

    /// `dns.servers`, `ADDRESS` or `ADDRESS:PORT` (default port 53), comma list of at most 8; default: those of the
    /// system's resolv.conf, read at the start.
    package var servers: [Endpoint] = []
    /// `dns.timeout-ms`, milliseconds, 100 to 30 000, default 5000: a question without an answer for so long, over all
    /// servers and tries, has failed.
    package var timeout: Duration = .milliseconds(5_000)
    /// `dns.tries`, 1 to 5, default 2: rounds over all servers within the timeout, each twice as long as the one
    /// before.
    package var tries = 2
    /// `dns.cache-entries`, 16 to 1 048 576, default 8192: answers kept; at the limit the least recently used one goes,
    /// counted.
    package var cacheEntries = 8_192
    /// `dns.families`, `auto|ipv4|ipv6`, default auto.
    package var families: Families = .auto

    package init() {}

    package static let serverLimit = 8

    package func problems(listen: [Endpoint]) -> [SettingProblem] {
        var list = ProblemList()
        if servers.count > Self.serverLimit { list.add("dns.servers", "at most \(Self.serverLimit)") }
        for (index, server) in servers.enumerated() {
            if server.address.isUnspecified { list.add("dns.servers", "\(server.text) is no address to ask") }
            if servers[..<index].contains(server) { list.add("dns.servers", "\(server.text) is there twice") }
        }
        list.range("dns.timeout-ms", timeout)
        list.range("dns.tries", tries)
        list.range("dns.cache-entries", cacheEntries)
        if families != .auto, !listen.isEmpty, !listen.contains(where: { $0.address.isIPv6 == (families == .ipv6) }) {
            list.add("dns.families", "\(families.rawValue) needs an address of that family in sip.listen to send from")
        }
        return list.problems
    }

    /// Families that requests can be sent to, the preferred first.
    func families(listen: [Endpoint]) -> [AddressFamily] {
        switch families {
        case .ipv4: return [.ipv4]
        case .ipv6: return [.ipv6]
        case .auto:
            var found: [AddressFamily] = []
            for endpoint in listen {
                let family: AddressFamily = endpoint.address.isIPv6 ? .ipv6 : .ipv4
                if !found.contains(family) { found.append(family) }
            }
            return found.isEmpty ? [.ipv4] : found
        }
    }
}

/// `cluster.dns`: a name whose addresses are those of the cluster's nodes, and the port of their buses.
package struct PeerName: Hashable, Sendable {
    /// In lower case, without a trailing dot.
    package let host: [UInt8]
    package let port: UInt16

    /// Reads `understudy.example.org:7400`, with or without `tcp://`.
    package init?(_ text: String) {
        let rest = text.hasPrefix("tcp://") ? text.dropFirst(6) : text[...]
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]), port > 0,
            port < .max
        else { return nil }
        var host = Array(rest[..<colon].lowercased().utf8)
        if host.last == UInt8(ascii: ".") { host.removeLast() }
        guard DNSQuestion(name: host, type: .a).isValid, Address(text: String(rest[..<colon])) == nil else {
            return nil
        }
        self.host = host
        self.port = port
    }

    package var text: String { "\(String(decoding: host, as: UTF8.self)):\(port)" }
}
