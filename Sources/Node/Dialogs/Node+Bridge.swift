// Bridging two addresses (`Proxy+Bridge`): the REFER when the first has answered, what its NOTIFYs say, and the end.
// All of it stands in the record, so whichever node is told goes on; a bridge that nobody goes on with ends with its
// minute.

import Cluster
package import Dialogs
package import Primitives
import Proxy
import SIP

extension Node {
    /// Calls the first address; what becomes of it comes as `RequestEvent`s.
    /// - Returns: The did of the call.
    @discardableResult
    package mutating func bridge(
        _ bridge: DialogBridge, now: Instant, into out: inout Outbox
    ) throws(DialogError) -> String {
        do throws(DialogError) {
            if let objection = bridge.objection { throw .invalid(objection) }
            guard cluster.isFit else {
                throw .refused("this node has no quorum or is not up yet; ask another member")
            }
            var order = BridgeOrder()
            (order.from, order.to) = (Array(bridge.from.utf8), Array(bridge.to.utf8))
            order.proxy = Array(bridge.proxy.utf8)
            order.body = Array((bridge.body ?? DialogBridge.hold).utf8)
            order.controller = Array(settings.dialogs.bridgeController.utf8)
            order.contact = Array(bridgeContact.utf8)
            lastBridge += 1
            order.number = lastBridge
            begin(&out)
            defer {
                settle(now: now, into: &out)
                finish(&out, now: now)
            }
            guard let did = proxy.bridge(order, now: now, dialogs: &store.dialogs) else {
                throw .refused("the INVITE cannot be sent: a UDP socket and a way to the URI are needed")
            }
            counters.bridgesAsked += 1
            return did.hex
        } catch {
            counters.requestsRefused += 1
            throw error
        }
    }

    /// `dlg_refer`: REFER to one side, as the controller says.
    @discardableResult
    package mutating func refer(
        did: String, _ side: Leg, to address: String, now: Instant, into out: inout Outbox
    ) throws(DialogError) -> UInt32 {
        if let objection = DialogRequest.objection(toAddress: address) {
            counters.requestsRefused += 1
            throw .invalid(objection)
        }
        let refer = DialogRequest.refer(side, to: address, by: settings.dialogs.bridgeController)
        return try request(did: did, refer, now: now, into: &out)
    }

    /// Where phones reach the controller: by way of the balancer, at any node.
    private var bridgeContact: String {
        if !settings.dialogs.bridgeContact.isEmpty { return settings.dialogs.bridgeContact }
        if let uri = settings.sip.advertise.first { return uri.text.adding(user: "controller") }
        return "sip:controller@" + (settings.sip.listen.first?.text ?? "127.0.0.1:5060")
    }

    /// The first phone is there: it is sent on, once.
    mutating func bridgeAnswered(_ did: DialogID, now: Instant) {
        let known = store.dialogs.view(did) { view, bytes in
            (view.wish(to: .callee, in: bytes) != nil, view.word(.bridge, in: bytes))
        }
        guard let (isAsked, target) = known, !isAsked, let target else { return }
        let refer = DialogRequest.refer(
            .callee, to: String(decoding: target, as: UTF8.self), by: settings.dialogs.bridgeController)
        do throws(DialogError) {
            _ = try ask(refer, of: did, now: now)
        } catch {
            counters.requestsRefused += 1
            endBridge(did, now: now)
        }
    }

    mutating func bridgeFailed(callID: [UInt8], status: Int, now: Instant) {
        counters.bridgesFailed += 1
        var event = RequestEvent(did: "", side: .callee, method: "INVITE", outcome: .failed, status: status)
        event.callID = String(decoding: callID, as: UTF8.self)
        tell(event, now: now)
    }

    /// It has done its work, or cannot.
    mutating func endBridge(_ did: DialogID, now: Instant) {
        guard proxy.isBridge(did, dialogs: store.dialogs), store.dialogs.state(did) != .deleted else { return }
        proxy.shortenDeadline(did, flags: .endedByOperator, isAsked: true, now: now, dialogs: &store.dialogs)
    }

    /// What became of the call that a REFER has asked for (RFC 3515 §2.4.5), of a bridge or of `dlg_refer`.
    mutating func referNotified(_ key: AskedRequest.Key, status: Int, isOver: Bool, now: Instant) {
        let known = store.dialogs.view(key.did) { view, bytes in view.wish(to: key.leg, in: bytes)?.wish } ?? nil
        guard let known, known.notified < 200 else { return }  // Told before.
        // One that ends without a final status has not said that the call was made.
        let told = isOver && status < 200 ? 480 : status
        guard told > 0, told != known.notified else { return }
        var wish = known.isOpen ? known.ended(202) : known
        wish.notified = UInt32(told)
        asked.remove(key)
        do throws(DialogError) {
            try write([.word(DialogWord(requestTo: key.leg), wish.bytes)], of: key.did, now: now)
        } catch {
            counters.requestsUnmarked += 1
        }
        guard told >= 200 else { return }
        tell(key, wish, told < 300 ? .referred : .notReferred, status: told, now: now)
        endBridge(key.did, now: now)
    }
}

extension String {
    /// `sip:host:port` with a user.
    fileprivate func adding(user: String) -> String {
        guard let colon = firstIndex(of: ":") else { return self }
        return "\(self[...colon])\(user)@\(self[index(after: colon)...])"
    }
}
