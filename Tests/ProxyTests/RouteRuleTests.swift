// Where a request goes by its headers alone: loose and strict routes, loops and spirals, what is refused (RFC 3261
// §16.3, §16.4, §16.6, §16.12).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Routes, loops and refusals, RFC 3261 §16.3 to §16.6")
struct RouteRuleTests {
    private static let own = "<sip:10.0.1.9:5060;lr>"

    @Test func `Routes of ours are consumed, the next one is where it goes, the Request-URI stays`() {
        var bench = ProxyBench()
        for uri in ["sip:bob@example.org", "tel:+1-201-555"] {
            let request = Call.request(
                "OPTIONS", uri: uri, branch: "z9hG4bK\(uri.count)",
                route: [Self.own, "<sip:10.0.1.1:5060;lr>", "<sip:10.0.0.3;lr>", "<sip:10.0.0.4;lr>"])
            let sent = bench.receive(request, from: ProxyBench.caller)
            #expect(sent.map(\.to) == ["10.0.0.3:5060"])
            #expect(sent[0].firstLine == "OPTIONS \(uri) SIP/2.0")
            #expect(sent[0].headers("Route") == ["<sip:10.0.0.3;lr>", "<sip:10.0.0.4;lr>"])
        }
    }

    @Test func `before a strict router the Request-URI moves to the end of the Routes, §16.6 step 6`() {
        for uri in ["sip:bob@10.0.0.2:5060", "tel:+1-201-555"] {
            var bench = ProxyBench()
            let request = Call.request("OPTIONS", uri: uri, route: [Self.own, "<sip:10.0.0.3>", "<sip:10.0.0.4;lr>"])
            let sent = bench.receive(request, from: ProxyBench.caller)
            #expect(sent.map(\.to) == ["10.0.0.3:5060"])
            #expect(sent[0].firstLine == "OPTIONS sip:10.0.0.3 SIP/2.0")
            #expect(sent[0].headers("Route") == ["<sip:10.0.0.4;lr>", "<\(uri)>"])
        }
    }

    @Test func `behind a strict router our own URI is undone from the last Route, §16.4`() {
        var bench = ProxyBench()
        let request = Call.request(
            "INFO", uri: "sip:10.0.1.9:5060;lr;did=00000000000000aa", toTag: "bob",
            route: ["<sip:10.0.0.3;lr>", "<sip:bob@10.0.0.2:5060>"])
        let sent = bench.receive(request, from: ProxyBench.caller)
        #expect(sent.map(\.to) == ["10.0.0.3:5060"])
        #expect(sent[0].firstLine == "INFO sip:bob@10.0.0.2:5060 SIP/2.0")
        #expect(sent[0].headers("Route") == ["<sip:10.0.0.3;lr>"])
    }

    @Test func `what is ours and matches no route is not found, and what would come back to us is refused`() {
        var bench = ProxyBench()
        let sent = bench.receive(Call.request("OPTIONS", uri: "sip:nobody@10.0.1.9:5060"), from: ProxyBench.caller)
        #expect(sent.map(\.firstLine) == ["SIP/2.0 404 Not Found"])
        let asked = bench.receive(
            Call.request("OPTIONS", uri: "sip:bob@nowhere.example", branch: "z9hG4bKn"), from: ProxyBench.caller)
        #expect(asked.isEmpty && bench.questions.map(\.name.host) == [Array("nowhere.example".utf8)])
        #expect(bench.answer([]).map(\.firstLine) == ["SIP/2.0 502 Bad Gateway"], "a name without an address")
    }

    @Test func `a request that comes back unchanged is a loop, one for somebody else a spiral, §16.3 step 4`() {
        for method in ["INVITE", "MESSAGE"] {
            var bench = ProxyBench()
            let sent = bench.receive(Call.request(method), from: ProxyBench.caller).first {
                $0.to == ProxyBench.callee
            }!
            // The callee is a proxy that sends it back: its Via on top, a hop less.
            let via = "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKback\r\n"
            let back = sent.text.replacing(" SIP/2.0\r\nVia", with: " SIP/2.0\r\n\(via)Via", maxReplacements: 1)
            let loop = bench.receive(back, from: ProxyBench.callee)
            #expect(loop.map(\.firstLine) == ["SIP/2.0 482 Loop Detected"])
            let spiral = back.replacing("\(method) sip:bob@10.0.0.2:5060", with: "\(method) sip:carol@10.0.0.3")
                .replacing("z9hG4bKback", with: "z9hG4bKspiral")
            let forwarded = bench.receive(spiral, from: ProxyBench.callee).filter { $0.to == "10.0.0.3:5060" }
            #expect(forwarded.map(\.firstLine) == ["\(method) sip:carol@10.0.0.3 SIP/2.0"])
            #expect(bench.dialogs.count == (method == "INVITE" ? 1 : 0), "a spiral makes no second dialog")
            // Its answer finds both transactions on its way back, and a CANCEL goes the whole way.
            let answer = bench.receive(Call.response(200, to: forwarded[0]), from: "10.0.0.3:5060")
            #expect(answer.map(\.to) == [ProxyBench.callee])
        }
    }

