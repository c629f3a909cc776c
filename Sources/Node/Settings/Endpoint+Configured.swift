// An address with a port as a configuration has it, and what is wrong with a text that is none.

import SIP

extension Endpoint {
    /// Which `scheme://` a configured address may carry.
    enum Schemes {
        case none, sip, bus, http

        /// As they are written.
        var known: [String] {
            switch self {
            case .none: []
            case .sip: ["udp", "tcp", "tls", "ws", "wss"]
            case .bus: ["tcp"]
            case .http: ["http"]
            }
        }
    }

    /// What is wrong with a text that is no such address.
    static func objection(to text: String, like example: String, schemes: Schemes, defaultPort: UInt16?) -> String {
        let mark = text.firstRange(of: "://")
        let scheme = mark.map { String(text[..<$0.upperBound]) } ?? ""
        let rest = mark.map { text[$0.upperBound...] } ?? text[...]
        let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
        if !rest.hasPrefix("["), parts.count > 2, Address(text: String(rest)) != nil || isAddress(parts.dropLast()) {
            let host = isAddress(parts.dropLast()) ? parts.dropLast().joined(separator: ":") : String(rest)
            let port = isAddress(parts.dropLast()) ? String(parts[parts.count - 1]) : "5060"
            return "'\(text)': an IPv6 address stands in brackets before its port, like \(scheme)[\(host)]:\(port)"
        }
        if rest.contains("%") {
            return "'\(text)': a zone says nothing to a peer; name an address that is valid everywhere"
        }
        if rest.hasPrefix("["), !rest.contains("]") { return "'\(text)': the '[' is not closed by a ']'" }
        let isWithPort = rest.hasPrefix("[") ? rest.contains("]:") : parts.count == 2
        if isWithPort, let last = parts.last, !last.isEmpty, last.allSatisfy(\.isNumber),
            !(1...65_535).contains(Int(last) ?? 0)
        {
            return "'\(text)': port \(last) is not 1 to 65535"
        }
        if !isWithPort, defaultPort == nil, Address(text: rest.filter { $0 != "[" && $0 != "]" }) != nil {
            return "'\(text)' has no port, like \(example)"
        }
        let hint = hint(to: text, scheme.dropLast(3).lowercased(), rest, schemes, defaultPort)
        return "'\(text)' is not an address like \(example)\(hint.map { "; \($0)" } ?? "")"
    }

    /// What somebody meant who wrote an address as another program takes it.
    private static func hint(
        to text: String, _ scheme: String, _ rest: Substring, _ schemes: Schemes, _ defaultPort: UInt16?
    ) -> String? {
        func isOne(_ text: String) -> Bool {
            Endpoint(configured: text, schemes: schemes, defaultPort: defaultPort) != nil
        }
        let words = text.split(separator: " ").map(String.init)
        if words.count > 1, isOne(words[0]) {
            return words[1].lowercased() == "advertise"
                ? "what is advertised is sip.advertise" : "a list is written [\(words.joined(separator: ", "))]"
        }
        if !scheme.isEmpty, isOne(String(rest)), !schemes.known.contains(scheme) {
            if schemes == .http { return "\(scheme) is a matter of management.tls; leave it out" }
            guard !schemes.known.isEmpty else { return "leave \(scheme):// out" }
            return "\(scheme) is no transport here; there are \(schemes.known.joined(separator: ", "))"
        }
        if let colon = text.firstIndex(of: ":"), schemes.known.contains(text[..<colon].lowercased()) {
            let meant = "\(text[..<colon].lowercased())://\(text[text.index(after: colon)...].drop { $0 == "/" })"
            if meant != text, isOne(meant) { return "write \(meant)" }
        }
        let bare = rest.prefix { !"/;?".contains($0) }
        if bare.count < rest.count, isOne(String(bare)) { return "nothing may follow \(bare)" }
        if rest.hasPrefix(":") || rest.hasPrefix("*") { return "name one address of this host" }
        let ends = rest.split(separator: ":", omittingEmptySubsequences: false)
        if ends.count == 2, Address(text: String(ends[0])) != nil, ends[1].contains(where: { "-,".contains($0) }) {
            return "each has one port"
        }
        if let slash = rest.firstIndex(of: "/"), Address(text: String(rest[..<slash])) != nil {
            return "\(rest[..<slash]) is one, and a block of them is none"
        }
        // Without what may stand before it in Kamailio's way of writing one.
        let parts = rest.split(separator: ":")
        let host = (parts.count > 1 && schemes.known.contains(parts[0].lowercased()) ? parts[1] : parts.first) ?? ""
        guard ConfiguredURI.isHostName(String(host)), host.contains(where: \.isLetter) else { return nil }
        return "\(host) is a name, and names are not looked up here"
    }

    private static func isAddress(_ parts: ArraySlice<Substring>) -> Bool {
        Address(text: parts.joined(separator: ":"))?.isIPv6 == true
    }

    /// `udp://192.0.2.1:5060`, `192.0.2.1:5060`, `[2001:db8::1]:5060`; a port of 1 to 65535, or none where there is a
    /// default.
    init?(configured text: String, schemes: Schemes, defaultPort: UInt16?) {
        var rest = Substring(text)
        var transport: TransportProtocol = schemes == .sip || schemes == .none ? .udp : .tcp
        if let mark = rest.firstRange(of: "://") {
            let scheme = rest[..<mark.lowerBound].lowercased()
            switch schemes {
            case .none: return nil
            case .sip:
                guard let named = TransportProtocol(configured: scheme) else { return nil }
                transport = named
            case .bus: guard scheme == "tcp" else { return nil }
            case .http: guard scheme == "http" else { return nil }
            }
            rest = rest[mark.upperBound...]
        }
        while schemes == .http, rest.hasSuffix("/") { rest.removeLast() }
        var host = rest
        var port = defaultPort
        let isBareIPv6 = !rest.hasPrefix("[") && rest.count(where: { $0 == ":" }) > 1
        if !isBareIPv6, let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]") {
            guard let number = rest[rest.index(after: colon)...].portNumber else { return nil }
            port = number
            host = rest[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let address = Address(text: String(host)), let port else { return nil }
        self.init(address: address, port: port, transport: transport)
    }
}
