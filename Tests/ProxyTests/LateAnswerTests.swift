// Several callees of one call answer: what reaches the caller, what becomes of the record when one of them hangs up,
// and, with `sip.late-answer: end`, that all but the first are ended by the cluster.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Several callees answer, RFC 3261 §13.2.2.4, §16.7 step 5")
struct LateAnswerTests {
    /// Two phones ring, and the first has answered.
    private static func answered(
        _ change: (inout ProxySettings) -> Void = { _ in }
    ) -> (bench: ProxyBench, invites: [Sent]) {
        var bench = Fork.bench(2) { change(&$0) }
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for (index, invite) in invites.enumerated() { _ = Fork.answer(180, invite, tag: "t\(index + 1)", &bench) }
        #expect(Fork.upstream(Fork.answer(200, invites[0], tag: "t1", &bench)) == ["200"])
        return (bench, invites)
    }

    private static func acknowledge(_ tag: String, _ invite: Sent, _ bench: inout ProxyBench) {
        _ = bench.receive(
            Call.request(
                "ACK", branch: "z9hG4bKack\(tag)", toTag: tag, route: [invite.header("Record-Route")!], contact: nil),
            from: ProxyBench.caller)
    }

    private static func bye(_ tag: String, _ invite: Sent, cSeq: Int = 2, _ bench: inout ProxyBench) -> [Sent] {
        bench.receive(
            Call.request(
                "BYE", branch: "z9hG4bKbye\(tag)", cSeq: cSeq, toTag: tag, route: [invite.header("Record-Route")!]),
            from: ProxyBench.caller)
    }

