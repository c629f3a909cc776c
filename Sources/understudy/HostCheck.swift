// What a configuration needs of this host: files that belong together and are nobody else's to read, folders
// (`HostFiles`), addresses that are here, ports that are free. Looked at by `config check`; `serve` says the same of
// files, and meets the rest itself.

import Foundation
import Management
import Node
import SIP
import Scripting
import Transports

enum HostCheck {
    /// - Parameter origins: Where each key's value came from.
    static func files(
        _ settings: Settings, _ origins: [String: String]
    ) -> (problems: [SettingProblem], warnings: [SettingProblem]) {
        var problems: [SettingProblem] = []
        var warnings: [SettingProblem] = []
        func origin(_ key: String) -> String { origins[key] ?? "" }
        let findings = certificates(settings)
        for finding in findings {
            let told = SettingProblem(key: finding.key, message: finding.message, origin: origin(finding.key))
            if finding.isFatal { problems.append(told) } else { warnings.append(told) }
        }
        let secrets =
            [
                ("cluster.key-file", settings.cluster.keyFile),
                ("registrar.credentials-file", settings.registrar.credentialsFile),
                ("management.token-file", settings.management.tokenFile),
                ("sip.tls.key-file", settings.sip.streams.keyFile),
                ("management.tls.key-file", settings.management.keyFile),
            ] + settings.sip.streams.hosts.map { ("sip.tls.hosts", $0.keyFile) }
        for (key, path) in secrets where !path.isEmpty {
            guard let message = HostFiles.exposure(of: path) else { continue }
            warnings.append(SettingProblem(key: key, message: message, origin: origin(key)))
        }
        for (isFatal, message) in script(settings.script) {
            let told = SettingProblem(key: "script.lua", message: message, origin: origin("script.lua"))
            if isFatal { problems.append(told) } else { warnings.append(told) }
        }
        return (problems, warnings)
    }

    /// What a script has that will not work.
    private static func script(_ settings: ScriptSettings) -> [(isFatal: Bool, message: String)] {
        guard !settings.lua.isEmpty else { return [] }
        do throws(Console.NoFile) {
            let source = try CheckScript.source(settings.lua, settings.path.isEmpty ? nil : settings.path)
            if let objection = ScriptCheck.objection(to: source) { return [(true, objection)] }
            let findings = ScriptCheck.findings(in: source, modules: Set(settings.modules.map(\.rawValue)))
            return findings.map { ($0.kind == .syntax, $0.sentence) }
        } catch {
            return [(true, error.reason)]
        }
    }

    private static func certificates(_ settings: Settings) -> [CertificateCheck.Finding] {
        let now = BootClock.unixMilliseconds / 1_000
        return CertificateCheck.findings(settings, unixSeconds: now, moment: { TimeText.moment(unixSeconds: $0) })
    }

    static func addresses(_ settings: Settings, _ origins: [String: String]) -> [SettingProblem] {
        var wanted = settings.sip.listen.map { ("sip.listen", $0) }
        if let bus = settings.cluster.bus {
            wanted.append(("cluster.bus", bus))
            if bus.port < .max {
                let repair = Endpoint(address: bus.address, port: bus.port + 1, transport: .tcp)
                wanted.append(("cluster.bus", repair))
            }
        }
        if let http = settings.management.http { wanted.append(("management.http", http)) }
        for case .tcp(let endpoint) in settings.management.control { wanted.append(("management.ctl", endpoint)) }
        return wanted.compactMap { key, endpoint in
            guard let hindrance = HostProbe.hindrance(to: endpoint) else { return nil }
            let name = key == "cluster.bus" || key == "management.ctl" ? "tcp" : endpoint.transport.configuredName
            return SettingProblem(
                key: key, message: "\(name) \(endpoint.text) \(hindrance.sentence)", origin: origins[key] ?? "")
        }
    }
}
