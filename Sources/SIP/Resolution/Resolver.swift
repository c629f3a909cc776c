// Resolver finds where a request for a host name is sent (RFC 3263), without ever waiting: a resolution either ends at
// once, from the cache, or leaves questions for the shell and goes on with their answers.
//
//   resolve ──everything cached──▶ resolved
//      └──▶ waiting ──each question asked once for all who want it──▶ answers ──▶ ResolutionSteps ──▶ more, or resolved
//                                     └── no answer in `timeout` ──▶ failed ─────────┘
//
// Parts: `ResolutionSteps` decides what follows from what is known, `AnswerCache` keeps answers, this machine knows who
// waits for what. A resolution keeps the answers that it has seen, so it asks each question at most once, whatever the
// cache drops in between; it ends after three rounds of questions.
//
// Invariants: each `resolve` ends in exactly one `resolved` with its token; each question under way has at least one
// waiting resolution and a deadline; the shell is asked a question again only after it was answered or has failed.
// Limits: `ResolverSettings`. At `waitingLimit` a resolution ends at once without endpoints; at `questionLimit` a
// question counts as failed for whoever wanted it. Both are counted.
// Not attempted: starting with the first servers while addresses of later ones are still being asked for; `/etc/hosts`;
// DNSSEC (the shell's servers are believed); SRV for `cluster.dns`.

package import Primitives

/// What a resolution came to.
package struct Resolution: Equatable, Sendable {
    package var token: UInt64
    /// In the order in which they are to be tried; empty when there is none.
    package var endpoints: [Endpoint]
    /// Some question on the way has no answer: there may be more endpoints, or different ones.
    package var hasFailed: Bool
    /// When the first of the answers used ends.
    package var until: Instant

    package init(token: UInt64, endpoints: [Endpoint], hasFailed: Bool, until: Instant) {
        self.token = token
        self.endpoints = endpoints
        self.hasFailed = hasFailed
        self.until = until
    }
}

package enum ResolverAction: Equatable, Sendable {
    /// Ask the servers; exactly one `receive(_:to:)` is expected.
    case ask(DNSQuestion)
    case resolved(Resolution)
}

