// One reason why a configuration cannot be used. All of them are reported at once, each in one line:
// the key, what is wrong, what is allowed, and where the value came from. Warnings have the same shape.

package struct SettingProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key as documented, `sip.listen`; empty when the whole file is meant.
    package var key: String
    /// What is wrong and what is allowed, without a full stop.
    package var message: String
    /// Where the value came from: `line 7`, `--set`, `UNDERSTUDY_SIP_LISTEN`; empty for a default.
    package var origin: String

    package init(key: String, message: String, origin: String = "") {
        self.key = key
        self.message = message
        self.origin = origin
    }

    package var description: String {
        let subject = key.isEmpty ? message : "\(key): \(message)"
        return origin.isEmpty ? subject : "\(subject) (\(origin))"
    }
}

/// Collects problems of one subsystem with little noise.
struct ProblemList {
    private(set) var problems: [SettingProblem] = []

    mutating func add(_ key: String, _ message: String) {
        problems.append(SettingProblem(key: key, message: message))
    }

    /// A time must lie in the range that the table has for its key.
    mutating func range(_ key: String, _ value: Duration) {
        guard let known = SettingKey.named(key), let range = known.range, let unit = known.unit else { return }
        let scale: Int64 = unit == .milliseconds ? 1 : 1_000
        let (least, most) = (range.lowerBound * scale, range.upperBound * scale)
        if known.takesZero && value == .zero || (least...most).contains(value.wholeMilliseconds) { return }
        add(key, "must be \(range.lowerBound) to \(range.upperBound) \(unit.rawValue)")
    }

    /// A number must, likewise.
    mutating func range(_ key: String, _ value: Int) {
        guard let range = SettingKey.named(key)?.range, !range.contains(Int64(value)) else { return }
        add(key, "must be \(range.lowerBound) to \(range.upperBound)")
    }
}

extension Duration {
    /// Whole milliseconds, rounded down; exact for every configured value.
    package var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1_000 &+ attoseconds / 1_000_000_000_000_000
    }
}
