// The checkers of the attempts of a proxy above fire when something is broken, as those of all calls do
// (CheckerMutationTests).

import Simulator
import Testing

@Suite("Simulation: every checker of hunts fires when the world is tampered with")
struct HuntMutationTests {
    /// A calm world of three nodes, as soon as it has an attempt that is as wanted.
    static func world(
        step: Int64 = 250, _ wanted: (World) -> Int?
    ) throws -> (world: World, call: Int, time: Int64) {
        for seed in 100..<140 as Range<UInt64> {
            var options = PlanOptions()
            options.nodes = 3
            options.faults = []
            options.hunts = true
            let world = World(plan: Plan(seed: seed, options: options))
            for time in stride(from: 3_000, through: 29_000, by: Int(step)) as StrideThrough<Int64> {
                world.run(untilMilliseconds: time)
                if let call = wanted(world) { return (world, call, time) }
            }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `the untouched world has no violation, or the tests below prove nothing`() throws {
        let (world, _, _) = try Self.world { $0.attemptsInProgress.first }
        #expect(world.run().violations.isEmpty)
    }

    @Test func `an attempt that reaches the target of another with the record of another is told`() throws {
        let (world, call, time) = try Self.world { world in
            world.attemptsRinging.first { call in world.sibling(of: call).map { !world.hasBegun($0) } == true }
        }
        let other = try #require(world.sibling(of: call))
        world.tamper(givingInviteOf: call, to: other, on: 0)
        world.run(untilMilliseconds: time + 200)
        #expect(world.violationCodes.contains("hunt-target"))
        #expect(world.violationCodes.contains("hunt-did"))
    }

    @Test func `an attempt that fails and never reached its target is told`() throws {
        let (world, call, start) = try Self.world { world in
            world.attemptsToCome.first { world.isMeantToFail($0 - 1) }
        }
        world.tamper(silencing: call)
        var time = start
        while !world.hasBegun(call) && time < start + 15_000 {
            time += 50
            world.run(untilMilliseconds: time)
        }
        try #require(world.hasBegun(call))
        world.tamper(failing: call, on: 0)
        world.run(untilMilliseconds: time + 200)
        #expect(world.violationCodes.contains("hunt-reach"))
    }

    @Test func `a caller that is told what the target did not say is told`() throws {
        let (world, call, time) = try Self.world(step: 2) { world in
            world.attemptsRejected.first { world.isMeantToFail($0) }
        }
        world.tamper(failing: call, on: 0, code: 499)
        world.run(untilMilliseconds: time + 200)
        #expect(world.violationCodes.contains("hunt-final"))
    }

    @Test func `an answered attempt whose record is over while its phones talk is told`() throws {
        let (world, call, time) = try Self.world { $0.attemptsInProgress.first }
        world.tamper(endingKeptDialogOf: call)
        world.run(untilMilliseconds: time + 300)
        #expect(world.violationCodes == ["hunt-lost"])
    }

    @Test func `a failed attempt whose record lives on is told`() throws {
        let (world, call, start) = try Self.world { world in
            world.attemptsRinging.first { world.isMeantToFail($0) }
        }
        let bytes = try #require((0..<3).lazy.compactMap { world.record(of: call, on: $0) }.first)
        var time = start
        while !world.hasFailed(call) && time < start + 10_000 {
            time += 50
            world.run(untilMilliseconds: time)
        }
        try #require(world.hasFailed(call))
        world.run(untilMilliseconds: time + 9_000)
        for host in 0..<3 { world.tamper(planting: bytes, of: call, on: host) }
        world.run(untilMilliseconds: time + 11_000)
        #expect(world.violationCodes.contains("hunt-ghost"))
    }

    @Test func `an INVITE that is tried again and reaches its target twice is number 11`() throws {
        let (world, call, time) = try Self.world { $0.attemptsInProgress.first }
        // Longer than any copy may be under way.
        world.run(untilMilliseconds: time + 700)
        world.tamper(repeatingInviteOf: call, on: 2)
        #expect(world.run().violations.contains { $0.code == "11" && $0.call == call })
    }
}
