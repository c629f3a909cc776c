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

    @Test func `some refreshes come when the time is up; without the option none does`() {
        let seeds = 1...8 as ClosedRange<UInt64>
        #expect(seeds.reduce(0) { $0 + Plan(seed: $1, options: Self.options).lateRefreshes } > 0)
        #expect(seeds.allSatisfy { Plan(seed: $0).lateRefreshes == 0 })
    }
}
