// A fork as its users mean it to go: who is called at once and who after whom, and what each does about it. The nodes
// know the callees by a static route; the caller knows only the one name that it calls.

import Primitives

/// What one callee does with the INVITE.
struct CalleePlan: Sendable {
    enum Answer: Sendable {
        case accepts
        case rejects
        /// Nobody picks up.
        case ringsOn
        /// Switched off: it hears nothing and says nothing.
        case silent
    }

    var answer = Answer.accepts
    var ring: Nanoseconds = 0
    /// What it says when it rejects.
    var code = 486
    /// It rejects at once, and says nothing before.
    var isCurt = false
    /// Thousandths.
    var q = 1_000
}

struct ForkPlan: Sendable {
    enum Order: Sendable {
        /// All at once.
        case parallel
        /// All of one q at once, then all of the next.
        case byQ
        /// One after another.
        case serial
    }

    let order: Order
    /// 2 or 3, in the order of the route.
    let callees: [CalleePlan]
    /// Between the ACK of a 2xx that was one too many and its BYE.
    let surplusDelay: Nanoseconds
    /// The caller hangs up at about the moment at which somebody picks up.
    let cancelsInTheLastMoment: Bool

    /// A fork that a server makes, which draws it.
    init(order: Order, callees: [CalleePlan], surplusDelay: Nanoseconds) {
        self.order = order
        self.callees = callees
        self.surplusDelay = surplusDelay
        cancelsInTheLastMoment = false
    }

    init(using random: inout SplitMix) {
        order = random.pick([.parallel, .parallel, .parallel, .byQ, .serial])
        let count = random.pick([2, 2, 3])
        // One in three is picked up by everybody, at almost the same time.
        let isRace = random.chance(perMille: 350)
        let raceAt: Nanoseconds = random.pick([0, .milliseconds(300), .seconds(1), .seconds(3)])
        var callees: [CalleePlan] = []
        for _ in 0..<count {
            var callee = CalleePlan()
            callee.q = order == .byQ ? random.pick([1_000, 500]) : 1_000
            if isRace {
                callee.ring = raceAt + random.pick([0, .milliseconds(1), random.between(0, .milliseconds(120))])
            } else {
                ForkPlan.draw(&callee, mayBeSilent: !callees.contains { $0.answer == .silent }, using: &random)
            }
            callees.append(callee)
        }
        self.callees = callees
        surplusDelay = random.pick([0, .milliseconds(20), .milliseconds(300), .seconds(1)])
        cancelsInTheLastMoment = random.chance(perMille: 120)
    }

    private static func draw(_ callee: inout CalleePlan, mayBeSilent: Bool, using random: inout SplitMix) {
        let outcome = random.below(100)
        callee.answer = outcome < 48 ? .accepts : outcome < 76 ? .rejects : outcome < 92 ? .ringsOn : .silent
        // One at most: each takes 32 s, and a run has 90.
        if callee.answer == .silent && !mayBeSilent { callee.answer = .rejects }
        callee.ring = random.pick([0, .milliseconds(50), .milliseconds(300), .seconds(1), .seconds(3), .seconds(6)])
        callee.code = random.pick([486, 486, 480, 404, 500, 503, 603])
        callee.isCurt = random.chance(perMille: 300)
    }

    /// When the caller gives up, if it does: without a phone that would let it ring for ever it need not.
    func cancelAfter(_ drawn: Nanoseconds?, using random: inout SplitMix) -> Nanoseconds? {
        let latest = random.between(.milliseconds(500), .seconds(12))
        let jitter = random.between(-.milliseconds(60), .milliseconds(120))
        let picksUp = callees.filter { $0.answer == .accepts }.map(\.ring).min()
        if cancelsInTheLastMoment, let picksUp { return max(.milliseconds(20), picksUp + jitter) }
        if let drawn { return drawn }
        return callees.contains { $0.answer == .ringsOn } ? latest : nil
    }

    /// With nothing wrong, somebody answers: nobody keeps the others from being asked, and no 6xx ends it before.
    var isAnswered: Bool {
        callees.contains { $0.answer == .accepts }
            && callees.allSatisfy { $0.answer != .ringsOn && !($0.answer == .rejects && $0.code >= 600) }
    }
}
