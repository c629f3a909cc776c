// Operators end calls while their phones talk: such an end is final, and its checker fires when one is not carried out.

import Simulator
import Testing

@Suite("Simulation: ends that are asked for")
struct AskedEndTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `an end that two nodes know of comes in time, whatever its phones do`(seed: UInt64) {
        SeedTests.expectNoViolation(seed: seed, faults: nil, deals: seed % 2 == 0, ends: true)
    }

    @Test func `an end that does not come is told`() throws {
        for seed in 100..<140 as Range<UInt64> {
            var options = PlanOptions()
            options.nodes = 3
            options.faults = []
            (options.hunts, options.spirals, options.ends) = (false, false, false)
            let world = World(plan: Plan(seed: seed, options: options))
            world.run(untilMilliseconds: 9_000)
            guard let call = world.callsLasting(forSeconds: 9).first else { continue }
            world.tamper(pretendingAskedEndOf: call)
            #expect(world.run().violations.contains { $0.code == "op" })
            return
        }
        throw CheckerMutationTests.NoCall()
    }
}
