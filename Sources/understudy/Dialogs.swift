// `understudy dialogs`: the records that one node holds, its own and replicas alike.

import ArgumentParser
import Foundation
import Management
import Node

struct Dialogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, change, end or export dialogs.",
        subcommands: [ListDialogs.self, ShowDialog.self, SetDialog.self, EndDialog.self, ExportDialogs.self])
}

/// Which dialogs are meant; the node looks for them.
struct DialogFilters: ParsableArguments {
    private static let states = ["unconfirmed", "early", "confirmed_na", "confirmed", "deleted"]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "unconfirmed, early, confirmed_na, confirmed or deleted; several with commas; all live ones without it.",
            valueName: "STATE"),
        completion: .list(Self.states))
    var state: [String] = []
    @Option(help: ArgumentHelp("Only dialogs created by this node.", valueName: "NODE")) var home: String?
    @Option(help: ArgumentHelp("Only dialogs this node acts for now.", valueName: "NODE")) var actor: String?
    @Option(help: ArgumentHelp("Only this Call-ID.", valueName: "Call-ID")) var callID: String?
    @Option(help: ArgumentHelp("Only with this text in From; case does not matter.", valueName: "TEXT"))
    var from: String?
    @Option(help: ArgumentHelp("Only with this text in To; case does not matter.", valueName: "TEXT")) var to: String?
    @Option(help: ArgumentHelp("Only in this profile, under any value or one.", valueName: "NAME[=VALUE]"))
    var profile: String?
    @Option(help: ArgumentHelp("Only with this variable, of any value or one.", valueName: "NAME[=VALUE]"))
    var variable: String?
    @Option(help: ArgumentHelp("Only older ones: 90, 90s, 15m, 2h.", valueName: "AGE")) var older: String?
    @Option(help: ArgumentHelp("Only younger ones, likewise.", valueName: "AGE")) var younger: String?

    func validate() throws {
        for (name, text) in [("--older", older), ("--younger", younger)] {
            guard let text else { continue }
            guard AgeText.seconds(text) != nil else {
                throw ValidationError("\(name) wants an age like 90, 90s, 15m or 2h, not '\(text)'")
            }
        }
        if let older, let younger, let least = AgeText.seconds(older), let most = AgeText.seconds(younger),
            least >= most
        {
            throw ValidationError("nothing is older than \(older) and younger than \(younger)")
        }
        // A variable that a script has not set must not become all of them.
        if !state.isEmpty, !state.contains(where: { $0.contains { $0 != "," && $0 != " " } }) {
            throw ValidationError("--state wants one or several of \(Self.states.joined(separator: ", "))")
        }
        let texts =
            [("--home", home), ("--actor", actor), ("--call-id", callID), ("--from", from), ("--to", to)] + [
                ("--profile", profile), ("--variable", variable),
            ]
        for (name, text) in texts where text?.isEmpty == true {
            throw ValidationError("\(name) wants a text that is not empty")
        }
    }

    /// Why there is nothing, when a node was named that nobody knows; `nil` otherwise.
    func unknownNode(_ status: JSONValue) -> String? {
        let others = (status["members"]?.elements ?? []).compactMap { $0["name"]?.text }.filter { !$0.isEmpty }
        let names = Set(others + [status["node"]?.text ?? ""]).sorted()
        guard let name = [home, actor].compactMap(\.self).first(where: { !names.contains($0) }) else { return nil }
        return "no dialog is of \(name), and no member is called so; there are: \(names.joined(separator: ", "))"
    }

    /// Every page, one after the other.
    func forEachPage(_ client: RPCClient, full: Bool, _ body: ([JSONValue]) throws -> Bool) async throws {
        var cursor: JSONValue = .null
        let states = state.flatMap { $0.split(separator: ",") }.joined(separator: ",")
        repeat {
            let params: JSONValue = [
                "cursor": cursor, "limit": 1_000, "state": optional(states.isEmpty ? nil : states),
                "home": optional(home), "actor": optional(actor), "call_id": optional(callID), "full": .bool(full),
                "from": optional(from), "to": optional(to), "older_s": age(older), "younger_s": age(younger),
                "profile": optional(profile), "variable": optional(variable),
            ]
            let page = try await Asking.call(client, "cluster.dialogs", params)
            guard try body(page["dialogs"]?.elements ?? []) else { return }
            cursor = page["next"] ?? .null
        } while cursor != .null
    }

    private func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    private func age(_ text: String?) -> JSONValue { text.flatMap { AgeText.seconds($0) }.map { .count($0) } ?? .null }
}

