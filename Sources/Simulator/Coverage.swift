// Coverage says what runs have been through: which faults struck, through which states dialogs and members went, how
// often each check was at work, fired, excused what it saw, or looked away and why. A check that never ran proves
// nothing, nor does a fault that is never drawn.
//
// It is kept where it is asked for (`--coverage`) and costs nothing elsewhere.

package struct Coverage: Equatable, Sendable {
    /// Something that is counted, by its kind.
    enum Subject: Hashable, Comparable {
        case fault(String)
        case dialog(from: String, to: String)
        case member(from: String, to: String)
        case ran(String)
        case lookedAway(String, String)
        /// A message of the bus that was not opened, by why.
        case refused(String)
        /// Every node has a new key.
        case keyChange
    }

    /// The codes of findings that are checked at a place of their own. Others (`sip`, `bus`, `spin`) are looked for all
    /// the time.
    package static let checks = [
        "1", "2", "3", "3b", "3u", "4", "4late", "5", "5s", "6", "7", "8", "9", "11", "12", "R1", "R2", "R5", "R9",
        "R11", "R13", "S1-2", "S1-3", "S1-4", "S1-5", "S1-8", "S2-10", "S2-11", "age", "calm", "commit", "cseq", "disk",
        "disk-over", "disk-pace", "ev", "fork-final", "fork-ghost", "fork-lost", "fork-ring", "hunt-did", "hunt-final",
        "hunt-ghost", "hunt-lost", "hunt-reach", "hunt-target", "ka", "op", "reg-answer", "reg-commit", "reg-late",
        "reg-lost", "reg-rise", "script", "seal", "spiral-end", "spiral-route", "var",
    ]
    /// Dialogs' states in their order, and none.
    static let dialogStates = [
        "absent", "unconfirmed", "early", "confirmedNotAcknowledged", "confirmed", "deleted",
    ]
    static let memberStates = ["joining", "up", "draining", "left"]

    private(set) var counts: [Subject: Int] = [:]
    /// Findings by code: violations, and what was left by nature.
    private(set) var fired: [String: Int] = [:]
    private(set) var excused: [String: Int] = [:]

    package init() {}

    mutating func count(_ subject: Subject) { counts[subject, default: 0] += 1 }

    mutating func note(_ findings: [Finding]) {
        for finding in findings {
            if finding.isByNature {
                excused[finding.code, default: 0] += 1
            } else {
                fired[finding.code, default: 0] += 1
            }
        }
    }

    mutating func add(_ other: Coverage) {
        counts.merge(other.counts, uniquingKeysWith: +)
        fired.merge(other.fired, uniquingKeysWith: +)
        excused.merge(other.excused, uniquingKeysWith: +)
    }

    package func runs(of check: String) -> Int { counts[.ran(check)] ?? 0 }
    /// Messages of the bus that were not opened, for a reason by its name.
    package func refusals(_ name: String) -> Int { counts[.refused(name)] ?? 0 }
    package var keyChanges: Int { counts[.keyChange] ?? 0 }
    package func strikes(of kind: FaultKind) -> Int { counts[.fault(kind.rawValue)] ?? 0 }
    package func transitions(_ from: String, _ to: String) -> Int {
        (counts[.dialog(from: from, to: to)] ?? 0) + (counts[.member(from: from, to: to)] ?? 0)
    }

    // MARK: For people

    package var lines: [String] {
        var lines = ["faults that struck:"]
        lines += FaultKind.allCases.map { "  \($0.rawValue): \(strikes(of: $0))" }
        lines.append("dialogs, as each node's record went:")
        lines += passages(Coverage.dialogStates) { .dialog(from: $0, to: $1) }
        lines.append("members:")
        lines += passages(Coverage.memberStates) { .member(from: $0, to: $1) }
        let refused = counts.keys.sorted().compactMap { subject -> String? in
            guard case .refused(let name) = subject else { return nil }
            return "\(name) \(refusals(name))"
        }
        let list = refused.isEmpty ? "none" : refused.joined(separator: ", ")
        lines.append("messages of the bus that were not opened: \(list)")
        lines.append("keys changed on all nodes: \(keyChanges)")
        lines.append("checks: at work, fired, left by nature; looked away")
        for check in Coverage.checks {
            var line = "  \(check): \(runs(of: check)), \(fired[check] ?? 0), \(excused[check] ?? 0)"
            let away = reasons(of: check)
            if !away.isEmpty { line += "; " + away.map { "\($0.count) \($0.reason)" }.joined(separator: ", ") }
            lines.append(line)
        }
        let others = Set(fired.keys).union(excused.keys).subtracting(Coverage.checks).sorted()
        lines += others.map { "  \($0): all the time, \(fired[$0] ?? 0), \(excused[$0] ?? 0)" }
        let never = Coverage.checks.filter { runs(of: $0) == 0 }
        lines.append(never.isEmpty ? "every check was at work" : "never at work: " + never.joined(separator: " "))
        return lines
    }

    private func passages(_ states: [String], _ subject: (String, String) -> Subject) -> [String] {
        var seen: [String] = []
        for from in states {
            let ways = states.compactMap { to in counts[subject(from, to)].map { "\(to) \($0)" } }
            if !ways.isEmpty { seen.append("  \(from) → " + ways.joined(separator: ", ")) }
        }
        return seen
    }

    private func reasons(of check: String) -> [(reason: String, count: Int)] {
        counts.compactMap { subject, count -> (reason: String, count: Int)? in
            guard case .lookedAway(check, let reason) = subject else { return nil }
            return (reason, count)
        }.sorted { ($1.count, $0.reason) < ($0.count, $1.reason) }
    }
}

extension World {
    /// A check has something before it that it judges.
    func ran(_ check: StaticString) { checks.ran(check) }

    /// A check does not judge what it has before it.
    func looksAway(_ check: StaticString, _ reason: StaticString) { checks.looksAway(check, reason) }

    /// After each event of a node's: through which states it and its dialogs have gone.
    func notePassages(_ host: Host) {
        guard checks.coverage != nil, let node = host.node else { return }
        let member = "\(NodeInspection.state(of: node))"
        if let before = checks.memberSeen[host.process], before != member {
            checks.coverage?.count(.member(from: before, to: member))
        }
        checks.memberSeen[host.process] = member
        for call in truth {
            guard let did = call.did else { continue }
            let state = NodeInspection.dialogState(did, node)
            let key = CheckState.Place(process: host.process, call: call.index)
            let before = checks.dialogSeen[key] ?? nil
            guard before != state else { continue }
            checks.dialogSeen[key] = state
            checks.coverage?.count(
                .dialog(from: before.map { "\($0)" } ?? "absent", to: state.map { "\($0)" } ?? "absent"))
        }
    }
}

extension CheckState {
    /// A call's record on a process.
    struct Place: Hashable {
        var process: ProcessID
        var call: Int
    }

    func ran(_ check: StaticString) {
        guard coverage != nil else { return }
        coverage?.count(.ran(check.description))
    }

    func looksAway(_ check: StaticString, _ reason: StaticString) {
        guard coverage != nil else { return }
        coverage?.count(.lookedAway(check.description, reason.description))
    }
}
