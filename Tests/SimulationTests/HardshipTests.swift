// What is done to the nodes of a seed, on average, is not to become less without anybody noticing: a milder plan would
// turn every seed green.

import Simulator
import Testing

@Suite("Simulation: how hard a seed is")
struct HardshipTests {
    /// The mean of a hundred seeds as it was when the plan was last changed on purpose.
    struct Mean {
        var faults: Double
        var kills: Double
        var cuts: Double
        var pauses: Double
        var lostFrames: Double
        var lostDatagrams: Double
    }

    static let plain = Mean(faults: 5.78, kills: 3.21, cuts: 1.57, pauses: 0.33, lostFrames: 264, lostDatagrams: 10.9)
    /// Dealt to random nodes, and most calls forked.
    static let dealt = Mean(faults: 5.54, kills: 2.80, cuts: 1.58, pauses: 0.32, lostFrames: 295, lostDatagrams: 13.2)

    @Test(arguments: [false, true])
    func `a seed is struck as often as ever, its nodes die as often, and as much is lost`(deals: Bool) {
        var options = PlanOptions()
        options.deals = deals
        options.forks = deals
        var summary = Summary()
        for seed in 1...100 as ClosedRange<UInt64> { summary.add(World.run(Plan(seed: seed, options: options))) }
        let (all, mean) = (summary.hardship, deals ? Self.dealt : Self.plain)
        func isAsMuch(_ count: Int, _ mean: Double, _ what: String) {
            // What nodes say decides how many frames there are to lose, and when the sniper shoots.
            #expect(Double(count) / 100 >= mean * 0.9, "\(what): \(Double(count) / 100) a seed, once \(mean)")
        }
        isAsMuch(all.faults, mean.faults, "faults")
        isAsMuch(all.kills, mean.kills, "kills")
        isAsMuch(all.cuts, mean.cuts, "cuts")
        isAsMuch(all.pauses, mean.pauses, "pauses")
        isAsMuch(all.lostFrames, mean.lostFrames, "frames lost")
        isAsMuch(all.lostDatagrams, mean.lostDatagrams, "datagrams lost")
        #expect(summary.calls >= 1_900, "and as many calls are made: 12 to 28 a seed")
    }
}
