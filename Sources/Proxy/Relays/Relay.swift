// Relay is what a draining member tells with an INVITE that it relays (`Proxy+Relays`): how the INVITE came to it, so
// that the member which takes the call does as if it had come there. It stands in a Route above all others, which the
// cluster consumes like any Route of its own:
//
//     Route: <sip:10.0.1.2:5060;lr;relay=02000000000000002a>
//            the member that gets it     │ │
//                                        │ └ the connection that it came on, 16 digits; 0 for a datagram
//                                        └ the listener that it came in on, by its place in the configuration
//
// The Vias are the sender's, the topmost one completed; none is added, for the relay is no hop of SIP: the did, which
// is made of the topmost Via, is the same on every node, and so are answers, records and what an heir sends. Only
// members are believed.

import Primitives
import SIP

/// How an INVITE came to the member that relayed it here.
struct Relay: Equatable, Sendable {
    /// That member's process, as a branch names it.
    var member: UInt32
    /// Where answers go when that process is gone: where it would have sent them.
    var sender: Endpoint
    /// The listener of ours that is like the one it came in on.
    var listener: ListenerID
    /// The connection of that member which it came on.
    var flow: FlowID
}

/// The value of the parameter.
struct RelayMark: Equatable {
    var listener: UInt8
    var flow: FlowID

    private static let length = 18

    init(listener: ListenerID, flow: FlowID) {
        self.listener = listener.rawValue
        self.flow = flow
    }

    /// Reads it out of a Route; `nil` where there is none.
    init?(_ route: URI, in bytes: [UInt8]) {
        guard let value = route.parameter("relay", in: bytes), value.count == Self.length else { return nil }
        let split = Int(value.start) + 2
        guard let listener = Text.hex(bytes, ByteRange(start: Int(value.start), end: split)),
            let flow = Text.hex(bytes, ByteRange(start: split, end: Int(value.end)))
        else { return nil }
        self.listener = UInt8(truncatingIfNeeded: listener)
        self.flow = FlowID(rawValue: flow)
    }

    func writeRoute(to member: Endpoint, into writer: inout ByteWriter) {
        writer.put("Route: <sip:")
        member.write(into: &writer)
        writer.put(";lr;relay=")
        writer.putHex(UInt64(listener), digits: 2)
        writer.putHex(flow.rawValue, digits: 16)
        writer.put(">\r\n")
    }
}

extension RequestPlan {
    /// Who sent the message: the member that relayed it, or `source`.
    var arrivedFrom: Endpoint { relay == nil ? source : upstream }

    /// Where its sender is answered, whoever relayed it.
    var sender: Endpoint { relay?.sender ?? upstream }

    /// The listener toward its sender.
    var near: ListenerID { relay?.listener ?? listener }
}

extension ResponseContext {
    /// Where its sender is answered, whoever relayed it.
    var sender: Endpoint { relay?.sender ?? upstream }

    /// The listener toward its sender.
    var near: ListenerID { relay?.listener ?? listener }
}
