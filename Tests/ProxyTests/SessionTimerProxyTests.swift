// What the proxy does to Session-Expires and Min-SE on the way down, and to a 2xx without one on the way up.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Session timers of a proxy, RFC 4028 §8")
struct SessionTimerProxyTests {
    struct Row: Sendable, CustomStringConvertible {
        var extra: String
        var expires: [String]
        var minimum: [String]
        var wanted: UInt32 = 0
        var least: UInt32 = 0
        var description: String { "\(extra.debugDescription) wanted \(wanted), least \(least)" }
    }

    private static func response(_ status: Int, to request: Sent, _ lines: String = "") -> String {
        Call.response(status, to: request).replacing("Content-Length: 0\r\n", with: "\(lines)Content-Length: 0\r\n")
    }

    private static let supported = "Supported: timer\r\n"

    // MARK: §8.1

    private static let rows = [
        // Nothing is asked for: what is there passes.
        Row(extra: "", expires: [], minimum: []),
        Row(extra: "Session-Expires: 1800;refresher=uas\r\n", expires: ["1800;refresher=uas"], minimum: []),
        Row(extra: "Session-Expires: soon\r\n", expires: ["soon"], minimum: [], wanted: 900, least: 120),
        // Asked for.
        Row(extra: "", expires: ["900"], minimum: [], wanted: 900),
        Row(extra: supported, expires: ["900"], minimum: [], wanted: 900),
        Row(extra: "Min-SE: 1200\r\n", expires: ["1200"], minimum: ["1200"], wanted: 900),
        Row(extra: "Min-SE: 100\r\n", expires: ["900"], minimum: ["100"], wanted: 900),
        // Lowered, never below Min-SE, never raised; the refresher is its sender's.
        Row(
            extra: "Session-Expires: 1800 ; refresher=uas;x=1\r\n", expires: ["900 ; refresher=uas;x=1"], minimum: [],
            wanted: 900),
        Row(
            extra: "Session-Expires: 1800\r\nMin-SE: 1200\r\n", expires: ["1200"], minimum: ["1200"], wanted: 900),
        Row(extra: "Session-Expires: 1800\r\nMin-SE: 1800\r\n", expires: ["1800"], minimum: ["1800"], wanted: 900),
        Row(extra: "Session-Expires: 300\r\n", expires: ["300"], minimum: [], wanted: 900),
        // Below the request's own Min-SE: raised, whoever lowered it.
        Row(
            extra: "Session-Expires: 300;refresher=uac\r\nMin-SE: 400\r\n", expires: ["400;refresher=uac"],
            minimum: ["400"]),
        Row(extra: "\(supported)Session-Expires: 300\r\nMin-SE: 400\r\n", expires: ["400"], minimum: ["400"]),
        // Below ours, and a caller that a 422 would not help.
        Row(extra: "Session-Expires: 100\r\n", expires: ["120"], minimum: ["120"], least: 120),
        Row(extra: "Session-Expires: 100\r\nMin-SE: 95\r\n", expires: ["120"], minimum: ["120"], least: 120),
        Row(extra: "Session-Expires: 100\r\nMin-SE: 200\r\n", expires: ["200"], minimum: ["200"], least: 120),
        Row(extra: "Session-Expires: 120\r\n", expires: ["120"], minimum: [], least: 120),
        // With timers its Min-SE is never touched (§11).
        Row(extra: "\(supported)Session-Expires: 120\r\nMin-SE: 95\r\n", expires: ["120"], minimum: ["95"], least: 120),
    ]

    @Test(arguments: rows, ["INVITE", "UPDATE"])
    func `a request leaves with what §8_1 allows`(row: Row, method: String) {
        var bench = ProxyBench {
            $0.sessionInterval = row.wanted
            $0.minimumSession = row.least
        }
        let sent = bench.receive(Call.request(method, extra: row.extra), from: ProxyBench.caller)
        let request = sent.first { $0.to == ProxyBench.callee }!
        #expect(request.headers("Session-Expires") == row.expires)
        #expect(request.headers("Min-SE") == row.minimum)
    }

