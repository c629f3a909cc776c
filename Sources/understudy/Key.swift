// `understudy key new` and `key rotate`: a secret of its own file, for the cluster's key or the management token, which
// nobody else can read from the first moment on; and another key for a cluster that goes on meanwhile.

import ArgumentParser
import Glibc
import Management

struct Key: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a cluster key or a management token, or change the cluster's key.",
        subcommands: [NewKey.self, RotateKey.self])
}

struct NewKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write 64 random hexadecimal digits into a new file of mode 600.",
        discussion: """
            Copy the file to every node, and name it in cluster.key-file; or make another one for \
            management.token-file. \
            A file that exists is left alone.

            Exit codes: 0 written; 2 it could not be.
            """)

    @Argument(help: "The file to make.", completion: .file()) var file: String

    func run() async throws {
        try NewFile.write(Self.digits() + "\n", to: file, mode: 0o600)
        Console.print("\(file): a new key, mode 600")
    }

    static func digits() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<32).map { _ in
            let digits = String(UInt8.random(in: 0...255, using: &random), radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

/// A file that is not there yet; what exists is never written over.
enum NewFile {
    static func write(_ text: String, to path: String, mode: UInt32) throws {
        guard !path.isEmpty, path != "-", !path.utf8.contains(0) else {
            Console.complain("'\(path)' is not the name of a file; name the one to make")
            throw Console.failed
        }
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            let reason =
                switch errno {
                case EEXIST: "it exists, and is not written over"
                case ENOENT: "there is no such folder"
                case EACCES, EPERM: "permission denied"
                case ENOTDIR: "a part of its path is a file, not a folder"
                case let code: unsafe String(cString: strerror(code))
                }
            Console.complain("\(path) cannot be written: \(reason)")
            throw Console.failed
        }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        // Sound: the bytes are lent for the call only.
        let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count, fsync(descriptor) == 0 else {
            Console.complain("\(path) could not be written whole; delete it and try again")
            throw Console.failed
        }
    }
}
