// `understudy top`: all nodes at a glance, again and again.

import ArgumentParser
import Foundation
import Management

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Rates, answers, dialogs and lag of all nodes, live.",
        discussion: """
            Asks a node, and every member through it. CPS are INVITEs that made a dialog, and 2XX to 6XX answers, in a \
            second; ASR how many of the calls were answered in the same time; HELD live records, ACTS those the node \
            acts for, RING dialogs that are being set up, OPEN its transactions, LAG the most that a member is behind \
            there, CPU of one processor.

            Exit codes: 0 interrupted, or shown with --once; 2 the node could not be asked.
            """)

    @OptionGroup var options: NodeOptions
    @Option(name: .shortAndLong, help: ArgumentHelp("Time between two looks, 1 to 60.", valueName: "SECONDS"))
    var interval = 2
    @Flag(help: "Look twice, print, and end.") var once = false

    func validate() throws {
        guard (1...60).contains(interval) else { throw ValidationError("--interval must be 1 to 60") }
    }

    func run() async throws {
        let asked = try await options.caller()
        var (before, _) = try await look(asked)
        while true {
            try? await Task.sleep(for: .seconds(interval))
            let (now, silent) = try await look(asked)
            let text = TopText.text(now, before: before, silent: silent, width: Console.width)
            Console.print(once || !Console.showsProgress ? text : "\u{1B}[H\u{1B}[2J\(text)")
            if once { return }
            before = now
        }
    }

    private func look(_ asked: any RPCCaller) async throws -> ([JSONValue], [(name: String, why: String)]) {
        let status = try await Asking.call(asked, "cluster.status", [])
        var looks = [try await Asking.call(asked, "cluster.top", [])]
        var silent: [(name: String, why: String)] = []
        for member in status["members"]?.elements ?? [] {
            guard let name = member["name"]?.text, !name.isEmpty, member["self"]?.flag != true else { continue }
            do throws(ClientError) {
                looks.append(try await RelayedCaller(name, through: asked).call("cluster.top", []))
            } catch {
                silent.append((name, error.description))
            }
        }
        return (looks.sorted { ($0["node"]?.text ?? "") < ($1["node"]?.text ?? "") }, silent)
    }
}
