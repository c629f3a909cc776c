// Scripts ask for requests within calls, in whatever else happens; and the check that goes with them fires when it is
// broken.

import Simulator
import Testing

@Suite("Simulation: requests that the cluster makes")
struct AskerTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `both phones' next requests are accepted, whatever happens`(seed: UInt64) {
        var options = PlanOptions()
        options.deals = seed.isMultiple(of: 2)
        options.asks = true
        let report = World.run(Plan(seed: seed, options: options))
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    private static func worlds(_ body: (World, Int) -> Bool) -> Bool {
        for seed in 100..<160 as Range<UInt64> {
            var options = PlanOptions()
            (options.nodes, options.faults, options.asks) = (3, [], true)
            (options.hunts, options.spirals, options.ends) = (false, false, false)
            let world = World(plan: Plan(seed: seed, options: options))
            for time in stride(from: 6_000, through: 20_000, by: 500) as StrideThrough<Int64> {
                world.run(untilMilliseconds: time)
                if let call = world.callsAsked.first { if body(world, call) { return true } else { break } }
            }
        }
        return false
    }

    @Test func `the untouched worlds have no violation, or the test below proves nothing`() {
        var count = 0
        _ = Self.worlds { world, _ in
            #expect(world.run().violations.isEmpty)
            count += 1
            return count == 5
        }
        #expect(count == 5)
    }

    @Test func `a shift that all nodes forget is told`() {
        let isFound = Self.worlds { world, call in
            for _ in 0..<200 {
                world.tamper(forgettingShiftOf: call)
                world.run(untilMilliseconds: world.milliseconds + 50)
            }
            return world.violationCodes.contains("cseq")
        }
        #expect(isFound)
    }
}
