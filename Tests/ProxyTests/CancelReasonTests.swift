// Why a phone that rings is told that it need not any more.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("The Reason of a CANCEL, RFC 3326")
struct CancelReasonTests {
    private static let reasons = ["SIP;cause=200;text=\"Call completed elsewhere\"", "Q.850;cause=26;text=\"a, b\""]
    private static let lines = reasons.map { "Reason: \($0)\r\n" }.joined()
    private static let owner: UInt32 = 0x1111_1111

    private static func cancel(_ extra: String = lines) -> String { Call.request("CANCEL", contact: nil, extra: extra) }

    private static func cancels(_ sent: [Sent]) -> [[String]] {
        sent.filter { $0.firstLine.hasPrefix("CANCEL ") }.map { $0.headers("Reason") }
    }

    private static func fork(_ bench: inout ProxyBench) -> [Sent] {
        Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
    }

    @Test(arguments: [lines, "", "Reason: \(reasons[0]), \(reasons[1])\r\n"])
    func `Reasons are copied as they came, at once and when the CANCEL has to wait, §9_1`(extra: String) {
        let expected = extra.split(separator: "\r\n").map { String($0.dropFirst("Reason: ".count)) }
        for waits in [false, true] {
            var bench = ProxyBench()
            let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
            let ringing = Call.response(180, to: invite)
            if !waits { _ = bench.receive(ringing, from: ProxyBench.callee) }
            var sent = bench.receive(Self.cancel(extra), from: ProxyBench.caller)
            if waits {
                #expect(Self.cancels(sent).isEmpty)
                sent = bench.receive(ringing, from: ProxyBench.callee)
            }
            #expect(Self.cancels(sent) == [expected])
        }
    }

    @Test func `Reasons beyond 1024 bytes are left out whole, and counted`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let long = "Reason: SIP;text=\"\(String(repeating: "x", count: 1_100))\"\r\n"
        let sent = bench.receive(Self.cancel(long + Self.lines + long), from: ProxyBench.caller)
        #expect(Self.cancels(sent) == [Self.reasons] && bench.proxy.counters.reasonsLeftOut == 1)
    }

    @Test func `those who lose a fork hear that the call was completed elsewhere, whatever the caller says later`() {
        var bench = Fork.bench(3)
        let invites = Self.fork(&bench)
        _ = Fork.answer(180, invites[1], tag: "two", &bench)
        let sent = Fork.answer(200, invites[0], tag: "one", &bench)
        let elsewhere = ["SIP ;cause=200 ;text=\"Call completed elsewhere\""]
        #expect(Self.cancels(sent) == [elsewhere])
        _ = bench.receive(Self.cancel("Reason: SIP;cause=1\r\n"), from: ProxyBench.caller)
        let late = Fork.answer(180, invites[2], tag: "three", &bench)
        #expect(Self.cancels(late) == [elsewhere])
    }

    @Test func `those whom a 6xx ends hear which it was`() {
        var bench = Fork.bench(3)
        let invites = Self.fork(&bench)
        for invite in invites.dropFirst() { _ = Fork.answer(180, invite, tag: "t", &bench) }
        let sent = Fork.answer(603, invites[0], tag: "one", &bench)
        #expect(Self.cancels(sent) == [["SIP ;cause=603 ;text=\"Decline\""], ["SIP ;cause=603 ;text=\"Decline\""]])
    }

    @Test func `timer C says that nobody answered`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let sent = bench.advance(milliseconds: 181_500)
        #expect(Self.cancels(sent).first == ["SIP ;cause=408 ;text=\"No answer in time\""])
    }

    @Test(
        arguments: [
            (RecordFlags.endedByOperator, "SIP ;cause=480 ;text=\"Ended by the operator\""),
            (RecordFlags.timedOut, "SIP ;cause=408 ;text=\"Call set-up took too long\""),
        ])
    func `an operator's end and the early timeout say so`(flag: RecordFlags, reason: String) {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        _ = bench.proxy.cancelEarly(
            bench.did, flags: flag, now: bench.now, dialogs: &bench.dialogs)
        bench.proxy.review(bench.did, now: bench.now, dialogs: &bench.dialogs)
        #expect(Self.cancels(bench.drain()) == [[reason]])
    }

    // MARK: Other nodes

    private func survivor(of owner: ProxyBench, isLive: Bool) -> ProxyBench {
        var bench = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
        }
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: Self.owner, endpoint: Endpoint(text: ProxyBench.node), isLive: isLive)
        ]
        bench.puts = owner.puts
        replicate(from: owner, to: &bench)
        return bench
    }

    private func replicate(from: ProxyBench, to: inout ProxyBench) {
        let bytes = from.dialogs.bytes(from.did)!
        _ = try? to.dialogs.learn(from.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: to.now)
        to.proxy.review(from.did, now: to.now, dialogs: &to.dialogs)
    }

    private func ringing() -> ProxyBench {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        return bench
    }

    @Test func `a CANCEL that reached another node gives its Reasons to the owner by the fact, and by itself`() {
        var owner = ringing()
        var other = survivor(of: owner, isLive: true)
        let passed = other.receive(Self.cancel(), from: ProxyBench.caller)
        #expect(passed[0].headers("Reason") == Self.reasons)
        var second = owner
        replicate(from: other, to: &owner)
        #expect(Self.cancels(owner.drain()) == [Self.reasons])
        let sent = second.receive(passed[0].text, from: "10.0.1.2:5060")
        #expect(Self.cancels(sent) == [Self.reasons])
    }

    @Test func `an heir says why its caller gave up, and of a call that lives why it is cancelled`() {
        var cancelled = ProxyBench()
        let invite = cancelled.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = cancelled.receive(Self.cancel(), from: ProxyBench.caller)
        var heir = survivor(of: cancelled, isLive: false)
        _ = heir.drain()
        #expect(Self.cancels(heir.receive(Call.response(180, to: invite), from: ProxyBench.callee)) == [Self.reasons])

        var other = survivor(of: ringing(), isLive: false)
        #expect(Self.cancels(other.drain()) == [["SIP ;cause=480 ;text=\"Call set-up was interrupted\""]])
    }

    @Test func `an heir of an operator's end tells the caller what the owner would have, and the callee why`() {
        var owner = ringing()
        _ = owner.proxy.cancelEarly(
            owner.did, flags: RecordFlags.endedByOperator, now: owner.now, dialogs: &owner.dialogs)
        _ = owner.drain()
        var heir = survivor(of: owner, isLive: false)
        let cancel = heir.drain()
        #expect(Self.cancels(cancel) == [["SIP ;cause=480 ;text=\"Ended by the operator\""]])
        let rest = heir.receive(Call.response(200, to: cancel[0], contact: nil), from: ProxyBench.callee)
        #expect(rest.last?.firstLine == "SIP/2.0 480 Temporarily Unavailable")
    }

    @Test func `the losers of a fork whose owner died hear that the call was completed elsewhere`() {
        var owner = Fork.bench(3)
        let invites = Self.fork(&owner)
        _ = Fork.answer(180, invites[1], tag: "two", &owner)
        let before = owner
        _ = Fork.answer(200, invites[0], tag: "one", &owner)
        var heir = survivor(of: before, isLive: true)
        heir.proxy.neighbours.peers[0].isLive = false
        replicate(from: owner, to: &heir)
        #expect(Self.cancels(heir.drain()) == [["SIP ;cause=200 ;text=\"Call completed elsewhere\""]])
    }
}
