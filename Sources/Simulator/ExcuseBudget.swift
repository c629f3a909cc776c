// ExcuseBudget is what is left by nature in a thousand seeds, by code, as it was when somebody last looked at it. An
// excuse that becomes frequent hides a fault: a mechanism that is missing often shows as more of them and as nothing
// else (a 2xx that left before its commit is not judged any more). So a run of many seeds fails when a code shows up
// more than half as often again, chance left aside.
//
// A file has a line for each code, `CODE SEEDS`: in how many of a thousand seeds it shows. `uncommitted N` is how many
// of a thousand 2xx count as not committed, which no other check judges. Lines that begin with # say something.

package struct ExcuseBudget: Equatable, Sendable {
    /// The line that counts 2xx, and not seeds.
    package static let uncommitted = "uncommitted"
    /// In this many seeds a code may show without a line of its own.
    static let unlisted = 2

    /// In how many of a thousand seeds.
    package private(set) var seeds: [String: Int] = [:]

    package enum Problem: Error, Equatable, Sendable {
        case line(Int)
        case twice(String)
    }

    package init(_ text: String) throws(Problem) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let parts = line.split(separator: " ")
            guard parts.count == 2, let count = Int(parts[1]), (0...1_000).contains(count) else {
                throw .line(number + 1)
            }
            guard seeds.updateValue(count, forKey: String(parts[0])) == nil else { throw .twice(String(parts[0])) }
        }
    }

    /// What many seeds came to.
    package init(_ summary: Summary) {
        let excuses = summary.excuses
        seeds = excuses.mapValues { ($0 * 1_000 + summary.seeds / 2) / max(1, summary.seeds) }
        seeds[ExcuseBudget.uncommitted] = ExcuseBudget.share(summary)
    }

    package var text: String {
        "# What is left by nature: in how many of a thousand seeds, by code; of `uncommitted`, of a thousand 2xx.\n"
            + seeds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
    }

    /// What shows more often than it may; empty when nothing does.
    package func excesses(in summary: Summary) -> [String] {
        let excuses = summary.excuses
        var lines = excuses.keys.sorted().compactMap { code -> String? in
            guard let count = excuses[code], count > allowed(code, in: summary.seeds) else { return nil }
            return "\(code) is left by nature in \(count) of \(summary.seeds) seeds; expected are "
                + "\(seeds[code] ?? 0) of 1000, and at most \(allowed(code, in: summary.seeds)) are let pass"
        }
        let (share, expected) = (ExcuseBudget.share(summary), seeds[ExcuseBudget.uncommitted] ?? 0)
        // Each seed has its own loss, which many answers share: chance is in the seeds, not in the answers.
        if summary.seeds >= 50, share > expected * 3 / 2 + 20 {
            lines.append("\(share) of 1000 2xx count as not committed; expected are \(expected)")
        }
        return lines
    }

    /// Half as many again, and three standard deviations of as many as that.
    func allowed(_ code: String, in count: Int) -> Int {
        let usual = Double(seeds[code] ?? 0) * 1.5 * Double(count) / 1_000
        return Int(usual + 3 * usual.squareRoot()) + ExcuseBudget.unlisted
    }

    private static func share(_ summary: Summary) -> Int {
        summary.uncommitted * 1_000 / max(1, summary.answers)
    }
}
