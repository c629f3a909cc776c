// Requests that fork and come back (RFC 5393, RFC 3261 §16.3 step 4). Every phone of the fork is a mirror: a proxy that
// sends the request back to us, as its address of record leads to us again. With another Request-URI that is a spiral,
// with one that was here before a loop; Max-Breadth bounds what runs at once, and the end of it all is one answer.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

/// Proxies at `Fork.phone(1)`, `Fork.phone(2)` … that send back what they are sent, without keeping a transaction
/// longer than its messages need.
private struct Mirrors {
    var bench: ProxyBench
    /// What a mirror does with a Request-URI before it sends the request back.
    var rewrite: (String) -> String = { $0 }
    /// Whether a mirror sends this INVITE back; otherwise it is a phone's, and stands in `kept` with what follows it.
    var reflects: (Sent) -> Bool = { _ in true }
    var kept: [Sent] = []
    /// Every INVITE that we sent, in order, and what we answered to mirrors.
    var invites: [Sent] = []
    var refusals: [String] = []
    var upstream: [Sent] = []
    /// Max-Breadth of the requests at phones and mirrors that have no final answer.
    private var breadths: [String: Int] = [:]
    var widest = 0
    private var count = 0
    private var reflected: Set<String> = []

    init(_ bench: ProxyBench) { self.bench = bench }

    mutating func call(extra: String = "") {
        play(
            bench.receive(
                Call.request("INVITE", uri: "sip:all@example.org", extra: extra), from: ProxyBench.caller))
    }

    mutating func receive(_ text: String, from source: String) { play(bench.receive(text, from: source)) }

    /// Carries messages to and fro until nobody has anything to say.
    mutating func play(_ sent: [Sent]) {
        var waiting = sent
        while !waiting.isEmpty {
            let next = waiting.removeFirst()
            count += 1
            guard count < 20_000 else {
                Issue.record("it does not end")
                return
            }
            waiting += next.to == ProxyBench.caller ? hearUpstream(next) : reflect(next)
        }
    }

    private mutating func hearUpstream(_ sent: Sent) -> [Sent] {
        if !sent.firstLine.hasPrefix("SIP/2.0 100") { upstream.append(sent) }
        return []
    }

    private func branch(_ sent: Sent) -> String { sent.headers("Via")[0] }

    private mutating func reflect(_ sent: Sent) -> [Sent] {
        if sent.firstLine.hasPrefix("SIP/2.0 ") { return answered(sent) }
        let method = String(sent.firstLine.prefix { $0 != " " })
        if method == "INVITE" {
            invites.append(sent)
            note(sent)
            if reflects(sent) { reflected.insert(branch(sent)) }
        }
        guard reflected.contains(branch(sent)) else {
            kept.append(sent)
            return []
        }
        guard method != "ACK" else { return [] }  // Ours for a final answer of the mirror's: it ends there.
        var replies: [Sent] = []
        if method == "CANCEL" {
            replies = bench.receive(Call.response(200, to: sent, toTag: "", contact: nil), from: sent.to)
        }
        return replies + bench.receive(back(sent, method), from: sent.to)
    }

    /// The request as a mirror sends it: its own Via on top, its branch a function of ours.
    private func back(_ sent: Sent, _ method: String) -> String {
        let uri = String(sent.firstLine.dropFirst(method.count + 1).dropLast(8))
        let own = branch(sent).split(separator: "branch=")[1].prefix { $0 != ";" }
        let hops = Int(sent.header("Max-Forwards") ?? "") ?? 1
        let rest = String(sent.text.dropFirst(sent.firstLine.count + 1))  // A line's end is one character.
            .replacing("Max-Forwards: \(hops)", with: "Max-Forwards: \(hops - 1)")
        return "\(method) \(rewrite(uri)) SIP/2.0\r\nVia: SIP/2.0/UDP \(sent.to);branch=z9hG4bKm\(own)\r\n" + rest
    }

    /// An answer of ours to a mirror: it takes its Via off and passes it back, which is to us again.
    private mutating func answered(_ sent: Sent) -> [Sent] {
        guard sent.header("CSeq")?.hasSuffix("INVITE") == true, sent.headers("Via").count > 1 else { return [] }
        let status = Int(sent.firstLine.dropFirst(8).prefix(3)) ?? 0
        guard status > 100 else { return [] }
        if status >= 300 {
            refusals.append(String(status))
            acknowledge(sent)
        }
        let own = "Via: \(branch(sent))\r\n"
        let passed = sent.text.replacing(own, with: "")
        if status >= 200 { breadths[sent.headers("Via")[1]] = nil }
        return bench.receive(passed, from: sent.to)
    }

    /// The mirror's ACK for a final answer of ours, hop by hop.
    private mutating func acknowledge(_ sent: Sent) {
        let to = sent.header("To") ?? ""
        let ack =
            "ACK sip:x@example.org SIP/2.0\r\nVia: \(branch(sent))\r\nMax-Forwards: 70\r\n"
            + "From: \(sent.header("From") ?? "")\r\nTo: \(to)\r\nCall-ID: \(sent.header("Call-ID") ?? "")\r\n"
            + "CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        #expect(bench.receive(ack, from: sent.to).isEmpty)
    }

    /// A request that is passed on is not a leaf any more: what it had is dealt out below.
    private mutating func note(_ sent: Sent) {
        for via in sent.headers("Via").dropFirst() { breadths[via] = nil }
        breadths[branch(sent)] = Int(sent.header("Max-Breadth") ?? "") ?? 0
        widest = max(widest, breadths.values.reduce(0, +))
    }

