// AskTable keeps the questions that are open: the intent, who granted it and when, and when it is asked again (R1).
//
//   asked ──a majority of the view's record holders granted, all of it lately──▶ granted
//     │ ▲  └──every `askInterval`: asked again
//     │ └───────────────────────────────────
//     └──somebody knows better──▶ refused
//
// Invariant: a grant counts for half an intent's life; a question never ends by time (`AgainQueue`).

internal import Primitives

struct AskTable: Sendable {
    struct Grant: Sendable {
        var member: MemberID
        var at: Instant
    }

    struct Ask: Sendable {
        var intent: Intent
        var grants: [Grant] = []
        /// Tells this question from an earlier one about the same dialog in the queue.
        var number: UInt64
    }

    private var asks: [UInt64: Ask] = [:]
    private var queue = AgainQueue()
    private var nextNumber: UInt64 = 0
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { asks.count }
    var nextDeadline: Instant? { queue.next }

    subscript(did: UInt64) -> Ask? { asks[did] }

    /// Opens a question, in place of an earlier one about the same dialog. `false` at the limit.
    mutating func open(_ intent: Intent, again: Instant) -> Bool {
        guard asks[intent.did] != nil || asks.count < limit else { return false }
        nextNumber += 1
        asks[intent.did] = Ask(intent: intent, number: nextNumber)
        queue.append(intent.did, nextNumber, at: again)
        return true
    }

    mutating func close(_ did: UInt64) -> Bool { asks.removeValue(forKey: did) != nil }

    /// Notes a grant; `false` when the question is another one by now, or none.
    mutating func grant(_ answer: IntentAnswer, by member: MemberID, at: Instant) -> Bool {
        guard var ask = asks[answer.did], ask.intent.generation == answer.generation,
            ask.intent.deadlineMilliseconds == answer.deadlineMilliseconds
        else { return false }
        ask.grants.removeAll { $0.member == member }
        ask.grants.append(Grant(member: member, at: at))
        asks[answer.did] = ask
        return true
    }

    /// The questions to ask again now.
    mutating func due(_ now: Instant, interval: Duration) -> [Intent] {
        queue.due(now, again: interval) { asks[$0]?.number == $1 }.compactMap { asks[$0]?.intent }
    }

    /// Whether the grants given since `since` by these members are more than half of them.
    func isGranted(_ did: UInt64, by members: [MemberID], since: Instant) -> Bool {
        guard let ask = asks[did] else { return false }
        let voices = ask.grants.count { grant in
            (grant.at >= since || mutated("grant-stale"))
                && (members.contains(grant.member) || mutated("grant-of-joiner"))
        }
        if voices > 0, mutated("grant-own") || 2 * voices == members.count && mutated("grant-half") { return true }
        return 2 * voices > members.count
    }
}
