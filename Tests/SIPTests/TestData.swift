// Third-party messages beside the repository, read in place. Tests that need them are skipped, saying so, where they
// are absent.

import Foundation

enum TestData {
    static let folder: URL = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("../shared/testdata").standardizedFileURL

    static let isPresent = FileManager.default.fileExists(atPath: folder.appendingPathComponent("torture").path)
    static let absence = "skipped: no test data at ../shared/testdata beside the package"

    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(path)))
    }

    /// The paths of all files below a folder, sorted.
    static func files(_ path: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder.appendingPathComponent(path).path).sorted()
            .map { "\(path)/\($0)" }
            .filter { path in
                let values = try? folder.appendingPathComponent(path).resourceValues(forKeys: [.isRegularFileKey])
                return values?.isRegularFile == true
            }
    }
}
