// A checker that never fires proves nothing. Each test breaks one thing in a world where nothing is wrong, and wants
// the checker for it, by its number in Architecture, "What must hold on every seed", to say so.

import Simulator
import Testing

@Suite("Simulation: every checker fires when the world is tampered with")
struct CheckerMutationTests {
    /// A calm world of three nodes in the middle of its run, with a call that is up and has a while to go.
    static func worldWithCall(
        seed: UInt64, from start: Int64 = 8_000, where isWanted: (World, Int) -> Bool = { _, _ in true }
    ) throws -> (world: World, call: Int) {
        for attempt in seed..<(seed + 20) {
            var options = PlanOptions()
            options.nodes = 3
            options.faults = []
            let world = World(plan: Plan(seed: attempt, options: options))
            for time in stride(from: start, through: start + 12_000, by: 500) {
                world.run(untilMilliseconds: time)
                if let call = world.callsInProgress.first(where: { isWanted(world, $0) }) { return (world, call) }
            }
        }
        throw NoCall()
    }

    struct NoCall: Error {}

    @Test func `the untouched world has no violation, or the tests below prove nothing`() throws {
        let (world, _) = try Self.worldWithCall(seed: 100)
        #expect(world.run().violations.isEmpty)
    }

    @Test func `a record that all nodes lose is number 1`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        for host in 0..<world.nodeCount { world.tamper(dropping: call, on: host) }
        #expect(world.run().violations.contains { $0.code == "1" && $0.call == call })
    }

    @Test func `a record that one node loses makes the replicas unequal, number 5`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(dropping: call, on: 1)
        #expect(!world.areReplicasEqual)
    }

    @Test func `a record that is gone without a tombstone is R5`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(dropping: call, on: 1)
        #expect(world.run().violations.contains { $0.code == "R5" && $0.call == call })
    }

    @Test func `a record that is younger on one node than on the others is told`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(planting: try #require(world.record(of: call, on: 1)), of: call, on: 1)
        #expect(world.run().violations.contains { $0.code == "age" && $0.call == call })
    }

    @Test func `a BYE before the deadline is number 2`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(sendingByeOf: call, on: 0, toCaller: true, branch: "z9hG4bK-ghost")
        #expect(world.violationCodes.contains("2"))
    }

    @Test func `a second BYE transaction to one leg is number 3`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(sendingByeOf: call, on: 0, toCaller: true, branch: "z9hG4bK-ghost-1")
        world.tamper(sendingByeOf: call, on: 1, toCaller: true, branch: "z9hG4bK-ghost-2")
        #expect(world.violationCodes.contains("3"))
    }

    @Test func `the same BYE from two nodes with nothing wrong is number 3b`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(sendingByeOf: call, on: 0, toCaller: true, branch: "z9hG4bK-ghost")
        world.tamper(sendingByeOf: call, on: 1, toCaller: true, branch: "z9hG4bK-ghost")
        #expect(world.violationCodes.contains("3b"))
    }

    @Test func `a call that no node ends is number 4`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100) { $0.isMeantToExpire($1) }
        world.tamper(postponing: call)
        #expect(world.run().violations.contains { $0.code == "4" && $0.call == call })
    }

    @Test func `a node that never comes up is number 12`() throws {
        let (world, _) = try Self.worldWithCall(seed: 100, from: 30_500)
        world.tamper(restartingWithoutNetwork: 2)
        #expect(world.run().violations.contains { $0.code == "12" })
    }

    @Test func `a call that one phone has lost and that no keep-alive ends is told`() {
        var options = PlanOptions()
        options.faults = []
        options.forgetful = true
        let codes = (1...8).flatMap { World.run(Plan(seed: $0, options: options)).violations.map(\.code) }
        #expect(codes.contains("ka"), "\(codes)")
    }

    @Test func `a deleted record that lives again is number 6`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        let bytes = try #require(world.record(of: call, on: 0))
        var time: Int64 = 28_500
        while !world.callsBuried.contains(call) && time < 60_000 {
            world.run(untilMilliseconds: time)
            time += 250
        }
        try #require(world.callsBuried.contains(call))
        world.tamper(planting: bytes, of: call, on: 0)
        world.run(untilMilliseconds: time + 300)
        #expect(world.violationCodes.contains("6"))
    }

    @Test func `the same INVITE by a second branch is number 11`() throws {
        let (world, call) = try Self.worldWithCall(seed: 100)
        world.tamper(repeatingInviteOf: call, on: 2)
        #expect(world.run().violations.contains { $0.code == "11" && $0.call == call })
    }
}
