// A plan says what a run is made of: how many nodes, how bad the networks, which faults, which calls. It follows from
// the seed and what the command line fixes, and is complete before the run begins; what the run draws later (latencies,
// which node a fault strikes) comes from generators that the plan seeds.

import Primitives

/// What the command line fixes; everything else is drawn from the seed.
package struct PlanOptions: Equatable, Sendable {
    /// 2…5; drawn when absent.
    package var nodes: Int?
    /// The faults to draw from; all of them when absent, none when empty.
    package var faults: [FaultKind]?
    /// Every datagram from a phone reaches a random live node.
    package var deals = false
    /// 1…200.
    package var calls: Int?
    /// Nodes send keep-alives to both sides.
    package var keepAlive = false
    /// Every fifth call is forgotten by one of its phones, which is what keep-alives are for.
    package var forgetful = false
    /// Calls of three in five fork to two or three phones.
    package var forks = false
    /// A proxy above hunts; in one seed of three when absent.
    package var hunts: Bool?
    /// Servers behind send calls back; in one seed of three when absent.
    package var spirals: Bool?
    /// Operators end calls while their phones talk; in one seed of three when absent.
    package var ends: Bool?
    /// Phones agree on session timers and give them up; in one seed of four when absent.
    package var timers: Bool?
    /// Phones without a tag, or with equal ones; in one seed of four when absent.
    package var tagless: Bool?
    /// Answers and route sets near the bounds; in one seed of four when absent.
    package var large: Bool?
    /// Scripts write variables, flags and profiles; in one seed of three when absent.
    package var writes: Bool?
    /// Scripts ask for requests within calls; in one seed of four when absent.
    package var asks: Bool?
    /// A process that only votes, beside the nodes.
    package var witness = false
    /// Bounds of a few: a ring of 64 facts, 4 parked patches, tombstones for 5 s.
    package var tight = false
    /// Phones refresh up to and beyond the end of their calls.
    package var late = false
    /// Messages of the bus are sealed, under keys that change; a stranger says what he likes on it.
    package var sealed = false
    /// Nodes keep records on disks; everything is killed once, and starts again from them.
    package var disks = false
    /// The nodes route by it, and users register with it.
    package var script: SimulatedScript?

    package init() {}
}

/// How bad a network is.
struct LinkQuality: Equatable, Sendable {
    var lossPerMille = 0
    var duplicationPerMille = 0
    /// Datagrams of one pair may overtake each other. Frames only in the harsher mode.
    var reorders = false
    /// Least latency, and how much may come on top.
    var latency: Nanoseconds = .milliseconds(1)
    var jitter: Nanoseconds = 0
}

