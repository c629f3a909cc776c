// Several branches of one request: RFC 3261 §16.5 to §16.10, one scenario a sentence, with what the record learns of
// each branch.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

/// A fork of the call that `Call` writes: phones at 10.0.0.11, 10.0.0.12 …
enum Fork {
    static func phone(_ number: Int) -> String { "10.0.0.\(10 + number):5060" }

    /// A proxy whose only route leads to `count` phones.
    static func bench(
        _ count: Int, _ policy: TargetPolicy = .parallel, q: [Int] = [],
        _ change: (inout ProxySettings) -> Void = { _ in }
    ) -> ProxyBench {
        ProxyBench { settings in
            var set = TargetSet(name: "phones", targets: [])
            for number in 1...count {
                set.targets.append(
                    TargetSet.Target(
                        uri: Array("sip:p\(number)@\(phone(number))".utf8), namesUser: true,
                        endpoint: Endpoint(text: phone(number)), q: number <= q.count ? q[number - 1] : 1_000))
            }
            set.policy = policy
            settings.targetSets = [set]
            settings.routes = [StaticRoute(set: 0)]
            change(&settings)
        }
    }

    /// The INVITEs among what was sent, by phone.
    static func invites(_ sent: [Sent]) -> [Sent] { sent.filter { $0.firstLine.hasPrefix("INVITE ") } }
    static func cancels(_ sent: [Sent]) -> [Sent] { sent.filter { $0.firstLine.hasPrefix("CANCEL ") } }
    static func upstream(_ sent: [Sent]) -> [String] {
        sent.filter { $0.to == ProxyBench.caller }.map { String($0.firstLine.dropFirst(8).prefix(3)) }
    }

    static func answer(
        _ status: Int, _ invite: Sent, tag: String, extra: String = "", _ bench: inout ProxyBench
    ) -> [Sent] {
        var text = Call.response(status, to: invite, toTag: tag, contact: "sip:x@\(invite.to)")
        text = text.replacing("Content-Length", with: extra + "Content-Length")
        return bench.receive(text, from: invite.to)
    }
}

extension String {
    func replacing(_ part: String, with other: String) -> String {
        guard let start = indices.first(where: { self[$0...].hasPrefix(part) }) else { return self }
        return self[..<start] + other + self[index(start, offsetBy: part.count)...]
    }
}

@Suite("Forking an INVITE, RFC 3261 §16")
struct ForkingTests {
    private func ringing(_ count: Int) -> (bench: ProxyBench, invites: [Sent]) {
        var bench = Fork.bench(count)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for (index, invite) in invites.enumerated() { _ = Fork.answer(180, invite, tag: "t\(index + 1)", &bench) }
        return (bench, invites)
    }

    @Test func `each target gets its own copy, with its own Request-URI and Via branch, §16_6`() {
        var bench = Fork.bench(3)
        let sent = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let invites = Fork.invites(sent)
        #expect(invites.map(\.to) == [Fork.phone(1), Fork.phone(2), Fork.phone(3)])
        #expect(invites[1].firstLine == "INVITE sip:p2@10.0.0.12:5060 SIP/2.0")
        #expect(Set(invites.map { $0.headers("Via")[0] }).count == 3)
        #expect(invites.allSatisfy { $0.header("Record-Route") != nil && $0.header("Max-Forwards") == "69" })
        #expect(Fork.upstream(sent) == ["100"])
        let record = bench.dialogs.record(bench.did)!
        #expect(record.pendings.count == 3)
        #expect(record.pendings.map { String(decoding: $0.target, as: UTF8.self) } == invites.map(\.to))
        #expect(record.pendings.map(\.source.isEmpty) == [false, true, true], "what they share stands in the first")
    }

    @Test func `a provisional of one branch is a fact of that branch, and makes an early dialog of its own`() {
        var bench = Fork.bench(2)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        #expect(Fork.upstream(Fork.answer(180, invites[1], tag: "t2", &bench)) == ["180"])
        let record = bench.dialogs.record(bench.did)!
        #expect(record.pendings.map(\.progress.rawValue) == [0, 1])
        #expect(record.out(toTag: Array("t2".utf8))?.side.endpoint == Array(Fork.phone(2).utf8))
    }

