// A server behind the cluster that hunts back through it, as its operator means it to: the nodes send the call to the
// server, and the server sends it to one target after another, or to several at once, by way of the nodes again
// (S2-17). The call is a forked one whose forking is done elsewhere: `ForkPlan` holds whom it is for and what they do.

import Primitives

struct SpiralPlan: Sendable {
    /// The server stays in the way of the calls that it makes.
    let recordRoutes: Bool
    /// What comes back reaches another node than what went.
    let spreads: Bool
    /// How long it lets one target of several ring before it goes on to the next.
    let patience: Nanoseconds

    static func draw(index: Int, lifetime: Nanoseconds, using random: inout SplitMix) -> CallPlan {
        let start = Plan.firstCall + random.between(0, HuntPlan.latestStart - Plan.firstCall)
        let spiral = SpiralPlan(
            recordRoutes: random.chance(perMille: 500), spreads: random.chance(perMille: 700),
            patience: random.pick([.milliseconds(700), .seconds(2), .seconds(4)]))
        let isSerial = random.chance(perMille: 600)
        let count = random.pick([1, 2, 2, 3])
        let raceAt: Nanoseconds = random.pick([0, .milliseconds(300), .seconds(1)])
        let callees = (0..<count).map { place in
            isSerial
                ? drawSerial(isLast: place == count - 1, isFirst: place == 0, spiral.patience, using: &random)
                : drawParallel(raceAt: raceAt, using: &random)
        }
        let fork = ForkPlan(
            order: isSerial ? .serial : .parallel, callees: callees,
            surplusDelay: random.pick([0, .milliseconds(20), .milliseconds(300)]))
        let ringsForEver = !isSerial && callees.contains { $0.answer == .ringsOn }
        let latest = random.between(.milliseconds(100), .seconds(8))
        let isCancelled = random.chance(perMille: 150) || ringsForEver
        return CallPlan(
            index: index, start: start, callees: callees, fork: fork, cancelAfter: isCancelled ? latest : nil,
            spiral: spiral, lifetime: lifetime, using: &random)
    }

    private static func drawSerial(
        isLast: Bool, isFirst: Bool, _ patience: Nanoseconds, using random: inout SplitMix
    ) -> CalleePlan {
        var callee = CalleePlan()
        callee.ring = random.between(0, patience / 2)
        callee.code = random.pick([486, 486, 480, 404, 500, 503, 603])
        callee.isCurt = random.chance(perMille: 300)
        let outcome = random.below(100)
        // One in eight answers as the server's patience ends.
        if outcome < 12 { callee.ring = patience + random.between(-.milliseconds(60), .milliseconds(60)) }
        let isAccepted = isLast ? outcome < 85 : outcome < 30
        callee.answer =
            isAccepted ? .accepts : outcome < 65 ? .rejects : outcome < 92 || !isFirst ? .ringsOn : .silent
        return callee
    }

    private static func drawParallel(raceAt: Nanoseconds, using random: inout SplitMix) -> CalleePlan {
        var callee = CalleePlan()
        callee.ring = raceAt + random.pick([0, .milliseconds(1), random.between(0, .milliseconds(900))])
        callee.code = random.pick([486, 480, 603])
        let outcome = random.below(100)
        callee.answer = outcome < 65 ? .accepts : outcome < 85 ? .rejects : .ringsOn
        return callee
    }

    /// With nothing wrong, somebody answers: nobody before says no for all, or answers as the server gives up.
    func isAnswered(_ fork: ForkPlan) -> Bool {
        guard fork.order == .serial else { return fork.isAnswered }
        for callee in fork.callees {
            if callee.answer == .accepts { return callee.ring <= patience / 2 }
            if callee.answer == .rejects && callee.code >= 600 { return false }
        }
        return false
    }
}
