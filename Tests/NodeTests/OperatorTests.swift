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
        bench.node.reload(other, now: bench.now)
        #expect(ask(2) == "SIP/2.0 403")
        bench.node.reload(LoneNodeTests.settings(), now: bench.now)
        #expect(ask(3) == "SIP/2.0 200")
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
