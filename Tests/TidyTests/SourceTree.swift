// The repository as files: found from where this file lies, read once for all checks.

import Foundation

/// A text file of the repository; `path` is relative to its root, with forward slashes.
struct SourceFile: Sendable {
    var path: String
    var text: String

    /// The module or test target it belongs to: the second folder of `Sources/SIP/…` and `Tests/SIPTests/…`.
    var module: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    /// Written by protoc, not by hand.
    var isGenerated: Bool { path.hasSuffix(".pb.swift") }
}

enum SourceTree {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every file below some folders of the root, sorted by path; what cannot be read as text is left out.
    static func files(below folders: String...) -> [SourceFile] {
        var result: [SourceFile] = []
        for folder in folders {
            let base = root.appending(path: folder)
            guard let walk = FileManager.default.enumerator(atPath: base.path) else { continue }
            while let entry = walk.nextObject() as? String {
                guard !entry.contains("__pycache__"),
                    let text = try? String(contentsOf: base.appending(path: entry), encoding: .utf8)
                else { continue }
                result.append(SourceFile(path: folder + "/" + entry, text: text))
            }
        }
        return result.sorted { $0.path < $1.path }
    }

    static let swift = files(below: "Sources", "Tests").filter { $0.isSwift && !$0.isGenerated }
}

/// Something untidy, and where.
struct Complaint: CustomStringConvertible, Equatable {
    var path: String
    /// Counted from 1; 0 for the file as a whole.
    var line: Int
    var text: String

    var description: String { line > 0 ? "\(path):\(line): \(text)" : "\(path): \(text)" }
}

extension [Complaint] {
    /// One complaint a line, for the test's message.
    var listing: String { map(\.description).joined(separator: "\n") }
}
