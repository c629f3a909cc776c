// The kept corpus: every input that once broke an invariant, and for each target the few that reach most of its code.
// A target that traps ends the test run, and the last line printed names the file.

import Foundation
import Fuzzing
import Testing

@Suite("The fuzzer's kept corpus", .serialized)
struct CorpusTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

    private static func files(_ target: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: target), includingPropertiesForKeys: nil
        ).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test(arguments: FuzzTarget.all.map(\.name))
    func `no kept input breaks an invariant`(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let files = try Self.files(name)
        #expect(!files.isEmpty, "each target has its seeds")
        for file in files {
            print("fuzz \(name) \(file.lastPathComponent)")
            target.run([UInt8](try Data(contentsOf: file)))
        }
        target.run([])
    }

    @Test func `every folder is a target's, and the whole is small`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
        var bytes = 0
        for file in try folders.flatMap(Self.files) { bytes += try Data(contentsOf: file).count }
        #expect(bytes < 300_000)
    }

    /// Every kept input, cut short and with each of some bytes changed, under the targets that take any bytes.
    @Test(arguments: FuzzTarget.all.map(\.name).filter { $0 != "bus" && $0 != "proxy" })
    func `nor does any damaged form of one`(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        for file in try Self.files(name) {
            let bytes = [UInt8](try Data(contentsOf: file))
            for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 16)) {
                target.run(Array(bytes.prefix(count)))
                var changed = bytes
                changed[count] = changed[count] &+ 1
                target.run(changed)
            }
        }
    }
}
