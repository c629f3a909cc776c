// The pace of ends that are overdue, by a clock that the test turns.

import Node
import Primitives
import Testing

@Suite("Overdue ends: their pace")
struct OverdueEndsTests {
    /// Dialogs that are due at once, looked at every `step` but for a time when the process stands still.
    /// - Returns: When each had its turn, in milliseconds.
    static func turns(
        _ count: Int, members: Int, step: Int = 1, stop: Range<Int64> = 0..<0
    ) -> [Int64] {
        var ends = OverdueEnds()
        ends.share(among: members)
        var waiting = Array(repeating: Instant.zero, count: count)
        var turns: [Int64] = []
        for moment in stride(from: 0 as Int64, to: 60_000, by: step) where !stop.contains(moment) {
            let now = Instant.zero.advanced(milliseconds: moment)
            waiting = waiting.compactMap { at in
                guard at <= now else { return at }
                let again = ends.wait(now: now)
                if again == nil { turns.append(moment) }
                return again
            }
        }
        return turns
    }

    static func busiest(_ turns: [Int64]) -> Int {
        turns.map { start in turns.count { $0 >= start && $0 < start + 1_000 } }.max() ?? 0
    }

    @Test(arguments: [1, 3, 9])
    func `the cluster ends two hundred a second, each member its part`(members: Int) {
        let turns = Self.turns(400, members: members)
        #expect(turns.count == 400)
        let slack = 10  // 50 ms of it.
        #expect(Self.busiest(turns) <= 200 / members + slack)
        #expect(turns.last! >= 399 * 5 * Int64(members) - 50 && turns.last! <= 400 * 5 * Int64(members))
    }

    @Test func `a process that stood still does not make up for it`() {
        let turns = Self.turns(400, members: 1, stop: 500..<1_500)
        #expect(turns.count == 400)
        #expect(Self.busiest(turns) <= 210)
        #expect(turns.last! >= 399 * 5 + 900, "it takes that much longer")
    }

    @Test func `one that is looked at late keeps the pace all the same`() {
        let turns = Self.turns(400, members: 1, step: 40)
        #expect(turns.count == 400)
        #expect(Self.busiest(turns) <= 220 && turns.last! <= 400 * 5 + 120)
    }

    @Test func `a node that may act again begins anew`() {
        var ends = OverdueEnds()
        #expect(ends.wait(now: .zero) == nil)
        for _ in 0..<1_000 { #expect(ends.wait(now: .zero) != nil) }
        ends.begin()
        #expect(ends.wait(now: .zero) == nil)
    }
}