    @Test(arguments: ["INFO", "OPTIONS", "BYE", "MESSAGE", "SUBSCRIBE"])
    func `no other request asks for a timer`(method: String) {
        var bench = ProxyBench {
            $0.sessionInterval = 900
            $0.minimumSession = 120
        }
        let extra = "Session-Expires: 100\r\n"
        #expect(bench.receive(Call.request(method), from: ProxyBench.caller)[0].header("Session-Expires") == nil)
        let other = bench.receive(Call.request(method, branch: "z9hG4bKo", extra: extra), from: ProxyBench.caller)[0]
        #expect(other.header("Session-Expires") == "100" && other.header("Min-SE") == nil)
    }

    @Test func `compact forms are changed in place`() {
        var bench = ProxyBench { $0.sessionInterval = 900 }
        let sent = bench.receive(Call.request("INVITE", extra: "x: 1800\r\n"), from: ProxyBench.caller)[0]
        #expect(sent.header("x") == "900" && sent.header("Session-Expires") == nil)
    }

    @Test func `a re-INVITE within the dialog asks as the first one did`() {
        var bench = ProxyBench { $0.sessionInterval = 900 }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Self.response(200, to: invite), from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        let again = bench.receive(
            Call.request("INVITE", branch: "z9hG4bKr", cSeq: 2, toTag: "bob", route: route), from: ProxyBench.caller)
        #expect(again.first { $0.firstLine.hasPrefix("INVITE") }?.header("Session-Expires") == "900")
    }

    // MARK: §8.2

    /// What the caller gets of a 2xx.
    private func answer(
        _ bench: inout ProxyBench, _ method: String = "INVITE", asked: String, _ lines: String, status: Int = 200
    ) -> Sent {
        let request = bench.receive(Call.request(method, extra: asked), from: ProxyBench.caller).first {
            $0.to == ProxyBench.callee
        }!
        let sent = bench.receive(Self.response(status, to: request, lines), from: ProxyBench.callee)
        return sent.first { $0.to == ProxyBench.caller }!
    }

    private func remaining(_ bench: ProxyBench) -> Int64 {
        bench.dialogs.deadline(bench.did)!.milliseconds(since: bench.now)
    }

