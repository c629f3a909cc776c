// Keep-alives within dialogs: who is asked, when and with which bytes, what an answer or none says, and that nothing is
// learned from them by those whom they pass.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Keep-alives within dialogs: ka-src, ka-dst, ka_interval, ka_failed_limit")
struct KeepAliveTests {
    static let both: RecordFlags = [.keepAliveToCaller, .keepAliveToCallee]
    static let interval = Duration.seconds(30)

    /// A node with keep-alives to the sides in `flags`, and a call that is confirmed; its CSeq is 7.
    private static func bench(
        flags: RecordFlags = both, limit: Int = 1, cSeq: Int = 7, interval: Duration = interval,
        _ configure: (inout ProxySettings) -> Void = { _ in }
    ) -> ProxyBench {
        var bench = ProxyBench { settings in
            settings.keepAlive.interval = interval
            settings.keepAlive.failureLimit = limit
            settings.keepAlive.flags = flags
            configure(&settings)
        }
        confirm(&bench, cSeq: cSeq)
        return bench
    }

    private static func confirm(_ bench: inout ProxyBench, cSeq: Int = 7) {
        let invite = bench.receive(Call.request("INVITE", cSeq: cSeq), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = bench.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", cSeq: cSeq, toTag: "bob", route: [invite.header("Record-Route")!],
                contact: nil), from: ProxyBench.caller)
    }

    /// The next keep-alives, as far as one interval takes.
    private static func ask(_ bench: inout ProxyBench) -> [Sent] {
        for _ in 0..<3_000 {
            let sent = bench.advance(milliseconds: 10).filter { $0.firstLine.hasPrefix("OPTIONS") }
            if !sent.isEmpty { return sent }
        }
        return []
    }

    private static func deadline(_ bench: ProxyBench) -> RecordView.Deadline? {
        bench.dialogs.record(bench.did)?.deadline
    }

    private static func isEnded(_ bench: ProxyBench) -> Bool {
        let record = bench.dialogs.record(bench.did)!
        return record.deadline!.generation == 2 && record.flags.contains(.endedByKeepAlive)
    }

    // MARK: Asking

    @Test func `both sides are asked within an interval, in bytes as of a BYE: contact, tags, a Via of ours`() {
        var bench = Self.bench()
        let sent = Self.ask(&bench)
        #expect(bench.now <= Instant.zero.advanced(by: Self.interval))
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(
            sent.map(\.firstLine) == [
                "OPTIONS sip:alice@10.0.0.1:5060 SIP/2.0", "OPTIONS sip:bob@10.0.0.2:5060 SIP/2.0",
            ])
        #expect(
            sent.map { $0.header("From") } == ["<sip:bob@example.org>;tag=bob", "<sip:alice@example.org>;tag=alice"])
        #expect(sent.map { $0.header("To") } == ["<sip:alice@example.org>;tag=alice", "<sip:bob@example.org>;tag=bob"])
        #expect(sent.allSatisfy { $0.header("Call-ID") == "call-1" && $0.header("Max-Forwards") == "70" })
        for options in sent {
            #expect(options.headers("Via").count == 1)
            #expect(options.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(ProxyBench.node);branch=z9hG4bKus1234t11111111"))
            #expect(options.headers("Route").isEmpty && options.header("Contact") == nil)
        }
        #expect(sent[0].headers("Via") != sent[1].headers("Via"))
        #expect(bench.proxy.counters.keepAlivesSent == 2)
    }

    @Test func `the stored route set of each side is on its keep-alive`() {
        var bench = ProxyBench {
            $0.keepAlive.interval = Self.interval
            $0.keepAlive.flags = Self.both
        }
        let below = "Record-Route: <sip:10.0.0.8:5060;lr>\r\n"
        let invite = bench.receive(Call.request("INVITE", extra: below), from: "10.0.0.8:5060")[0]
        let answer = Call.response(200, to: invite).replacing(
            "Record-Route: <sip:10.0.1.9", with: "Record-Route: <sip:10.0.0.9:5060;lr>\r\nRecord-Route: <sip:10.0.1.9")
        _ = bench.receive(answer, from: ProxyBench.callee)
        _ = bench.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: invite.headers("Record-Route").dropLast(),
                contact: nil), from: ProxyBench.caller)
        let sent = Self.ask(&bench)
        #expect(sent.map(\.to) == ["10.0.0.8:5060", "10.0.0.9:5060"])
        #expect(sent.map { $0.headers("Route") } == [["<sip:10.0.0.8:5060;lr>"], ["<sip:10.0.0.9:5060;lr>"]])
    }

    private static let sidesAsked: [(RecordFlags, [String])] = [
        (RecordFlags.keepAliveToCaller, [ProxyBench.caller]), (RecordFlags.keepAliveToCallee, [ProxyBench.callee]),
        ([], []),
    ]

    @Test(arguments: sidesAsked)
    func `the sides that the record's flags name are asked, no other`(flags: RecordFlags, sides: [String]) {
        var bench = Self.bench(flags: flags)
        #expect(bench.dialogs.record(bench.did)?.flags == flags)
        #expect(Self.ask(&bench).map(\.to) == sides)
        #expect(bench.proxy.keepAlives.count == (sides.isEmpty ? 0 : 1))
    }

    @Test func `without an interval nothing is watched, and a record says what it said before`() {
        var bench = Self.bench(flags: [], interval: .zero)
        #expect(bench.proxy.keepAlives.count == 0 && bench.proxy.keepAlives.next == nil)
        #expect(bench.dialogs.record(bench.did)?.flags == [])
        #expect(Self.ask(&bench).isEmpty)
        var flagged = Self.bench(interval: .zero)
        #expect(Self.ask(&flagged).isEmpty, "the flags are for a node that asks")
    }

    @Test(arguments: [(1, "1"), (2, "1"), (7, "6")])
    func `the CSeq is below what the callee has seen; the caller, who has seen none, gets 0`(
        cSeq: Int, expected: String
    ) {
        var bench = Self.bench(cSeq: cSeq)
        #expect(Self.ask(&bench).map { $0.header("CSeq") } == ["0 OPTIONS", "\(expected) OPTIONS"])
    }

    @Test func `a request of the callee's raises the CSeq that its peer is asked with`() {
        var bench = Self.bench()
        let route = "<sip:10.0.1.9:5060;lr;did=\(bench.did.hex)>"
        let update = bench.receive(
            Call.request(
                "UPDATE", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKu1", cSeq: 300,
                toTag: "alice", fromTag: "bob", route: [route], contact: "sip:bob@10.0.0.2:5060",
                from: "sip:bob@example.org", to: "sip:alice@example.org"), from: ProxyBench.callee)[0]
        _ = bench.receive(
            Call.response(200, to: update, contact: "sip:alice@10.0.0.1:5060"), from: ProxyBench.caller)
        #expect(Self.ask(&bench).map { $0.header("CSeq") } == ["299 OPTIONS", "6 OPTIONS"])
    }

    @Test func `a dialog is asked every interval, and once at a time`() {
        var bench = Self.bench()
        var moments: [Int64] = []
        for _ in 0..<3 {
            let sent = Self.ask(&bench)
            moments.append(bench.now.milliseconds(since: .zero))
            for options in sent { _ = bench.receive(Call.response(200, to: options, contact: nil), from: options.to) }
        }
        #expect(moments[1] - moments[0] == 30_000 && moments[2] - moments[1] == 30_000)
        // Nobody answers now: the next moment, 30 s later, finds the question still open.
        _ = Self.ask(&bench)
        #expect(bench.advance(milliseconds: 31_000).allSatisfy { $0.header("CSeq") != nil })
        #expect(bench.proxy.counters.keepAlivesSent == 8)
    }

    @Test func `a node that is not the actor asks nobody, and goes on when it becomes the actor`() {
        var bench = Self.bench()
        bench.isActor = false
        #expect(Self.ask(&bench).isEmpty && bench.proxy.keepAlives.count == 1)
        bench.isActor = true
        #expect(Self.ask(&bench).count == 2)
    }

    @Test func `what is not answered is not watched, and what has ended no more`() {
        var bench = ProxyBench {
            $0.keepAlive.interval = Self.interval
            $0.keepAlive.flags = Self.both
        }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        #expect(bench.state == .early && bench.proxy.keepAlives.count == 0)
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        #expect(bench.state == .confirmedNotAcknowledged && bench.proxy.keepAlives.count == 1)
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        #expect(bench.proxy.keepAlives.count == 1)
        _ = bench.receive(
            Call.request("BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        #expect(bench.proxy.keepAlives.count == 0 && bench.proxy.keepAlives.next == nil)
    }

    @Test func `a dialog whose ACK no node has seen is asked when that one's time is over, and ended as any is`() {
        var bench = ProxyBench {
            $0.keepAlive.interval = .seconds(5)
            $0.keepAlive.flags = Self.both
        }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = bench.commit()
        let early = bench.advance(milliseconds: 31_900)
        #expect(!early.contains { $0.firstLine.hasPrefix("OPTIONS") })
        let sent = Self.ask(&bench)
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(bench.now <= Instant.zero.advanced(by: .seconds(38)))
        #expect(bench.state == .confirmedNotAcknowledged)
        _ = bench.receive(Call.response(481, to: sent[0], contact: nil), from: ProxyBench.caller)
        #expect(Self.isEnded(bench))
    }

    @Test func `a record that is gone is watched until its moment, and not asked`() {
        var bench = Self.bench()
        bench.dialogs.remove(bench.did)
        #expect(Self.ask(&bench).isEmpty && bench.proxy.keepAlives.count == 0)
    }

    @Test func `a dialog with two answered callees is not asked: one of them may rightly be gone`() {
        var bench = Self.bench()
        var facts = FactsWriter()
        facts.begin()
        facts.out(Array("carol".utf8)) { $0.reach(.confirmed) }
        _ = try? bench.dialogs.learn(bench.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: bench.now)
        #expect(Self.ask(&bench).isEmpty && bench.proxy.keepAlives.count == 1)
    }

    // MARK: What an end says

    @Test(arguments: [200, 202, 302, 404, 405, 430, 486, 500, 503, 603])
    func `any final answer but 408 and 481 says that the side lives; it goes nowhere and refreshes nothing`(status: Int)
    {
        var bench = Self.bench()
        let contexts = bench.proxy.contextCount
        let sent = Self.ask(&bench)
        let (patches, deadline) = (bench.patches, Self.deadline(bench))
        for options in sent {
            let trying = Call.response(100, to: options, contact: nil)
            #expect(bench.receive(trying, from: options.to).isEmpty)
            #expect(bench.receive(Call.response(status, to: options, contact: nil), from: options.to).isEmpty)
        }
        #expect(bench.patches == patches && Self.deadline(bench) == deadline && bench.commits.isEmpty)
        #expect(bench.proxy.contextCount == contexts, "the keep-alive's is given back at once")
        #expect(bench.proxy.counters.keepAlivesFailed == 0)
        // A copy that comes late is a stray, and is passed to nobody.
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 5, endpoint: Endpoint(text: "10.0.1.2:5060")!, isLive: true)
        ]
        #expect(bench.receive(Call.response(status, to: sent[0], contact: nil), from: sent[0].to).isEmpty)
    }

    @Test(arguments: [408, 481], [0, 1])
    func `408 and 481 end the dialog: its deadline is now, and both sides get a BYE that says why`(
        status: Int, side: Int
    ) {
        var bench = Self.bench()
        let sent = Self.ask(&bench)
        _ = bench.receive(Call.response(status, to: sent[side], contact: nil), from: sent[side].to)
        #expect(Self.isEnded(bench))
        #expect(bench.dialogs.deadline(bench.did)! <= bench.now)
        #expect(bench.proxy.counters.dialogsEndedByKeepAlive == 1 && bench.proxy.counters.keepAlivesFailed == 1)
        let payload = bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs)!
        bench.proxy.end(bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        let byes = bench.drain()
        #expect(byes.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(
            byes.map { $0.header("Reason") } == Array(repeating: "SIP ;cause=408 ;text=\"Keep-alive failed\"", count: 2)
        )
        // The other side's failure, and the moments to come, change nothing any more.
        _ = bench.receive(Call.response(481, to: sent[1 - side], contact: nil), from: sent[1 - side].to)
        #expect(Self.deadline(bench)?.generation == 2 && Self.ask(&bench).isEmpty)
    }

    @Test func `silence for 64·T1 counts as 408`() {
        var bench = Self.bench()
        let sent = Self.ask(&bench)
        _ = bench.receive(Call.response(200, to: sent[0], contact: nil), from: sent[0].to)
        let copies = bench.advance(milliseconds: 31_900).filter { $0.text == sent[1].text }
        #expect(copies.count == 10, "timer E: T1 doubling to T2")
        #expect(!Self.isEnded(bench))
        _ = bench.advance(milliseconds: 200)
        #expect(Self.isEnded(bench))
    }

    @Test func `a 481 with another To tag is no word about this dialog`() {
        var bench = Self.bench()
        let sent = Self.ask(&bench)
        let foreign = Call.response(481, to: sent[1], contact: nil).replacing(";tag=bob", with: ";tag=other")
        _ = bench.receive(foreign, from: sent[1].to)
        #expect(!Self.isEnded(bench) && bench.proxy.counters.keepAlivesFailed == 0)
        #expect(bench.proxy.counters.strayResponses == 1)
    }

    @Test func `only a run of ka_failed_limit failures of one side ends a dialog; an answer ends the run`() {
        var bench = Self.bench(limit: 3)
        func round(_ caller: Int, _ callee: Int) {
            let sent = Self.ask(&bench)
            _ = bench.receive(Call.response(caller, to: sent[0], contact: nil), from: sent[0].to)
            _ = bench.receive(Call.response(callee, to: sent[1], contact: nil), from: sent[1].to)
        }
        round(481, 200)
        round(408, 481)
        round(200, 481)
        #expect(!Self.isEnded(bench), "two of each side")
        round(481, 200)
        round(481, 481)
        #expect(!Self.isEnded(bench) && bench.proxy.counters.keepAlivesFailed == 7)
        round(408, 200)
        #expect(Self.isEnded(bench))
    }

    @Test func `failures before another node acted count no more`() {
        var bench = Self.bench(limit: 2)
        let first = Self.ask(&bench)
        for options in first { _ = bench.receive(Call.response(481, to: options, contact: nil), from: options.to) }
        bench.isActor = false
        #expect(Self.ask(&bench).isEmpty)
        bench.isActor = true
        let second = Self.ask(&bench)
        _ = bench.receive(Call.response(481, to: second[0], contact: nil), from: second[0].to)
        #expect(!Self.isEnded(bench))
    }

    @Test func `a node that may not act ends no dialog: it may be the one that is cut off`() {
        var bench = Self.bench()
        _ = Self.ask(&bench)
        bench.proxy.neighbours.heirs.set([])
        _ = bench.advance(milliseconds: 33_000)
        #expect(bench.proxy.counters.keepAlivesFailed == 2 && !Self.isEnded(bench))
        bench.proxy.neighbours.heirs.set(["n1"])
        let next = Self.ask(&bench)
        _ = bench.receive(Call.response(481, to: next[0], contact: nil), from: next[0].to)
        #expect(Self.isEnded(bench))
    }

    @Test func `a keep-alive that could not be sent says nothing`() {
        var bench = Self.bench()
        let sent = Self.ask(&bench)
        #expect(bench.fail(sent[0]).isEmpty)
        #expect(!Self.isEnded(bench) && bench.proxy.counters.keepAlivesUnsendable == 1)
        _ = bench.receive(Call.response(481, to: sent[1], contact: nil), from: sent[1].to)
        #expect(Self.isEnded(bench), "the other side's question goes on")
    }

    // MARK: Passing by

    /// The member `n2` has the same record, and asks by way of `n1`, where a phone's connection is.
    @Test func `a keep-alive of another member passes, and neither it nor its answer teaches anything`() {
        var holder = Self.bench()
        var asker = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.keepAlive.interval = Self.interval
        }
        let bytes = holder.dialogs.bytes(holder.did)!
        _ = try? asker.dialogs.learn(holder.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: .zero)
        asker.proxy.watch(holder.did, now: .zero, dialogs: asker.dialogs)
        let options = Self.ask(&asker)[1]
        holder.now = asker.now
        holder.isActor = false
        let (patches, deadline) = (holder.patches, Self.deadline(holder))
        let passed = holder.receive(options.text, from: "10.0.1.2:5060")
        #expect(passed.map(\.to) == [ProxyBench.callee] && passed[0].headers("Via").count == 2)
        let answer = holder.receive(Call.response(200, to: passed[0], contact: nil), from: ProxyBench.callee)
        #expect(answer.map(\.to) == ["10.0.1.2:5060"])
        #expect(holder.patches == patches && Self.deadline(holder) == deadline && holder.commits.isEmpty)
        #expect(holder.dialogs.record(holder.did)?.caller.firstCSeq == 7, "or its BYE would have another CSeq")
        #expect(asker.receive(answer[0].text, from: ProxyBench.node).isEmpty)
        #expect(asker.proxy.counters.strayResponses == 0)
        // While its end is granted, a refresh is refused; a keep-alive must not be told so by us.
        holder.proxy.neighbours.frozenDialogs.insert(holder.did, until: .distantFuture, now: holder.now)
        let again = options.text.replacing("z9hG4bKus1234t222222228000", with: "z9hG4bKus1234t222222228001")
        #expect(holder.receive(again, from: "10.0.1.2:5060").map(\.to) == [ProxyBench.callee])
        let phones = Call.request("OPTIONS", branch: "z9hG4bKo1", cSeq: 8, toTag: "bob", contact: nil)
        #expect(
            holder.receive(phones, from: ProxyBench.caller).map(\.firstLine) == [
                "SIP/2.0 500 Server Internal Error"
            ], "its deadline is still to come")
    }

    @Test func `a phone's own OPTIONS within the dialog refreshes it as before`() {
        var bench = Self.bench()
        let patches = bench.patches
        _ = bench.advance(milliseconds: 50)
        let sent = bench.receive(
            Call.request("OPTIONS", branch: "z9hG4bKo1", cSeq: 8, toTag: "bob", contact: nil), from: ProxyBench.caller)
        let options = sent.first { $0.to == ProxyBench.callee }!
        _ = bench.receive(Call.response(200, to: options, contact: nil), from: ProxyBench.callee)
        #expect(bench.patches == patches + 1)
    }

    @Test func `an answer that reaches another member is passed to the one that asked; no member's goes upstream`() {
        var bench = Self.bench()
        let sent = Self.ask(&bench)
        var other = ProxyBench { $0.memberTag = 0x2222_2222 }
        other.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node)!, isLive: true)
        ]
        let answer = Call.response(200, to: sent[0], contact: nil)
        #expect(other.receive(answer, from: sent[0].to) == [Sent(text: answer, to: ProxyBench.node)])
        other.proxy.neighbours.peers[0].isLive = false
        #expect(other.receive(answer, from: sent[0].to).isEmpty)
    }

    @Test func `a side whose connection has ended is not asked; while it is there, its holder is`() {
        var bench = ProxyBench {
            $0.keepAlive.interval = Self.interval
            $0.keepAlive.flags = Self.both
        }
        let invite = Array(Call.request("INVITE").utf8)
        bench.proxy.receive(
            RawSpan(_elements: invite.span), from: Endpoint(text: ProxyBench.caller)!, on: ListenerID(rawValue: 0),
            flow: FlowID(rawValue: 8), ageMilliseconds: 0, now: bench.now, dialogs: &bench.dialogs)
        let sent = bench.drain()[0]
        _ = bench.receive(Call.response(200, to: sent), from: ProxyBench.callee)
        _ = bench.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: [sent.header("Record-Route")!], contact: nil),
            from: ProxyBench.caller)
        let asked = Self.ask(&bench)
        #expect(asked.map(\.to) == [ProxyBench.node, ProxyBench.callee], "this node is the holder, and passes it on")
        for options in asked { _ = bench.receive(Call.response(200, to: options, contact: nil), from: options.to) }
        bench.proxy.flowClosed(FlowID(rawValue: 8))
        #expect(Self.ask(&bench).map(\.to) == [ProxyBench.callee])
        #expect(bench.proxy.counters.keepAlivesUnsendable == 1)
    }

    @Test func `the name in a Contact is looked up each time, and none or no address says nothing of the side`() {
        var bench = ProxyBench { settings in
            settings.keepAlive.interval = Self.interval
            settings.keepAlive.failureLimit = 1
            settings.keepAlive.flags = .keepAliveToCallee
        }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite, contact: "sip:bob@phone.example.org"), from: ProxyBench.callee)
        _ = bench.receive(
            Call.request(
                "ACK", branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!], contact: nil),
            from: ProxyBench.caller)
        #expect(Self.ask(&bench).isEmpty)
        #expect(bench.questions.map { String(decoding: $0.name.host, as: UTF8.self) } == ["phone.example.org"])
        // The look-up took too long: nothing is sent, nothing is learned, and the next moment asks again.
        #expect(bench.proxy.counters.keepAlivesUnsendable == 1 && !Self.isEnded(bench))
        bench.questions = []
        while bench.questions.isEmpty { #expect(bench.advance(milliseconds: 500).isEmpty) }
        let options = bench.answer(["10.0.0.77:5060"])
        #expect(options.map(\.to) == ["10.0.0.77:5060"])
        #expect(options[0].firstLine == "OPTIONS sip:bob@phone.example.org SIP/2.0")
        #expect(bench.proxy.counters.keepAlivesSent == 1)
        _ = bench.receive(Call.response(481, to: options[0], contact: nil), from: "10.0.0.77:5060")
        #expect(Self.isEnded(bench))
    }
}
