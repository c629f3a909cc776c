// The checkers of forked calls fire when something is broken, as those of all calls do (CheckerMutationTests).

import Simulator
import Testing

@Suite("Simulation: every checker of forked calls fires when the world is tampered with")
struct ForkMutationTests {
    /// A calm world of three nodes, as soon as it has a forked call that is as wanted.
    static func world(
        from start: Int64 = 5_000, _ wanted: (World) -> Int?
    ) throws -> (world: World, call: Int, time: Int64) {
        for seed in 100..<160 as Range<UInt64> {
            var options = PlanOptions()
            options.nodes = 3
            options.faults = []
            options.forks = true
            let world = World(plan: Plan(seed: seed, options: options))
            for time in stride(from: start, through: 40_000, by: 250) {
                world.run(untilMilliseconds: time)
                if let call = wanted(world) { return (world, call, time) }
            }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `the untouched world has no violation, or the tests below prove nothing`() throws {
        let (world, _, _) = try Self.world { $0.forksInProgress.first }
        #expect(world.run().violations.isEmpty)
    }

    @Test func `a loser that is deaf to CANCEL rings on, and is told`() throws {
        let (world, call, _) = try Self.world { $0.forksRinging.first }
        world.tamper(deafening: call)
        #expect(world.run().violations.contains { $0.code == "fork-ring" && $0.call == call })
    }

    @Test func `a failure after the 2xx is told`() throws {
        let (world, call, time) = try Self.world { $0.forksInProgress.first }
        world.tamper(failing: call, on: 0)
        world.run(untilMilliseconds: time + 200)
        #expect(world.violationCodes == ["fork-final"])
    }

    @Test func `a dialog that its phones are in and no record has is told`() throws {
        let (world, call, time) = try Self.world { $0.forksInProgress.first }
        world.tamper(endingKeptDialogOf: call)
        world.run(untilMilliseconds: time + 300)
        #expect(world.violationCodes == ["fork-lost"])
    }

    @Test func `a dialog that is over for both its phones and gets a BYE is told`() throws {
        let (world, call, _) = try Self.world { world in
            // At 30 s all faults end, also where there were none.
            world.forksInProgress.first {
                world.expiresUntouched($0, beforeMilliseconds: 29_000)
                    && world.areLosersOver($0, forMilliseconds: 4_000)
            }
        }
        world.tamper(revivingLoserOf: call)
        #expect(world.run().violations.contains { $0.code == "fork-ghost" && $0.call == call })
    }

    @Test func `a BYE to the caller before the deadline is number 2, whichever dialog it is in`() throws {
        let (world, call, _) = try Self.world { $0.forksInProgress.first }
        world.tamper(sendingByeOf: call, on: 0, toCaller: true, branch: "z9hG4bK-ghost")
        #expect(world.violationCodes.contains("2"))
    }
}
