// CANCEL of an INVITE within a dialog, at another node than that one's (S1-2c).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("CANCEL of a re-INVITE at another node, S1-2c")
struct CancelWithinTests {
    private static let member = "10.0.1.2:5060"

    /// A confirmed call at a node with one peer.
    private static func bench() -> (ProxyBench, route: [String]) {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.headers("Record-Route")
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil), from: ProxyBench.caller)
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: member)!, isLive: true)
        ]
        return (bench, route)
    }

    private static func cancel(_ route: [String], cSeq: Int) -> String {
        Call.request(
            "CANCEL", branch: "z9hG4bKr\(cSeq)", cSeq: cSeq, toTag: "bob", route: route, contact: nil)
    }

    @Test func `its INVITE is not known here yet: who has it gets it, and its sender a 200`() {
        var (bench, route) = Self.bench()
        let sent = bench.receive(Self.cancel(route, cSeq: 2), from: ProxyBench.caller)
        let passed = sent.filter { $0.to == Self.member }
        #expect(passed.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        #expect(sent.filter { $0.to == ProxyBench.caller }.map(\.firstLine) == ["SIP/2.0 200 OK"])
        // Who is passed it, and has no such INVITE either, says nothing.
        #expect(bench.receive(Self.cancel(route, cSeq: 3), from: Self.member).isEmpty)
        #expect(bench.state == .confirmed)
    }

    @Test func `one whose INVITE was answered is nobody's`() {
        var (bench, route) = Self.bench()
        let sent = bench.receive(Self.cancel(route, cSeq: 1), from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.caller] && sent.map(\.firstLine) == ["SIP/2.0 200 OK"])
    }
}
