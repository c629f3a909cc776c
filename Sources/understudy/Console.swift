// Where output goes: answers to standard output, complaints and progress to standard error. Progress is shown only on a
// terminal, on one line that is wiped before anything else is written.

import ArgumentParser
import Foundation
import Glibc
import Node

enum Console {
    /// The codes that the help names.
    static let negative = ExitCode(1)
    static let failed = ExitCode(2)

    static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    static func complain(_ text: String) {
        clearProgress()
        write("understudy: \(text.printable)\n", to: STDERR_FILENO)
    }

    /// A question whose answer comes on the same line.
    static func ask(_ text: String) {
        clearProgress()
        write(text, to: STDERR_FILENO)
    }

    static var showsProgress: Bool { isatty(STDERR_FILENO) == 1 }

    static func progress(_ text: String) {
        if showsProgress { write("\r\u{1B}[K\(text)", to: STDERR_FILENO) }
    }

    static func clearProgress() {
        if showsProgress { write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    /// Columns of the terminal; 80 elsewhere, unless COLUMNS says otherwise.
    static var width: Int {
        if let text = ProcessInfo.processInfo.environment["COLUMNS"], let columns = Int(text), columns >= 40 {
            return columns
        }
        return terminalSize()?.columns ?? 80
    }

    private static func terminalSize() -> (rows: Int, columns: Int)? {
        var size = winsize()
        // Sound: the call fills the struct that it is lent.
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return nil }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// On a terminal what is longer than it goes through a pager, if there is one.
    static func page(_ text: String, isAllowed: Bool) {
        let lines = text.utf8.count { $0 == 10 } + 1
        guard isAllowed, isatty(STDOUT_FILENO) == 1, let size = terminalSize(), lines >= size.rows else {
            return print(text)
        }
        let environment = ProcessInfo.processInfo.environment
        let pager = environment["PAGER"] ?? "less"
        guard !pager.isEmpty, pager != "cat" else { return print(text) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", pager]
        process.environment = environment.merging(["LESS": "FRSX"]) { given, _ in given }
        let pipe = Pipe()
        process.standardInput = pipe
        do { try process.run() } catch { return print(text) }
        // Who quits the pager early has seen enough.
        signal(SIGPIPE, SIG_IGN)
        try? pipe.fileHandleForWriting.write(contentsOf: Data((text + "\n").utf8))
        try? pipe.fileHandleForWriting.close()
        process.waitUntilExit()
        // Not found by the shell: it has said so, and the text is still to be shown.
        if process.terminationStatus == 127 { print(text) }
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

    /// A path that leads to no file.
    struct NoFile: Error {
        var reason: String
    }

    /// Reads a whole file.
    static func read(_ path: String) throws(NoFile) -> [UInt8] {
        guard !path.isEmpty else { throw NoFile(reason: "its name is empty") }
        guard !path.utf8.contains(0) else { throw NoFile(reason: "its name has a byte 0") }
        var found = stat()
        // Sound: the calls fill the struct that they are lent.
        guard unsafe stat(path, &found) == 0 else {
            let code = errno
            let isLink = unsafe lstat(path, &found) == 0
            throw NoFile(reason: reason(code, isLink: isLink))
        }
        switch found.st_mode & S_IFMT {
        case S_IFREG:
            do { return Array(try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
                throw NoFile(reason: reason(error))
            }
        case S_IFDIR: throw NoFile(reason: "it is a directory")
        case S_IFIFO: throw NoFile(reason: "it is a pipe, not a file")
        case S_IFSOCK: throw NoFile(reason: "it is a socket, not a file")
        default: throw NoFile(reason: "it is a device, not a file")
        }
    }

    private static func reason(_ code: Int32, isLink: Bool) -> String {
        switch code {
        case ENOENT: isLink ? "it is a symbolic link to a file that is not there" : "no such file"
        case EACCES: "permission denied"
        case ELOOP: "its symbolic links lead round in a circle"
        case ENOTDIR: "a part of its path is a file, not a folder"
        case ENAMETOOLONG: "its name is too long"
        default: unsafe String(cString: strerror(code))
        }
    }

    /// Why a file could not be read, in a few words.
    static func reason(_ error: any Error) -> String {
        if let error = error as? NoFile { return error.reason }
        return switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile, .fileNoSuchFile: "no such file"
        case .fileReadNoPermission: "permission denied"
        default: "not readable"
        }
    }
}
