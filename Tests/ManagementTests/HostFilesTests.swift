// What `config check` says of files and folders of its host, tried with some.

import Foundation
import Management
import Node
import Testing

@Suite("Files and folders of the host")
struct HostFilesTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "host-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

    private func file(_ name: String, mode: Int) throws -> String {
        let path = "\(folder)/\(name)"
        #expect(FileManager.default.createFile(atPath: path, contents: Data("secret".utf8)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    @Test(arguments: [
        (0o600, nil), (0o400, nil), (0o640, nil), (0o440, nil), (0o644, "read by everybody (mode 644)"),
        (0o604, "read by everybody (mode 604)"), (0o660, "written by its group (mode 660)"),
        (0o666, "written by everybody (mode 666)"), (0o602, "written by everybody (mode 602)"),
    ])
    func `a secret is its owner's, and its group may read it`(mode: Int, told: String?) throws {
        let path = try file("key", mode: mode)
        let said = HostFiles.exposure(of: path)
        #expect(said == told.map { "\(path) can be \($0): chmod 600 \(path), and make a new one if that matters" })
        let link = "\(folder)/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        #expect((HostFiles.exposure(of: link) == nil) == (told == nil), "a link says nothing of its own")
        #expect(HostFiles.exposure(of: "\(folder)/none") == nil, "what is not there is told by whoever reads it")
    }

    private func told(_ change: (inout Settings) -> Void) -> [String] {
        var settings = Settings()
        change(&settings)
        return HostFiles.folders(settings, [:]).map { $0.description.replacing(folder, with: "/f") }
    }

    @Test func `a node makes its files in folders that are there`() throws {
        let file = try file("file", mode: 0o600)
        #expect(told { _ in } == [])
        func storage(_ path: String) -> [String] {
            told {
                $0.storage.url = "sqlite://\(path)"
                $0.storage.mode = .realtime
            }
        }
        #expect(storage("\(folder)/calls.db") == [])
        #expect(storage(folder) == ["storage.db_url: /f is a folder; name a file in it"])
        #expect(
            storage("\(folder)/none/calls.db") == [
                "storage.db_url: the folder /f/none is not there; make it, and give it to the node's user"
            ])
        #expect(storage("\(file)/calls.db") == ["storage.db_url: the folder /f/file is no folder"])
        #expect(storage("/var/lib/understudy/calls.db") == [], "the unit makes it")
        #expect(told { $0.storage.url = "sqlite://\(folder)/none/x" } == [], "nothing is stored")
    }

    @Test func `doors and dumps stand in folders, too`() {
        let none = "\(folder)/none/x"
        #expect(told { $0.management.control = [.unix(none)] }.map { $0.prefix(14) } == ["management.ctl"])
        let taken = told { $0.management.jsonSocket = folder }
        #expect(taken == ["management.jsonrpc_socket: /f is a folder; name a file in it"])
        #expect(told { $0.management.dumpFolder = none }.count == 1)
        let replies = told {
            $0.management.miFIFO = "\(folder)/mi"
            $0.management.replyFolder = none
        }
        #expect(replies.count == 1 && replies[0].hasPrefix("management.fifo_reply_dir: "), "\(replies)")
    }
}
