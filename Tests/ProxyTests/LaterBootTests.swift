// A process whose clock was set back takes a later boot when a peer tells of one (R14), and branches have another tag
// from then on. It has served requests before: those of a dialog are served in every state.

import Primitives
import Proxy
import SIP
import Testing

@Suite("A process that takes a later boot")
struct LaterBootTests {
    @Test(arguments: [1, 3])
    func `what it has begun under an earlier tag is its own all the same`(rises: Int) {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = [invite.header("Record-Route")!]
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", toTag: "bob", route: route, contact: nil), from: ProxyBench.caller)
        let update = bench.receive(
            Call.request("UPDATE", branch: "z9hG4bKu1", cSeq: 2, toTag: "bob", route: route), from: ProxyBench.caller)[
                0]
        for rise in 0..<rises {
            bench.proxy.settings.rise(to: 8 + UInt64(rise), memberTag: 0x3333_3333 + UInt32(rise))
        }
        let told = bench.receive(Call.response(200, to: update), from: ProxyBench.callee)
        #expect(told.map(\.to) == [ProxyBench.caller])
        #expect(bench.advance(milliseconds: 4_000).isEmpty, "its client transaction has its answer")
        #expect(bench.proxy.openTransactionCount == 0)
        // A copy of the re-INVITE that it has sent on is no other node's.
        let again = Call.request("INVITE", branch: "z9hG4bKi2", cSeq: 3, toTag: "bob", route: route)
        _ = bench.receive(again, from: ProxyBench.caller)
        bench.proxy.settings.rise(to: 20, memberTag: 0x4444_4444)
        let copy = bench.receive(
            again.replacing("z9hG4bKi2", with: "z9hG4bKi3"), from: ProxyBench.caller)
        #expect(copy.allSatisfy { !$0.firstLine.hasPrefix("SIP/2.0 500") && !$0.firstLine.hasPrefix("INVITE") })
    }

    @Test(arguments: [false, true])
    func `a request within a dialog that comes before anybody was heard waits where there are others`(are: Bool) {
        var bench = ProxyBench()
        bench.proxy.neighbours.isJoining = true
        bench.proxy.neighbours.expectsPeers = are
        let bye = Call.request(
            "BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "bob",
            route: ["<sip:\(ProxyBench.shared);lr;did=0123456789abcdef>"], contact: nil)
        let sent = bench.receive(bye, from: ProxyBench.caller)
        #expect(sent.map(\.to) == (are ? [] : [ProxyBench.callee]))
        let late = bench.advance(milliseconds: 250).filter { $0.firstLine.hasPrefix("BYE") }
        #expect(late.map(\.to) == (are ? [ProxyBench.callee] : []), "it goes by its Route all the same")
    }
}
