// `understudy config check`: every problem of a configuration at once, before anything is started with it. What the
// settings say by themselves is judged by the loader; what depends on this host, its files, addresses and ports, here.

import ArgumentParser
import Foundation
import Management
import Node

struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at a configuration, or make one.",
        subcommands: [CheckConfiguration.self, InitConfiguration.self])
}

struct CheckConfiguration: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Report every problem of a configuration, one a line.",
        discussion: """
            Reads the files that it names, too: certificates and their keys must belong together. A warning tells what \
            can be used and is probably not meant: a route that never matches, a key that everybody can read, a \
            certificate that has ended, an address that is not of this host, a port in use.

            Exit codes: 0 it can be used; 2 it cannot, or with --strict there are warnings.
            """)

    @Argument(
        help: "The YAML file; without one, --set and UNDERSTUDY_… variables alone.",
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @OptionGroup var overrides: SettingOverrides
    @Flag(help: "Warnings are problems.") var strict = false
    @Flag(help: "It is for another host: do not look at the addresses, ports and folders of this one.")
    var elsewhere = false

    func run() async throws {
        let loaded = try overrides.load(file: file)
        let settings = loaded.settings
        var (problems, warnings) = HostCheck.files(settings, loaded.origins)
        warnings = loaded.warnings + warnings
        if !elsewhere {
            warnings += HostCheck.addresses(settings, loaded.origins) + HostFiles.folders(settings, loaded.origins)
        }
        if strict {
            problems += warnings
            warnings = []
        }
        for warning in warnings { Console.complain("warning: \(warning.description)") }
        for problem in problems { Console.complain(problem.description) }
        guard problems.isEmpty else { throw Console.failed }
        let count = warnings.isEmpty ? "" : warnings.count == 1 ? ", 1 warning" : ", \(warnings.count) warnings"
        Console.print("\(file ?? "configuration"): good, node \(settings.node.name)\(count)")
    }
}

struct SettingOverrides: ParsableArguments {
    @Option(
        name: [.customShort("s"), .customLong("set")],
        help: ArgumentHelp("One setting; lists are separated by commas.", valueName: "KEY=VALUE"))
    var overrides: [String] = []

    /// What was loaded; or every problem on standard error and exit code 2.
    func load(file: String?) throws -> SettingsLoader.Loaded {
        let loaded = reading(file: file)
        guard loaded.problems.isEmpty else {
            for problem in loaded.problems { Console.complain(problem.description) }
            if file == nil, loaded.values.isEmpty {
                Console.complain("no configuration was named, and none is looked for")
            }
            throw Console.failed
        }
        return loaded
    }

    /// Whatever is wrong is among its problems.
    func reading(file: String?) -> SettingsLoader.Loaded {
        var bytes: [UInt8]?
        if let file {
            do {
                bytes = try Console.read(file)
            } catch {
                var loaded = SettingsLoader.Loaded()
                let message = "the configuration \(file) cannot be read: \(Console.reason(error))"
                loaded.problems = [SettingProblem(key: "", message: message)]
                return loaded
            }
        }
        let loader = SettingsLoader(
            file: bytes, fileName: file ?? "the configuration", environment: ProcessInfo.processInfo.environment,
            overrides: overrides,
            readFile: { path throws(SettingsLoader.Unreadable) in
                do { return try Console.read(path) } catch {
                    throw SettingsLoader.Unreadable(reason: Console.reason(error))
                }
            })
        return loader.load()
    }
}
