// How long a call lives after each 2xx, where phones agree on session timers and give them up again: what a 2xx to
// INVITE or UPDATE says counts from the moment that a node had it; one that says nothing gives back the ordinary
// lifetime (RFC 4028 §8.2). So a deadline may come nearer, and what has been believed of a later one is void.

internal import SIP

extension Plan {
    /// What a record may be told to live, at the most.
    var longestLifetime: Nanoseconds {
        calls.map { longest($0) }.max() ?? lifetime
    }

    func longest(_ call: CallPlan) -> Nanoseconds {
        let asked = call.habits.session?.seconds.max().map { Nanoseconds.seconds(Int64($0)) } ?? 0
        return max(lifetime, asked, .seconds(Int64(sessionSeconds)))
    }

    func shortest(_ call: CallPlan) -> Nanoseconds {
        let asked = call.habits.session?.seconds.min().map { Nanoseconds.seconds(Int64($0)) } ?? lifetime
        return min(lifetime, asked, sessionSeconds > 0 ? .seconds(Int64(sessionSeconds)) : lifetime)
    }

    var hasTimers: Bool { sessionSeconds > 0 || calls.contains { $0.habits.session != nil } }
}

extension CallTruth {
    func longest(_ plan: Plan) -> Nanoseconds { plan.hasTimers ? plan.longest(self.plan) : plan.lifetime }

    /// From the moment at which a node had this 2xx.
    func lifetime(saying answer: [UInt8], _ plan: Plan) -> Nanoseconds {
        guard plan.hasTimers, let value = answer.header("Session-Expires"),
            let seconds = Int64(value.prefix { $0.isNumber })
        else { return plan.lifetime }
        return .seconds(seconds)
    }

    /// A 2xx has reached a node: as it stands or, where the caller has timers and the callee has not, as the node
    /// completes it.
    func mayShorten(_ answer: [UInt8], _ world: World) {
        guard world.plan.hasTimers else { return }
        let isSilent = answer.header("Session-Expires") == nil
        let least = isSilent ? world.plan.shortest(plan) : lifetime(saying: answer, world.plan)
        // Another 2xx may be on its way to its phone, and count as committed when it comes: this one was later.
        let promised = answers.dropLast().map { $0.reachedAt + ($0.leftAt == nil ? longest(world.plan) : $0.lifetime) }
        guard world.now + least < max(committedDeadline, promised.max() ?? 0) else { return }
        committedDeadline = min(committedDeadline, world.now + least)
        shortenedAt = world.now
        world.log("may end from \(committedDeadline.inMilliseconds) on", call: index)
    }
}

extension World {
    /// The last 2xx has come to the phone that asked, and nothing else is under way: no node has reason to keep the
    /// call for longer than it says.
    func bound(_ call: CallTruth, by answer: Answer) {
        let isLast = call.answers.allSatisfy { $0.reachedAt <= answer.reachedAt }
        let isQuiet = [Role.caller, .callee].allSatisfy { phone($0, of: call.index).clients.allSatisfy(\.isOver) }
        guard isLast, isQuiet, !call.isBoundFixed else { return }
        call.latestDeadline = answer.reachedAt + answer.lifetime + CheckState.tolerance
    }
}
