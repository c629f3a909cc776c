// Where output goes: answers to standard output, complaints and progress to standard error. Progress is shown only on a
// terminal, on one line that is wiped before anything else is written.

import ArgumentParser
import Foundation
import Glibc

enum Console {
    /// The codes that the help names.
    static let negative = ExitCode(1)
    static let failed = ExitCode(2)

    static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    static func complain(_ text: String) {
        clearProgress()
        write("understudy: \(text)\n", to: STDERR_FILENO)
    }

    static var showsProgress: Bool { isatty(STDERR_FILENO) == 1 }

    static func progress(_ text: String) {
        if showsProgress { write("\r\u{1B}[K\(text)", to: STDERR_FILENO) }
    }

    static func clearProgress() {
        if showsProgress { write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    /// Unbuffered, so that what was said is out before the process ends; a closed pipe ends it quietly.
    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // Sound: the bytes are lent for the call only.
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { Glibc.exit(failed.rawValue) }
            rest = rest.dropFirst(count)
        }
    }

    /// Reads a whole file.
    static func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    /// Why a file could not be read, in a few words.
    static func reason(_ error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile, .fileNoSuchFile: "no such file"
        case .fileReadNoPermission: "permission denied"
        default: "not readable"
        }
    }
}
