// Whether the old key may go, and what a reload makes of another key file.

import Management
import Node
import Testing

@Suite("Changing the cluster's key")
struct KeyChangeTests {
    private static func status(_ sealing: String, members: String = "") -> JSONValue {
        let text = """
            {"node": "n1", "members": [{"name": "n1", "self": true, "state": "up"}\(members)], "sealing": \(sealing)}
            """
        do {
            return try JSONValue(parsing: text)
        } catch {
            preconditionFailure("the test's own JSON must parse: \(error)")
        }
    }

    private static func member(_ name: String, _ state: String) -> String {
        ", {\"name\": \"\(name)\", \"self\": false, \"state\": \"\(state)\"}"
    }

    private static func sealing(_ sending: String, _ held: String, _ members: String = "") -> String {
        "{\"sending\": \"\(sending)\", \"held\": [\(held)], \"members\": [\(members)]}"
    }

    private static func row(_ name: String, _ sending: String, _ held: String) -> String {
        "{\"name\": \"\(name)\", \"sending\": \"\(sending)\", \"held\": [\(held)]}"
    }

    @Test func `the old key may go when everybody who is there seals with the new one`() {
        let members = Self.member("n2", "up") + Self.member("n3", "down") + Self.member("n4", "left")
        let sealing = Self.sealing("b", "\"a\", \"b\"", Self.row("n2", "b", "\"b\", \"a\""))
        let change = KeyChange(Self.status(sealing, members: members), to: "b")
        #expect(change.obstacles == [])
        #expect(change.absent == ["n3"])
    }

    @Test func `who does not hold the new key, or does not use it, is named`() {
        let members = Self.member("n2", "up") + Self.member("n3", "up")
        let rows = Self.row("n2", "a", "\"a\"") + ", " + Self.row("n3", "a", "\"a\", \"b\"")
        let change = KeyChange(Self.status(Self.sealing("a", "\"a\", \"b\"", rows), members: members), to: "b")
        #expect(
            change.obstacles == [
                "n1 still seals with the old key",
                "n2 does not hold the new key: copy the file there, then understudy reload --all",
                "n3 still seals with the old key",
            ])
        let own = KeyChange(Self.status(Self.sealing("a", "\"a\"")), to: "b")
        #expect(own.obstacles == ["n1 does not hold the new key: copy the file there, then understudy reload --all"])
        #expect(KeyChange(Self.status("null"), to: "b").obstacles == ["n1 has no cluster.key-file: it seals nothing"])
    }

    private static func load(_ key: String) -> SettingsLoader.Loaded {
        let yaml = """
            node: {name: n1}
            sip: {listen: [udp://127.0.0.1:5060]}
            cluster: {bus: "tcp://127.0.0.1:7400", peers: ["tcp://127.0.0.2:7400"], key-file: /k}
            """
        return SettingsLoader(
            file: Array(yaml.utf8), environment: [:], overrides: [],
            readFile: { _ throws(SettingsLoader.Unreadable) in Array(key.utf8) }
        ).load()
    }

    @Test func `a reload takes keys that come and go, and no other name-giving one`() {
        let (one, two) = ("0123456789abcdef0123", "fedcba9876543210fedc")
        let plain = Self.load(one)
        let both = Self.load("understudy keys 1\nnames \(one)\nkey \(one)\nkey \(two)\n")
        let after = Self.load("understudy keys 1\nnames \(one)\nkey \(two)\n")
        for loaded in [plain, both, after] { #expect(loaded.problems == []) }
        #expect(Reload.report(from: plain, to: both).applied == ["cluster.key-file"])
        #expect(Reload.report(from: both, to: after).applied == ["cluster.key-file"])
        #expect(Reload.report(from: both, to: both).applied == [])
        let another = Reload.report(from: plain, to: Self.load(two))
        #expect(another.applied == [])
        #expect(another.needsRestart == ["cluster.key-file"])
        #expect(Self.load("understudy keys 1\nkey \(two)\n").problems.map(\.key) == ["cluster.key-file"])
    }
}
