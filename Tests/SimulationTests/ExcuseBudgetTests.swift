// A code of excuse that becomes frequent fails a run.

import Simulator
import Testing

@Suite("Simulation: the budget of excuses")
struct ExcuseBudgetTests {
    /// A thousand seeds, of which so many have this code; a tenth of their 2xx count as not committed.
    private static func summary(_ code: String, _ count: Int, seeds: Int = 1_000, uncommitted: Int = 1) -> Summary {
        var summary = Summary()
        for seed in 1...UInt64(seeds) {
            var report = SummaryTests.report(seed: seed, seed <= count ? [(code, true)] : [])
            report.answers = 10
            report.uncommitted = uncommitted
            summary.add(report)
        }
        return summary
    }

    @Test func `as many as ever pass, twice as many do not`() throws {
        let budget = try ExcuseBudget("relay 60\nuncommitted 100\n")
        #expect(budget.excesses(in: Self.summary("relay", 60)).isEmpty)
        #expect(budget.excesses(in: Self.summary("relay", 80)).isEmpty)
        #expect(budget.excesses(in: Self.summary("relay", 125)).count == 1)
        #expect(budget.excesses(in: Self.summary("relay", 18, seeds: 300)).isEmpty)
        #expect(budget.excesses(in: Self.summary("relay", 50, seeds: 300)).count == 1)
    }

    @Test func `a code without a line may show twice`() throws {
        let budget = try ExcuseBudget("relay 60\nuncommitted 100\n")
        #expect(budget.excesses(in: Self.summary("owing", 2)).isEmpty)
        #expect(budget.excesses(in: Self.summary("owing", 3)).count == 1)
    }

    @Test func `answers that count as not committed have a share`() throws {
        let budget = try ExcuseBudget("uncommitted 100\n")
        #expect(budget.excesses(in: Self.summary("relay", 0, uncommitted: 1)).isEmpty)
        #expect(budget.excesses(in: Self.summary("relay", 0, uncommitted: 2)).count == 1)
    }

    @Test func `what seeds came to is a budget, written and read again`() throws {
        let budget = ExcuseBudget(Self.summary("relay", 30, seeds: 500))
        #expect(budget.seeds == ["relay": 60, "uncommitted": 100])
        #expect(try ExcuseBudget(budget.text) == budget)
    }

    @Test(arguments: [("relay", 1), ("relay x", 1), ("# a\nrelay 1001", 2), ("relay 1 2", 1), ("relay -1", 1)])
    func `a line that is none is told`(text: String, line: Int) {
        #expect(throws: ExcuseBudget.Problem.line(line)) { try ExcuseBudget(text) }
    }

    @Test func `a code that stands twice is told`() {
        #expect(throws: ExcuseBudget.Problem.twice("relay")) { try ExcuseBudget("relay 1\nrelay 2") }
    }
}
