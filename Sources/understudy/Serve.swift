// `understudy serve`: one node in the foreground, from its configuration to its last frame.
//
//   configuration ─▶ sockets ─▶ management ─▶ bus ─▶ SIP thread ─▶ "node ready" … signal ─▶ drain ─▶ leave ─▶ exit
//
// Everything that can be refused is opened before the node begins, so a port in use ends the process with one sentence
// and exit code 2 before a single datagram or frame has gone out. Peers are not waited for.

import ArgumentParser
import Glibc
import Logging
import Management
import Node
import SIP

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node in the foreground.",
        discussion: """
            Logs to standard output; 'node ready' once it can serve. SIGTERM or SIGINT drains, waits for transactions \
            in progress for at most --drain-timeout seconds, then leaves; a second signal leaves at once. \
            SIGHUP reads certificates again.

            Each key is also an UNDERSTUDY_… variable: sip.listen is UNDERSTUDY_SIP_LISTEN. --set wins over variables, \
            and variables over the file.

            Exit codes: 0 left on request; 2 configuration wrong, address in use, or refused by the cluster.
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The YAML file; not needed when --set gives what is required.", valueName: "FILE"),
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?
    @OptionGroup var overrides: SettingOverrides
    @Option(help: "Log lines of this level and above.")
    var logLevel: LogLevel = .info
    @Option(help: ArgumentHelp("How long a drain waits for transactions, 0 to 600.", valueName: "SECONDS"))
    var drainTimeout = 5

    func validate() throws {
        guard (0...600).contains(drainTimeout) else { throw ValidationError("--drain-timeout must be 0 to 600") }
    }

    func run() async throws {
        let (settings, origins, warnings) = try overrides.load(file: config)
        let log = NodeLog(node: settings.node.name, level: logLevel.level)
        log.write(
            Note(
                .notice, "understudy starts",
                [("version", Build.version), ("commit", Build.commit), ("build", Build.number)]))
        for warning in warnings + HostCheck.files(settings, origins).warnings {
            log.write(
                Note(
                    .warning, "the configuration says what is probably not meant",
                    [("key", warning.key), ("why", warning.message), ("from", warning.origin)]))
        }
        let signals = SignalWatch([SIGTERM, SIGINT])
        let reloads = SignalWatch([SIGHUP])
        let process: NodeProcess
        do throws(StartError) {
            process = try await NodeProcess.start(settings, log: log)
        } catch {
            Console.complain(error.description)
            throw Console.failed
        }
        log.write(
            Note(
                .notice, "node ready",
                [
                    ("node", settings.node.name), ("sip", settings.sip.listen.map(Self.text).joined(separator: ",")),
                    ("bus", settings.cluster.bus?.text ?? "none"), ("peers", String(settings.cluster.peers.count)),
                    ("management", settings.management.http?.text ?? "none"),
                ]))
        let code = await process.run(
            until: signals.arrivals, reloads: reloads.arrivals, drainTimeout: .seconds(drainTimeout))
        signals.cancel()
        reloads.cancel()
        if code != 0 { Console.complain(log.lastError ?? "the node ended with code \(code)") }
        await log.finish()
        throw ExitCode(code)
    }
}

extension Serve {
    /// As it is configured; a bare address is UDP.
    private static func text(_ endpoint: Endpoint) -> String {
        endpoint.transport == .udp ? endpoint.text : "\(endpoint.transport.configuredName)://\(endpoint.text)"
    }
}

/// swift-log's levels by name, without those a node never uses.
enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case debug, info, notice, warning, error

    var level: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
