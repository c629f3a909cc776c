// What a Session-Expires in a 2xx does to a dialog's lifetime.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Session-Expires and the lifetime, RFC 4028 §8.2")
struct SessionTimerFlowTests {
    /// A 2xx with a header line more.
    private func response(_ status: Int, to request: Sent, _ line: String) -> String {
        Call.response(status, to: request).replacing("Content-Length: 0\r\n", with: "\(line)Content-Length: 0\r\n")
    }

    private func establish(_ bench: inout ProxyBench, _ line: String) -> [String] {
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller).first {
            $0.to == ProxyBench.callee
        }!
        _ = bench.receive(response(200, to: invite, line), from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil), from: ProxyBench.caller)
        return route
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

    @Test(
        arguments: [
            ("Session-Expires: 1800;refresher=uac\r\n", 1_800_000), ("x: 90\r\n", 90_000), ("", 43_200_000),
            ("Session-Expires: soon\r\n", 43_200_000), ("Session-Expires: 0\r\n", 43_200_000),
            // A day at most: the number is a stranger's.
            ("Session-Expires: 4294967295\r\n", 86_400_000),
        ] as [(String, Int64)])
    func `the 2xx that confirms sets the deadline to what was agreed`(line: String, milliseconds: Int64) {
        var bench = ProxyBench()
        _ = establish(&bench, line)
        #expect(remaining(bench) == milliseconds)
        #expect(bench.dialogs.record(bench.did)?.deadline?.generation == 1)
    }

    @Test(arguments: ["INVITE", "UPDATE"])
    func `a refresh moves it by the interval, and a request that agrees on nothing by the last one`(method: String) {
        var bench = ProxyBench()
        let route = establish(&bench, "Session-Expires: 1800\r\n")
        _ = bench.advance(milliseconds: 900_000)
        #expect(remaining(bench) == 900_000)
        refresh(&bench, method, 2, route, "Session-Expires: 3600\r\n")
        #expect(remaining(bench) == 3_600_000)
        _ = bench.advance(milliseconds: 100_000)
        refresh(&bench, "INFO", 3, route, "Session-Expires: 5\r\n")
        #expect(remaining(bench) == 3_600_000, "only INVITE and UPDATE agree on an interval")
        #expect(bench.dialogs.record(bench.did)?.deadline?.generation == 1)
    }

    @Test func `a shorter interval is a shortening, and raises the generation, R2b`() {
        var bench = ProxyBench()
        let route = establish(&bench, "")
        refresh(&bench, "UPDATE", 2, route, "Session-Expires: 600\r\n")
        #expect(remaining(bench) == 600_000)
        #expect(bench.dialogs.record(bench.did)?.deadline?.generation == 2)
        _ = bench.advance(milliseconds: 300_000)
        refresh(&bench, "UPDATE", 3, route, "Session-Expires: 600\r\n")
        #expect(remaining(bench) == 600_000)
        #expect(bench.dialogs.record(bench.did)?.deadline?.generation == 2, "a refresh stays in its generation")
    }

    @Test func `a lifetime of any size in a peer's fact is held, and does not trap`() throws {
        var bench = ProxyBench()
        let route = establish(&bench, "")
        var facts = FactsWriter()
        var given = RecordView.Deadline()
        given.generation = 7
        given.atMilliseconds = 5
        given.lifetimeMilliseconds = .max
        facts.deadline(given)
        _ = try bench.dialogs.learn(bench.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: bench.now)
        _ = bench.advance(milliseconds: 1_000)
        refresh(&bench, "INFO", 2, route, "")
        #expect(bench.dialogs.record(bench.did)?.deadline?.generation == 7)
        #expect(remaining(bench) > 86_400_000)
    }

    // MARK: Min-SE

    @Test(
        arguments: [
            ("INVITE", "Session-Expires: 90\r\nSupported: timer\r\n", true),
            ("INVITE", "x: 119;refresher=uac\r\nk: 100rel, TIMER\r\n", true),
            ("INVITE", "Session-Expires: 120\r\nSupported: timer\r\n", false),
            ("INVITE", "Supported: timer\r\n", false),
            ("MESSAGE", "Session-Expires: 90\r\nSupported: timer\r\n", false),
        ])
    func `a session that would be refreshed too often is refused with Min-SE, §8_1`(
        method: String, extra: String, isRefused: Bool
    ) {
        var bench = ProxyBench { $0.minimumSession = 120 }
        let sent = bench.receive(Call.request(method, extra: extra), from: ProxyBench.caller)
        #expect(sent.contains { $0.firstLine == "SIP/2.0 422 Session Interval Too Small" } == isRefused)
        #expect(sent[0].header("Min-SE") == (isRefused ? "120" : nil))
        var open = ProxyBench()
        #expect(open.receive(Call.request(method, extra: extra), from: ProxyBench.caller)[0].to == ProxyBench.callee)
    }
}