package struct Resolver: Sendable {
    private let passing = ByAddress()
    private struct Waiting: Sendable {
        var token: UInt64
        var goal: ResolutionGoal
        var known: [KnownAnswer] = []
        /// Questions under way for it.
        var missing = 0
    }

    private struct UnderWay: Sendable {
        var question: DNSQuestion
        var deadline: Instant
        var waiters: [SlotID]
    }

    private let settings: ResolverSettings
    private var tally = ResolverCounters()
    private var cache: AnswerCache
    private var waiting: Slab<Waiting>
    private var questions: Slab<UnderWay>
    private var slots: [DNSQuestion: SlotID] = [:]
    /// Questions in order of their deadlines.
    private var order = RecencyList()
    private var random: SplitMix

    /// - Parameter random: Shares load among servers of one priority.
    package init(_ settings: ResolverSettings, random: SplitMix) {
        self.settings = settings
        self.random = random
        cache = AnswerCache(limit: settings.cacheLimit)
        waiting = Slab(limit: settings.waitingLimit)
        questions = Slab(limit: settings.questionLimit)
    }

    package var counters: ResolverCounters {
        var counters = tally
        counters.evicted = cache.evicted
        return counters
    }

    package var questionCount: Int { questions.count }
    package var waitingCount: Int { waiting.count }
    package var cachedCount: Int { cache.count }

    // MARK: Events

    /// Begins a resolution; it may end in the same call.
    package mutating func resolve(
        _ target: ResolutionTarget, token: UInt64, now: Instant, into actions: inout [ResolverAction]
    ) {
        begin(.target(target), token: token, now: now, into: &actions)
    }

    /// Looks the addresses of a host up, without NAPTR and SRV: for the cluster's own peers.
    package mutating func resolve(
        host: [UInt8], port: UInt16, transport: TransportProtocol, families: [AddressFamily], token: UInt64,
        now: Instant, into actions: inout [ResolverAction]
    ) {
        begin(.host(host, port: port, transport, families), token: token, now: now, into: &actions)
    }

    /// Takes what the servers said.
    package mutating func receive(
        _ answer: DNSAnswer, to question: DNSQuestion, now: Instant, into actions: inout [ResolverAction]
    ) {
        let answer = answer.fits(question.type) ? answer : .failed(.otherType)
        guard let slot = slots[question] else {
            tally.late += 1
            // Too late for who asked, yet news for the next; but no failure replaces anything.
            if case .failed = answer { return }
            _ = cache.store(answer, to: question, now: now)
            return
        }
        end(slot, with: answer, now: now, into: &actions)
    }

    /// Gives up the questions whose time is over.
    package mutating func advance(to now: Instant, into actions: inout [ResolverAction]) {
        while let slot = oldestQuestion, let question = questions[slot], question.deadline <= now {
            end(slot, with: .failed(.timedOut), now: now, into: &actions)
        }
    }

    package var nextDeadline: Instant {
        guard let slot = oldestQuestion else { return .distantFuture }
        return questions.read(slot) { $0.deadline } ?? .distantFuture
    }

    private var oldestQuestion: SlotID? { order.oldest.flatMap { questions.id(at: $0) } }

    // MARK: Resolutions

    private mutating func begin(
        _ goal: ResolutionGoal, token: UInt64, now: Instant, into actions: inout [ResolverAction]
    ) {
        tally.resolutions += 1
        proceed(Waiting(token: token, goal: goal), at: nil, now: now, into: &actions)
    }

    /// Goes as far as what is known allows: to the end, or to questions under way.
    private mutating func proceed(
        _ resolution: Waiting, at place: SlotID?, now: Instant, into actions: inout [ResolverAction]
    ) {
        var resolution = resolution
        while true {
            let step = ResolutionSteps.next(
                resolution.goal, known: resolution.known, settings: settings, using: &random)
            switch step {
            case .done(let endpoints, let hasFailed, let until):
                if let place { waiting.remove(place) }
                finish(resolution.token, endpoints, hasFailed: hasFailed, until: until, into: &actions)
                return
            case .wants(let wanted):
                let missing = wanted.filter { question in
                    guard let known = lookUp(question, now: now) else { return true }
                    resolution.known.append(known)
                    return false
                }
                if missing.isEmpty { continue }
                guard let slot = place ?? waiting.insert(resolution) else {
                    tally.resolutionsRefused += 1
                    finish(resolution.token, [], hasFailed: true, until: now, into: &actions)
                    return
                }
                for question in missing {
                    if ask(question, for: slot, now: now, into: &actions) {
                        resolution.missing += 1
                    } else {
                        resolution.known.append(refuse(question, now: now))
                    }
                }
                if resolution.missing > 0 {
                    _ = waiting.update(slot) { $0 = resolution }
                    return
                }
                // None could be asked; with what stands in for them there is an end.
                return proceed(resolution, at: slot, now: now, into: &actions)
            }
        }
    }

    private mutating func finish(
        _ token: UInt64, _ endpoints: [Endpoint], hasFailed: Bool, until: Instant,
        into actions: inout [ResolverAction]
    ) {
        if endpoints.isEmpty { tally.empty += 1 }
        let end = Resolution(token: token, endpoints: endpoints, hasFailed: hasFailed, until: until)
        actions.append(.resolved(end))
    }

    private mutating func lookUp(_ question: DNSQuestion, now: Instant) -> KnownAnswer? {
        guard let (known, isStale) = cache.find(question, now: now) else {
            tally.misses += 1
            return nil
        }
        if isStale { tally.stale += 1 } else { tally.hits += 1 }
        return known
    }

    // MARK: Questions

    /// - Returns: Whether an answer will come.
    private mutating func ask(
        _ question: DNSQuestion, for waiter: SlotID, now: Instant, into actions: inout [ResolverAction]
    ) -> Bool {
        if let slot = slots[question] {
            tally.coalesced += 1
            _ = questions.update(slot) { $0.waiters.append(waiter) }
            return true
        }
        let deadline = now.advanced(by: settings.timeout)
        guard let slot = questions.insert(UnderWay(question: question, deadline: deadline, waiters: [waiter])) else {
            return false
        }
        slots[question] = slot
        order.append(slot.index)
        tally.asked += 1
        actions.append(.ask(question))
        return true
    }

    /// A question that there is no room for fails for who wanted it, and only for them.
    private mutating func refuse(_ question: DNSQuestion, now: Instant) -> KnownAnswer {
        tally.questionsRefused += 1
        return KnownAnswer(question: question, answer: .failed(.busy), until: now)
    }

    private mutating func end(
        _ slot: SlotID, with answer: DNSAnswer, now: Instant, into actions: inout [ResolverAction]
    ) {
        guard let ended = questions.remove(slot) else { return }
        slots[ended.question] = nil
        order.remove(slot.index)
        count(answer)
        let (known, isStale) = cache.store(answer, to: ended.question, now: now)
        if isStale { tally.stale += UInt64(ended.waiters.count) }
        for waiter in ended.waiters {
            let missing = waiting.update(waiter) { resolution in
                resolution.known.append(known)
                resolution.missing -= 1
                return resolution.missing
            }
            guard missing == 0, let resolution = waiting[waiter] else { continue }
            proceed(resolution, at: waiter, now: now, into: &actions)
        }
    }

    private mutating func count(_ answer: DNSAnswer) {
        guard case .failed(let failure) = answer else { return }
        tally.failures += 1
        switch failure {
        case .timedOut: tally.timeouts += 1
        case .malformed, .otherType: tally.malformed += 1
        case .unreachable, .busy, .refused, .library: break
        }
    }
}
