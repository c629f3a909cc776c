// `$snd(name)` and `$sndto(name)`: what leaves, and whither, in `ksr_onsend_route` and in the route for requests of the
// cluster's own; null elsewhere.

internal import Primitives
internal import SIP

/// By the module's names.
enum SendingField: String, CaseIterable, Sendable {
    case address = "ip"
    case family = "af"
    case port
    case protocolNumber = "proto"
    case protocolName = "sproto"
    case bytes = "buf"
    case size = "len"
}

extension PseudoVariable {
    static func value(of field: SendingField, in run: borrowing RouteRun) -> RouteValue {
        guard let target = run.point.target else { return .null }
        switch field {
        case .address:
            var writer = ByteWriter()
            target.address.write(into: &writer, brackets: false)
            return .text(writer.bytes)
        case .family: return .integer(target.address.isIPv6 ? 10 : 2)  // AF_INET6, AF_INET
        case .port: return .integer(Int(target.port))
        case .protocolNumber:
            switch target.transport {
            case .udp: return .integer(1)
            case .tcp: return .integer(2)
            case .tls: return .integer(3)
            case .ws: return .integer(5)
            case .wss: return .integer(6)
            case .other: return .null
            }
        case .protocolName: return .text(target.transport.lowercasedName)
        case .bytes: return .text(Array(run.message.bytes))
        case .size: return .integer(run.message.bytes.count)
        }
    }
}
