// RecordLedger knows which records the storage has not got as they stand. It holds numbers and never a copy: a record
// is read when it is handed out, so one that changes a hundred times while the storage is away is written once, and a
// storage that stays away needs no memory but a number for each record that there is.
//
//   changed ──mark──▶ queue ──take──▶ handed out ──written──▶ (nothing)
//                       ▲                 └── failed ──┐
//                       └──────────────────────────────┘  before all others
//
// `rows` is what the storage has, as far as this process has written or read it: a record that never got there, a call
// that failed, needs no row to be deleted, and leaves the queue with its record.
//
// Invariants: a number is in `since` exactly when it waits; it stands in `queue` for that, and what else stands there
// is skipped; the head of the queue waits. One batch is out at a time.
// Limit: as many numbers as records and rows, by `dialogs.limit`; the queue holds no more than twice of them.

package import Dialogs
package import Primitives

package struct RecordLedger: Sendable {
    /// Records of one batch: some hundred kilobytes, milliseconds of the disk.
    package static let batch = 256
    /// Below so many numbers the queue is not tidied.
    private static let slack = 1_024

    private struct Waiting: Sendable {
        var did: DialogID
        var since: Instant
    }

    private var since: [DialogID: Instant] = [:]
    private var queue: [DialogID] = []
    private var head = 0
    package private(set) var rows: Set<DialogID> = []
    private var handedOut: [Waiting] = []
    private var removed: [DialogID] = []
    /// The number of the batch that is out; 0 while none is.
    package private(set) var outstanding: UInt64 = 0
    private var lastNumber: UInt64 = 0

    package init() {}

    /// Records that are not stored as they stand, those handed out among them.
    package var count: Int { since.count + handedOut.count }
    /// Of these, the ones that wait.
    package var waiting: Int { since.count }
    package var isOut: Bool { outstanding != 0 }

    /// Places of the queue, those that are skipped among them: never many more than what waits.
    package var placeCount: Int { queue.count }

    /// Since when the longest waits that is not handed out; `nil` when none does.
    package var oldest: Instant? { head < queue.count ? since[queue[head]] : nil }

    /// The same, with what is handed out.
    package var oldestUnwritten: Instant? {
        let out = handedOut.map(\.since).min()
        guard let oldest else { return out }
        return min(oldest, out ?? oldest)
    }

    /// A record has changed.
    package mutating func mark(_ did: DialogID, now: Instant) {
        guard since[did] == nil else { return }
        since[did] = now
        queue.append(did)
        if queue.count > 2 * since.count + Self.slack { tidy() }
    }

    /// A record is no more, or is as it was read.
    package mutating func unmark(_ did: DialogID) {
        since[did] = nil
        skip()
    }

    /// A record is no more: its row has to go, if it has one.
    package mutating func forget(_ did: DialogID, now: Instant) {
        if rows.contains(did) { mark(did, now: now) } else { unmark(did) }
    }

    /// The storage has this row.
    package mutating func know(_ did: DialogID) { rows.insert(did) }

    /// Those that have waited longest, which wait no more: for `handOut`, or for nothing.
    package mutating func take(_ limit: Int = Self.batch) -> [(did: DialogID, since: Instant)] {
        var taken: [(did: DialogID, since: Instant)] = []
        while head < queue.count, taken.count < limit {
            let did = queue[head]
            head += 1
            if let moment = since.removeValue(forKey: did) { taken.append((did, moment)) }
        }
        skip()
        return taken
    }

    private mutating func skip() {
        while head < queue.count, since[queue[head]] == nil { head += 1 }
        guard head == queue.count else { return }
        queue.removeAll(keepingCapacity: true)
        head = 0
    }

    /// - Returns: The number of the batch, which `written` or `failed` is called with.
    package mutating func handOut(
        stored: [(did: DialogID, since: Instant)], removed gone: [(did: DialogID, since: Instant)]
    )
        -> UInt64
    {
        precondition(outstanding == 0, "one batch at a time: \(outstanding) is out")
        handedOut = (stored + gone).map { Waiting(did: $0.did, since: $0.since) }
        removed = gone.map(\.did)
        // Whether it gets there is not certain until then, and neither is that it does not.
        for (did, _) in stored { rows.insert(did) }
        lastNumber += 1
        outstanding = lastNumber
        return lastNumber
    }

    /// - Returns: Whether it is the batch that was out.
    package mutating func written(_ number: UInt64) -> Bool {
        guard number == outstanding, isOut else { return false }
        for did in removed { rows.remove(did) }
        handedOut = []
        removed = []
        outstanding = 0
        return true
    }

    /// What was handed out waits again, before the others and for as long as before.
    package mutating func failed(_ number: UInt64) -> Bool {
        guard number == outstanding, isOut else { return false }
        var back: [DialogID] = []
        for entry in handedOut {
            // It has changed meanwhile: its place behind is skipped when it comes up.
            since[entry.did] = entry.since
            back.append(entry.did)
        }
        queue.replaceSubrange(0..<head, with: back)
        head = 0
        handedOut = []
        removed = []
        outstanding = 0
        if queue.count > 2 * since.count + Self.slack { tidy() }
        return true
    }

    /// Leaves each number that waits at its first place.
    private mutating func tidy() {
        var seen: Set<DialogID> = []
        var kept: [DialogID] = []
        for did in queue[head...] where since[did] != nil && seen.insert(did).inserted { kept.append(did) }
        queue = kept
        head = 0
    }
}
