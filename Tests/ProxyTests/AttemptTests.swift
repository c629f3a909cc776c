// Whose INVITE it is (R16): copies of one transaction are one dialog, each attempt of a proxy above has a record of its
// own, and only who gave a transaction up joins the one there is.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("A record stands for one transaction, R16")
struct AttemptTests {
    static let carol = "10.0.0.3:5060"

    private func invite(_ branch: String, to host: String = "10.0.0.2", extra: String = "") -> String {
        Call.request("INVITE", uri: "sip:bob@\(host):5060", branch: branch, extra: extra)
    }

    private func status(_ sent: [Sent]) -> [String] {
        sent.filter { $0.firstLine.hasPrefix("SIP/2.0") }.map { String($0.firstLine.dropFirst(8).prefix(3)) }
    }

    /// A second node of the cluster that hears of everything the first one learns.
    private func second(of bench: ProxyBench, isLive: Bool = true) -> ProxyBench {
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.nodeName = Array("n2".utf8)
        }
        other.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node), isLive: isLive)
        ]
        copy(from: bench, to: &other)
        return other
    }

    private func copy(from bench: ProxyBench, to other: inout ProxyBench) {
        for did in bench.puts {
            let bytes = bench.dialogs.bytes(did)!
            _ = try? other.dialogs.learn(did, facts: RawSpan(_elements: bytes.span), age: .zero, now: other.now)
            other.proxy.review(did, now: other.now, dialogs: &other.dialogs)
        }
    }

    @Test(arguments: [404, 407, 480, 486, 500, 503])
    func `after a failure the next attempt of a proxy above rings its own target`(code: Int) {
        var bench = ProxyBench()
        let first = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        #expect(status(bench.receive(Call.response(code, to: first), from: ProxyBench.callee)).count == 1)
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", contact: nil), from: ProxyBench.caller)
        let next = bench.receive(invite("z9hG4bKa2", to: "10.0.0.3"), from: ProxyBench.caller)
        #expect(next.first?.to == Self.carol && next.first?.firstLine.hasPrefix("INVITE") == true)
        #expect(bench.puts.count == 2 && bench.puts[0] != bench.puts[1])
        #expect(bench.dialogs.state(bench.puts[0]) == .deleted)
        #expect(bench.dialogs.state(bench.puts[1]) == .unconfirmed)
        // The same on a node that knows both by hearsay.
        var other = second(of: bench)
        let third = other.receive(invite("z9hG4bKa3", to: "10.0.0.4"), from: ProxyBench.caller)
        #expect(third.first?.to == "10.0.0.4:5060")
    }

    @Test
    func `parallel branches of a proxy above are dialogs of their own, and the end of one is not that of another`() {
        var bench = ProxyBench()
        let bob = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        let carol = bench.receive(invite("z9hG4bKa2", to: "10.0.0.3"), from: ProxyBench.caller)[0]
        #expect(bob.to == ProxyBench.callee && carol.to == Self.carol && bench.puts.count == 2)
        _ = bench.receive(Call.response(180, to: carol, toTag: "carol"), from: Self.carol)
        let cancelled = bench.receive(
            Call.request("CANCEL", branch: "z9hG4bKa1", contact: nil), from: ProxyBench.caller)
        #expect(status(cancelled) == ["200"] && cancelled.allSatisfy { $0.to != Self.carol })
        _ = bench.receive(Call.response(200, to: carol, toTag: "carol"), from: Self.carol)
        #expect(bench.dialogs.state(bench.puts[1]) == .confirmedNotAcknowledged)
        #expect(bench.dialogs.state(bench.puts[0]) == .unconfirmed)
    }

    @Test func `a challenge that is answered with the old CSeq is another attempt`() {
        var bench = ProxyBench()
        _ = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)
        let proof = "Proxy-Authorization: Digest username=\"a\"\r\n"
        let next = bench.receive(invite("z9hG4bKa2", extra: proof), from: ProxyBench.caller)
        #expect(next.first?.firstLine.hasPrefix("INVITE") == true && bench.puts.count == 2)
    }

    @Test(arguments: [false, true])
    func `who gave a transaction up joins it, by the same node or another, and hears what becomes of it`(
        elsewhere: Bool
    ) throws {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: sent), from: ProxyBench.callee)
        var other = second(of: bench)
        let again = invite("z9hG4bKa2")
        let joined =
            elsewhere ? other.receive(again, from: "10.0.0.9:5060") : bench.receive(again, from: "10.0.0.9:5060")
        #expect(status(joined) == ["100", "180"], "no target gets a second INVITE")
        #expect(joined.allSatisfy { $0.to == "10.0.0.1:5060" || $0.to == "10.0.0.9:5060" })
        #expect(joined.allSatisfy { $0.headers("Via")[0].contains("z9hG4bKa2") })
        var answered = bench.receive(Call.response(200, to: sent), from: ProxyBench.callee)
        if elsewhere {
            copy(from: bench, to: &other)
            answered += other.drain()
        }
        let mine = try #require(answered.first { $0.headers("Via").first?.contains("z9hG4bKa2") == true })
        #expect(mine.firstLine.hasPrefix("SIP/2.0 200") && mine.headers("Via").count == 1)
        #expect(mine.header("Contact") == "<sip:bob@10.0.0.2:5060>")
    }

    @Test(arguments: [(486, "486"), (603, "603"), (407, "500"), (302, "500")])
    func `who joined is told the failure; one that lives by its headers is 500`(code: Int, told: String) {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(invite("z9hG4bKa2"), from: "10.0.0.9:5060")
        let failed = bench.receive(Call.response(code, to: sent), from: ProxyBench.callee)
        let mine = failed.filter { $0.headers("Via").first?.contains("z9hG4bKa2") == true }
        #expect(status(mine) == [told])
        #expect(bench.dialogs.record(bench.puts[0])?.failure == UInt32(code), "kept in the tombstone")
        // Its sender asks again, and the tombstone answers for its own transaction only.
        #expect(status(bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)) == ["\(code)"])
        #expect(
            bench.receive(invite("z9hG4bKa4"), from: ProxyBench.caller).first?.firstLine.hasPrefix("INVITE") == true)
    }

    @Test func `a 2xx that waits for its commit is not said to who joined before it may leave`() {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.commit()
        _ = bench.receive(invite("z9hG4bKa2"), from: "10.0.0.9:5060")
        #expect(status(bench.commit()) == ["100"])
        #expect(bench.receive(Call.response(200, to: sent), from: ProxyBench.callee).isEmpty)
        let released = bench.commit()
        #expect(status(released) == ["200", "200"])
    }

    @Test func `who joined is told the 2xx again until its ACK comes, since the callee's copies go to who gave up`() {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(invite("z9hG4bKa2"), from: "10.0.0.9:5060")
        _ = bench.receive(Call.response(200, to: sent), from: ProxyBench.callee)
        let again = bench.advance(milliseconds: 500) + bench.advance(milliseconds: 1_000)
        let mine = again.filter { $0.headers("Via").first?.contains("z9hG4bKa2") == true }
        #expect(status(mine) == ["200", "200"] && mine.allSatisfy { $0.to == "10.0.0.9:5060" })
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKack", toTag: "bob", contact: nil), from: "10.0.0.9:5060")
        #expect(bench.state == .confirmed)
        #expect(bench.advance(milliseconds: 4_000).isEmpty)
    }

    @Test func `who joined by a node that dies is answered by its heir, through the same Vias`() throws {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: sent), from: ProxyBench.callee)
        var adopter = second(of: bench)
        adopter.proxy.neighbours.commits = true
        #expect(adopter.receive(invite("z9hG4bKa2"), from: "10.0.0.9:5060").isEmpty, "nobody else knows of it")
        #expect(status(adopter.commit()) == ["100", "180"])
        // The owner has the adopter's facts, and is its heir.
        let did = bench.puts[0]
        let known = try #require(adopter.dialogs.bytes(did))
        _ = try bench.dialogs.learn(did, facts: RawSpan(_elements: known.span), age: .zero, now: bench.now)
        #expect(bench.dialogs.record(did)?.adoptions.count == 1)
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        bench.proxy.review(did, now: bench.now, dialogs: &bench.dialogs)
        #expect(bench.drain().isEmpty, "it is the adopter's")
        bench.proxy.neighbours.peers[0].isLive = false
        for _ in 0..<2 { bench.proxy.review(did, now: bench.now, dialogs: &bench.dialogs) }
        #expect(status(bench.drain()) == ["180"])
        let answers = bench.receive(Call.response(200, to: sent), from: ProxyBench.callee)
        let mine = try #require(answers.first { $0.headers("Via").first?.contains("z9hG4bKa2") == true })
        #expect(mine.firstLine.hasPrefix("SIP/2.0 200") && mine.to == "10.0.0.9:5060")
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKack", toTag: "bob", contact: nil), from: "10.0.0.9:5060")
        #expect(bench.dialogs.record(did)?.adoptions.isEmpty == true, "with its ACK nothing is owed any more")
    }

    @Test func `the failure of a call reaches who joined it by a node that died as it came`() throws {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        var adopter = second(of: bench)
        _ = adopter.receive(invite("z9hG4bKa2"), from: "10.0.0.9:5060")
        let did = bench.puts[0]
        let known = try #require(adopter.dialogs.bytes(did))
        _ = try bench.dialogs.learn(did, facts: RawSpan(_elements: known.span), age: .zero, now: bench.now)
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        let failed = bench.receive(Call.response(486, to: sent), from: ProxyBench.callee)
        #expect(status(failed) == ["486"] && bench.dialogs.record(did)?.adoptions.isEmpty == true)
        bench.proxy.neighbours.peers[0].isLive = false
        bench.proxy.reviewLastRecords(now: bench.now, dialogs: &bench.dialogs)
        let told = bench.drain()
        #expect(status(told) == ["486"] && told[0].headers("Via")[0].contains("z9hG4bKa2"))
    }

    @Test func `copies beyond the bound are answered all the same, and end with their node, counted`() {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        for number in 2...10 {
            #expect(status(bench.receive(invite("z9hG4bKa\(number)"), from: "10.0.0.9:5060")) == ["100"])
        }
        #expect(bench.dialogs.record(bench.puts[0])?.adoptions.count == 8)
        #expect(bench.proxy.counters.factsRefused == 1)
        let failed = bench.receive(Call.response(486, to: sent), from: ProxyBench.callee)
        #expect(status(failed).count == 10)
    }

    @Test func `a CANCEL of who joined cancels the call`() {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: sent), from: ProxyBench.callee)
        _ = bench.receive(invite("z9hG4bKa2"), from: "10.0.0.9:5060")
        let cancelled = bench.receive(
            Call.request("CANCEL", branch: "z9hG4bKa2", contact: nil), from: "10.0.0.9:5060")
        #expect(cancelled.contains { $0.firstLine.hasPrefix("CANCEL") && $0.to == ProxyBench.callee })
    }

    @Test func `an attempt that was cancelled is joined by nobody`() {
        var bench = ProxyBench()
        _ = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)
        _ = bench.receive(Call.request("CANCEL", branch: "z9hG4bKa1", contact: nil), from: ProxyBench.caller)
        let next = bench.receive(invite("z9hG4bKa2"), from: ProxyBench.caller)
        #expect(next.first?.firstLine.hasPrefix("INVITE") == true && bench.puts.count == 2)
    }

    @Test func `without the magic cookie the Request-URI names the transaction, §17_2_3`() {
        var bench = ProxyBench()
        _ = bench.receive(invite("1"), from: ProxyBench.caller)
        let next = bench.receive(invite("1", to: "10.0.0.3"), from: ProxyBench.caller)
        #expect(next.first?.to == Self.carol && bench.puts.count == 2)
    }

    // MARK: CANCEL and ACK

    @Test
    func `a CANCEL by a renewed branch takes the one call that it can be for, and else goes to every member once`() {
        var bench = ProxyBench()
        let sent = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: sent), from: ProxyBench.callee)
        _ = bench.receive(invite("z9hG4bKa2", to: "10.0.0.3"), from: ProxyBench.caller)
        var other = second(of: bench)
        func cancel(_ host: String) -> String {
            Call.request("CANCEL", uri: "sip:bob@\(host):5060", branch: "z9hG4bKnew", contact: nil)
        }
        let clear = other.receive(cancel("10.0.0.2"), from: ProxyBench.caller)
        #expect(status(clear) == ["200"] && other.dialogs.record(bench.puts[0])?.flags == .cancelled)
        #expect(other.dialogs.record(bench.puts[1])?.flags == [])
        let unclear = other.receive(cancel("10.0.0.4"), from: ProxyBench.caller)
        #expect(unclear.map(\.to) == [ProxyBench.node], "another pass may be known there, and its owner answers")
        #expect(other.receive(cancel("10.0.0.4"), from: ProxyBench.node).isEmpty, "once")
        let nothing = Call.request("CANCEL", branch: "z9hG4bKnew", cSeq: 9, contact: nil)
        #expect(other.receive(nothing, from: ProxyBench.caller).map(\.to) == [ProxyBench.node], "its owner, if any")
        #expect(status(other.receive(nothing, from: ProxyBench.caller)) == ["481"])
    }

    @Test func `an ACK without a did ends where a failed call of its kind is known, one for a 2xx goes on`() {
        var bench = ProxyBench()
        let bob = bench.receive(invite("z9hG4bKa1"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(486, to: bob), from: ProxyBench.callee)
        let carol = bench.receive(invite("z9hG4bKa2", to: "10.0.0.3"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: carol, toTag: "carol"), from: Self.carol)
        var other = second(of: bench)
        let failed = Call.request("ACK", branch: "z9hG4bKnew", toTag: "bob", contact: nil)
        #expect(other.receive(failed, from: ProxyBench.caller).map(\.to) == [ProxyBench.node])
        let answered = Call.request(
            "ACK", uri: "sip:bob@10.0.0.3:5060", branch: "z9hG4bKack", toTag: "carol", contact: nil)
        #expect(other.receive(answered, from: ProxyBench.caller).map(\.to) == [Self.carol])
        #expect(other.dialogs.state(bench.puts[1]) == .confirmed)
    }

    @Test func `more records of one Call-ID than are looked at are counted`() {
        var bench = ProxyBench()
        for number in 0..<(DialogTable.attemptLimit + 2) {
            _ = bench.receive(
                invite("z9hG4bKn\(number)", to: "10.0.2.\(number + 1)"), from: ProxyBench.caller)
        }
        #expect(bench.puts.count == DialogTable.attemptLimit + 2)
        #expect(bench.proxy.counters.attemptsCut == 1)
    }
}
