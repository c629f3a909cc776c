// Copies of one INVITE reach two nodes before either has heard of the other's: both send it on, in one record. Which of
// the two the callee takes is the callee's to say, and what it says to the other is nothing about the call. Three nodes
// on a bus, and the phones of a call.

import Node
import Primitives
import SIP
import Testing

@Suite("Two nodes have sent one INVITE on")
struct TwoOwnerTests {
    private static let invite = ClusterBench.request(
        "INVITE", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: "Contact: <sip:alice@10.0.9.1>\r\n")

    /// The INVITEs that the callee gets, of the first two nodes.
    private static func bench() -> (ClusterBench, [ClusterBench.Sent]) {
        var bench = ClusterBench { _ in }
        bench.advance(milliseconds: 3_000)
        bench.bus.delay = 10
        for index in [0, 1] { bench.receive(invite, from: ClusterBench.caller, at: index) }
        bench.advance(milliseconds: 100)
        let invites = bench.sent.filter { $0.text.hasPrefix("INVITE ") }
        #expect(invites.map(\.node) == [0, 1] && invites.allSatisfy { $0.to == ClusterBench.callee })
        return (bench, invites)
    }

    private static func says(_ status: Int, _ invite: ClusterBench.Sent, _ bench: inout ClusterBench) {
        let contact = status < 300 ? "Contact: <sip:bob@10.0.9.2>\r\n" : ""
        bench.receive(
            ClusterBench.answer(status, to: invite, toTag: ";tag=bob", extra: contact), from: ClusterBench.callee,
            at: invite.node)
    }

    /// Final answers to the caller's INVITE, once each.
    private static func told(_ bench: ClusterBench) -> [String] {
        var told: [String] = []
        for sent in bench.sent where sent.to == ClusterBench.caller && sent.header("CSeq") == "1 INVITE" {
            let line = "\(sent.text.dropFirst(8).prefix(3)) by \(sent.node + 1)"
            if !line.hasPrefix("1"), !told.contains(line) { told.append(line) }
        }
        return told
    }

    private static func states(_ bench: ClusterBench) -> [String] {
        var query = DialogQuery()
        query.states = ["unconfirmed", "early", "confirmed_na", "confirmed", "deleted"]
        return bench.nodes.compactMap { $0 }.map { node in
            node.dialogs(query, now: bench.now).dialogs.map(\.state).joined(separator: " ")
        }
    }

    private static func byes(_ bench: ClusterBench) -> Int { bench.sent.count { $0.text.hasPrefix("BYE ") } }

    @Test(arguments: [0, 1])
    func `a merged copy is no failure of the call, which the callee answers by the other`(taken: Int) {
        var (bench, invites) = Self.bench()
        Self.says(180, invites[taken], &bench)
        bench.advance(milliseconds: 50)
        Self.says(482, invites[1 - taken], &bench)
        bench.advance(milliseconds: 500)
        #expect(Self.told(bench).isEmpty && Self.states(bench) == ["early", "early", "early"])
        Self.says(200, invites[taken], &bench)
        bench.advance(milliseconds: 200)
        #expect(Self.told(bench).sorted() == ["200 by 1", "200 by 2"], "by the Vias that both have")
        let route = "Route: \(invites[taken].header("Record-Route")!)\r\n"
        bench.receive(
            ClusterBench.request("ACK", "z9hG4bKa1", "<sip:bob@10.0.9.2>;tag=bob", extra: route),
            from: ClusterBench.caller, at: 2)
        bench.advance(milliseconds: 35_000)
        #expect(Self.states(bench) == ["confirmed", "confirmed", "confirmed"] && Self.byes(bench) == 0)
        #expect(bench.sent.count { $0.text.hasPrefix("SIP/2.0 200") && $0.node == 1 - taken } == 1, "once is enough")
        let open = bench.nodes.map { $0!.status(now: bench.now).openTransactions }
        #expect(open == [0, 0, 0])
    }

    @Test func `nor is silence to one of the copies`() {
        var (bench, invites) = Self.bench()
        Self.says(180, invites[0], &bench)
        bench.advance(milliseconds: 34_000)
        #expect(Self.told(bench).isEmpty && Self.states(bench) == ["early", "early", "early"])
        Self.says(200, invites[0], &bench)
        bench.advance(milliseconds: 200)
        #expect(Self.told(bench).contains("200 by 1"))
    }

    @Test func `the failure of the other is that of the call, and both say it`() {
        var (bench, invites) = Self.bench()
        Self.says(482, invites[1], &bench)
        bench.advance(milliseconds: 100)
        Self.says(486, invites[0], &bench)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench).sorted() == ["486 by 1", "486 by 2"])
        #expect(Self.states(bench) == ["deleted", "deleted", "deleted"])
    }

    @Test func `where both copies are refused at once each owner says what it has heard`() {
        var (bench, invites) = Self.bench()
        for invite in invites { Self.says(482, invite, &bench) }
        #expect(Self.told(bench).isEmpty)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench).sorted() == ["482 by 1", "482 by 2"])
        #expect(Self.states(bench) == ["deleted", "deleted", "deleted"])
    }

    @Test func `should the other die the caller is told by its heir and by the one that has left it the call`() {
        var (bench, invites) = Self.bench()
        Self.says(180, invites[0], &bench)
        Self.says(482, invites[1], &bench)
        bench.advance(milliseconds: 100)
        bench.kill(0)
        bench.advance(milliseconds: 10_000)
        #expect(Self.told(bench).contains("480 by 2") && Self.told(bench).allSatisfy { $0.hasPrefix("480") })
        #expect(Self.states(bench) == ["deleted", "deleted"])
    }

    @Test func `a CANCEL at the one reaches the callee by the other`() {
        var (bench, invites) = Self.bench()
        Self.says(180, invites[0], &bench)
        Self.says(482, invites[1], &bench)
        bench.advance(milliseconds: 100)
        bench.receive(
            ClusterBench.request("CANCEL", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: ""), from: ClusterBench.caller,
            at: 1)
        bench.advance(milliseconds: 100)
        #expect(bench.sent.filter { $0.text.hasPrefix("CANCEL ") }.map(\.node) == [0])
        Self.says(487, invites[0], &bench)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench).sorted() == ["487 by 1", "487 by 2"])
    }
}
