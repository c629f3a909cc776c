// Replays the files of Tests/Scenarios. `RERECORD=1` writes what happened into them: then the diff is to be read,
// line by line, against the rule that the file names.

import Foundation
import Testing

@Suite("Conversations of a cluster, as Tests/Scenarios has them")
struct ScenarioTests {
    static let folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Scenarios")

    static let names: [String] = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasSuffix(".txt") }.map { String($0.dropLast(4)) }.sorted()

    private static let records = ProcessInfo.processInfo.environment["RERECORD"] == "1"

    private static func file(_ name: String) throws -> ScenarioFile {
        ScenarioFile(try String(contentsOf: folder.appending(path: "\(name).txt"), encoding: .utf8))
    }

    @Test(arguments: names)
    func `what the file says happens`(name: String) throws {
        let file = try Self.file(name)
        let recorded = file.recorded(try Stage.play(file))
        if Self.records {
            try recorded.text.write(to: Self.folder.appending(path: "\(name).txt"), atomically: true, encoding: .utf8)
        }
        for (expected, found) in zip(file.blocks, recorded.blocks) where expected.expected != found.expected {
            let command = expected.commands.joined(separator: "; ")
            Issue.record("\(name): after \(command)\n\(found.expected.joined(separator: "\n"))")
        }
    }

    @Test func `there are many, and each says what it shows and by which rule`() throws {
        #expect(Self.names.count >= 40)
        for name in Self.names {
            let head = try Self.file(name).head
            let cites = head.contains(/RFC [0-9]{4}|\b[RS][0-9]+(?:-[0-9]+)?[a-z]?\b/)
            #expect(cites, "\(name) names neither an RFC nor a rule")
            #expect(head.matches(of: #/[.:?](?:\s|$)/#).count >= 2, "\(name) says too little of what it shows")
        }
    }

    @Test func `each rule without which calls are lost, or which a common deployment needs, has its file`() throws {
        let rules = Self.folder.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/Node/Understudy.docc/Rules.md")
        let codes = try String(contentsOf: rules, encoding: .utf8).matches(of: #/\*\*(S[12]-[0-9]+[a-e]?)\*\*/#)
        let cited = Set(
            try Self.names.flatMap { name in
                try Self.file(name).head.split { !$0.isLetter && !$0.isNumber && $0 != "-" }.map(String.init)
            })
        // S1-2 is the sum of its parts.
        let missing = codes.map { String($0.1) }.filter { $0 != "S1-2" && !cited.contains($0) }
        #expect(codes.count > 20 && missing.isEmpty, "\(missing)")
    }

    @Test func `another outcome than the file's is found, and an unknown command is refused`() throws {
        let text = "# A lone node.\n\ncluster 1\n----\nn1: up\n\nalice calls bob\n----\nnothing\n"
        let file = ScenarioFile(text)
        #expect(file.text == text && file.blocks.count == 2)
        let outputs = try Stage.play(file)
        #expect(outputs[0] == file.blocks[0].expected)
        #expect(
            outputs[1] != file.blocks[1].expected && outputs[1].contains { $0.hasSuffix("n1 -> bob        INVITE") })
        #expect(throws: ScenarioError.self) { try Stage.play(ScenarioFile("cluster 1\n----\n\nalice dances\n----\n")) }
        #expect(throws: ScenarioError.self) { try Stage.play(ScenarioFile("cluster 3 sip.nonsense=1\n----\n")) }
    }

    @Test func `the same file gives the same lines`() throws {
        let name = try #require(Self.names.first)
        #expect(try Stage.play(Self.file(name)) == Stage.play(Self.file(name)))
    }
}
