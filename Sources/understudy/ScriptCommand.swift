// `understudy script check`: what is wrong with a routing script, before it serves: its syntax, and every function of
// KSR that it names with the file and the line.

import ArgumentParser
import Foundation
import Management
import Routes
import Scripting

struct Script: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at a routing script.", subcommands: [CheckScript.self])
}

struct CheckScript: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Report what a Lua script has that will not work, one a line.",
        discussion: """
            Compiles the script and the files that it may require, and looks up every KSR function in their texts: \
            those that are not known, and those of a module that --modules does not name. A function that is called \
            through a variable is not seen; one that the script asks for first (if KSR.auth then) is.

            Exit codes: 0 nothing was found, or only modules that are off; 1 a function or a module is not there; 2 a \
            file cannot be read or compiled, or has no ksr_request_route.
            """)

    @Argument(help: "The Lua file.", completion: .file(extensions: ["lua"])) var file: String
    @Option(help: ArgumentHelp("The folder of files that the script requires.", valueName: "folder"))
    var path: String?
    @Option(help: ArgumentHelp("The modules that script.modules names, with commas between.", valueName: "names"))
    var modules: String?

    func run() async throws {
        let source: ScriptSource
        do { source = try Self.source(file, path) } catch {
            Console.complain(error.reason)
            throw Console.failed
        }
        let named = modules.map { Set($0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }) }
        for name in (named ?? []).subtracting(Library.optionalModules).sorted() {
            Console.complain("warning: \(name) is no module that can be turned on or off")
        }
        if let objection = ScriptCheck.objection(to: source) {
            Console.complain(objection)
            throw Console.failed
        }
        let findings = ScriptCheck.findings(in: source, modules: named)
        for finding in findings { Console.print(finding.sentence) }
        if findings.contains(where: { $0.kind == .syntax }) { throw Console.failed }
        if findings.contains(where: { $0.kind != .moduleOff }) { throw Console.negative }
        if findings.isEmpty { Console.print("\(file): good") }
    }

    /// A script with what it may require.
    /// - Throws: A sentence, which names the file or the folder.
    static func source(_ file: String, _ path: String?) throws(Console.NoFile) -> ScriptSource {
        var source = ScriptSource(main: .init(name: file, text: try read(file)))
        guard let path else { return source }
        guard let entries = FileManager.default.enumerator(atPath: path) else {
            throw Console.NoFile(reason: "\(path) is no folder that can be read")
        }
        let names = entries.compactMap { $0 as? String }.filter { $0.hasSuffix(".lua") }.sorted()
        for name in names {
            guard source.add(.init(name: name, text: try read(path + "/" + name))) else {
                let limit = "\(ScriptSource.fileLimit) files or \(ScriptSource.sizeLimit >> 20) MiB"
                throw Console.NoFile(reason: "\(path) has more than \(limit) of scripts")
            }
        }
        return source
    }

    private static func read(_ path: String) throws(Console.NoFile) -> [UInt8] {
        do throws(Console.NoFile) {
            return try Console.read(path)
        } catch {
            throw Console.NoFile(reason: "\(path) cannot be read: \(error.reason)")
        }
    }
}
