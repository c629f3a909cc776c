// `understudy config check`: every problem of a configuration at once, before anything is started with it.

import ArgumentParser
import Foundation
import Management
import Node

struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at a configuration.", subcommands: [CheckConfiguration.self])

    struct CheckConfiguration: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Report every problem of a configuration, one a line.",
            discussion: "Exit codes: 0 it can be used; 2 it cannot.")

        @Argument(help: "The YAML file; without one, --set and UNDERSTUDY_… variables alone.")
        var file: String?

        @OptionGroup var overrides: SettingOverrides

        func run() async throws {
            let settings = try overrides.load(file: file)
            Console.print("\(file ?? "configuration"): good, node \(settings.node.name)")
        }
    }
}

struct SettingOverrides: ParsableArguments {
    @Option(
        name: [.customShort("s"), .customLong("set")],
        help: ArgumentHelp("One setting; lists are separated by commas.", valueName: "KEY=VALUE"))
    var overrides: [String] = []

    /// The settings, or every problem on standard error and exit code 2.
    func load(file: String?) throws -> Settings {
        var yaml: String?
        if let file {
            do {
                yaml = String(decoding: try Console.read(file), as: UTF8.self)
            } catch {
                Console.complain("the configuration \(file) cannot be read: \(Console.reason(error))")
                throw Console.failed
            }
        }
        let loader = SettingsLoader(
            yaml: yaml, environment: ProcessInfo.processInfo.environment, overrides: overrides,
            readFile: { path throws(SettingsLoader.Unreadable) in
                do { return try Console.read(path) } catch {
                    throw SettingsLoader.Unreadable(reason: Console.reason(error))
                }
            })
        let loaded = loader.load()
        guard loaded.problems.isEmpty else {
            for problem in loaded.problems { Console.complain(problem.description) }
            throw Console.failed
        }
        return loaded.settings
    }
}
