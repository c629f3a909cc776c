// What a comment, a test or a scenario cites can be followed: every rule code stands in Rules, and every article and
// section that is named, as in Architecture, "Threads", is in the catalog.

import Foundation
import Testing

@Suite("What is cited is there")
struct CitationTests {
    private static let catalog = SourceTree.files(below: "Sources/Node/Understudy.docc")

    /// The codes that Rules explains: **R2b**, **S1-2c**.
    static let codes: Set<String> = Set(
        (catalog.first { $0.path.hasSuffix("/Rules.md") }?.text ?? "").matches(of: #/\*\*([RS][0-9][0-9a-e-]*)\*\*/#)
            .map { String($0.1) })

    /// Headings of each article, by its name.
    static let sections: [String: Set<String>] = Dictionary(
        uniqueKeysWithValues: catalog.filter { $0.path.hasSuffix(".md") }.map { file in
            let headings = file.text.split(separator: "\n").filter { $0.hasPrefix("## ") || $0.hasPrefix("### ") }
            let name = file.path.split(separator: "/").last?.dropLast(3) ?? ""
            return (String(name), Set(headings.map { $0.drop { $0 == "#" || $0 == " " }.description }))
        })

    static let cited =
        SourceTree.swift + SourceTree.files(below: "Tests/Scenarios") + catalog
        + SourceTree.files(below: "Deploy").filter { $0.path.hasSuffix(".yaml") || $0.path.hasSuffix(".proto") }

    static func complaints(_ file: SourceFile) -> [Complaint] {
        Checks.lines(of: file.text).flatMap { number, line in
            missing(in: line).map { Complaint(path: file.path, line: number, text: $0) }
        }
    }

    private static func missing(in line: Substring) -> [String] {
        let rules = line.matches(of: #/(?:^|[^\w.-])(R[1-9][0-9]?[a-z]?|S[123]-[0-9]{1,2}[a-z]?)(?=$|[^\w-])/#)
        let unknown = rules.map { String($0.1) }.filter { !codes.contains($0) }.map { "there is no rule \($0)" }
        let named = line.matches(of: #/\b([A-Z][A-Za-z]+), "([^"]+)"/#).filter { sections[String($0.1)] != nil }
        let lost = named.filter { sections[String($0.1)]?.contains(String($0.2)) == false }
        let documents = line.matches(of: #/<doc:([A-Za-z]+)>/#).filter { sections[String($0.1)] == nil }
        return unknown + lost.map { "\($0.1) has no section \"\($0.2)\"" } + documents.map { "no article \($0.1)" }
            + (line.contains("DESIGN" + " §") ? ["that document is not in the repository"] : [])
    }

    @Test func `every rule, article and section that is cited exists`() {
        #expect(Self.codes.count > 45 && Self.sections.count > 15)
        let complaints = Self.cited.flatMap(Self.complaints)
        #expect(complaints.isEmpty, "\(complaints.listing)")
    }

    @Test(arguments: [
        ("// Asked first (R1).", true), ("// Passed on, once (S1-2a, S1-2b).", true),
        ("// (R1" + "9)", false), ("// (S1-2" + "z)", false), ("// See Architecture, \"Threads\".", true),
        ("// See Architecture, \"Thr" + "eds\".", false), ("// <doc:Nowh" + "ere>", false),
        ("// (DESIGN" + " §3)", false), ("// They say Hello, \"friend\".", true),
    ])
    func `a citation that leads nowhere is found`(line: String, isGood: Bool) {
        let found = Self.complaints(SourceFile(path: "Sources/SIP/A.swift", text: line))
        #expect(found.isEmpty == isGood, "\(found)")
    }
}
