// Seeded faults on the small network: loss, doubling, overtaking, cuts (also one way), crashes, restarts, pauses, while
// records are written, waited for and asked about. Then everything heals, and within a bound all must be up, in one
// view, and equal.
//
// Checked all along: no epoch has two views (but where a lone survivor can make them, by nature), an acknowledged
// commit is in the records of others, nobody acts without grants of a majority. A failure names its seed.

import Cluster
import Primitives
import Testing

struct Chaos {
    let net: Net
    private var random: SplitMix
    private let count: Int
    private var dids: UInt64 = 0
    private var tokens: UInt64 = 0

    init(seed: UInt64) {
        var random = SplitMix(seed: seed &* 77 &+ 5)
        count = [2, 3, 3, 4, 5][Int(random.next() % 5)]
        net = Net(count, seed: seed) {
            $0.loneGrace = .seconds(2)
            $0.bootstrapAfter = .seconds(5)
            $0.horizon = .seconds(4)
            $0.forgetAfter = .seconds(10)
        }
        self.random = random
    }

    /// Runs the faults, then heals everything. Of two nodes both may go on alone (R4).
    mutating func run(milliseconds: Int64) {
        net.allowsTwins = count == 2
        net.start()
        net.loss = [0, 0, 0.01, 0.1][Int(random.next() % 4)]
        net.duplication = [0, 0.05][Int(random.next() % 2)]
        net.jitterMilliseconds = [0, 5, 40][Int(random.next() % 3)]
        let end = net.now.advanced(milliseconds: milliseconds)
        while net.now < end {
            net.run(milliseconds: Int64(random.next() % 60))
            work()
            if random.chance(0.02) { fault() }
        }
        net.heal()
    }

    private mutating func work() {
        let index = Int(random.next() % UInt64(count))
        guard net.processes[index].isAlive, !net.processes[index].isPaused else { return }
        let process = net.processes[index]
        let known = process.store.live.keys.sorted()
        let did: UInt64
        var value: UInt64
        if known.isEmpty || random.chance(0.3) {
            dids += 1
            (did, value) = (dids, 1 + random.next() % 100)
        } else {
            did = known[Int(random.next() % UInt64(known.count))]
            value = (process.store.values[did] ?? 0) + 1 + random.next() % 50
            if random.chance(0.2) { value = ToyStore.tombstone }
        }
        if random.chance(0.2), !known.isEmpty, value != ToyStore.tombstone, let deadline = process.store.values[did] {
            net.asked[did * 8 + UInt64(index)] = deadline
            net.ask(index, did, deadline: deadline)
            return
        }
        guard process.cluster.state == .up || process.store.entries[did] != nil else { return }
        let sequence = net.put(index, did, value)
        tokens += 1
        net.waiting[tokens] = (did, value, 1)
        net.wait(index, for: sequence, token: tokens)
    }

    private mutating func fault() {
        let index = Int(random.next() % UInt64(count))
        switch random.next() % 6 {
        case 0 where net.alive.count > 1: net.crash(index)
        case 1: net.restart(index)
        case 2: net.pause(index)
        case 3: net.resume(index)
        case 4:
            let size = 1 + Int(random.next() % UInt64(count - 1))
            net.partition(Set((0..<count).shuffled(using: &random).prefix(size)), oneWay: random.chance(0.3))
        default: net.cut = []
        }
    }
}

@Suite("Chaos")
struct ChaosTests {
    #if DEBUG
        static let seeds = 0..<12 as Range<UInt64>
    #else
        static let seeds = 0..<120 as Range<UInt64>
    #endif

    @Test(arguments: seeds)
    func `after any faults all are up, in one view, and equal within five seconds (R1 to R14)`(seed: UInt64) {
        var chaos = Chaos(seed: seed)
        chaos.run(milliseconds: 10_000)
        let net = chaos.net
        let settled = net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree }
        #expect(settled, "seed \(seed): \(Self.describe(net))")
        #expect(net.violations.isEmpty, "seed \(seed): \(net.violations)")
        #expect(net.processes.allSatisfy { $0.exits.isEmpty }, "seed \(seed) exits")
        // Nothing is left of what ended, and positions meet.
        let clean = net.run(limit: 20_000) {
            net.processes.allSatisfy { $0.store.entries.count == $0.store.live.count }
        }
        #expect(
            clean, "seed \(seed): tombstones stay \(net.processes.map { $0.store.entries.count - $0.store.live.count })"
        )
        #expect(net.storesAgree, "seed \(seed): unequal after the tombstones went")
        for process in net.processes {
            for status in process.cluster.members(now: net.now) where !status.isSelf {
                #expect(
                    status.lagFrames == 0,
                    "seed \(seed): \(process.cluster.localMember.name) lags behind \(status.name)")
            }
        }
    }

    @Test func `the same seed gives the same frames, byte for byte`() {
        let traces = (0..<2).map { _ in
            var chaos = Chaos(seed: 42)
            chaos.run(milliseconds: 5_000)
            // The checks have something to check.
            #expect(chaos.net.counted.commits > 10 && chaos.net.counted.grants > 0)
            return chaos.net.trace
        }
        #expect(traces[0] == traces[1])
    }

    static func describe(_ net: Net) -> String {
        net.processes.map { process in
            let cluster = process.cluster
            let view = cluster.view.members.map { "\($0.name).\($0.boot)" }.joined(separator: ",")
            let own = cluster.localMember
            return "\(own.name).\(own.boot) \(cluster.state.name) fit \(cluster.isFit) \(cluster.quorum) "
                + "e\(cluster.view.epoch) [\(view)] live \(process.store.live.count)"
        }.joined(separator: "; ")
    }
}
