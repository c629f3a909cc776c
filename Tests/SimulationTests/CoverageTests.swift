// What runs have been through is counted, and looking changes nothing.

import Simulator
import Testing

@Suite("Simulation: coverage")
struct CoverageTests {
    private static let all: Coverage = {
        var summary = Summary()
        for seed in 1...15 as ClosedRange<UInt64> {
            var options = PlanOptions()
            options.deals = seed % 4 == 0
            options.forks = seed % 3 == 0
            options.keepAlive = seed % 5 == 0
            options.forgetful = options.keepAlive
            (options.hunts, options.spirals, options.ends) = (true, true, true)
            (options.writes, options.asks) = (true, true)
            options.sealed = seed == 11
            if seed == 7 || seed == 13 { options.faults = [] }
            if seed == 8 { options.faults = [.drop] }
            if seed == 9 { options.faults = [.marksman] }
            if seed == 10 { (options.nodes, options.faults) = (2, [.crash]) }
            if seed > 12 { options.script = .own }
            summary.add(World.run(Plan(seed: seed, options: options), covers: true))
        }
        // An outage that calls outlive, and a disk that is an old copy; one of many calls, whose ends keep their pace.
        for seed in [1, 27] as [UInt64] {
            var options = PlanOptions()
            (options.disks, options.nodes, options.faults) = (true, 3, [])
            if seed == 27 { options.calls = 120 }
            summary.add(World.run(Plan(seed: seed, options: options), covers: true))
        }
        return summary.coverage ?? Coverage()
    }()

    @Test func `a run that is looked at is the same run`() {
        let looked = World.run(Plan(seed: 4), covers: true)
        let plain = World.run(Plan(seed: 4))
        #expect(looked.trace == plain.trace && looked.findings == plain.findings)
        #expect(looked.coverage != nil && plain.coverage == nil)
    }

    @Test(arguments: Coverage.checks.filter { !["3u", "3b", "S1-2", "S2-10", "ka", "11", "hunt-ghost"].contains($0) })
    func `seventeen seeds give each check something to judge, but for seven that hang on one moment`(check: String) {
        #expect(Self.all.runs(of: check) > 0)
    }

    @Test func `dialogs and members go through their states, and no dialog backwards`() {
        #expect(Self.all.transitions("absent", "unconfirmed") > 100)
        #expect(Self.all.transitions("confirmedNotAcknowledged", "confirmed") > 100)
        #expect(Self.all.transitions("confirmed", "deleted") > 100)
        #expect(Self.all.transitions("joining", "up") > 30)
        let states = ["unconfirmed", "early", "confirmedNotAcknowledged", "confirmed", "deleted"]
        for (place, from) in states.enumerated() {
            for to in states[..<place] { #expect(Self.all.transitions(from, to) == 0, "\(from) → \(to)") }
        }
    }

    @Test func `a line for each fault, and for each check`() {
        let lines = Self.all.lines
        for kind in FaultKind.allCases { #expect(lines.contains { $0.hasPrefix("  \(kind.rawValue): ") }) }
        for check in Coverage.checks { #expect(lines.contains { $0.hasPrefix("  \(check): ") }) }
        #expect(lines.contains { $0.hasPrefix("  2: ") && $0.contains("no committed deadline") })
    }
}
