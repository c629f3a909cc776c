// `understudy key rotate`: another key for a cluster that goes on meanwhile.
//
//   FILE: old ──rotate──▶ FILE: old, new ──copied to every node──▶ all change over by themselves
//                                                                              │
//                         every node ◀──copied── FILE: new ◀──rotate───────────┘
//
// The new key never goes over the bus: whoever has the old one would read it there. It goes the way that the first one
// went, which nobody reads. The second step asks the cluster, and leaves the file alone while any member still needs
// the old key.

import ArgumentParser
import Cluster
import Glibc
import Management
import Node
import Sealing

struct RotateKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Change the cluster's key while calls are up, in two steps.",
        discussion: """
            The first time a new key is put beside the old one in FILE, the copy of cluster.key-file that is at hand. \
            Copy it to every node; understudy reload --all has them read it, or restart them one after another, where \
            the service may not read it by itself. Every node goes on with the old key until every member holds the \
            new one, and then they change over by themselves.

            The second time the old key is taken out of FILE, once the node that is asked says that all members seal \
            with the new one. Copy it to every node, and have them read it. From then on the old key opens nothing.

            What names dialogs stays: a line of FILE keeps it.

            Exit codes: 0 written; 1 a member still needs the old key; 2 FILE or the node could not be read.
            """)

    @Argument(help: "The file that holds the cluster's key.", completion: .file()) var file: String
    @OptionGroup var options: NodeOptions

    func run() async throws {
        var keys = try read()
        if keys.seals.count > 1 {
            try await demandChangeOver(to: SealKey(secret: keys.seals[1].bytes).id)
            keys.seals.removeFirst()
            try KeyFile.replace(file, with: keys.file)
            Console.print("\(file): the old key is out; copy the file to every node, then understudy reload --all")
        } else {
            keys.seals.append(Secret(Array(NewKey.digits().utf8)))
            guard keys.isWritable else {
                Console.complain("\(file) holds a key of more than one line or word, which cannot stand beside another")
                throw Console.failed
            }
            try KeyFile.replace(file, with: keys.file)
            Console.print(
                """
                \(file): a new key stands beside the old one
                copy the file to every node, then: understudy reload --all
                once understudy status names no member without it: understudy key rotate \(file)
                """)
        }
    }

    private func read() throws -> ClusterKeys {
        do {
            var bytes = try Console.read(file)
            while let last = bytes.last, last == 10 || last == 13 { bytes.removeLast() }
            return try ClusterKeys(file: bytes)
        } catch let error as ClusterKeysError {
            Console.complain("\(file) \(error.message)")
        } catch {
            Console.complain("\(file) cannot be read: \(Console.reason(error))")
        }
        throw Console.failed
    }

    /// Every member that is there seals with the new key; who is away is told of.
    private func demandChangeOver(to key: UInt32) async throws {
        let status = try await options.call("cluster.status")
        let change = KeyChange(status, to: SealingReport.text(key))
        for obstacle in change.obstacles { Console.complain(obstacle) }
        guard change.obstacles.isEmpty else { throw Console.negative }
        for name in change.absent { Console.complain("\(name) is away: it needs the new file before it starts again") }
    }
}

/// The cluster's key in its file, written anew as a whole.
enum KeyFile {
    /// Mode and owner stay. A reader finds the old file or the new one, never half of one.
    static func replace(_ path: String, with bytes: [UInt8]) throws {
        var found = stat()
        // Sound: the call fills the struct that it is lent.
        guard unsafe stat(path, &found) == 0 else {
            Console.complain("\(path) cannot be read: \(unsafe String(cString: strerror(errno)))")
            throw Console.failed
        }
        let fresh = "\(path).new"
        try NewFile.write(String(decoding: bytes, as: UTF8.self), to: fresh, mode: found.st_mode & 0o777)
        // Who may not give a file away owns the old one, too, or the rename says so.
        let isOwned = unsafe chown(fresh, found.st_uid, found.st_gid) == 0 || found.st_uid == geteuid()
        guard unsafe isOwned && rename(fresh, path) == 0 else {
            let reason = unsafe String(cString: strerror(errno))
            _ = unsafe unlink(fresh)
            Console.complain("\(path) cannot be written over: \(reason)")
            throw Console.failed
        }
    }
}
