// What is left out of a plan is left out, and what is left is what it was.

import Simulator
import Testing

@Suite("Simulation: a plan with less in it")
struct ReductionTests {
    private static func plan(_ seed: UInt64, _ change: (inout Reduction) -> Void) -> Plan {
        var reduction = Reduction()
        change(&reduction)
        return Plan(seed: seed, reduction: reduction)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a call that is left is the call that it was`(seed: UInt64) {
        let whole = Plan(seed: seed).lines
        let less = Self.plan(seed) { $0.onlyCalls = [2, 5] }.lines.filter { $0.hasPrefix("call ") }
        #expect(less.count == 2)
        #expect(less.allSatisfy(whole.contains))
    }

    @Test func `only the calls that are left are made`() {
        let report = World.run(Self.plan(1) { $0.onlyCalls = [0, 4, 6] })
        #expect(report.calls == 3)
        #expect((1...3).contains(report.confirmed))
        #expect(report.violations.isEmpty)
    }

    @Test func `a strike that is left out does not strike`() {
        let whole = Plan(seed: 2)
        let less = Self.plan(2) { $0.withoutFaults = Array(whole.struckFaults.dropFirst()) }
        #expect(World.run(less).hardship.faults == 1)
        #expect(World.run(whole).hardship.faults > 1)
    }

    @Test func `nodes are left out, one stays`() {
        var options = PlanOptions()
        options.nodes = 3
        var reduction = Reduction()
        reduction.fewerNodes = 1
        #expect(Plan(seed: 1, options: options, reduction: reduction).nodes == 2)
        reduction.fewerNodes = 4
        #expect(Plan(seed: 1, options: options, reduction: reduction).nodes == 1)
    }

    @Test func `without loss on either network nothing is lost by it`() {
        let less = Self.plan(1) {
            $0.without = [.bus, .sip]
            $0.withoutFaults = Plan(seed: 1).struckFaults
        }
        let report = World.run(less)
        #expect(report.hardship.lostFrames == 0 && report.hardship.lostDatagrams == 0)
    }

    @Test func `another number, other draws as the run goes, of the same plan`() {
        let again = Self.plan(3) { $0.reroll = 1 }
        #expect(again.lines == Plan(seed: 3).lines)
        #expect(World.run(again).trace != World.run(Plan(seed: 3)).trace)
        #expect(World.run(again).trace == World.run(again).trace)
    }

    @Test func `the words of a command line say all of it`() {
        var reduction = Reduction()
        reduction.onlyCalls = [3, 7]
        reduction.withoutFaults = [2, 5]
        reduction.fewerNodes = 1
        reduction.without = [.writes, .sip]
        reduction.reroll = 4
        #expect(
            reduction.words == [
                "--only-calls 3,7", "--without-faults 2,5", "--fewer-nodes 1", "--without writes,sip", "--reroll 4",
            ])
        #expect(Reduction().words.isEmpty)
        var options = PlanOptions()
        options.nodes = 4
        options.faults = [.crash, .loss]
        options.deals = true
        options.spirals = false
        #expect(options.words == ["--nodes 4", "--faults crash,loss", "--deal", "--no-spirals"])
        options.faults = []
        #expect(options.words.contains("--faults none"))
    }

    @Test func `fresh seeds go through every kind, unless one is fixed`() {
        let length = Int(FreshSeeds.blockLength) * FreshSeeds.kinds.count
        let fresh = FreshSeeds(start: 7_000_000, fixed: PlanOptions())
        let plans = (0..<length).map { fresh.plan(UInt64($0)) }
        for kind in FreshSeeds.kinds { #expect(plans.count { $0.options == kind } == Int(FreshSeeds.blockLength)) }
        #expect(plans.map(\.seed) == Array(7_000_000..<7_000_000 + UInt64(length)))
        var fixed = PlanOptions()
        fixed.nodes = 2
        #expect(FreshSeeds(start: 1, fixed: fixed).plan(320).options == fixed)
    }
}