package struct Plan: Sendable {
    package let seed: UInt64
    package let options: PlanOptions
    /// What is left out of all that follows.
    package let reduction: Reduction
    package let nodes: Int
    /// A process that only votes, beside the nodes.
    let hasWitness: Bool
    package let faults: [FaultKind]
    package let deals: Bool
    /// `cluster.quorum: majority` instead of `auto`.
    let usesMajority: Bool
    /// `ims_dialog.default_timeout`, seconds; 3…20.
    let lifetimeSeconds: Int
    let bus: LinkQuality
    let sip: LinkQuality
    /// Frames a cut connection keeps in its buffers and delivers when it is healed.
    let cutBuffer: Int
    /// The balancer makes a new branch when it chooses another node (a stateful one that fails over).
    let balancerRenewsBranch: Bool
    /// Answers of callees are dealt out too (anycast), not only requests.
    let dealsAnswers: Bool
    let dies: Bool
    let calls: [CallPlan]
    let faultTimes: [(time: Nanoseconds, kind: FaultKind)]
    /// What the nodes ask for where no phone does, seconds; 0 for nothing (`sip.session-expires`).
    let sessionSeconds: Int
    /// A call that can have no record is refused (`dialogs.unrecorded`).
    let refusesUnrecorded: Bool
    /// When an operator asks for the end of which call.
    let askedEnds: [(time: Nanoseconds, call: Int)]
    /// When a script writes into the record of which call.
    let writes: [(time: Nanoseconds, call: Int)]
    /// When a script asks for a request within which call.
    let asks: [(time: Nanoseconds, call: Int)]
    /// When everything is killed, where nodes have disks.
    let outage: OutagePlan?
    /// Who registers; nobody without a script.
    let users: [UserPlan]
    let reloads: [(time: Nanoseconds, host: Int, isGood: Bool)]
    let randomSeed: UInt64

    /// `ims_dialog.ka_interval` where there are keep-alives: less than operators may have, as lifetimes are.
    static let keepAliveInterval = Nanoseconds.seconds(4)
    /// When the first call may start: the cluster has formed by then.
    static let firstCall = Nanoseconds.seconds(3)
    /// When faults stop.
    static let heal = Nanoseconds.seconds(30)
    /// When calls stop being refreshed: the replicas have been compared under load by then.
    static let converged = heal + .seconds(14)
    /// When the run ends at the latest. Later than every timer of RFC 3261 that a fault may have left running.
    static let end = heal + .seconds(60)

    /// Nothing is wrong in this run: no fault, no loss.
    var isCalm: Bool { faults.isEmpty && outage == nil && sip.lossPerMille == 0 && bus.lossPerMille == 0 }

    var lifetime: Nanoseconds { .seconds(Int64(lifetimeSeconds)) }

    /// The witness is the last host.
    var hostCount: Int { nodes + (hasWitness ? 1 : 0) }
    /// Of two nodes alone the survivor of a partition may act, and each side does.
    var isPairWithAuto: Bool { nodes == 2 && !usesMajority && !hasWitness }

    package init(seed: UInt64, options: PlanOptions = PlanOptions(), reduction: Reduction = Reduction()) {
        var random = SplitMix(seed: seed ^ 0x5EED_0F0E_5EED_0F0E)
        self.seed = seed
        self.options = options
        self.reduction = reduction
        nodes = reduction.nodes(of: options.nodes.map { min(max($0, 1), 5) } ?? random.pick([2, 3, 3, 4, 5]))
        hasWitness = options.witness
        deals = options.deals
        usesMajority = random.chance(perMille: 150)
        lifetimeSeconds = random.pick([3, 4, 6, 8, 12, 20])
        let drawn = Plan.drawFaults(using: &random)
        let chosen = options.faults.map { $0 } ?? drawn
        faults = reduction.faults(of: chosen)
        let isCalm = chosen.isEmpty
        bus = reduction.quality(of: Plan.drawBus(calm: isCalm, using: &random), .bus)
        sip = reduction.quality(of: Plan.drawSIP(calm: isCalm, deals: options.deals, using: &random), .sip)
        cutBuffer = random.pick([0, 20, 400])
        balancerRenewsBranch = random.chance(perMille: 300) && !options.deals
        dealsAnswers = random.chance(perMille: 500)
        dies = chosen.contains(.attrition)
        var plain = Plan.drawCalls(
            count: options.calls ?? 12 + random.below(17), lifetime: .seconds(Int64(lifetimeSeconds)),
            options: options, using: &random)
        sessionSeconds = Plan.drawTimers(seed, of: &plain, lifetimeSeconds, options)
        Plan.drawTags(seed, of: &plain, options)
        refusesUnrecorded = Plan.drawSizes(seed, of: &plain, options)
        let hunts = Plan.drawHunts(seed, after: plain.count, lifetimeSeconds, options)
        let spirals = Plan.drawSpirals(seed, after: plain.count + hunts.count, lifetimeSeconds, options)
        calls = (plain + hunts + spirals).map { reduction.call(of: $0) }
        faultTimes = Plan.drawTimes(of: chosen, using: &random)
        askedEnds = reduction.has(.ends) ? Plan.drawEnds(seed, of: plain, lifetimeSeconds, options) : []
        writes = reduction.has(.writes) ? Plan.drawWrites(seed, of: plain, lifetimeSeconds, options) : []
        asks = reduction.has(.asks) ? Plan.drawAsks(seed, of: plain, lifetimeSeconds, options) : []
        outage = options.disks ? OutagePlan.draw(seed, nodes: nodes) : nil
        users = reduction.has(.users) ? Plan.drawUsers(seed, options) : []
        reloads = reduction.has(.reloads) ? Plan.drawReloads(seed, nodes: nodes, options) : []
        randomSeed = reduction.randomSeed(of: random.next())
    }

    private static func drawFaults(using random: inout SplitMix) -> [FaultKind] {
        // One in eight runs loses its nodes for good, one after another; the others mix a few kinds.
        let attrition = random.chance(perMille: 120)
        let clockback = random.chance(perMille: 150)
        let common: [FaultKind] = [
            .crash, .crash, .pause, .partition, .oneway, .pair, .twins, .power, .loss, .unplug, .donor, .forget, .drain,
        ]
        var kinds = random.sample(common, 1 + random.below(4))
        if random.chance(perMille: 500) { kinds.append(.sniper) }
        if attrition { kinds = [.attrition] + (random.chance(perMille: 500) ? [.sniper] : []) }
        if clockback { kinds.append(.clockback) }
        return kinds
    }

    private static func drawBus(calm: Bool, using random: inout SplitMix) -> LinkQuality {
        var quality = LinkQuality()
        quality.latency = random.pick([100_000, 500_000, .milliseconds(2)])
        quality.jitter = random.pick([0, .milliseconds(2), .milliseconds(5), .milliseconds(40)])
        quality.lossPerMille = random.pick([0, 0, 10, 50, 200])
        quality.duplicationPerMille = random.pick([0, 0, 50])
        quality.reorders = random.chance(perMille: 250)
        if calm {
            quality.lossPerMille = 0
            quality.duplicationPerMille = 0
            quality.reorders = false
            quality.jitter = min(quality.jitter, .milliseconds(2))
        }
        return quality
    }

    private static func drawSIP(calm: Bool, deals: Bool, using random: inout SplitMix) -> LinkQuality {
        var quality = LinkQuality()
        quality.latency = random.pick([200_000, .milliseconds(2), .milliseconds(20)])
        quality.jitter = random.pick([0, .milliseconds(1), .milliseconds(30)])
        quality.lossPerMille = calm ? 0 : random.pick([0, 0, 10, 50])
        quality.duplicationPerMille = calm ? 0 : random.pick([0, 0, 50])
        quality.reorders = true
        return quality
    }

    private static func drawCalls(
        count: Int, lifetime: Nanoseconds, options: PlanOptions, using random: inout SplitMix
    ) -> [CallPlan] {
        (0..<count).map { index in
            let span = heal - firstCall - .seconds(1)
            let start = firstCall + random.between(0, span)
            return CallPlan(index: index, start: start, lifetime: lifetime, options: options, using: &random)
        }
    }

    /// The calls of proxies above, by a source of chance of their own: all else in the plan is as it is without them.
    private static func drawHunts(
        _ seed: UInt64, after count: Int, _ lifetimeSeconds: Int, _ options: PlanOptions
    ) -> [CallPlan] {
        var random = SplitMix(seed: seed ^ 0x4875_6E74_4875_6E74)
        guard options.hunts ?? random.chance(perMille: 333) else { return [] }
        var calls: [CallPlan] = []
        for _ in 0..<(options.hunts == true ? 8 : 4) {
            calls += HuntPlan.draw(
                first: count + calls.count, lifetime: .seconds(Int64(lifetimeSeconds)), using: &random)
        }
        return calls
    }

    private static func drawSpirals(
        _ seed: UInt64, after count: Int, _ lifetimeSeconds: Int, _ options: PlanOptions
    ) -> [CallPlan] {
        var random = SplitMix(seed: seed ^ 0x5370_6972_616C_5370)
        guard options.spirals ?? random.chance(perMille: 333) else { return [] }
        return (0..<(options.spirals == true ? 12 : 4)).map { index in
            SpiralPlan.draw(index: count + index, lifetime: .seconds(Int64(lifetimeSeconds)), using: &random)
        }
    }

    private static func drawEnds(
        _ seed: UInt64, of calls: [CallPlan], _ lifetimeSeconds: Int, _ options: PlanOptions
    ) -> [(time: Nanoseconds, call: Int)] {
        var random = SplitMix(seed: seed ^ 0x4F70_456E_6473_4F70)
        guard options.ends ?? random.chance(perMille: 333), !calls.isEmpty else { return [] }
        return (0..<(options.ends == true ? 8 : 3)).map { _ in
            let call = random.pick(calls)
            let after = random.between(.milliseconds(300), 2 * .seconds(Int64(lifetimeSeconds)) + .seconds(3))
            return (min(call.start + after, converged), call.index)
        }
    }

    private static func drawWrites(
        _ seed: UInt64, of calls: [CallPlan], _ lifetimeSeconds: Int, _ options: PlanOptions
    ) -> [(time: Nanoseconds, call: Int)] {
        var random = SplitMix(seed: seed ^ 0x5772_6974_6572_7321)
        guard options.writes ?? random.chance(perMille: 333) else { return [] }
        return calls.flatMap { call in
            (0..<(2 + random.below(6))).map { _ in
                let after = random.between(.milliseconds(200), 2 * .seconds(Int64(lifetimeSeconds)))
                return (min(call.start + after, converged), call.index)
            }
        }
    }

    private static func drawAsks(
        _ seed: UInt64, of calls: [CallPlan], _ lifetimeSeconds: Int, _ options: PlanOptions
    ) -> [(time: Nanoseconds, call: Int)] {
        var random = SplitMix(seed: seed ^ 0x4173_6B73_4173_6B73)
        guard options.asks ?? random.chance(perMille: 250) else { return [] }
        return calls.flatMap { call in
            (0..<(1 + random.below(5))).map { _ in
                let after = random.between(.milliseconds(400), 2 * .seconds(Int64(lifetimeSeconds)) + .seconds(3))
                return (min(call.start + after, converged), call.index)
            }
        }
    }

    /// Session timers for half of the calls that do not fork: of two callees each agrees for itself.
    private static func drawTimers(
        _ seed: UInt64, of calls: inout [CallPlan], _ lifetimeSeconds: Int, _ options: PlanOptions
    ) -> Int {
        var random = SplitMix(seed: seed ^ 0x5469_6D65_5469_6D65)
        guard options.timers ?? random.chance(perMille: 250) else { return 0 }
        for index in calls.indices where calls[index].fork == nil && random.chance(perMille: 500) {
            let session = SessionPlan(lifetimeSeconds: lifetimeSeconds, using: &random)
            calls[index].habits.session = session
            let shortest = min(lifetimeSeconds, session.seconds.first.map(Int.init) ?? lifetimeSeconds)
            calls[index].steps = CallPlan.drawSteps(lifetime: .seconds(Int64(shortest)), using: &random)
        }
        return random.pick([0, 0, lifetimeSeconds, 6])
    }

    private static func drawTags(_ seed: UInt64, of calls: inout [CallPlan], _ options: PlanOptions) {
        var random = SplitMix(seed: seed ^ 0x5461_6773_5461_6773)
        guard options.tagless ?? random.chance(perMille: 250) else { return }
        for index in calls.indices where calls[index].fork == nil && random.chance(perMille: 500) {
            calls[index].habits.tags = random.pick([.callerHasNone, .calleeHasNone, .nobodyHas, .same])
        }
    }

    private static func drawSizes(_ seed: UInt64, of calls: inout [CallPlan], _ options: PlanOptions) -> Bool {
        var random = SplitMix(seed: seed ^ 0x4C61_7267_4C61_7267)
        guard options.large ?? random.chance(perMille: 250) else { return false }
        for index in calls.indices where random.chance(perMille: 400) {
            calls[index].habits.size = SizePlan(using: &random)
        }
        return random.chance(perMille: 500)
    }

    private static func drawTimes(
        of kinds: [FaultKind], using random: inout SplitMix
    ) -> [(time: Nanoseconds, kind: FaultKind)] {
        let struck = kinds.filter { !$0.isSteady }
        guard !struck.isEmpty else { return [] }
        var times: [(time: Nanoseconds, kind: FaultKind)] = []
        var time = firstCall + random.between(.milliseconds(500), .seconds(4))
        while time < heal - .seconds(2) {
            times.append((time, random.pick(struck)))
            time += random.between(.milliseconds(300), .seconds(9))
        }
        return times
    }
}
