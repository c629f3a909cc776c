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
    /// The documented spelling, `sip.t1-ms`.
    package let name: String
    package let isList: Bool
    /// Takes the value, or answers why it cannot.
    let apply: @Sendable (inout Settings, [String]) -> String?
    /// Takes lines or rows of a table and answers everything that is wrong with them; `nil` for a plain value.
    var applyTable: (@Sendable (inout Settings, SettingValue) -> [SettingProblem])?

    /// Why a key that exists elsewhere in the design is refused here.
    package static func unavailable(_ key: String) -> String? {
        let folded = fold(key)
        let section = folded.prefix { $0 != "." }
        let isKnown =
            unavailableSections.contains(String(section))
            || unavailableKeys.contains { folded == $0 || folded.hasPrefix($0 + ".") }
        return isKnown ? "is not available in this version; leave it out" : nil
    }

    private static let unavailableSections = ["script", "storage"]
    private static let unavailableKeys = [
        "cluster.witness", "management.mi-fifo", "management.jsonrpc-socket", "management.ctl",
        "management.tls", "ims-dialog.dlg-flag", "ims-dialog.timeout-avp", "ims-dialog.dlg-extra-hdrs",
        "ims-dialog.dlg-match-mode", "ims-dialog.profiles-with-value", "ims-dialog.profiles-no-value",
        "ims-dialog.bridge-controller", "ims-dialog.bridge-contact", "ims-dialog.ruri-pvar", "ims-dialog.db-url",
        "ims-dialog.db-mode", "ims-dialog.db-update-period", "ims-dialog.db-fetch-rows", "ims-dialog.dbg-list",
        "ims-dialog.send-bye",
    ]

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

    /// The known key with the least edits to an unknown one.
    package static func nearest(to key: String) -> String {
        let folded = fold(key)
        let ranked = all.map { (distance: editDistance(folded, fold($0.name)), name: $0.name) }
        return ranked.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name ?? ""
    }

    /// What an unknown key is told.
    package static func unknown(_ key: String) -> String { "is not a known key; did you mean \(nearest(to: key))?" }

    private static func editDistance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8.prefix(128))
        let right = Array(right.utf8)
        var row = Array(0...right.count)
        for (line, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in right.indices {
                let substituted = diagonal + (byte == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substituted, row[column] + 1, row[column + 1] + 1)
            }
        }
        return row[right.count]
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
