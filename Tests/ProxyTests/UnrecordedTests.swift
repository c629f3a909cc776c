// Calls at the bounds of their record: what is left out, what always finds room, and what becomes of a call that can
// have no record at all.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Calls at the bounds of a record")
struct UnrecordedTests {
    private static func text(_ count: Int) -> String { String(repeating: "x", count: count) }

    /// Fills the record of the bench's dialog up to so many bytes.
    private func fill(_ bench: inout ProxyBench, to count: Int) {
        var facts = FactsWriter()
        let missing = count - (bench.dialogs.bytes(bench.did)?.count ?? 0) - 24
        facts.message(.variables) { (variable: inout FieldWriter<StampedField>) in
            variable.put(.key, Array("filler".utf8))
            variable.put(.counter, 1)
            variable.put(.value, Array(repeating: 65, count: missing))
        }
        let learned = try? bench.dialogs.learn(
            bench.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: bench.now)
        #expect(learned?.outcome == .changed)
    }

    @Test func `early dialogs beyond their room are left out, counted, and the 2xx is recorded all the same`() {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        for number in 1...60 {
            let ringing = Call.response(
                180, to: invite, toTag: "early\(number)", contact: "sip:\(Self.text(400))@10.0.0.2:5060")
            #expect(bench.receive(ringing, from: ProxyBench.callee).count == 1, "it is passed on")
        }
        #expect(bench.proxy.counters.factsRefused > 10)
        #expect(bench.dialogs.bytes(bench.did)!.count <= 20_480)
        let contact = "sip:\(Self.text(400))@10.0.0.2:5060"
        let answer = Call.response(200, to: invite, contact: contact).replacing(
            "Content-Length: 0\r\n\r\n", with: "Content-Length: 60000\r\n\r\n" + Self.text(60_000))
        #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty)
        #expect(bench.state == .confirmedNotAcknowledged && bench.proxy.counters.answersNotKept == 0)
        let sent = bench.commit()
        #expect(sent.map(\.to) == [ProxyBench.caller] && sent[0].text.hasSuffix(Self.text(60_000)))
        let kept = bench.dialogs.record(bench.did)?.out(toTag: Array("bob".utf8))?.answer ?? []
        #expect(kept == Array(sent[0].text.utf8), "what an heir would repeat")
    }

    @Test func `an answer that does not fit is recorded without its bytes, counted, and held as any other`() {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        fill(&bench, to: 88_000)
        let answer = Call.response(200, to: invite).replacing(
            "Content-Length: 0\r\n\r\n", with: "Content-Length: 3000\r\n\r\n" + Self.text(3_000))
        #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty)
        #expect(bench.state == .confirmedNotAcknowledged && bench.proxy.counters.answersNotKept == 1)
        #expect(bench.commit().last?.firstLine == "SIP/2.0 200 Whatever")
        #expect(bench.proxy.counters.unrecorded == 0)
    }

    @Test(arguments: [false, true])
    func `a 2xx that finds no room goes on unknown, or is refused with 513, ACK and BYE, as the operator chose`(
        refuses: Bool
    ) {
        var bench = ProxyBench { $0.refusesUnrecorded = refuses }
        bench.proxy.neighbours.commits = true
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        fill(&bench, to: 90_112)
        let sent = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(bench.proxy.counters.unrecorded == 1)
        guard refuses else {
            #expect(sent.map(\.firstLine) == ["SIP/2.0 200 Whatever"])
            #expect(bench.commits.allSatisfy { $0.purpose == .trying }, "nothing is committed")
            return
        }
        #expect(sent.map { String($0.firstLine.prefix(11)) } == ["ACK sip:bob", "BYE sip:bob", "SIP/2.0 513"])
        #expect(sent.map(\.to) == [ProxyBench.callee, ProxyBench.callee, ProxyBench.caller])
        #expect(bench.state == .deleted)
    }

