// `dialog` of a route: what the dialogs of its calls begin with. In a file it is a mapping within the route's row,
// which the reader of the file flattens: `dialog.profiles`, `dialog.variables.NAME`.

import Dialogs
import Proxy

extension Route {
    static let dialogFields = ["profiles", "variables", "flags", "properties", "timeout"]
    package static let dialogEntries = 16

    /// Reads the fields of a row that begin with `dialog.`; `nil` when there are none.
    static func readDialog(_ row: [String: [String]], _ faults: inout RowFaults) -> DialogTemplate? {
        let fields = row.filter { $0.key == "dialog" || $0.key.hasPrefix("dialog.") }
        guard !fields.isEmpty else { return nil }
        var template = DialogTemplate()
        for (key, texts) in fields.sorted(by: { $0.key < $1.key }) {
            let parts = key.split(separator: ".", maxSplits: 2).map(String.init)
            if texts.count > dialogEntries { faults.add("\(key): at most \(dialogEntries)") }
            switch parts.count > 1 ? parts[1] : "" {
            case "profiles" where parts.count == 2: template.profiles = texts.compactMap { profile($0, &faults) }
            case "variables" where parts.count == 2:
                for text in texts { addVariable(text, to: &template, &faults) }
            case "variables": addVariable("\(parts[2])=\(texts.first ?? "")", to: &template, &faults)
            case "flags" where parts.count == 2:
                for text in texts {
                    if let flag = UInt8(text.trimmed), flag < 32 {
                        template.flags.append(flag)
                    } else {
                        faults.add("\(key): '\(text)' is not 0 to 31")
                    }
                }
            case "properties" where parts.count == 2:
                for text in texts {
                    if let property = DialogProperty(rawValue: text.trimmed) {
                        template.properties.append(property)
                    } else {
                        let known = DialogProperty.allCases.map(\.rawValue).joined(separator: ", ")
                        faults.add("\(key): '\(text)' is none of \(known)")
                    }
                }
            case "timeout" where parts.count == 2:
                if let seconds = faults.seconds(row, key, DialogChange.timeoutRange) {
                    template.lifetimeMilliseconds = UInt64(seconds) * 1_000
                }
            default: faults.add("'\(key)' is not known; dialog has \(dialogFields.joined(separator: ", "))")
            }
        }
        return template
    }

    private static func profile(_ text: String, _ faults: inout RowFaults) -> DialogTemplate.Profile? {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let value = parts.count == 2 ? self.text(parts[1], "profiles", &faults) : nil
        guard parts.count == 1 || value != nil else { return nil }
        return DialogTemplate.Profile(name: Array(parts[0].trimmed.utf8), value: value)
    }

    private static func addVariable(_ text: String, to template: inout DialogTemplate, _ faults: inout RowFaults) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, 1...DialogChange.nameLimit ~= parts[0].trimmed.utf8.count else {
            return faults.add("dialog.variables: '\(text)' is not of the form NAME=VALUE")
        }
        guard let value = self.text(parts[1], "variables", &faults) else { return }
        template.variables.append(DialogTemplate.Variable(name: Array(parts[0].trimmed.utf8), value: value))
    }

    private static func text(_ text: String, _ field: String, _ faults: inout RowFaults) -> MessageText? {
        if let parsed = MessageText(text.trimmed) { return parsed }
        let known = MessageVariable.allCases.map { "$\($0.rawValue)" }.joined(separator: " ")
        faults.add("dialog.\(field): '\(text)' names what is none of \(known) $hdr(NAME); a plain $ is written $$")
        return nil
    }
}

extension Settings {
    /// Profiles that routes name and the configuration does not have, or has otherwise.
    func checkDialogs(of route: Route, number: Int, _ list: inout ProblemList) {
        for profile in route.dialog?.profiles ?? [] {
            let name = String(decoding: profile.name, as: UTF8.self)
            if dialogs.profilesWithValue.contains(name) {
                guard profile.value == nil else { continue }
                list.add("routes", "route \(number): profile \(name) needs a value, like \(name)=$fU")
            } else if dialogs.profilesNoValue.contains(name) {
                guard profile.value != nil else { continue }
                list.add("routes", "route \(number): profile \(name) has no values (ims_dialog.profiles_no_value)")
            } else {
                let all = dialogs.profilesWithValue + dialogs.profilesNoValue
                let near = NearMiss.of(name, among: all).map { "; did you mean \($0)?" } ?? ""
                list.add(
                    "routes",
                    "route \(number): '\(name)' is none of ims_dialog.profiles_with_value and profiles_no_value\(near)")
            }
        }
    }
}
