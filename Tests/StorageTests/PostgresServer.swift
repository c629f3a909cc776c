// A PostgreSQL of the test's own, from Debian's package: in a folder of its own, on a socket in it, as a user who is
// not root, without a port. Ended by its pid.

import Foundation
import Glibc

final class PostgresServer {
    /// Where Debian keeps the programs; `nil` where there are none, and then the tests are skipped.
    static let programs: String? = {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        return versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "/usr/lib/postgresql/\($0)/bin" }.first {
            FileManager.default.isExecutableFile(atPath: "\($0)/initdb")
                && FileManager.default.isExecutableFile(atPath: "\($0)/postgres")
        }
    }()

    private let folder: URL
    private let programs: String
    private var process: Process?

    func url(_ database: String) -> String { "postgres:///\(database)?host=\(folder.path)&user=understudy" }

    func makeDatabase(_ name: String) {
        run("createdb", ["-h", folder.path, "-U", "understudy", name]).waitUntilExit()
    }

    /// Rows of a statement, as psql prints them without frame: columns with `|` between them.
    func rows(_ database: String, _ sql: String) throws -> [[String]] {
        let process = run(
            "psql", ["-h", folder.path, "-U", "understudy", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, database],
            output: Pipe())
        let pipe = process.standardOutput as? Pipe
        let text = String(decoding: pipe?.fileHandleForReading.readDataToEndOfFile() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(sql: sql) }
        return text.split(separator: "\n").map { line in
            line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        }
    }

    struct Failure: Error { var sql: String }

    /// Stops it as a host does that hangs: its kernel still takes what is sent.
    func freeze(_ isFrozen: Bool) {
        for child in (try? children()) ?? [] { kill(child, isFrozen ? SIGSTOP : SIGCONT) }
        if let process { kill(process.processIdentifier, isFrozen ? SIGSTOP : SIGCONT) }
    }

    private func children() throws -> [pid_t] {
        guard let process else { return [] }
        let file = "/proc/\(process.processIdentifier)/task/\(process.processIdentifier)/children"
        return try String(contentsOfFile: file, encoding: .utf8).split(separator: " ").compactMap { pid_t($0) }
    }

    init(_ programs: String) throws {
        self.programs = programs
        folder = URL(filePath: "/tmp/understudy-postgres-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        if getuid() == 0 { _ = Self.run("/usr/bin/chown", ["nobody", folder.path]) }
        let made = run("initdb", ["-D", "\(folder.path)/data", "-U", "understudy", "-A", "trust", "--no-sync"])
        made.waitUntilExit()
        try start()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Until it takes connections.
    func start() throws {
        process = run(
            "postgres",
            ["-D", "\(folder.path)/data", "-k", folder.path, "-c", "listen_addresses=", "-c", "fsync=off"])
        for _ in 0..<200 {
            let probe = run("pg_isready", ["-h", folder.path, "-q"])
            probe.waitUntilExit()
            if probe.terminationStatus == 0 { return }
            usleep(50_000)
        }
    }

    /// At once, as an operator does it.
    func stop() {
        process?.interrupt()
        process?.waitUntilExit()
        process = nil
    }

    private func run(_ program: String, _ arguments: [String], output: Pipe? = nil) -> Process {
        let process = Process()
        let path = "\(programs)/\(program)"
        if getuid() == 0 {
            // In the place of this process, so that its pid is the program's.
            process.executableURL = URL(filePath: "/usr/bin/setpriv")
            process.arguments = ["--reuid=nobody", "--clear-groups", path] + arguments
        } else {
            process.executableURL = URL(filePath: path)
            process.arguments = arguments
        }
        process.currentDirectoryURL = folder
        if let output { process.standardOutput = output } else { process.standardOutput = FileHandle.nullDevice }
        process.standardError = FileHandle.nullDevice
        try? process.run()
        return process
    }

    private static func run(_ program: String, _ arguments: [String]) -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        try? process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
