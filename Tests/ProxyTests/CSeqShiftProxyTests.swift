// Requests that pass a node which knows of a shift: which numbers of theirs are moved, and which are moved back.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Requests whose CSeq is moved")
struct CSeqShiftProxyTests {
    /// A confirmed call in which the cluster has made a request to the callee; its route.
    private static func establish(_ bench: inout ProxyBench, shift: UInt32 = 4_096) -> String {
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        move(&bench, shift)
        return route
    }

    /// The fact arrives.
    private static func move(_ bench: inout ProxyBench, _ shift: UInt32) {
        var facts = FactsWriter()
        bench.proxy.writeShift(shift, toward: .callee, of: bench.did, into: &facts, dialogs: bench.dialogs)
        let learned = try? bench.dialogs.learn(
            bench.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: bench.now)
        #expect(learned?.outcome == .changed)
    }

    private static func request(
        _ method: String, _ route: String, cSeq: Int, extra: String = "", via: [String] = []
    ) -> String {
        let text = Call.request(
            method, branch: "z9hG4bK\(method)\(cSeq)", cSeq: cSeq, toTag: "bob", route: [route], extra: extra)
        guard !via.isEmpty else { return text }
        return text.replacing(
            "\r\nVia: ", with: "\r\n" + via.map { "Via: \($0)\r\n" }.joined() + "Via: ", maxReplacements: 1)
    }

    @Test func `a request leaves with its number moved, and every answer comes back with its own`() {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        for (method, status) in [("INFO", 200), ("UPDATE", 500), ("OPTIONS", 481), ("INVITE", 488)] {
            let number = 2 + status
            let sent = bench.receive(Self.request(method, route, cSeq: number), from: ProxyBench.caller)
            let forwarded = sent.first { $0.to == ProxyBench.callee }!
            #expect(forwarded.header("CSeq") == "\(number + 4_096) \(method)")
            var answers =
                method == "INVITE" ? bench.receive(Call.response(180, to: forwarded), from: ProxyBench.callee) : []
            answers += bench.receive(Call.response(status, to: forwarded), from: ProxyBench.callee)
            let upstream = answers.filter { $0.to == ProxyBench.caller }
            #expect(upstream.last?.firstLine.hasPrefix("SIP/2.0 \(status)") == true)
            #expect(upstream.allSatisfy { $0.header("CSeq") == "\(number) \(method)" })
            let ack = answers.first { $0.firstLine.hasPrefix("ACK") }
            #expect((ack?.header("CSeq") == "\(number + 4_096) ACK") == (method == "INVITE"))
        }
        #expect(bench.proxy.counters.requestsMoved == 4)
    }

    @Test func `a CANCEL and a repetition have the number that the INVITE has left with`() {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        let text = Self.request("INVITE", route, cSeq: 2)
        let invite = bench.receive(text, from: ProxyBench.caller).first { $0.to == ProxyBench.callee }!
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        Self.move(&bench, 8_192)
        #expect(bench.receive(text, from: ProxyBench.caller).allSatisfy { $0.to == ProxyBench.caller })
        let cancel = bench.receive(
            Call.request("CANCEL", branch: "z9hG4bKINVITE2", cSeq: 2, toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        #expect(cancel.first { $0.firstLine.hasPrefix("CANCEL") }?.header("CSeq") == "4098 CANCEL")
    }

    @Test func `a copy of the last BYE by way of another node has the number that the first one had`() throws {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        let bye = Self.request("BYE", route, cSeq: 2)
        let first = try #require(bench.receive(bye, from: ProxyBench.caller).first { $0.to == ProxyBench.callee })
        #expect(first.header("CSeq") == "4098 BYE" && bench.state == .deleted)
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.nodeName = Array("n2".utf8)
        }
        let tombstone = try #require(bench.dialogs.bytes(bench.did))
        _ = try other.dialogs.learn(
            bench.did, facts: RawSpan(_elements: tombstone.span), age: .zero, now: other.now)
        let copy = try #require(other.receive(bye, from: ProxyBench.caller).first { $0.to == ProxyBench.callee })
        #expect(copy.header("CSeq") == "4098 BYE")
    }

    @Test func `a PRACK names its INVITE by the number that the callee knows`() {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        let invite = bench.receive(Self.request("INVITE", route, cSeq: 2), from: ProxyBench.caller)
            .first { $0.to == ProxyBench.callee }!
        _ = bench.receive(Call.response(183, to: invite), from: ProxyBench.callee)
        Self.move(&bench, 8_192)
        let prack = bench.receive(
            Self.request("PRACK", route, cSeq: 3, extra: "RAck: 776656 2 INVITE\r\n"), from: ProxyBench.caller)
        #expect(prack.first?.header("RAck") == "776656 4098 INVITE")
        #expect(prack.first?.header("CSeq") == "8195 PRACK")
    }

    @Test func `what has passed a member was moved there, and is not moved again`() {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        var member = ByteWriter()
        Branch.transaction(
            Branch.Token(
                member: 0x2222_2222, slot: SlotID(index: 1, generation: 1), did: bench.did, loop: 1)
        ).write(mark: 0x1234, into: &member)
        let via = "SIP/2.0/UDP 10.0.1.2:5060;branch=\(String(decoding: member.bytes, as: UTF8.self))"
        let text = Self.request("INFO", route, cSeq: 4_098, via: [via])
        let sent = bench.receive(text, from: "10.0.1.2:5060")
        #expect(sent.first?.header("CSeq") == "4098 INFO")
        let answer = bench.receive(Call.response(200, to: sent[0]), from: ProxyBench.callee)
        #expect(answer.first?.header("CSeq") == "4098 INFO", "it is moved back where it was moved")
        let side = bench.dialogs.record(bench.did)?.caller
        #expect(side?.cseq == 2, "facts are the sender's own")
    }

    @Test func `what does not fit 32 bits is refused, and an ordinary call costs nothing`() {
        var bench = ProxyBench()
        let route = Self.establish(&bench)
        let sent = bench.receive(Self.request("INFO", route, cSeq: Int(UInt32.max)), from: ProxyBench.caller)
        #expect(sent.map(\.firstLine) == ["SIP/2.0 500 Server Internal Error"])
        #expect(bench.proxy.counters.numbersUsedUp == 1 && bench.proxy.counters.requestsMoved == 0)
        #expect(bench.endedRequests.isEmpty)
    }
}
