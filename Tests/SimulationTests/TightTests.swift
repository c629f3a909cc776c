// Bounds so small that they are reached: what must hold holds there as well.

import Simulator
import Testing

@Suite("Simulation: bounds of a few")
struct TightTests {
    private static let options = {
        var options = PlanOptions()
        options.tight = true
        return options
    }()

    private static func violations(_ plan: Plan) -> [String] {
        World.run(plan).violations.map { "seed \(plan.seed): \($0.code) \($0.line)" }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `with bounds of a few nothing that must hold is violated`(seed: UInt64) {
        #expect(Self.violations(Plan(seed: seed, options: Self.options)).isEmpty)
    }

    @Test func `the bounds change what a run does, and nothing of its plan`() {
        let (tight, plain) = (Plan(seed: 3, options: Self.options), Plan(seed: 3))
        #expect(tight.lines == plain.lines)
        #expect(World.run(tight).trace != World.run(plain).trace)
    }
}
