// What a survivor does with the transactions of a dead node, and what a live node does with messages that are not its
// own (sip-in-a-cluster S1-2, S1-3, S2-10, S2-11). `pair()` gives two nodes that hold the same record.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Messages and transactions of other nodes")
struct TakeoverTests {
    static let owner: UInt32 = 0x1111_1111
    static let survivor: UInt32 = 0x2222_2222

    private func survivorBench(ownerIsLive: Bool) -> ProxyBench {
        var bench = ProxyBench { settings in
            settings.memberTag = Self.survivor
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.nodeName = Array("n2".utf8)
        }
        bench.proxy.neighbours.peers = [
            PeerContact(
                memberTag: Self.owner, endpoint: Endpoint(text: ProxyBench.node), isLive: ownerIsLive)
        ]
        return bench
    }

    private func replicate(_ did: DialogID, from: ProxyBench, to: inout ProxyBench) {
        let bytes = from.dialogs.bytes(did)!
        _ = try? to.dialogs.learn(did, facts: RawSpan(_elements: bytes.span), age: .zero, now: to.now)
        to.proxy.review(did, now: to.now, dialogs: &to.dialogs)
    }

    /// The owner has a ringing call, and the survivor its record.
    private func ringing(ownerIsLive: Bool) -> (owner: ProxyBench, survivor: ProxyBench, invite: Sent, sent: [Sent]) {
        var owner = ProxyBench()
        let invite = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = owner.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var survivor = survivorBench(ownerIsLive: ownerIsLive)
        replicate(owner.did, from: owner, to: &survivor)
        survivor.puts = owner.puts
        let sent = survivor.drain()
        return (owner, survivor, invite, sent)
    }

    @Test func `an answer for a live member is passed to it unchanged, once, S1-2a`() {
        var (_, survivor, invite, sent) = ringing(ownerIsLive: true)
        #expect(sent.isEmpty)
        let answer = Call.response(200, to: invite)
        #expect(survivor.receive(answer, from: ProxyBench.callee) == [Sent(text: answer, to: ProxyBench.node)])
        #expect(survivor.receive(answer, from: ProxyBench.node).isEmpty)
    }

    @Test func `a 2xx for a dead node waits for all who are there, not for one: an heir may be ending the call`() {
        var (_, survivor, invite, _) = ringing(ownerIsLive: false)
        survivor.proxy.neighbours.commits = true
        let sent = survivor.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(!sent.contains { $0.firstLine.hasPrefix("SIP/2.0 200") })
        #expect(survivor.commits.map(\.purpose) == [.inheritance])
        #expect(survivor.commit().map(\.to) == [ProxyBench.caller])
    }

    @Test func `a copy of a live owner's INVITE is the owner's, who says again what it said, S1-2b`() {
        var (owner, survivor, _, _) = ringing(ownerIsLive: true)
        let repeated = Call.request("INVITE")
        #expect(survivor.receive(repeated, from: ProxyBench.caller).map(\.to) == [ProxyBench.node])
        let again = owner.receive(repeated, from: "10.0.1.2:5060")
        #expect(again.map(\.firstLine) == ["SIP/2.0 180 Whatever"] && again[0].to == ProxyBench.caller)
        #expect(survivor.dialogs.count == 1 && owner.dialogs.count == 1)
    }

