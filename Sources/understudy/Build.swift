// Which build this is: the version, the commit where the build knew it, and the number that the linker gives every
// binary, so that two nodes can be told apart whatever they were built from.

import Foundation

enum Build {
    static let version = "0.2.0"
    /// Twelve digits of the commit; empty when it was not built from a checkout.
    static let commit = BuildCommit.digits
    /// Twelve digits of the build id in the binary; empty when the linker wrote none.
    static let number = readBuildID()

    /// `0.2.0 (commit 0123456789ab, build 0123456789ab)`.
    static var sentence: String {
        let parts = [
            commit.isEmpty ? "" : "commit \(commit)", number.isEmpty ? "" : "build \(number)",
        ].filter { !$0.isEmpty }
        return "understudy \(version)" + (parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))")
    }

    /// The note `.note.gnu.build-id` of this program: name size, size, type 3, `GNU\0`, the id. It stands within the
    /// first pages.
    private static func readBuildID() -> String {
        guard let file = FileHandle(forReadingAtPath: "/proc/self/exe"),
            let head = try? file.read(upToCount: 65_536)
        else { return "" }
        let mark: [UInt8] = [4, 0, 0, 0]
        let name: [UInt8] = [3, 0, 0, 0, 71, 78, 85, 0]
        let bytes = Array(head)
        var at = 0
        while at + 36 <= bytes.count {
            defer { at += 4 }
            guard Array(bytes[at..<at + 4]) == mark, Array(bytes[at + 8..<at + 16]) == name else { continue }
            let size = Int(bytes[at + 4])
            guard size >= 8, size <= 64, bytes[(at + 5)..<(at + 8)].allSatisfy({ $0 == 0 }),
                at + 16 + size <= bytes.count
            else { continue }
            return bytes[(at + 16)..<(at + 22)].map { byte in
                let digits = String(byte, radix: 16)
                return digits.utf8.count == 1 ? "0" + digits : digits
            }.joined()
        }
        return ""
    }
}
