// Two owners of one call. Copies of an INVITE that reach two nodes within the replication lag are sent on by both (left
// by nature, S1-2), in one record, where each has pendings of its own. The callee takes the one and refuses the other
// as merged (482, RFC 3261 §8.2.2.2), or says nothing to it. Neither says anything of the call: who hears no more than
// that leaves it to the other, and answers as the record says, by the Vias that both have in common.
//
//   forwarded ──482 or silence, and another's branch is open──▶ adopted ──no other's is open any more──▶ forwarded:
//                                                                                                the best of its own
//
// So the end of the one is no end of the call, which would be written into a record that the other confirms (R15).

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// All branches of this INVITE have ended, and this is the best that they said.
    /// - Returns: Whether another owner goes on with the call.
    mutating func leavesToOther(_ context: inout ResponseContext, status: Int, dialogs: inout DialogTable) -> Bool {
        guard status == 482 || status == 408, context.kind == .forwarded, context.method == .invite, context.isInitial,
            !context.cancelled, context.lastStatus < 200, let did = context.did, dialogs.isPending(did),
            let record = dialogs.record(did), isOpenElsewhere(context, record)
        else { return false }
        counters.adopted += 1
        facts.begin()
        for index in context.branches.indices {
            pendingFact(context, index) { $0.mark(.final) }
        }
        learn(did, dialogs: &dialogs)
        context.role = .adopted
        context.isLeftToOther = true
        adoptedCount += 1
        reviewsDue.append(did)
        return true
    }

    /// A branch of the same INVITE, by another node, has had no final answer.
    private func isOpenElsewhere(_ context: ResponseContext, _ record: Record) -> Bool {
        guard let state = record.state, state < .confirmed else { return false }
        return record.pendings.contains { pending in
            pending.leg == context.leg && pending.cseq == context.cSeq && pending.pass == context.pass
                && !pending.progress.contains(.final)
                && token(of: pending).map { !settings.isOwn($0.member) } ?? false
        }
    }

    /// The other owner's branches have ended without a 2xx, and it has not ended the call: it has left it to this one,
    /// or has died.
    /// - Returns: Whether the INVITE has been answered by what its own branches said.
    mutating func takesBack(
        _ context: inout ResponseContext, _ id: SlotID, _ record: Record, dialogs: inout DialogTable
    ) -> Bool {
        guard context.isLeftToOther, let state = record.state, state < .confirmedNotAcknowledged,
            !isOpenElsewhere(context, record)
        else { return false }
        context.isLeftToOther = false
        context.role = .forwarded
        adoptedCount -= 1
        chooseBest(&context, id, dialogs: &dialogs)
        return true
    }
}