    @Test(arguments: [false, true])
    func `an INVITE that can have no record goes on unknown, or is refused with 513, as the operator chose`(
        refuses: Bool
    ) {
        var bench = ProxyBench { $0.refusesUnrecorded = refuses }
        bench.proxy.neighbours.commits = true
        let large = Call.request("INVITE", contact: "sip:\(Self.text(21_000))@10.0.0.1:5060")
        let sent = bench.receive(large, from: ProxyBench.caller)
        #expect(bench.proxy.counters.unrecorded == 1 && bench.dialogs.count == 0)
        guard !refuses else {
            #expect(sent.map(\.firstLine) == ["SIP/2.0 513 Message Too Large"])
            #expect(sent.map(\.to) == [ProxyBench.caller])
            return
        }
        #expect(sent.map(\.to) == [ProxyBench.callee])
        let answered = bench.receive(Call.response(200, to: sent[0]), from: ProxyBench.callee)
        #expect(answered.map(\.to) == [ProxyBench.caller], "nobody waits for a record that cannot be")
    }

    @Test func `legs that an intent has no room for are told all the same; one without an address is counted`() {
        var bench = ProxyBench()
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        // A dozen callees have answered, each by a way of its own that takes 3 KB to write.
        var facts = FactsWriter()
        facts.reach(.confirmed)
        for number in 1...12 {
            facts.out(Array("bob\(number)".utf8)) { out in
                out.reach(.confirmed)
                out.put(.to, Array("<sip:bob@example.org>;tag=bob\(number)".utf8))
                out.side { side in
                    side.target(cSeq: 1) { target in
                        if number < 12 {
                            let contact = "sip:\(Self.text(3_000))@10.0.2.\(number):5060"
                            target.put(.contact, Array(contact.utf8))
                        } else {
                            target.put(.contact, Array("mailto:bob@example.org".utf8))
                        }
                    }
                }
            }
        }
        _ = try? bench.dialogs.learn(
            bench.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: bench.now)
        let payload = bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs)!
        #expect(payload.count <= 30_720, "it fits a frame")
        bench.proxy.end(
            bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        let byes = bench.drain()
        #expect(Set(byes.map(\.to)) == Set((1...11).map { "10.0.2.\($0):5060" } + [ProxyBench.caller]))
        #expect(byes.count == 23, "eleven callees, and the caller for each of twelve")
        #expect(bench.proxy.counters.legsUnreachable == 1)
    }

    @Test func `sixteen 2xx of one INVITE are held at once; the next goes on uncommitted, counted`() {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        for number in 1...16 {
            let answer = Call.response(200, to: invite, toTag: "bob\(number)")
            #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty)
        }
        let last = bench.receive(Call.response(200, to: invite, toTag: "bob17"), from: ProxyBench.callee)
        #expect(last.map(\.to) == [ProxyBench.caller] && bench.proxy.counters.holdsRefused == 1)
        #expect(bench.commit().count { $0.firstLine.hasPrefix("SIP/2.0 200") } == 16)
    }

    @Test func `sixteen early dialogs of a branch end with it; more are left to their phone, counted`() {
        var bench = Fork.bench(2)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for number in 1...17 { _ = Fork.answer(180, invites[0], tag: "early\(number)", &bench) }
        _ = Fork.answer(486, invites[0], tag: "early1", &bench)
        #expect(bench.proxy.counters.earlyTagsLeftOut == 1)
        let ended = bench.dialogs.record(bench.did)?.outs.count { $0.state == .deleted }
        #expect(ended == 16)
    }

    @Test func `an answer of 60 kB goes over a connection as it came`() {
        var bench = StreamBench()
        let invite = bench.receive(
            overTCP(Call.request("INVITE", uri: "sip:bob@10.0.0.2:5060;transport=tcp")), from: ProxyBench.caller, .tcp,
            flow: 7)[0]
        let answer = Call.response(200, to: invite.sent).replacing(
            "Content-Length: 0\r\n\r\n", with: "Content-Length: 60000\r\n\r\n" + Self.text(60_000))
        let sent = bench.receive(answer, from: ProxyBench.callee, .tcp, flow: 8)
        #expect(sent.map(\.flow) == [FlowID(rawValue: 7)] && sent[0].sent.text.hasSuffix(Self.text(60_000)))
        #expect(bench.bench.state == .confirmedNotAcknowledged && bench.bench.proxy.counters.answersNotKept == 0)
    }
}