    @Test func `a CANCEL follows a spiral`() {
        var bench = ProxyBench()
        let first = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let via = "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKspiral\r\n"
        let again = first.text.replacing(" SIP/2.0\r\nVia", with: " SIP/2.0\r\n\(via)Via", maxReplacements: 1)
            .replacing("INVITE sip:bob@10.0.0.2:5060", with: "INVITE sip:carol@10.0.0.3")
        let second = bench.receive(again, from: ProxyBench.callee).first { $0.to == "10.0.0.3:5060" }!
        _ = bench.receive(Call.response(180, to: second), from: "10.0.0.3:5060")
        let cancel = again.replacing("INVITE sip", with: "CANCEL sip").replacing("1 INVITE", with: "1 CANCEL")
        let sent = bench.receive(cancel, from: ProxyBench.callee)
        #expect(sent.map(\.to) == [ProxyBench.callee, "10.0.0.3:5060"])
        #expect(sent[1].headers("Via") == [second.headers("Via")[0]])
    }

    @Test(arguments: ["INVITE", "REGISTER", "MESSAGE"])
    func `no hop left is told 483, a hop that is no number 400, §16.3 step 3`(method: String) {
        var bench = ProxyBench()
        let request = Call.request(method)
        let empty = bench.receive(
            request.replacing("Max-Forwards: 70", with: "Max-Forwards: 0"), from: ProxyBench.caller)
        #expect(empty.map(\.firstLine) == ["SIP/2.0 483 Too Many Hops"])
        let odd = bench.receive(
            request.replacing("Max-Forwards: 70", with: "Max-Forwards: -1"), from: ProxyBench.caller)
        #expect(odd.map(\.firstLine) == ["SIP/2.0 400 Bad Request"])
        let none = bench.receive(request.replacing("Max-Forwards: 70\r\n", with: ""), from: ProxyBench.caller)
        #expect(none.first { $0.to == ProxyBench.callee }?.header("Max-Forwards") == "70")
    }

    @Test func `each extension in Proxy-Require is refused by name, one in Require is not ours to mind, §16.3 step 5`()
    {
        var bench = ProxyBench()
        let refused = bench.receive(
            Call.request("OPTIONS", extra: "Proxy-Require: foo, bar\r\nProxy-Require: baz\r\n"), from: ProxyBench.caller
        )
        #expect(refused.map(\.firstLine) == ["SIP/2.0 420 Bad Extension"])
        #expect(refused[0].header("Unsupported") == "foo, bar, baz")
        let passed = bench.receive(
            Call.request("OPTIONS", branch: "z9hG4bKr", extra: "Require: foo\r\n"), from: ProxyBench.caller)
        #expect(passed.map(\.to) == [ProxyBench.callee])
    }

    @Test func `an answer goes to the source port where rport asks for it, with received and rport, RFC 3581 §4`() {
        var bench = ProxyBench()
        let request = Call.request("OPTIONS", via: "192.168.0.9:5062", branch: "z9hG4bKr;rport")
        let forwarded = bench.receive(request, from: "10.0.0.1:61000")[0]
        let answer = bench.receive(Call.response(200, to: forwarded), from: ProxyBench.callee)
        #expect(answer.map(\.to) == ["10.0.0.1:61000"])
        #expect(
            answer[0].headers("Via") == ["SIP/2.0/UDP 192.168.0.9:5062;branch=z9hG4bKr;rport=61000;received=10.0.0.1"])
    }

    @Test func `credentials, challenges and bodies pass unread, §22_3`() {
        var bench = ProxyBench()
        let extra = "Proxy-Authorization: Digest realm=\"x\", nonce=\"y\"\r\nAuthorization: NoOneKnows z\r\n"
        let sent = bench.receive(Call.request("REGISTER", extra: extra, body: "\u{0}\u{1}é"), from: ProxyBench.caller)[
            0]
        #expect(sent.header("Proxy-Authorization") == "Digest realm=\"x\", nonce=\"y\"")
        #expect(sent.header("Authorization") == "NoOneKnows z" && sent.text.hasSuffix("\r\n\r\n\u{0}\u{1}é"))
        let challenge = Call.response(407, to: sent)
            .replacing("Content-Length", with: "Proxy-Authenticate: Digest realm=\"x\"\r\nContent-Length")
        #expect(
            bench.receive(challenge, from: ProxyBench.callee)[0].header("Proxy-Authenticate") == "Digest realm=\"x\"")
    }

    @Test func `an ACK for a 2xx is forwarded whatever its size, keeping nothing, §16.11`() {
        var bench = ProxyBench()
        let body = String(repeating: "a", count: 60_000)
        let ack = Call.request("ACK", toTag: "bob", route: [Self.own], contact: nil, body: body)
        let sent = bench.receive(ack, from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.callee] && sent[0].text.hasSuffix(body))
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `a lost call's messages change nothing: BYE, re-INVITE and UPDATE are routed without a record`() {
        var bench = ProxyBench()
        for (index, method) in ["BYE", "INVITE", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY"].enumerated() {
            let request = Call.request(
                method, branch: "z9hG4bK\(index)", cSeq: index + 5, toTag: "bob",
                route: ["<sip:10.0.1.9:5060;lr;did=00000000000000ff>"])
            let sent = bench.receive(request, from: ProxyBench.caller).filter { $0.to == ProxyBench.callee }
            #expect(sent.map(\.firstLine) == ["\(method) sip:bob@10.0.0.2:5060 SIP/2.0"])
        }
    }
}
