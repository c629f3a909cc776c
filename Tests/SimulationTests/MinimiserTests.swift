// A failing seed is made small enough to read: what its violation needs stays, the rest goes, and two searches find the
// same. What a run shows is made up here; that a real violation is minimised, `Deploy/mutants` shows.

import Simulator
import Testing

@Suite("Simulation: the minimiser")
struct MinimiserTests {
    static let seed: UInt64 = 9
    static let violation = Finding(code: "2", isByNature: false, atMilliseconds: 25_000, call: nil, text: "it ended")

    /// A run that shows the violation as long as all of this is in its plan.
    static func needing(_ calls: [Int], _ faults: [Int], reroll: Int? = nil) -> (Plan, String) -> RunReport {
        { plan, code in
            var report = RunReport()
            let isThere =
                calls.allSatisfy(plan.madeCalls.contains) && faults.allSatisfy(plan.struckFaults.contains)
                && (reroll == nil || plan.reduction.reroll == reroll || plan.reduction.isNone)
            if isThere { report.findings = [violation] }
            return report
        }
    }

    @Test func `only what the violation needs is left`() {
        let whole = Plan(seed: Self.seed)
        #expect(whole.madeCalls.count > 8 && whole.struckFaults.count > 2)
        var minimiser = Minimiser(whole, violation: Self.violation, run: Self.needing([2, 5], [1]))
        minimiser.minimise()
        #expect(minimiser.plan.madeCalls == [2, 5])
        #expect(minimiser.plan.struckFaults == [1])
        #expect(minimiser.plan.nodes == 2)
        #expect(minimiser.tries < Minimiser.tryLimit)
    }

    @Test func `the command it prints names all that is left out`() {
        var minimiser = Minimiser(Plan(seed: Self.seed), violation: Self.violation, run: Self.needing([2], [0]))
        minimiser.minimise()
        let last = minimiser.lines(program: "understudy-sim").last ?? ""
        #expect(last.contains("understudy-sim --only-calls 2 --without-faults 1,2"))
        #expect(last.hasSuffix("--seed 9 --trace"))
    }

    @Test func `the call of the violation is tried alone first`() {
        let violation = Finding(code: "2", isByNature: false, atMilliseconds: 25_000, call: 3, text: "it ended")
        var tried: [[Int]] = []
        var minimiser = Minimiser(Plan(seed: Self.seed), violation: violation) { plan, code in
            tried.append(plan.madeCalls)
            var report = RunReport()
            if plan.madeCalls.contains(3) { report.findings = [violation] }
            return report
        }
        minimiser.minimise()
        #expect(minimiser.plan.madeCalls == [3])
        #expect(tried.prefix(3).contains([3]))
    }

    @Test func `what begins after the violation goes first, whatever it is`() {
        var early = Self.violation
        early.atMilliseconds = 9_000
        var first: Plan?
        var minimiser = Minimiser(Plan(seed: Self.seed), violation: early) { plan, code in
            first = first ?? plan
            return Self.needing([], [])(plan, code)
        }
        minimiser.minimise()
        #expect((first?.madeCalls.count ?? .max) < Plan(seed: Self.seed).madeCalls.count)
        #expect((first?.struckFaults.count ?? .max) < Plan(seed: Self.seed).struckFaults.count)
    }

    @Test func `a violation that other draws hide is found by some that show it`() {
        let run = Self.needing([2], [], reroll: 2)
        var minimiser = Minimiser(Plan(seed: Self.seed), violation: Self.violation, run: run)
        minimiser.minimise()
        #expect(minimiser.plan.madeCalls == [2])
        #expect(minimiser.reduction.reroll == 2)
    }

    @Test(arguments: [1, 5, 40])
    func `no more runs than it may, and what is left still shows it`(limit: Int) {
        let run = Self.needing([2, 5, 7], [0, 2])
        var minimiser = Minimiser(Plan(seed: Self.seed), violation: Self.violation, limit: limit, run: run)
        minimiser.minimise()
        #expect(minimiser.tries <= limit)
        #expect(!run(minimiser.plan, "2").violations.isEmpty)
    }

    @Test func `another code is not what was looked for`() {
        var minimiser = Minimiser(Plan(seed: Self.seed), violation: Self.violation) { _, _ in
            var report = RunReport()
            report.findings = [
                Finding(code: "4", isByNature: false, atMilliseconds: 1, call: nil, text: ""),
                Finding(code: "2", isByNature: true, atMilliseconds: 1, call: nil, text: ""),
            ]
            return report
        }
        minimiser.minimise()
        #expect(minimiser.reduction.isNone)
    }

    @Test func `two searches find the same`() {
        let found = (0..<2).map { _ in
            var minimiser = Minimiser(Plan(seed: Self.seed), violation: Self.violation, run: Self.needing([4], [2]))
            minimiser.minimise()
            return minimiser.lines(program: "")
        }
        #expect(found[0] == found[1])
    }
}
