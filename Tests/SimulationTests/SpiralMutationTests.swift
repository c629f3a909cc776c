// The checkers of calls that a server sends back through the cluster fire when something is broken, as those of all
// calls do (CheckerMutationTests).

import Simulator
import Testing

@Suite("Simulation: every checker of spirals fires when the world is tampered with")
struct SpiralMutationTests {
    /// A calm world of three nodes, as soon as it has a call that is as wanted.
    static func world(_ wanted: (World) -> Int?) throws -> (world: World, call: Int, time: Int64) {
        for seed in 100..<140 as Range<UInt64> {
            var options = PlanOptions()
            options.nodes = 3
            options.faults = []
            options.spirals = true
            let world = World(plan: Plan(seed: seed, options: options))
            for time in stride(from: 9_000, through: 29_000, by: 250) as StrideThrough<Int64> {
                world.run(untilMilliseconds: time)
                if let call = wanted(world) { return (world, call, time) }
            }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `the untouched world has no violation, or the tests below prove nothing`() throws {
        let (world, _, _) = try Self.world { $0.spiralsInProgress.first }
        #expect(world.run().violations.isEmpty)
    }

    @Test func `a call that is over while its server still searches is told`() throws {
        let (world, call, time) = try Self.world { $0.spiralsSearching.first }
        world.tamper(burying: call)
        world.run(untilMilliseconds: time + 300)
        #expect(world.violationCodes.contains("spiral-end"))
    }

    @Test func `a BYE that misses the server is told`() throws {
        let (world, call, _) = try Self.world { $0.spiralsInProgress.first }
        world.tamper(sendingByeOf: call, on: 0, toCaller: false, branch: "z9hG4bK-ghost")
        #expect(world.violationCodes.contains("spiral-route"))
    }

    @Test func `a second INVITE at the server is number 11`() throws {
        let (world, call, time) = try Self.world { $0.spiralsInProgress.first }
        world.tamper(repeatingInviteToServerOf: call, on: 2)
        world.run(untilMilliseconds: time + 200)
        #expect(world.violationCodes.contains("11"))
    }
}