struct ListDialogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the dialogs a node holds.",
        discussion: """
            NODE is the home, or home>actor while another node acts for it. LEFT is the time to the deadline. A wide \
            terminal, or --wide, shows Call-IDs, too. On a terminal what does not fit goes through $PAGER, or less.

            JSON: an array of {"did", "call_id", "from_tag", "to_tag", "state", "home", "actor", "remaining_s", \
            "age_s", "from", "to", "outs"}; remaining_s is null without a deadline.
            """)

    @OptionGroup var options: NodeOptions
    @OptionGroup var filters: DialogFilters
    @Option(name: .shortAndLong, help: "At most so many.") var limit: Int?
    @Option(
        help: ArgumentHelp(
            "Order: age (the newest first), remaining, state, home, from, to, call-id.", valueName: "FIELD"))
    var sort: DialogList.Order = .age
    @Flag(help: "The other way round.") var reverse = false
    @Flag(help: "Do not cut anything to the width of the terminal.") var wide = false
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys, one dialog a line.") var json = false
    @Flag(help: "Never start a pager.") var noPager = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more, not \(limit)") }
    }

    func run() async throws {
        let client = try await options.client()
        var list = DialogList(order: sort, isReversed: reverse, limit: limit ?? .max)
        try await filters.forEachPage(client, full: false) { page in
            list.add(page)
            Console.progress("\(list.matched) dialogs")
            return true
        }
        let rows = list.rows()
        Console.clearProgress()
        if json, !rows.isEmpty { return Console.print(JSONValue.array(rows).sorted.printed) }
        let status = try await Asking.call(client, "cluster.status", [])
        if rows.isEmpty, let sentence = filters.unknownNode(status) {
            Console.complain(sentence)
            throw Console.failed
        }
        if json { return Console.print(JSONValue.array(rows).sorted.printed) }
        let held = Int(clamping: status["dialogs"]?["held"]?.whole ?? 0)
        let footer = list.footer(shown: rows.count, held: held)
        guard !rows.isEmpty else { return Console.print(footer) }
        let table = DialogList.table(rows, width: wide ? .max : Console.width)
        Console.page("\(table)\n\(footer)", isAllowed: !noPager)
    }
}

extension DialogList.Order: ExpressibleByArgument {}

struct ShowDialog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show everything one node knows of a dialog.")

    @OptionGroup var options: NodeOptions
    @Argument(help: "A did or a Call-ID.") var dialog: String
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        let found = try await options.call("cluster.dialog", [.string(dialog)])
        if json { return Console.print(found.sorted.printed) }
        Console.print(DialogText.fields(of: found, unixSeconds: Date().timeIntervalSince1970))
    }
}

struct EndDialog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end", abstract: "End a dialog: BYE to both sides, or CANCEL and a final reply while it rings.",
        discussion: """
            Exit codes: 0 it is being ended, or with --wait has ended; 1 the node refused or does not know it, or \
            with --wait it has not ended in time; 2 could not ask.
            """)

    @OptionGroup var options: NodeOptions
    @Argument(help: "A did or a Call-ID.") var dialog: String
    @Flag(name: .shortAndLong, help: "Wait until it has ended, and say how.") var wait = false
    @Option(help: ArgumentHelp("How long --wait waits, 1 to 600; else 40.", valueName: "SECONDS")) var timeout: Int?
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func validate() throws {
        guard (1...600).contains(timeout ?? 1) else { throw ValidationError("--timeout must be 1 to 600") }
        if timeout != nil, !wait {
            throw ValidationError("--timeout belongs to --wait: without it nothing is waited for")
        }
    }

    func run() async throws {
        let outcome = try await options.call("cluster.end", [.string(dialog)])
        let did = outcome["did"].map(Cell.text) ?? dialog
        guard wait else {
            let verb = outcome["outcome"].map(Cell.text) ?? "ending"
            return Console.print(json ? outcome.sorted.printed : "\(verb) \(did)")
        }
        let found = try await Ending.waitFor(did, options, seconds: timeout ?? 40)
        Console.print(json ? found.sorted.printed : "\(did) \(Ending.sentence(found["end"] ?? .null))")
        if found["end"]?["phase"]?.text != "ended" { throw Console.negative }
    }
}

struct ExportDialogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write everything a node knows of its dialogs, one JSON object a line.")

    @OptionGroup var options: NodeOptions
    @OptionGroup var filters: DialogFilters
    @Flag(name: .shortAndLong, help: "It always is JSON.") var json = false

    func run() async throws {
        var count = 0
        try await filters.forEachPage(try await options.client(), full: true) { page in
            for dialog in page { Console.print(dialog.sorted.printed) }
            count += page.count
            return true
        }
        if Console.showsProgress { Console.complain("\(count) dialogs written") }
    }
}
