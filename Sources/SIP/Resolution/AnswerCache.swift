// AnswerCache keeps answers for as long as they hold, and a while longer for when the servers fall silent.
//
//   absent ──answer──▶ fresh ──time to live──▶ expired ──an hour──▶ of no use; goes when room is needed
//                        ▲                        │ asked again
//                        └──────── answer ────────┤
//                                                 └─ no answer ─▶ served stale for 5 s, then asked again (RFC 8767)
//
// Times to live are held within `ttlRange`: a 0 would ask once a call, and a day is as long as a wrong record should
// last. "There are none" is kept by the zone's SOA, or `negativeTTL` without one; a failure without anything older to
// serve is kept `retryAfter`, so that a dead server is asked once in that time and not once a call.
//
// Limit: `limit` entries; the least recently used one goes, and is counted.

internal import Primitives

/// What is known of a question.
struct KnownAnswer: Sendable {
    var question: DNSQuestion
    var answer: DNSAnswer
    /// It holds so long.
    var until: Instant
}

struct AnswerCache: Sendable {
    private struct Entry: Sendable {
        var known: KnownAnswer
        /// Served although expired until then: the servers were asked in vain.
        var servedUntil: Instant
    }

    static let ttlRange: ClosedRange<UInt32> = 1...86_400
    static let negativeTTL: UInt32 = 5
    /// For how long after a failed question nobody asks again.
    static let retryAfter: Duration = .seconds(5)
    /// For how long after its end an answer may stand in for one that the servers do not give.
    static let staleLimit: Duration = .seconds(3_600)

    private var entries: Slab<Entry>
    private var slots: [DNSQuestion: SlotID] = [:]
    private var order = RecencyList()
    private(set) var evicted: UInt64 = 0

    init(limit: Int) { entries = Slab(limit: max(1, limit)) }

    var count: Int { entries.count }

    /// What holds now; `isStale` when only for want of something newer.
    mutating func find(_ question: DNSQuestion, now: Instant) -> (known: KnownAnswer, isStale: Bool)? {
        guard let slot = slots[question], let entry = entries[slot] else { return nil }
        if now < entry.known.until {
            order.touch(slot.index)
            return (entry.known, false)
        }
        guard now < entry.servedUntil else { return nil }
        order.touch(slot.index)
        return (stale(entry), true)
    }

    /// Takes an answer in.
    /// - Returns: What the question's askers get: this answer, or an older one when this is a failure.
    mutating func store(
        _ answer: DNSAnswer, to question: DNSQuestion, now: Instant
    ) -> (known: KnownAnswer, isStale: Bool) {
        let seconds: UInt32
        switch answer {
        case .addresses(_, let ttl), .services(_, let ttl), .pointers(_, let ttl): seconds = ttl
        case .none(let ttl): seconds = ttl ?? Self.negativeTTL
        case .failed: return storeFailure(answer, to: question, now: now)
        }
        let held = min(max(seconds, Self.ttlRange.lowerBound), Self.ttlRange.upperBound)
        let known = KnownAnswer(
            question: question, answer: answer, until: now.advanced(milliseconds: Int64(held) * 1_000))
        put(Entry(known: known, servedUntil: .zero))
        return (known, false)
    }

    private mutating func storeFailure(
        _ answer: DNSAnswer, to question: DNSQuestion, now: Instant
    ) -> (known: KnownAnswer, isStale: Bool) {
        let retryAt = now.advanced(by: Self.retryAfter)
        if let slot = slots[question], var entry = entries[slot], Self.canStandIn(entry.known.answer) {
            let end = entry.known.until.advanced(by: Self.staleLimit)
            if now < end {
                entry.servedUntil = min(retryAt, end)
                put(entry)
                return (stale(entry), now >= entry.known.until)
            }
        }
        let known = KnownAnswer(question: question, answer: answer, until: retryAt)
        put(Entry(known: known, servedUntil: .zero))
        return (known, false)
    }

    /// An answer that stands in holds until the servers are asked again.
    private func stale(_ entry: Entry) -> KnownAnswer {
        var known = entry.known
        known.until = max(entry.known.until, entry.servedUntil)
        return known
    }

    private static func canStandIn(_ answer: DNSAnswer) -> Bool {
        switch answer {
        case .addresses, .services, .pointers: true
        case .none, .failed: false
        }
    }

    private mutating func put(_ entry: Entry) {
        if let slot = slots[entry.known.question] {
            _ = entries.update(slot) { $0 = entry }
            order.touch(slot.index)
            return
        }
        if entries.count == entries.limit, let index = order.oldest, let slot = entries.id(at: index) {
            order.remove(index)
            if let gone = entries.remove(slot) { slots[gone.known.question] = nil }
            evicted += 1
        }
        guard let slot = entries.insert(entry) else { return }
        slots[entry.known.question] = slot
        order.append(slot.index)
    }
}