    @Test func `a 2xx goes upstream at once and cancels the others, §16_7 steps 5 and 10`() {
        var (bench, invites) = ringing(3)
        let sent = Fork.answer(200, invites[1], tag: "t2", &bench)
        #expect(Fork.upstream(sent) == ["200"])
        #expect(Fork.cancels(sent).map(\.to) == [invites[0].to, invites[2].to])
        #expect(Fork.cancels(sent).map { $0.headers("Via")[0] } == [0, 2].map { invites[$0].headers("Via")[0] })
        for index in [0, 2] {
            let rest = Fork.answer(487, invites[index], tag: "t\(index + 1)", &bench)
            #expect(rest.map(\.firstLine).map { $0.prefix(3) } == ["ACK"], "nothing more goes upstream")
        }
        let record = bench.dialogs.record(bench.did)!
        #expect(record.state == .confirmedNotAcknowledged)
        #expect(record.outs.map(\.state) == [.deleted, .confirmedNotAcknowledged, .deleted])
    }

    @Test func `every 2xx goes upstream, and each is a dialog, §16_7 step 5`() {
        var (bench, invites) = ringing(2)
        _ = Fork.answer(200, invites[0], tag: "t1", &bench)
        let late = Fork.answer(200, invites[1], tag: "t2", &bench)
        #expect(Fork.upstream(late) == ["200"], "it crossed the CANCEL")
        let record = bench.dialogs.record(bench.did)!
        #expect(record.outs.map(\.state) == [.confirmedNotAcknowledged, .confirmedNotAcknowledged])
        let route = invites[0].header("Record-Route")!
        for tag in ["t1", "t2"] {
            _ = bench.receive(
                Call.request("ACK", branch: "z9hG4bKack\(tag)", toTag: tag, route: [route], contact: nil),
                from: ProxyBench.caller)
        }
        #expect(bench.dialogs.record(bench.did)!.outs.map(\.state) == [.confirmed, .confirmed])
    }

    @Test func `the BYE of one of two answered dialogs ends that one, and the last one's ends the record`() {
        var (bench, invites) = ringing(2)
        for number in [1, 2] { _ = Fork.answer(200, invites[number - 1], tag: "t\(number)", &bench) }
        let route = invites[0].header("Record-Route")!
        func hangUp(_ tag: String) {
            _ = bench.receive(
                Call.request("BYE", branch: "z9hG4bKbye\(tag)", cSeq: 2, toTag: tag, route: [route], contact: nil),
                from: ProxyBench.caller)
        }
        hangUp("t2")
        #expect(bench.dialogs.record(bench.did)!.outs.map(\.state) == [.confirmedNotAcknowledged, .deleted])
        #expect(bench.state == .confirmedNotAcknowledged, "the caller talks to the other")
        hangUp("t1")
        #expect(bench.state == .deleted)
    }

    @Test func `two held 2xx with different To tags each wait for their own commit, S2-12`() {
        var bench = Fork.bench(2)
        bench.proxy.neighbours.commits = true
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        bench.commits = []
        #expect(Fork.upstream(Fork.answer(200, invites[0], tag: "t1", &bench)).isEmpty)
        _ = bench.advance(milliseconds: 10)
        _ = Fork.answer(200, invites[1], tag: "t2", &bench)
        #expect(bench.commits.count == 2)
        #expect(bench.commit().map { $0.header("To")!.suffix(2) } == ["t1", "t2"])
    }

    @Test func `a 6xx cancels the rest, begins nothing, and is sent when all have ended, §16_7 step 5`() {
        var bench = Fork.bench(3, .parallel, q: [1_000, 1_000, 500])
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        #expect(invites.count == 2)
        _ = Fork.answer(180, invites[1], tag: "t2", &bench)
        let sent = Fork.answer(603, invites[0], tag: "t1", &bench)
        #expect(Fork.upstream(sent).isEmpty)
        #expect(Fork.cancels(sent).map(\.to) == [invites[1].to])
        let rest = Fork.answer(487, invites[1], tag: "t2", &bench)
        #expect(Fork.upstream(rest) == ["603"])
        #expect(Fork.invites(rest).isEmpty, "the next group is never tried")
        #expect(bench.state == .deleted)
    }

    @Test func `a 2xx that crosses a 6xx is still forwarded, §16_7 step 5`() {
        var (bench, invites) = ringing(2)
        _ = Fork.answer(600, invites[0], tag: "t1", &bench)
        #expect(Fork.upstream(Fork.answer(200, invites[1], tag: "t2", &bench)) == ["200"])
        #expect(bench.state == .confirmedNotAcknowledged)
    }

