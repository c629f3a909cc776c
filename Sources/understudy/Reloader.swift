// Reads the configuration again while the node runs: what it can take, it takes at once, the files of TLS and the
// script are read anew, and what only a restart brings is named. A configuration with a problem changes nothing, and so
// does a script that does not run: the one from before serves on.

import Management
import Node
import Scripting
import Synchronization
import Transports

actor Reloader {
    /// What the node runs with now, reloads included.
    private var current: SettingsLoader.Loaded
    private let live: LiveNode
    private let streams: StreamService?
    private let keys: ServerKeys?
    private let service: ServiceReports
    private let script: ScriptRecipe?
    private let log: NodeLog
    private let reading: @Sendable () -> SettingsLoader.Loaded

    init(
        _ loaded: SettingsLoader.Loaded, live: LiveNode, streams: StreamService?, keys: ServerKeys?,
        service: ServiceReports, script: ScriptRecipe?, log: NodeLog,
        reading: @escaping @Sendable () -> SettingsLoader.Loaded
    ) {
        current = loaded
        self.live = live
        self.streams = streams
        self.keys = keys
        self.service = service
        self.script = script
        self.log = log
        self.reading = reading
    }

    func reload() async -> ReloadReport {
        await service.reloading { await self.readAgain() }
    }

    private func readAgain() async -> ReloadReport {
        let next = reading()
        var report = Reload.report(from: current, to: next)
        if report.refused.isEmpty {
            let (fatal, warnings) = HostCheck.files(next.settings, next.origins)
            report.refused = fatal.map(\.description)
            report.warnings += warnings.map(\.description)
        }
        if report.refused.isEmpty { await take(next, &report) }
        tell(report)
        return report
    }

    private func take(_ next: SettingsLoader.Loaded, _ report: inout ReloadReport) async {
        report.refused = await live.objections(to: next.settings)
        guard report.refused.isEmpty else { return report.applied = [] }
        let newScript: ScriptSource?
        do throws(ScriptRefusal) { newScript = try await readScript() } catch {
            report.refused = [error.why]
            return report.applied = []
        }
        if let refusal = await readCertificates(next.settings, &report) {
            report.refused = [refusal]
            return report.applied = []
        }
        if let newScript { await serve(newScript, &report) }
        guard !report.applied.isEmpty else { return }
        await live.adopt(next.settings)
        // What needs a restart stays as it was, so that the next reload names it again.
        for key in report.applied { current.values[key] = next.values[key] }
        current.settings.access = next.settings.access
        current.settings.limits = next.settings.limits
        current.settings.routes = next.settings.routes
        current.settings.sets = next.settings.sets
        if report.applied.contains("cluster.peers") { current.settings.cluster.peers = next.settings.cluster.peers }
        if report.applied.contains("cluster.key-file") { current.settings.cluster.keys = next.settings.cluster.keys }
        guard report.applied.contains("node.log-level") else { return }
        current.settings.node.logLevel = next.settings.node.logLevel
        if log.isLevelGiven {
            report.warnings.append("node.log-level: serve was given --log-level, which holds")
        } else {
            log.level = next.settings.node.logLevel ?? .info
        }
    }

    private struct ScriptRefusal: Error {
        let why: String
    }

    /// Another script than the one that serves; `nil` when there is none.
    private func readScript() async throws(ScriptRefusal) -> ScriptSource? {
        guard let script else { return nil }
        let source: ScriptSource
        do throws(Console.NoFile) { source = try script.source() } catch { throw ScriptRefusal(why: error.reason) }
        let status = try? await live.status()
        guard status?.script?.version != source.version else { return nil }
        do throws(ScriptError) {
            // Here first: what its files do when they are loaded takes none of the node's time when it fails.
            _ = try script.judge(source, log)
        } catch {
            throw ScriptRefusal(why: error.sentence)
        }
        return source
    }

    private func serve(_ source: ScriptSource, _ report: inout ReloadReport) async {
        guard let script else { return }
        if let refusal = await live.adopt(source, script) {
            report.warnings.append("the script from before serves on: \(refusal)")
        } else {
            report.applied.append("script.lua")
            log.write(Note(.notice, "another script serves", [("version", source.version)]))
        }
    }

    /// - Returns: Why those from before stay.
    private func readCertificates(_ next: Settings, _ report: inout ReloadReport) async -> String? {
        if let streams, !next.sip.streams.certificateFile.isEmpty {
            do throws(StreamError) { try await streams.reloadCertificates() } catch { return error.description }
            report.readCertificates = true
        }
        if let keys {
            do throws(HTTPServerError) { try keys.readAgain() } catch { return error.description }
            report.readCertificates = true
        }
        if report.readCertificates { live.tellCertificates(next) }
        return nil
    }

    private func tell(_ report: ReloadReport) {
        for reason in report.refused {
            log.write(Note(.warning, "the configuration was not taken, that from before stays", [("why", reason)]))
        }
        for warning in report.warnings {
            log.write(Note(.warning, "the configuration says what is probably not meant", [("why", warning)]))
        }
        guard report.refused.isEmpty else { return }
        if report.readCertificates { log.write(Note(.notice, "certificates read again")) }
        if !report.needsRestart.isEmpty {
            let keys = report.needsRestart.joined(separator: ",")
            log.write(Note(.warning, "the configuration changes what only a restart brings", [("keys", keys)]))
        }
        let keys = report.applied.isEmpty ? "none" : report.applied.joined(separator: ",")
        log.write(Note(.notice, "configuration read again", [("changed", keys)]))
    }
}
