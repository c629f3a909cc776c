// `understudy drain` and `undrain`: whether a node takes new dialogs.

import ArgumentParser
import Management

struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop taking new dialogs on a node (OPTIONS gets 503), go on with the old.")

    @Argument(help: "The node: its name, or its management URL.") var target: String
    @OptionGroup var options: NodeOptions

    func run() async throws { try await Draining.set(target, options, "cluster.drain") }
}

struct Undrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take new dialogs again.")

    @Argument(help: "The node: its name, or its management URL.") var target: String
    @OptionGroup var options: NodeOptions

    func run() async throws { try await Draining.set(target, options, "cluster.undrain") }
}

enum Draining {
    static func set(_ target: String, _ options: NodeOptions, _ method: String) async throws {
        let url = target.contains(":") ? target : try await find(target, options)
        let status = try await Asking.call(try options.token.client(url), method, [])
        Console.print("\(status["node"].map(Cell.text) ?? target) is \(status["state"].map(Cell.text) ?? "")")
    }

    /// The management URL of a member by its name.
    private static func find(_ name: String, _ options: NodeOptions) async throws -> String {
        let status = try await options.call("cluster.status")
        if status["node"]?.text == name { return NodeOptions.url(options.node) }
        let members = status["members"]?.elements ?? []
        guard let member = members.first(where: { $0["name"]?.text == name }) else {
            let known = members.compactMap { $0["name"]?.text }.filter { !$0.isEmpty }.joined(separator: ", ")
            Console.complain("no member is called \(name); there are: \(known)")
            throw Console.failed
        }
        guard let url = member["url"]?.text, !url.isEmpty else {
            Console.complain("\(name) serves no management; set management.http there")
            throw Console.failed
        }
        return url
    }
}
