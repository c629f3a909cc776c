// A seed is only worth something if it gives the same run again (Architecture, "What must hold on every seed", number
// 10).

import Simulator
import Testing

@Suite("Simulation: determinism")
struct DeterminismTests {
    @Test(arguments: [3, 14, 159] as [UInt64])
    func `the same seed gives the same trace, event for event`(seed: UInt64) {
        let first = World.run(Plan(seed: seed))
        let second = World.run(Plan(seed: seed))
        #expect(first.trace == second.trace)
        #expect(first.events == second.events)
        #expect(first.findings == second.findings)
    }

    @Test func `different seeds give different traces`() {
        #expect(World.run(Plan(seed: 1)).trace != World.run(Plan(seed: 2)).trace)
    }

    @Test func `a trace that is watched is the same trace`() {
        let watched = World(plan: Plan(seed: 9))
        var lines = 0
        watched.trace { _ in lines += 1 }
        #expect(watched.run().trace == World.run(Plan(seed: 9)).trace)
        #expect(lines > 100)
    }

    @Test func `SplitMix draws the published numbers for seed 1234567`() {
        var random = SplitMix(seed: 1_234_567)
        let drawn = (0..<3).map { _ in random.next() }
        #expect(drawn == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
    }
}
