// A proxy above the balancer that hunts, as its operator means it to: it tries one target after another, or several at
// once, for one call of a phone behind it.
//
// To the nodes each attempt is an INVITE with the Call-ID, From tag and CSeq of the others, by a branch of its own and
// for a target of its own (R16). So each attempt is a call of the plan, with its own truth, and is judged as any call
// is. The proxy and the phone behind it are one party here: the nodes see no more than the two Vias.

import Primitives

struct HuntPlan: Sendable {
    /// It gives a transaction up that nobody has decided, and sends the INVITE again by a new branch (RFC 3263 §4.3).
    struct Retry: Sendable {
        var after: Nanoseconds
        /// By way of another node.
        var isElsewhere: Bool
    }

    /// Its first attempt names the hunt; the others follow in the plan.
    let first: Int
    let attempts: Int
    let isParallel: Bool
    /// The same for all.
    let cseq: UInt32
    /// The proxy stays in the way of the calls that it makes.
    let recordRoutes: Bool
    /// Each attempt may reach another node.
    let spreads: Bool
    /// Goes on to the next target as it cancels one, and not when that has failed.
    let isImpatient: Bool
    /// Before it goes on.
    let pause: Nanoseconds
    var retry: Retry?

    /// No hunt begins later: it has tried all its targets, and their calls have expired, before the run ends.
    static let latestStart = Nanoseconds.seconds(22)

    /// The attempts of one hunt, as calls from number `first` on.
    static func draw(first: Int, lifetime: Nanoseconds, using random: inout SplitMix) -> [CallPlan] {
        let start = Plan.firstCall + random.between(0, latestStart - Plan.firstCall)
        let count = random.pick([1, 2, 2, 3, 4])
        let isParallel = count > 1 && random.chance(perMille: 350)
        let hunt = HuntPlan(
            first: first, attempts: count, isParallel: isParallel, cseq: UInt32(1 + random.below(5_000)),
            recordRoutes: random.chance(perMille: 500), spreads: random.chance(perMille: 600),
            isImpatient: random.chance(perMille: 500), pause: .milliseconds(random.pick([0, 0, 5, 300])), retry: nil)
        let raceAt: Nanoseconds = random.pick([.milliseconds(50), .milliseconds(300), .seconds(1), .seconds(3)])
        return (0..<count).map { number in
            var own = hunt
            own.retry = drawRetry(isCertain: count == 1, using: &random)
            let isLast = number == count - 1
            let (callee, patience) =
                isParallel
                ? drawParallel(raceAt: raceAt, using: &random)
                : drawSerial(isLast: isLast, mayBeSilent: number == 0, using: &random)
            let offset = isParallel ? random.between(0, .milliseconds(5)) : 0
            return CallPlan(
                index: first + number, start: start + offset, callees: [callee], cancelAfter: patience, hunt: own,
                lifetime: lifetime, using: &random)
        }
    }

    private static func drawRetry(isCertain: Bool, using random: inout SplitMix) -> Retry? {
        let isWanted = random.chance(perMille: 250) || isCertain
        let after = Nanoseconds.milliseconds(random.pick([300, 600, 1_000, 2_500]))
        let isElsewhere = random.chance(perMille: 700)
        return isWanted ? Retry(after: after, isElsewhere: isElsewhere) : nil
    }

    /// All targets but the last are meant to fail; one in six of these answers just as it is cancelled.
    private static func drawSerial(
        isLast: Bool, mayBeSilent: Bool, using random: inout SplitMix
    ) -> (CalleePlan, Nanoseconds?) {
        var callee = CalleePlan()
        callee.ring = random.pick([0, .milliseconds(50), .milliseconds(300), .seconds(1), .seconds(3)])
        callee.code = random.pick([486, 486, 480, 404, 500, 503, 603])
        callee.isCurt = random.chance(perMille: 300)
        let outcome = random.below(100)
        let patience = random.between(.milliseconds(300), .seconds(5))
        let jitter = random.between(-.milliseconds(60), .milliseconds(60))
        if isLast {
            callee.answer = outcome < 85 ? .accepts : outcome < 95 ? .rejects : .ringsOn
            return (callee, callee.answer == .ringsOn ? patience : nil)
        }
        switch outcome {
        case 0..<45:
            callee.answer = .rejects
            return (callee, nil)
        case 45..<75:
            callee.answer = .ringsOn
            return (callee, patience)
        case 75..<84 where mayBeSilent:
            callee.answer = .silent
            return (callee, patience)
        default:
            callee.ring += .milliseconds(100)
            return (callee, callee.ring + jitter)
        }
    }

    private static func drawParallel(raceAt: Nanoseconds, using random: inout SplitMix) -> (CalleePlan, Nanoseconds?) {
        var callee = CalleePlan()
        callee.ring = raceAt + random.pick([0, .milliseconds(1), random.between(0, .milliseconds(900))])
        callee.code = random.pick([486, 480, 603])
        let outcome = random.below(100)
        callee.answer = outcome < 55 ? .accepts : outcome < 80 ? .rejects : .ringsOn
        return (callee, callee.answer == .ringsOn ? .seconds(6) : nil)
    }

    /// The calls that are attempts of this hunt.
    var calls: Range<Int> { first..<first + attempts }
}
