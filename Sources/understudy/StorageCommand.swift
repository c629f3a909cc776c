// `understudy storage init`: the tables of a database, before a node is started with it.

import ArgumentParser
import Management
import Node

struct StorageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage", abstract: "Make the tables that records are kept in.", subcommands: [InitStorage.self])
}

struct InitStorage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make the tables, where they are not there, and compare their versions.",
        discussion: """
            A node makes a new SQLite file by itself, but nothing in PostgreSQL; this makes both, and says whether a \
            database that is there can be used. Nothing in it is changed. With storage.module the tables of that \
            module of Kamailio's are made as well, where they have its names for them.

            Exit codes: 0 the tables are there; 2 they are not, or of another version.
            """)

    @Option(help: ArgumentHelp("Like sqlite:///var/lib/understudy/dialogs.db; else storage.db_url.", valueName: "URL"))
    var dbUrl: String?
    @Option(help: ArgumentHelp("dialog or ims_dialog: that module's tables, too; with --db-url.", valueName: "NAME"))
    var module: String?
    @Option(name: .shortAndLong, help: "The node's YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var config: String?
    @OptionGroup var overrides: SettingOverrides

    func run() async throws {
        var settings = Settings()
        if config != nil || dbUrl == nil { settings = try overrides.load(file: config).settings }
        if let dbUrl {
            let given =
                [("storage.db_url", "--db-url", dbUrl)] + (module.map { [("storage.module", "--module", $0)] } ?? [])
            for (key, option, value) in given {
                guard let problem = settings.set(key, to: .list([value])).first else { continue }
                Console.complain("\(option): \(problem.message)")
                throw Console.failed
            }
        }
        guard !settings.storage.url.isEmpty else {
            Console.complain("no database is named; give --db-url, or --config with storage.db_url")
            throw Console.failed
        }
        do throws(StartError) {
            let until = try Keeper.knownUntil(of: Keeper.open(settings, makesTables: true).database)
            Console.print("\(settings.storage.url): the tables are there\(until == 0 ? "" : ", and have been written")")
        } catch {
            Console.complain(error.description)
            throw Console.failed
        }
    }
}
