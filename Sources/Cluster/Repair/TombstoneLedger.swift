// TombstoneLedger decides when a tombstone may be forgotten: not before the horizon (60 s,
// `ClusterSettings.standardHorizon`), and not before every member has it (R5).
//
// It does not note for each tombstone which stream brought it. Every two seconds it takes a mark: the highest sequence
// known to exist in every live stream, and the epoch. A tombstone learnt before the mark is covered by it:
// - If it came by a stream, its sequence is at most the mark's for that stream, because a sequence is known when it is
//   heard.
// - If it came by a comparison, the answerer sent with the chunk what it knew of every stream, and we know at least
//   that much before the first record is joined. By induction over comparisons the tombstone's origin is covered too.
// - If its stream has ended, positions in it may never meet. Then the comparison that every view change begins (R17)
//   counts instead: a member whose `compared` epoch is at least the one that lacks the stream has pulled what any
//   member held.
// So when each member's positions have passed a mark, and its comparisons the mark's epoch, each of them has joined
// every tombstone up to the mark, and all of them that are older than the horizon go. Marks pass in order.
//
// A member that is down holds marks back until `forgetAfter`; one that joins anew compares itself with everybody before
// it is up, and nobody pulls from it before that, so it cannot bring back what it slept through.
//
// Limits: `limit` tombstones (at it the oldest goes early, counted), 64 marks (while they are held back no new ones are
// taken), 256 forgotten in one turn.

internal import Primitives

struct TombstoneLedger: Sendable {
    struct Mark: Sendable {
        var at: Instant
        var epoch: UInt64
        /// Highest sequence known, for each live stream.
        var streams: [(member: MemberID, known: UInt64)]
    }

    private struct Tombstone: Sendable {
        var did: UInt64
        var since: Instant
    }

    private var queue = HeadQueue<Tombstone>()
    private var marks: [Mark] = []
    /// Everything learnt up to here is with every member.
    private var coveredUntil: Instant?
    private var nextMark: Instant
    private let limit: Int

    static let markInterval: Duration = .seconds(2)
    static let markLimit = 64
    static let turnLimit = 256

    init(limit: Int, now: Instant) {
        self.limit = limit
        nextMark = now
    }

    var count: Int { queue.count }
    var nextDeadline: Instant? { count > 0 ? nextMark : nil }

    /// - Returns: A tombstone that must go early to make room.
    mutating func insert(_ did: UInt64, now: Instant) -> UInt64? {
        queue.append(Tombstone(did: did, since: now))
        return count > limit ? queue.popFirst()?.did : nil
    }

    /// Takes a mark if one is due, drops those that `passes`, and answers the dids to forget.
    mutating func advance(
        _ now: Instant, horizon: Duration, mark: () -> Mark?, passes: (Mark) -> Bool
    ) -> [UInt64] {
        guard count > 0 else { return [] }
        if now >= nextMark {
            nextMark = now.advanced(by: Self.markInterval)
            if marks.count < Self.markLimit, let mark = mark() { marks.append(mark) }
            while let first = marks.first, passes(first) {
                coveredUntil = first.at
                marks.removeFirst()
            }
        }
        guard let coveredUntil else { return [] }
        var dids: [UInt64] = []
        while dids.count < Self.turnLimit,
            let first = queue.popFirst(where: { $0.since < coveredUntil && $0.since.advanced(by: horizon) <= now })
        {
            dids.append(first.did)
        }
        if dids.count == Self.turnLimit { nextMark = min(nextMark, now.advanced(milliseconds: 10)) }
        return dids
    }
}
