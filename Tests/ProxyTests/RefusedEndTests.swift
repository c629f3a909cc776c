// A party's BYE that the other phone refuses, since its number is below one that it has seen: by a request of the
// cluster's, which this node does not know of.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("BYEs that are refused as out of order (RFC 3261 §12.2.2)")
struct RefusedEndTests {
    /// A confirmed call, its route, and the BYE of one side as it leaves.
    private static func ending(by leg: Leg, on bench: inout ProxyBench) -> (text: String, bye: Sent) {
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = bench.commit()
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        let text = Self.bye(by: leg, route)
        let sent = bench.receive(text, from: leg == .caller ? ProxyBench.caller : ProxyBench.callee)
        return (text, sent.first { $0.firstLine.hasPrefix("BYE") }!)
    }

    private static func bye(by leg: Leg, _ route: String) -> String {
        if leg == .caller {
            return Call.request("BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "bob", route: [route], contact: nil)
        }
        return Call.request(
            "BYE", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKb2", cSeq: 2, toTag: "alice",
            fromTag: "bob", route: [route], contact: nil, from: "sip:bob@example.org", to: "sip:alice@example.org")
    }

    @Test(arguments: [Leg.caller, .callee])
    func `the phone that refused it is told by the cluster, with a number above all that it can have seen`(by leg: Leg)
        throws
    {
        var bench = ProxyBench()
        let (_, bye) = Self.ending(by: leg, on: &bench)
        let phone = leg == .caller ? ProxyBench.callee : ProxyBench.caller
        let sent = bench.receive(Call.response(500, to: bye, contact: nil), from: phone)
        #expect(sent.contains { $0.firstLine.hasPrefix("SIP/2.0 500") && $0.to != phone })
        let ours = try #require(sent.first { $0.firstLine.hasPrefix("BYE") })
        #expect(ours.to == phone && ours.firstLine == bye.firstLine)
        #expect(ours.header("CSeq") == "16777218 BYE")
        for name in ["From", "To", "Call-ID", "Route"] { #expect(ours.headers(name) == bye.headers(name)) }
        #expect(ours.headers("Via").count == 1 && ours.header("Via") != bye.header("Via"))
        // Nothing follows from its answer.
        #expect(bench.receive(Call.response(200, to: ours, contact: nil), from: phone).isEmpty)
        #expect(bench.advance(milliseconds: 40_000).filter { $0.firstLine.hasPrefix("BYE") }.isEmpty)
        #expect(bench.endedLegs.isEmpty && bench.state == .deleted)
    }

    @Test func `copies of it that two nodes have sent on are followed by one transaction`() throws {
        var bench = ProxyBench()
        let (text, bye) = Self.ending(by: .caller, on: &bench)
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.nodeName = Array("n2".utf8)
        }
        let tombstone = try #require(bench.dialogs.bytes(bench.did))
        _ = try other.dialogs.learn(
            bench.did, facts: RawSpan(_elements: tombstone.span), age: .zero, now: other.now)
        let copy = try #require(other.receive(text, from: ProxyBench.caller).first { $0.to == ProxyBench.callee })
        let one = bench.receive(Call.response(500, to: bye, contact: nil), from: ProxyBench.callee)
        let two = other.receive(Call.response(500, to: copy, contact: nil), from: ProxyBench.callee)
        let ours = [one, two].map { sent in sent.filter { $0.firstLine.hasPrefix("BYE") }.map(\.text) }
        #expect(ours[0].count == 1 && ours[0] == ours[1])
    }

    @Test(arguments: [401, 403, 481, 503])
    func `no other refusal says that the phone is in the call still`(status: Int) {
        var bench = ProxyBench()
        let (_, bye) = Self.ending(by: .caller, on: &bench)
        let sent = bench.receive(Call.response(status, to: bye, contact: nil), from: ProxyBench.callee)
        #expect(!sent.isEmpty && !sent.contains { $0.firstLine.hasPrefix("BYE") })
    }

    @Test func `of a dialog that is not known here nothing is said`() {
        var bench = ProxyBench()
        let route = "<sip:\(ProxyBench.shared);lr>"
        let bye = bench.receive(Self.bye(by: .caller, route), from: ProxyBench.caller).first {
            $0.firstLine.hasPrefix("BYE")
        }
        let sent = bye.map { bench.receive(Call.response(500, to: $0, contact: nil), from: ProxyBench.callee) }
        #expect(sent?.contains { $0.firstLine.hasPrefix("BYE") } == false)
    }
}
