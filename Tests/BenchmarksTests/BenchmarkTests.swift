// Each benchmark runs once, small, so that none rots, and each thing that it counts has its limit. What the limits are
// is gated by `Deploy/benchmark`, which counts instructions too.

import Benchmarks
import Foundation
import Testing

@Suite("Benchmarks")
struct BenchmarkTests {
    private static let limits: [String] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/Benchmarks/Thresholds.txt").standardizedFileURL
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap {
            $0.split(separator: " ").first.map(String.init)
        }
    }()

    @Test(arguments: Benchmark.all.map(\.name))
    func `a benchmark runs, and what it counts has a limit`(name: String) throws {
        let benchmark = try #require(Benchmark.named(name))
        let counts = benchmark.run(2, 1) { 0 }
        #expect(!counts.isEmpty)
        for count in counts { #expect(Self.limits.contains("\(name).\(count.name)")) }
        let prefix =
            switch name {
            case "call": ["call.owner", "call.replica"]
            case "untraced": ["untraced.owner"]
            default: [name]
            }
        for role in prefix { #expect(Self.limits.contains("\(role).instructions")) }
    }

    @Test func `every limit is one of a benchmark that there is`() {
        let names = Set(Benchmark.all.map(\.name) + [Benchmark.stock])
        #expect(Self.limits.count > names.count)
        for limit in Self.limits { #expect(names.contains(String(limit.prefix { $0 != "." }))) }
    }

    @Test func `calls that a script routes are calls`() throws {
        #expect(Benchmark.named(Benchmark.stock) == nil)
        let script = """
            function ksr_request_route()
              if KSR.siputils.has_totag() > 0 then KSR.rr.loose_route() else KSR.rr.record_route() end
              KSR.tm.t_relay()
            end
            """
        let counts = try #require(Benchmark.named(Benchmark.stock, script: Array(script.utf8))).run(2, 1) { 0 }
        #expect(counts.map(\.name) == ["owner.allocations"])
    }

    /// As `understudy-bench flat` has it, by what is counted alone: tests share a process.
    @Test func `of a hundred thousand runs of a script nothing stays`() {
        var runs = EndlessRuns()
        /// The most of several looks: what is garbage is collected by and by.
        func most(_ count: Int) -> Int {
            (0..<20).reduce(0) { most, _ in
                runs.run(count / 20)
                return max(most, runs.memory)
            }
        }
        let early = most(30_000)
        let late = most(70_000)
        #expect(late <= early + early / 4, "\(early) bytes, then \(late)")
        #expect(runs.transactionCount == 65_536)
        #expect(runs.failures == 100_000 / 7 && runs.waits > 10_000 && runs.verdicts > 99_000)
    }

    @Test func `an owner publishes what it learns of its calls`() throws {
        let benchmark = try #require(Benchmark.named("call"))
        let counts = benchmark.run(3, 0) { 0 }
        let bytes = try #require(counts.first { $0.name == "bytes" })
        #expect(bytes.value > 3 * 1_000)
    }
}
