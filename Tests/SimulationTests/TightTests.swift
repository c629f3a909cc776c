// Bounds so small that they are reached, and refreshes at the last moment: what must hold holds there as well.

import Simulator
import Testing

@Suite("Simulation: bounds of a few, and the last moment")
struct TightTests {
    private static func options(tight: Bool = false, late: Bool = false) -> PlanOptions {
        var options = PlanOptions()
        (options.tight, options.late) = (tight, late)
        return options
    }

    private static func violations(_ plan: Plan) -> [String] {
        World.run(plan).violations.map { "seed \(plan.seed): \($0.code) \($0.line)" }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `with bounds of a few nothing that must hold is violated`(seed: UInt64) {
        #expect(Self.violations(Plan(seed: seed, options: Self.options(tight: true))).isEmpty)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `with refreshes at the last moment nothing that must hold is violated`(seed: UInt64) {
        #expect(Self.violations(Plan(seed: seed, options: Self.options(late: true))).isEmpty)
    }

    @Test func `the bounds change what a run does, and nothing of its plan`() {
        let (tight, plain) = (Plan(seed: 3, options: Self.options(tight: true)), Plan(seed: 3))
        #expect(tight.lines == plain.lines)
        #expect(World.run(tight).trace != World.run(plain).trace)
    }

    @Test func `late refreshes are those of the same calls`() {
        let late = Plan(seed: 3, options: Self.options(late: true))
        let plain = Plan(seed: 3)
        #expect(late.madeCalls == plain.madeCalls && late.struckFaults == plain.struckFaults)
        #expect(late.lines != plain.lines)
        #expect(late.lines.filter { $0.hasPrefix("fault ") } == plain.lines.filter { $0.hasPrefix("fault ") })
    }
}
