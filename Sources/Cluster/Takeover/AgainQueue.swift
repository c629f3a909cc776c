// AgainQueue says which questions are to be asked again, and when: each after its interval, first come, first served,
// at most `turnLimit` in one turn, so that twenty thousand at once do not make one burst.
//
// A question that has ended, or has been replaced by another about the same dialog, stays in the queue until its
// moment: its number tells it from the one that is open then.

internal import Primitives

struct AgainQueue: Sendable {
    private var entries = HeadQueue<(at: Instant, did: UInt64, number: UInt64)>()

    static let turnLimit = 256

    var next: Instant? { entries.first?.at }

    mutating func append(_ did: UInt64, _ number: UInt64, at moment: Instant) {
        entries.append((at: moment, did: did, number: number))
    }

    /// The dialogs whose questions are due; each is due again after the interval.
    mutating func due(_ now: Instant, again interval: Duration, isOpen: (UInt64, UInt64) -> Bool) -> [UInt64] {
        var dids: [UInt64] = []
        while dids.count < Self.turnLimit, let entry = entries.popFirst(where: { $0.at <= now }) {
            guard isOpen(entry.did, entry.number) else { continue }
            dids.append(entry.did)
            append(entry.did, entry.number, at: now.advanced(by: interval))
        }
        return dids
    }
}