    @Test func `a CANCEL elsewhere is answered 200, and the owner cancels on the fact, S1-2c`() {
        var (owner, survivor, _, _) = ringing(ownerIsLive: true)
        let sent = survivor.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(sent.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0", "SIP/2.0 200 OK"])
        #expect(sent.map(\.to) == [ProxyBench.node, ProxyBench.caller], "to the owner too, should the bus be slow")
        replicate(owner.did, from: survivor, to: &owner)
        #expect(owner.drain().map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
    }

    @Test func `an ACK for a non-2xx elsewhere reaches its owner, not the callee, and stops its final answer, S1-2d`() {
        var (owner, survivor, invite, _) = ringing(ownerIsLive: true)
        _ = owner.receive(Call.response(486, to: invite), from: ProxyBench.callee)
        replicate(owner.did, from: owner, to: &survivor)
        let ack = Call.request("ACK", toTag: "bob", contact: nil)
        let passed = survivor.receive(ack, from: ProxyBench.caller)
        #expect(passed == [Sent(text: ack, to: ProxyBench.node)], "to the members, never by its Request-URI")
        #expect(owner.advance(milliseconds: 600).map(\.firstLine) == ["SIP/2.0 486 Whatever"], "timer G, before it")
        #expect(owner.receive(ack, from: "10.0.1.2:5060").isEmpty)
        #expect(owner.advance(milliseconds: 4_000).isEmpty)
    }

    @Test func `a CANCEL that matches nothing is answered 481`() {
        var bench = ProxyBench()
        #expect(
            bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller).map(\.firstLine)
                == ["SIP/2.0 481 Call/Transaction Does Not Exist"])
    }

    @Test func `a CANCEL that matches nothing here is its owner's to answer, and nobody's when it comes again`() {
        var survivor = survivorBench(ownerIsLive: true)
        let cancel = Call.request("CANCEL", contact: nil)
        let passed = survivor.receive(cancel, from: ProxyBench.caller)
        #expect(passed.map(\.to) == [ProxyBench.node], "what the owner has told may be on its way")
        var owner = ProxyBench()
        _ = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)
        owner.proxy.neighbours.peers = [
            PeerContact(memberTag: Self.survivor, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        let answers = owner.receive(passed[0].text, from: "10.0.1.2:5060").filter { $0.to == ProxyBench.caller }
        #expect(answers.map(\.firstLine) == ["SIP/2.0 200 OK"])
        #expect(
            survivor.receive(cancel, from: ProxyBench.caller).map(\.firstLine)
                == ["SIP/2.0 481 Call/Transaction Does Not Exist"])
    }

    @Test func `what an heir's CANCEL does not reach the others cancel, too`() {
        var (owner, heir, invite, sent) = ringing(ownerIsLive: false)
        #expect(sent.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        heir.proxy.neighbours.peers.append(
            PeerContact(memberTag: 0x3333_3333, endpoint: Endpoint(text: "10.0.1.3:5060"), isLive: true))
        _ = heir.advance(milliseconds: 4_001)
        #expect(heir.dialogs.record(owner.did)?.pendings.map(\.progress) == [[.provisional, .unheard]])
        var third = ProxyBench { settings in
            settings.memberTag = 0x3333_3333
            settings.nodeName = Array("n3".utf8)
        }
        third.proxy.neighbours.peers = heir.proxy.neighbours.peers.filter { $0.memberTag == Self.owner }
        third.proxy.neighbours.heirs.set(["n2"])
        let bytes = heir.dialogs.bytes(owner.did)!
        _ = try? third.dialogs.learn(owner.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: third.now)
        for _ in 0..<2 { third.proxy.review(owner.did, now: third.now, dialogs: &third.dialogs) }
        let cancels = third.drain()
        #expect(cancels.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"], "once")
        #expect(cancels.first?.headers("Via") == [invite.headers("Via")[0]])
        _ = owner.drain()
    }

    @Test func `the failure that an heir gives waits until the others have it`() {
        var (owner, heir, _, _) = ringing(ownerIsLive: true)
        heir.proxy.neighbours.commits = true
        heir.proxy.neighbours.peers[0].isLive = false
        heir.proxy.review(owner.did, now: heir.now, dialogs: &heir.dialogs)
        let cancel = heir.drain() + heir.advance(milliseconds: 250)
        #expect(cancel.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        let rest =
            heir.receive(Call.response(200, to: cancel[0], contact: nil), from: ProxyBench.callee)
            + heir.advance(milliseconds: 500)
        #expect(heir.dialogs.state(owner.did) == .deleted && heir.commits.map(\.purpose).last == .inheritance)
        #expect(!rest.contains { $0.firstLine.hasPrefix("SIP/2.0 480") })
        #expect(heir.commit().map(\.firstLine) == ["SIP/2.0 480 Temporarily Unavailable"])
        _ = owner.drain()
    }

    @Test func `of the dialogs that this node has ended the oldest is forgotten at the limit, counted`() {
        var last = LastRecords()
        for number in 1...LastRecords.limit {
            last.keep(DialogID(rawValue: UInt64(number)), Record(), now: .zero)
            last.keep(DialogID(rawValue: UInt64(number)), Record(), now: .zero)
        }
        #expect(last.evicted == 0)
        last.keep(DialogID(rawValue: 999), Record(), now: .zero)
        #expect(last.evicted == 1)
        let later = Instant.zero.advanced(milliseconds: 10_001)
        for number in 1...LastRecords.limit { last.keep(DialogID(rawValue: UInt64(number)), Record(), now: later) }
        #expect(last.evicted == 1, "their time was over")
    }

    @Test func `what a member had open of a dialog that this node has ended is cancelled when it has died`() {
        var owner = Fork.bench(2)
        let invites = Fork.invites(owner.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for (index, invite) in invites.enumerated() { _ = Fork.answer(180, invite, tag: "t\(index + 1)", &owner) }
        _ = Fork.answer(200, invites[0], tag: "t1", &owner)
        var survivor = survivorBench(ownerIsLive: true)
        replicate(owner.did, from: owner, to: &survivor)
        let route = invites[0].header("Record-Route")!
        for (method, cSeq) in [("ACK", 1), ("BYE", 2)] {
            _ = survivor.receive(
                Call.request(
                    method, branch: "z9hG4bK\(method)", cSeq: cSeq, toTag: "t1", route: [route], contact: nil),
                from: ProxyBench.caller)
        }
        #expect(survivor.dialogs.state(owner.did) == .deleted)
        survivor.proxy.neighbours.peers[0].isLive = false
        survivor.proxy.reviewLastRecords(now: survivor.now, dialogs: &survivor.dialogs)
        survivor.proxy.reviewLastRecords(now: survivor.now, dialogs: &survivor.dialogs)
        let cancels = survivor.drain()
        #expect(cancels.map { $0.firstLine.prefix(6) } == ["CANCEL"] && cancels.map(\.to) == [invites[1].to])
    }

    @Test func `a dead owner's ringing call is cancelled with its own Via, then 480 goes upstream, S2-11`() {
        var (owner, survivor, invite, sent) = ringing(ownerIsLive: false)
        #expect(sent.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        #expect(sent[0].headers("Via") == [invite.headers("Via")[0]], "branch and sent-by of the dead node")
        #expect(sent[0].header("CSeq") == "1 CANCEL")
        let rest = survivor.receive(Call.response(200, to: sent[0], contact: nil), from: ProxyBench.callee)
        #expect(
            rest.map(\.firstLine) == [
                "BYE sip:bob@10.0.0.2:5060 SIP/2.0", "ACK sip:bob@10.0.0.2:5060 SIP/2.0",
                "SIP/2.0 480 Temporarily Unavailable",
            ])
        #expect(rest[0].header("CSeq") == "16777217 BYE", "as any BYE to this leg: a later one is a retransmission")
        #expect(rest[2].to == ProxyBench.caller)
        #expect(rest[2].headers("Via") == ["SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKc1"])
        #expect(survivor.state == .deleted)
        _ = owner.drain()
    }

    @Test func `without a provisional nothing goes downstream, the caller has its 480 at once`() {
        var owner = ProxyBench()
        _ = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)
        var survivor = survivorBench(ownerIsLive: false)
        replicate(owner.did, from: owner, to: &survivor)
        #expect(survivor.drain().map(\.firstLine) == ["SIP/2.0 480 Temporarily Unavailable"])
    }

    @Test func `a 2xx without ACK is sent again by the heir until an ACK is seen, S1-3`() {
        var owner = ProxyBench()
        let invite = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = owner.receive(Call.response(200, to: invite), from: ProxyBench.callee)[0]
        var survivor = survivorBench(ownerIsLive: false)
        replicate(owner.did, from: owner, to: &survivor)
        #expect(survivor.drain() == [answer])
        #expect(survivor.advance(milliseconds: 500) == [answer])
        #expect(survivor.advance(milliseconds: 1_000) == [answer])
        let ack = survivor.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!], contact: nil),
            from: ProxyBench.caller)
        #expect(ack.map(\.to) == [ProxyBench.callee])
        #expect(survivor.dialogs.state(owner.did) == .confirmed)
        #expect(survivor.advance(milliseconds: 10_000).isEmpty)
    }

    @Test func `the heir's first copy waits until the others have it: who told of it may be dead, or a joiner`() {
        var owner = ProxyBench()
        let invite = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = owner.receive(Call.response(200, to: invite), from: ProxyBench.callee)[0]
        for hasAcknowledged in [false, true] {
            var survivor = survivorBench(ownerIsLive: false)
            survivor.proxy.neighbours.commits = true
            replicate(owner.did, from: owner, to: &survivor)
            #expect(survivor.drain().isEmpty)
            #expect(survivor.puts == [owner.did] && survivor.commits.map(\.purpose) == [.inheritance])
            if hasAcknowledged {
                _ = survivor.receive(
                    Call.request(
                        "ACK", branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!],
                        contact: nil),
                    from: ProxyBench.caller)
            }
            #expect(survivor.commit() == (hasAcknowledged ? [] : [answer]))
        }
    }

    @Test func `no ACK for 64·T1 makes the heir's deadline now, S1-3`() {
        var owner = ProxyBench()
        let invite = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = owner.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        var survivor = survivorBench(ownerIsLive: false)
        replicate(owner.did, from: owner, to: &survivor)
        let copies = survivor.advance(milliseconds: 40_000)
        #expect(copies.count == 11, "at once, then T1 doubling to T2: 0.5, 1.5, 3.5, 7.5, then each 4 s up to 31.5")
        #expect(copies.allSatisfy { $0.to == ProxyBench.caller && $0.firstLine == "SIP/2.0 200 Whatever" })
        #expect(survivor.dialogs.record(owner.did)?.deadline?.generation == 2)
    }

    @Test func `the heir of a pending re-INVITE answers 500 with Retry-After, and the call lives, S2-10`() {
        var owner = ProxyBench()
        let invite = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = owner.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = owner.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        let reinvite = owner.receive(
            Call.request("INVITE", branch: "z9hG4bKr1", cSeq: 2, toTag: "bob", route: [route]),
            from: ProxyBench.caller)[
                0]
        _ = owner.receive(Call.response(180, to: reinvite), from: ProxyBench.callee)
        var survivor = survivorBench(ownerIsLive: false)
        replicate(owner.did, from: owner, to: &survivor)
        let sent = survivor.drain()
        #expect(sent.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0", "SIP/2.0 500 Server Internal Error"])
        #expect(sent[1].header("Retry-After") == "1")
        #expect(survivor.dialogs.state(owner.did) == .confirmed)
        #expect(survivor.dialogs.record(owner.did)?.pendings.isEmpty == true)
    }

    @Test func `an answer that finds the dead node's moved address goes upstream and confirms, S1-1`() {
        var (owner, survivor, invite, _) = ringing(ownerIsLive: true)
        survivor.proxy.neighbours.peers = [
            PeerContact(
                memberTag: Self.owner, endpoint: nil, isLive: false, movesAddress: true, holdsMovedAddress: true)
        ]
        survivor.proxy.review(owner.did, now: survivor.now, dialogs: &survivor.dialogs)
        #expect(survivor.drain().isEmpty, "auto waits while a live member holds the address")
        let sent = survivor.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(sent.map(\.to) == [ProxyBench.caller])
        #expect(survivor.dialogs.state(owner.did) == .confirmedNotAcknowledged)
    }

    @Test func `an INVITE that a balancer gives to a survivor is adopted: 100, then the fate of the call, S1-2b`() {
        var (owner, survivor, _, _) = ringing(ownerIsLive: true)
        survivor.proxy.neighbours.peers[0].isLive = false
        let adopted = survivor.receive(
            Call.request("INVITE", branch: "z9hG4bKfailover"), from: ProxyBench.caller)
        #expect(
            adopted.map(\.firstLine) == [
                "SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "CANCEL sip:bob@10.0.0.2:5060 SIP/2.0",
            ])
        let rest = survivor.receive(Call.response(200, to: adopted[2], contact: nil), from: ProxyBench.callee)
        survivor.proxy.review(owner.did, now: survivor.now, dialogs: &survivor.dialogs)
        let finals = (rest + survivor.drain()).filter { $0.firstLine.hasPrefix("SIP/2.0 480") }
        #expect(finals.contains { $0.headers("Via").first?.contains("z9hG4bKfailover") ?? false })
    }

    @Test(arguments: [true, false])
    func `a copy that an heir took has the answer too when the call is answered elsewhere`(isBack: Bool) {
        var (owner, survivor, invite, _) = ringing(ownerIsLive: true)
        survivor.proxy.neighbours.peers = [
            PeerContact(
                memberTag: Self.owner, endpoint: Endpoint(text: ProxyBench.node), isLive: false, movesAddress: true,
                holdsMovedAddress: true)
        ]
        survivor.proxy.review(owner.did, now: survivor.now, dialogs: &survivor.dialogs)
        #expect(survivor.drain().isEmpty, "an heir waits while a live member holds the address")
        let adopted = survivor.receive(
            Call.request("INVITE", branch: "z9hG4bKfailover"), from: ProxyBench.caller)
        #expect(adopted.map(\.firstLine) == ["SIP/2.0 100 Trying"])
        // The owner had only been slow to be heard, or another member saw the answer.
        survivor.proxy.neighbours.peers[0].isLive = isBack
        _ = owner.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        replicate(owner.did, from: owner, to: &survivor)
        let answers = survivor.drain().filter { $0.firstLine.hasPrefix("SIP/2.0 200") }
        #expect(answers.contains { $0.headers("Via").first?.contains("z9hG4bKfailover") ?? false })
    }

    @Test func `an ACK that nothing here is known of goes to the members, and never to its Request-URI`() {
        var survivor = survivorBench(ownerIsLive: true)
        let ack = Call.request("ACK", toTag: "bob", contact: nil)
        #expect(survivor.receive(ack, from: ProxyBench.caller) == [Sent(text: ack, to: ProxyBench.node)])
        #expect(survivor.receive(ack, from: ProxyBench.node).isEmpty, "passing on happens once")
        let routed = Call.request("ACK", toTag: "bob", route: ["<sip:10.0.0.9:5060;lr>"], contact: nil)
        #expect(survivor.receive(routed, from: ProxyBench.caller).map(\.to) == ["10.0.0.9:5060"])
    }

    @Test func `a stale INVITE of a node that was paused is dropped, S2-15`() {
        var bench = ProxyBench()
        #expect(bench.receive(Call.request("INVITE"), from: ProxyBench.caller, age: 2_001).isEmpty)
        #expect(bench.proxy.counters.staleDropped == 1)
    }
}
