// A bus that is sealed, keys that change under the calls, and a stranger who says on it what he likes: what must hold
// holds there as well, and nothing of his is opened.

import Simulator
import Testing

@Suite("Simulation: a sealed bus, and a stranger on it")
struct SealedTests {
    private static let options: PlanOptions = {
        var options = PlanOptions()
        options.sealed = true
        return options
    }()

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `nothing that must hold is violated`(seed: UInt64) {
        let found = World.run(Plan(seed: seed, options: Self.options)).violations
        #expect(found.map { "seed \(seed): \($0.code) \($0.line)" }.isEmpty)
    }

    @Test func `the seal changes what a run does, and nothing of its plan`() {
        let (sealed, plain) = (Plan(seed: 3, options: Self.options), Plan(seed: 3))
        #expect(sealed.lines == plain.lines)
        #expect(World.run(sealed).trace != World.run(plain).trace)
    }

    @Test func `keys change, and a stranger is refused for every reason there is`() throws {
        var summary = Summary()
        for seed in 1...3 as ClosedRange<UInt64> {
            summary.add(World.run(Plan(seed: seed, options: Self.options), covers: true))
        }
        let coverage = try #require(summary.coverage)
        #expect(coverage.keyChanges > 0)
        let names = [
            "malformed", "oversized", "version", "unsealed", "unknown_key", "forged", "replayed", "unproven",
        ]
        #expect(names.filter { coverage.refusals($0) == 0 }.isEmpty)
        #expect(coverage.runs(of: "seal") > 1_000)
    }

    @Test func `a stranger who seals as the members do is found out`() {
        let world = World(plan: Plan(seed: 2, options: Self.options))
        world.run(untilMilliseconds: 5_000)
        world.tamperGivingStrangerTheKeys()
        world.run(untilMilliseconds: 15_000)
        #expect(world.violationCodes.contains("seal"))
    }

    @Test func `without the seal there is no stranger, and nothing is refused`() {
        let seen = World.run(Plan(seed: 3), covers: true).coverage
        #expect(seen?.runs(of: "seal") == 0)
        #expect(seen?.refusals("forged") == 0)
    }
}
