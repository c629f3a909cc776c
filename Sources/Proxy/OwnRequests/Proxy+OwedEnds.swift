// An end that is owed (R15). A set-up has an heir when its owner is taken for dead. An owner that was only cut off may
// have sent the 2xx on meanwhile: two phones talk, and the record comes back to a tombstone that says that the call has
// failed. Nobody has told the phones; who had the answer in its record does, as the tombstone is joined. So does a node
// that ends a set-up itself whose callee has answered, as its record says: behind a server the 2xx has passed a later
// pass of the INVITE, and the first one by way of a node that had no record.
//
// Several nodes may have had it. They pay by rank: who ranks first at once, each further one a stagger later, unless
// the record says that it is being paid; who ranks before it may never have had the answer. Where two pay, their BYEs
// are one transaction (S1-9), and a phone that has ended answers 481. A node without quorum ends nothing, this neither:
// it pays when it is fit again.
//
//   owed ──rank × stagger, and fit──▶ BYEs to both sides, and the fact `phones_told`
//     └──somebody has paid, or `LastRecords.span` is over──▶ forgotten
//
// Limits: those of `LastRecords`.

package import Dialogs
package import Primitives

extension Proxy {
    /// - Parameter record: The dialog as it stood here before the tombstone came.
    package mutating func payEnd(_ did: DialogID, _ record: Record, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        owedEnds.keep(did, record, now: now)
        payOwedEnds(dialogs: &dialogs)
    }

    /// The dialog is about to end as one that was never made. Where its record has a callee that answered the end is
    /// owed; `payOwedEnds` follows when it has been written.
    mutating func oweIfAnswered(_ did: DialogID, dialogs: DialogTable) {
        let isAnswered =
            dialogs.view(did) { view, stored in
                view.outCount > 0 && Self.hasAnsweredOut(view, stored)
            } ?? false
        guard isAnswered, let record = dialogs.record(did) else { return }
        owedEnds.keep(did, record, now: now)
    }

    private static func hasAnsweredOut(_ view: RecordView, _ stored: [UInt8]) -> Bool {
        var isAnswered = false
        view.forEachOut(in: stored) { out in
            isAnswered = isAnswered || out.state == .confirmedNotAcknowledged || out.state == .confirmed
        }
        return isAnswered
    }

    /// Pays what is due: time has passed, or this node may be fit again.
    mutating func payOwedEnds(dialogs: inout DialogTable) {
        guard !owedEnds.entries.isEmpty, neighbours.isFit else { return }
        var next = Instant.distantFuture
        for (did, record, since) in owedEnds.current(now: now) {
            guard let rank = neighbours.rank(did, home: record.home?.name) else { continue }
            let due = since.advanced(by: settings.stagger * min(rank, Ranking.waitLimit))
            if dialogs.flags(did)?.contains(.phonesTold) == true {
                owedEnds.forget(did)
            } else if now < due {
                next = min(next, due)
            } else {
                owedEnds.forget(did)
                pay(did, record, dialogs: &dialogs)
            }
        }
        wheel.cancel(owedEndsTimer)
        owedEndsTimer = .none
        guard next < .distantFuture else { return }
        let token = TimerToken(context: SlotID(index: 0, generation: 0), machine: .debt)
        owedEndsTimer = wheel.schedule(token.rawValue, at: next)
    }

    private mutating func pay(_ did: DialogID, _ record: Record, dialogs: inout DialogTable) {
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
        // Where there is no room, that is counted.
        guard !byes.isEmpty, sendByes(byes, did: did, for: .interruption, dialogs: &dialogs) else { return }
        facts.begin()
        facts.raise(.phonesTold)
        learn(did, dialogs: &dialogs)
    }
}
