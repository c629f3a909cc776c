// The ACK of a refusal that the cluster made itself within a dialog ends with the cluster, on whichever node, and
// teaches nothing: no re-INVITE was answered, and the other phone has never heard of one.
//
//     INVITE, refused ──▶ Refusals (64·T1) ──▶ fact `refused` of its side in the record: CSeq and branch
//     ACK ──▶ branch in Refusals? in the record? ──yes──▶ counted, goes no further
//
// A 2xx's ACK has a branch of its own (RFC 3261 §13.2.2.4), so an INVITE of the same CSeq that passes afterwards is
// acknowledged as any other. Branches without the magic cookie name nothing across transactions, and stay out of the
// record.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// What is written of the refusal that was just queued for the request at hand.
    mutating func rememberRefusal(dialogs: inout DialogTable) {
        isRefusalAtHand = false
        guard message.isRequest, message.method == .invite, let via = try? message.topmostVia() else { return }
        let cSeq = (try? message.cSeq().number) ?? 0
        counters.refusalsForgotten += UInt64(
            refusals.insert(
                serverKey(via, cSeq: cSeq, method: .invite), until: now.advanced(by: settings.timers.t1 * 64), now: now)
        )
        let bytes = message.bytes
        guard hasMagicCookie(via.branch),
            let (did, leg) = dialogs.find(
                callID: bytes, message.callID, fromTag: bytes, message.fromTag, toTag: bytes, message.toTag),
            dialogs.state(did) != .deleted
        else { return }
        let refusal = rejection(cSeq: cSeq, branch: via.branch, in: bytes)
        let calleeTag = message.fromTag
        facts.begin()
        if leg == .caller {
            facts.refuseCaller(mark: refusal)
        } else {
            facts.out(bytes, calleeTag) { $0.refuse(mark: refusal) }
        }
        learn(did, dialogs: &dialogs)
    }

    /// Whether an ACK is for a refusal that this node made.
    func isOfRefusal(_ plan: RequestPlan) -> Bool {
        refusals.count > 0 && refusals.contains(serverKey(plan, method: .ack), now: now)
    }

    /// Whether an ACK is for a failure that the record tells of, whoever gave it: a refusal of the cluster's own, or a
    /// re-INVITE that the other side has rejected, of which the record remembers the last one of each side.
    func recordedFailure(_ plan: RequestPlan, dialogs: DialogTable) -> RecordedFailure {
        guard plan.isKnown, let did = plan.did, dialogs.hasRefusal(did) else { return .none }
        return dialogs.view(did) { view, stored in
            let rejected = plan.leg == .caller ? view.rejectedCaller : view.rejectedCallee
            var hasRefused = view.refusedCaller != 0
            view.forEachOut(in: stored) { if $0.refused != 0 { hasRefused = true } }
            guard hasRefused || rejected != 0 else { return .none }
            let own = rejection(cSeq: plan.cSeq.number, branch: plan.via.branch, in: message.bytes)
            if hasRefused, hasMagicCookie(plan.via.branch) {
                var isRefused = view.refusedCaller == own
                view.forEachOut(in: stored) { if $0.refused == own { isRefused = true } }
                if isRefused { return .refused }
            }
            return rejected != 0 && rejected == own ? .rejected : .none
        } ?? .none
    }

    /// Whether a branch of the message at hand names its transaction (RFC 3261 §8.1.1.7).
    func hasMagicCookie(_ branch: ByteRange) -> Bool { Via.hasMagicCookie(branch, in: message.bytes) }
}

/// What a record knows of the INVITE that an ACK is for.
enum RecordedFailure: Sendable {
    case none
    /// The cluster has refused it itself.
    case refused
    /// The other side has.
    case rejected
}
