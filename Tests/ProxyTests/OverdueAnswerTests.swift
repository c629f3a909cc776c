// A 2xx whose ACK nobody has seen when the time of its call is up (S1-3).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Answers whose time is up")
struct OverdueAnswerTests {
    /// Another node, with the record of one that has died.
    private static func survivor(of bench: ProxyBench) -> ProxyBench {
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.nodeName = Array("n2".utf8)
        }
        other.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: "10.0.1.8:5060"), isLive: false)
        ]
        other.puts = bench.puts
        let bytes = bench.dialogs.bytes(bench.did) ?? []
        _ = try? other.dialogs.learn(
            bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, isPeers: true, now: other.now)
        return other
    }

    @Test(arguments: [false, true])
    func `a 2xx that nobody has acknowledged is not repeated to a caller whose BYE is due`(isDead: Bool) {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let answer = Call.response(200, to: invite)
        _ = first.receive(answer, from: ProxyBench.callee)
        var bench = isDead ? Self.survivor(of: first) : first
        let deadline = bench.dialogs.deadline(bench.did)!
        bench.now = deadline.advanced(milliseconds: -1)
        #expect(bench.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        let moved = bench.dialogs.deadline(bench.did)!
        #expect(moved > deadline)
        bench.now = moved
        #expect(bench.receive(answer, from: ProxyBench.callee).isEmpty)
        #expect(bench.dialogs.deadline(bench.did) == moved)
    }
}
