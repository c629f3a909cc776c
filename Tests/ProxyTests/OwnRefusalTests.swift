// The ACK of a refusal that the proxy made itself within a dialog ends here, on whichever node, and teaches nothing.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Refusals of the cluster's own within a dialog, RFC 3261 §8.2.7 and §17.1.1.3")
struct OwnRefusalTests {
    /// INVITE, 200, ACK; the Route of the dialog.
    private static func establish(_ bench: inout ProxyBench) -> String {
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        return route
    }

    /// A request of either side within the dialog.
    private static func within(
        _ method: String, _ leg: Leg, _ route: String, branch: String = "z9hG4bKr1", cSeq: Int = 2, hops: Int = 70,
        extra: String = ""
    ) -> String {
        let text =
            leg == .caller
            ? Call.request(
                method, branch: branch, cSeq: cSeq, toTag: "bob", route: [route],
                contact: method == "ACK" ? nil : "sip:alice@10.0.0.1:5060", extra: extra)
            : Call.request(
                method, uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: branch, cSeq: cSeq,
                toTag: "alice", fromTag: "bob", route: [route],
                contact: method == "ACK" ? nil : "sip:bob@10.0.0.2:5060", from: "sip:bob@example.org",
                to: "sip:alice@example.org", extra: extra)
        return text.replacing("Max-Forwards: 70", with: "Max-Forwards: \(hops)")
    }

    private static func source(_ leg: Leg) -> String { leg == .caller ? ProxyBench.caller : ProxyBench.callee }

    @Test(
        arguments: [
            (.caller, 0, "", "483"), (.callee, 0, "", "483"), (.caller, 70, "Proxy-Require: privacy\r\n", "420"),
            (.callee, 70, "Session-Expires: 90\r\nSupported: timer\r\n", "422"),
            (.caller, 70, "Max-Breadth: 0\r\n", "440"),
        ] as [(Leg, Int, String, String)])
    func `its ACK goes no further and teaches nothing`(leg: Leg, hops: Int, extra: String, status: String) throws {
        var bench = ProxyBench { $0.minimumSession = 120 }
        let route = Self.establish(&bench)
        let refused = bench.receive(
            Self.within("INVITE", leg, route, hops: hops, extra: extra), from: Self.source(leg))
        #expect(refused.count == 1 && refused[0].firstLine.hasPrefix("SIP/2.0 \(status)"))
        let before = try #require(bench.dialogs.record(bench.did))
        #expect(bench.receive(Self.within("ACK", leg, route), from: Self.source(leg)).isEmpty)
        #expect(bench.dialogs.record(bench.did) == before)
        #expect(bench.proxy.counters.refusalsAcknowledged == 1)
    }

    @Test(arguments: [Leg.caller, .callee])
    func `another node, and this one after a restart, knows it by the record`(leg: Leg) throws {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        _ = bench.receive(Self.within("INVITE", leg, route, hops: 0), from: Self.source(leg))
        var other = ProxyBench { $0.memberTag = 0x2222_2222 }
        let bytes = try #require(bench.dialogs.bytes(bench.did))
        _ = try other.dialogs.learn(bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: other.now)
        #expect(other.receive(Self.within("ACK", leg, route), from: Self.source(leg)).isEmpty)
        #expect(other.dialogs.bytes(bench.did) == bytes)
        #expect(other.proxy.counters.refusalsAcknowledged == 1)
    }

    @Test func `an INVITE of the same CSeq that passes afterwards is acknowledged as any other`() throws {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        _ = bench.receive(Self.within("INVITE", .caller, route, hops: 0), from: ProxyBench.caller)
        let sent = bench.receive(
            Self.within("INVITE", .caller, route, branch: "z9hG4bKr2"), from: ProxyBench.caller)
        let again = try #require(sent.first { $0.to == ProxyBench.callee })
        #expect(bench.receive(Call.response(200, to: again), from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        let ack = bench.receive(Self.within("ACK", .caller, route, branch: "z9hG4bKr3"), from: ProxyBench.caller)
        #expect(ack.map(\.to) == [ProxyBench.callee])
        #expect(bench.dialogs.record(bench.did)?.settledCaller == 2)
        // The refused one's ACK may still come.
        #expect(bench.receive(Self.within("ACK", .caller, route), from: ProxyBench.caller).isEmpty)
    }

    @Test func `without a cookie in its branch an INVITE that comes again and passes is forgotten as refused`() throws {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        _ = bench.receive(Self.within("INVITE", .caller, route, branch: "1", hops: 0), from: ProxyBench.caller)
        let sent = bench.receive(Self.within("INVITE", .caller, route, branch: "1"), from: ProxyBench.caller)
        let again = try #require(sent.first { $0.to == ProxyBench.callee })
        _ = bench.receive(Call.response(200, to: again), from: ProxyBench.callee)
        let ack = bench.receive(Self.within("ACK", .caller, route, branch: "1"), from: ProxyBench.caller)
        #expect(ack.map(\.to) == [ProxyBench.callee])
    }

    @Test func `without a record it is known for 64·T1, 4096 at most, and what is let go early is counted`() {
        var bench = ProxyBench()
        let route = "<sip:\(ProxyBench.shared);lr;did=0123456789abcdef>"
        func refuse(_ index: Int) {
            let text = Self.within("INVITE", .caller, route, branch: "z9hG4bKx\(index)", hops: 0)
            #expect(bench.receive(text, from: ProxyBench.caller).count == 1)
        }
        func passes(_ index: Int) -> Bool {
            !bench.receive(
                Self.within("ACK", .caller, route, branch: "z9hG4bKx\(index)"), from: ProxyBench.caller
            ).isEmpty
        }
        for index in 0..<4_096 { refuse(index) }
        #expect(!passes(0) && bench.proxy.counters.refusalsForgotten == 0)
        refuse(4_096)
        #expect(bench.proxy.counters.refusalsForgotten == 1)
        #expect(passes(0) && !passes(1) && !passes(4_096))
        _ = bench.advance(milliseconds: 31_000)
        #expect(!passes(1))
        _ = bench.advance(milliseconds: 1_001)
        #expect(passes(1))
        refuse(5_000)
        #expect(bench.proxy.counters.refusalsForgotten == 1, "what has expired was not let go early")
    }
}
