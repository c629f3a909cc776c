// What a node tells an operator of itself and the others, and what it takes of another configuration while it runs.

import Node
import Primitives
import SIP
import Testing

@Suite("What a node tells its operator")
struct OperatorTests {
    @Test func `settings that must be the same are told by key on both sides, and those that may differ are not`() {
        var bench = ClusterBench { settings in
            settings.sip.advertise = [ConfiguredURI("sip:10.0.0.99:5060")!]
            guard settings.node.name == "n2" else { return }
            settings.sip.advertise = [ConfiguredURI("sip:10.0.0.98:5060")!]
            settings.dialogs.rrParameter = "other"
            settings.dialogs.defaultTimeout = .seconds(60)
        }
        bench.advance(milliseconds: 2_000)
        func differs(_ index: Int) -> [String: [String]] {
            let members = bench.nodes[index]?.status(now: bench.now).members ?? []
            return Dictionary(members.filter { !$0.isSelf }.map { ($0.name, $0.differs) }) { first, _ in first }
        }
        let keys = ["ims_dialog.rr_param", "sip.advertise"]
        #expect(differs(0) == ["n2": keys, "n3": []])
        #expect(differs(1) == ["n1": keys, "n3": keys])
        #expect(differs(2) == ["n1": [], "n2": keys])
    }

    @Test func `a joining node says whom it waits for, since when and until when`() {
        var bench = ClusterBench { _ in }
        bench.kill(2)
        bench.advance(milliseconds: 12_000)
        let status = bench.nodes[0]?.status(now: bench.now)
        #expect(status?.state == "joining")
        #expect(status?.notReadyReason.hasPrefix("joining: waits for 1") == true, "\(status?.notReadyReason ?? "")")
        #expect(status?.waiting.contains("10.0.0.3:7400, not heard; serves without in 1") == true)
        bench.advance(milliseconds: 25_000)
        #expect(bench.nodes[0]?.status(now: bench.now).waiting == "")
    }

    @Test func `access lists and limits are taken while the node runs`() {
        var bench = LoneNodeTests.Bench(LoneNodeTests.settings())
        func ask(_ number: Int) -> String {
            let options = """
                OPTIONS sip:10.0.1.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKr\(number)\r\n\
                From: <sip:a@10.0.0.9>;tag=a\r\nTo: <sip:10.0.1.1>\r\nCall-ID: r\(number)\r\nCSeq: 1 OPTIONS\r\n\
                Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n
                """
            return bench.receive(options, from: "10.0.0.9:5060").first.map { String($0.prefix(11)) } ?? ""
        }
        #expect(ask(1) == "SIP/2.0 200")
        var other = LoneNodeTests.settings()
        other.access.deny = [Subnet(text: "10.0.0.0/24")!]
        var out = Outbox()
        bench.node.reload(other, now: bench.now, into: &out)
        #expect(ask(2) == "SIP/2.0 403")
        bench.node.reload(LoneNodeTests.settings(), now: bench.now, into: &out)
        #expect(ask(3) == "SIP/2.0 200")
    }

    @Test func `routes and sets are taken while the node runs`() {
        func settings(_ target: String) -> Settings {
            LoneNodeTests.settings { settings in
                var problems: [SettingProblem] = []
                let row = ["match": ["sip:.*@example.org"], "to": [target]]
                settings.routes = [Route.read(row, number: 1, problems: &problems)].compactMap(\.self)
            }
        }
        var bench = LoneNodeTests.Bench(settings("sip:10.0.0.7:5060"))
        func uris() -> [String] { bench.node.targets(now: bench.now).map(\.uri) }
        #expect(uris() == ["sip:10.0.0.7:5060"])
        var out = Outbox()
        #expect(bench.node.objections(to: settings("sip:10.0.0.8:5060")) == [])
        bench.node.reload(settings("sip:10.0.0.8:5060"), now: bench.now, into: &out)
        #expect(uris() == ["sip:10.0.0.8:5060"])
        bench.node.reload(LoneNodeTests.settings(), now: bench.now, into: &out)
        #expect(uris() == [])
    }

    @Test func `a peer is put into the list and taken out of it, unless it is up`() {
        var bench = ClusterBench { _ in }
        bench.advance(milliseconds: 2_000)
        func settings(_ peers: [String]) -> Settings {
            var settings = bench.nodes[0]!.settings
            settings.cluster.peers = peers.map { Endpoint(text: $0)! }
            return settings
        }
        var out = Outbox()
        func reload(_ other: Settings) {
            bench.change(0) { node, now in node.reload(other, now: now, into: &out) }
        }
        let objections = bench.nodes[0]?.objections(to: settings(["10.0.0.2:7400"])) ?? []
        #expect(
            objections == [
                "cluster.peers: 10.0.0.3:7400 is n3, which is up: stop it first, or leave it in the list"
            ])
        bench.kill(2)
        bench.advance(milliseconds: 5_000)
        #expect(bench.nodes[0]?.objections(to: settings(["10.0.0.2:7400"])) == [])
        #expect(bench.nodes[0]?.status(now: bench.now).members.map(\.name) == ["n1", "n2", "n3"])
        reload(settings(["10.0.0.2:7400", "10.0.0.9:7400"]))
        #expect(out.bus.contains(.disconnect(peer: 1)))
        // A position that was given up is the next new peer's.
        #expect(out.bus.contains(.connect(peer: 1, to: Endpoint(text: "10.0.0.9:7400")!)))
        let members = bench.nodes[0]?.status(now: bench.now).members ?? []
        #expect(members.map(\.name) == ["", "n1", "n2"], "the dead one is forgotten")
        #expect(members[0].bus == "10.0.0.9:7400")
        // Nothing is done twice.
        out.removeAll()
        reload(settings(["10.0.0.2:7400", "10.0.0.9:7400"]))
        #expect(
            !out.bus.contains { if case .connect = $0 { true } else if case .disconnect = $0 { true } else { false } })
    }

    @Test func `peers stay as they are where the bus moves, or a name finds them`() {
        var bench = ClusterBench { _ in }
        bench.advance(milliseconds: 2_000)
        bench.kill(2)
        bench.advance(milliseconds: 5_000)
        var other = bench.nodes[0]!.settings
        other.cluster.peers = [Endpoint(text: "10.0.0.2:7400")!]
        other.cluster.bus = Endpoint(text: "10.0.0.1:7500")
        var out = Outbox()
        bench.change(0) { node, now in node.reload(other, now: now, into: &out) }
        #expect(bench.nodes[0]?.settings.cluster.peers.count == 2)
        #expect(!out.bus.contains(.disconnect(peer: 1)))
    }

    @Test func `a query finds by several states, parts of From and To, and age`() {
        var query = DialogQuery()
        #expect(query.takes(state: "early") && !query.takes(state: "deleted"))
        query.states = ["deleted", "early"]
        #expect(query.takes(state: "early") && query.takes(state: "deleted") && !query.takes(state: "confirmed"))
        query.from = "ALICE"
        #expect(query.takes(from: "<sip:alice@h>", to: "") && !query.takes(from: "<sip:bob@h>", to: "alice"))
        query.to = "h2"
        #expect(!query.takes(from: "alice", to: "h1") && query.takes(from: "alice", to: "x@H2"))
        query.olderMilliseconds = 1_000
        query.youngerMilliseconds = 2_000
        #expect(!query.takes(ageMilliseconds: 999) && query.takes(ageMilliseconds: 1_000))
        #expect(query.takes(ageMilliseconds: 2_000) && !query.takes(ageMilliseconds: 2_001))
    }
}
