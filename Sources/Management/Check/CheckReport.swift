// What `understudy check` found, as text and as JSON. Its verdict is `equal` only when everybody was asked: what could
// not be compared is not equal.

/// Why nothing could be compared: exit code 2.
package enum CheckError: Error, Equatable, Sendable, CustomStringConvertible {
    case client(ClientError)
    case clustersDiffer([String])
    /// Two of the URLs lead to one node.
    case askedTwice(name: String, first: String, second: String)

    package var description: String {
        switch self {
        case .client(let error): error.description
        case .clustersDiffer(let names):
            "these nodes are of different clusters (\(names.joined(separator: ", ")))"
        case .askedTwice(let name, let first, let second):
            "\(first) and \(second) are the same node, \(name): name each node once"
        }
    }
}

package struct CheckReport: Equatable, Sendable {
    package struct Unequal: Equatable, Sendable {
        package var did: String
        package var callID: String
        /// `missing on NODE` for each, and the names of fields that differ.
        package var differs: [String]
    }

    /// A member, or a configured peer, that was not compared.
    package struct Unasked: Equatable, Sendable {
        /// Its name, or the bus address of a peer that was never heard.
        package var name: String
        /// Words that can follow "was not asked: ".
        package var why: String

        package init(name: String, why: String) {
            self.name = name
            self.why = why
        }
    }

    /// A dialog that a repair has made equal.
    package struct Mended: Equatable, Sendable {
        package var did: String
        package var callID: String
        /// The members whose record it changed, or that got one.
        package var members: [String]
    }

    /// Exit codes 0, 1 and 2.
    package enum Verdict: Sendable { case equal, unequal, notAllAsked }

    /// Names of the members that were compared, sorted.
    package var members: [String] = []
    /// Live records compared; of members that differ, the most that one has.
    package var dialogs = 0
    package var unequal: [Unequal] = []
    /// How many of the unequal ones at least one member lacks.
    package var missing = 0
    /// Differences too young to count.
    package var inFlight = 0
    package var unasked: [Unasked] = []
    /// Those who were not asked do not count: the operator means the rest.
    package var isPartial = false
    /// Settings that must be the same everywhere and are not, one sentence each. The replicas may be equal all the
    /// same.
    package var remarks: [String] = []
    /// What a repair was asked for and did; `nil` when none was.
    package var mended: [Mended]?

    package init() {}

    package var verdict: Verdict {
        if !unequal.isEmpty { return .unequal }
        return unasked.isEmpty || isPartial ? .equal : .notAllAsked
    }

    package var json: JSONValue {
        let list: [JSONValue] = unequal.map {
            ["did": .string($0.did), "call_id": .string($0.callID), "differs": .texts($0.differs)]
        }
        var members: [JSONValue.Member] = [
            .init("equal", .bool(verdict == .equal)), .init("partial", .bool(isPartial)),
            .init("members", .texts(self.members)), .init("dialogs", .count(dialogs)), .init("unequal", .array(list)),
            .init("missing", .count(missing)), .init("in_flight", .count(inFlight)),
            .init("remarks", .texts(remarks)),
            .init("not_asked", .array(unasked.map { ["name": .string($0.name), "why": .string($0.why)] })),
        ]
        if let mended {
            let done: [JSONValue] = mended.map {
                ["did": .string($0.did), "call_id": .string($0.callID), "members": .texts($0.members)]
            }
            members.append(.init("mended", .array(done)))
        }
        return .object(members)
    }

    /// The verdict in one line.
    package var summary: String {
        let names = members.joined(separator: ", ")
        let count = dialogs == 1 ? "1 dialog" : "\(dialogs) dialogs"
        let flying = inFlight == 0 ? "" : ", \(inFlight) in flight"
        let rest = unasked.isEmpty ? "" : "; not asked: \(unasked.map(\.name).joined(separator: ", "))"
        switch verdict {
        case .equal: return "equal: \(count) on \(names)\(flying)\(rest)"
        case .unequal:
            return "unequal: \(unequal.count) of \(count) on \(names), \(missing) missing somewhere\(flying)\(rest)"
        case .notAllAsked: return "not all asked: \(count) equal on \(names)\(flying)\(rest)"
        }
    }

    /// What the repair did, a line each; with nothing to do, that.
    package var repairLines: [String] {
        guard let mended else { return [] }
        if mended.isEmpty { return [unequal.isEmpty ? "nothing to mend" : "nothing was mended"] }
        return mended.map { "mended on \($0.members.joined(separator: ", ")): \($0.did) \($0.callID)" }
    }

    /// What is different from an earlier look, in a few words; empty when nothing is.
    package func change(since earlier: CheckReport?) -> String {
        guard let earlier else { return "" }
        var words: [String] = []
        if dialogs != earlier.dialogs {
            words.append("\(dialogs > earlier.dialogs ? "+" : "")\(dialogs - earlier.dialogs) dialogs")
        }
        for name in members where !earlier.members.contains(name) { words.append("\(name) is back") }
        for name in earlier.members where !members.contains(name) { words.append("\(name) is missing") }
        let verdicts: [Verdict: String] = [
            .equal: "was equal", .unequal: "was unequal", .notAllAsked: "not all were asked before",
        ]
        if verdict != earlier.verdict, let was = verdicts[earlier.verdict] { words.append(was) }
        return words.joined(separator: ", ")
    }
}
