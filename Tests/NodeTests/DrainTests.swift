// A draining node takes no new dialog: what reaches it all the same is another member's, whose answers come back
// through it, and what it has goes on. Three nodes on a bus, and the phones of a call.

import Node
import Primitives
import SIP
import Testing

@Suite("A draining node takes no new dialog")
struct DrainTests {
    private static func bench(draining: [Int] = [0]) -> ClusterBench {
        var bench = ClusterBench { _ in }
        bench.advance(milliseconds: 3_000)
        for index in draining { bench.drain(index) }
        bench.advance(milliseconds: 500)
        return bench
    }

    private static func invite(_ number: Int = 1, extra: String = "") -> String {
        ClusterBench.request(
            "INVITE", "z9hG4bKc\(number)", "<sip:bob@10.0.9.2>", extra: "Contact: <sip:alice@10.0.9.1>\r\n" + extra
        ).replacing("Call-ID: c\r\n", with: "Call-ID: c\(number)\r\n")
    }

    private static func cancel() -> String {
        ClusterBench.request("CANCEL", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: "")
            .replacing("Call-ID: c\r\n", with: "Call-ID: c1\r\n")
    }

    private static func rings(_ bench: inout ClusterBench, through index: Int = 0) -> ClusterBench.Sent? {
        bench.receive(invite(), from: ClusterBench.caller, at: index)
        bench.advance(milliseconds: 100)
        guard let invite = bench.sent.last(where: { $0.text.hasPrefix("INVITE ") }) else { return nil }
        bench.receive(
            ClusterBench.answer(180, to: invite, toTag: ";tag=bob"), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 100)
        return invite
    }

    /// Status and node of what the caller was told.
    private static func told(_ bench: ClusterBench) -> [String] {
        bench.sent.filter { $0.to == ClusterBench.caller && $0.text.hasPrefix("SIP/2.0 ") }.map {
            "\($0.text.dropFirst(8).prefix(3)) by \($0.node + 1)"
        }
    }

    private static func answered(_ invite: ClusterBench.Sent) -> String {
        ClusterBench.answer(200, to: invite, toTag: ";tag=bob", extra: "Contact: <sip:bob@10.0.9.2>\r\n")
    }

    private static func acknowledgement(_ invite: ClusterBench.Sent) -> String {
        let route = "Route: \(invite.header("Record-Route")!)\r\n"
        return ClusterBench.request("ACK", "z9hG4bKa1", "<sip:bob@10.0.9.2>;tag=bob", extra: route)
            .replacing("Call-ID: c\r\n", with: "Call-ID: c1\r\n")
    }

    private static func left(_ bench: ClusterBench) -> [Int]? {
        bench.nodes[0].map { node in
            let status = node.status(now: bench.now)
            return [status.openTransactions, status.unacknowledged]
        }
    }

