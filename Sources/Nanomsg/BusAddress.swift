// BusAddress is where a node listens for its peers: a literal address and a port. The repair socket is the next port.
//
// Limits on purpose: no host names (nanomsg resolves once per attempt and fails oddly), no `*` (the bus belongs on one
// private address), none of nanomsg's other schemes: `ws://` and `tcp://source;target` have ways to abort the process.

internal import CSockets

/// `tcp://10.0.0.1:7400`, `tcp://[fd00::1]:7400`; the scheme may be left out.
package struct BusAddress: Equatable, Sendable {
    package let host: String
    /// 1...65534.
    package let port: UInt16
    package let isIPv6: Bool

    package init(_ text: String) throws(NanomsgError) {
        let invalid = NanomsgError(.connect, .invalidAddress, address: text)
        let rest = text.hasPrefix("tcp://") ? text.dropFirst(6) : text[...]
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]),
            (1...65534).contains(port)
        else { throw invalid }
        var host = rest[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        var parsed = csys_endpoint()
        // Sound: the string outlives the call, and the call writes one csys_endpoint.
        guard unsafe csys_parse_address(String(host), &parsed) == 0, (parsed.is_ipv6 != 0) == isBracketed else {
            throw invalid
        }
        self.init(host: String(host), port: port, isIPv6: isBracketed)
    }

    private init(host: String, port: UInt16, isIPv6: Bool) {
        self.host = host
        self.port = port
        self.isIPv6 = isIPv6
    }

    /// Where the same node answers requests: the next port.
    package var repair: BusAddress { BusAddress(host: host, port: port + 1, isIPv6: isIPv6) }

    package var text: String { isIPv6 ? "tcp://[\(host)]:\(port)" : "tcp://\(host):\(port)" }

    /// The address in the form of the system calls.
    var endpoint: csys_endpoint {
        var parsed = csys_endpoint()
        // Sound: as in `init`, which has accepted the same text.
        _ = unsafe csys_parse_address(host, &parsed)
        parsed.port = port
        return parsed
    }
}
