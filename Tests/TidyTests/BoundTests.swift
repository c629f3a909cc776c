// Every limit of the core stands in the article on bounds, with what happens at it and a test that goes there.

import Foundation
import Testing

@Suite("Every bound is told")
struct BoundTests {
    /// `Type.name` of each limit that a file declares, by its outermost type.
    static func limits(in file: SourceFile) -> [String] {
        var (type, found) = ("", [String]())
        for line in file.text.split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(whereSeparator: { !$0.isLetter && !$0.isNumber }).map(String.init)
            if line.first?.isWhitespace == false,
                let at = words.firstIndex(where: { ["struct", "enum", "extension", "class"].contains($0) }),
                at + 1 < words.count, !line.hasPrefix("//")
            {
                type = words[at + 1]
            }
            guard let at = words.firstIndex(of: "let"), at > 0, words[at - 1] == "static", at + 1 < words.count,
                line.contains("="), !line.contains("//")
            else { continue }
            let name = words[at + 1]
            if name == "limit" || name.hasSuffix("Limit") || type == "RecordLimits" { found.append("\(type).\(name)") }
        }
        return found
    }

    /// What a configuration may hold is `config check`'s to say, what a listing may ask for the manual's.
    private static let core = SourceTree.swift.filter { file in
        ["SIP", "Dialogs", "Proxy", "Routes", "Cluster", "Node"].contains { file.path.hasPrefix("Sources/\($0)/") }
            && !file.path.contains("/Settings/") && !file.path.contains("Reports")
    }

    private static let article: String =
        SourceTree.files(below: "Sources/Node/Understudy.docc").first { $0.path.hasSuffix("/Bounds.md") }?.text ?? ""

    /// The cells of each row of its tables.
    private static let rows = article.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { row in
        row.dropFirst().dropLast().split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }.filter { $0.first != "Bound" }

    @Test func `a limit is found with its type, a comment is none`() {
        let file = SourceFile(
            path: "Sources/Proxy/A.swift",
            text: """
                package struct Room: Sendable {
                    enum State { case a }
                    private static let limit = 3
                    package static let turnLimit: Int = 4
                    // static let oldLimit = 5
                    let limit = 6
                }
                extension Proxy {
                    static let limited = 7
                    static let nameLimit = 253
                }
                """)
        #expect(Self.limits(in: file) == ["Room.limit", "Room.turnLimit", "Proxy.nameLimit"])
    }

    @Test func `every limit of the core stands in the article`() {
        let known = Self.rows.map { $0[0] }.joined()
        let names = Self.core.flatMap(Self.limits)
        #expect(names.count > 40)
        let missing = names.filter { !known.contains("`\($0)`") && !Self.isPart($0) }
        #expect(missing.isEmpty, "\(missing)")
    }

    /// A part of another limit's row.
    private static func isPart(_ name: String) -> Bool {
        ["RecordLimits.earlyOuts", "RecordLimits.fields"].contains(name)
    }

    @Test func `every row says what happens, and names a test that is there`() {
        let names = SourceTree.swift.filter { $0.path.hasPrefix("Tests/") }.map(\.text).joined()
        #expect(Self.rows.count > 50)
        for row in Self.rows {
            #expect(row.count == 5 && row.allSatisfy { !$0.isEmpty }, "\(row)")
            #expect(names.contains("func `\(row.last ?? "")`"), "no test of this name: \(row.last ?? "")")
        }
    }

    @Test func `every counter in a row is a metric`() {
        let files = SourceTree.swift.filter { file in
            ["Metrics.swift", "Reports.swift", "ManagementService.swift"].contains { file.path.hasSuffix($0) }
        }
        let text = files.map(\.text).joined()
        for row in Self.rows where row.count == 5 {
            let words = row[3].split(separator: "`", omittingEmptySubsequences: false)
            for name in words.enumerated().filter({ $0.offset % 2 == 1 }).map(\.element) {
                let ofScript = name.hasPrefix("script_") ? name.dropFirst(7) : name
                let names = ["\"\(name)\"", "\"understudy_\(name)_total\"", "\"\(ofScript)\""]
                #expect(names.contains { text.contains($0) }, "no metric of this name: \(name)")
            }
        }
    }
}
