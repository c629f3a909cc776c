// Every key there is, what takes its text, and those that are known but not served in this version.
//
// In a key a dash and an underscore are the same, and letters may be of either case: the design uses dashes, the
// module's own names use underscores, and nobody should have to remember which is which. The documented spelling is the
// `name`.

/// A value as written: lists are split by whoever read them.
package enum SettingValue: Equatable, Sendable {
    case list([String])
    /// A sequence of mappings, one a route or a set; each value is a list.
    case table([[String: [String]]])
}

package struct SettingKey: Sendable {
    /// How a key counts when its value carries no unit.
    enum Unit: String, Sendable {
        case milliseconds, seconds

        /// What one looks like.
        var likeness: String {
            "a time like \(self == .milliseconds ? "500 or 500ms" : "30 or 30s"): a whole number, with ms, s, m or h"
        }

        /// A whole number in this unit, or with one of its own: `1500ms`, `90s`, `15m`, `1h`. Below zero, and far too
        /// large, is read, so that the range can be told.
        func milliseconds(_ written: String) -> Int64? {
            let text = written.trimmed.lowercased()
            let unsigned = text.hasPrefix("-") ? text.dropFirst() : Substring(text)
            let digits = unsigned.prefix { $0.isASCII && $0.isNumber }
            let plain: Int64 = self == .milliseconds ? 1 : 1_000
            let scales: [String: Int64] = ["": plain, "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000]
            guard !digits.isEmpty, let scale = scales[unsigned[digits.endIndex...].trimmed] else { return nil }
            let number = min(Int64(digits) ?? .max, 1_000_000_000_000)
            return (text.hasPrefix("-") ? -number : number) &* scale
        }
    }

    /// The documented spelling, `sip.t1-ms`.
    package let name: String
    package let isList: Bool
    /// A value, for messages; empty where any text would do.
    var example = ""
    /// Takes the value, or answers why it cannot.
    let apply: @Sendable (inout Settings, [String]) -> String?
    /// Takes lines or rows of a table and answers everything that is wrong with them; `nil` for a plain value.
    var applyTable: (@Sendable (inout Settings, SettingValue) -> [SettingProblem])?

    /// What a number or a time may be, in the key's unit; the rules of some keys are their struct's.
    var range: ClosedRange<Int64>?
    var unit: Unit?
    var takesZero = false
    /// What may be written, where that is one of a few words.
    package internal(set) var choices: [String] = []
    /// The value of a number, a time, a choice or a flag, as the manual writes it.
    var value: (@Sendable (Settings) -> String)?

    /// What the key is without being set; `nil` where that is no such value.
    package var defaultValue: String? { value?(Settings()) }

    /// `0, 90 to 86 400`; empty without a range.
    package var rangeText: String {
        guard let range else { return "" }
        let text = "\(Int(range.lowerBound).grouped) to \(Int(range.upperBound).grouped)"
        return range.count == 1 ? Int(range.lowerBound).grouped : takesZero ? "0, \(text)" : text
    }

    /// Why a key that exists elsewhere in the design is refused here.
    package static func unavailable(_ key: String) -> String? {
        let folded = fold(key)
        guard let leaf = moved.first(where: { folded == "ims-dialog.\($0)" }) else { return nil }
        return "is storage.\(leaf.replacing("-", with: "_")) here"
    }

    /// Parameters of the module that have a section of their own.
    private static let moved =
        ["db-url", "db-mode", "db-update-period", "db-fetch-rows", "table-name", "vars-table-name"]
        + ModuleColumn.allCases.map { fold($0.rawValue) }

    /// The spelling that keys are compared by.
    package static func fold(_ key: String) -> String {
        String(key.lowercased().map { $0 == "_" ? "-" : $0 })
    }

    package static func named(_ key: String) -> SettingKey? {
        let folded = fold(key)
        return all.first { fold($0.name) == folded }
    }

    /// A known key's name for an environment variable's, `UNDERSTUDY_SIP_T1_MS`; `nil` for another variable.
    package static func named(variable: String) -> SettingKey? { all.first { $0.variable == variable } }

    package var variable: String {
        "UNDERSTUDY_" + String(name.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
    }

    /// Whether it is what keys stand below.
    package static func isSection(_ key: String) -> Bool {
        let start = fold(key) + "."
        return all.contains { fold($0.name).hasPrefix(start) }
    }

    /// What an unknown key is told: the key that is meant, if one is near, else those of its section.
    package static func unknown(_ key: String) -> String {
        let folded = fold(key)
        let section = folded.prefix { $0 != "." }
        let leaf = String(folded.split(separator: ".").last ?? "")
        func meaning(_ name: String) -> String { "is not a known key; did you mean \(name)?" }

        if let variable = named(variable: key) { return meaning(variable.name) }
        if isSection(key) {
            let below = all.filter { fold($0.name).hasPrefix("\(folded).") }.map { $0.name.dropFirst(folded.count + 1) }
            return "is a section, not a key; it has \(below.joined(separator: ", "))"
        }
        if let sentence = KamailioNames.sentence(for: folded) ?? WishedNames.sentence(for: folded) { return sentence }
        let neighbours = all.filter { fold($0.name).hasPrefix("\(section).") }
        let begun = neighbours.filter { fold($0.name).hasPrefix(folded) }
        if begun.count == 1, leaf.utf8.count >= 3 { return meaning(begun[0].name) }
        if let near = NearMiss.of(folded, among: neighbours.map { fold($0.name) }), !neighbours.isEmpty,
            NearMiss.distance(folded, near) <= max(1, leaf.utf8.count / 3)
        {
            return meaning(neighbours.first { fold($0.name) == near }?.name ?? near)
        }
        let elsewhere = all.filter { fold($0.name).hasSuffix(".\(leaf)") }.map(\.name)
        let nearest = elsewhere.min {
            (NearMiss.distance(folded, fold($0)), $0) < (NearMiss.distance(folded, fold($1)), $1)
        }
        if let nearest { return meaning(nearest) }
        if let near = NearMiss.of(folded, among: all.map { fold($0.name) }), neighbours.isEmpty {
            return meaning(all.first { fold($0.name) == near }?.name ?? near)
        }
        if let parent = all.first(where: { folded.hasPrefix(fold($0.name) + ".") }) {
            return "is not a known key; \(parent.name) \(parent.objectionToSection)"
        }
        guard neighbours.isEmpty else {
            let inner = folded.lastIndex(of: ".").map { String(folded[..<$0]) } ?? String(section)
            let nearest = isSection(inner) ? inner : String(section)
            let known = neighbours.filter { fold($0.name).hasPrefix("\(nearest).") }
                .map { String($0.name.dropFirst(nearest.count + 1)) }.joined(separator: ", ")
            return "is not a known key; \(nearest) has \(known)"
        }
        return "is not a known key; the sections are \(sections.joined(separator: ", "))"
    }

    private static let sections = all.reduce(into: [String]()) { found, key in
        let section = String(key.name.prefix { $0 != "." })
        if !found.contains(section) { found.append(section) }
    }

    /// A known variable that somebody meant who wrote another; `nil` when none is near.
    package static func nearest(toVariable variable: String) -> String? {
        let ended = all.filter { $0.variable.hasSuffix(variable.dropFirst("UNDERSTUDY".count)) }
        if ended.count == 1 { return ended[0].variable }
        let begun = all.filter { $0.variable.hasPrefix("\(variable)_") }
        if begun.count == 1 { return begun[0].variable }
        let near = NearMiss.of(variable, among: all.map { $0.variable.lowercased() })
        return near.flatMap { near in
            let prefix = "UNDERSTUDY_".count
            let distance = NearMiss.distance(variable.lowercased(), near)
            return distance <= max(1, (near.utf8.count - prefix) / 4) ? near.uppercased() : nil
        }
    }

    /// What is said when the key has keys of its own below it.
    package var objectionToSection: String {
        if applyTable != nil { return "takes a list: begin each of its mappings with '- '" }
        let value = example.isEmpty ? (isList ? "a list of values" : "one value") : "a value like \(example)"
        return "takes \(value), not keys of its own"
    }
}

extension Settings {
    /// Takes one value; a text that cannot be read leaves the setting as it was.
    /// - Returns: What is wrong; nothing when it was taken.
    package mutating func set(_ key: String, to value: SettingValue) -> [SettingProblem] {
        guard let known = SettingKey.named(key) else {
            return [SettingProblem(key: key, message: SettingKey.unavailable(key) ?? SettingKey.unknown(key))]
        }
        if let applyTable = known.applyTable { return applyTable(&self, value) }
        switch value {
        case .list(let texts):
            guard known.isList || texts.count == 1 else {
                return [SettingProblem(key: known.name, message: "takes one value, not \(texts.count)")]
            }
            return known.apply(&self, texts).map { [SettingProblem(key: known.name, message: $0)] } ?? []
        case .table: return [SettingProblem(key: known.name, message: "takes a plain value, not a mapping")]
        }
    }
}
