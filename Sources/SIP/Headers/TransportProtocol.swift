// TransportProtocol is the transport named in a Via (RFC 3261 §20.42, RFC 7118) or in a URI's transport parameter
// (§19.1.1).

package import Primitives

package enum TransportProtocol: UInt8, Sendable, CaseIterable {
    case udp, tcp, tls, ws, wss, other

    /// Written out as that of `Method`.
    package static func == (left: TransportProtocol, right: TransportProtocol) -> Bool {
        left.rawValue == right.rawValue
    }

    /// As a Via spells it; `.other` has no spelling of its own and answers "UNKNOWN".
    package var name: StaticString {
        switch self {
        case .udp: "UDP"
        case .tcp: "TCP"
        case .tls: "TLS"
        case .ws: "WS"
        case .wss: "WSS"
        case .other: "UNKNOWN"
        }
    }

    /// As a URI parameter or a configuration key spells it.
    package var lowercasedName: StaticString {
        switch self {
        case .udp: "udp"
        case .tcp: "tcp"
        case .tls: "tls"
        case .ws: "ws"
        case .wss: "wss"
        case .other: "unknown"
        }
    }

    /// Whether the transport delivers reliably, so that transactions need not retransmit (RFC 3261 §17).
    package var isReliable: Bool { self != .udp && self != .other }

    /// The port that is meant where none is written (§18.1.1, §19.1.2).
    package var defaultPort: UInt16 {
        switch self {
        case .udp, .tcp, .other: 5060
        case .tls: 5061
        case .ws: 80
        case .wss: 443
        }
    }

    /// The transport spelled by `bytes[range]`, in either case.
    package init(_ bytes: [UInt8], _ range: ByteRange) {
        self.init(RawSpan(_elements: bytes.span), range)
    }

    init(_ span: RawSpan, _ range: ByteRange) {
        var word: UInt64 = 0
        for index in range.range.prefix(4) { word = word << 8 | UInt64(span[index] | 0x20) }
        switch word {
        case 0x75_6470: self = .udp
        case 0x74_6370: self = .tcp
        case 0x74_6C73: self = .tls
        case 0x7773: self = .ws
        case 0x77_7373: self = .wss
        default: self = .other
        }
    }
}