    @Test func `a lower q is tried when all of the higher one have failed, §16_6`() {
        var bench = Fork.bench(4, .parallel, q: [500, 1_000, 1_000, 500])
        let first = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        #expect(first.map(\.to) == [Fork.phone(2), Fork.phone(3)])
        #expect(Fork.invites(Fork.answer(486, first[0], tag: "a", &bench)).isEmpty)
        let second = Fork.answer(480, first[1], tag: "b", &bench)
        #expect(Fork.invites(second).map(\.to) == [Fork.phone(1), Fork.phone(4)])
        #expect(Fork.upstream(second).isEmpty)
    }

    @Test func `serial targets are tried one after another, and the best answer is sent at the end`() {
        var bench = Fork.bench(3, .failover)
        var invite = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))[0]
        for (status, next) in [(404, 2), (486, 3)] {
            let sent = Fork.answer(status, invite, tag: "t\(next)", &bench)
            #expect(Fork.upstream(sent).isEmpty)
            invite = Fork.invites(sent)[0]
            #expect(invite.to == Fork.phone(next))
        }
        let last = Fork.answer(500, invite, tag: "t4", &bench)
        #expect(Fork.upstream(last) == ["404"], "the lowest class; of equal ones the first")
        #expect(bench.state == .deleted)
    }

    @Test(arguments: [
        ([486, 603], "603"), ([500, 486], "486"), ([302, 486], "302"), ([486, 401], "401"), ([486, 407], "407"),
        ([404, 415], "415"), ([404, 420], "420"), ([404, 484], "484"), ([408, 486], "486"), ([503, 500], "500"),
        ([503, 504], "504"), ([503, 503], "500"), ([408, 503], "408"), ([487, 486], "486"),
    ])
    func `the best response is chosen as §16_7 step 6 says`(statuses: [Int], expected: String) {
        var bench = Fork.bench(2)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        var sent: [Sent] = []
        for (index, status) in statuses.enumerated() {
            sent += Fork.answer(status, invites[index], tag: "t\(index)", &bench)
        }
        #expect(Fork.upstream(sent) == [expected])
    }

    @Test func `a 401 or 407 carries the challenges of all others, unchanged, §16_7 step 7`() {
        var bench = Fork.bench(3)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        let challenges = [
            "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\"\r\n", "Proxy-Authenticate: Digest realm=\"b\"\r\n",
            "WWW-Authenticate: Digest realm=\"c\"\r\nWWW-Authenticate: Digest realm=\"d\"\r\n",
        ]
        var sent: [Sent] = []
        for (index, status) in [401, 407, 401].enumerated() {
            sent += Fork.answer(status, invites[index], tag: "t\(index)", extra: challenges[index], &bench)
        }
        let final = sent.last { $0.to == ProxyBench.caller }!
        #expect(final.firstLine.hasPrefix("SIP/2.0 401"))
        #expect(
            final.headers("WWW-Authenticate")
                == ["Digest realm=\"a\", nonce=\"1\"", "Digest realm=\"c\"", "Digest realm=\"d\""])
        #expect(final.headers("Proxy-Authenticate") == ["Digest realm=\"b\""])
        #expect(final.headers("Via").count == 1)
    }

    @Test func `challenges beyond 16 KiB are left out, and counted`() {
        var bench = Fork.bench(3)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        let long = "WWW-Authenticate: Digest realm=\"\(String(repeating: "x", count: 9_000))\"\r\n"
        var sent: [Sent] = []
        for (index, invite) in invites.enumerated() {
            sent += Fork.answer(401, invite, tag: "t\(index)", extra: index > 0 ? long : "", &bench)
        }
        #expect(sent.last { $0.to == ProxyBench.caller }!.headers("WWW-Authenticate").count == 1)
        #expect(bench.proxy.counters.challengesLeftOut == 1)
    }

    @Test func `a CANCEL cancels all branches, those without a provisional when one comes, §16_10 and §9_1`() {
        var bench = Fork.bench(3)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        _ = Fork.answer(180, invites[0], tag: "t1", &bench)
        let sent = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(Fork.upstream(sent) == ["200"])
        #expect(Fork.cancels(sent).map(\.to) == [invites[0].to])
        #expect(Fork.cancels(Fork.answer(183, invites[1], tag: "t2", &bench)).map(\.to) == [invites[1].to])
        var rest = Fork.answer(487, invites[0], tag: "t1", &bench)
        rest += Fork.answer(487, invites[1], tag: "t2", &bench)
        #expect(Fork.upstream(rest).isEmpty)
        #expect(Fork.upstream(bench.advance(milliseconds: 32_200)) == ["487"], "the third never said anything")
        #expect(bench.state == .deleted)
    }

    @Test func `487 answers a caller that cancelled, even where another branch was busy before`() {
        var (bench, invites) = ringing(2)
        _ = Fork.answer(486, invites[0], tag: "t1", &bench)
        _ = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(Fork.upstream(Fork.answer(487, invites[1], tag: "t2", &bench)) == ["487"])
    }

    @Test func `a CANCEL between two serial targets begins no further one, §16_10`() {
        var bench = Fork.bench(2, .failover)
        let invite = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))[0]
        _ = Fork.answer(180, invite, tag: "t1", &bench)
        _ = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        let sent = Fork.answer(487, invite, tag: "t1", &bench)
        #expect(Fork.invites(sent).isEmpty)
        #expect(Fork.upstream(sent) == ["487"])
    }

    @Test func `a 2xx that crosses the caller's CANCEL goes upstream, §9_1`() {
        var (bench, invites) = ringing(2)
        _ = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
        #expect(Fork.upstream(Fork.answer(200, invites[0], tag: "t1", &bench)) == ["200"])
    }

    @Test func `timer C of one branch cancels that branch alone, §16_8`() {
        var bench = Fork.bench(2)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for (index, invite) in invites.enumerated() { _ = Fork.answer(180, invite, tag: "t\(index)", &bench) }
        _ = bench.advance(milliseconds: 100_000)
        _ = Fork.answer(183, invites[1], tag: "t1", &bench)  // Starts the second one's again (§16.7 step 2).
        let first = bench.advance(milliseconds: 90_000)
        #expect(Fork.cancels(first).map(\.to).first == invites[0].to)
        #expect(Fork.cancels(first).allSatisfy { $0.to == invites[0].to })
        _ = Fork.answer(487, invites[0], tag: "t0", &bench)
        #expect(Fork.upstream(Fork.answer(200, invites[1], tag: "t1", &bench)) == ["200"])
    }

    @Test func `a 100 does not start timer C again, §16_7 step 2`() {
        var bench = Fork.bench(2)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        _ = bench.advance(milliseconds: 1_000)
        _ = Fork.answer(100, invites[0], tag: "", &bench)
        _ = Fork.answer(486, invites[1], tag: "b", &bench)
        let sent = bench.advance(milliseconds: 180_500)
        #expect(Fork.cancels(sent).map(\.to).first == invites[0].to)
        #expect(Fork.upstream(Fork.answer(487, invites[0], tag: "a", &bench)) == ["486"])
    }

    @Test func `at most 8 branches are open at once; the next begins when one has ended`() {
        var bench = Fork.bench(16)
        let invites = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller))
        #expect(invites.count == ForkTarget.parallelLimit)
        let next = Fork.invites(Fork.answer(486, invites[0], tag: "a", &bench))
        #expect(next.map(\.to) == [Fork.phone(9)])
    }

    @Test func `at most 16 targets are tried`() {
        var bench = Fork.bench(17, .failover)
        var invite = Fork.invites(bench.receive(Call.request("INVITE"), from: ProxyBench.caller)).first
        var tried = 0
        var last: [Sent] = []
        while let current = invite {
            tried += 1
            last = Fork.answer(486, current, tag: "t\(tried)", &bench)
            invite = Fork.invites(last).first
        }
        #expect(tried == ForkTarget.limit)
        #expect(Fork.upstream(last) == ["486"])
    }

    @Test func `a request other than INVITE forks alike, and its 2xx ends it, §16_7`() {
        var bench = Fork.bench(2, .failover)
        let first = bench.receive(Call.request("MESSAGE"), from: ProxyBench.caller)
        #expect(first.map(\.to) == [Fork.phone(1)])
        let second = bench.receive(Call.response(404, to: first[0]), from: Fork.phone(1))
        #expect(second.map(\.to) == [Fork.phone(2)])
        let final = bench.receive(Call.response(200, to: second[0]), from: Fork.phone(2))
        #expect(Fork.upstream(final) == ["200"])
    }

    @Test func `no 408 goes upstream for a request other than INVITE, RFC 4320 §4_2`() {
        var bench = ProxyBench()
        let sent = bench.receive(Call.request("MESSAGE"), from: ProxyBench.caller)[0]
        #expect(bench.receive(Call.response(408, to: sent), from: ProxyBench.callee).isEmpty)
        #expect(bench.receive(Call.request("MESSAGE"), from: ProxyBench.caller).isEmpty, "absorbed until 64·T1")
        _ = bench.advance(milliseconds: 40_000)
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `a failed call leaves no transaction behind`() {
        var (bench, invites) = ringing(3)
        for (index, invite) in invites.enumerated() { _ = Fork.answer(486, invite, tag: "t\(index + 1)", &bench) }
        _ = bench.receive(Call.request("ACK", toTag: "t1", contact: nil), from: ProxyBench.caller)
        _ = bench.advance(milliseconds: 70_000)
        #expect(bench.proxy.contextCount == 0)
        #expect(bench.proxy.nextDeadline == nil)
    }
}

