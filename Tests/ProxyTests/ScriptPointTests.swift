// The script points, with a stand-in for a script: what is asked, when, and what follows from each verdict. What a
// script decided is decided once, whatever waits afterwards.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

private func target(_ uri: String, _ address: String, group: Int = 0) -> ForkTarget {
    ForkTarget(requestURI: Array(uri.utf8), group: group, candidates: [Endpoint(text: address)!])
}

private func first(_ sent: [Sent], to address: String) -> Sent? { sent.first { $0.to == address } }

@Suite("Script points")
struct ScriptPointTests {
    private static func bench(_ points: ScriptPoints) -> ProxyBench {
        var bench = ProxyBench()
        bench.proxy.scriptPoints = points
        return bench
    }

    private static func text(_ question: ScriptQuestion) -> String { String(decoding: question.bytes, as: UTF8.self) }

    // MARK: Requests

    @Test func `a request waits for its verdict, and goes on as routed`() {
        var bench = Self.bench(.request)
        #expect(bench.receive(Call.request("INVITE"), from: ProxyBench.caller).isEmpty)
        #expect(bench.scripts.map(\.point) == [.request])
        #expect(Self.text(bench.scripts[0]).hasPrefix("INVITE sip:bob@10.0.0.2:5060 SIP/2.0\r\n"))
        #expect(bench.scripts[0].source.text == ProxyBench.caller)
        #expect(bench.scripts[0].did != nil && !bench.scripts[0].isInDialog)
        let sent = bench.decide(.request(RequestVerdict(.route)))
        #expect(first(sent, to: ProxyBench.callee)?.firstLine == "INVITE sip:bob@10.0.0.2:5060 SIP/2.0")
        #expect(bench.scripts.isEmpty && bench.puts.count == 1)
    }

