// The file that says how much may be left by nature (`ExcuseBudget`), and what becomes of it.

import ArgumentParser
import Foundation
import Simulator

struct ExcuseArguments: ParsableArguments {
    @Option(
        name: .customLong("excuses"),
        help: "Fails when more is left by nature than this file says, which Sources/understudy-sim/Excuses.txt is.")
    var file: String?

    @Flag(help: "Writes that file from this run, and fails by nothing in it.")
    var rerecord = false

    func validate() throws {
        guard file != nil || !rerecord else { throw ValidationError("--rerecord goes with --excuses.") }
    }

    /// What is more than it may be.
    func judge(_ summary: Summary) throws -> [String] {
        guard let file else { return [] }
        if rerecord {
            try ExcuseBudget(summary).text.write(toFile: file, atomically: true, encoding: .utf8)
            return []
        }
        let text = try String(contentsOfFile: file, encoding: .utf8)
        do throws(ExcuseBudget.Problem) {
            return try ExcuseBudget(text).excesses(in: summary)
        } catch {
            switch error {
            case .line(let number): throw ValidationError("\(file), line \(number): a code and 0 to 1000 is wanted.")
            case .twice(let code): throw ValidationError("\(file): \(code) stands twice.")
            }
        }
    }
}