    @Test func `with end the second callee gets ACK and BYE, and the caller hears nothing of it`() throws {
        var (bench, invites) = Self.answered { $0.endsLateAnswers = true }
        let sent = Fork.answer(200, invites[1], tag: "t2", &bench)
        #expect(sent.map(\.to) == [Fork.phone(2), Fork.phone(2)])
        let (ack, bye) = (try #require(sent.first), try #require(sent.last))
        #expect(ack.firstLine == "ACK sip:x@\(Fork.phone(2)) SIP/2.0" && ack.header("CSeq") == "1 ACK")
        #expect(bye.firstLine == "BYE sip:x@\(Fork.phone(2)) SIP/2.0")
        #expect(bye.header("Reason") == "SIP ;cause=200 ;text=\"Call completed elsewhere\"")
        #expect(ack.header("To")?.hasSuffix("tag=t2") == true && bye.header("To") == ack.header("To"))
        #expect(ack.header("Via") != bye.header("Via"), "each is a transaction of its own")
        #expect(bye.header("Reason") != nil && ack.header("Reason") == nil)
        let record = bench.dialogs.record(bench.did)!
        #expect(record.state == .confirmedNotAcknowledged)
        #expect(record.outs.map(\.state) == [.confirmedNotAcknowledged, .deleted])
        #expect(bench.proxy.counters.lateAnswersEnded == 1)
    }

    @Test func `each copy of its 2xx gets the same ACK again, and no second BYE`() {
        var (bench, invites) = Self.answered { $0.endsLateAnswers = true }
        let first = Fork.answer(200, invites[1], tag: "t2", &bench)
        let again = Fork.answer(200, invites[1], tag: "t2", &bench)
        #expect(again.map(\.text) == [first[0].text])
        // The first callee's own copies go on to the caller, who has not acknowledged yet.
        #expect(Fork.upstream(Fork.answer(200, invites[0], tag: "t1", &bench)) == ["200"])
        Self.acknowledge("t1", invites[0], &bench)
        #expect(bench.state == .confirmed)
        // After the call the late callee is still refused: its phone may not have heard the ACK.
        _ = Self.bye("t1", invites[0], &bench)
        #expect(bench.state == .deleted)
        #expect(Fork.upstream(Fork.answer(200, invites[1], tag: "t2", &bench)).isEmpty)
    }

    @Test func `a callee whose Contact is a name is looked up for ACK and BYE`() {
        var (bench, invites) = Self.answered { $0.endsLateAnswers = true }
        let text = Call.response(200, to: invites[1], toTag: "t2", contact: "sip:x@phone.example.org")
        #expect(bench.receive(text, from: invites[1].to).isEmpty)
        #expect(bench.questions.count == 2)
        let sent = bench.answer(["10.0.0.77:5060"]) + bench.answer(["10.0.0.77:5060"])
        #expect(sent.map(\.to) == ["10.0.0.77:5060", "10.0.0.77:5060"])
        #expect(Set(sent.map { $0.firstLine.prefix(3) }) == ["ACK", "BYE"])
    }

    @Test func `without quorum nobody is ended, and the callee repeats its answer`() {
        var (bench, invites) = Self.answered { $0.endsLateAnswers = true }
        bench.proxy.neighbours.heirs.set([])
        #expect(Fork.answer(200, invites[1], tag: "t2", &bench).isEmpty)
        bench.proxy.neighbours.heirs.set(["n1"])
        #expect(Fork.answer(200, invites[1], tag: "t2", &bench).count == 2)
    }

    @Test func `an heir ends a late callee of a dead node's call alike`() throws {
        let (owner, invites) = Self.answered { $0.endsLateAnswers = true }
        let bytes = try #require(owner.dialogs.bytes(owner.did))
        var heir = ProxyBench {
            $0.memberTag = 0x2222_2222
            $0.endsLateAnswers = true
        }
        _ = try heir.dialogs.learn(owner.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: heir.now)
        let sent = Fork.answer(200, invites[1], tag: "t2", &heir)
        #expect(sent.map { $0.firstLine.prefix(3) } == ["ACK", "BYE"])
        #expect(sent.allSatisfy { $0.to == Fork.phone(2) })
        #expect(heir.dialogs.record(owner.did)?.outs.map(\.state) == [.confirmedNotAcknowledged, .deleted])
    }

    // MARK: One of several hangs up

    @Test func `the BYE for one of two callees ends that one, and the call goes on with the other`() {
        var (bench, invites) = Self.answered()
        #expect(Fork.upstream(Fork.answer(200, invites[1], tag: "t2", &bench)) == ["200"])
        for (tag, invite) in zip(["t1", "t2"], invites) { Self.acknowledge(tag, invite, &bench) }
        #expect(Self.bye("t2", invites[1], &bench).map(\.firstLine) == ["BYE sip:bob@10.0.0.2:5060 SIP/2.0"])
        #expect(bench.state == .confirmed)
        #expect(bench.dialogs.record(bench.did)!.outs.map(\.state) == [.confirmed, .deleted])
        #expect(bench.dialogs.deadline(bench.did) != nil, "its lifetime is still watched")
        _ = Self.bye("t1", invites[0], &bench)
        #expect(bench.state == .deleted)
    }

    @Test func `the BYE for one ringing phone leaves the others ringing`() {
        var bench = Fork.bench(2)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for (index, invite) in invites.enumerated() { _ = Fork.answer(180, invite, tag: "t\(index + 1)", &bench) }
        _ = Self.bye("t2", invites[1], &bench)
        #expect(bench.state == .early)
        #expect(bench.dialogs.record(bench.did)!.outs.map(\.state) == [.early, .deleted])
        #expect(Fork.upstream(Fork.answer(200, invites[0], tag: "t1", &bench)) == ["200"])
        #expect(bench.state == .confirmedNotAcknowledged)
    }

    @Test func `BYEs that passed two nodes at once end the dialog where their facts meet`() throws {
        var (bench, invites) = Self.answered()
        _ = Fork.answer(200, invites[1], tag: "t2", &bench)
        for (tag, invite) in zip(["t1", "t2"], invites) { Self.acknowledge(tag, invite, &bench) }
        var other = bench
        _ = Self.bye("t1", invites[0], &bench)
        _ = Self.bye("t2", invites[1], &other)
        #expect(bench.state == .confirmed && other.state == .confirmed)
        #expect(!bench.demands.contains(.spent))
        _ = try bench.dialogs.learn(
            bench.did, facts: RawSpan(_elements: other.lastPatch.span), age: nil, now: bench.now)
        #expect(bench.demands.contains(.spent))
        bench.proxy.learnSpent(
            bench.did, now: bench.now, dialogs: &bench.dialogs)
        #expect(bench.state == .deleted)
        #expect(!bench.demands.contains(.spent))
    }
}
