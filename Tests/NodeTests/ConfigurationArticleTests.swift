// The tables of the article Configuration are written from the table of keys: RERECORD=1 in the environment writes them
// anew. `Deploy/understudy.yaml` has every key, and what is commented out there shows its default.

import Foundation
import Node
import Testing

@Suite("The article Configuration, and the commented example")
struct ConfigurationArticleTests {
    private static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let article = root.appending(path: "Sources/Node/Understudy.docc/Configuration.md")
    private static let example = root.appending(path: "Deploy/understudy.yaml")

    /// The key that a row of a table is about.
    private static func key(of row: Substring) -> SettingKey? {
        guard row.hasPrefix("| `"), let end = row.dropFirst(3).firstIndex(of: "`") else { return nil }
        let name = String(row.dropFirst(3)[..<end])
        return SettingKey.all.first { $0.name == name }
    }

    @Test func `every row of the article is as the table of keys has it, and every key has one`() throws {
        let text = try String(contentsOf: Self.article, encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let written = lines.map { Self.key(of: $0)?.row ?? String($0) }.joined(separator: "\n")
        if ProcessInfo.processInfo.environment["RERECORD"] == "1" {
            try written.write(to: Self.article, atomically: true, encoding: .utf8)
        }
        #expect(text == written, "run RERECORD=1 swift test --filter ConfigurationArticleTests, and look at the diff")
        let counts = Dictionary(lines.compactMap { Self.key(of: $0)?.name }.map { ($0, 1) }, uniquingKeysWith: +)
        for key in SettingKey.all where key.manual != nil { #expect(counts[key.name] == 1, "\(key.name)") }
        let without = SettingKey.all.filter { $0.manual == nil }.map(\.name)
        #expect(without == ["routes", "sets"], "they have a section each")
    }

    @Test(arguments: SettingKey.all.filter { $0.manual != nil }.map(\.name))
    func `what the manual says in words contains the range and the default that hold`(name: String) throws {
        let key = try #require(SettingKey.named(name))
        let manual = try #require(key.manual)
        #expect(manual.meaning.count > 5 && !manual.meaning.contains("|") && !manual.meaning.contains("\n"))
        if let range = manual.range {
            #expect(range.contains(key.rangeText) || key.rangeText.isEmpty)
            for choice in key.choices { #expect(range.contains("`\(choice)`")) }
        }
        if let value = manual.value { #expect(value.hasPrefix(key.defaultValue ?? "")) }
        #expect(key.defaultValue != nil || manual.value?.isEmpty == false)
        #expect(manual.range != nil || !key.rangeText.isEmpty || !key.choices.isEmpty)
    }

    @Test func `a range of the table is the one that is enforced`() throws {
        for key in SettingKey.all where !key.rangeText.isEmpty && key.rangeText.contains(" to ") {
            let bounds = key.rangeText.replacing("0, ", with: "").split(separator: " to ").map { $0.filter(\.isNumber) }
            for (text, isGood) in [(bounds[0], true), (bounds[1], true), (bounds[1] + "0", false)] {
                var settings = Settings()
                #expect(settings.set(key.name, to: .list([String(text)])).isEmpty)
                let complaints = settings.problems().filter { $0.key == key.name && $0.message.hasPrefix("must be ") }
                let isRefused = complaints.contains { $0.message.contains("to \(bounds[1])") }
                #expect(isRefused != isGood, "\(key.name) \(text): \(complaints)")
            }
        }
    }

    // MARK: The example

    /// Keys of the example, whether they are commented out, and what stands there.
    private static func entries() throws -> [String: (isExample: Bool, value: String)] {
        var (path, found) = ([(indent: Int, name: String)](), [String: (isExample: Bool, value: String)]())
        for line in try String(contentsOf: example, encoding: .utf8).split(separator: "\n") {
            let comment = line.wholeMatch(of: #/( {0,8})# (.*)/#)
            let text = comment.map { String($0.1 + $0.2) } ?? String(line)
            guard let match = text.wholeMatch(of: #/( *)([A-Za-z][\w-]*):(?: +([^#]*?))?(?: *#.*)?/#) else { continue }
            let indent = match.1.count
            while let last = path.last, last.indent >= indent { path.removeLast() }
            let name = (path.map(\.name) + [String(match.2)]).joined(separator: ".")
            path.append((indent, String(match.2)))
            found[name] = (comment == nil, match.3.map(String.init) ?? "")
        }
        return found
    }

    @Test func `the example has every key, and shows the default of what is commented out`() throws {
        let entries = try Self.entries()
        for key in SettingKey.all {
            guard let entry = entries[key.name] else {
                Issue.record("\(key.name) is not in Deploy/understudy.yaml")
                continue
            }
            guard !entry.isExample, let value = key.defaultValue else { continue }
            let shown = entry.value.trimmingCharacters(in: .whitespaces)
            var settings = Settings()
            #expect(settings.set(key.name, to: .list([shown])).isEmpty, "\(key.name): \(shown)")
            var other = Settings()
            _ = other.set(key.name, to: .list([value.filter { $0 != " " }]))
            #expect(settings == other, "\(key.name) is \(value), and \(shown) is shown")
        }
        let unknown = entries.filter { SettingKey.named($0.key) == nil && !$0.value.value.isEmpty }.keys
        #expect(unknown.isEmpty, "\(unknown.sorted())")
    }
}
