// An end that is owed (R15). A set-up has an heir when its owner is taken for dead. An owner that was only cut off may
// have sent the 2xx on meanwhile: two phones talk, and the record comes back to a tombstone that says that the call has
// failed. Nobody has told the phones; whoever had the answer in its record does, as the tombstone is joined.
//
// Several nodes may have had it: their BYEs are one transaction (S1-9), and a phone that has ended answers 481. A node
// without quorum ends nothing, this neither: it pays when it is fit again.
//
// Limits: those of `LastRecords`, for debts of a node that is not fit.

package import Dialogs
package import Primitives

extension Proxy {
    /// - Parameter record: The dialog as it stood here before the tombstone came.
    package mutating func payEnd(_ did: DialogID, _ record: Record, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard neighbours.isFit else { return owedEnds.keep(did, record, now: now) }
        guard !isEnding(did) else { return }
        var byes: [EndingRequest] = []
        var unreachable: UInt64 = 0
        for out in record.outs where out.state == .confirmedNotAcknowledged || out.state == .confirmed {
            for leg in [Leg.caller, .callee] {
                if let request = bye(did, record, out, to: leg, because: .interrupted) {
                    byes.append(request)
                } else {
                    unreachable += 1
                }
            }
        }
        if unreachable > 0 {
            if counters.legsUnreachable == 0 { effects.items.append(.note(.legUnreachable(callID: record.callID))) }
            counters.legsUnreachable += unreachable
        }
        guard !byes.isEmpty else { return }
        _ = sendByes(byes, did: did, for: .interruption, dialogs: &dialogs)  // Counted.
    }

    /// This node may be fit again.
    mutating func payOwedEnds(dialogs: inout DialogTable) {
        guard !owedEnds.entries.isEmpty, neighbours.isFit else { return }
        let due = owedEnds.current(now: now)
        owedEnds.forget()
        for (did, record) in due { payEnd(did, record, now: now, dialogs: &dialogs) }
    }
}
