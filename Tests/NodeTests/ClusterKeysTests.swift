// The file of the cluster's keys: one key as it stands, or lines.

import Node
import Testing

@Suite("The cluster's key file")
struct ClusterKeysTests {
    private static let one = "0123456789abcdef0123"
    private static let two = "fedcba9876543210fedc"

    private static func read(_ text: String) throws(ClusterKeysError) -> ClusterKeys {
        try ClusterKeys(file: Array(text.utf8))
    }

    private static func message(_ text: String) -> String {
        do throws(ClusterKeysError) {
            _ = try read(text)
            return "taken"
        } catch {
            return error.message
        }
    }

    @Test func `one key alone names and seals`() throws {
        let keys = try Self.read(Self.one)
        #expect(keys.names == Secret(Array(Self.one.utf8)))
        #expect(keys.seals == [keys.names])
        // Whatever its bytes are, and whatever it looks like.
        let odd = try ClusterKeys(file: [0, 10, 255] + Array("names and key".utf8))
        #expect(odd.seals.count == 1)
        #expect(!odd.isWritable)
    }

    @Test func `what is written is read again, with one key and with two`() throws {
        var keys = try Self.read(Self.one)
        keys.seals.append(Secret(Array(Self.two.utf8)))
        #expect(keys.isWritable)
        #expect(try ClusterKeys(file: keys.file) == keys)
        keys.seals.removeFirst()
        let after = try ClusterKeys(file: keys.file)
        #expect(after == keys)
        #expect(after.names == Secret(Array(Self.one.utf8)), "dids and branches keep their meaning")
        #expect(after.seals == [Secret(Array(Self.two.utf8))])
    }

    @Test func `comments, empty lines and the line ends of Windows are no matter`() throws {
        let text = "understudy keys 1\r\n# of last May\r\n\r\nnames \(Self.one)\r\nkey \(Self.two)\r\n"
        #expect(try Self.read(text).seals == [Secret(Array(Self.two.utf8))])
    }

    @Test(arguments: [
        ("short", "holds 5 bytes; at least 16"),
        ("aaaaaaaaaaaaaaaaaaaa", "holds one byte again and again; make one with understudy key new"),
        ("understudy keys 1\n", "lacks its names line, or a key line"),
        ("understudy keys 1\nkey \(one)", "lacks its names line, or a key line"),
        ("understudy keys 1\nnames \(one)", "lacks its names line, or a key line"),
        ("understudy keys 1\nnames \(one)\nkey short", "holds 5 bytes in line 3; at least 16"),
        (
            "understudy keys 1\nnames \(one)\nlock \(two)",
            "holds one name, or one key, too many in line 3: one names line, two different keys"
        ),
        ("understudy keys 1\nnames \(one)\n\(two)", "holds no 'key …' or 'names …' in line 3"),
        (
            "understudy keys 1\nnames \(one)\nkey \(two)\nkey \(two)",
            "holds one name, or one key, too many in line 4: one names line, two different keys"
        ),
        (
            "understudy keys 1\nnames \(one)\nkey \(one)\nkey \(two)\nkey \(two)x",
            "holds one name, or one key, too many in line 5: one names line, two different keys"
        ),
    ])
    func `what is wrong is said with its line, and without a key`(text: String, message: String) {
        #expect(Self.message(text) == message)
    }
}
