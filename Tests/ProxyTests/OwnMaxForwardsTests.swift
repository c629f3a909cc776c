// `sip.max-forwards` is what a request gets that came without one, and what every request has that the cluster makes.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Max-Forwards of the cluster's own requests, RFC 3261 §20.22")
struct OwnMaxForwardsTests {
    private func bench() -> ProxyBench { ProxyBench { $0.maxForwards = 21 } }

    @Test func `the BYEs of an ended call`() {
        var bench = bench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let payload = bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs) ?? []
        bench.proxy.end(bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        let byes = bench.drain()
        #expect(byes.map { $0.firstLine.prefix(4) } == ["BYE ", "BYE "])
        #expect(byes.map { $0.header("Max-Forwards") } == ["21", "21"])
    }

    @Test func `the ACK of a failure, and a CANCEL`() {
        var bench = bench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let cancel = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)
            .first { $0.firstLine.hasPrefix("CANCEL ") }
        #expect(cancel?.header("Max-Forwards") == "21")
        let ack = bench.receive(Call.response(487, to: invite, contact: nil), from: ProxyBench.callee)
            .first { $0.firstLine.hasPrefix("ACK ") }
        #expect(ack?.header("Max-Forwards") == "21")
    }

    @Test func `a request that came without one, and not one that has its own`() {
        var bench = bench()
        let text = Call.request("OPTIONS", contact: nil)
        let without = text.split(separator: "\r\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("Max-Forwards: ") }.joined(separator: "\r\n")
        #expect(bench.receive(without, from: ProxyBench.caller)[0].header("Max-Forwards") == "21")
        let other = text.replacing("z9hG4bKc1", with: "z9hG4bKc2")
        #expect(bench.receive(other, from: ProxyBench.caller)[0].header("Max-Forwards") == "69")
    }
}