    /// A phone's answer.
    mutating func answer(_ status: Int, _ invite: Sent, tag: String) {
        breadths[branch(invite)] = nil
        receive(Call.response(status, to: invite, toTag: tag, contact: "sip:x@\(invite.to)"), from: invite.to)
    }
}

@Suite("Forked spirals and loops, RFC 5393")
struct ForkedSpiralTests {
    private func status(_ sent: [Sent]) -> [String] {
        sent.filter { $0.header("CSeq")?.hasSuffix("INVITE") == true }.map {
            String($0.firstLine.dropFirst(8).prefix(3))
        }
    }

    @Test func `a fork whose branches come back with their own Request-URI spirals, and no dialog is made twice`() {
        var mirrors = Mirrors(Fork.bench(2))
        mirrors.reflects = { $0.headers("Via").count == 2 }  // The first round comes back, the second reaches phones.
        mirrors.call()
        #expect(mirrors.refusals.isEmpty)
        #expect(mirrors.kept.map(\.to) == [1, 2, 1, 2].map { Fork.phone($0) }, "each branch forks again")
        #expect(Set(mirrors.kept.map { $0.headers("Via")[0] }).count == 4)
        #expect(mirrors.bench.dialogs.count == 1)
        #expect(mirrors.kept.allSatisfy { $0.headers("Record-Route").count == 1 }, "we are in the route set once")
    }

    @Test func `a branch that comes back with a Request-URI that was here before is a loop, 482`() {
        var mirrors = Mirrors(Fork.bench(2))
        mirrors.rewrite = { _ in "sip:all@example.org" }
        mirrors.call()
        #expect(mirrors.refusals == ["482", "482"] && mirrors.invites.count == 2)
        #expect(status(mirrors.upstream) == ["482"])
        #expect(mirrors.bench.state == .deleted)
    }

    @Test(arguments: [(2, 2 + 4 + 4), (3, 3 + 9 + 18 + 18)])
    func `who forwards everybody to everybody ends: each path has each Request-URI once`(phones: Int, total: Int) {
        var mirrors = Mirrors(Fork.bench(phones))
        mirrors.call()
        #expect(mirrors.invites.count == total)
        #expect(Set(mirrors.refusals) == ["482"])
        #expect(status(mirrors.upstream) == ["482"], "one answer")
        #expect(mirrors.widest <= 60)
        _ = mirrors.bench.receive(Call.request("ACK", toTag: "x", contact: nil), from: ProxyBench.caller)
        _ = mirrors.bench.advance(milliseconds: 300_000)
        #expect(mirrors.bench.proxy.contextCount == 0)
    }

    @Test(arguments: [1, 2, 3, 5, 7])
    func `what runs at once, here and further down, is no more than Max-Breadth`(breadth: Int) {
        var mirrors = Mirrors(Fork.bench(3))
        mirrors.call(extra: "Max-Breadth: \(breadth)\r\n")
        #expect((1...breadth).contains(mirrors.widest))
        #expect(mirrors.invites.allSatisfy { $0.headers("Max-Breadth") != ["0"] })
        #expect(mirrors.invites.count == 3 + 9 + 18 + 18, "everybody is tried all the same, if later")
        #expect(status(mirrors.upstream) == ["482"])
    }

    @Test func `a CANCEL of a forked spiral ends every branch of every round, each by its own Via`() {
        var mirrors = Mirrors(Fork.bench(2))
        mirrors.reflects = { $0.headers("Via").count == 2 }
        mirrors.call()
        let ringing = mirrors.kept
        #expect(ringing.count == 4)
        for (index, invite) in ringing.enumerated() { mirrors.answer(180, invite, tag: "t\(index)") }
        #expect(status(mirrors.upstream) == ["180", "180", "180", "180"])
        mirrors.kept = []
        mirrors.receive(
            Call.request("CANCEL", uri: "sip:all@example.org", contact: nil), from: ProxyBench.caller)
        #expect(mirrors.kept.map { $0.headers("Via")[0] }.sorted() == ringing.map { $0.headers("Via")[0] }.sorted())
        #expect(mirrors.kept.allSatisfy { $0.firstLine.hasPrefix("CANCEL ") && $0.headers("Via").count == 1 })
        mirrors.upstream = []
        for (index, invite) in ringing.enumerated() { mirrors.answer(487, invite, tag: "t\(index)") }
        #expect(status(mirrors.upstream) == ["487"])
        #expect(mirrors.bench.state == .deleted)
    }

    @Test func `a 2xx in one branch of a spiral goes the whole way up, and the others are cancelled`() {
        var mirrors = Mirrors(Fork.bench(2))
        mirrors.reflects = { $0.headers("Via").count == 2 }
        mirrors.call()
        let ringing = mirrors.kept
        for (index, invite) in ringing.enumerated() { mirrors.answer(180, invite, tag: "t\(index)") }
        (mirrors.kept, mirrors.upstream) = ([], [])
        mirrors.answer(200, ringing[2], tag: "t2")
        #expect(status(mirrors.upstream) == ["200"])
        let cancelled = mirrors.kept.filter { $0.firstLine.hasPrefix("CANCEL ") }.map { $0.headers("Via")[0] }
        #expect(cancelled.sorted() == [0, 1, 3].map { ringing[$0].headers("Via")[0] }.sorted())
        mirrors.upstream = []
        for index in [0, 1, 3] { mirrors.answer(487, ringing[index], tag: "t\(index)") }
        #expect(mirrors.upstream.isEmpty)
        #expect(mirrors.bench.state == .confirmedNotAcknowledged)
        #expect(mirrors.bench.dialogs.count == 1)
        let outs = mirrors.bench.dialogs.record(mirrors.bench.did)!.outs
        #expect(outs.count { $0.state == .confirmedNotAcknowledged } == 1)
    }
}
