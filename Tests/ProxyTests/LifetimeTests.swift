// What takes a deadline away or gives it back: a session timer that is given up, a refresh that says nothing of it, an
// end that somebody asked for.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Lifetimes that are given back, and ends that nothing voids, RFC 4028 §7.2")
struct LifetimeTests {
    private static let timer = "Session-Expires: 90\r\n"

    private func response(_ status: Int, to request: Sent, _ line: String, toTag: String = "bob") -> String {
        Call.response(status, to: request, toTag: toTag).replacing(
            "Content-Length: 0\r\n", with: "\(line)Content-Length: 0\r\n")
    }

    private func establish(
        _ line: String, _ configure: (inout ProxySettings) -> Void = { $0.lifetime = .seconds(600) }
    ) -> (bench: ProxyBench, route: [String]) {
        var bench = ProxyBench(configure)
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(response(200, to: invite, line), from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil), from: ProxyBench.caller)
        return (bench, route)
    }

    private func refresh(_ bench: inout ProxyBench, _ method: String, _ cSeq: Int, _ route: [String], _ line: String) {
        let request = bench.receive(
            Call.request(method, branch: "z9hG4bKr\(cSeq)", cSeq: cSeq, toTag: "bob", route: route),
            from: ProxyBench.caller)[0]
        _ = bench.receive(response(200, to: request, line), from: ProxyBench.callee)
    }

    private func remaining(_ bench: ProxyBench) -> Int64 {
        bench.dialogs.deadline(bench.did)!.milliseconds(since: bench.now)
    }

    private func deadline(_ bench: ProxyBench) -> RecordView.Deadline? { bench.dialogs.record(bench.did)?.deadline }

    private func join(_ bench: inout ProxyBench, _ facts: [UInt8]) throws {
        _ = try bench.dialogs.learn(bench.did, facts: RawSpan(_elements: facts.span), age: nil, now: bench.now)
    }

    // MARK: Given back

    @Test(arguments: ["INVITE", "UPDATE"], ["", "Session-Expires: 0\r\n"])
    func `a 2xx without a session timer gives the ordinary lifetime back, in the next generation, once`(
        method: String, line: String
    ) {
        var (bench, route) = establish(Self.timer)
        #expect(deadline(bench)?.lifetimeMilliseconds == 90_000 && deadline(bench)?.ordinaryMilliseconds == 600_000)
        refresh(&bench, method, 2, route, line)
        #expect(remaining(bench) == 600_000)
        #expect(deadline(bench)?.generation == 2 && deadline(bench)?.ordinaryMilliseconds == 0)
        _ = bench.advance(milliseconds: 1_000)
        refresh(&bench, method, 3, route, line)
        #expect(remaining(bench) == 600_000 && deadline(bench)?.generation == 2, "that once")
    }

    @Test func `it is given back in the next generation also where that is a shortening`() {
        var (bench, route) = establish("Session-Expires: 3600\r\n")
        refresh(&bench, "UPDATE", 2, route, "")
        #expect(remaining(bench) == 600_000 && deadline(bench)?.generation == 2)
    }

    @Test(arguments: ["INFO", "OPTIONS", "MESSAGE", "NOTIFY", "REFER"])
    func `another request changes nothing of the agreed lifetime, with or without the header`(method: String) {
        var (bench, route) = establish(Self.timer)
        for (cSeq, line) in [(2, ""), (3, "Session-Expires: 5\r\n"), (4, "Session-Expires: 3600\r\n")] {
            _ = bench.advance(milliseconds: 10_000)
            refresh(&bench, method, cSeq, route, line)
            #expect(remaining(bench) == 90_000)
            #expect(deadline(bench)?.generation == 1 && deadline(bench)?.ordinaryMilliseconds == 600_000)
        }
    }

    @Test func `the lifetime given back is the dialog's own, not the setting`() throws {
        var (bench, route) = establish("")
        var facts = FactsWriter()
        var given = RecordView.Deadline()
        given.generation = 2
        given.atMilliseconds = 300_000
        given.lifetimeMilliseconds = 300_000
        facts.deadline(given)
        try join(&bench, facts.bytes)
        refresh(&bench, "UPDATE", 2, route, Self.timer)
        #expect(remaining(bench) == 90_000 && deadline(bench)?.ordinaryMilliseconds == 300_000)
        refresh(&bench, "UPDATE", 3, route, "Session-Expires: 120\r\n")
        refresh(&bench, "UPDATE", 4, route, "")
        #expect(remaining(bench) == 300_000)
    }

    @Test func `a timer that was made shorter is what a later refresh re-arms with`() {
        var (bench, route) = establish("Session-Expires: 500\r\n")
        refresh(&bench, "UPDATE", 2, route, Self.timer)
        #expect(deadline(bench)?.generation == 2)
        _ = bench.advance(milliseconds: 60_000)
        refresh(&bench, "INFO", 3, route, "")
        #expect(remaining(bench) == 90_000)
        _ = bench.advance(milliseconds: 60_000)
        refresh(&bench, "INVITE", 4, route, "Session-Expires: 100\r\n")
        #expect(remaining(bench) == 100_000 && deadline(bench)?.generation == 2, "later: no shortening")
    }

    @Test func `a refresh in the old generation, learned at the same moment, does not bring the timer back`() throws {
        var (bench, route) = establish(Self.timer)
        _ = bench.advance(milliseconds: 1_000)
        var other = bench
        refresh(&bench, "UPDATE", 2, route, "")
        _ = other.advance(milliseconds: 500)
        refresh(&other, "INFO", 3, route, "")
        let (given, kept) = (bench.lastPatch, other.lastPatch)
        try join(&bench, kept)
        try join(&other, given)
        #expect(deadline(bench) == deadline(other) && deadline(bench)?.lifetimeMilliseconds == 600_000)
    }

    @Test(arguments: ["", "Session-Expires: 400\r\n"])
    func `a 2xx that is repeated for want of its ACK does not bring back what an UPDATE has changed since`(
        _ line: String
    ) {
        var bench = ProxyBench { $0.lifetime = .seconds(600) }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = response(200, to: invite, Self.timer)
        _ = bench.receive(answer, from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        refresh(&bench, "UPDATE", 2, route, line)
        let agreed = deadline(bench)
        #expect(agreed?.lifetimeMilliseconds == (line.isEmpty ? 600_000 : 400_000))
        _ = bench.advance(milliseconds: 500)
        _ = bench.receive(answer, from: ProxyBench.callee)
        #expect(deadline(bench)?.generation == agreed?.generation, "the callee's repetition of what was agreed before")
        #expect(deadline(bench)?.lifetimeMilliseconds == agreed?.lifetimeMilliseconds)
    }

    @Test(arguments: ["INVITE", "UPDATE"])
    func `nor does that of an UPDATE, which passes by for a dead node, when its sender has begun anew`(method: String) {
        var (bench, route) = establish("")
        let request = bench.receive(
            Call.request("UPDATE", branch: "z9hG4bKr2", cSeq: 2, toTag: "bob", route: route), from: ProxyBench.caller)[
                0]
        let answer = response(200, to: request, Self.timer)
        _ = bench.receive(answer, from: ProxyBench.callee)
        #expect(deadline(bench)?.lifetimeMilliseconds == 90_000)
        refresh(&bench, method, 3, route, "")
        let agreed = deadline(bench)
        #expect(agreed?.lifetimeMilliseconds == 600_000)
        _ = bench.advance(milliseconds: 500)
        bench.proxy.settings.memberTag = 0x2222_2222  // The owner of that transaction is another now, and nobody's.
        #expect(bench.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        #expect(deadline(bench) == agreed)
    }

    @Test(arguments: ["INVITE", "UPDATE"])
    func `nor does that of an UPDATE, which its sender repeats elsewhere, when the other side has refreshed since`(
        method: String
    ) {
        var (bench, route) = establish("")
        refresh(&bench, "UPDATE", 2, route, Self.timer)
        #expect(deadline(bench)?.lifetimeMilliseconds == 90_000)
        let other = Call.request(
            method, uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKo", cSeq: 7, toTag: "alice",
            fromTag: "bob", route: route, contact: "sip:bob@10.0.0.2:5060", from: "sip:bob@example.org",
            to: "sip:alice@example.org")
        let passed = bench.receive(other, from: ProxyBench.callee)[0]
        _ = bench.receive(response(200, to: passed, "", toTag: ""), from: ProxyBench.caller)
        let agreed = deadline(bench)
        #expect(agreed?.lifetimeMilliseconds == 600_000)
        _ = bench.advance(milliseconds: 500)
        // Its node died before the caller had the 2xx: the callee says again what it has said.
        let again = bench.receive(
            Call.request("UPDATE", branch: "z9hG4bKrenewed", cSeq: 2, toTag: "bob", route: route),
            from: ProxyBench.caller)[0]
        #expect(bench.receive(response(200, to: again, Self.timer), from: ProxyBench.callee).count == 1)
        #expect(deadline(bench) == agreed)
        refresh(&bench, "UPDATE", 3, route, Self.timer)
        #expect(deadline(bench)?.lifetimeMilliseconds == 90_000, "what is new counts")
    }

    @Test func `nor does the repeated 2xx of a re-INVITE`() {
        var (bench, route) = establish("")
        let request = bench.receive(
            Call.request("INVITE", branch: "z9hG4bKr2", cSeq: 2, toTag: "bob", route: route), from: ProxyBench.caller)[
                0]
        let answer = response(200, to: request, Self.timer)
        _ = bench.receive(answer, from: ProxyBench.callee)
        #expect(deadline(bench)?.lifetimeMilliseconds == 90_000)
        refresh(&bench, "UPDATE", 3, route, "")
        let agreed = deadline(bench)
        #expect(agreed?.lifetimeMilliseconds == 600_000)
        _ = bench.receive(answer, from: ProxyBench.callee)
        #expect(deadline(bench) == agreed)
    }

    @Test func `what one callee agrees on does not shorten the session of another that answered, §8_2`() {
        var bench = ProxyBench { $0.lifetime = .seconds(600) }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(response(200, to: invite, ""), from: ProxyBench.callee)
        _ = bench.receive(response(200, to: invite, Self.timer, toTag: "carol"), from: ProxyBench.callee)
        #expect(remaining(bench) == 600_000 && deadline(bench)?.generation == 1)
    }

    @Test func `an ACK whose 2xx is still on its way does not outvote the timer that the 2xx agrees on`() throws {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var other = bench
        _ = bench.receive(response(200, to: invite, Self.timer), from: ProxyBench.callee)
        let answered = bench.lastPatch
        _ = other.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!]),
            from: ProxyBench.caller)
        #expect(other.state == .confirmed && remaining(other) == 43_200_000, "not the early timeout's")
        let guessed = other.lastPatch
        try join(&other, answered)
        try join(&bench, guessed)
        #expect(remaining(other) == 90_000 && deadline(bench) == deadline(other))
    }

    @Test(arguments: [true, false])
    func `a refresh that a shortening of before overrules on another node is written again`(isLater: Bool) throws {
        var (bench, route) = establish("Session-Expires: 600;refresher=uac\r\n")
        var other = bench
        for shortens in [isLater, !isLater] {
            _ = bench.advance(milliseconds: 5_000)
            _ = other.advance(milliseconds: 5_000)
            if shortens {
                refresh(&bench, "UPDATE", 2, route, Self.timer)
                #expect(deadline(bench)?.generation == 2 && remaining(bench) == 90_000)
            } else {
                refresh(&other, "INVITE", 3, route, "Session-Expires: 600;refresher=uac\r\n")
                #expect(deadline(other)?.generation == 1 && remaining(other) == 600_000)
            }
        }
        let bytes = bench.lastPatch
        let learned = try other.dialogs.learn(
            other.did, facts: RawSpan(_elements: bytes.span), age: nil, now: other.now)
        let lost = try #require(learned.overruled)
        #expect(remaining(other) == (isLater ? 85_000 : 90_000), "the shortening is of a higher generation")
        other.proxy.repeatRefresh(
            other.did, lost, now: other.now, dialogs: &other.dialogs)
        _ = other.drain()
        guard isLater else { return #expect(remaining(other) == 90_000, "it was the last word") }
        #expect(remaining(other) == 600_000 && deadline(other)?.generation == 2)
        try join(&bench, other.lastPatch)
        #expect(deadline(bench) == deadline(other))
    }

    @Test func `a copy of a 2xx whose ACK has passed shortens nothing that was agreed on since`() {
        var bench = ProxyBench { $0.lifetime = .seconds(600) }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = response(200, to: invite, Self.timer)
        _ = bench.receive(answer, from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil), from: ProxyBench.caller)
        refresh(&bench, "UPDATE", 2, route, "Session-Expires: 500;refresher=uac\r\n")
        let agreed = deadline(bench)
        _ = bench.advance(milliseconds: 500)
        let sent = bench.receive(answer, from: ProxyBench.callee)
        #expect(sent.count == 1, "the copy goes on: its ACK may be lost")
        #expect(deadline(bench) == agreed && agreed?.lifetimeMilliseconds == 500_000)
    }

    /// A node without the record sends the 2xx on; when it has the record, the callee still repeats that 2xx.
    private func answeredUnrecorded() throws -> (bench: ProxyBench, answer: String, route: [String]) {
        var (bench, route) = establish("")
        let bytes = try #require(bench.dialogs.bytes(bench.did))
        let did = bench.did
        bench.dialogs.remove(did)
        let request = bench.receive(
            Call.request("INVITE", branch: "z9hG4bKr2", cSeq: 2, toTag: "bob", route: route), from: ProxyBench.caller)[
                0]
        let answer = response(200, to: request, Self.timer)
        #expect(bench.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        _ = bench.advance(milliseconds: 500)
        _ = try bench.dialogs.learn(did, facts: RawSpan(_elements: bytes.span), age: .milliseconds(500), now: bench.now)
        return (bench, answer, route)
    }

    @Test func `a 2xx that passed without a record shortens nothing that was agreed on since, by either side`() throws {
        for isCallers in [true, false] {
            var (bench, answer, route) = try answeredUnrecorded()
            let line = "Session-Expires: 500;refresher=uac\r\n"
            if isCallers {
                refresh(&bench, "UPDATE", 3, route, line)
            } else {
                let update = Call.request(
                    "UPDATE", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKu", cSeq: 7,
                    toTag: "alice", fromTag: "bob", route: route, contact: "sip:bob@10.0.0.2:5060",
                    from: "sip:bob@example.org", to: "sip:alice@example.org")
                let request = bench.receive(update, from: ProxyBench.callee)[0]
                _ = bench.receive(response(200, to: request, line, toTag: ""), from: ProxyBench.caller)
            }
            let agreed = deadline(bench)
            #expect(agreed?.lifetimeMilliseconds == 500_000)
            _ = bench.advance(milliseconds: 500)
            #expect(bench.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
            #expect(deadline(bench) == agreed, "by the \(isCallers ? "caller" : "callee")")
        }
    }

    @Test func `a 2xx that passed without a record is the last word where nothing was agreed on since`() throws {
        var (bench, answer, _) = try answeredUnrecorded()
        _ = bench.receive(answer, from: ProxyBench.callee)
        #expect(deadline(bench)?.lifetimeMilliseconds == 90_000 && remaining(bench) == 90_000)
    }

    // MARK: Ends that were asked for

    private func end(_ bench: inout ProxyBench, isAsked: Bool = true) {
        bench.proxy.shortenDeadline(
            bench.did, flags: isAsked ? .endedByOperator : [], isAsked: isAsked, now: bench.now,
            dialogs: &bench.dialogs)
        _ = bench.drain()
    }

    @Test(arguments: ["INVITE", "UPDATE", "INFO", "OPTIONS"], ["", timer, "Session-Expires: 86400\r\n"])
    func `no refresh moves the deadline of an end that was asked for, whichever comes first`(
        method: String, line: String
    ) throws {
        for timerBefore in ["", Self.timer] {
            var (bench, route) = establish(timerBefore)
            var other = bench
            end(&bench)
            let (asked, ended) = (bench.lastPatch, deadline(bench))
            #expect(ended?.isExplicitEnd == true && remaining(bench) == 0)
            refresh(&bench, method, 2, route, line)
            #expect(deadline(bench) == ended)
            // The same on a node that has not heard of it yet, twice over.
            refresh(&other, method, 2, route, line)
            let first = other.lastPatch
            refresh(&other, "UPDATE", 3, route, "")
            let second = other.lastPatch
            try join(&other, asked)
            for patch in [first, second] { try join(&bench, patch) }
            #expect(deadline(other) == ended && deadline(bench) == ended)
        }
    }

    @Test func `a refresh that crosses an end still teaches where the phones are`() {
        var (bench, route) = establish("")
        end(&bench)
        refresh(&bench, "INVITE", 7, route, "")
        #expect(bench.dialogs.record(bench.did)?.caller.cseq == 7)
    }

    @Test func `who asks a second time does not move the end that was asked for first`() {
        var (bench, _) = establish("")
        end(&bench)
        let first = deadline(bench)
        _ = bench.advance(milliseconds: 100)
        end(&bench)
        end(&bench, isAsked: false)
        #expect(deadline(bench) == first)
    }

    @Test func `an end that the cluster concludes of itself is refuted by a refresh`() {
        var (bench, route) = establish(Self.timer)
        end(&bench, isAsked: false)
        #expect(remaining(bench) == 0 && deadline(bench)?.generation == 2)
        refresh(&bench, "INFO", 2, route, "")
        #expect(remaining(bench) == 90_000 && deadline(bench)?.generation == 2)
        refresh(&bench, "UPDATE", 3, route, "")
        #expect(remaining(bench) == 600_000, "the end kept what there is to give back")
    }

    @Test func `the last generations stay below those of ends, and nothing traps there`() throws {
        for generation: UInt32 in [.max, 1 << 31, (1 << 31) - 1] {
            var (bench, route) = establish("")
            var facts = FactsWriter()
            var given = RecordView.Deadline()
            given.generation = generation
            given.atMilliseconds = 5
            given.lifetimeMilliseconds = 5
            given.ordinaryMilliseconds = .max
            facts.deadline(given)
            try join(&bench, facts.bytes)
            refresh(&bench, "UPDATE", 2, route, "")
            #expect(deadline(bench)?.generation == generation)
            end(&bench)
            #expect(deadline(bench)?.isExplicitEnd == true)
        }
    }
}
