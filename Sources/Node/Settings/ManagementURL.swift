// The URL of a node's management as an operator writes it, in a configuration or after `--node`. Port 8080 is taken for
// granted where none is written, because that is where management is; only `https` has a port of its own, because there
// a proxy stands before the node.
//
// Not taken: a path, a user, anything after a `?`.

package import SIP

package struct ManagementURL: Equatable, Sendable {
    package static let defaultPort: UInt16 = 8_080
    package static let limit = 128

    /// `http://192.0.2.11:8080`: scheme, host and port, whatever was written.
    package let text: String
    /// The host when it is an address.
    package let address: Address?
    /// Name or address; an IPv6 address without its brackets.
    package let host: String
    package let port: UInt16
    /// `https`
    package let isSecure: Bool

    /// `nil` when the text is no such URL; a bare `192.0.2.11:8080` or `192.0.2.11` is one.
    package init?(_ written: String) {
        var rest = Substring(written.trimmed)
        var isSecure = false
        if let mark = rest.firstRange(of: "://") {
            switch rest[..<mark.lowerBound].lowercased() {
            case "http": break
            case "https": isSecure = true
            default: return nil
            }
            rest = rest[mark.upperBound...]
        }
        while rest.hasSuffix("/") { rest.removeLast() }
        guard let (host, written) = Self.split(rest) else { return nil }
        let port = written ?? (isSecure ? 443 : Self.defaultPort)
        (self.host, self.port, self.isSecure) = (host, port, isSecure)
        address = Address(text: host)
        guard address.map({ !$0.isUnspecified }) ?? ConfiguredURI.isHostName(host) else { return nil }
        let shown = address?.isIPv6 == true ? "[\(host)]" : host
        text = "\(isSecure ? "https" : "http")://\(shown):\(port)"
        guard text.utf8.count <= Self.limit else { return nil }
    }

    private static func split(_ text: Substring) -> (host: String, port: UInt16?)? {
        if let address = Address(text: String(text)), address.isIPv6 { return (String(text), nil) }
        var host = text
        var port: UInt16?
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            guard let number = text[text.index(after: colon)...].portNumber else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard Address(text: String(host))?.isIPv6 == true else { return nil }
        } else if host.contains(":") {
            return nil
        }
        return (String(host), port)
    }
}
