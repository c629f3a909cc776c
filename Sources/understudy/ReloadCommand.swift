// `understudy reload` and `understudy log-level`: a running node reads its configuration again, or logs more or less.

import ArgumentParser
import Management
import Node

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Have a node, or all, read its configuration again, as SIGHUP does.",
        discussion: """
            routes, sets, access.*, limits.*, cluster.peers, node.log-level and the contents of certificates and their \
            keys hold at once; what else has changed is named and needs a restart. A configuration with a problem, or \
            without a peer that is up, changes nothing.

            With --all the node that is asked has every other member do the same over the bus, each with its own file.

            JSON: {"applied":[KEY], "needs_restart":[KEY], "read_certificates":BOOL, "refused":[TEXT], \
            "warnings":[TEXT]}; with --all [{"node", "report" or "not_asked"}].

            Exit codes: 0 taken; 1 refused by one; 2 one could not be asked.
            """)

    @OptionGroup var options: NodeOptions
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false
    @Flag(name: .shortAndLong, help: "Every member, through the node that is asked.") var all = false

    func run() async throws {
        if all { return try await reloadAll() }
        let report = try await Asking.call(try await options.caller(), "cluster.reload", [])
        if json {
            Console.print(report.sorted.printed)
        } else {
            for line in ReloadReport.lines(of: report) { Console.print(line) }
        }
        if Self.isRefused(report) { throw Console.negative }
    }

    private static func isRefused(_ report: JSONValue) -> Bool { report["refused"]?.elements?.isEmpty == false }

    private func reloadAll() async throws {
        let client = try await options.client()
        // First itself: whom its new list of peers has no more is not asked.
        let own = try await Asking.call(client, "cluster.reload", [])
        let status = try await Asking.call(client, "cluster.status", [])
        let node = status["node"] ?? .null
        var reports: [JSONValue] = [.object([.init("node", node), .init("report", own)])]
        for member in status["members"]?.elements ?? [] where member["self"]?.flag != true {
            let name = Cell.text(member["name"])
            // Who was never heard reads its file when it starts.
            guard !name.isEmpty else { continue }
            var row: [JSONValue.Member] = [.init("node", .string(name))]
            do throws(ClientError) {
                let caller = RelayedCaller(name, through: client)
                row.append(.init("report", try await caller.call("cluster.reload", [.string(name)])))
            } catch {
                row.append(.init("not_asked", .string(error.description)))
            }
            reports.append(.object(row))
        }
        reports.sort { Cell.text($0["node"]) < Cell.text($1["node"]) }
        show(reports)
        if reports.contains(where: { $0["not_asked"] != nil }) { throw Console.failed }
        if reports.contains(where: { $0["report"].map(Self.isRefused) ?? false }) { throw Console.negative }
    }

    private func show(_ reports: [JSONValue]) {
        if json { return Console.print(JSONValue.array(reports).sorted.printed) }
        for row in reports {
            let name = Cell.text(row["node"])
            if let report = row["report"] {
                for line in ReloadReport.lines(of: report) { Console.print("\(name): \(line)") }
            } else {
                Console.complain("\(name) was not asked: \(Cell.text(row["not_asked"]))")
            }
        }
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
