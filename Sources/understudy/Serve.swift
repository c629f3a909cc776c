// `understudy serve`: one node in the foreground, from its configuration to its last frame.
//
//   configuration ─▶ sockets ─▶ management ─▶ bus ─▶ SIP thread ─▶ "node ready" … signal ─▶ drain ─▶ leave ─▶ exit
//
// Everything that can be refused is opened before the node begins, so a port in use ends the process with one sentence
// and exit code 2 before a single datagram or frame has gone out. Peers are not waited for.

import ArgumentParser
import Glibc
import Management
import Node
import SIP

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node in the foreground.",
        discussion: """
            Logs to standard output; 'node ready' once it can serve. SIGTERM or SIGINT drains: the node takes no new \
            call (one that reaches it is relayed to another member), and waits for transactions in progress, ringing \
            calls among them, for at most --drain-timeout seconds; then it leaves, and what still rings at it gets \
            480. A second signal leaves at once. \
            SIGHUP reads the configuration again, like understudy reload.

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
    @Option(
        help: ArgumentHelp(
            "Log lines of this level and above: debug, info, notice, warning, error; else node.log-level, else info.",
            valueName: "LEVEL"))
    var logLevel: NoteLevel?
    @Option(
        help: ArgumentHelp(
            "auto, text, journal (priorities, no time) or json; auto is journal where standard output is journald's.",
            valueName: "FORMAT"))
    var logFormat: LogLine.Format = .auto
    @Option(help: ArgumentHelp("How long a drain waits for transactions, 0 to 600.", valueName: "SECONDS"))
    var drainTimeout = 5

    func validate() throws {
        guard (0...600).contains(drainTimeout) else { throw ValidationError("--drain-timeout must be 0 to 600") }
    }

    func run() async throws {
        let loaded = try overrides.load(file: config)
        ProcessMetrics.begin()
        let settings = loaded.settings
        let log = NodeLog(
            node: settings.node.name, given: logLevel, configured: settings.node.logLevel, format: logFormat)
        log.write(
            Note(
                .notice, "understudy starts",
                [("version", Build.version), ("commit", Build.commit), ("build", Build.number)]))
        for warning in loaded.warnings + HostCheck.files(settings, loaded.origins).warnings {
            log.write(
                Note(
                    .warning, "the configuration says what is probably not meant",
                    [("key", warning.key), ("why", warning.message), ("from", warning.origin)]))
        }
        // Whoever has asked through a FIFO, or reads the log, may go away: that is an error of one write.
        signal(SIGPIPE, SIG_IGN)
        let signals = SignalWatch([SIGTERM, SIGINT])
        let reloads = SignalWatch([SIGHUP])
        let process: NodeProcess
        do throws(StartError) {
            process = try await NodeProcess.start(loaded, log: log) { [overrides, config] in
                overrides.reading(file: config)
            }
        } catch {
            await log.finish()
            Console.complain(error.description)
            throw Console.failed
        }
        log.write(
            Note(
                .notice, "node ready",
                [
                    ("sip", settings.sip.listen.map(Self.text).joined(separator: ",")),
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

extension NoteLevel: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }
    public static var allValueStrings: [String] { all.map(\.name) }
    public var defaultValueDescription: String { name }
}

extension LogLine.Format: ExpressibleByArgument {}
