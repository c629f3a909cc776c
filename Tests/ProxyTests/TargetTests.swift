// Where each side of a dialog is reached, told by requests that two senders number.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Targets of both sides, RFC 3261 §12.2")
struct TargetTests {
    private static func bench() -> ProxyBench {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = bench.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: invite.headers("Record-Route"), contact: nil),
            from: ProxyBench.caller)
        return bench
    }

    private static func route(_ bench: ProxyBench) -> [String] {
        ["<sip:\(ProxyBench.shared);lr;did=\(bench.did.hex)>"]
    }

    /// A request of one side with this Contact, and the 2xx that the other sends with that one.
    private static func refresh(
        _ bench: inout ProxyBench, _ method: String, by leg: Leg, cSeq: Int, contact: String, answer: String
    ) -> Sent? {
        let isCaller = leg == .caller
        let request = Call.request(
            method, uri: isCaller ? "sip:bob@10.0.0.2:5060" : "sip:alice@10.0.0.1:5060",
            via: isCaller ? "10.0.0.1:5060" : "10.0.0.2:5060", branch: "z9hG4bK\(method)\(cSeq)", cSeq: cSeq,
            toTag: isCaller ? "bob" : "alice", fromTag: isCaller ? "alice" : "bob", route: route(bench),
            contact: contact, from: isCaller ? "sip:alice@example.org" : "sip:bob@example.org",
            to: isCaller ? "sip:bob@example.org" : "sip:alice@example.org")
        let sent = bench.receive(request, from: isCaller ? ProxyBench.caller : ProxyBench.callee)
        guard let passed = sent.first(where: { $0.firstLine.hasPrefix(method) }) else { return nil }
        _ = bench.receive(
            Call.response(200, to: passed, contact: answer), from: isCaller ? ProxyBench.callee : ProxyBench.caller)
        return passed
    }

    private static func contacts(_ bench: ProxyBench) -> [String] {
        guard let record = bench.dialogs.record(bench.did) else { return [] }
        return [record.caller.contact, record.outs[0].side.contact].map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: ["UPDATE", "INVITE"])
    func `what was told last counts, whichever side has the higher numbers`(method: String) {
        var bench = Self.bench()
        let (alice, bob) = ("sip:alice@10.0.0.1:5060", "sip:bob@10.0.0.2:5060")
        #expect(Self.contacts(bench) == [alice, bob])
        #expect(Self.refresh(&bench, method, by: .callee, cSeq: 101, contact: bob, answer: alice) != nil)
        let moved = "sip:alice@10.0.0.9:5060"
        #expect(Self.refresh(&bench, method, by: .caller, cSeq: 2, contact: moved, answer: "sip:b2@10.0.0.2") != nil)
        #expect(Self.contacts(bench) == [moved, "sip:b2@10.0.0.2"])
        let last = "sip:b3@10.0.0.2"
        #expect(Self.refresh(&bench, method, by: .callee, cSeq: 102, contact: last, answer: "sip:a3@10.0.0.9") != nil)
        #expect(Self.contacts(bench) == ["sip:a3@10.0.0.9", last])
        #expect(Self.refresh(&bench, method, by: .caller, cSeq: 3, contact: moved, answer: last) != nil)
        #expect(Self.contacts(bench) == [moved, last])
    }

    @Test func `a 2xx that is repeated after the other side has moved brings nothing back`() throws {
        var bench = Self.bench()
        let (alice, bob) = ("sip:alice@10.0.0.1:5060", "sip:bob@10.0.0.2:5060")
        let sent = try #require(
            Self.refresh(&bench, "INVITE", by: .caller, cSeq: 2, contact: alice, answer: "sip:zoe@10.0.0.2"))
        #expect(Self.refresh(&bench, "UPDATE", by: .callee, cSeq: 101, contact: bob, answer: alice) != nil)
        _ = bench.receive(Call.response(200, to: sent, contact: "sip:zoe@10.0.0.2"), from: ProxyBench.callee)
        #expect(Self.contacts(bench) == [alice, bob])
    }

    @Test func `numbers that add up to more than 32 bits are taken for the last`() {
        var (caller, callee) = (Record.Side(), Record.Side())
        (caller.cseq, callee.cseq) = (1, 4_000_000_000)
        #expect(Proxy.turn(of: 7, by: .caller, beside: caller, nil) == 7)
        #expect(Proxy.turn(of: 7, by: .callee, beside: caller, callee) == 8)
        #expect(Proxy.turn(of: 3_000_000_000, by: .caller, beside: caller, callee) == .max)
    }

    @Test(arguments: [("INFO", Leg.caller), ("OPTIONS", .callee)])
    func `a phone that has connected anew is reached by any request it sends or answers`(method: String, leg: Leg) {
        var bench = StreamBench()
        let browser = "sip:x1@random.invalid;transport=ws"
        let invite = bench.receive(
            overTCP(Call.request("INVITE", contact: browser), "WS"), from: "10.0.0.1:40000", .ws, flow: 8)[0].sent
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let routes = invite.headers("Record-Route")
        let ack = Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: routes.reversed(), contact: nil)
        _ = bench.receive(overTCP(ack, "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
        bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        if leg == .caller {
            let request = Call.request(
                method, branch: "z9hG4bKi1", cSeq: 2, toTag: "bob", route: routes.reversed(), contact: nil)
            let sent = bench.receive(overTCP(request, "WS"), from: "10.0.0.1:40002", .ws, flow: 10)[0].sent
            _ = bench.receive(Call.response(200, to: sent, contact: nil), from: ProxyBench.callee)
        } else {
            // It had come back before the callee asked: the old connection is the one that is still known.
            _ = bench.receive(overTCP(ack, "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
            let sent = bench.receive(Self.fromBob(method, browser, 100, routes), from: ProxyBench.callee)
            #expect(sent.map(\.flow) == [FlowID(rawValue: 8)])
            let answer = Call.response(200, to: sent[0].sent, contact: nil)
            _ = bench.receive(answer, from: "10.0.0.1:40002", .ws, flow: 10)
            bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        }
        let caller = bench.bench.dialogs.record(bench.bench.did)?.caller ?? Record.Side()
        #expect(FlowFact(caller.flow, ByteRange(caller.flow))?.flow == FlowID(rawValue: 10))
        #expect(String(decoding: caller.contact, as: UTF8.self) == browser)
        let bye = bench.receive(Self.fromBob("BYE", browser, 101, routes), from: ProxyBench.callee)
        #expect(bye.map(\.flow) == [FlowID(rawValue: 10)] && bye.map(\.transport) == [.ws])
    }

    private static func fromBob(_ method: String, _ uri: String, _ cSeq: Int, _ routes: [String]) -> String {
        Call.request(
            method, uri: uri, via: "10.0.0.2:5060", branch: "z9hG4bK\(method)b", cSeq: cSeq, toTag: "alice",
            fromTag: "bob", route: routes, contact: nil, from: "sip:bob@example.org", to: "sip:alice@example.org")
    }

    @Test(
        arguments: [
            ("sip:bob@10.0.0.2:5060;maddr=10.0.1.1", "sip:bob@10.0.0.2", "10.0.0.2:5060"),
            (
                "sip:bob@10.0.0.2;transport=udp;user=phone;MADDR=10.0.1.9", "sip:bob@10.0.0.2;user=phone",
                "10.0.0.2:5060"
            ),
            // Not ours: it says where the request goes, and stays (§16.6 step 6).
            ("sip:bob@10.0.0.2;maddr=10.0.0.7", "sip:bob@10.0.0.2;maddr=10.0.0.7", "10.0.0.7:5060"),
        ])
    func `a maddr that names us is taken away, with port and transport (§16.4)`(
        uri: String, target: String, hop: String
    ) {
        var bench = ProxyBench()
        let sent = bench.receive(Call.request("INVITE", uri: uri), from: ProxyBench.caller)
        #expect(sent.first?.firstLine == "INVITE \(target) SIP/2.0" && sent.first?.to == hop)
    }
}
