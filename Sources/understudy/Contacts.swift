// `understudy contacts`: where phones can be reached, as any node of the cluster knows it.

import ArgumentParser
import Management

struct Contacts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show or take back the contacts that phones have registered.",
        subcommands: [ListContacts.self, ShowContacts.self, RemoveContacts.self])
}

struct ListContacts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Every address that can be reached, a line for each contact.")

    @OptionGroup var options: NodeOptions
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        var (addresses, cursor): ([JSONValue], JSONValue) = ([], .null)
        repeat {
            let page = try await options.call("cluster.contacts", [cursor])
            addresses += page["addresses"]?.elements ?? []
            cursor = page["next"] ?? .null
        } while cursor != .null
        if json { return Console.print(JSONValue.array(addresses).sorted.printed) }
        guard !addresses.isEmpty else { return Console.print("no contacts") }
        Console.print(ContactText.table(addresses, width: Console.width))
    }
}

struct ShowContacts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "All that is known of the contacts of one address.",
        discussion: "Exit codes: 0 found; 1 none is registered; 2 could not ask.")

    @OptionGroup var options: NodeOptions
    @Argument(help: "user@domain, or the user alone where a script registers it so.") var address: String
    @Option(help: "The table that a script has saved it in.") var table = "location"
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        let found = try await options.call("cluster.contact", [.string(address), .string(table)])
        Console.print(json ? found.sorted.printed : ContactText.details(found))
    }
}

struct RemoveContacts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take contacts of an address back, on every node; the phone may register anew.",
        discussion: "Exit codes: 0 done; 1 none is registered; 2 could not ask.")

    @OptionGroup var options: NodeOptions
    @Argument(help: "user@domain, or the user alone where a script registers it so.") var address: String
    @Argument(help: "The URI of one contact; all of them without.") var uri: String?
    @Option(help: "The table that a script has saved it in.") var table = "location"
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        let outcome = try await options.call(
            "cluster.remove_contacts", [.string(address), uri.map { .string($0) } ?? .null, .string(table)])
        Console.print(json ? outcome.sorted.printed : "removed \(Cell.text(outcome["removed"]))")
    }
}
