// `sets`: named groups of targets that several routes may share, and what a route with targets of its own has, too.

package import Proxy
internal import SIP

/// A target with what the set's policy needs of it: `sip:192.0.2.1:5080 weight=3 q=0.5`.
package struct RouteTarget: Equatable, Sendable {
    package var uri: ConfiguredURI
    /// 1 to 1000, default 1.
    package var weight = 1
    /// Thousandths of q, 0 to 1, default 1.
    package var q = 1_000

    package init(_ uri: ConfiguredURI) {
        self.uri = uri
    }
}

package struct RouteSet: Equatable, Sendable {
    /// `name`, as `node.name`; of a route's own targets `routes[N]`.
    package var name: String
    /// `to`, 1 to 16.
    package var targets: [RouteTarget]
    /// `policy`, default failover.
    package var policy = TargetPolicy.failover
    /// `probe-interval-s`, seconds between two OPTIONS to a target, 1 to 3600, or 0 (default): none.
    package var probeInterval = Duration.zero
    /// `up-after`, answers in a row that bring a target back, 1 to 100, default 1.
    package var upAfter = 1
    /// `down-after`, failures in a row that take a target away, 1 to 100, default 3.
    package var downAfter = 3

    package static let targetLimit = 16
    package static let options = ["policy", "probe-interval-s", "up-after", "down-after"]

    package init(name: String, targets: [RouteTarget]) {
        self.name = name
        self.targets = targets
    }

    /// Reads a row of `sets`, and adds everything that is wrong with it to `problems`.
    package static func read(_ row: [String: [String]], number: Int, problems: inout [SettingProblem]) -> RouteSet? {
        var faults = RowFaults(key: "sets", row: "set \(number)")
        faults.checkFields(of: row, known: ["name", "to"] + options)
        let names = row["name"] ?? []
        let name = names.first ?? ""
        if names.count > 1 { faults.add("name is one name") }
        if let reason = NodeSettings.objection(toName: name) { faults.add("name \(reason)") }
        var set: RouteSet?
        if let texts = row["to"] {
            set = read(texts, options: row, name: name, &faults)
        } else if !faults.hasUnknownField {
            faults.add("has no to, a list of SIP URIs")
        }
        problems += faults.problems
        return faults.problems.isEmpty ? set : nil
    }

    static func read(
        _ texts: [String], options row: [String: [String]], name: String, _ faults: inout RowFaults
    ) -> RouteSet? {
        if texts.isEmpty || texts.count > targetLimit { faults.add("to has 1 to \(targetLimit) SIP URIs") }
        var set = RouteSet(name: name, targets: texts.compactMap { readTarget($0, &faults) })
        for (index, target) in set.targets.enumerated() {
            let twin = set.targets[..<index].first { $0.uri.isEquivalent(to: target.uri) }
            if let twin { faults.add("\(twin.uri.text) and \(target.uri.text) are the same (RFC 3261 §16.5, §19.1.4)") }
        }
        if let text = row["policy"]?.first {
            if let policy = TargetPolicy(rawValue: text.trimmed.lowercased()) {
                set.policy = policy
            } else {
                let known = TargetPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                faults.add("policy '\(text)' is not one of \(known)")
            }
        }
        if let seconds = faults.seconds(row, "probe-interval-s", 0...3_600) { set.probeInterval = .seconds(seconds) }
        if let number = faults.number(row, "up-after", 1...100) { set.upAfter = number }
        if let number = faults.number(row, "down-after", 1...100) { set.downAfter = number }
        return set
    }

    private static func readTarget(_ text: String, _ faults: inout RowFaults) -> RouteTarget? {
        let words = text.split(separator: " ").map(String.init)
        guard let first = words.first, let uri = ConfiguredURI(first) else {
            faults.add(ConfiguredURI.objection(to: text, like: "sip:192.0.2.1:5080"))
            return nil
        }
        var target = RouteTarget(uri)
        for word in words.dropFirst() {
            if word.hasPrefix("weight="), let weight = Int(word.dropFirst(7)), (1...1_000).contains(weight) {
                target.weight = weight
            } else if word.hasPrefix("q="), let q = thousandths(word.dropFirst(2)) {
                target.q = q
            } else {
                faults.add("'\(word)' after \(first) is neither weight=1 to weight=1000 nor q=0 to q=1")
            }
        }
        return target
    }

    /// qvalue (RFC 3261 §25.1): `0`, `1`, `0.5`, `0.125`, `1.000`.
    private static func thousandths(_ text: Substring) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = Int(parts[0]), whole == 0 || whole == 1, parts[0].utf8.count == 1 else { return nil }
        var digits = parts.count == 2 ? String(parts[1]) : ""
        guard digits.utf8.count <= 3, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        while digits.utf8.count < 3 { digits += "0" }
        guard let fraction = Int(digits) else { return nil }
        let value = whole * 1_000 + fraction
        return value <= 1_000 ? value : nil
    }

    /// The one-line form, `NAME => URI [weight=N] [q=X] URI … [policy=NAME] …`.
    package static func parse(_ text: String, number: Int, problems: inout [SettingProblem]) -> RouteSet? {
        guard let (name, row) = row(ofLine: text) else {
            problems.append(SettingProblem(key: "sets", message: "'\(text)' is not of the form NAME => URI"))
            return nil
        }
        var fields = row
        fields["name"] = [name]
        return read(fields, number: number, problems: &problems)
    }

    /// What stands before the arrow, and the fields that stand behind it.
    static func row(ofLine text: String, and more: [String] = []) -> (String, [String: [String]])? {
        guard let arrow = text.firstRange(of: "=>") else { return nil }
        var row: [String: [String]] = ["to": []]
        for word in text[arrow.upperBound...].split(separator: " ").map(String.init) {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            if pair.count == 2, (options + more).contains(pair[0]) {
                row[pair[0], default: []].append(pair[1])
            } else if word.hasPrefix("weight=") || word.hasPrefix("q="), let last = row["to"]?.popLast() {
                row["to"]?.append("\(last) \(word)")
            } else {
                row["to"]?.append(word)
            }
        }
        return (text[..<arrow.lowerBound].trimmed, row)
    }
}

