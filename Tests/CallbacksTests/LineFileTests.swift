// Lines that are in a file when they are said to be, whatever happens to the file.

import Callbacks
import Foundation
import Synchronization
import Testing

@Suite("A file of lines")
struct LineFileTests {
    private final class Tags: Sendable {
        private let held = Mutex<[Int]>([])
        func take(_ tags: [Int]) { held.withLock { $0 += tags } }
        var all: [Int] { held.withLock { $0 } }

        func count(reaches count: Int) async -> Bool {
            for _ in 0..<500 {
                if all.count >= count { return true }
                try? await Task.sleep(for: .milliseconds(10))
            }
            return false
        }
    }

    private static func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "lines-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    private static func lines(_ file: URL) throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    @Test func `each line is in the file in order when its tag is told, also after the file was moved away`()
        async throws
    {
        let (folder, tags) = (try Self.folder(), Tags())
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "events")
        let file = try LineFile<Int>(path: path.path) { tags.take($0) }
        for number in 0..<1_000 { #expect(file.append(Array("line \(number)".utf8), number)) }
        #expect(await tags.count(reaches: 1_000))
        #expect(tags.all == Array(0..<1_000))
        #expect(try Self.lines(path) == (0..<1_000).map { "line \($0)" })
        try FileManager.default.moveItem(at: path, to: folder.appending(path: "old"))
        file.append(Array("new".utf8), 1_000)
        file.stop()
        #expect(try Self.lines(path) == ["new"] && tags.all.last == 1_000)
        #expect(file.counters.written == 1_001 && file.counters.waiting == 0)
        #expect(!file.append([65], 0) && file.counters.refused == 1, "nothing is taken after the end")
    }

    @Test func `what cannot be written waits, counted, and is written when it can be`() async throws {
        let (folder, tags) = (try Self.folder(), Tags())
        defer { try? FileManager.default.removeItem(at: folder) }
        let inner = folder.appending(path: "later")
        let file = try LineFile<Int>(path: inner.appending(path: "events").path) { tags.take($0) }
        file.append(Array("a".utf8), 1)
        for _ in 0..<500 where file.counters.failures == 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(file.counters.failures > 0 && file.counters.errno == ENOENT && tags.all.isEmpty)
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: false)
        #expect(await tags.count(reaches: 1))
        #expect(try Self.lines(inner.appending(path: "events")) == ["a"])
        file.stop()
    }
}
