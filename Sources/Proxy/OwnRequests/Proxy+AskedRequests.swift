// Requests within a dialog that somebody has asked for: `dlg_refer`, `dlg_req_within`, as the one side would send them
// to the other. Branch, CSeq and sent-by follow from the record, so an heir's is a repetition to the phone, and whoever
// gets the answer passes it on to whoever waits for it. What has to be true before it leaves is the node's
// (`Node+Requests`): every member moves the requests of its seeming sender (`CSeqShift`).

package import Dialogs
package import Primitives
import SIP

/// Why the cluster makes no request to a side.
package enum RequestObjection: Error, Equatable, Sendable {
    case notConfirmed
    /// Several callees have answered: which of them is meant cannot be told.
    case severalCallees
    /// Nothing says where the side is, or its connection has ended.
    case unreachable
    /// The CSeq would be 2³¹ or more.
    case numbersUsedUp
}

extension Proxy {
    /// The CSeq of a request to a side that is made now.
    package func place(
        ofRequestTo leg: Leg, in did: DialogID, dialogs: DialogTable
    ) throws(RequestObjection) -> CSeqShift.Place {
        guard let record = dialogs.record(did), record.state == .confirmed else { throw .notConfirmed }
        let out = try answeredOut(of: record)
        let side = leg == .caller ? record.caller : out.side
        guard !side.contact.isEmpty, isReachable(side), nextHop(side) != nil else { throw .unreachable }
        let sender: Leg = leg == .caller ? .callee : .caller
        let place = dialogs.view(did) { view, stored -> CSeqShift.Place? in
            guard let side = view.sender(sender, out.toTag, calleeTag: ByteRange(out.toTag), in: stored) else {
                return nil
            }
            return CSeqShift.place(known: view.knownCSeq(sender, side, in: stored), shift: side.shift)
        }
        guard let place = place ?? nil else { throw .numbersUsedUp }
        return place
    }

    /// Another place for a request that has not left, where its seeming sender has begun something since it was given
    /// one: what that sent may have passed with the new shift, and would be above it.
    package func laterPlace(
        than place: CSeqShift.Place, ofRequestTo leg: Leg, in did: DialogID, dialogs: DialogTable
    ) -> CSeqShift.Place? {
        guard let next = try? self.place(ofRequestTo: leg, in: did, dialogs: dialogs) else { return nil }
        return next.known > place.known ? next : nil
    }

    /// The facts that make room for it: whoever has them moves the requests of its seeming sender.
    package func writeShift(
        _ shift: UInt32, toward leg: Leg, of did: DialogID, into facts: inout FactsWriter, dialogs: DialogTable
    ) {
        facts.raise(.asked)
        if leg == .callee { return facts.caller { $0.shift(by: shift) } }
        guard let out = dialogs.record(did).flatMap({ try? answeredOut(of: $0) }) else { return }
        facts.out(out.toTag) { out in out.side { $0.shift(by: shift) } }
    }

    private func answeredOut(of record: Record) throws(RequestObjection) -> Record.Out {
        let answered = record.outs.filter { $0.state == .confirmedNotAcknowledged || $0.state == .confirmed }
        guard let first = answered.first else { throw .notConfirmed }
        guard answered.count == 1 else { throw .severalCallees }
        return first
    }

    /// Sends one; `.requestEnded` follows.
    /// - Returns: False where it cannot be sent.
    package mutating func sendRequest(
        _ wish: RequestWish, to leg: Leg, of did: DialogID, now: Instant, dialogs: inout DialogTable
    ) -> Bool {
        self.now = now
        guard let record = dialogs.record(did), record.state == .confirmed, let out = try? answeredOut(of: record)
        else { return false }
        let side = leg == .caller ? record.caller : out.side
        guard !side.contact.isEmpty, isReachable(side), let hop = nextHop(side) else { return false }
        let method = Method(wish.method, ByteRange(wish.method))
        let hash = generatedBranch(did, leg, method, toTag: out.toTag, cSeq: wish.place.cSeq)
        if ownRequests.find(hash: hash) != nil { return true }  // Under way here.
        guard let id = reserve(.within, method, did, cSeq: wish.place.cSeq) else { return false }
        let target = settings.egress ?? hop.endpoint
        let sender = leg == .caller ? out.side : record.caller
        let request = requestWithin(
            record, out, to: leg, OwnLine(wish.method, cSeq: UInt64(wish.place.cSeq), body: wish.body), hop,
            via: { writeGeneratedVia(hash, record.home, side, target, into: &$0) },
            extra: { writer in
                if Self.needsContact(method) {  // The sender's own: it must not become the side's target.
                    writer.put("Contact: <")
                    writer.put(sender.contact)
                    writer.put(">\r\n")
                }
                writer.put(wish.headers)
            })
        var part = OwnPart(
            client: ownTransaction(target), sent: request, target: target,
            listener: listener(ofGenerated: request, toward: target))
        part.leg = leg
        part.hash = hash
        begin([part], id, dialogs: &dialogs)
        return true
    }

    /// Methods that refresh a target (RFC 3261 §12.2, RFC 3311 §5.1, RFC 5057 §5.4).
    private static func needsContact(_ method: Method) -> Bool {
        switch method {
        case .refer, .update, .subscribe, .notify: true
        default: false
        }
    }

    mutating func endRequestWithin(_ request: OwnRequest, _ index: Int, _ end: OwnEnd) {
        guard let did = request.did else { return }
        effects.items.append(
            .requestEnded(did, request.parts[index].leg, cSeq: request.cSeq, status: end.status))
    }
}
