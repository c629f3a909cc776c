// A call that was answered at its owner while others took the owner for dead and ended the set-up (R15).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Ends that are owed")
struct OwedEndTests {
    /// The tombstone of a set-up that an heir has ended.
    private static func join(_ flags: RecordFlags, to bench: inout ProxyBench) -> [Sent] {
        var facts = FactsWriter()
        facts.reach(.deleted)
        facts.raise(flags)
        let bytes = facts.bytes
        let learned = try? bench.dialogs.learn(
            bench.did, facts: RawSpan(_elements: bytes.span), age: nil, isPeers: true, now: bench.now)
        #expect(learned?.after == .deleted)
        for (did, record) in bench.dialogs.takeUnpaid() {
            bench.proxy.payEnd(did, record, now: bench.now, dialogs: &bench.dialogs)
        }
        return bench.drain()
    }

    private static func answered(acknowledged: Bool) -> ProxyBench {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = bench.commit()
        if acknowledged {
            let ack = Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: invite.headers("Record-Route"), contact: nil)
            _ = bench.receive(ack, from: ProxyBench.caller)
        }
        return bench
    }

    @Test(arguments: [false, true])
    func `who has the answer in its record tells both phones when it hears that the call has failed`(isAcked: Bool) {
        var bench = Self.answered(acknowledged: isAcked)
        let sent = Self.join(.failed, to: &bench)
        #expect(sent.map { $0.firstLine.prefix(4) } == ["BYE ", "BYE "])
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(sent.allSatisfy { $0.header("Reason")?.contains("Call set-up was interrupted") == true })
        // Their answers end them, and the tombstone says nothing new.
        for (bye, phone) in zip(sent, [ProxyBench.caller, ProxyBench.callee]) {
            #expect(bench.receive(Call.response(200, to: bye), from: phone).isEmpty)
        }
        #expect(bench.advance(milliseconds: 40_000).filter { $0.firstLine.hasPrefix("BYE") }.isEmpty)
        #expect(bench.dialogs.flags(bench.did) == .failed && bench.endedLegs.isEmpty)
    }

    @Test func `a node without quorum owes it until it is fit again, and no longer than it is remembered`() {
        for wait in [0, 5_000, 20_000] as [Int64] {
            var bench = Self.answered(acknowledged: true)
            let heirs = bench.proxy.neighbours.heirs
            bench.proxy.neighbours.heirs.set([])
            #expect(Self.join(.failed, to: &bench).isEmpty)
            #expect(bench.advance(milliseconds: wait).isEmpty)
            bench.proxy.reviewLastRecords(now: bench.now, dialogs: &bench.dialogs)
            #expect(bench.drain().isEmpty)
            bench.proxy.neighbours.heirs = heirs
            bench.proxy.reviewLastRecords(now: bench.now, dialogs: &bench.dialogs)
            #expect(bench.drain().count == (wait < 10_000 ? 2 : 0), "after \(wait) ms")
        }
    }

    @Test func `an end that the phones know is nobody's debt`() {
        for flags in [.timedOut, .byeFromCallee, .endedByOperator, [.cancelled, .unanswered]] as [RecordFlags] {
            var bench = Self.answered(acknowledged: true)
            #expect(Self.join(flags, to: &bench).isEmpty, "\(flags.names)")
        }
    }
}
