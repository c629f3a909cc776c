// Scripts write into records on several nodes at once, in whatever else happens; and each of the checks that go with
// them fires when it is broken.

import Simulator
import Testing

@Suite("Simulation: what scripts write")
struct WriterTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `sizes are right, writes stand and ends are told, whatever happens`(seed: UInt64) {
        var options = PlanOptions()
        options.deals = seed.isMultiple(of: 2)
        options.writes = true
        let report = World.run(Plan(seed: seed, options: options))
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    private static func world(from start: Int64 = 8_000) throws -> (World, Int) {
        for seed in 100..<140 as Range<UInt64> {
            var options = PlanOptions()
            (options.nodes, options.faults, options.writes) = (3, [], true)
            (options.hunts, options.spirals, options.ends) = (false, false, false)
            let world = World(plan: Plan(seed: seed, options: options))
            for time in stride(from: start, through: start + 12_000, by: 500) {
                world.run(untilMilliseconds: time)
                if let call = world.callsWritten.first { return (world, call) }
            }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `the untouched world has no violation, or the tests below prove nothing`() throws {
        #expect(try Self.world().0.run().violations.isEmpty)
    }

    @Test func `a size that is not that of the dialogs is number 7`() throws {
        let (world, _) = try Self.world()
        world.tamper(miscountingOn: 1)
        #expect(world.run().violations.contains { $0.code == "7" })
    }

    @Test func `a write that does not stand is told`() throws {
        let (world, call) = try Self.world()
        world.tamper(pretendingWriteOf: call, on: 0)
        #expect(world.violationCodes.contains("var"))
    }

    @Test func `an event that is told twice, or never, is told`() throws {
        for times in [1, -1] {
            let (world, call) = try Self.world()
            world.tamper(hearing: "start", of: call, times: times)
            #expect(world.run().violations.contains { $0.code == "ev" && $0.call == call }, "\(times)")
        }
    }
}