@Suite("A fork whose node has died, S2-11")
struct ForkTakeoverTests {
    static let survivor: UInt32 = 0x2222_2222

    /// A survivor that gets the record of `owner` as it stands.
    private func heir(of owner: ProxyBench) -> (bench: ProxyBench, sent: [Sent]) {
        var bench = ProxyBench { settings in
            settings.memberTag = Self.survivor
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.nodeName = Array("n2".utf8)
        }
        bench.proxy.neighbours.peers = [PeerContact(memberTag: 0x1111_1111, endpoint: nil, isLive: false)]
        bench.puts = owner.puts
        let bytes = owner.dialogs.bytes(owner.did)!
        _ = try? bench.dialogs.learn(owner.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: bench.now)
        bench.proxy.review(owner.did, now: bench.now, dialogs: &bench.dialogs)
        let sent = bench.drain()
        return (bench, sent)
    }

    private func fork(_ count: Int, ringing: [Int]) -> (owner: ProxyBench, invites: [Sent]) {
        var owner = Fork.bench(count)
        let invites = Fork.invites(owner.receive(Call.request("INVITE"), from: ProxyBench.caller))
        for number in ringing { _ = Fork.answer(180, invites[number], tag: "t\(number)", &owner) }
        return (owner, invites)
    }

    @Test func `an heir cancels each branch with its own Via, and gives one final answer`() {
        let (owner, invites) = fork(3, ringing: [0, 1, 2])
        var (bench, sent) = heir(of: owner)
        #expect(Fork.cancels(sent).map { $0.headers("Via")[0] } == invites.map { $0.headers("Via")[0] })
        #expect(Fork.cancels(sent).map(\.to) == invites.map(\.to))
        var answers: [Sent] = []
        for cancel in Fork.cancels(sent) {
            #expect(Fork.upstream(answers).isEmpty, "not before each CANCEL is answered")
            answers += bench.receive(Call.response(200, to: cancel, contact: nil), from: cancel.to)
        }
        #expect(Fork.upstream(answers) == ["480"])
        #expect(answers.filter { $0.firstLine.hasPrefix("BYE") }.count == 3)
        #expect(answers.filter { $0.firstLine.hasPrefix("ACK") }.map(\.to) == invites.map(\.to))
        #expect(bench.state == .deleted)
        _ = bench.advance(milliseconds: 120_000)
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `branches that have failed are left alone, and one without a provisional waits for it`() {
        var (owner, invites) = fork(3, ringing: [0, 1])
        _ = Fork.answer(486, invites[0], tag: "t0", &owner)
        #expect(owner.dialogs.record(owner.did)!.pendings.map(\.progress.rawValue) == [3, 1, 0])
        var (bench, sent) = heir(of: owner)
        #expect(Fork.cancels(sent).map(\.to) == [invites[1].to])
        _ = bench.receive(Call.response(200, to: sent[0], contact: nil), from: sent[0].to)
        #expect(Fork.cancels(Fork.answer(180, invites[2], tag: "t2", &bench)).map(\.to) == [invites[2].to])
    }

    @Test func `a branch that is open when the ACK comes stays in the record until it ends, for the heir to cancel`() {
        var (owner, invites) = fork(2, ringing: [0, 1])
        _ = Fork.answer(200, invites[0], tag: "t0", &owner)
        let ack = Call.request(
            "ACK", uri: "sip:x@\(Fork.phone(1))", branch: "z9hG4bKack", toTag: "t0",
            route: ["<sip:\(ProxyBench.shared);lr;did=\(owner.did.hex)>"], contact: nil)
        _ = owner.receive(ack, from: ProxyBench.caller)
        #expect(owner.state == .confirmed && owner.dialogs.record(owner.did)!.pendings.count == 2)
        // Its CANCEL was lost with the owner.
        var (bench, sent) = heir(of: owner)
        #expect(Fork.cancels(sent).map(\.to) == [invites[1].to])
        #expect(!sent.contains { $0.to == ProxyBench.caller }, "who has acknowledged the 2xx is not sent it again")
        _ = bench.receive(Call.response(200, to: Fork.cancels(sent)[0], contact: nil), from: invites[1].to)
        _ = bench.advance(milliseconds: 40_000)
        #expect(bench.dialogs.record(owner.did)!.pendings.isEmpty && bench.proxy.contextCount == 0)
        // Where the owner lives, the 487 settles it.
        _ = Fork.answer(487, invites[1], tag: "t1", &owner)
        #expect(owner.dialogs.record(owner.did)!.pendings.isEmpty && owner.state == .confirmed)
        #expect(owner.dialogs.record(owner.did)!.settledCaller == 1)
    }

    @Test func `the dead node's 2xx is sent again, and its other branches are cancelled, S1-3`() {
        var (owner, invites) = fork(2, ringing: [0, 1])
        let answer = Fork.answer(200, invites[0], tag: "t0", &owner).first { $0.to == ProxyBench.caller }!
        var (bench, sent) = heir(of: owner)
        #expect(sent.filter { $0.to == ProxyBench.caller } == [answer])
        #expect(Fork.cancels(sent).map(\.to) == [invites[1].to])
        let late = Fork.answer(200, invites[1], tag: "t1", &bench)
        #expect(Fork.upstream(late) == ["200"], "every 2xx passes (§16.7 step 5)")
    }

    @Test func `a failure of the dead node's branch is not for a caller that has its 2xx, and is acknowledged, S2-11`()
    {
        var (owner, invites) = fork(2, ringing: [0, 1])
        _ = Fork.answer(200, invites[0], tag: "t0", &owner)
        var (bench, _) = heir(of: owner)
        let route = invites[0].header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa", toTag: "t0", route: [route], contact: nil), from: ProxyBench.caller)
        _ = bench.advance(milliseconds: 120_000)
        #expect(bench.proxy.contextCount == 0, "the heir is done")
        let sent = Fork.answer(487, invites[1], tag: "t1", &bench)
        #expect(sent.map(\.to) == [invites[1].to])
        #expect(sent.allSatisfy { $0.firstLine.hasPrefix("ACK ") && $0.header("To")!.hasSuffix("tag=t1") })
    }

    @Test func `the failure of any branch of several is no answer where the record is not known`() {
        let (_, invites) = fork(2, ringing: [0, 1])
        for invite in invites {
            var other = ProxyBench { $0.memberTag = Self.survivor }
            #expect(other.receive(Call.response(486, to: invite), from: invite.to).isEmpty)
            #expect(other.proxy.counters.strayResponses == 1)
        }
        // With one target its failure is the request's.
        var alone = ProxyBench()
        let invite = alone.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var other = ProxyBench { $0.memberTag = Self.survivor }
        #expect(other.receive(Call.response(486, to: invite), from: invite.to).map(\.to) == [ProxyBench.caller])
    }

    @Test func `what another node learned of one branch cancels the others, S1-2e`() {
        var (owner, invites) = fork(2, ringing: [0, 1])
        var other = ProxyBench { $0.memberTag = Self.survivor }
        let bytes = owner.dialogs.bytes(owner.did)!
        _ = try? other.dialogs.learn(owner.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: other.now)
        let route = invites[0].header("Record-Route")!
        _ = other.receive(
            Call.request("ACK", branch: "z9hG4bKa", toTag: "t0", route: [route], contact: nil), from: ProxyBench.caller)
        let learned = other.dialogs.bytes(owner.did)!
        _ = try? owner.dialogs.learn(owner.did, facts: RawSpan(_elements: learned.span), age: nil, now: owner.now)
        owner.proxy.review(owner.did, now: owner.now, dialogs: &owner.dialogs)
        #expect(Fork.cancels(owner.drain()).contains { $0.to == invites[1].to })
    }
}
