// The checks of what a node does as it does it fire when something is broken, as those of what comes of it do
// (CheckerMutationTests).

import Simulator
import Testing

@Suite("Simulation: every check of a turn fires when the world is tampered with")
struct TurnMutationTests {
    private static func world(_ seed: UInt64, faults: [FaultKind] = [], nodes: Int = 3) -> World {
        var options = PlanOptions()
        (options.nodes, options.faults) = (nodes, faults)
        (options.hunts, options.spirals, options.ends, options.timers) = (false, false, false, false)
        return World(plan: Plan(seed: seed, options: options))
    }

    /// A calm world as soon as it has a call that is as wanted.
    private static func world(
        faults: [FaultKind] = [], from start: Int64 = 6_000, step: Int64 = 100, _ wanted: (World) -> Int?
    ) throws -> (world: World, call: Int, time: Int64) {
        for seed in 100..<130 as Range<UInt64> {
            let world = world(seed, faults: faults)
            for time in stride(from: start, through: 24_000, by: Int(step)) as StrideThrough<Int64> {
                world.run(untilMilliseconds: time)
                if let call = wanted(world) { return (world, call, time) }
            }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `who comes up without a record that the members have is R11`() throws {
        for seed in 100..<130 as Range<UInt64> {
            let world = Self.world(seed)
            world.run(untilMilliseconds: 9_000)
            guard let call = world.callsLasting(forSeconds: 8).first else { continue }
            world.tamper(restarting: 2)
            world.run(untilMilliseconds: 13_000)
            try #require(world.violationCodes.isEmpty)
            world.tamper(joining: 2, without: call)
            #expect(world.violationCodes == ["R11"])
            return
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `who was stopped and is fit as if it had not been is R13`() throws {
        let world = Self.world(100)
        world.run(untilMilliseconds: 9_000)
        try #require(world.violationCodes.isEmpty)
        world.tamper(sleeping: 1)
        #expect(world.violationCodes == ["R13"])
    }

    @Test func `an end without the word of a majority is R1`() throws {
        let (world, call, start) = try Self.world { world in
            world.callsInProgress.first { world.expiresUntouched($0, beforeMilliseconds: 28_000) }
        }
        var time = start
        while !world.violationCodes.contains("R1"), time < 30_000, !world.callsBuried.contains(call) {
            time += 1
            world.run(untilMilliseconds: time)
            world.tamper(forgettingGrantsOf: call)
        }
        #expect(world.violationCodes == ["R1"])
    }

    @Test func `an ACK without the deadline of its 2xx is S1-5`() throws {
        let (world, call, _) = try Self.world(faults: [.drop]) { world in
            world.callsInProgress.first { world.expiresUntouched($0, beforeMilliseconds: 60_000) }
        }
        world.tamper(withdrawingDeadlineOf: call, on: 1)
        #expect(world.violationCodes.contains("S1-5"))
    }

    @Test func `two heirs of one call is S1-4`() throws {
        let (world, call, time) = try Self.world { $0.callsRinging.first }
        world.tamper(inheriting: call, on: 0)
        try #require(world.violationCodes.isEmpty)
        world.run(untilMilliseconds: time + 10)
        world.tamper(inheriting: call, on: 1)
        #expect(world.violationCodes == ["S1-4"])
    }

    @Test func `a refusal of a call that others know as answered is S1-4`() throws {
        let (world, call, time) = try Self.world { world in
            world.callsInProgress.first { world.expiresUntouched($0, beforeMilliseconds: 60_000) }
        }
        world.run(untilMilliseconds: time + 1_000)
        world.tamper(refusing: call, on: 1)
        #expect(world.violationCodes == ["S1-4"])
    }

    @Test func `a copy of an INVITE that is not passed on to who has it is S1-2`() throws {
        for seed in 100..<160 as Range<UInt64> {
            let world = Self.world(seed)
            for time in stride(from: 6_000, through: 24_000, by: 100) as StrideThrough<Int64> {
                world.run(untilMilliseconds: time)
                for call in world.callsRinging where world.tamper(ignoringInviteOf: call, on: 1) {
                    #expect(world.violationCodes == ["S1-2"])
                    return
                }
            }
        }
        throw CheckerMutationTests.NoCall()
    }
}
