// A replica that missed facts: what it may conclude from the messages that pass, and what it must leave alone. Most
// tests are failures that the simulator found (seeds 1240, 1282, 1886, 1912 and, dealing datagrams, 51, 76 and 165).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("A node that missed what another learned")
struct MissedFactsTests {
    private let other: UInt32 = 0x1111_1111

    /// A second node. `n1`, which made the dialogs, is a peer of it.
    private func secondNode(ownerIsLive: Bool) -> ProxyBench {
        var bench = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.nodeName = Array("n2".utf8)
        }
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: other, endpoint: Endpoint(text: ProxyBench.node), isLive: ownerIsLive)
        ]
        return bench
    }

    private func replicate(from: ProxyBench, to: inout ProxyBench) {
        let bytes = from.dialogs.bytes(from.did)!
        _ = try? to.dialogs.learn(from.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: to.now)
        to.puts = from.puts
        to.proxy.review(from.did, now: to.now, dialogs: &to.dialogs)
    }

    /// The first node has sent the INVITE on, and the second has its record as it was then.
    private func inviteSeen(ownerIsLive: Bool = true) -> (first: ProxyBench, second: ProxyBench, invite: Sent) {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var second = secondNode(ownerIsLive: ownerIsLive)
        replicate(from: first, to: &second)
        _ = second.drain()
        return (first, second, invite)
    }

    @Test func `a node that is joining says nothing to a CANCEL it does not know, until it has the record`() {
        var first = ProxyBench()
        _ = first.receive(Call.request("INVITE"), from: ProxyBench.caller)
        var second = secondNode(ownerIsLive: true)
        second.proxy.neighbours.isJoining = true
        let cancel = Call.request("CANCEL", contact: nil)
        #expect(second.receive(cancel, from: ProxyBench.caller).isEmpty)
        replicate(from: first, to: &second)
        _ = second.drain()
        // Its owner gets it, and says that it did; who joins may not be heard.
        let passed = second.receive(cancel, from: ProxyBench.caller)
        #expect(passed.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        first.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        let answered = first.receive(passed[0].text, from: "10.0.1.2:5060")
        #expect(answered.contains { $0.firstLine == "SIP/2.0 200 OK" && $0.to == ProxyBench.caller })
        second.proxy.neighbours.peers[0].isLive = false
        #expect(second.receive(cancel, from: ProxyBench.caller).map(\.firstLine).contains("SIP/2.0 200 OK"))
        var stranger = secondNode(ownerIsLive: false)
        #expect(
            stranger.receive(cancel, from: ProxyBench.caller).map(\.firstLine) == [
                "SIP/2.0 481 Call/Transaction Does Not Exist"
            ])
    }

    @Test func `a repeated INVITE goes to its live owner, once, and the owner says again what it said, S1-2b`() {
        var (first, second, _) = inviteSeen()
        let repeated = Call.request("INVITE")
        #expect(second.receive(repeated, from: ProxyBench.caller) == [Sent(text: repeated, to: ProxyBench.node)])
        let sent = first.receive(repeated, from: "10.0.1.2:5060")
        #expect(sent.map(\.firstLine) == ["SIP/2.0 100 Trying"])
        #expect(sent.map(\.to) == [ProxyBench.caller])
        #expect(second.receive(repeated, from: ProxyBench.node).isEmpty, "what comes from a member goes no further")
        #expect(second.dialogs.count == 1)
    }

    @Test func `the 2xx to a re-INVITE confirms a dialog whose own 2xx was missed, with both tags`() {
        var (_, second, invite) = inviteSeen()
        let reinvite = second.receive(
            Call.request(
                "INVITE", branch: "z9hG4bKr1", cSeq: 2, toTag: "bob", route: [invite.header("Record-Route")!]),
            from: ProxyBench.caller)[0]
        _ = second.receive(Call.response(200, to: reinvite), from: ProxyBench.callee)
        #expect(second.state == .confirmed)
        let payload = second.proxy.endingPayload(second.did, dialogs: second.dialogs)!
        second.proxy.end(
            second.did, payload: payload, dialogs: &second.dialogs, now: second.now)
        let byes = second.drain().filter { $0.firstLine.hasPrefix("BYE ") }
        #expect(byes.first { $0.to == ProxyBench.caller }?.header("From") == "<sip:bob@example.org>;tag=bob")
        #expect(byes.first { $0.to == ProxyBench.callee }?.header("To") == "<sip:bob@example.org>;tag=bob")
        #expect(byes.first { $0.to == ProxyBench.callee }?.header("From") == "<sip:alice@example.org>;tag=alice")
    }

    @Test func `the 2xx of a dead node's re-INVITE confirms it, too`() {
        var (first, second, invite) = inviteSeen()
        // The first node goes on by itself; the second learns only what passes it after the first has died.
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let reinvite = first.receive(
            Call.request(
                "INVITE", branch: "z9hG4bKr1", cSeq: 2, toTag: "bob", route: [invite.header("Record-Route")!]),
            from: ProxyBench.caller)[0]
        second.proxy.neighbours.peers[0].isLive = false
        let passed = second.receive(Call.response(200, to: reinvite), from: ProxyBench.callee)
        #expect(passed.map(\.to) == [ProxyBench.caller])
        #expect(second.state == .confirmed)
        #expect(second.dialogs.record(second.did)?.outs.first?.to == Array("<sip:bob@example.org>;tag=bob".utf8))
    }

    @Test
    func `the 2xx of a dead process's copy of the INVITE confirms the dialog, and goes on once that is committed`() {
        // The process restarted, and its balancer gave it the INVITE again: the callee has two copies, and answers one.
        var before = ProxyBench { $0.memberTag = 0x3333_3333 }
        let first = before.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        let second = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = Call.response(200, to: first)
        #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty)
        #expect(bench.state == .confirmedNotAcknowledged)
        #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty, "nor does a further copy overtake the commit")
        #expect(bench.commit().map(\.to) == [ProxyBench.caller, ProxyBench.caller])
        let refused = bench.receive(Call.response(482, to: second, toTag: "m"), from: ProxyBench.callee)
        #expect(!refused.contains { $0.to == ProxyBench.caller }, "no 482 goes after the 2xx")
        #expect(bench.state == .confirmedNotAcknowledged)
    }

    @Test func `a CANCEL that came before its record waits for it, 200 ms at most, S1-2c`() {
        var (first, second, _) = inviteSeen()
        for comes in [true, false] {
            var third = secondNode(ownerIsLive: true)
            third.proxy.neighbours.commits = true
            #expect(third.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller).isEmpty)
            #expect(third.advance(milliseconds: 190).isEmpty)
            if comes {
                replicate(from: second, to: &third)
                third.proxy.recordArrived(
                    first.did, now: third.now, dialogs: &third.dialogs)
                #expect(third.drain().filter { $0.to == ProxyBench.caller }.map(\.firstLine) == ["SIP/2.0 200 OK"])
                #expect(third.dialogs.record(first.did)?.flags == .cancelled)
            } else {
                let sent = third.advance(milliseconds: 20)
                #expect(sent.map(\.to) == [ProxyBench.node], "its owner may answer it, and it comes again")
                _ = third.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
                #expect(
                    third.advance(milliseconds: 201).map(\.firstLine)
                        == ["SIP/2.0 481 Call/Transaction Does Not Exist"])
            }
        }
        _ = first.drain()
        _ = second.drain()
    }

    @Test func `a CANCEL that a member passes is its owner's business; one that matches nothing is not answered`() {
        var (first, second, invite) = inviteSeen()
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let cancel = Call.request("CANCEL", contact: nil)
        let sent = first.receive(cancel, from: "10.0.1.2:5060")
        #expect(sent.map(\.to).contains(ProxyBench.callee))
        var stranger = secondNode(ownerIsLive: true)
        #expect(stranger.receive(cancel, from: ProxyBench.node).isEmpty)
        #expect(second.receive(cancel, from: ProxyBench.node).isEmpty, "answered where it came in")
        #expect(second.dialogs.record(second.did)?.flags == .cancelled)
        // By another branch than the INVITE's: a balancer that failed over renews it.
        var owner = inviteSeen().first
        owner.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        _ = owner.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let renewed = Call.request("CANCEL", branch: "z9hG4bKrenewed", contact: nil)
        #expect(owner.receive(renewed, from: "10.0.1.2:5060").map(\.to) == [ProxyBench.callee])
    }

    @Test func `a re-INVITE that a balancer gives to a second node gets no second branch`() {
        var (first, second, invite) = inviteSeen()
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        let reinvite = Call.request("INVITE", branch: "z9hG4bKr1", cSeq: 2, toTag: "bob", route: [route])
        _ = first.receive(reinvite, from: ProxyBench.caller)
        replicate(from: first, to: &second)
        _ = second.drain()
        let other = Call.request("INVITE", branch: "z9hG4bKr2", cSeq: 2, toTag: "bob", route: [route])
        #expect(second.receive(other, from: ProxyBench.caller).map(\.to) == [ProxyBench.node])
        #expect(first.receive(other, from: "10.0.1.2:5060").map(\.firstLine) == ["SIP/2.0 100 Trying"])
        second.proxy.neighbours.peers[0].isLive = false
        let refused = second.receive(other, from: ProxyBench.caller)
        #expect(refused.map(\.firstLine) == ["SIP/2.0 500 Server Internal Error"])
        #expect(refused[0].header("Retry-After") == "1")
    }

    @Test func `an heir asks its peers for the record, and cancels nothing that one of them saw answered`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        for answered in [false, true] {
            var heir = secondNode(ownerIsLive: false)
            heir.proxy.neighbours.peers.append(
                PeerContact(memberTag: 0x4444_4444, endpoint: Endpoint(text: "10.0.1.4:5060"), isLive: true))
            replicate(from: first, to: &heir)
            #expect(heir.drain().isEmpty)
            #expect(heir.advance(milliseconds: 190).isEmpty)
            if answered {
                var other = first
                _ = other.receive(Call.response(200, to: invite), from: ProxyBench.callee)
                replicate(from: other, to: &heir)
                #expect(heir.drain().map(\.firstLine) == ["SIP/2.0 200 Whatever"], "the 2xx, again (S1-3)")
            } else {
                #expect(heir.advance(milliseconds: 20).map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
            }
        }
    }

    @Test func `without quorum a late 2xx is absorbed, with it the callee gets ACK and BYE, S2-11`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var second = secondNode(ownerIsLive: false)
        replicate(from: first, to: &second)
        #expect(second.drain().map(\.firstLine) == ["SIP/2.0 480 Temporarily Unavailable"])
        second.proxy.neighbours.heirs.set([])
        let late = Call.response(200, to: invite)
        #expect(second.receive(late, from: ProxyBench.callee).isEmpty)
        second.proxy.neighbours.heirs.set(["n2"])
        let sent = second.receive(late, from: ProxyBench.callee)
        #expect(sent.map { String($0.firstLine.prefix(3)) } == ["ACK", "BYE"])
        #expect(sent[1].header("Via")!.hasPrefix("SIP/2.0/UDP \(ProxyBench.node);branch="), "home's, whoever sends it")
    }

    @Test func `an heir that may not cancel yet waits for a provisional, not longer than timer C`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        for comes in [true, false] {
            var second = secondNode(ownerIsLive: false)
            replicate(from: first, to: &second)
            #expect(second.drain().map(\.firstLine) == ["SIP/2.0 480 Temporarily Unavailable"])
            if comes {
                let sent = second.receive(Call.response(180, to: invite), from: ProxyBench.callee)
                #expect(sent.map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
                let rest = second.receive(Call.response(200, to: sent[0], contact: nil), from: ProxyBench.callee)
                #expect(rest.map(\.firstLine) == ["ACK sip:bob@10.0.0.2:5060 SIP/2.0"], "the 487 goes to the dead node")
            }
            _ = second.advance(milliseconds: 400_000)
            #expect(second.proxy.contextCount == 0)
        }
    }

    @Test func `a heir that ends an early dialog sends the transaction of any BYE to that leg, S1-9`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var second = secondNode(ownerIsLive: false)
        replicate(from: first, to: &second)
        let cancel = second.drain()[0]
        let early = second.receive(Call.response(200, to: cancel, contact: nil), from: ProxyBench.callee)[0]
        // The first node, cut off, confirms the same dialog and ends it at its deadline.
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let payload = first.proxy.endingPayload(first.did, dialogs: first.dialogs)!
        first.proxy.end(first.did, payload: payload, dialogs: &first.dialogs, now: first.now)
        let late = first.drain().first { $0.to == ProxyBench.callee && $0.firstLine.hasPrefix("BYE ") }
        #expect(early.header("Via") == late?.header("Via"))
        #expect(early.header("CSeq") == late?.header("CSeq"))
    }

    @Test func `a 2xx is not given to a caller once its dialog's time is up`() {
        var first = ProxyBench { $0.lifetime = .seconds(3) }
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        var second = secondNode(ownerIsLive: false)
        replicate(from: first, to: &second)
        #expect(second.drain() == answer)
        #expect(second.advance(milliseconds: 2_900).count == 2, "T1, then twice that")
        #expect(second.advance(milliseconds: 30_000).isEmpty, "its deadline is over: what comes next are BYEs")
    }

    @Test func `who knows of the 2xx by its ACK alone ends the dialog in time, with BYEs to both, with both tags`() {
        var (first, second, invite) = inviteSeen()
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = first.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!], contact: nil),
            from: ProxyBench.caller)
        _ = try? second.dialogs.learn(
            second.did, facts: RawSpan(_elements: first.lastPatch.span), age: nil, now: second.now)
        #expect(second.state == .confirmed)
        #expect(second.dialogs.deadline(second.did) == first.dialogs.deadline(first.did))
        let payload = second.proxy.endingPayload(second.did, dialogs: second.dialogs)!
        second.proxy.end(
            second.did, payload: payload, dialogs: &second.dialogs, now: second.now)
        let byes = second.drain()
        #expect(Set(byes.map(\.to)) == [ProxyBench.caller, ProxyBench.callee])
        for bye in byes {
            #expect(bye.header("From")!.contains(";tag=") && bye.header("To")!.contains(";tag="))
        }
    }

    @Test func `a Route that names another member is consumed, and goes by the record, S1-5`() {
        var (first, second, invite) = inviteSeen()
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        replicate(from: first, to: &second)
        _ = second.drain()
        second.proxy.neighbours.memberNames = ["udp:10.0.1.1:5060", "*:sbc.example.org:5060", "tls:[2001:db8::1]:5061"]
            .compactMap {
                HostPort(configured: $0)
            }
        #expect(second.proxy.neighbours.memberNames.count == 3)
        for (number, name) in ["10.0.1.1:5060", "sbc.example.org", "[2001:db8::1]:5061;transport=tls"].enumerated() {
            let info = Call.request(
                "INFO", branch: "z9hG4bKi\(number)", cSeq: 2 + number, toTag: "bob", route: ["<sip:\(name);lr>"])
            let sent = second.receive(info, from: ProxyBench.caller)
            #expect(sent.map(\.to) == [ProxyBench.callee] && sent[0].headers("Route").isEmpty)
        }
    }

    @Test(arguments: ["", "udp", "udp:", "udp:a:", "udp:a:70000", "pigeon:a:5060", ":a:1", "udp::5060"])
    func `what is no name of a member is left out`(text: String) {
        #expect(HostPort(configured: Substring(text)) == nil)
    }

    @Test func `an heir asks its peers again with the CANCEL, and ends nothing that was answered meanwhile`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var second = secondNode(ownerIsLive: false)
        replicate(from: first, to: &second)
        let cancel = second.drain()[0]
        #expect(cancel.firstLine.hasPrefix("CANCEL ") && second.wanted.count == 2)
        // The first node was only cut off, and a peer has what it learned.
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        replicate(from: first, to: &second)
        _ = second.drain()
        #expect(second.receive(Call.response(200, to: cancel, contact: nil), from: ProxyBench.callee).isEmpty)
        #expect(second.advance(milliseconds: 40_000).allSatisfy { !$0.firstLine.hasPrefix("BYE ") })
    }

    @Test func `an heir that has not heard every peer ends nothing, however long it takes`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var heir = secondNode(ownerIsLive: false)
        heir.proxy.neighbours.commits = true
        heir.peersAnswer = false
        replicate(from: first, to: &heir)
        #expect(heir.advance(milliseconds: 5_000).isEmpty, "no answer, no CANCEL")
        heir.answerQuestions()
        let cancel = heir.drain()[0]
        #expect(cancel.firstLine.hasPrefix("CANCEL "))
        #expect(heir.receive(Call.response(200, to: cancel, contact: nil), from: ProxyBench.callee).isEmpty)
        #expect(heir.advance(milliseconds: 5_000).isEmpty)
        heir.answerQuestions()
        // The second question has its answers at once; what was under way has its time all the same.
        #expect(heir.drain().isEmpty && heir.asked.count == 1)
        heir.answerQuestions()
        #expect(heir.advance(milliseconds: 190).isEmpty)
        #expect(!heir.advance(milliseconds: 20).isEmpty)
    }

    @Test func `after the CANCEL's answer the peers are asked once more, and what one of them knows is not ended`() {
        for isAnswered in [false, true] {
            var first = ProxyBench()
            let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
            _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
            var heir = secondNode(ownerIsLive: false)
            heir.proxy.neighbours.commits = true
            replicate(from: first, to: &heir)
            #expect(heir.advance(milliseconds: 190).isEmpty)
            let cancel = heir.advance(milliseconds: 20)[0]
            #expect(cancel.firstLine.hasPrefix("CANCEL "))
            let asked = heir.wanted.count
            #expect(heir.receive(Call.response(200, to: cancel, contact: nil), from: ProxyBench.callee).isEmpty)
            #expect(heir.wanted.count == asked + 1)
            #expect(heir.advance(milliseconds: 190).isEmpty, "the peers' answers are waited for")
            #expect(heir.advance(milliseconds: 20).isEmpty && heir.wanted.count == asked + 2, "and at the last moment")
            #expect(heir.advance(milliseconds: 180).isEmpty)
            // The owner is only cut off, has had the 2xx, and a peer of the heir's has it, too.
            if isAnswered {
                _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
                replicate(from: first, to: &heir)
                _ = heir.drain()
            }
            let rest = heir.advance(milliseconds: 20).map { String($0.firstLine.prefix(11)) }
            #expect(rest == (isAnswered ? [] : ["BYE sip:bob", "ACK sip:bob"]))
            let told = heir.commit().map { String($0.firstLine.prefix(11)) }
            #expect(told == [isAnswered ? "SIP/2.0 200" : "SIP/2.0 480"], "when the others have it")
        }
    }

    @Test func `an heir whose CANCEL is answered to another heir, which died, ends the call all the same`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var heir = secondNode(ownerIsLive: false)
        replicate(from: first, to: &heir)
        #expect(heir.drain().map(\.firstLine) == ["CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        let copies = heir.advance(milliseconds: 3_900)
        #expect(copies.map(\.firstLine) == Array(repeating: "CANCEL sip:bob@10.0.0.2:5060 SIP/2.0", count: 3))
        #expect(
            heir.advance(milliseconds: 200).map { String($0.firstLine.prefix(11)) } == [
                "BYE sip:bob", "ACK sip:bob", "SIP/2.0 480",
            ])
    }

    @Test func `an heir whose owner is heard again leaves the call to it`() {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var heir = secondNode(ownerIsLive: false)
        heir.proxy.neighbours.commits = true
        replicate(from: first, to: &heir)
        #expect(heir.advance(milliseconds: 100).isEmpty)
        heir.proxy.neighbours.peers[0].isLive = true
        #expect(heir.advance(milliseconds: 1_000).isEmpty)
        #expect(heir.proxy.contextCount == 0)
    }

    @Test func `a callee's next 2xx is passed on by the owner, though another node has passed the first on`() {
        var (first, second, invite) = inviteSeen()
        second.proxy.neighbours.peers[0].isLive = false
        let answer = Call.response(200, to: invite)
        #expect(second.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        replicate(from: second, to: &first)
        _ = first.drain()
        // What the second node sent on was lost, and the callee repeats it.
        #expect(first.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        _ = first.advance(milliseconds: 40_000)
        #expect(first.proxy.contextCount == 0)
    }

    @Test func `the 2xx to a dead node's refresh goes on when the new deadline is committed, R9`() {
        var (first, second, invite) = inviteSeen()
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = first.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        let update = first.receive(
            Call.request("UPDATE", branch: "z9hG4bKu1", cSeq: 2, toTag: "bob", route: [route]),
            from: ProxyBench.caller)[0]
        replicate(from: first, to: &second)
        _ = second.drain()
        second.proxy.neighbours.peers[0].isLive = false
        second.proxy.neighbours.commits = true
        second.now = second.now.advanced(milliseconds: 5_000)
        #expect(second.receive(Call.response(200, to: update), from: ProxyBench.callee).isEmpty)
        #expect(second.commits.map(\.purpose) == [.refresh])
        #expect(second.commit().map(\.to) == [ProxyBench.caller])
        #expect(second.proxy.contextCount == 0)
    }

    @Test func `a request of a dialog that is being ended gets 481, or 500 when a later deadline has come since, R1`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        let deadline = bench.dialogs.deadline(bench.did)!
        for isLate in [false, true] {
            bench.now = isLate ? deadline : deadline.advanced(milliseconds: -1)
            bench.proxy.neighbours.frozenDialogs.insert(
                bench.did, until: bench.now.advanced(milliseconds: 1_500), now: bench.now)
            let sent = bench.receive(
                Call.request("INVITE", branch: "z9hG4bKr\(isLate)", cSeq: 2, toTag: "bob", route: [route]),
                from: ProxyBench.caller)[0]
            #expect(sent.firstLine.hasPrefix(isLate ? "SIP/2.0 481" : "SIP/2.0 500"))
            #expect(sent.header("Retry-After") == (isLate ? nil : "1"), "whoever gets 481 hangs up")
        }
    }

    @Test func `BYEs go to a side that is known by name when its address was found`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(
            Call.response(200, to: invite, contact: "sip:bob@phones.example.org"), from: ProxyBench.callee)
        let payload = bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs)!
        bench.proxy.end(bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        let first = bench.drain()
        #expect(first.map(\.to) == [ProxyBench.caller])
        #expect(bench.questions.map(\.name.host) == [Array("phones.example.org".utf8)])
        _ = bench.receive(Call.response(200, to: first[0], toTag: "", contact: nil), from: ProxyBench.caller)
        #expect(bench.endedLegs.isEmpty)
        let second = bench.answer(["10.0.0.77:5080"])
        #expect(
            second.map(\.to) == ["10.0.0.77:5080"] && second[0].firstLine == "BYE sip:bob@phones.example.org SIP/2.0")
        _ = bench.receive(Call.response(200, to: second[0], toTag: "", contact: nil), from: "10.0.0.77:5080")
        #expect(bench.endedLegs == [bench.did])
        var lost = ProxyBench()
        let other = lost.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = lost.receive(Call.response(200, to: other, contact: "sip:bob@gone.example.org"), from: ProxyBench.callee)
        let bytes = lost.proxy.endingPayload(lost.did, dialogs: lost.dialogs)!
        lost.proxy.end(lost.did, payload: bytes, dialogs: &lost.dialogs, now: lost.now)
        let bye = lost.drain()[0]
        _ = lost.answer([])
        _ = lost.receive(Call.response(200, to: bye, toTag: "", contact: nil), from: ProxyBench.caller)
        #expect(lost.endedLegs == [lost.did], "a name that leads nowhere is no reason to keep the record")
    }
}