    @Test(arguments: [true, false])
    func `an answer is waited for until its ACK was seen by some node, whoever has the call`(isRelayed: Bool) {
        var bench = Self.bench(draining: isRelayed ? [0] : [])
        guard let invite = Self.rings(&bench) else {
            Issue.record("nobody was called")
            return
        }
        if !isRelayed { bench.drain(0) }
        bench.advance(milliseconds: 500)
        #expect(Self.left(bench) == [1, 0])
        #expect(bench.nodes[0]?.status(now: bench.now).openInvites == 1)
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 500)
        #expect(Self.told(bench).last == "200 by 1")
        #expect(Self.left(bench) == [0, 1])
        bench.receive(Self.acknowledgement(invite), from: ClusterBench.caller, at: 2)
        bench.advance(milliseconds: 200)
        #expect(Self.left(bench) == [0, 0])
    }

    @Test func `nobody waits for an ACK for longer than its answer is repeated, and a node that stays counts none`() {
        var bench = Self.bench()
        guard let invite = Self.rings(&bench) else {
            Issue.record("nobody was called")
            return
        }
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 1_000)
        #expect(Self.left(bench) == [0, 1])
        #expect(bench.nodes[invite.node]?.status(now: bench.now).unacknowledged == 0)
        bench.advance(milliseconds: 33_000)
        #expect(Self.left(bench) == [0, 0])
    }

    @Test func `a failure is waited for until its ACK, which comes to this node alone`() {
        var bench = Self.bench(draining: [])
        guard let invite = Self.rings(&bench) else {
            Issue.record("nobody was called")
            return
        }
        bench.drain(0)
        bench.receive(
            ClusterBench.answer(486, to: invite, toTag: ";tag=bob"), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 100)
        #expect(Self.left(bench) == [0, 1])
        let ack = ClusterBench.request("ACK", "z9hG4bKc1", "<sip:bob@10.0.9.2>;tag=bob", extra: "")
            .replacing("Call-ID: c\r\n", with: "Call-ID: c1\r\n")
        bench.receive(ack, from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 100)
        #expect(Self.left(bench) == [0, 0])
    }

    private static func invites(_ bench: ClusterBench) -> Int { bench.sent.count { $0.text.hasPrefix("INVITE ") } }

    @Test(arguments: [0, 1])
    func `an INVITE that its sender tries again is no new call, where its call's record is here`(owner: Int) {
        var bench = Self.bench(draining: [])
        guard Self.rings(&bench, through: owner) != nil else {
            Issue.record("nobody was called")
            return
        }
        bench.drain(0)
        bench.advance(milliseconds: 500)
        bench.receive(Self.invite().replacing("z9hG4bKc1", with: "z9hG4bKc2"), from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 200)
        #expect(bench.metric("sip_relayed") == 0 && Self.invites(bench) == 1)
        #expect(Self.told(bench).last == "180 by 1")
    }

    /// An INVITE and, by another branch, the same again, of which a copy comes to a draining node, too: that relays it
    /// to a member that has answered its sender.
    private static func relaysToWhoAnswers(_ member: Int) -> ClusterBench {
        var bench = Self.bench()
        bench.bus.delay = 10
        let again = Self.invite().replacing("z9hG4bKc1", with: "z9hG4bKc2")
        bench.receive(Self.invite(), from: ClusterBench.caller, at: member)
        for index in [member, 0] { bench.receive(again, from: ClusterBench.caller, at: index) }
        bench.advance(milliseconds: 100)
        return bench
    }

    @Test func `an INVITE of a call that is acknowledged meanwhile goes to no further member`() {
        let member = Self.invites(Self.relaysToWhoAnswers(1)) == 1 ? 1 : 2
        var bench = Self.relaysToWhoAnswers(member)
        guard let invite = bench.sent.last(where: { $0.text.hasPrefix("INVITE ") }), Self.invites(bench) == 1 else {
            Issue.record("it was relayed to another member")
            return
        }
        #expect(bench.metric("sip_relayed") == 1)
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: member)
        bench.advance(milliseconds: 200)
        bench.receive(Self.acknowledgement(invite), from: ClusterBench.caller, at: member)
        bench.advance(milliseconds: 5_000)
        #expect(Self.invites(bench) == 1 && bench.metric("sip_relayed_anew") == 0)
        #expect(Self.left(bench) == [0, 0])
    }

    @Test func `an INVITE goes to a member that takes calls, and its answers come back through the node that drains`() {
        var bench = Self.bench()
        guard let invite = Self.rings(&bench) else {
            Issue.record("nobody was called")
            return
        }
        #expect(invite.node != 0 && invite.to == ClusterBench.callee)
        #expect(!invite.text.contains("relay="))
        #expect(bench.nodes[0]?.status(now: bench.now).openTransactions == 1)
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench) == ["100 by 1", "180 by 1", "200 by 1"])
        let ok = bench.sent.last { $0.text.hasPrefix("SIP/2.0 200") }
        #expect(ok?.text.components(of: "Via: ") == 1 && ok?.header("Via")?.contains("z9hG4bKc1") == true)
        #expect(bench.nodes[0]?.status(now: bench.now).openTransactions == 0)
        for node in bench.nodes {
            let dialogs = node?.dialogs(DialogQuery(), now: bench.now).dialogs ?? []
            #expect(dialogs.map(\.home) == ["n\(invite.node + 1)"])
        }
        // In the dialog it goes on through the node that drains.
        let route = "Route: \(invite.header("Record-Route")!)\r\n"
        let ack = ClusterBench.request("ACK", "z9hG4bKa1", "<sip:bob@10.0.9.2>;tag=bob", extra: route)
            .replacing("Call-ID: c\r\n", with: "Call-ID: c1\r\n")
        bench.receive(ack, from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 100)
        #expect(bench.sent.last { $0.text.hasPrefix("ACK ") }?.node == 0)
        #expect(bench.nodes[2]?.dialogs(DialogQuery(), now: bench.now).dialogs.first?.state == "confirmed")
        let bye = ClusterBench.request("BYE", "z9hG4bKb1", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 2, extra: route)
            .replacing("Call-ID: c\r\n", with: "Call-ID: c1\r\n")
        bench.receive(bye, from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 100)
        #expect(bench.sent.last { $0.text.hasPrefix("BYE ") }?.node == 0)
        #expect(bench.nodes[1]?.dialogs(DialogQuery(), now: bench.now).dialogs.isEmpty == true)
    }

    @Test func `the members that take calls get as many`() {
        var bench = Self.bench()
        for number in 1...60 { bench.receive(Self.invite(number), from: ClusterBench.caller, at: 0) }
        let nodes = bench.sent.filter { $0.text.hasPrefix("INVITE ") }.map(\.node)
        #expect(nodes.count == 60 && nodes.filter { $0 == 1 }.count > 18 && nodes.filter { $0 == 2 }.count > 18)
        #expect(nodes.count { $0 == 0 } == 0)
    }

    @Test func `repetitions are absorbed, and a failure comes as it is`() {
        var bench = Self.bench()
        bench.receive(Self.invite(), from: ClusterBench.caller, at: 0)
        bench.receive(Self.invite(), from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 700)
        bench.receive(Self.invite(), from: ClusterBench.caller, at: 0)
        let invite = bench.sent.first { $0.text.hasPrefix("INVITE ") }!
        #expect(Set(bench.sent.filter { $0.text.hasPrefix("INVITE ") }.map(\.text)).count == 1)
        let challenge = ClusterBench.answer(
            407, to: invite, toTag: ";tag=bob", extra: "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n")
        bench.receive(challenge, from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 100)
        let failure = bench.sent.last { $0.text.hasPrefix("SIP/2.0 407") }
        #expect(failure?.node == 0 && failure?.header("Proxy-Authenticate") == "Digest realm=\"r\", nonce=\"n\"")
        let ack = ClusterBench.request("ACK", "z9hG4bKc1", "<sip:bob@10.0.9.2>;tag=bob", extra: "")
            .replacing("Call-ID: c\r\n", with: "Call-ID: c1\r\n")
        bench.receive(ack, from: ClusterBench.caller, at: 0)
        let before = bench.sent.count
        bench.advance(milliseconds: 40_000)
        // Nobody repeats the failure: each side has its ACK.
        #expect(bench.sent[before...].allSatisfy { !$0.text.contains("407") })
        #expect(bench.nodes[0]?.status(now: bench.now).openTransactions == 0)
    }

    @Test func `a CANCEL of a relayed INVITE stops the ringing`() {
        var bench = Self.bench()
        let invite = Self.rings(&bench)!
        bench.receive(Self.cancel(), from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 100)
        let cancels = bench.sent.filter { $0.text.hasPrefix("CANCEL ") }
        #expect(cancels.map(\.node) == [invite.node] && cancels.first?.to == ClusterBench.callee)
        bench.receive(
            ClusterBench.answer(200, to: cancels[0], toTag: ";tag=bob"), from: ClusterBench.callee, at: invite.node)
        bench.receive(
            ClusterBench.answer(487, to: invite, toTag: ";tag=bob"), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench) == ["100 by 1", "180 by 1", "200 by 1", "487 by 1"])
        #expect(bench.nodes[0]?.status(now: bench.now).openTransactions == 0)
    }

    @Test func `without a member that takes calls there is 503 with Retry-After`() {
        var bench = Self.bench(draining: [0, 1, 2])
        bench.receive(Self.invite(), from: ClusterBench.caller, at: 0)
        #expect(Self.told(bench) == ["503 by 1"] && bench.sent.last?.header("Retry-After") == "10")
        #expect(bench.nodes[0]?.status(now: bench.now).openTransactions == 0)
    }

    @Test func `who begins to drain serves what a member has relayed to it`() {
        var bench = Self.bench(draining: [0, 1])
        guard let invite = Self.rings(&bench) else {
            Issue.record("nobody was called")
            return
        }
        #expect(invite.node == 2)
        bench.drain(2)
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: 2)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench) == ["100 by 1", "180 by 1", "200 by 1"])
    }

    @Test(arguments: [false, true])
    func `a call that was relayed is answered without the node that drained`(isKilled: Bool) {
        var bench = Self.bench()
        let invite = Self.rings(&bench)!
        if isKilled { bench.kill(0) } else { bench.leave(0) }
        bench.advance(milliseconds: 2_000)
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench).last == "200 by \(invite.node + 1)")
        let ok = bench.sent.last { $0.text.hasPrefix("SIP/2.0 200") }
        #expect(ok?.to == ClusterBench.caller && ok?.text.components(of: "Via: ") == 1)
    }

    @Test func `the member dies while the callee rings: the node that drains tells the caller, as any heir would`() {
        var bench = Self.bench()
        let invite = Self.rings(&bench)!
        bench.kill(invite.node)
        bench.advance(milliseconds: 5_000)
        let cancels = bench.sent.filter { $0.text.hasPrefix("CANCEL ") }
        #expect(cancels.first?.to == ClusterBench.callee)
        for cancel in cancels.prefix(1) {
            bench.receive(
                ClusterBench.answer(200, to: cancel, toTag: ";tag=bob"), from: ClusterBench.callee, at: cancel.node)
        }
        bench.advance(milliseconds: 5_000)
        // The heir may be the node that drains itself: then its BYE is open until timer K.
        for bye in bench.sent.filter({ $0.text.hasPrefix("BYE ") }).prefix(1) {
            bench.receive(ClusterBench.answer(200, to: bye), from: ClusterBench.callee, at: bye.node)
        }
        bench.advance(milliseconds: 6_000)
        #expect(Self.told(bench).contains("480 by 1"))
        #expect(bench.nodes[0]?.status(now: bench.now).openTransactions == 0)
    }

    @Test func `the member has answered and dies: the node that drains repeats the 2xx until its ACK`() {
        var bench = Self.bench()
        let invite = Self.rings(&bench)!
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: invite.node)
        bench.advance(milliseconds: 20)
        bench.kill(invite.node)
        bench.advance(milliseconds: 4_000)
        #expect(Self.told(bench).filter { $0.hasPrefix("200") }.count > 1)
    }

    @Test func `what rings at the node that drains goes on there`() {
        var bench = Self.bench(draining: [])
        let invite = Self.rings(&bench)!
        #expect(invite.node == 0)
        bench.drain(0)
        bench.advance(milliseconds: 500)
        bench.receive(Self.answered(invite), from: ClusterBench.callee, at: 0)
        bench.advance(milliseconds: 100)
        #expect(Self.told(bench).last == "200 by 1")
    }

    @Test func `a request that makes no dialog is served`() {
        var bench = Self.bench()
        bench.receive(
            ClusterBench.request("MESSAGE", "z9hG4bKm1", "<sip:bob@10.0.9.2>", extra: ""), from: ClusterBench.caller,
            at: 0)
        #expect(bench.sent.last?.node == 0 && bench.sent.last?.text.hasPrefix("MESSAGE ") == true)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
