// A SIP URI as an operator writes it, checked once at load: `sip:127.0.0.10:5060`, `sips:proxy.example.org`,
// `sip:alice@10.0.0.5;transport=tcp`. Messages are parsed elsewhere, by ranges over received bytes; this one is text,
// small and strict, because a wrong URI in a configuration should be refused, not repaired.
//
// Not attempted: URI headers (`?`), `tel:`, escaped characters in the host, DNS.

internal import Primitives
package import SIP

package struct ConfiguredURI: Hashable, Sendable {
    /// As written, without surrounding space.
    package let text: String
    /// `sips:`
    package let isSecure: Bool
    /// User part with its password, empty when there is none.
    package let user: String
    /// Name or address; an IPv6 address without its brackets.
    package let host: String
    /// The host when it is an address.
    package let address: Address?
    /// `nil` when it was not written: the transport's default applies.
    package let port: UInt16?
    /// From `;transport=`, else UDP, or TLS for `sips:`.
    package let transport: TransportProtocol
    /// The URI says `;transport=`.
    package let namesTransport: Bool

    /// Where a request for this URI goes, when the host is an address (default ports by RFC 3261 §19.1.2).
    package var endpoint: Endpoint? {
        guard let address else { return nil }
        return Endpoint(address: address, port: port ?? transport.defaultPort, transport: transport)
    }

    /// `nil` when the text is not a SIP URI.
    package init?(_ written: String) {
        let text = written.trimmed
        guard text.utf8.count <= 255, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        switch text[..<colon].lowercased() {
        case "sip": isSecure = false
        case "sips": isSecure = true
        default: return nil
        }
        var rest = text[text.index(after: colon)...]
        guard !rest.contains(where: { "?<>\"".contains($0) }) else { return nil }
        if let at = rest.firstIndex(of: "@") {
            user = String(rest[..<at])
            guard !user.isEmpty else { return nil }
            rest = rest[rest.index(after: at)...]
        } else {
            user = ""
        }
        let parts = rest.split(separator: ";", omittingEmptySubsequences: false)
        guard let hostPort = parts.first, let (host, port) = Self.split(hostPort) else { return nil }
        self.host = host
        self.port = port
        address = Address(text: host)
        guard address != nil || Self.isHostName(host) else { return nil }
        guard let (transport, isNamed) = Self.transport(of: parts.dropFirst(), isSecure: isSecure) else { return nil }
        self.transport = transport
        namesTransport = isNamed
        self.text = text
    }

    /// What is wrong with a text that is none.
    static func objection(to written: String, like example: String) -> String {
        let text = written.trimmed
        let bare = text.drop { $0 == "<" }.prefix { $0 != ">" }
        let scheme = text.prefix { $0 != ":" }.lowercased()
        var hint = ""
        if bare.count < text.count, ConfiguredURI(String(bare)) != nil {
            hint = "; write it without < and >: \(bare)"
        } else if ["sip", "sips"].contains(scheme) {
            hint = fault(of: text.dropFirst(scheme.count + 1)).map { ": \($0)" } ?? ""
        } else if ["tel", "urn", "http", "https"].contains(scheme) {
            hint = ": a \(scheme): URI names no place that SIP can be sent to"
        } else if let last = text.split(separator: " ").last, text.contains(" "), ConfiguredURI(String(last)) != nil {
            hint = ": only the URI stands here, \(last)"
        } else if ConfiguredURI("sip:\(text)") != nil {
            hint = "; write sip:\(text)"
        }
        return "'\(text)' is not a SIP URI like \(example)\(hint)"
    }

    /// What of it cannot be read, behind the scheme.
    private static func fault(of rest: Substring) -> String? {
        let parts = rest.split(separator: ";", omittingEmptySubsequences: false)
        let place = (parts.first ?? "").split(separator: "@").last ?? ""
        for parameter in parts.dropFirst() where parameter.lowercased().hasPrefix("transport=") {
            let named = parameter.dropFirst("transport=".count)
            guard TransportProtocol(configured: named) == nil else { continue }
            return "there is no \(named), only udp, tcp, tls, ws, wss"
        }
        let pair = place.split(separator: ":", omittingEmptySubsequences: false)
        if !place.hasPrefix("["), pair.count > 2 {
            return Address(text: String(place))?.isIPv6 == true
                ? "an IPv6 address stands in brackets, like sip:[\(place)]" : "it has two ports"
        }
        guard let port = pair.last, pair.count > 1, !port.contains("]"), port.portNumber == nil else { return nil }
        return "port \(port) is not 1 to 65535"
    }

    /// A URI made from a listener, to stand in for an absent `sip.advertise`.
    package init(_ endpoint: Endpoint) {
        let host = endpoint.address.text
        let shown = endpoint.address.isIPv6 && !host.hasPrefix("[") ? "[\(host)]" : host
        let parameter =
            switch endpoint.transport {
            case .udp, .other: ""
            case .tcp: ";transport=tcp"
            case .tls: ";transport=tls"
            case .ws: ";transport=ws"
            case .wss: ";transport=wss"
            }
        text = "sip:\(shown):\(endpoint.port)\(parameter)"
        isSecure = false
        user = ""
        self.host = host
        address = endpoint.address
        port = endpoint.port
        transport = endpoint.transport
        namesTransport = !parameter.isEmpty
    }

    /// Whether both name the same (RFC 3261 §19.1.4).
    func isEquivalent(to other: ConfiguredURI) -> Bool {
        let (left, right) = (Array(text.utf8), Array(other.text.utf8))
        guard let mine = try? URI(left, ByteRange(left)), let theirs = try? URI(right, ByteRange(right)) else {
            return false
        }
        return mine.isEquivalent(to: theirs, in: left, right)
    }

    private static func transport(
        of parameters: ArraySlice<Substring>, isSecure: Bool
    ) -> (TransportProtocol, isNamed: Bool)? {
        var transport: TransportProtocol = isSecure ? .tls : .udp
        var isNamed = false
        for parameter in parameters {
            let pair = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = pair.first, !name.isEmpty else { return nil }
            guard name.lowercased() == "transport" else { continue }
            guard pair.count == 2, let named = TransportProtocol(configured: pair[1]) else { return nil }
            transport = named
            isNamed = true
        }
        return (transport, isNamed)
    }

    private static func split(_ text: Substring) -> (String, UInt16?)? {
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let host = String(text[text.index(after: text.startIndex)..<close])
            let after = text[text.index(after: close)...]
            guard Address(text: host)?.isIPv6 == true else { return nil }
            if after.isEmpty { return (host, nil) }
            guard after.hasPrefix(":"), let port = after.dropFirst().portNumber else { return nil }
            return (host, port)
        }
        let pair = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = pair.first, !host.isEmpty, pair.count <= 2 else { return nil }
        guard pair.count == 2 else { return (String(host), nil) }
        guard let port = pair[1].portNumber else { return nil }
        return (String(host), port)
    }

    /// Labels of letters, digits and inner dashes; the last one does not start with a digit (RFC 3261 §25.1 hostname).
    static func isHostName(_ host: String) -> Bool {
        var labels = host.split(separator: ".", omittingEmptySubsequences: false)
        if labels.count > 1, labels.last?.isEmpty == true { labels.removeLast() }
        guard let last = labels.last?.utf8.first, !(48...57).contains(last) else { return false }
        return labels.allSatisfy { label in
            guard !label.isEmpty, label.utf8.count <= 63, label.first != "-", label.last != "-" else { return false }
            return label.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45
            }
        }
    }
}

extension TransportProtocol {
    /// A transport by the name a configuration uses, in either case.
    init?(configured name: some StringProtocol) {
        switch name.lowercased() {
        case "udp": self = .udp
        case "tcp": self = .tcp
        case "tls": self = .tls
        case "ws": self = .ws
        case "wss": self = .wss
        default: return nil
        }
    }

    package var configuredName: String { "\(lowercasedName)" }
}

extension StringProtocol {
    /// Without spaces, tabs and line ends at both ends.
    var trimmed: String {
        func isSpace(_ character: Character) -> Bool {
            character == " " || character == "\t" || character == "\n" || character == "\r" || character == "\r\n"
        }
        var text = Substring(self)
        while let first = text.first, isSpace(first) { text.removeFirst() }
        while let last = text.last, isSpace(last) { text.removeLast() }
        return String(text)
    }

    /// A port in decimal digits alone, 1 to 65535.
    var portNumber: UInt16? {
        guard utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = UInt16(self), number > 0 else { return nil }
        return number
    }
}
