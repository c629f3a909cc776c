// `understudy dialogs set` and `understudy profiles`: what an operator changes of a dialog, and how many are in a
// profile.

import ArgumentParser
import Management
import Node

struct SetDialog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change a dialog while it lives; every node has it at once.",
        discussion: """
            dialogs set ID var NAME VALUE, profile NAME VALUE, flag 3, property ka-src, timeout 600 (seconds from \
            now). Exit codes: 0 done; 1 refused, or no such dialog; 2 could not ask.
            """)

    private static let kinds = ["var", "profile", "flag", "property", "timeout"]

    @OptionGroup var options: NodeOptions
    @Argument(help: "A did or a Call-ID.") var dialog: String
    @Argument(help: "var, profile, flag, property or timeout.", completion: .list(Self.kinds)) var kind: String
    @Argument(help: "Of a variable, profile or property; the number of a flag; seconds.") var name: String
    @Argument(help: "Of a variable, or of a profile that takes one.") var value: String?
    @Flag(help: "Take it away.") var remove = false
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func validate() throws {
        guard Self.kinds.contains(kind) else {
            throw ValidationError("what is set is one of \(Self.kinds.joined(separator: ", ")), not '\(kind)'")
        }
        if kind == "timeout", Int(name).map({ !DialogChange.timeoutRange.contains($0) }) ?? true {
            throw ValidationError("\(DialogChange.timeoutSentence) from now, not '\(name)'")
        }
        if kind == "flag", Int(name).map({ !DialogChange.flagRange.contains($0) }) ?? true {
            throw ValidationError("\(DialogChange.flagSentence), not '\(name)'")
        }
        if kind == "var", value == nil, !remove { throw ValidationError("a variable wants a value, or --remove") }
    }

    func run() async throws {
        let outcome = try await options.call(
            "cluster.change",
            [.string(dialog), .string(kind), .string(name), value.map { .string($0) } ?? .null, .bool(remove)])
        Console.print(json ? outcome.sorted.printed : "changed \(outcome["did"].map(Cell.text) ?? dialog)")
    }
}

struct Profiles: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "How many live dialogs of the cluster are in its profiles.",
        discussion: "With a name and a value only the number is printed.")

    @OptionGroup var options: NodeOptions
    @Argument(help: "Of a profile.") var name: String?
    @Argument(help: "Under this value alone.") var value: String?
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        func text(_ word: String?) -> JSONValue { word.map { .string($0) } ?? .null }
        let found = try await options.call("cluster.profiles", [text(name), text(value)])
        if json { return Console.print(found.sorted.printed) }
        let rows = found.elements ?? []
        if name != nil, let row = rows.first { return Console.print(Cell.text(row["size"])) }
        guard !rows.isEmpty else { return Console.print("no profiles; see ims_dialog.profiles_with_value") }
        var table = Table(["PROFILE", "VALUES", "SIZE"], numeric: [2])
        for row in rows {
            table.add([
                Cell.text(row["name"]), row["takes_value"]?.flag == true ? "yes" : "no", Cell.text(row["size"]),
            ])
        }
        Console.print(table.text)
    }
}
