// Every sentence that a node may log stands in the article LogLines, with its level and what to do; and no other does.

import Foundation
import Testing

@Suite("Every log line is explained")
struct LogLineTests {
    struct Line: Hashable {
        var level: String
        var sentence: String
    }

    /// `Note(.level, "sentence"`, also as `self.init(` in Note's own extension, with a sentence in several parts, and
    /// as one of two; and the sentences of NodeWatch, which begin and end what lasts.
    static func lines(in text: String) -> Set<Line> {
        let literal = #/"((?:[^"\\]|\\.)*)"/#
        // Over several lines, so blanks in it count for nothing.
        let note =
            #/
            (?:Note|self\.init)\( \s* \.(debug|info|notice|warning|error), \s*
            ( "(?:[^"\\]|\\.)*" (?: \s*\+\s* "(?:[^"\\]|\\.)*" )* )
            /#
        var found: Set<Line> = []
        for match in text.matches(of: note) {
            let parts = match.output.2.matches(of: literal).map { String($0.output.1) }
            found.insert(Line(level: String(match.output.1), sentence: parts.joined()))
        }
        for match in text.matches(of: #/begins:\s*"((?:[^"\\]|\\.)*)"/#) {
            found.insert(Line(level: "warning", sentence: String(match.output.1)))
        }
        for match in text.matches(of: #/ends:\s*"((?:[^"\\]|\\.)*)"/#) {
            found.insert(Line(level: "notice", sentence: String(match.output.1)))
        }
        let either =
            #/
            Note\( \s* \w+ \s \? \s \.(\w+) \s : \s \.(\w+), \s*
            \w+ \s \? \s "((?:[^"\\]|\\.)*)" \s : \s "((?:[^"\\]|\\.)*)"
            /#
        for match in text.matches(of: either) {
            found.insert(Line(level: String(match.output.1), sentence: String(match.output.3)))
            found.insert(Line(level: String(match.output.2), sentence: String(match.output.4)))
        }
        return found
    }

    private static let written: Set<Line> = Set(
        SourceTree.swift.filter { file in
            file.path.hasPrefix("Sources/")
                && !["Simulator", "understudy-sim", "Fuzzing"].contains { foreign in
                    file.path.hasPrefix("Sources/\(foreign)/")
                }
        }.flatMap { Self.lines(in: $0.text) })

    /// Rows of the article: level, sentence in `` ` ``, meaning.
    private static let explained: [Line] = {
        let articles = SourceTree.files(below: "Sources/Node/Understudy.docc")
        let article = articles.first { $0.path.hasSuffix("/LogLines.md") }
        return (article?.text ?? "").split(separator: "\n").compactMap { row in
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            let isRow = cells.count == 3 && cells[1].hasPrefix("`") && cells[1].hasSuffix("`") && !cells[2].isEmpty
            guard isRow else { return nil }
            return Line(level: cells[0], sentence: String(cells[1].dropFirst().dropLast()))
        }
    }()

    @Test func `a sentence is found in each of its forms`() {
        let text = """
            log.write(Note(.warning, "one", [("a", b)]))
            case .x: self.init(
                .notice,
                "two and "
                    + "three", [])
            Subject(metric: "m", begins: "four", ends: "five")
            Note(isUp ? .info : .error, isUp ? "six" : "seven", [])
            // Note(level, text)
            """
        #expect(
            Self.lines(in: text) == [
                Line(level: "warning", sentence: "one"), Line(level: "notice", sentence: "two and three"),
                Line(level: "warning", sentence: "four"), Line(level: "notice", sentence: "five"),
                Line(level: "info", sentence: "six"), Line(level: "error", sentence: "seven"),
            ])
    }

    @Test func `the article has each that the code has, and no other`() {
        #expect(Self.written.count > 50)
        let missing = Self.written.subtracting(Self.explained).map { "\($0.level): \($0.sentence)" }.sorted()
        let gone = Set(Self.explained).subtracting(Self.written).map { "\($0.level): \($0.sentence)" }.sorted()
        #expect(missing.isEmpty, "not in LogLines.md: \(missing)")
        #expect(gone.isEmpty, "in LogLines.md only: \(gone)")
        #expect(Self.explained.count == Set(Self.explained).count, "a line stands there twice")
    }
}
