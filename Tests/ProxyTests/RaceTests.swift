// Messages that cross, come twice, come too late or come altered (RFC 3261 §16.7, §16.10, §17; RFC 4320; RFC 6026).
// Each test is one conversation with one proxy between two telephones.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Messages that cross, repeat or come late")
struct RaceTests {
    /// What `status` and what follows it from the callee give rise to upstream, as status codes.
    private func upstream(_ method: String, _ statuses: [Int], toTags: [String] = []) -> [String] {
        var bench = ProxyBench()
        let request = bench.receive(Call.request(method), from: ProxyBench.caller).first { $0.to == ProxyBench.callee }!
        var codes: [String] = []
        for (index, status) in statuses.enumerated() {
            let toTag = index < toTags.count ? toTags[index] : "bob"
            let sent = bench.receive(Call.response(status, to: request, toTag: toTag), from: ProxyBench.callee)
            codes += sent.filter { $0.to == ProxyBench.caller }.map { String($0.firstLine.split(separator: " ")[1]) }
        }
        _ = bench.advance(milliseconds: 600_000)
        #expect(bench.proxy.contextCount == 0, "nothing is kept for good")
        return codes
    }

    @Test(
        arguments: [
            ([200, 180], ["200"]), ([200, 404], ["200"]), ([200, 600], ["200"]), ([404, 180], ["404"]),
            ([404, 200], ["404"]), ([404, 480], ["404"]), ([600, 200], ["600"]), ([404, 404, 404], ["404"]),
            ([180, 180, 183], ["180", "180", "183"]), ([100, 180, 200], ["180", "200"]), ([486], ["486"]),
            ([503], ["500"]), ([404], ["404"]), ([603], ["603"]), ([302], ["302"]), ([401], ["401"]),
            // A 2xx that is repeated is passed on each time, until its ACK stops the callee (RFC 6026 §7.2).
            ([200, 200, 200], ["200", "200", "200"]),
        ] as [([Int], [String])])
    func `of an INVITE's answers one final goes upstream, and every 2xx`(statuses: [Int], expected: [String]) {
        #expect(upstream("INVITE", statuses) == expected)
    }

    @Test(
        arguments: [
            ([200, 180], ["200"]), ([200, 404], ["200"]), ([404, 180], ["404"]), ([404, 200], ["404"]),
            ([404, 480], ["404"]), ([200, 200], ["200"]), ([486], ["486"]), ([400, 500, 600], ["400"]),
            ([180, 200], ["180", "200"]), ([100, 200], ["200"]), ([603], ["603"]), ([503], ["500"]),
        ] as [([Int], [String])])
    func `of another request's answers the first final goes upstream, and nothing after it`(
        statuses: [Int], expected: [String]
    ) {
        for method in ["OPTIONS", "MESSAGE", "INFO", "NEW"] { #expect(upstream(method, statuses) == expected) }
    }

    @Test func `several 2xx of a fork below all go upstream, each dialog is kept, §16.7 step 5`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        for tag in ["one", "two", "three"] {
            let sent = bench.receive(Call.response(200, to: invite, toTag: tag), from: ProxyBench.callee)
            #expect(sent.map(\.to) == [ProxyBench.caller])
        }
        #expect(bench.dialogs.record(bench.did)?.outs.count == 3)
    }

