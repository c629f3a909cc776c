// What a person reads after many seeds.

import Simulator
import Testing

@Suite("Simulation: the summary of many seeds")
struct SummaryTests {
    static func report(seed: UInt64, _ findings: [(code: String, isByNature: Bool)]) -> RunReport {
        var report = RunReport()
        report.seed = seed
        report.findings = findings.map {
            Finding(code: $0.code, isByNature: $0.isByNature, atMilliseconds: 31_050, call: 4, text: "it ended")
        }
        return report
    }

    @Test func `each kind of violation is told with all its seeds and the command that replays the first`() {
        var summary = Summary()
        for seed in [9, 3, 7, 5] as [UInt64] { summary.add(Self.report(seed: seed, [("2", false), ("2", false)])) }
        let lines = summary.lines(replay: "understudy-sim --deal")
        #expect(lines.contains("  2: 4 seeds"))
        #expect(lines.contains("    seed 3  31.050 s, call 4: it ended"))
        #expect(lines.contains("    seed 9  31.050 s, call 4: it ended"))
        #expect(lines.contains("    replay: understudy-sim --deal --seed 3 --trace 4"))
        #expect(lines.last == "4 of 4 seeds with violations")
    }

    @Test func `what is left by nature is counted apart, with three seeds, and is no violation`() {
        var summary = Summary()
        for seed in 1...4 as ClosedRange<UInt64> { summary.add(Self.report(seed: seed, [("2auto", true)])) }
        #expect(summary.lines(replay: "").filter { $0.hasPrefix("    seed ") }.count == 3)
        #expect(summary.violatedSeeds == 0)
        #expect(summary.lines(replay: "").contains("left by nature:"))
        #expect(summary.lines(replay: "").last == "no violation")
    }

    @Test func `the order in which seeds finish does not show`() {
        let reports = (1...6 as ClosedRange<UInt64>).map { Self.report(seed: $0, [("4", false)]) }
        var (forward, backward) = (Summary(), Summary())
        for report in reports { forward.add(report) }
        for report in reports.reversed() { backward.add(report) }
        #expect(forward.lines(replay: "x") == backward.lines(replay: "x"))
    }
}
