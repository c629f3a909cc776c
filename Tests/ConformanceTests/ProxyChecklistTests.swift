// The checklist holds: each case of the table beside the repository is in it once, and each test that it names is in
// this tree. Prints how much is covered.

import Foundation
import Testing

@Suite("Cases that other proxies' test suites name")
struct ProxyChecklistTests {
    private struct Case: Hashable {
        var topic: String
        var name: String
    }

    private static let table = Ground.root.appending(path: "../shared/testdata/tables/proxy-test-checklist.tsv")
        .standardizedFileURL
    private static let isPresent = FileManager.default.fileExists(atPath: table.path)

    private static func tableCases() throws -> [Case] {
        try String(contentsOf: table, encoding: .utf8).split(separator: "\n").dropFirst().map { line in
            let columns = line.split(separator: "\t").map(String.init)
            return Case(topic: columns[0], name: columns[3])
        }
    }

    /// Names of all test functions in the tree.
    private static func testNames() throws -> Set<String> {
        let folder = Ground.root.appending(path: "Tests")
        var names: Set<String> = []
        for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where path.hasSuffix(".swift") {
            let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
            for match in text.matches(of: /func `([^`]+)`/) { names.insert(String(match.1)) }
        }
        return names
    }

    @Test(.enabled(if: isPresent, "skipped: no table at ../shared/testdata beside the package"))
    func `every case is in the checklist once, and nothing else is`() throws {
        let listed = ProxyChecklist.rows.flatMap { row in row.cases.map { Case(topic: row.topic, name: $0) } }
        #expect(Set(listed).count == listed.count, "no case twice")
        let cases = Set(try Self.tableCases())
        let wanted = cases.filter { ProxyChecklist.foreignTopics[$0.topic] == nil }
        let missing = wanted.subtracting(listed)
        #expect(missing.isEmpty, "\(missing)")
        let invented = Set(listed).subtracting(wanted)
        #expect(invented.isEmpty, "\(invented)")
    }

    @Test func `every test that the checklist names is in this tree`() throws {
        let names = try Self.testNames()
        #expect(names.contains("every test that the checklist names is in this tree"), "the tree was read")
        for row in ProxyChecklist.rows {
            switch row.coverage {
            case .tested(let tests):
                #expect(!tests.isEmpty)
                for test in tests where !names.contains(test) { Issue.record("there is no test: \(test)") }
            case .absent(let reason): #expect(!reason.isEmpty)
            }
        }
    }

    @Test func `how much is covered is told`() {
        var (tested, absent, foreign) = (0, 0, 0)
        var reasons: [String: Int] = [:]
        for row in ProxyChecklist.rows {
            switch row.coverage {
            case .tested: tested += row.cases.count
            case .absent(let reason):
                absent += row.cases.count
                if ProxyChecklist.foreign.contains(reason) { foreign += row.cases.count }
                reasons[reason, default: 0] += row.cases.count
            }
        }
        print("checklist: \(tested) of \(tested + absent - foreign) cases that are a proxy's are tested")
        for (reason, count) in reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            print("checklist: \(count) not, \(reason)")
        }
        #expect(tested * 10 >= (tested + absent - foreign) * 9, "nine of ten; a test that goes takes its rows with it")
    }
}
