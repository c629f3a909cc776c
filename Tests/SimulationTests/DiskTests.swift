// Everything is killed at once, and starts from its disks: what the simulator's checks of that say, and that they do.

import Simulator
import Testing

@Suite("Simulation: everything is killed, and starts from its disks")
struct DiskTests {
    private static func plan(_ seed: UInt64, faults: [FaultKind]? = [], calls: Int? = nil) -> Plan {
        var options = PlanOptions()
        options.nodes = 3
        options.disks = true
        options.faults = faults
        options.calls = calls
        return Plan(seed: seed, options: options)
    }

    private static func expectNoViolation(_ plan: Plan) {
        let words = plan.options.words.joined(separator: " ")
        #expect(World.run(plan).violations.isEmpty, "replay: understudy-sim \(words) --seed \(plan.seed)")
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 10] as [UInt64])
    func `calls outlive all of their nodes, and none comes back that was over`(seed: UInt64) {
        Self.expectNoViolation(Self.plan(seed))
    }

    /// Seed 1 of those above found that all nodes ask at one moment for an end whose record came late to each. Seed 10
    /// found that an old disk's row came to life before the others had told of its end. Here ends that were asked for
    /// while nobody could grant them were granted at one moment.
    @Test(arguments: [14, 27] as [UInt64])
    func `many calls whose time has passed keep the pace, with faults besides`(seed: UInt64) {
        Self.expectNoViolation(Self.plan(seed, faults: nil, calls: 120))
    }

    @Test func `no other plan is another for it`() {
        for seed in 1...20 as ClosedRange<UInt64> {
            var options = PlanOptions()
            let plain = Plan(seed: seed, options: options)
            options.disks = true
            let lines = Plan(seed: seed, options: options).lines.filter { !$0.hasPrefix("all are killed at ") }
            #expect(lines == plain.lines)
        }
    }

    /// Of some seeds the first whose disks have what is wanted, right after everything was killed.
    private static func world(calls: Int? = nil, where isWanted: (World) -> Bool) throws -> World {
        for seed in 1...40 as ClosedRange<UInt64> {
            let world = World(plan: plan(seed, calls: calls))
            for time in stride(from: 7_000 as Int64, through: 18_000, by: 100) where !world.hasOutage {
                world.run(untilMilliseconds: time)
            }
            if world.hasOutage, isWanted(world) { return world }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `a call that was on every disk and is nowhere afterwards is named`() throws {
        let world = try Self.world { $0.storedCalls.live > 3 }
        world.tamperEmptyingDisks()
        #expect(world.run().violations.contains { $0.code == "disk" })
    }

    @Test func `one that was over and lives again is named`() throws {
        let world = try Self.world { $0.storedCalls.live > 3 }
        world.tamperBuryingStored()
        #expect(world.run().violations.contains { $0.code == "disk-over" })
    }

    @Test func `ends that keep no pace are named`() throws {
        let world = try Self.world(calls: 30) { $0.storedCalls.live > 0 }
        world.tamperHurryingEnds()
        #expect(world.violationCodes.contains("disk-pace"))
    }
}
