// What many seeds came to, for a person: each kind of violation with the seeds that show it and the command that
// replays the first, and what is left by nature counted apart, with a few seeds of each kind.

package struct Summary: Sendable {
    /// Seeds named for each code of what is left by nature; of violations, which are few, all are.
    package static let exampleLimit = 3

    struct Entry: Sendable {
        var code: String
        var isByNature: Bool
        var seeds = 0
        /// With what the command line fixed.
        var examples: [(seed: UInt64, words: [String], finding: Finding)] = []
    }

    private var entries: [Entry] = []
    package private(set) var seeds = 0
    package private(set) var calls = 0
    package private(set) var confirmed = 0
    package private(set) var byes = 0
    package private(set) var events = 0
    package private(set) var virtualMilliseconds: Int64 = 0
    /// 2xx that left a node, and those of them that count as not committed.
    package private(set) var answers = 0
    package private(set) var uncommitted = 0
    package private(set) var violatedSeeds = 0
    package private(set) var coverage: Coverage?
    /// Of all seeds together.
    package private(set) var hardship = Hardship()

    package init() {}

    package mutating func add(_ report: RunReport) {
        seeds += 1
        calls += report.calls
        confirmed += report.confirmed
        byes += report.byes
        events += report.events
        virtualMilliseconds += report.virtualMilliseconds
        if !report.violations.isEmpty { violatedSeeds += 1 }
        answers += report.answers
        uncommitted += report.uncommitted
        hardship.add(report.hardship)
        if let more = report.coverage {
            var all = coverage ?? Coverage()
            all.add(more)
            coverage = all
        }
        var counted: [(String, Bool)] = []
        for finding in report.findings {
            let key = (finding.code, finding.isByNature)
            guard !counted.contains(where: { $0 == key }) else { continue }
            counted.append(key)
            count(finding, of: report)
        }
    }

    private mutating func count(_ finding: Finding, of report: RunReport) {
        let known = entries.firstIndex { $0.code == finding.code && $0.isByNature == finding.isByNature }
        let index = known ?? entries.count
        if known == nil { entries.append(Entry(code: finding.code, isByNature: finding.isByNature)) }
        entries[index].seeds += 1
        // The lowest seeds, whatever order they were finished in: two runs say the same.
        entries[index].examples.append((report.seed, report.words, finding))
        entries[index].examples.sort { $0.seed < $1.seed }
        guard finding.isByNature else { return }
        entries[index].examples = Array(entries[index].examples.prefix(Summary.exampleLimit))
    }

    /// In how many seeds something was left by nature, by code.
    package var excuses: [String: Int] {
        entries.filter(\.isByNature).reduce(into: [:]) { $0[$1.code] = $1.seeds }
    }

    /// - Parameter replay: The program that runs one seed again; what was fixed for a seed is added, and the seed.
    package func lines(replay: String) -> [String] {
        var lines = [
            "\(seeds) seeds, \(calls) calls, \(confirmed) confirmed, \(byes) BYEs generated, \(events) events",
            hardship.line,
        ]
        for isByNature in [false, true] {
            let chosen = entries.filter { $0.isByNature == isByNature }
                .sorted { ($1.seeds, $0.code) < ($0.seeds, $1.code) }
            guard !chosen.isEmpty else { continue }
            lines.append(isByNature ? "left by nature:" : "violations:")
            for entry in chosen {
                lines.append("  \(entry.code): \(entry.seeds) seed\(entry.seeds == 1 ? "" : "s")")
                for example in entry.examples { lines.append("    seed \(example.seed)  \(example.finding.line)") }
                guard !isByNature, let first = entry.examples.first else { continue }
                lines.append("    replay: " + first.finding.command(replay, first.words, seed: first.seed))
            }
        }
        lines.append(violatedSeeds == 0 ? "no violation" : "\(violatedSeeds) of \(seeds) seeds with violations")
        return lines
    }
}

extension Finding {
    /// `31.250 s, call 4: what happened`
    package var line: String {
        "\(Nanoseconds.milliseconds(atMilliseconds).asSeconds)\(call.map { ", call \($0)" } ?? ""): \(text)"
    }

    /// The command that shows it again, with the trace of its call.
    package func command(_ program: String, _ words: [String], seed: UInt64) -> String {
        let all = [program] + words + ["--seed \(seed)", "--trace"] + (call.map { ["\($0)"] } ?? [])
        return all.joined(separator: " ")
    }
}
