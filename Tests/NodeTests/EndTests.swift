// An end that an operator asks for, against what phones do at the same moment, and what the operator is told of it.

import Node
import Primitives
import SIP
import Testing

@Suite("Ends that somebody asks for: one BYE a side, whatever crosses them")
struct EndTests {
    private static func bench(_ change: @escaping (inout Settings) -> Void = { _ in }) -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.dialogs.defaultTimeout = .seconds(60)
            change(&settings)
        }
        bench.advance(milliseconds: 2_000)
        bench.call(through: 0)
        return bench
    }

    private static func route(_ bench: ClusterBench) -> String {
        "Route: \(bench.sent.last { $0.text.hasPrefix("INVITE") }!.header("Record-Route")!)\r\n"
    }

    /// The caller's request within the dialog by a node; what the callee answers goes by the same.
    private static func refresh(_ bench: inout ClusterBench, _ method: String, by index: Int, answers: String) {
        let count = bench.sent.count
        let extra = "Contact: <sip:alice@10.0.9.1>\r\nSupported: timer\r\n\(route(bench))"
        bench.receive(
            ClusterBench.request(method, "z9hG4bKr", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 2, extra: extra),
            from: ClusterBench.caller, at: index)
        guard let request = bench.sent[count...].first(where: { $0.text.hasPrefix(method) }) else { return }
        let contact = "Contact: <sip:bob@10.0.9.2>\r\n"
        bench.receive(
            ClusterBench.answer(200, to: request, extra: contact + answers), from: ClusterBench.callee, at: index)
    }

    private static func byes(_ bench: ClusterBench, to phone: String) -> Set<String> {
        Set(bench.sent.filter { $0.to == phone && $0.text.hasPrefix("BYE") }.map { $0.header("Via")! })
    }

    private static func expectOneBye(_ bench: ClusterBench, _ comment: Comment) {
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            #expect(byes(bench, to: phone).count == 1, comment)
        }
        #expect(bench.nodes.allSatisfy { $0.map { $0.status(now: bench.now).dialogs.held == 0 } ?? true }, comment)
    }

    @Test(arguments: ["INVITE", "UPDATE", "INFO"], ["", "Session-Expires: 3600;refresher=uac\r\n"])
    func `a refresh that crosses the end on any node keeps nobody in the call, and gives nobody a second BYE`(
        method: String, answers: String
    ) {
        for (delay, node) in [(-20, 2), (-1, 1), (0, 0), (0, 1), (20, 1), (100, 2), (140, 0), (160, 1), (400, 2)] {
            var bench = Self.bench()
            if delay < 0 {
                Self.refresh(&bench, method, by: node, answers: answers)
                bench.advance(milliseconds: Int64(-delay))
            }
            #expect(bench.end(through: 0) == .ending)
            if delay >= 0 {
                bench.advance(milliseconds: Int64(delay))
                Self.refresh(&bench, method, by: node, answers: answers)
            }
            bench.advance(milliseconds: 1_500)
            Self.expectOneBye(bench, "\(delay) ms, by node \(node)")
            let isAnswered = bench.sent.contains { $0.text.hasPrefix("SIP/2.0") && $0.header("CSeq") == "2 \(method)" }
            #expect(isAnswered, "\(delay) ms: the refresh")
        }
    }

    @Test func `a call that rang too long is kept until its CANCEL has come to nothing, and a late answer makes it`() {
        var bench = ClusterBench { $0.dialogs.earlyTimeout = .seconds(3) }
        bench.advance(milliseconds: 2_000)
        let contact = "Contact: <sip:bob@10.0.9.2>\r\n"
        bench.receive(
            ClusterBench.request(
                "INVITE", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: "Contact: <sip:alice@10.0.9.1>\r\n"),
            from: ClusterBench.caller, at: 0)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        bench.receive(
            ClusterBench.answer(180, to: invite, toTag: ";tag=bob", extra: contact), from: ClusterBench.callee, at: 0)
        bench.status = [ClusterBench.callee: 0]  // It ignores the CANCEL.
        bench.advance(milliseconds: 5_000)
        #expect(bench.sent.contains { $0.text.hasPrefix("CANCEL") && $0.to == ClusterBench.callee })
        #expect(bench.nodes.allSatisfy { $0?.status(now: bench.now).dialogs.early == 1 })
        bench.receive(
            ClusterBench.answer(200, to: invite, toTag: ";tag=bob", extra: contact), from: ClusterBench.callee, at: 0)
        bench.advance(milliseconds: 200)
        #expect(bench.sent.contains { $0.text.hasPrefix("SIP/2.0 200") && $0.to == ClusterBench.caller })
        #expect(bench.nodes.allSatisfy { $0?.status(now: bench.now).dialogs.confirmedNotAcknowledged == 1 })
    }

    @Test func `an end goes on when its node dies, when the home dies, and when two ask for it`() {
        for victim in 0..<3 {
            var bench = Self.bench()
            #expect(bench.end(through: 1) == .ending && bench.end(through: 2) == .ending, "neither knows of the other")
            bench.advance(milliseconds: 20)
            #expect(bench.end(through: 0) == .endingAlready)
            bench.kill(victim)
            bench.advance(milliseconds: 4_000)
            Self.expectOneBye(bench, "without node \(victim)")
        }
    }

    @Test(arguments: 0..<3)
    func `what ends for want of a refresh is not ended by an operator, too: its BYEs have one reason`(node: Int) {
        var bench = Self.bench { $0.dialogs.defaultTimeout = .seconds(3) }
        bench.status = [ClusterBench.caller: 0, ClusterBench.callee: 0]  // Neither answers.
        bench.advance(milliseconds: 3_400)
        #expect(bench.sent.contains { $0.text.hasPrefix("BYE") })
        #expect(bench.end(through: node) == .endingAlready)
        bench.advance(milliseconds: 100)
        bench.kill(bench.sent.last { $0.text.hasPrefix("BYE") }!.node)
        bench.advance(milliseconds: 8_000)
        let byes = bench.sent.filter { $0.text.hasPrefix("BYE") }
        #expect(Set(byes.map(\.node)).count >= 2, "an heir repeats them")
        #expect(Set(byes.map(\.text)).count == 2, "one for each side, in every byte")
    }

    @Test(arguments: [0, 3, 20, 200] as [Int64], [0, 1, 2])
    func `an answer that crosses the end of a ringing call leaves nobody in it`(delay: Int64, node: Int) {
        var bench = ClusterBench { $0.dialogs.defaultTimeout = .seconds(60) }
        bench.advance(milliseconds: 2_000)
        let to = "<sip:bob@10.0.9.2>"
        bench.receive(
            ClusterBench.request("INVITE", "z9hG4bKc1", to, extra: "Contact: <sip:alice@10.0.9.1>\r\n"),
            from: ClusterBench.caller, at: 0)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        let contact = "Contact: <sip:bob@10.0.9.2>\r\n"
        func answer(_ status: Int) -> String {
            ClusterBench.answer(status, to: invite, toTag: ";tag=bob", extra: contact)
        }
        bench.receive(answer(180), from: ClusterBench.callee, at: 0)
        bench.advance(milliseconds: 50)
        #expect(bench.end(through: node) == .ending)
        bench.advance(milliseconds: delay)
        bench.receive(answer(200), from: ClusterBench.callee, at: 0)
        bench.advance(milliseconds: 60)
        bench.receive(
            ClusterBench.request("ACK", "z9hG4bKa1", "\(to);tag=bob", extra: Self.route(bench)),
            from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 1_500)
        Self.expectOneBye(bench, "answered \(delay) ms after node \(node) was asked")
        #expect((0..<3).allSatisfy { bench.end(seenBy: $0)?.phase == .ended })
    }

    @Test func `every node tells how far the end has come`() {
        var bench = Self.bench()
        for index in 0..<3 { #expect(bench.end(seenBy: index) == DialogEnd()) }
        _ = bench.end(through: 1)
        bench.advance(milliseconds: 20)
        for index in 0..<3 {
            #expect(bench.end(seenBy: index)?.phase == .waiting && bench.end(seenBy: index)?.cause == .operator)
        }
        bench.advance(milliseconds: 1_000)
        for index in 0..<3 {
            #expect(bench.end(seenBy: index)?.phase == .ended && bench.end(seenBy: index)?.cause == .operator)
            #expect(bench.end(seenBy: index)?.isAnswered == true)
        }
    }

    @Test func `a phone that does not answer its BYE is told of`() {
        var bench = Self.bench()
        bench.status[ClusterBench.callee] = 0
        _ = bench.end(through: 1)
        bench.advance(milliseconds: 1_000)
        #expect((0..<3).allSatisfy { bench.end(seenBy: $0)?.phase == .ending })
        bench.advance(milliseconds: 32_000)
        for index in 0..<3 {
            #expect(bench.end(seenBy: index)?.phase == .ended && bench.end(seenBy: index)?.isAnswered == false)
        }
    }

    @Test func `who hung up first is told, not who had wanted to`() {
        var bench = Self.bench()
        _ = bench.end(through: 0)
        bench.advance(milliseconds: 50)
        bench.receive(
            ClusterBench.request(
                "BYE", "z9hG4bKb", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 2, extra: Self.route(bench)),
            from: ClusterBench.caller, at: 1)
        bench.advance(milliseconds: 1_000)
        #expect(Self.byes(bench, to: ClusterBench.caller).isEmpty, "it hung up itself")
        #expect(Self.byes(bench, to: ClusterBench.callee).count == 1)
        #expect((0..<3).allSatisfy { bench.end(seenBy: $0)?.cause == .caller })
    }

    @Test func `a session timer that a refresh gave up ends nobody's call, on whichever node it was agreed`() {
        var bench = Self.bench()
        Self.refresh(&bench, "UPDATE", by: 1, answers: "Session-Expires: 5;refresher=uac\r\n")
        bench.advance(milliseconds: 2_000)
        #expect(bench.nodes[2]?.dialogs(DialogQuery(), now: bench.now).dialogs.first?.hasSessionTimer == true)
        bench.advance(milliseconds: 1_000)
        let invite = ClusterBench.request(
            "UPDATE", "z9hG4bKr2", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 3, extra: Self.route(bench))
        bench.receive(invite, from: ClusterBench.caller, at: 2)
        bench.receive(ClusterBench.answer(200, to: bench.sent.last!), from: ClusterBench.callee, at: 2)
        bench.advance(milliseconds: 50_000)
        #expect(Self.byes(bench, to: ClusterBench.caller).isEmpty)
        bench.advance(milliseconds: 12_000)
        Self.expectOneBye(bench, "the ordinary lifetime is over")
        #expect((0..<3).allSatisfy { bench.end(seenBy: $0)?.cause == .timeout })
    }
}
