// `understudy reload` and `understudy log-level`: a running node reads its configuration again, or logs more or less.

import ArgumentParser
import Management
import Node

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Have a node read its configuration again, as SIGHUP does.",
        discussion: """
            access.*, limits.* and the contents of certificates and their keys hold at once; what else has changed is \
            named and needs a restart. A configuration with a problem changes nothing.

            JSON: {"applied":[KEY], "needs_restart":[KEY], "read_certificates":BOOL, "refused":[TEXT], \
            "warnings":[TEXT]}.

            Exit codes: 0 taken; 1 refused; 2 could not ask.
            """)

    @OptionGroup var options: NodeOptions
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        let report = try await options.call("cluster.reload")
        if json {
            Console.print(report.sorted.printed)
        } else {
            for line in ReloadReport.lines(of: report) { Console.print(line) }
        }
        if report["refused"]?.elements?.isEmpty == false { throw Console.negative }
    }
}

struct LogLevelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-level", abstract: "Show how much a node logs, or change it until it ends.")

    @Argument(
        help: "debug, info, notice, warning or error; without it the level is shown.",
        completion: .list(NoteLevel.all.map(\.name)))
    var level: NoteLevel?
    @OptionGroup var options: NodeOptions

    func run() async throws {
        let wanted: JSONValue = level.map { [.string($0.name)] } ?? []
        let answer = try await options.call("cluster.log_level", wanted)
        Console.print(Cell.text(answer["level"]))
    }
}
