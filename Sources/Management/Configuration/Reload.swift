// What another configuration would change in a running node: what can be taken at once, and what only a restart brings.
// A configuration with a problem changes nothing at all.

import Node

package struct ReloadReport: Equatable, Sendable {
    /// Keys whose new values hold from now on.
    package var applied: [String] = []
    /// Keys whose new values a restart would bring.
    package var needsRestart: [String] = []
    /// Certificates and keys of TLS were read again.
    package var readCertificates = false
    /// Why nothing was changed, one sentence each.
    package var refused: [String] = []
    /// What is probably not meant.
    package var warnings: [String] = []

    package init() {}

    package var json: JSONValue {
        [
            "applied": .texts(applied), "needs_restart": .texts(needsRestart),
            "read_certificates": .bool(readCertificates), "refused": .texts(refused), "warnings": .texts(warnings),
        ]
    }

    /// One line for each thing that there is to say.
    package static func lines(of report: JSONValue) -> [String] {
        func list(_ name: String) -> [String] { (report[name]?.elements ?? []).compactMap(\.text) }
        var lines = list("refused").map { "refused, nothing was changed: \($0)" }
        if !list("applied").isEmpty { lines.append("changed: \(list("applied").joined(separator: ", "))") }
        if report["read_certificates"]?.flag == true { lines.append("certificates and keys of TLS were read again") }
        let restart = list("needs_restart")
        if !restart.isEmpty { lines.append("needs a restart: \(restart.joined(separator: ", "))") }
        lines += list("warnings").map { "warning: \($0)" }
        return lines.isEmpty ? ["nothing has changed"] : lines
    }
}

package enum Reload {
    /// Keys that a running node takes.
    private static let sections = ["access.", "limits.", "routes", "sets", "node.log-level"]

    /// What the step from one configuration to another asks for. Certificates are read by whoever serves them.
    package static func report(from old: SettingsLoader.Loaded, to new: SettingsLoader.Loaded) -> ReloadReport {
        var report = ReloadReport()
        guard new.problems.isEmpty else {
            report.refused = new.problems.map(\.description)
            return report
        }
        report.warnings = new.warnings.map(\.description)
        for key in SettingKey.all.map(\.name) where old.values[key] != new.values[key] {
            let isTaken = key == "cluster.peers" && Node.takesPeers(from: old.settings, to: new.settings)
            if isTaken || sections.contains(where: key.hasPrefix) {
                report.applied.append(key)
            } else {
                report.needsRestart.append(key)
            }
        }
        // The bytes of secrets may change where their names do not.
        if old.settings.cluster.keys != new.settings.cluster.keys, !report.needsRestart.contains("cluster.key-file") {
            // Keys may come and go while dids and branches keep their meaning, and while there is a seal at all.
            let isTaken = old.settings.cluster.key == new.settings.cluster.key && !new.settings.cluster.key.isEmpty
            if isTaken {
                report.applied.append("cluster.key-file")
            } else {
                report.needsRestart.append("cluster.key-file")
            }
        }
        let isTokenNew = old.settings.management.token != new.settings.management.token
        if isTokenNew, !report.needsRestart.contains("management.token-file") {
            report.needsRestart.append("management.token-file")
        }
        return report
    }
}
