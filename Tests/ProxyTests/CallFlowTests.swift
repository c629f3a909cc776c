// One call through one node, message by message: what is forwarded, what is answered, and what the record learns.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("A call through one node, RFC 3261 §16")
struct CallFlowTests {
    /// INVITE, 180, 200, ACK; what the callee received first, and the route that in-dialog requests carry.
    private func establish(_ bench: inout ProxyBench) -> (invite: Sent, route: String) {
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller).first {
            $0.to == ProxyBench.callee
        }!
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        return (invite, route)
    }

    @Test func `an INVITE is answered 100 and forwarded with Via, Record-Route and one hop less`() {
        var bench = ProxyBench()
        let sent = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.callee, ProxyBench.caller])
        #expect(sent[1].firstLine == "SIP/2.0 100 Trying")
        let invite = sent[0]
        #expect(invite.firstLine == "INVITE sip:bob@10.0.0.2:5060 SIP/2.0")
        #expect(invite.headers("Via").count == 2)
        #expect(invite.headers("Via")[0].hasPrefix("SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKus1234t11111111"))
        #expect(invite.header("Record-Route") == "<sip:10.0.1.9:5060;lr;did=\(bench.did.hex)>")
        #expect(invite.header("Max-Forwards") == "69")
        #expect(bench.state == .unconfirmed)
    }

    @Test func `a dialog goes through early, confirmed_na and confirmed, and ends with a BYE from either side`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let ringing = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(ringing.map(\.to) == [ProxyBench.caller])
        #expect(ringing[0].headers("Via") == ["SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKc1"])
        #expect(bench.state == .early)
        let answer = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(answer.map(\.firstLine) == ["SIP/2.0 200 Whatever"])
        #expect(bench.state == .confirmedNotAcknowledged)
        let route = invite.header("Record-Route")!
        let ack = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        #expect(ack.map(\.to) == [ProxyBench.callee])
        #expect(ack[0].headers("Route").isEmpty)
        #expect(bench.state == .confirmed)
        let bye = bench.receive(
            Call.request(
                "BYE", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKb1", toTag: "alice",
                fromTag: "bob",
                route: [route], contact: nil, from: "sip:bob@example.org", to: "sip:alice@example.org"),
            from: ProxyBench.callee)
        #expect(bye.map(\.to) == [ProxyBench.caller])
        #expect(bench.state == .deleted)
        #expect(bench.dialogs.record(bench.did)?.flags == [.byeFromCallee, .toldEnd])
        let ok = bench.receive(Call.response(200, to: bye[0], toTag: "", contact: nil), from: ProxyBench.caller)
        #expect(ok.map(\.to) == [ProxyBench.callee])
    }

    @Test func `a settled record has dropped Via stacks and answers`() {
        var bench = ProxyBench()
        _ = establish(&bench)
        let record = bench.dialogs.record(bench.did)!
        #expect(record.pendings.isEmpty && record.outs[0].answer.isEmpty)
        #expect(record.outs[0].side.contact == Array("sip:bob@10.0.0.2:5060".utf8))
        #expect(record.caller.contact == Array("sip:alice@10.0.0.1:5060".utf8))
        #expect(record.deadline?.generation == 1)
    }

    @Test func `retransmissions are absorbed and answered from the transaction`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let again = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(again.map(\.firstLine) == ["SIP/2.0 100 Trying"])
        #expect(bench.advance(milliseconds: 500).map(\.firstLine) == [invite.firstLine], "timer A")
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(
            bench.receive(Call.request("INVITE"), from: ProxyBench.caller).map(\.firstLine) == ["SIP/2.0 180 Whatever"])
        #expect(bench.advance(milliseconds: 2_000).isEmpty, "timer A stops with the first provisional")
    }

    @Test func `a CANCEL is answered 200 and sent downstream, the 487 is acknowledged and passed on, the record ends`()
    {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let sent = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(sent[0].firstLine == "SIP/2.0 200 OK")
        #expect(sent[1].firstLine == "CANCEL sip:bob@10.0.0.2:5060 SIP/2.0")
        #expect(sent[1].headers("Via") == [invite.headers("Via")[0]])
        _ = bench.receive(Call.response(200, to: sent[1], contact: nil), from: ProxyBench.callee)
        let final = bench.receive(Call.response(487, to: invite, contact: nil), from: ProxyBench.callee)
        #expect(final.map(\.to) == [ProxyBench.callee, ProxyBench.caller])
        #expect(final[0].firstLine == "ACK sip:bob@10.0.0.2:5060 SIP/2.0")
        #expect(final[1].firstLine == "SIP/2.0 487 Whatever")
        #expect(bench.state == .deleted)
        let ack = bench.receive(Call.request("ACK", toTag: "bob", contact: nil), from: ProxyBench.caller)
        #expect(ack.isEmpty, "an ACK for a non-2xx goes no further (§17.2.1)")
    }

    @Test func `a CANCEL before any provisional waits for it, §9_1`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(answer.map(\.firstLine) == ["SIP/2.0 200 OK"] && answer[0].to == ProxyBench.caller)
        #expect(answer[0].header("CSeq") == "1 CANCEL")
        let sent = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(sent.map(\.firstLine).contains("CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"))
    }

    @Test func `a 2xx is held until its commit, its copies absorbed, and what follows it from the callee waits, S2-12`()
    {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        let first = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(first.map(\.to) == [ProxyBench.callee], "100 waits for a peer, S1-4")
        #expect(bench.commit().map(\.firstLine) == ["SIP/2.0 100 Trying"])
        let invite = first[0]
        #expect(bench.receive(Call.response(200, to: invite), from: ProxyBench.callee).isEmpty)
        #expect(bench.receive(Call.response(200, to: invite), from: ProxyBench.callee).isEmpty)
        let bye = Call.request(
            "BYE", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKb1", toTag: "alice",
            fromTag: "bob",
            route: [invite.header("Record-Route")!], contact: nil)
        #expect(bench.receive(bye, from: ProxyBench.callee).isEmpty)
        let released = bench.commit()
        #expect(released.map(\.firstLine) == ["SIP/2.0 200 Whatever", "BYE sip:alice@10.0.0.1:5060 SIP/2.0"])
    }

    @Test func `a refresh moves the deadline with its 2xx and keeps the route set`() {
        var bench = ProxyBench()
        let (_, route) = establish(&bench)
        let before = bench.dialogs.deadline(bench.did)!
        _ = bench.advance(milliseconds: 5_000)
        let reinvite = bench.receive(
            Call.request(
                "INVITE", branch: "z9hG4bKr1", cSeq: 2, toTag: "bob", route: [route], contact: "sip:alice@10.0.0.7:5070"
            ),
            from: ProxyBench.caller)[0]
        #expect(reinvite.headers("Record-Route").isEmpty)
        #expect(bench.dialogs.record(bench.did)?.pendings.count == 1)
        _ = bench.receive(Call.response(200, to: reinvite), from: ProxyBench.callee)
        let after = bench.dialogs.deadline(bench.did)!
        #expect(after.milliseconds(since: before) == 5_000)
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa2", cSeq: 2, toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        let record = bench.dialogs.record(bench.did)!
        #expect(record.caller.contact == Array("sip:alice@10.0.0.7:5070".utf8))
        #expect(record.caller.cseq == 2 && record.pendings.isEmpty && record.settledCaller == 2)
    }

    @Test func `of two refreshes in one millisecond the second waits, too, R9`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil), from: ProxyBench.caller)
        bench.proxy.neighbours.commits = true
        _ = bench.advance(milliseconds: 1_000)
        let requests = [("OPTIONS", 2), ("UPDATE", 3)].map { method, cSeq in
            bench.receive(
                Call.request(method, branch: "z9hG4bKr\(cSeq)", cSeq: cSeq, toTag: "bob", route: route),
                from: ProxyBench.caller)[0]
        }
        for request in requests {
            #expect(bench.receive(Call.response(200, to: request), from: ProxyBench.callee).isEmpty)
        }
        #expect(bench.commits.map(\.purpose) == [.refresh, .refresh])
        #expect(bench.puts.last == bench.did, "what the second waits for is a fact of this node's")
        #expect(bench.commit().count == 2)
    }

    @Test func `a request in a dialog is forwarded by its Route without a record, S1-7`() {
        var bench = ProxyBench()
        let sent = bench.receive(
            Call.request(
                "INFO", cSeq: 5, toTag: "bob", route: ["<sip:10.0.1.9:5060;lr;did=00000000000000aa>"], contact: nil),
            from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.callee])
        #expect(bench.dialogs.count == 0)
    }

    @Test func `a refresh waits 200 ms for its record to be fetched, then goes without, R2`() {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 3, endpoint: Endpoint(text: "10.0.1.3:5060"), isLive: true)
        ]
        let update = Call.request(
            "UPDATE", cSeq: 5, toTag: "bob", route: ["<sip:10.0.1.9:5060;lr;did=00000000000000aa>"])
        #expect(bench.receive(update, from: ProxyBench.caller).isEmpty)
        #expect(bench.advance(milliseconds: 190).isEmpty)
        #expect(bench.advance(milliseconds: 20).map(\.to) == [ProxyBench.callee])
    }

    @Test func `BYEs that the node makes follow from did and leg alone, S1-9`() {
        var bench = ProxyBench()
        _ = establish(&bench)
        let payload = bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs)!
        bench.proxy.end(bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        let byes = bench.drain()
        #expect(Set(byes.map(\.to)) == [ProxyBench.caller, ProxyBench.callee])
        for bye in byes {
            #expect(bye.header("CSeq") == "16777217 BYE")
            #expect(bye.header("Via")!.hasPrefix("SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKus1234g"))
            _ = bench.receive(Call.response(200, to: bye, toTag: "", contact: nil), from: bye.to)
        }
        #expect(bench.endedLegs == [bench.did])
        #expect(byes.first { $0.to == ProxyBench.caller }?.header("From") == "<sip:bob@example.org>;tag=bob")
        #expect(byes.first { $0.to == ProxyBench.callee }?.header("To") == "<sip:bob@example.org>;tag=bob")
    }
}
