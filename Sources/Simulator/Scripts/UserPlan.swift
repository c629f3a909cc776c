// Users whose phones register with the nodes' script, and ask each other and it for things: when each does what, drawn
// before the run and by chance of their own, so that everything else in a plan is as it is without them.

internal import Primitives

/// Who registers.
struct UserPlan: Sendable {
    enum Act: Sendable {
        /// Its contact, for so many seconds, or renewed.
        case register(seconds: Int)
        case remove
        /// It has another address from now on, and registers that; the old one ends by itself.
        case move(seconds: Int)
        /// A MESSAGE to another user.
        case message(to: Int)
        /// A MESSAGE to a name that the script answers oddly, by its place in `SimulatedScript.odd`.
        case odd(Int)
    }

    let index: Int
    let acts: [(time: Nanoseconds, act: Act)]

    static let lifetimes = [3, 5, 8, 12, 30]

    init(index: Int, of count: Int, isOwnScript: Bool, using random: inout SplitMix) {
        self.index = index
        var acts: [(time: Nanoseconds, act: Act)] = []
        var time = Plan.firstCall + random.between(0, .seconds(6))
        let usual = random.pick(UserPlan.lifetimes)
        while time < Plan.converged {
            let outcome = random.below(100)
            let seconds = random.chance(perMille: 200) ? random.pick(UserPlan.lifetimes) : usual
            let act: Act =
                acts.isEmpty || outcome < 45
                ? .register(seconds: seconds)
                : outcome < 55
                    ? .remove
                    : outcome < 65
                        ? .move(seconds: seconds)
                        : outcome < 90 || !isOwnScript
                            ? .message(to: random.below(count)) : .odd(random.below(SimulatedScript.odd.count))
            acts.append((time, act))
            time += random.between(.milliseconds(200), .seconds(4))
        }
        self.acts = acts
    }
}

extension Plan {
    static func drawUsers(_ seed: UInt64, _ options: PlanOptions) -> [UserPlan] {
        guard let script = options.script else { return [] }
        var random = SplitMix(seed: seed ^ 0x5573_6572_7355_7365)
        let count = 4 + random.below(7)
        return (0..<count).map { index in
            UserPlan(index: index, of: count, isOwnScript: script == .own, using: &random)
        }
    }

    /// When which node is told to read its script again, and whether that is a good one.
    static func drawReloads(
        _ seed: UInt64, nodes: Int, _ options: PlanOptions
    ) -> [(time: Nanoseconds, host: Int, isGood: Bool)] {
        guard options.script != nil else { return [] }
        var random = SplitMix(seed: seed ^ 0x5265_6C6F_6164_5265)
        return (0..<(2 + random.below(6))).map { _ in
            (random.between(firstCall, converged), random.below(nodes), random.chance(perMille: 600))
        }
    }
}
