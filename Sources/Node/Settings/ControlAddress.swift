// Where BINRPC is served, as Kamailio's `ctl` writes it: `unix:/run/understudy/ctl`, `tcp:127.0.0.1:2049`.

package import SIP

package enum ControlAddress: Equatable, Sendable {
    /// A path.
    case unix(String)
    case tcp(Endpoint)

    package static let defaultPort: UInt16 = 2_049

    /// `nil` when the text is neither. A bare path is one of a Unix socket; `unixs:` is another word for it.
    package init?(_ written: String) {
        var text = Substring(written.trimmed)
        for scheme in ["unixs:", "unix:"] where text.hasPrefix(scheme) { text = text.dropFirst(scheme.count) }
        if text.hasPrefix("/") {
            while text.hasPrefix("//") { text = text.dropFirst() }
            self = .unix(String(text))
            return
        }
        guard text.hasPrefix("tcp:") else { return nil }
        text = text.dropFirst(4)
        while text.hasPrefix("/") { text = text.dropFirst() }
        guard let endpoint = Endpoint(configured: String(text), schemes: .none, defaultPort: Self.defaultPort) else {
            return nil
        }
        self = .tcp(Endpoint(address: endpoint.address, port: endpoint.port, transport: .tcp))
    }

    package var text: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let endpoint): "tcp:\(endpoint.text)"
        }
    }
}