/// Collects what is wrong with one row of a table.
struct RowFaults {
    let key: String
    let row: String
    private(set) var problems: [SettingProblem] = []
    /// What a row seems to lack it may have under a name that was mistyped.
    private(set) var hasUnknownField = false

    init(key: String, row: String) {
        self.key = key
        self.row = row
    }

    mutating func add(_ message: String) {
        problems.append(SettingProblem(key: key, message: "\(row): \(message)"))
    }

    mutating func checkFields(of row: [String: [String]], known: [String]) {
        for field in row.keys.sorted() where !known.contains(field) {
            hasUnknownField = true
            if let near = NearMiss.of(field, among: known) {
                add("'\(field)' is not known; did you mean \(near)?")
            } else {
                add("'\(field)' is not known; there are \(known.joined(separator: ", "))")
            }
        }
    }

    mutating func pattern(_ text: String, _ field: String) -> RoutePattern? {
        if text.utf8.count > 1, text.hasPrefix("/"), text.hasSuffix("/") {
            add("\(field) '\(text.prefix(64))': a pattern stands here without slashes around it")
            return nil
        }
        do {
            return try RoutePattern(text)
        } catch {
            add("\(field) '\(text.prefix(64))': \(error.reason)")
            return nil
        }
    }

    mutating func number(_ row: [String: [String]], _ field: String, _ range: ClosedRange<Int>) -> Int? {
        guard let texts = row[field] else { return nil }
        guard texts.count == 1, let number = Int(texts[0].trimmed), range.contains(number) else {
            add("\(field) must be \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// A time, as a key of the same unit takes it.
    mutating func seconds(_ row: [String: [String]], _ field: String, _ range: ClosedRange<Int>) -> Int? {
        guard let texts = row[field] else { return nil }
        guard texts.count == 1, let milliseconds = SettingKey.Unit.seconds.milliseconds(texts[0]) else {
            add("\(field) '\(texts.joined(separator: ", "))' is not \(SettingKey.Unit.seconds.likeness)")
            return nil
        }
        guard milliseconds % 1_000 == 0, range.contains(Int(milliseconds / 1_000)) else {
            add("\(field) must be \(range.lowerBound) to \(range.upperBound) seconds")
            return nil
        }
        return Int(milliseconds / 1_000)
    }
}
