// What becomes of the passes of a spiral that are open when their node dies, their call is answered by another or ends,
// or their CANCEL and ACK reach a node that does not know them (S2-17, S1-2c, S1-2d).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Passes that are open when something else ends")
struct OpenPassTests {
    private static let survivorAddress = "10.0.1.2:5060"

    /// Another node, with the record of the first.
    private func survivor(of bench: ProxyBench, isLive: Bool, tag: UInt32 = 0x2222_2222) -> ProxyBench {
        var other = ProxyBench { settings in
            settings.memberTag = tag
            settings.listeners = [Endpoint(text: Self.survivorAddress)!]
            settings.names[0].sentBy = Array(Self.survivorAddress.utf8)
            settings.nodeName = Array("n2".utf8)
        }
        other.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node), isLive: isLive)
        ]
        other.puts = bench.puts
        copy(from: bench, to: &other)
        return other
    }

    private func copy(from bench: ProxyBench, to other: inout ProxyBench) {
        let bytes = bench.dialogs.bytes(bench.did)!
        _ = try? other.dialogs.learn(bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: other.now)
        other.proxy.review(bench.did, now: other.now, dialogs: &other.dialogs)
    }

    private func firstLines(_ sent: [Sent]) -> [String] { sent.map(\.firstLine) }

    /// Bob rings by one pass and Carol has answered by the next, on the first node.
    private func answered() -> (hunt: Hunt, bob: Sent) {
        var hunt = Hunt(recordsRoute: false)
        let bob = hunt.tries("s1", Hunt.bob)[0]
        _ = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        let carol = hunt.tries("s2", Hunt.carol)[0]
        let up = hunt.bench.receive(
            Call.response(200, to: carol, toTag: "tc", contact: "sip:carol@\(Hunt.carol)"), from: Hunt.carol)
        _ = hunt.passUp(up[0])
        return (hunt, bob)
    }

    private func bye(_ bench: ProxyBench) -> String {
        Call.request(
            "BYE", uri: "sip:carol@\(Hunt.carol)", branch: "z9hG4bKbye", cSeq: 3, toTag: "tc",
            route: ["<sip:\(ProxyBench.shared);lr;did=\(bench.did.hex)>"], contact: nil)
    }

    @Test func `the end of the call cancels what rings by a pass of this node`() {
        var (hunt, _) = answered()
        let sent = hunt.bench.receive(bye(hunt.bench), from: ProxyBench.caller)
        #expect(sent.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") })
        #expect(sent.contains { $0.to == Hunt.carol && $0.firstLine.hasPrefix("BYE") })
    }

    @Test func `so it does when an ACK has settled the call by way of a node that had not heard of that pass`() {
        var (hunt, _) = answered()
        var facts = FactsWriter()
        facts.reach(.confirmed)
        facts.settle(.caller, cSeq: 1)
        facts.out(Array("tc".utf8)) { out in
            out.reach(.confirmed)
            out.acknowledge(cSeq: 1)
        }
        let bytes = facts.bytes
        _ = try? hunt.bench.dialogs.learn(
            hunt.bench.did, facts: RawSpan(_elements: bytes.span), age: nil, isPeers: true, now: hunt.bench.now)
        #expect(hunt.bench.dialogs.record(hunt.bench.did)?.pendings.isEmpty == true)
        let sent = hunt.bench.receive(bye(hunt.bench), from: ProxyBench.caller)
        #expect(sent.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") })
    }

    @Test func `the end of the call cancels what rings by a pass of a dead node, whoever its heir would be`() {
        let (hunt, bob) = answered()
        // It has no quorum, so it is nobody's heir; where it is, it does not wait for the end.
        var lone = survivor(of: hunt.bench, isLive: true)
        lone.proxy.neighbours.peers[0].isLive = false
        lone.proxy.neighbours.heirs.set([])
        let sentAlone = lone.receive(bye(hunt.bench), from: ProxyBench.caller)
        #expect(sentAlone.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") })
        var other = survivor(of: hunt.bench, isLive: false)
        let cancel = other.drain().first { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") }
        #expect(cancel?.headers("Via").first == bob.headers("Via").first, "by its INVITE's Via")
    }

    @Test func `a BYE of the cluster's that comes by again, on its way through a server, ends nothing yet`() throws {
        let (hunt, _) = answered()
        var bench = hunt.bench
        let payload = try #require(bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs))
        bench.proxy.end(
            bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        let bye = try #require(bench.drain().first { $0.to == Hunt.carol && $0.firstLine.hasPrefix("BYE") })
        let line = "\(bye.firstLine)\r\n"
        let back = line + "Via: SIP/2.0/UDP \(Hunt.server);branch=z9hG4bKthrough\r\n" + bye.text.dropFirst(line.count)
        let sent = bench.receive(back, from: Hunt.server)
        #expect(sent.contains { $0.firstLine.hasPrefix("BYE") })
        #expect(bench.state == .confirmedNotAcknowledged, "the caller is still to be told, by its heir if need be")
    }

    @Test func `a later INVITE that is over leaves the open branch of the first one in the record`() {
        var (hunt, _) = answered()
        let route = ["<sip:\(ProxyBench.shared);lr;did=\(hunt.bench.did.hex)>"]
        func request(_ method: String, _ cSeq: Int, _ branch: String) -> String {
            Call.request(method, uri: "sip:carol@\(Hunt.carol)", branch: branch, cSeq: cSeq, toTag: "tc", route: route)
        }
        _ = hunt.bench.receive(request("ACK", 1, "z9hG4bKa1"), from: ProxyBench.caller)
        func isOpen() -> Bool {
            let pendings = hunt.bench.dialogs.record(hunt.bench.did)?.pendings ?? []
            return pendings.contains { $0.cseq == 1 && !$0.progress.contains(.final) }
        }
        #expect(isOpen())
        let again = hunt.bench.receive(request("INVITE", 2, "z9hG4bKi2"), from: ProxyBench.caller)
        _ = hunt.bench.receive(Call.response(200, to: again[0], toTag: "tc"), from: Hunt.carol)
        _ = hunt.bench.receive(request("ACK", 2, "z9hG4bKa2"), from: ProxyBench.caller)
        let third = hunt.bench.receive(request("INVITE", 3, "z9hG4bKi3"), from: ProxyBench.caller)
        _ = hunt.bench.receive(Call.response(488, to: third[0], toTag: "tc"), from: Hunt.carol)
        #expect(isOpen(), "an heir must find it")
    }

    @Test func `an heir whose CANCEL comes late ends no call that its callee has answered meanwhile`() {
        var hunt = Hunt(recordsRoute: false)
        // The pass is a third node's, which dies; the first pass lives.
        var third = survivor(of: hunt.bench, isLive: true, tag: 0x3333_3333)
        let bob = third.receive(hunt.branch("s1", to: Hunt.bob), from: Hunt.server)[0]
        _ = third.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        var other = survivor(of: hunt.bench, isLive: true)
        other.proxy.neighbours.peers.append(PeerContact(memberTag: 0x3333_3333, endpoint: nil, isLive: false))
        copy(from: third, to: &other)
        var sent = other.advance(milliseconds: 300)
        let cancel = sent.first { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") }
        copy(from: third, to: &hunt.bench)
        // The CANCEL is long on its way; the 2xx, its ACK and the record of both are faster.
        let up = third.receive(
            Call.response(200, to: bob, toTag: "tb", contact: "sip:bob@\(Hunt.bob)"), from: Hunt.bob)
        copy(from: third, to: &hunt.bench)
        _ = hunt.passUp(up[0])
        let route = ["<sip:\(ProxyBench.shared);lr;did=\(hunt.bench.did.hex)>"]
        _ = hunt.bench.receive(
            Call.request("ACK", uri: "sip:bob@\(Hunt.bob)", branch: "z9hG4bKa1", toTag: "tb", route: route),
            from: ProxyBench.caller)
        copy(from: hunt.bench, to: &other)
        sent = other.drain()
        if let cancel {
            sent += other.receive(Call.response(200, to: cancel, contact: nil), from: Hunt.bob)
        }
        sent += other.advance(milliseconds: 2_000)
        #expect(cancel != nil && !sent.contains { $0.firstLine.hasPrefix("BYE") })
        #expect(other.state == .confirmed)
    }

    @Test func `an heir takes a callee's answer by a further pass to the caller, if its server does not`() {
        var hunt = Hunt()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        _ = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        _ = hunt.bench.receive(Call.response(200, to: bob, toTag: "tb"), from: Hunt.bob)
        var other = survivor(of: hunt.bench, isLive: true)
        other.proxy.neighbours.peers[0].isLive = false
        other.proxy.neighbours.heirs.set(["n2"])
        other.proxy.review(other.did, now: other.now, dialogs: &other.dialogs)
        var sent = other.drain() + other.advance(milliseconds: 1_900)
        #expect(!sent.contains { $0.firstLine.hasPrefix("CANCEL") || $0.firstLine.hasPrefix("BYE") })
        // No copy of it came by the server: its own way may lead to the dead node alone.
        for _ in 0..<3 { sent += other.advance(milliseconds: 100) }
        let answers = sent.filter { $0.to == ProxyBench.caller && $0.firstLine.hasPrefix("SIP/2.0 200") }
        #expect(answers.count == 1 && answers[0].headers("Via").count == 1)
        #expect(answers[0].headers("Via")[0].contains("z9hG4bKc1") && answers[0].text.contains("tag=tb"))
        #expect(other.state == .confirmedNotAcknowledged)
        #expect(!sent.contains { $0.firstLine.hasPrefix("CANCEL") || $0.firstLine.hasPrefix("BYE") })
    }

    @Test func `a CANCEL for a pass that only another member knows is the owner's to answer`() {
        var hunt = Hunt()
        var other = survivor(of: hunt.bench, isLive: true)
        let bob = hunt.tries("s1", Hunt.bob)[0]
        _ = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        hunt.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: Self.survivorAddress), isLive: true)
        ]
        let cancel = Hunt.hopByHop("CANCEL", "s1", to: Hunt.bob)
        let mapped = "10.0.0.77:6999"
        let passed = other.receive(cancel, from: mapped)
        #expect(passed.map(\.to) == [ProxyBench.node], "no answer that nobody has looked into")
        #expect(passed[0].headers("Via")[0].contains("rport=6999"), "and its sender is known by its Via")
        let acted = hunt.bench.receive(passed[0].text, from: Self.survivorAddress)
        #expect(firstLines(acted.filter { $0.to == mapped }) == ["SIP/2.0 200 OK"])
        #expect(acted.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") })
    }

    @Test func `the ACK for a pass that this owner of the first one does not know confirms nothing`() {
        var hunt = Hunt()
        hunt.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: Self.survivorAddress), isLive: true)
        ]
        let ack = Hunt.hopByHop("ACK", "s7", to: Hunt.carol, toTag: "tc")
        #expect(hunt.bench.receive(ack, from: Hunt.server).map(\.to) == [Self.survivorAddress])
        #expect(hunt.bench.state == .unconfirmed)
    }

    @Test func `each copy of a dead node's 2xx waits for its commit, and none follows a failure`() throws {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var other = survivor(of: bench, isLive: true)
        other.proxy.neighbours.peers[0].isLive = false
        other.proxy.neighbours.commits = true
        _ = other.drain()
        let answer = Call.response(200, to: invite)
        #expect(other.receive(answer, from: ProxyBench.callee).isEmpty)
        #expect(other.receive(answer, from: ProxyBench.callee).isEmpty, "nor does the next, which teaches nothing")
        let released = firstLines(other.commit())
        #expect(!released.isEmpty && released.allSatisfy { $0.hasPrefix("SIP/2.0 200") })
        var late = survivor(of: bench, isLive: true)
        late.proxy.neighbours.peers[0].isLive = false
        late.proxy.neighbours.commits = true
        _ = late.drain()
        #expect(late.receive(answer, from: ProxyBench.callee).isEmpty)
        var ended = Record()
        ended.state = .deleted
        ended.flags = .failed
        let facts = try ended.encoded()
        _ = try late.dialogs.learn(late.did, facts: RawSpan(_elements: facts.span), age: nil, now: late.now)
        #expect(late.commit().isEmpty, "an heir has told the caller otherwise meanwhile")
    }

    @Test func `an heir answers by the Vias of the copy that it took`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var other = survivor(of: bench, isLive: true)
        other.proxy.neighbours.peers = [
            PeerContact(
                memberTag: 0x1111_1111, endpoint: nil, isLive: false, movesAddress: true, holdsMovedAddress: true)
        ]
        other.proxy.review(other.did, now: other.now, dialogs: &other.dialogs)
        _ = other.drain()
        _ = other.receive(Call.request("INVITE", branch: "z9hG4bKfailover"), from: ProxyBench.caller)
        for _ in 0..<2 {
            let sent = other.receive(Call.response(200, to: invite), from: ProxyBench.callee)
            #expect(sent.map { $0.headers("Via")[0].contains("z9hG4bKfailover") } == [true])
        }
    }

    @Test func `a CANCEL by a renewed branch finds the pass that rings on when another has been answered`() {
        let cancel = Hunt.hopByHop("CANCEL", "renewed", to: Hunt.bob)
        var (hunt, _) = answered()
        var other = survivor(of: hunt.bench, isLive: true)
        let passed = other.receive(cancel, from: Hunt.server)
        #expect(Set(passed.map(\.to)) == [ProxyBench.node, Hunt.server], "its owner has it, and its sender 200")
        let acted = hunt.bench.receive(cancel, from: Hunt.server)
        #expect(acted.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") })
        // The call is answered: a CANCEL with the first pass's own target is for none of them.
        let late = Call.request("CANCEL", uri: "sip:hunt@\(Hunt.server)", branch: "z9hG4bKlate", contact: nil)
        #expect(hunt.bench.receive(late, from: ProxyBench.caller).allSatisfy { !$0.firstLine.hasPrefix("CANCEL") })
        #expect(hunt.bench.state == .confirmedNotAcknowledged)
    }

    @Test(arguments: [true, false])
    func `an heir cancels a branch whose ringing is known by another node alone`(isTarget: Bool) throws {
        var hunt = Hunt()
        var third = survivor(of: hunt.bench, isLive: true, tag: 0x3333_3333)
        let bob = third.receive(hunt.branch("s1", to: Hunt.bob), from: Hunt.server)[0]
        copy(from: third, to: &hunt.bench)
        // The third node dies as it has sent this on, and tells nobody of it.
        let user = isTarget ? "phone" : "another"
        let ringing = third.receive(
            Call.response(180, to: bob, toTag: "tb", contact: "sip:\(user)@\(Hunt.bob)"), from: Hunt.bob)
        _ = hunt.passUp(try #require(ringing.first))
        hunt.bench.proxy.neighbours.peers = [PeerContact(memberTag: 0x3333_3333, endpoint: nil, isLive: false)]
        hunt.bench.proxy.review(hunt.bench.did, now: hunt.bench.now, dialogs: &hunt.bench.dialogs)
        let sent = hunt.bench.drain() + hunt.bench.advance(milliseconds: 300)
        #expect(sent.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("CANCEL") } == isTarget)
    }
}
