// The article on the entries of the module's README has each of them once, and names tests that are there.

import Foundation
import Testing

@Suite("Every entry of the module is told")
struct EveryEntryTests {
    private static let rows: [[String]] =
        (SourceTree.files(below: "Sources/Node/Understudy.docc").first { $0.path.hasSuffix("/EveryEntry.md") }?.text
        ?? "")
        .split(separator: "\n").filter { $0.hasPrefix("| ") }.map { row in
            row.dropFirst().dropLast().split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }.filter { $0.first != "No." }

    /// Chapters of the README's contents and how many entries each has.
    private static let chapters = [("5", 18), ("6", 13), ("7", 5), ("8", 7), ("9", 8), ("10", 6), ("D1", 6)]

    @Test func `each entry stands there once, in its order`() {
        let wanted = Self.chapters.flatMap { chapter, count in (1...count).map { "\(chapter).\($0)" } }
        #expect(wanted.count == 63)
        #expect(Self.rows.map { $0[0] } == wanted)
    }

    @Test func `each entry says where it is, and names a test that is there`() {
        let tests = SourceTree.swift.filter { $0.path.hasPrefix("Tests/") }.map(\.text).joined()
        for row in Self.rows {
            #expect(row.count == 5 && row.allSatisfy { !$0.isEmpty }, "\(row)")
            let name = row.last ?? ""
            #expect(tests.contains("func `\(name)`"), "no test of this name: \(name)")
        }
    }
}
