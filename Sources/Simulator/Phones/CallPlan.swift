// A call as its two users mean it to go: when it starts, how long it rings, how it is answered, when it is refreshed
// and by whom, who hangs up. Faults may have other ideas.

import Primitives

enum Role: Int, Hashable, Sendable {
    case caller
    case callee

    var other: Role { self == .caller ? .callee : .caller }
    var name: String { self == .caller ? "caller" : "callee" }
}

struct CallPlan: Sendable {
    enum Act: Sendable {
        case reInvite
        case update
        case options
        case hangUp
    }

    /// Something a user does after the call has been answered.
    struct Step: Sendable {
        /// After the caller's 2xx.
        var after: Nanoseconds
        var byCaller: Bool
        var act: Act
        /// How long the other side takes to answer a re-INVITE.
        var answerDelay: Nanoseconds
    }

    let index: Int
    let start: Nanoseconds
    /// One, or as many as the call forks to.
    let callees: [CalleePlan]
    let fork: ForkPlan?
    /// The caller cancels so long after the start, if it is still ringing.
    let cancelAfter: Nanoseconds?
    /// Between a 2xx and its ACK.
    let acknowledgeDelay: Nanoseconds
    var steps: [Step]
    /// One of the phones falls silent for good so long after the call was confirmed: no network, no battery.
    let vanishes: (role: Role, after: Nanoseconds)?
    /// One of the phones loses the call so long after it was confirmed, and tells nobody: it was started again.
    let forgets: (role: Role, after: Nanoseconds)?
    /// It is one attempt of several by a proxy above.
    let hunt: HuntPlan?
    /// A server behind the cluster sends it back through it.
    let spiral: SpiralPlan?
    var habits = HabitPlan.ordinary

    init(
        index: Int, start: Nanoseconds, lifetime: Nanoseconds, options: PlanOptions, using random: inout SplitMix
    ) {
        self.index = index
        self.start = start
        let ring: Nanoseconds = random.pick([
            0, .milliseconds(50), .milliseconds(300), .seconds(1), .seconds(3), .seconds(6),
        ])
        let outcome = random.below(100)
        let answer: CalleePlan.Answer = outcome < 86 ? .accepts : outcome < 93 ? .rejects : .ringsOn
        let cancels = outcome >= 93 || random.chance(perMille: 60)
        let patience = cancels ? random.between(.milliseconds(20), .seconds(5)) : nil
        acknowledgeDelay = random.pick([0, 0, .milliseconds(200), .milliseconds(200), .milliseconds(1_200)])
        steps = CallPlan.drawSteps(lifetime: lifetime, isLate: options.late, using: &random)
        let isLost = random.chance(perMille: 60)
        let role = random.pick([Role.caller, .callee])
        let after = random.between(.milliseconds(1_500), 2 * lifetime)
        vanishes = isLost ? (role, after) : nil
        // Drawn last, and only where wanted: a seed's calls are otherwise the same.
        let isForgotten = options.forgetful && !isLost && random.chance(perMille: 200)
        forgets =
            isForgotten ? (random.pick([.caller, .callee]), random.between(.milliseconds(500), 2 * lifetime)) : nil
        fork = options.forks && random.chance(perMille: 600) ? ForkPlan(using: &random) : nil
        callees = fork?.callees ?? [CalleePlan(answer: answer, ring: ring)]
        cancelAfter = fork.map { $0.cancelAfter(patience, using: &random) } ?? patience
        hunt = nil
        spiral = nil
    }

    /// A call that a proxy above or below has a part in: whom it is for is drawn there, what its users do with it here.
    init(
        index: Int, start: Nanoseconds, callees: [CalleePlan], fork: ForkPlan? = nil, cancelAfter: Nanoseconds?,
        hunt: HuntPlan? = nil, spiral: SpiralPlan? = nil, lifetime: Nanoseconds, using random: inout SplitMix
    ) {
        self.index = index
        self.start = start
        self.callees = callees
        self.fork = fork
        self.cancelAfter = cancelAfter
        self.hunt = hunt
        self.spiral = spiral
        acknowledgeDelay = random.pick([0, 0, .milliseconds(200), .milliseconds(1_200)])
        steps = CallPlan.drawSteps(lifetime: lifetime, using: &random)
        let isLost = random.chance(perMille: 60)
        let lost = (random.pick([Role.caller, .callee]), random.between(.milliseconds(1_500), 2 * lifetime))
        vanishes = isLost ? lost : nil
        forgets = nil
    }

    /// No proxy above or below has a part in it.
    var isPlain: Bool { hunt == nil && spiral == nil }

    /// It begins when the attempt before it is over, if that fails.
    var waits: Bool { hunt.map { !$0.isParallel && index > $0.first } ?? false }

    /// With nothing wrong, the call is answered.
    var isAnswered: Bool {
        guard cancelAfter == nil else { return false }
        guard let fork else { return callees[0].answer == .accepts }
        return spiral?.isAnswered(fork) ?? fork.isAnswered
    }

    /// - Parameter isLate: Refreshes may come as the time is up, or a moment later.
    static func drawSteps(lifetime: Nanoseconds, isLate: Bool = false, using random: inout SplitMix) -> [Step] {
        var steps: [Step] = []
        var time: Nanoseconds = 0
        // One call in six is refreshed as long as the run lasts, so that some are alive when the replicas are compared.
        let refreshes = random.chance(perMille: 170) ? 40 : random.pick([0, 0, 1, 2, 5])
        for _ in 0..<refreshes {
            time += lifetime / 1_000 * random.between(550, isLate ? 1_040 : 930)
            guard time < .seconds(60) else { break }
            let answerDelay: Nanoseconds = random.pick([0, 0, .milliseconds(100), .milliseconds(1_500)])
            let delay = min(answerDelay, lifetime / 20)
            steps.append(
                Step(
                    after: time, byCaller: random.chance(perMille: 600),
                    act: random.chance(perMille: 600) ? .reInvite : .update, answerDelay: delay))
        }
        if random.chance(perMille: 200) {
            steps.append(Step(after: random.between(0, lifetime), byCaller: true, act: .options, answerDelay: 0))
        }
        if refreshes < 40 && random.chance(perMille: 400) {
            let after = random.between(.milliseconds(100), time + lifetime)
            steps.append(Step(after: after, byCaller: random.chance(perMille: 500), act: .hangUp, answerDelay: 0))
        }
        return steps
    }
}
