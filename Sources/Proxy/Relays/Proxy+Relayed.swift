// The member that takes a call which a draining one has relayed (`Relay`). It does as if the INVITE had come here from
// its sender: access was judged and limits were counted where it came in, routes and the trust domain see the sender's
// address, Record-Route has what this node is called on such a socket, the record has the sender's flow. A member's
// bytes are answered to the member; once that is gone, to the sender itself, as an heir would.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Reads how the INVITE at hand came to the member that relayed it, if one did.
    mutating func readRelay(_ plan: inout RequestPlan) {
        guard message.method == .invite, let peer = neighbours.peer(at: plan.source), let mark = relayMark() else {
            return
        }
        let via = plan.via
        let host = via.received.isEmpty ? via.host : via.received
        guard let address = Address(bytes: message.bytes, range: host) else { return }
        let isReliable = via.transport.isReliable
        let port = (isReliable ? nil : via.rport) ?? via.port ?? via.transport.defaultPort
        let sender = Endpoint(address: address, port: port, transport: via.transport)
        plan.relay = Relay(
            member: peer.memberTag, sender: sender, listener: listener(like: mark, via.transport) ?? plan.listener,
            flow: mark.flow)
        plan.upstream = plan.source
        plan.addsReceived = false
        plan.source = sender
        counters.relayedHere += 1
    }

    /// The message at hand was relayed, or follows what was: its topmost Route says so.
    mutating func relayMark() -> RelayMark? {
        guard message.first(.route) != nil else { return nil }
        routes.removeAll(keepingCapacity: true)
        message.nameAddresses(.route, into: &routes)
        guard let top = routes.first, let uri = try? URI(message.bytes, top.uri), isOwn(uri, in: message.bytes) else {
            return nil
        }
        return RelayMark(uri, in: message.bytes)
    }

    /// The listener in the same place, or else the first one of the transport.
    private func listener(like mark: RelayMark, _ transport: TransportProtocol) -> ListenerID? {
        let names = settings.names
        if Int(mark.listener) < names.count, names[Int(mark.listener)].transport == transport {
            return ListenerID(rawValue: mark.listener)
        }
        return names.firstIndex { $0.transport == transport }.map {
            ListenerID(rawValue: UInt8(truncatingIfNeeded: $0))
        }
    }

    /// The connection of whoever sent the INVITE at hand, here or at the member that relayed it.
    func senderFlow(_ plan: RequestPlan) -> FlowFact? {
        guard let relay = plan.relay else { return flowFact(plan.arrivalFlow, ofSender: message) }
        guard var fact = flowFact(relay.flow, ofSender: message) else { return nil }
        fact.member = relay.member
        return fact
    }

    /// For an answer of an heir's: only of a connection it is told that there is none.
    func upstreamToken(_ context: ResponseContext, _ id: SlotID) -> UInt64 {
        context.upstream.transport.isReliable ? SendToken(upstreamOf: id).rawValue : 0
    }

    /// Sends an answer to where its request came from.
    /// - Parameter token: Whether it could not be sent is to be told, if it is not 0.
    mutating func answer(
        _ bytes: [UInt8], _ context: ResponseContext, token: UInt64 = 0, outline: MessageOutline? = nil
    ) {
        if let relay = context.relay, neighbours.peer(relay.member)?.isLive != true {
            effects.queue.send(
                bytes, to: relay.sender, from: egressListener(relay.sender, near: relay.listener), token: token,
                outline: outline)
        } else {
            effects.queue.send(
                bytes, to: context.upstream, from: context.listener, flow: context.flow, token: token, outline: outline)
        }
    }
}
