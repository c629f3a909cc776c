// Bounds so small that they are reached: what must hold holds there as well.

import Simulator
import Testing

@Suite("Simulation: bounds of a few")
struct TightTests {
    private static let options: PlanOptions = {
        var options = PlanOptions()
        options.tight = true
        return options
    }()

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `with bounds of a few nothing that must hold is violated`(seed: UInt64) {
        let found = World.run(Plan(seed: seed, options: Self.options)).violations
        #expect(found.map { "seed \(seed): \($0.code) \($0.line)" }.isEmpty)
    }

    @Test func `the bounds change what a run does, and nothing of its plan`() {
        let (tight, plain) = (Plan(seed: 3, options: Self.options), Plan(seed: 3))
        #expect(tight.lines == plain.lines)
        #expect(World.run(tight).trace != World.run(plain).trace)
    }
}
