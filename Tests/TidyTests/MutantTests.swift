// The mechanisms that a build for mutation tests can switch off: each that the source names is in the list, and in the
// article with what became of it; each in the list is one of the source.

import Foundation
import Testing

@Suite("Mechanisms that can be switched off")
struct MutantTests {
    /// As the core names them.
    private static func named(in text: String) -> [String] {
        text.matches(of: /mutated\("([a-z-]+)"\)/).map { String($0.1) }
    }

    private static let listed: [String] = {
        let text = SourceTree.files(below: "Deploy").first { $0.path.hasSuffix("/mutants.txt") }?.text ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .map { $0.prefix { $0 != "|" }.trimmingCharacters(in: .whitespaces) }
    }()

    @Test func `the list has each mechanism that the core names, and no other`() {
        let core = SourceTree.swift.filter { $0.path.hasPrefix("Sources/") && !$0.path.hasSuffix("/Mutant.swift") }
        let names = Set(core.flatMap { Self.named(in: $0.text) })
        #expect(names.count > 40)
        #expect(names == Set(Self.listed.flatMap { $0.split(separator: "+").map(String.init) }))
        #expect(Set(Self.listed).count == Self.listed.count)
    }

    @Test func `the article has a row of each`() {
        let article =
            SourceTree.files(below: "Sources/Node/Understudy.docc").first { $0.path.hasSuffix("/Mutants.md") }?.text
            ?? ""
        let rows = article.matches(of: /(?m)^\| `([a-z+-]+)` \|/).map { String($0.1) }
        #expect(rows == Self.listed)
    }

    @Test func `a name is found in a line of the core`() {
        #expect(Self.named(in: #"guard a, !mutated("wake-ignored") else { return }"#) == ["wake-ignored"])
        #expect(Self.named(in: "guard a else { return }").isEmpty)
    }
}
