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
        #expect(bench.dialogs.flags(bench.did) == [.failed, .phonesTold] && bench.endedLegs.isEmpty)
    }

    @Test func `a set-up that fails here while its callee has answered a later pass is owed by this node`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var facts = FactsWriter()
        facts.begin()
        facts.out(Array("bob".utf8)) { out in
            out.reach(.confirmedNotAcknowledged)
            out.side { $0.target { $0.put(.contact, Array("sip:bob@10.0.0.2:5060".utf8)) } }
        }
        _ = try? bench.dialogs.learn(bench.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: bench.now)
        #expect(bench.state == .unconfirmed)
        let sent = bench.receive(Call.response(486, to: invite), from: ProxyBench.callee)
        let byes = sent.filter { $0.firstLine.hasPrefix("BYE") }
        #expect(byes.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(bench.dialogs.flags(bench.did)?.isSuperset(of: [.failed, .phonesTold]) == true)
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

    /// Another node that has the record, and ranks behind its home.
    private static func second(of bench: ProxyBench) -> ProxyBench {
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.nodeName = Array("n2".utf8)
        }
        other.proxy.neighbours.heirs.set(["n1", "n2", "n3"])
        other.puts = bench.puts
        let bytes = bench.dialogs.bytes(bench.did) ?? []
        _ = try? other.dialogs.learn(
            bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, isPeers: true, now: other.now)
        return other
    }

    @Test func `of several that had the answer the first in rank pays, and the others when it does not`() {
        var bench = Self.answered(acknowledged: true)
        bench.proxy.neighbours.heirs.set(["n1", "n2", "n3"])
        for isHeard in [true, false] {
            var (home, other) = (bench, Self.second(of: bench))
            #expect(Self.join(.failed, to: &other).isEmpty)
            let paid = Self.join(.failed, to: &home)
            #expect(paid.count == 2)
            #expect(other.advance(milliseconds: 400).isEmpty)
            if isHeard {
                let fact = home.lastPatch
                _ = try? other.dialogs.learn(
                    other.did, facts: RawSpan(_elements: fact.span), age: nil, isPeers: true, now: other.now)
            }
            let late = other.advance(milliseconds: 700)
            #expect(late.map(\.text) == (isHeard ? [] : paid.map(\.text)), "the same transaction")
        }
    }

    /// What an heir has learned that ended a further pass, and with it the callee's early dialog.
    private static func joinEndOfPass(_ flags: RecordFlags, to bench: inout ProxyBench) -> [Sent] {
        var facts = FactsWriter()
        facts.raise(flags)
        facts.out(Array("bob".utf8)) { $0.reach(.deleted) }
        let bytes = facts.bytes
        _ = try? bench.dialogs.learn(
            bench.did, facts: RawSpan(_elements: bytes.span), age: nil, isPeers: true, now: bench.now)
        for (did, record) in bench.dialogs.takeUnpaid() {
            bench.proxy.payEnd(did, record, now: bench.now, dialogs: &bench.dialogs)
        }
        return bench.drain()
    }

    @Test func `nor has it told the phones of a pass that an heir ended`() {
        var bench = Self.answered(acknowledged: true)
        let sent = Self.joinEndOfPass(.interrupted, to: &bench)
        #expect(sent.map { $0.firstLine.prefix(4) } == ["BYE ", "BYE "])
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(bench.demands.contains(.spent), "its record ends with its last dialog-out")
        for flags in [[], [.interrupted, .byeFromCaller], [.interrupted, .timedOut]] as [RecordFlags] {
            var other = Self.answered(acknowledged: true)
            #expect(Self.joinEndOfPass(flags, to: &other).isEmpty, "\(flags.names)")
        }
    }

    @Test func `the end of a dialog whose last callee an heir ended says so`() {
        var bench = Self.answered(acknowledged: true)
        _ = Self.joinEndOfPass(.interrupted, to: &bench)
        bench.proxy.learnSpent(bench.did, now: bench.now, dialogs: &bench.dialogs)
        _ = bench.drain()
        var other = Self.answered(acknowledged: true)
        let end = bench.lastPatch
        _ = try? other.dialogs.learn(
            other.did, facts: RawSpan(_elements: end.span), age: nil, isPeers: true, now: other.now)
        #expect(other.state == .deleted && other.dialogs.takeUnpaid().map(\.did) == [other.did])
    }

    @Test func `a call that was answered all the same, whose CANCEL came too late, ends by its time for all`() {
        var bench = Self.answered(acknowledged: true)
        var crossed = FactsWriter()
        crossed.raise([.cancelled, .interrupted])
        let bytes = crossed.bytes
        _ = try? bench.dialogs.learn(bench.did, facts: RawSpan(_elements: bytes.span), age: nil, now: bench.now)
        var other = bench
        bench.proxy.bury(bench.did, now: bench.now, dialogs: &bench.dialogs)
        _ = bench.drain()
        #expect(bench.dialogs.flags(bench.did)?.contains(.timedOut) == true)
        let end = bench.lastPatch
        _ = try? other.dialogs.learn(
            other.did, facts: RawSpan(_elements: end.span), age: nil, isPeers: true, now: other.now)
        #expect(other.state == .deleted && other.dialogs.takeUnpaid().isEmpty)
    }

    @Test func `while another callee is in the call nothing is owed`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        for tag in ["bob", "carol"] {
            _ = bench.receive(Call.response(200, to: invite, toTag: tag), from: ProxyBench.callee)
        }
        #expect(Self.joinEndOfPass(.interrupted, to: &bench).isEmpty)
    }

    @Test func `an end that the phones know is nobody's debt`() {
        for flags in [.timedOut, .byeFromCallee, .endedByOperator, [.cancelled, .unanswered]] as [RecordFlags] {
            var bench = Self.answered(acknowledged: true)
            #expect(Self.join(flags, to: &bench).isEmpty, "\(flags.names)")
        }
    }
}
