// What nodes keep of their messages, for `understudy trace`, and whose a dead member's dialogs are.

import Node
import Primitives
import SIP
import Testing

@Suite("What is kept of a call")
struct TraceTests {
    private static func bench(memory: Int = 1) -> ClusterBench {
        var bench = ClusterBench { $0.trace.memory = memory }
        bench.advance(milliseconds: 3_000)
        return bench
    }

    private static func request(_ method: String, _ number: Int, extra: String = "") -> String {
        ClusterBench.request(method, "z9hG4bKf\(number)", "<sip:bob@10.0.9.2>", extra: extra)
            .replacing("Call-ID: c\r\n", with: "Call-ID: flood-\(number)\r\n")
    }

    @Test func `messages, what was held and committed, and the dialog are told in order`() {
        var bench = Self.bench()
        bench.call(through: 0)
        let report = bench.nodes[0]!.trace(callID: "c", now: bench.now)
        let lines = report.events.filter { $0.kind != .members }.map { event in
            event.kind == .deed ? event.text : "\(event.kind.rawValue) \(event.text.prefix { $0 != "\r\n" })"
        }
        #expect(
            lines == [
                "received INVITE sip:bob@10.0.9.2 SIP/2.0", "publishes the dialog",
                "waits with 100 until a peer has the dialog", "sent INVITE sip:bob@10.0.9.2 SIP/2.0",
                "received SIP/2.0 200 Whatever", "holds the 2xx until a peer has it", "is told that it is committed",
                "is told that it is committed", "sent SIP/2.0 100 Trying", "sent SIP/2.0 200 Whatever",
                "received ACK sip:bob@10.0.9.2 SIP/2.0", "sent ACK sip:bob@10.0.9.2 SIP/2.0",
            ], "\(lines)")
        #expect(report.dialogs.map(\.home) == ["n1"] && report.dialogs.map(\.state) == ["confirmed"])
        #expect(report.events.first { $0.kind == .received }?.peer == ClusterBench.caller)
        #expect(bench.nodes[0]!.trace(callID: "other", now: bench.now).events.isEmpty)
        #expect(Self.traceOff().isEmpty)
    }

    private static func traceOff() -> [TraceEvent] {
        var bench = bench(memory: 0)
        bench.call(through: 0)
        return bench.nodes[0]!.trace(callID: "c", now: bench.now).events
    }

    @Test func `a flood of what is no call displaces no call`() {
        var bench = Self.bench()
        bench.call(through: 0)
        let before = bench.nodes[0]!.trace(callID: "c", now: bench.now).events.count
        let long = "X-Long: \(String(repeating: "y", count: 900))\r\n"
        for number in 0..<3_000 {
            bench.receive("INVITE sip:x SIP/2.0\r\nnonsense \(number)\r\n\(long)\r\n", from: "10.0.9.66:5060", at: 0)
            // Refused: it is for the cluster itself, and no route says where to.
            bench.receive(
                Self.request("INVITE", number, extra: long).replacing("sip:bob@10.0.9.2 ", with: "sip:x@10.0.1.1 "),
                from: "10.0.9.66:5060", at: 0)
            bench.receive(Self.request("ACK", number, extra: long), from: "10.0.9.66:5060", at: 0)
            bench.receive(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.9.66;branch=z9hG4bKx\(number)\r\nFrom: <sip:a@h>;tag=a\r\n"
                    + "To: <sip:b@h>;tag=b\r\nCall-ID: s\(number)\r\nCSeq: 1 INVITE\r\n\(long)\r\n",
                from: "10.0.9.66:5060", at: 0)
            if number < 500 {
                bench.receive(Self.request("MESSAGE", number, extra: long), from: "10.0.9.66:5060", at: 0)
            }
        }
        #expect(bench.nodes[0]!.trace(callID: "c", now: bench.now).events.count == before)
        // A refused call is found as well, as long as no others have come since.
        #expect(!bench.nodes[0]!.trace(callID: "flood-2999", now: bench.now).events.isEmpty)
        let metrics = bench.nodes[0]!.metrics(now: bench.now)
        #expect((metrics.first { $0.name == "understudy_trace_bytes" }?.value ?? .max) <= 1 << 20)
    }

    @Test func `many calls stay within the memory, and the last ones are there`() {
        var bench = Self.bench()
        for number in 0..<1_500 {
            bench.receive(
                Self.request("INVITE", number, extra: "Contact: <sip:alice@10.0.9.1>\r\n"), from: ClusterBench.caller,
                at: 0)
        }
        #expect(bench.nodes[0]!.trace(callID: "flood-0", now: bench.now).events.filter { $0.kind == .received }.isEmpty)
        #expect(bench.nodes[0]!.trace(callID: "flood-1499", now: bench.now).events.contains { $0.kind == .received })
        let metrics = bench.nodes[0]!.metrics(now: bench.now)
        #expect((metrics.first { $0.name == "understudy_trace_bytes" }?.value ?? .max) <= 1 << 20)
    }

    @Test func `an heir says that it took the call over`() {
        var bench = Self.bench()
        bench.receive(
            Self.request("INVITE", 1, extra: "Contact: <sip:alice@10.0.9.1>\r\n"), from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 100)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        bench.receive(ClusterBench.answer(180, to: invite, toTag: ";tag=bob"), from: ClusterBench.callee, at: 0)
        bench.advance(milliseconds: 100)
        bench.kill(0)
        bench.advance(milliseconds: 5_000)
        let texts = [1, 2].flatMap { index in
            bench.nodes[index]!.trace(callID: "flood-1", now: bench.now).events.map(\.text)
        }
        #expect(texts.contains("takes the call over from a node that died or left"))
        #expect(texts.contains("finds n1 dead"))
    }

    @Test(arguments: [false, true])
    func `the dialogs of a dead member are told with their heirs, in one line`(leaves: Bool) {
        var bench = Self.bench()
        for number in 0..<20 {
            bench.receive(
                Self.request("INVITE", number, extra: "Contact: <sip:alice@10.0.9.1>\r\n"), from: ClusterBench.caller,
                at: number % 4 == 0 ? 1 : 0)
        }
        bench.advance(milliseconds: 200)
        bench.notes.removeAll()
        if leaves { bench.leave(0) } else { bench.kill(0) }
        bench.advance(milliseconds: 3_000)
        let told = bench.notes.filter { $0.note.message.hasPrefix("the dialogs of a ") }
        #expect(told.map(\.node).sorted() == [1, 2])
        for (_, note, _) in told {
            #expect(note.level == (leaves ? .notice : .warning))
            let values = Dictionary(uniqueKeysWithValues: note.metadata)
            #expect(values["member"] == "n1" && values["dialogs"] == "15")
            let heirs = (values["by"] ?? "").split(separator: ", ").compactMap {
                Int($0.split(separator: " ").last ?? "")
            }
            #expect(heirs.count == 2 && heirs.reduce(0, +) == 15, "\(values)")
        }
        let takeovers = bench.nodes[1]!.metrics(now: bench.now).first {
            $0.name == "understudy_takeover_duration_seconds_count"
        }
        #expect(takeovers?.value == 1)
    }

    @Test func `what an operator looks at first is counted`() {
        var bench = Self.bench()
        bench.call(through: 0)
        let metrics = bench.nodes[0]!.metrics(now: bench.now)
        func value(_ name: String, _ label: String = "") -> Int64? {
            metrics.first { $0.name == name && ($0.labels.first?.value ?? "") == label }?.value
        }
        #expect(value("understudy_calls_tried_total") == 1 && value("understudy_calls_answered_total") == 1)
        #expect(value("understudy_sip_requests_by_method_total", "INVITE") == 1)
        #expect(value("understudy_sip_requests_by_method_total", "ACK") == 1)
        #expect(value("understudy_sip_answers_total", "1xx") == 1 && value("understudy_sip_answers_total", "2xx") == 1)
        #expect(value("understudy_call_setup_seconds_count") == 1 && value("understudy_commit_wait_seconds_count") == 1)
        #expect(value("understudy_call_setup_seconds_bucket", "+Inf") == 1)
        #expect((value("understudy_member_lag_duration_seconds_count") ?? 0) > 0)
    }
}
