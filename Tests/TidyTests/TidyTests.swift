// The repository is tidy. Each rule is tried on every file, and beside it a sample shows that the rule can fail.

import Foundation
import Testing

@Suite("The house rules")
struct TidyTests {
    @Test func `the tree was found`() {
        #expect(SourceTree.swift.contains { $0.path == "Tests/TidyTests/TidyTests.swift" })
    }

    @Test func `a module imports only what its arrows point at`() {
        let complaints = SourceTree.swift.flatMap(Checks.wrongImports)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test func `every module has its arrows, and every arrow a module`() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: SourceTree.root.appending(path: "Sources").path)
        #expect(
            Set(folders)
                == Set(Checks.arrows.keys).union([
                    "CSockets", "CNanomsg", "CCares", "CPostgres", "CLua", "CAllocations",
                ]))
    }

    @Test func `the core has no clock, chance, task, lock, output or unsafe memory`() {
        let complaints = SourceTree.swift.flatMap(Checks.impurities)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test func `files are short, lines are narrow, and each opens with a comment`() {
        let complaints = SourceTree.swift.flatMap(Checks.shape)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test func `a function fits a screen`() {
        let complaints = SourceTree.swift.flatMap(FunctionLengths.tooLong)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test func `unfinished work names its issue`() {
        let files = SourceTree.files(below: "Sources", "Tests", "Deploy")
        let complaints = files.flatMap(Checks.unownedTasks)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test func `nothing names a path of one machine`() {
        let files = SourceTree.files(below: "Sources", "Tests", "Deploy", ".ci")
        let complaints = files.flatMap(Checks.machinePaths)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test func `the top level holds what STYLE names, and nothing else`() throws {
        let allowed: Set = ["Package.swift", "Package.resolved", "README.md", "LICENSE", "Sources", "Tests", "Deploy"]
        let entries = try FileManager.default.contentsOfDirectory(atPath: SourceTree.root.path)
        let others = entries.filter { !$0.hasPrefix(".") && !allowed.contains($0) }
        #expect(others.isEmpty)
    }

    @Test func `every program in Deploy says how it is used in its first ten lines`() {
        let programs = SourceTree.files(below: "Deploy", ".ci").filter { file in
            FileManager.default.isExecutableFile(atPath: SourceTree.root.appending(path: file.path).path)
        }
        #expect(programs.contains { $0.path == "Deploy/run" })
        let silent = programs.filter { !Checks.lines(of: $0.text).prefix(10).contains { $0.text.contains("usage:") } }
        #expect(silent.isEmpty, "\(silent.map(\.path))")
    }

    @Test(.enabled(if: Tool.swiftFormat != nil, "swift format is not installed"), .timeLimit(.minutes(5)))
    func `swift format has nothing to say`() throws {
        let output = try #require(try Tool.swiftFormat?.lint(SourceTree.root))
        #expect(output.status == 0, "\(output.text)")
    }
}

/// Programs that a check uses where they are installed.
struct Tool {
    var executable: URL

    static let swiftFormat: Tool? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { Tool(executable: URL(filePath: String($0)).appending(path: "swift")) }
        .first { FileManager.default.isExecutableFile(atPath: $0.executable.path) }

    func lint(_ root: URL) throws -> (status: Int32, text: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = executable
        process.currentDirectoryURL = root
        process.arguments = [
            "format", "lint", "--strict", "--parallel", "--recursive", "--configuration", ".swift-format",
            "Package.swift",
            "Sources", "Tests",
        ]
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
