// QuestionTable keeps what an heir has asked its peers about dialogs, until each of them has answered.
//
//   open ──all that are heard have answered──▶ over
//     │ ▲  └──`requestTimeout`: what nobody says by then nobody will──▶ over, counted
//     └─┘ every `askInterval`: asked again, those included that were heard since
//
// Invariant: a question ends exactly once. Asked again as `AgainQueue` says. Limit: `askLimit` of the settings; one
// more ends at once, counted.

internal import Primitives

struct QuestionTable: Sendable {
    struct Open: Sendable {
        var number: UInt64
        var since: Instant
        var answered: [MemberID] = []
    }

    private var open: [UInt64: Open] = [:]
    private var queue = AgainQueue()
    private var lastNumber: UInt64 = 0
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { open.count }
    var isFull: Bool { open.count >= limit }
    var nextDeadline: Instant? { queue.next }

    subscript(did: UInt64) -> Open? { open[did] }

    /// Opens a question, in place of an earlier one about the same dialog: what was answered to that one is old.
    mutating func ask(_ did: UInt64, now: Instant, again: Instant) -> UInt64 {
        lastNumber += 1
        open[did] = Open(number: lastNumber, since: now)
        queue.append(did, lastNumber, at: again)
        return lastNumber
    }

    /// - Returns: `false` when it is another question by now, or none.
    mutating func answer(_ did: UInt64, _ number: UInt64, by member: MemberID) -> Bool {
        guard let question = open[did], question.number == number else { return false }
        if !question.answered.contains(member) { open[did]?.answered.append(member) }
        return true
    }

    mutating func close(_ did: UInt64) { open[did] = nil }

    /// The dialogs whose questions are to be looked at now: asked again, or over.
    mutating func due(_ now: Instant, interval: Duration) -> [UInt64] {
        queue.due(now, again: interval) { open[$0]?.number == $1 }
    }
}
