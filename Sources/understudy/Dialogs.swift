// `understudy dialogs`: the records that one node holds, its own and replicas alike.

import ArgumentParser
import Foundation
import Management

struct Dialogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, end or export dialogs.",
        subcommands: [List.self, Show.self, End.self, Export.self])

    struct Filters: ParsableArguments {
        @Option(help: "unconfirmed, early, confirmed_na, confirmed or deleted; all live ones without it.")
        var state: String?
        @Option(help: "Only dialogs created by this node.") var home: String?
        @Option(help: "Only dialogs this node acts for now.") var actor: String?
        @Option(help: ArgumentHelp("Only this Call-ID.", valueName: "Call-ID")) var callID: String?

        /// Every page, one after the other.
        func forEachPage(
            _ options: NodeOptions, full: Bool, _ body: ([JSONValue]) throws -> Bool
        ) async throws {
            let client = try options.client()
            var cursor: JSONValue = .null
            repeat {
                let params: JSONValue = [
                    "cursor": cursor, "limit": 1_000, "state": optional(state), "home": optional(home),
                    "actor": optional(actor), "call_id": optional(callID), "full": .bool(full),
                ]
                let page = try await Asking.call(client, "cluster.dialogs", params)
                guard try body(page["dialogs"]?.elements ?? []) else { return }
                cursor = page["next"] ?? .null
            } while cursor != .null
        }

        private func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the dialogs a node holds.",
            discussion: """
                JSON: an array of {"did","call_id","from_tag","to_tag","state","home","actor","remaining_s","age_s",\
                "from","to","outs"}; remaining_s is null without a deadline.
                """)

        @OptionGroup var options: NodeOptions
        @OptionGroup var filters: Filters
        @Option(help: "At most so many.") var limit: Int?
        @Flag(help: "Print JSON with sorted keys, one dialog a line.") var json = false

        func run() async throws {
            var dialogs: [JSONValue] = []
            let bound = limit ?? .max
            try await filters.forEachPage(options, full: false) { page in
                dialogs += page.prefix(bound - dialogs.count)
                Console.progress("\(dialogs.count) dialogs")
                return dialogs.count < bound
            }
            Console.clearProgress()
            if json { return Console.print(JSONValue.array(dialogs).sorted.printed) }
            let columns = ["did", "state", "home", "actor", "remaining_s", "age_s", "call_id"]
            var table = Table(columns.map { $0.uppercased() }, numeric: [4, 5])
            for dialog in dialogs { table.add(columns.map { dialog[$0].map(Cell.text) ?? "" }) }
            Console.print(table.text)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show everything one node knows of a dialog.")

        @OptionGroup var options: NodeOptions
        @Argument(help: "A did or a Call-ID.") var dialog: String
        @Flag(help: "Print JSON with sorted keys.") var json = false

        func run() async throws {
            let found = try await options.call("cluster.dialog", [.string(dialog)])
            if json { return Console.print(found.sorted.printed) }
            var table = Table(["FIELD", "VALUE"])
            Self.flatten(found, into: &table, prefix: "")
            Console.print(table.text)
        }

        private static func flatten(_ value: JSONValue, into table: inout Table, prefix: String) {
            switch value {
            case .object(let members):
                for member in members {
                    flatten(
                        member.value, into: &table, prefix: prefix.isEmpty ? member.name : "\(prefix).\(member.name)")
                }
            case .array(let elements):
                for (index, element) in elements.enumerated() {
                    flatten(element, into: &table, prefix: "\(prefix)[\(index)]")
                }
            case .null, .bool, .integer, .number, .string: table.add([prefix, Cell.text(value)])
            }
        }
    }

    struct End: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a dialog: BYE to both sides, or CANCEL and a final reply while it rings.",
            discussion: """
                Exit codes: 0 it is being ended, or with --wait has ended; 1 the node refused or does not know it, or \
                with --wait it has not ended in time; 2 could not ask.
                """)

        @OptionGroup var options: NodeOptions
        @Argument(help: "A did or a Call-ID.") var dialog: String
        @Flag(help: "Wait until it has ended, and say how.") var wait = false
        @Option(help: ArgumentHelp("How long to wait; a silent phone takes 32 seconds.", valueName: "seconds"))
        var timeout = 40
        @Flag(help: "Print JSON with sorted keys.") var json = false

        func validate() throws {
            guard (1...3_600).contains(timeout) else { throw ValidationError("--timeout must be 1 to 3600 seconds") }
        }

        func run() async throws {
            let outcome = try await options.call("cluster.end", [.string(dialog)])
            let did = outcome["did"].map(Cell.text) ?? dialog
            guard wait else {
                let verb = outcome["outcome"].map(Cell.text) ?? "ending"
                return Console.print(json ? outcome.sorted.printed : "\(verb) \(did)")
            }
            let found = try await Ending.waitFor(did, options, seconds: timeout)
            Console.print(json ? found.sorted.printed : "\(did) \(Ending.sentence(found["end"] ?? .null))")
            if found["end"]?["phase"]?.text != "ended" { throw Console.negative }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write everything a node knows of its dialogs, one JSON object a line.")

        @OptionGroup var options: NodeOptions
        @OptionGroup var filters: Filters

        func run() async throws {
            var count = 0
            try await filters.forEachPage(options, full: true) { page in
                for dialog in page { Console.print(dialog.sorted.printed) }
                count += page.count
                return true
            }
            if Console.showsProgress { Console.complain("\(count) dialogs written") }
        }
    }
}