    @Test(arguments: ["INVITE", "UPDATE"])
    func `a caller with timers is told to refresh where the callee has none`(method: String) {
        var bench = ProxyBench()
        let asked = "Session-Expires: 300;refresher=uas\r\n\(Self.supported)"
        let sent = answer(&bench, method, asked: asked, "")
        #expect(sent.headers("Session-Expires") == ["300;refresher=uac"] && sent.headers("Require") == ["timer"])
        #expect(sent.headers("Via") == ["SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKc1"])
        if method == "INVITE" { #expect(remaining(bench) == 300_000, "the lifetime is what the caller was told") }
    }

    @Test func `the tag is added to a Require that is there, and not twice`() {
        var bench = ProxyBench()
        let asked = "Session-Expires: 300\r\n\(Self.supported)"
        #expect(answer(&bench, asked: asked, "Require: 100rel\r\n").headers("Require") == ["100rel, timer"])
        var other = ProxyBench()
        #expect(answer(&other, asked: asked, "Require: 100rel,Timer\r\n").headers("Require") == ["100rel,Timer"])
        #expect(remaining(other) == 300_000)
    }

    @Test func `it is told the value as the request left, not as it came`() {
        var bench = ProxyBench { $0.sessionInterval = 200 }
        #expect(answer(&bench, asked: Self.supported, "").header("Session-Expires") == "200;refresher=uac")
        var lowered = ProxyBench { $0.sessionInterval = 200 }
        let asked = "Session-Expires: 300\r\n\(Self.supported)"
        #expect(answer(&lowered, asked: asked, "").header("Session-Expires") == "200;refresher=uac")
        #expect(remaining(lowered) == 200_000)
    }

    @Test(arguments: ["Session-Expires: 300\r\n", ""])
    func `a caller without timers is told nothing, and its dialog lives as configured`(asked: String) {
        var bench = ProxyBench {
            $0.sessionInterval = 300
            $0.lifetime = .seconds(600)
        }
        let sent = answer(&bench, asked: asked, "")
        #expect(sent.header("Session-Expires") == nil && sent.header("Require") == nil)
        #expect(remaining(bench) == 600_000)
    }

    @Test(arguments: ["Session-Expires: 200;refresher=uas\r\nRequire: timer\r\n", "x: 200;refresher=uas\r\n"])
    func `what a callee with timers says passes as it came`(lines: String) {
        var bench = ProxyBench { $0.sessionInterval = 900 }
        let sent = answer(&bench, asked: "Session-Expires: 300\r\n\(Self.supported)", lines)
        #expect(sent.text.contains(lines) && !sent.text.contains("uac"))
        #expect(remaining(bench) == 200_000)
    }

    @Test(arguments: [180, 183, 302, 404, 422, 603])
    func `only a 2xx is completed`(status: Int) {
        var bench = ProxyBench()
        let sent = answer(&bench, asked: "Session-Expires: 300\r\n\(Self.supported)", "", status: status)
        #expect(sent.header("Session-Expires") == nil && sent.header("Require") == nil)
    }

    @Test func `each 2xx of a fork, and each copy of one, says the same`() {
        var bench = ProxyBench()
        let asked = "Session-Expires: 300\r\n\(Self.supported)"
        let invite = bench.receive(Call.request("INVITE", extra: asked), from: ProxyBench.caller)[0]
        for tag in ["one", "two", "one"] {
            let sent = bench.receive(Call.response(200, to: invite, toTag: tag), from: ProxyBench.callee)
            #expect(sent.map { $0.header("Session-Expires") } == ["300;refresher=uac"])
        }
    }

    @Test func `a 2xx that has no room for two more headers passes as it came`() {
        var bench = ProxyBench()
        let filler = (0..<118).map { "X-\($0): 1\r\n" }.joined()
        let sent = answer(&bench, asked: "Session-Expires: 300\r\n\(Self.supported)", filler)
        #expect(sent.header("Session-Expires") == nil)
        #expect(remaining(bench) == 43_200_000, "the lifetime is what the caller was told")
    }

    // MARK: Heirs

    @Test(arguments: [false, true])
    func `an heir completes the 2xx of a dead owner's INVITE as the owner would have`(isKnown: Bool) throws {
        var owner = ProxyBench()
        let asked = "Session-Expires: 300\r\n\(Self.supported)"
        let invite = owner.receive(Call.request("INVITE", extra: asked), from: ProxyBench.caller)[0]
        _ = owner.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        var heir = ProxyBench {
            $0.memberTag = 0x2222_2222
            $0.earlyTakeover = .wait
        }
        heir.puts = owner.puts
        heir.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node), isLive: false)
        ]
        let bytes = owner.dialogs.bytes(owner.did)!
        _ = try heir.dialogs.learn(owner.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: heir.now)
        if isKnown {
            heir.proxy.review(heir.did, now: heir.now, dialogs: &heir.dialogs)
            _ = heir.drain()
        }
        let sent = heir.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(sent.map(\.to) == [ProxyBench.caller])
        #expect(sent[0].header("Session-Expires") == "300;refresher=uac" && sent[0].header("Require") == "timer")
        #expect(remaining(heir) == 300_000)
        let kept = heir.dialogs.record(heir.did)?.outs.first?.answer ?? []
        #expect(String(decoding: kept, as: UTF8.self).contains("Session-Expires: 300;refresher=uac"))
    }
}
