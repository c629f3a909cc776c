// Requests that make a dialog other than a call: SUBSCRIBE and REFER (RFC 6665, RFC 3515), and a NOTIFY that comes
// outside of any dialog or by such a one's Route (RFC 6665 §4.3 asks for all of them). They are record-routed, as the
// other side's requests may have only this way: over the connection that a phone holds, from one family or network to
// another. There is no record of a subscription, so the Record-Route itself says which connection (RFC 5626 §5.3).
//
//     Record-Route: <sip:uss2f0c…e1@192.0.2.10:5061;transport=tls;lr>     the side below: it came over this connection
//     Record-Route: <sip:uss0000…d4@192.0.2.10:5060;lr>                   the side above, here by UDP
//                        └ "uss", then hexadecimal: connection (FlowFact; zeros where there is none), 64-bit keyed hash
//
// Each entry names its own side; the other side's requests pass it last, and go over that connection, whichever node
// they reach. One entry is enough where neither side has a connection and both know us by one name. When the connection
// has ended the request goes by its Request-URI, or is answered 430.

import Primitives
import SIP

/// What a Record-Route of a subscription says of its side.
struct RouteToken: Equatable, Sendable {
    /// The connection; `nil` for a side that is reached by its Request-URI.
    var flow: FlowFact?

    static let mark: StaticString = "uss"
    private static let length = 3 + 2 * FlowFact.byteCount + 16

    init(flow: FlowFact?) {
        self.flow = flow
    }

    /// `nil` for what is not ours.
    init?(_ bytes: [UInt8], _ user: ByteRange, _ hash: KeyedHash) {
        let start = Int(user.start)
        guard user.count == Self.length,
            Text.equalsIgnoringCase(bytes, ByteRange(start: start, end: start + 3), Self.mark)
        else { return nil }
        var payload: [UInt8] = []
        for offset in stride(from: start + 3, to: Int(user.end) - 16, by: 2) {
            guard let byte = Text.hex(bytes, ByteRange(start: offset, end: offset + 2)) else { return nil }
            payload.append(UInt8(byte))
        }
        guard let seal = Text.hex(bytes, ByteRange(start: Int(user.end) - 16, end: Int(user.end))),
            Self.seal(payload, hash) == seal, let fact = FlowFact(payload, ByteRange(payload))
        else { return nil }
        flow = fact.flow == .none ? nil : fact
    }

    /// The user part of the URI.
    func write(_ hash: KeyedHash, into writer: inout ByteWriter) {
        var payload = ByteWriter(capacity: FlowFact.byteCount)
        (flow ?? FlowFact(member: 0, flow: .none)).write(into: &payload)
        writer.put(Self.mark)
        for byte in payload.bytes { writer.putHex(UInt64(byte), digits: 2) }
        writer.putHex(Self.seal(payload.bytes, hash), digits: 16)
    }

    private static func seal(_ payload: [UInt8], _ hash: KeyedHash) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x726f_7574_6574_6f6b)
        stream.combine(payload, ByteRange(payload))
        return stream.finish()
    }
}

extension Proxy {
    /// What a Route of ours says of the side that it stands for.
    func routeToken(_ uri: URI) -> RouteToken? {
        uri.user.isEmpty ? nil : RouteToken(message.bytes, uri.user, hash)
    }

    /// Whether the request at hand makes a subscription that has to come back through here. A member that passed it on
    /// has written its own Record-Route.
    func makesSubscription(_ plan: RequestPlan) -> Bool {
        guard plan.did == nil, plan.namedFlow == .none else { return false }
        switch message.method {
        case .subscribe, .refer: return !plan.isInDialog
        case .notify: return !plan.isInDialog || plan.namesSubscription
        default: return false
        }
    }

    /// Sends a request of a subscription over the connection that its Route names.
    mutating func takeRouteToken(_ plan: inout RequestPlan) -> FlowUse {
        guard plan.isInDialog, plan.namedFlow == .none, let fact = plan.routeToken?.flow else { return .none }
        return takeFlow(fact, &plan)
    }

    /// Writes the Record-Routes of a request with one branch, in the edit under way.
    mutating func insertSubscriptionRoutes(_ plan: RequestPlan) {
        let flow = plan.flow == .none ? plan.memberFlow : flowFact(plan.flow)
        insertSubscriptionRoutes(
            at: message.firstLineEnd, from: (plan.listener, flowFact(plan.arrivalFlow, ofSender: message)),
            to: (listener(for: plan, toward: plan.nextHop), flow), secure: isSecure(plan))
    }

    /// The side that a request goes to stands above the one that it came from.
    mutating func insertSubscriptionRoutes(
        at offset: Int, from upstream: (listener: ListenerID, flow: FlowFact?),
        to downstream: (listener: ListenerID, flow: FlowFact?), secure: Bool
    ) {
        let (above, below) = (settings.name(downstream.listener), settings.name(upstream.listener))
        var lines = ByteWriter(capacity: 256)
        write(RouteToken(flow: downstream.flow), above, secure: secure, into: &lines)
        if above.advertised != below.advertised || downstream.flow != upstream.flow {
            write(RouteToken(flow: upstream.flow), below, secure: secure, into: &lines)
        }
        editor.insert(at: offset) { $0.put(lines.bytes) }
    }

    private func write(
        _ token: RouteToken, _ name: ListenerName, secure: Bool, into writer: inout ByteWriter
    ) {
        writer.put(secure && name.transport != .udp ? "Record-Route: <sips:" : "Record-Route: <sip:")
        token.write(hash, into: &writer)
        writer.put("@")
        writer.put(name.advertised)
        writer.put(";lr>\r\n")
    }
}
