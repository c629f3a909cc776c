// Refreshes at the last moment: what must hold holds there as well.

import Simulator
import Testing

@Suite("Simulation: refreshes at the last moment")
struct LateTests {
    private static let options: PlanOptions = {
        var options = PlanOptions()
        options.late = true
        return options
    }()

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `nothing that must hold is violated`(seed: UInt64) {
        let found = World.run(Plan(seed: seed, options: Self.options)).violations
        #expect(found.map { "seed \(seed): \($0.code) \($0.line)" }.isEmpty)
    }

    @Test func `late refreshes are those of the same calls`() {
        let (late, plain) = (Plan(seed: 3, options: Self.options), Plan(seed: 3))
        #expect(late.madeCalls == plain.madeCalls && late.struckFaults == plain.struckFaults)
        #expect(late.lines != plain.lines)
    }
}
