// `understudy trace`: one call over all nodes, as a ladder.

import ArgumentParser
import Foundation
import Management

struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "One call over all nodes, as a ladder.",
        discussion: """
            Asks a node, and every member through it, for the messages that they have kept of a Call-ID: what came, \
            what left, who held what until it was committed, who took over. A node keeps its last messages in \
            trace.memory-mb of memory, without credentials and keys; \
            OPTIONS, registrations and what was refused have rings of their own, and displace no call.

            A star is what a node did; = an arrow that was there before. With --json: {"reports":[…], \
            "not_asked":[{"name", "why"}]}, the reports as cluster.trace answers them.

            Exit codes: 0 shown; 1 nobody has kept anything of that call; 2 the node could not be asked.
            """)

    @Argument(help: "The Call-ID, as it stands in the messages.") var callID: String
    @OptionGroup var options: NodeOptions
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false
    @Flag(name: .shortAndLong, help: "Print each message below its arrow.") var messages = false
    @Option(help: ArgumentHelp("Write the ladder as SVG to a file.", valueName: "FILE"), completion: .file())
    var svg: String?

    func run() async throws {
        let asked = try await options.caller()
        let (reports, silent) = try await collect(asked)
        if json {
            let value: JSONValue = [
                "reports": .array(reports),
                "not_asked": .array(silent.map { ["name": .string($0.name), "why": .string($0.why)] }),
            ]
            return Console.print(value.sorted.printed)
        }
        var ladder = CallLadder(reports)
        ladder.addSilent(silent.map { "\($0.name) could not be asked: \($0.why)" })
        guard !ladder.isEmpty else {
            for remark in ladder.remarks { Console.complain(remark) }
            Console.complain(
                "no node has kept anything of the call \(callID); \(Self.since(reports)), and what a node had kept "
                    + "ends with its process")
            throw Console.negative
        }
        if let svg {
            do {
                try Data(ladder.svg(title: callID, clock: Self.clock).utf8).write(to: URL(filePath: svg))
            } catch {
                Console.complain("\(svg) cannot be written: \(Console.reason(error))")
                throw Console.failed
            }
            return Console.print("\(svg) has \(ladder.rows.count) events of \(ladder.parties.count) parties")
        }
        Console.page(ladder.text(messages: messages, clock: Self.clock), isAllowed: true)
    }

    private func collect(_ asked: any RPCCaller) async throws -> ([JSONValue], [(name: String, why: String)]) {
        let status = try await Asking.call(asked, "cluster.status", [])
        let own = status["node"]?.text ?? ""
        var reports = [try await Asking.call(asked, "cluster.trace", [.string(callID)])]
        var silent: [(name: String, why: String)] = []
        for member in status["members"]?.elements ?? [] {
            guard let name = member["name"]?.text, !name.isEmpty, name != own else { continue }
            do throws(ClientError) {
                reports.append(try await RelayedCaller(name, through: asked).call("cluster.trace", [.string(callID)]))
            } catch {
                silent.append((name, error.description))
            }
        }
        return (reports, silent)
    }

    private static func since(_ reports: [JSONValue]) -> String {
        let times = reports.compactMap { $0["kept_since_ms"]?.whole }
        guard let first = times.min() else { return "there has been no call" }
        return "the oldest is of \(TimeText.moment(unixSeconds: Double(first) / 1_000))"
    }

    /// `14:03:22.117`
    private static func clock(_ milliseconds: Int64) -> String {
        let moment = TimeText.moment(unixSeconds: (Double(milliseconds) / 1_000).rounded(.down))
        let rest = String(milliseconds % 1_000)
        return "\(moment.suffix(8)).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}