    @Test func `copies of a request that a script is asked about are absorbed: it is asked once`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(bench.receive(Call.request("INVITE"), from: ProxyBench.caller).isEmpty)
        #expect(bench.scripts.count == 1)
        let sent = bench.decide(.request(RequestVerdict(.route)))
        #expect(Fork.invites(sent).count == 1)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(bench.scripts.isEmpty)
    }

    @Test func `a request that waited for its record afterwards is not asked about again`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let invite = first(bench.decide(.request(RequestVerdict(.route))), to: ProxyBench.callee)!
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(bench.scripts.isEmpty)
    }

    @Test func `a script's targets are tried, each with its own Request-URI`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let targets = [
            target("sip:x@10.0.0.11:5060", "10.0.0.11:5060"), target("sip:y@10.0.0.12:5060", "10.0.0.12:5060"),
        ]
        let sent = Fork.invites(bench.decide(.request(RequestVerdict(.relay(targets)))))
        #expect(
            sent.map(\.firstLine) == ["INVITE sip:x@10.0.0.11:5060 SIP/2.0", "INVITE sip:y@10.0.0.12:5060 SIP/2.0"])
        #expect(sent.allSatisfy { $0.header("Record-Route") != nil })
    }

    @Test func `a script's changes are in what is sent, and it can leave the request without Record-Route`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let changed = Self.text(bench.scripts[0]).replacing("Content-Length", with: "X-Mark: 7\r\nContent-Length")
        let verdict = RequestVerdict(.route, bytes: Array(changed.utf8), recordsRoute: false)
        let invite = first(bench.decide(.request(verdict)), to: ProxyBench.callee)
        #expect(invite?.header("X-Mark") == "7")
        #expect(invite?.header("Record-Route") == nil)
    }

    @Test func `a script's answer goes through the transaction, with its phrase and its lines`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let fate = RequestVerdict.Fate.answer(
            status: 404, reason: Array("Nobody Here".utf8), lines: Array("X-Why: none\r\n".utf8))
        let sent = bench.decide(.request(RequestVerdict(fate)))
        #expect(sent.map(\.firstLine) == ["SIP/2.0 404 Nobody Here"])
        #expect(sent[0].header("X-Why") == "none")
        #expect(
            bench.receive(Call.request("INVITE"), from: ProxyBench.caller).map(\.firstLine) == sent.map(\.firstLine))
        #expect(bench.scripts.isEmpty && bench.puts.isEmpty)
        let tag = sent[0].header("To")!.split(separator: "=").last!
        #expect(bench.receive(Call.request("ACK", toTag: String(tag)), from: ProxyBench.caller).isEmpty)
        #expect(bench.advance(milliseconds: 40_000).isEmpty)
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `what a script drops is not answered, and its copies do not ask again`() {
        var bench = Self.bench(.request)
        for method in ["INVITE", "MESSAGE"] {
            _ = bench.receive(Call.request(method, branch: "z9hG4bK\(method)"), from: ProxyBench.caller)
            #expect(bench.decide(.request(RequestVerdict(.drop))).isEmpty)
            #expect(bench.receive(Call.request(method, branch: "z9hG4bK\(method)"), from: ProxyBench.caller).isEmpty)
            #expect(bench.scripts.isEmpty)
        }
        #expect(bench.advance(milliseconds: 33_000).isEmpty)
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `a request that is cancelled while a script is asked gets 487, whatever the verdict`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let sent = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(Fork.upstream(sent) == ["200"])
        let last = bench.decide(.request(RequestVerdict(.route)))
        #expect(Fork.upstream(last) == ["487"] && Fork.invites(last).isEmpty)
    }

    @Test func `a script that says nothing for 32 s gives 500`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(Fork.upstream(bench.advance(milliseconds: 31_900)).isEmpty)
        #expect(Fork.upstream(bench.advance(milliseconds: 200)) == ["500"])
        #expect(bench.proxy.counters.scriptsExpired == 1)
        #expect(Fork.invites(bench.decide(.request(RequestVerdict(.route)))).isEmpty, "a verdict that is late")
    }

    @Test func `bytes that are no message give 500`() {
        var bench = Self.bench(.request)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(Fork.upstream(bench.decide(.request(RequestVerdict(.route, bytes: [1, 2, 3])))) == ["500"])
    }

    @Test func `beyond 4096 open questions what begins something gets 503, and the rest goes on`() {
        var bench = Self.bench(.request)
        for number in 0..<4_096 {
            _ = bench.receive(
                Call.request("INVITE", branch: "z9hG4bKn\(number)", fromTag: "a\(number)"), from: ProxyBench.caller)
        }
        #expect(bench.scripts.count == 4_096)
        #expect(Fork.upstream(bench.receive(Call.request("INVITE"), from: ProxyBench.caller)) == ["503"])
        let bye = Call.request("BYE", branch: "z9hG4bKbye", cSeq: 2, toTag: "bob")
        #expect(
            first(bench.receive(bye, from: ProxyBench.caller), to: ProxyBench.callee)?.firstLine.hasPrefix("BYE")
                == true)
        #expect(bench.proxy.counters.scriptsRefused == 2)
    }

    @Test func `an ACK of a 2xx is asked about, and goes on or not; one of a failure is not`() {
        var bench = ProxyBench()
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        let answer = first(
            bench.receive(Call.response(200, to: invite), from: ProxyBench.callee), to: ProxyBench.caller)!
        bench.proxy.scriptPoints = .request
        let route = answer.header("Record-Route")!
        let ack = Call.request("ACK", branch: "z9hG4bKack", toTag: "bob", route: [route])
        #expect(bench.receive(ack, from: ProxyBench.caller).isEmpty)
        #expect(bench.state == .confirmed, "what it teaches does not wait")
        #expect(
            first(bench.decide(.request(RequestVerdict(.route))), to: ProxyBench.callee)?.firstLine.hasPrefix("ACK ")
                == true)
        _ = bench.receive(ack, from: ProxyBench.caller)
        #expect(bench.decide(.request(RequestVerdict(.drop))).isEmpty)
        _ = bench.receive(ack, from: ProxyBench.caller)
        let other = target("sip:bob@10.0.0.3:5060", "10.0.0.3:5060")
        #expect(bench.decide(.request(RequestVerdict(.relay([other])))).map(\.to) == ["10.0.0.3:5060"])
    }

    // MARK: Branches

    @Test func `a branch waits, is sent as the script has changed it, and its record says so`() {
        var bench = Self.bench(.branch)
        #expect(Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller)).isEmpty)
        #expect(bench.scripts.map(\.point) == [.branch(0)])
        let changed = Self.text(bench.scripts[0]).replacing(
            "sip:bob@10.0.0.2:5060 SIP", with: "sip:b2@10.0.0.2:5060 SIP")
        let sent = bench.decide(.message(.goOn(Array(changed.utf8))))
        #expect(Fork.invites(sent).map(\.firstLine) == ["INVITE sip:b2@10.0.0.2:5060 SIP/2.0"])
        let pending = bench.dialogs.record(bench.did)?.pendings.first { !$0.target.isEmpty }
        #expect(pending.map { String(decoding: $0.requestURI, as: UTF8.self) } == "sip:b2@10.0.0.2:5060")
        #expect(
            Fork.upstream(Fork.answer(200, sent.first { $0.to == ProxyBench.callee }!, tag: "bob", &bench)) == ["200"])
    }

    @Test func `a branch that is dropped is never sent; the call gets 480 when there is no other`() {
        var bench = Self.bench(.branch)
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let sent = bench.decide(.message(.drop))
        #expect(Fork.invites(sent).isEmpty && Fork.upstream(sent) == ["480"])
        #expect(bench.state == .deleted)
    }

    @Test func `a branch that a script holds while another answers is not begun`() {
        var bench = Fork.bench(2)
        bench.proxy.scriptPoints = .branch
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        #expect(bench.scripts.count == 2)
        let invite = Fork.invites(bench.decide(.message(.goOn([]))))[0]
        #expect(Fork.upstream(Fork.answer(200, invite, tag: "t1", &bench)) == ["200"])
        #expect(bench.decide(.message(.goOn([]))).isEmpty)
    }

    // MARK: Responses

    @Test func `a response waits, and what is behind it waits too; the edited bytes are what the record keeps`() {
        var bench = Self.bench(.response)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        #expect(bench.receive(Call.response(180, to: invite), from: ProxyBench.callee).isEmpty)
        #expect(bench.receive(Call.response(200, to: invite), from: ProxyBench.callee).isEmpty)
        #expect(bench.scripts.map(\.point) == [.response(0), .response(0)])
        let second = bench.scripts.removeLast()
        let changed = Self.text(second).replacing("Content-Length", with: "X-Seen: 1\r\nContent-Length")
        bench.proxy.decide(second.token, .message(.goOn(Array(changed.utf8))), now: bench.now, dialogs: &bench.dialogs)
        #expect(bench.drain().isEmpty, "the 200 does not overtake the 180")
        let sent = bench.decide(.message(.goOn([])))
        #expect(Fork.upstream(sent) == ["180", "200"])
        #expect(sent.last?.header("X-Seen") == "1")
        let kept = bench.dialogs.record(bench.did)?.outs.first?.answer ?? []
        #expect(String(decoding: kept, as: UTF8.self).contains("X-Seen: 1"))
    }

    @Test func `a provisional that is dropped goes no further; a final response does all the same`() {
        var bench = Self.bench(.response)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(bench.decide(.message(.drop)).isEmpty)
        _ = bench.receive(Call.response(486, to: invite), from: ProxyBench.callee)
        #expect(Fork.upstream(bench.decide(.message(.drop))) == ["486"])
    }

    @Test func `a response whose script says nothing goes on after 32 s`() {
        var bench = Self.bench(.response)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(Fork.upstream(bench.advance(milliseconds: 32_100)) == ["180"])
    }

    @Test func `beyond 32 responses of a request that a script holds the next goes on as it came`() {
        var bench = Self.bench(.response)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        for _ in 0..<32 { #expect(bench.receive(Call.response(180, to: invite), from: ProxyBench.callee).isEmpty) }
        #expect(Fork.upstream(bench.receive(Call.response(183, to: invite), from: ProxyBench.callee)) == ["183"])
        #expect(bench.proxy.counters.scriptsRefused == 1)
    }

    // MARK: The final response

    @Test func `a failure is asked about once a round, and further targets are tried before it goes upstream`() {
        var bench = Self.bench(.final)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        #expect(Fork.upstream(Fork.answer(486, invite, tag: "bob", &bench)).isEmpty)
        #expect(bench.scripts.map(\.point) == [.final(486)])
        let voicemail = target("sip:vm@10.0.0.3:5060", "10.0.0.3:5060")
        let second = Fork.invites(bench.decide(.final(.retry([voicemail], bytes: []))))
        #expect(second.map(\.firstLine) == ["INVITE sip:vm@10.0.0.3:5060 SIP/2.0"])
        #expect(bench.state != .deleted, "the call goes on")
        let sent = Fork.answer(200, second[0], tag: "vm", &bench)
        #expect(Fork.upstream(sent) == ["200"] && bench.scripts.isEmpty)
    }

    @Test func `a second round is asked about again, and its own best answer goes upstream`() {
        var bench = Self.bench(.final)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        _ = Fork.answer(603, invite, tag: "bob", &bench)
        let second = Fork.invites(
            bench.decide(.final(.retry([target("sip:vm@10.0.0.3:5060", "10.0.0.3:5060")], bytes: []))))
        _ = Fork.answer(404, second[0], tag: "vm", &bench)
        // Kamailio's failure_reply_mode 3: the rounds before it count no more.
        #expect(bench.scripts.map(\.point) == [.final(404)])
        #expect(Fork.upstream(bench.decide(.final(.best))) == ["404"])
        #expect(bench.state == .deleted)
    }

    @Test func `a script's own final answer ends the dialog with its status`() {
        var bench = Self.bench(.final)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        _ = Fork.answer(486, invite, tag: "bob", &bench)
        let sent = bench.decide(.final(.answer(status: 480, reason: Array("Later".utf8), lines: [])))
        #expect(sent.filter { $0.to == ProxyBench.caller }.map(\.firstLine) == ["SIP/2.0 480 Later"])
        #expect(bench.dialogs.record(bench.did)?.failure == 480)
    }

    @Test func `a call that is cancelled while its failure is asked about gets 487, and no further target`() {
        var bench = Self.bench(.final)
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        _ = Fork.answer(486, invite, tag: "bob", &bench)
        _ = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        let sent = bench.decide(.final(.retry([target("sip:vm@10.0.0.3:5060", "10.0.0.3:5060")], bytes: [])))
        #expect(Fork.invites(sent).isEmpty)
        #expect(bench.proxy.openTransactionCount == 0)
    }

    @Test func `without a script nothing is asked`() {
        var bench = ProxyBench()
        let invite = first(bench.receive(Call.request("INVITE"), from: ProxyBench.caller), to: ProxyBench.callee)!
        #expect(Fork.upstream(Fork.answer(486, invite, tag: "bob", &bench)) == ["486"])
        #expect(bench.scripts.isEmpty)
    }
}
