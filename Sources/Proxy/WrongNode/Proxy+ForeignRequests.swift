// Requests that belong to another node's transaction (S1-2b, S1-2c): a re-INVITE that some node has sent on, a CANCEL
// for another node's INVITE. Copies of INVITEs are in `Proxy+Attempts`, ACKs in `Proxy+Acknowledgement`.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// A re-INVITE that some node has sent on already (S1-2b): no target gets a second one. A live owner says again
    /// what it said last; for a dead one its sender is told to try once more (S2-10). One that has come back through a
    /// server is another pass.
    func decideRepeatedReInvite(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Decision {
        let known = dialogs.view(did) { view, stored -> Branch.Token? in
            var found: RecordView.Pending?
            view.forEachPending(in: stored) { pending in
                guard found == nil, pending.leg == plan.leg, pending.cseq == plan.cSeq.number,
                    pending.pass == plan.pass
                else { return }
                found = pending
            }
            guard let found, case .transaction(let token) = Branch(stored, found.branch, mark: settings.mark)
            else { return nil }
            return token
        }
        guard let token = known ?? nil else { return .proceed }
        if settings.isOwn(token.member) { return .repeatAnswer(did, plan.leg) }
        if let owner = neighbours.peer(token.member), owner.isLive { return .pass(to: owner) }
        return .refuse(500, .ofAnotherNode, retryAfter: 1)
    }

    /// Turns a CANCEL for another node's INVITE into the fact `cancelled` (S1-2c). One that is answered already is not
    /// changed by it (RFC 3261 §9.2).
    mutating func learnForeignCancel(
        _ did: DialogID, _ spiral: SpiralPass, _ plan: RequestPlan, dialogs: inout DialogTable
    ) {
        guard let record = dialogs.record(did), record.state != .deleted else { return }
        let own = record.pendings.first { $0.leg == plan.leg && $0.cseq == plan.cSeq.number && $0.pass == spiral }
        guard let own else { return }
        let isInitial = own.cseq == record.inviteCSeq && plan.leg == .caller && spiral.isFirst
        let reason = reasonLines()
        facts.begin()
        if isInitial { facts.raise(.cancelled) }
        writeCancelled(own, progress: isInitial ? [] : .cancelled, reason: reason)
        learn(did, dialogs: &dialogs)
    }
}