    @Test func `a silent callee of an INVITE is tried for 64·T1, then the caller has a 408, §17.1.1.2`() {
        var bench = ProxyBench()
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let sent = bench.advance(milliseconds: 31_999)
        #expect(
            sent.count == 6 && sent.allSatisfy { $0.to == ProxyBench.callee },
            "timer A: 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s")
        let end = bench.advance(milliseconds: 2)
        #expect(end.filter { $0.to == ProxyBench.caller }.map(\.firstLine) == ["SIP/2.0 408 Request Timeout"])
    }

    @Test func `a silent callee of another request is tried for 64·T1, then nobody is told, RFC 4320 §4.1`() {
        var bench = ProxyBench()
        _ = bench.receive(Call.request("MESSAGE"), from: ProxyBench.caller)
        let sent = bench.advance(milliseconds: 40_000)
        #expect(sent.filter { $0.to == ProxyBench.callee }.count == 10, "timer E, doubled up to T2")
        #expect(sent.filter { $0.to == ProxyBench.caller }.map(\.firstLine) == ["SIP/2.0 100 Trying"], "after T2")
        #expect(bench.advance(milliseconds: 600_000).isEmpty && bench.proxy.contextCount == 0)
    }

    @Test func `a lost 2xx of a request that is no INVITE is given again for a repetition, §17.2.2`() {
        var bench = ProxyBench()
        let request = bench.receive(Call.request("OPTIONS"), from: ProxyBench.caller)[0]
        #expect(bench.receive(Call.request("OPTIONS"), from: ProxyBench.caller).isEmpty, "being tried")
        _ = bench.receive(Call.response(200, to: request), from: ProxyBench.callee)
        for _ in 0..<3 {
            #expect(
                bench.receive(Call.request("OPTIONS"), from: ProxyBench.caller).map(\.firstLine) == [
                    "SIP/2.0 200 Whatever"
                ])
        }
    }

    @Test func `a repeated final answer of an INVITE is acknowledged each time and not passed on again, §17.1.1.2`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(486, to: invite), from: ProxyBench.callee)
        for _ in 0..<3 {
            let sent = bench.receive(Call.response(486, to: invite), from: ProxyBench.callee)
            #expect(sent.map(\.firstLine) == ["ACK sip:bob@10.0.0.2:5060 SIP/2.0"])
        }
    }

    @Test func `a final answer is repeated to the caller until its ACK, for 64·T1, §17.2.1`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(486, to: invite), from: ProxyBench.callee)
        #expect(
            bench.advance(milliseconds: 1_600).map(\.firstLine) == Array(repeating: "SIP/2.0 486 Whatever", count: 2))
        #expect(
            bench.receive(Call.request("INVITE"), from: ProxyBench.caller).map(\.firstLine) == ["SIP/2.0 486 Whatever"])
        let ack = Call.request("ACK", toTag: "bob", contact: nil)
        for _ in 0..<3 { #expect(bench.receive(ack, from: ProxyBench.caller).isEmpty) }
        #expect(bench.advance(milliseconds: 600_000).isEmpty && bench.proxy.contextCount == 0)
    }

    @Test func `each ACK for a 2xx goes downstream, however many and however late, §13_3_1_4`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        let ack = Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil)
        for wait: Int64 in [0, 10, 40_000] {
            _ = bench.advance(milliseconds: wait)
            #expect(bench.receive(ack, from: ProxyBench.caller).map(\.to) == [ProxyBench.callee])
        }
    }

    @Test func `timer C ends a call that rings for ever: CANCEL down, then 408 or what the callee says, §16.8`() {
        var bench = ProxyBench { $0.earlyTimeout = .seconds(900) }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(bench.advance(milliseconds: 170_000).isEmpty)
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(bench.advance(milliseconds: 180_000).isEmpty, "each provisional starts timer C again")
        let sent = bench.advance(milliseconds: 2_000)
        #expect(sent.first { $0.to == ProxyBench.callee }?.firstLine == "CANCEL sip:bob@10.0.0.2:5060 SIP/2.0")
        _ = bench.receive(Call.response(487, to: invite), from: ProxyBench.callee)
        _ = bench.advance(milliseconds: 600_000)
        #expect(bench.proxy.contextCount == 0)
    }

    // MARK: CANCEL

    @Test func `a CANCEL that crosses the 200 is answered, and the call is up, §16_10`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let cancel = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        let answer = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(answer.map(\.firstLine) == ["SIP/2.0 200 Whatever"])
        _ = bench.receive(Call.response(481, to: cancel[1], contact: nil), from: ProxyBench.callee)
        #expect(bench.state == .confirmedNotAcknowledged)
    }

    @Test(arguments: [486, 503, 600])
    func `a CANCEL that crosses a failure is answered, and the failure goes upstream`(status: Int) {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let final = bench.receive(Call.response(status, to: invite), from: ProxyBench.callee)
        #expect(final.last?.to == ProxyBench.caller)
        let cancel = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(cancel.map(\.firstLine) == ["SIP/2.0 200 OK"], "nothing is left to cancel")
    }

    @Test func `after a CANCEL nobody answers, the caller has its final answer within 64·T1 all the same, §9_1`() {
        for rings in [true, false] {
            var bench = ProxyBench()
            let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
            if rings { _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee) }
            var sent = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
            sent += bench.advance(milliseconds: 32_100)
            let finals = sent.filter { $0.to == ProxyBench.caller && $0.header("CSeq") == "1 INVITE" }
            #expect(finals.contains { $0.firstLine.hasPrefix("SIP/2.0 4") }, "rings: \(rings)")
            #expect(bench.advance(milliseconds: 600_000).allSatisfy(finals.contains), "nothing but repetitions")
            #expect(bench.proxy.contextCount == 0)
        }
    }

    @Test(arguments: ["OPTIONS", "MESSAGE"], [0, 180, 200, 400, 500])
    func `a CANCEL of what is no INVITE matches nothing, §9_1`(method: String, status: Int) {
        var bench = ProxyBench()
        let request = bench.receive(Call.request(method), from: ProxyBench.caller)[0]
        if status > 0 { _ = bench.receive(Call.response(status, to: request), from: ProxyBench.callee) }
        let sent = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(sent.map(\.firstLine) == ["SIP/2.0 481 Call/Transaction Does Not Exist"])
    }

    @Test func `a CANCEL with another CSeq number still names its transaction by its branch, §9_2`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let sent = bench.receive(Call.request("CANCEL", cSeq: 7, contact: nil), from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(sent[1].header("CSeq") == "1 CANCEL")
    }

    // MARK: Altered on the way

    @Test func `the callee may write our branch in capitals, but not another one, and may not drop our Via`() {
        for method in ["INVITE", "OPTIONS"] {
            var bench = ProxyBench()
            let request = bench.receive(Call.request(method), from: ProxyBench.caller).first {
                $0.to == ProxyBench.callee
            }!
            let answer = Call.response(200, to: request)
            let ours = request.headers("Via")[0]
            let branch = String(ours.split(separator: ";").first { $0.hasPrefix("branch=") }!.dropFirst(7))
            let changed = "\(branch.dropLast(24))\(String(repeating: "f", count: 24))"
            for altered in [
                answer.replacing("Via: \(ours)\r\n", with: ""), answer.replacing(branch, with: changed),
                answer.replacing("Via: \(ours)", with: "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKmine\r\nVia: \(ours)"),
            ] {
                #expect(bench.receive(altered, from: ProxyBench.callee).isEmpty)
            }
            #expect(bench.proxy.counters.strayResponses == 3)
            let capitals = answer.replacing(branch, with: branch.uppercased())
            #expect(bench.receive(capitals, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        }
    }

    @Test func `a response without a Via below ours is for nobody else, and goes nowhere, §16_7 step 3`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let alone = Call.response(200, to: invite)
            .replacing("Via: \(invite.headers("Via")[1])\r\n", with: "")
        #expect(bench.receive(alone, from: ProxyBench.callee).isEmpty)
        #expect(bench.state == .unconfirmed && bench.proxy.counters.strayResponses == 1)
        #expect(bench.receive(Call.response(200, to: invite), from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
    }

    @Test func `a provisional that cannot be read is dropped, and the timers go on`() {
        for method in ["INVITE", "MESSAGE"] {
            var bench = ProxyBench()
            let request = bench.receive(Call.request(method), from: ProxyBench.caller).first {
                $0.to == ProxyBench.callee
            }!
            let broken = Call.response(180, to: request).replacing("CSeq: 1", with: "CSeq: x")
            #expect(bench.receive(broken, from: ProxyBench.callee).isEmpty)
            #expect(bench.proxy.counters.malformed == 1)
            #expect(bench.advance(milliseconds: 600).map(\.to) == [ProxyBench.callee], "still repeated")
        }
    }

    @Test func `an answer for another method than was asked is dropped, §17.1.3`() {
        for (method, other) in [
            ("INVITE", "OPTIONS"), ("OPTIONS", "INVITE"), ("MESSAGE", "OPTIONS"), ("OPTIONS", "ACK"),
        ] {
            var bench = ProxyBench()
            let request = bench.receive(Call.request(method), from: ProxyBench.caller).first {
                $0.to == ProxyBench.callee
            }!
            let answer = Call.response(200, to: request, cSeq: "1 \(other)")
            #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty)
            #expect(
                bench.receive(Call.response(200, to: request), from: ProxyBench.callee).map(\.to) == [ProxyBench.caller]
            )
        }
    }

    @Test(arguments: ["INVITE", "OPTIONS", "ACK", "BYE"])
    func `our own request that comes back from the callee does no harm, as it is or under another method`(
        method: String
    ) {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let reflected = invite.text.replacing("INVITE sip", with: "\(method) sip").replacing(
            "1 INVITE", with: "1 \(method)")
        let sent = bench.receive(reflected, from: ProxyBench.callee)
        #expect(sent.allSatisfy { !$0.firstLine.hasPrefix("INVITE") }, "no INVITE goes round")
        #expect(bench.receive(Call.response(200, to: invite), from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        _ = bench.advance(milliseconds: 600_000)
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `requests of different methods under one branch are different transactions, §17.2.3`() {
        let methods = ["INVITE", "OPTIONS", "MESSAGE"]
        for first in methods {
            for second in methods where second != first {
                var bench = ProxyBench()
                _ = bench.receive(Call.request(first), from: ProxyBench.caller)
                let sent = bench.receive(Call.request(second, cSeq: 1), from: ProxyBench.caller)
                #expect(sent.contains { $0.to == ProxyBench.callee && $0.firstLine.hasPrefix(second) })
            }
        }
    }

    @Test func `an ACK that belongs to nothing is forwarded by its Request-URI or dropped, never answered`() {
        var bench = ProxyBench()
        for branch in ["z9hG4bKbad", "bad", ""] {
            let ack = Call.request("ACK", branch: branch, toTag: "x", contact: nil)
            let sent = bench.receive(ack, from: ProxyBench.caller)
            #expect(sent.allSatisfy { $0.firstLine.hasPrefix("ACK ") })
        }
        #expect(bench.proxy.contextCount == 0)
    }

    // MARK: RFC 2543

    @Test func `transactions without the magic cookie are matched by what they are, §17.2.3`() {
        for branch in ["1", "z9hG4bK", "390skdjuw"] {
            var bench = ProxyBench()
            let invite = bench.receive(Call.request("INVITE", branch: branch), from: ProxyBench.caller)[0]
            #expect(
                bench.receive(Call.request("INVITE", branch: branch), from: ProxyBench.caller).map(\.to) == [
                    ProxyBench.caller
                ])
            _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
            let cancel = bench.receive(Call.request("CANCEL", branch: branch, contact: nil), from: ProxyBench.caller)
            #expect(cancel.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
            let final = bench.receive(Call.response(487, to: invite), from: ProxyBench.callee)
            #expect(final.last?.firstLine == "SIP/2.0 487 Whatever")
            let ack = Call.request("ACK", branch: branch, toTag: "bob", contact: nil)
            #expect(bench.receive(ack, from: ProxyBench.caller).isEmpty, "absorbed")

            var other = ProxyBench()
            _ = other.receive(Call.request("OPTIONS", branch: branch), from: ProxyBench.caller)
            #expect(other.receive(Call.request("OPTIONS", branch: branch), from: ProxyBench.caller).isEmpty, "absorbed")
            #expect(!other.receive(Call.request("OPTIONS", branch: branch, cSeq: 2), from: ProxyBench.caller).isEmpty)
        }
    }
}
