// A callee repeats its 2xx until the ACK comes, and what is known here may have changed since the first copy: the
// record has come, the INVITE was refused. The simulator found each (seeds 3004757550 and, dealing, 3004762961).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Further copies of a 2xx")
struct FurtherCopyTests {
    /// `n1`, which made the dialogs, is a peer of it.
    private func secondNode(ownerIsLive: Bool) -> ProxyBench {
        var bench = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.nodeName = Array("n2".utf8)
        }
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node), isLive: ownerIsLive)
        ]
        return bench
    }

    private func replicate(from: ProxyBench, to: inout ProxyBench) throws {
        let bytes = try #require(from.dialogs.bytes(from.did))
        _ = try to.dialogs.learn(from.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: to.now)
        to.puts = from.puts
    }

    private func reInvite(_ cSeq: Int, _ invite: Sent) -> String {
        Call.request(
            "INVITE", branch: "z9hG4bKr\(cSeq)", cSeq: cSeq, toTag: "bob", route: [invite.header("Record-Route")!])
    }

    @Test func `one to a re-INVITE that passed without the record confirms the dialog, and its callee's side`() throws {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var second = secondNode(ownerIsLive: true)
        let request = second.receive(reInvite(2, invite), from: ProxyBench.caller)[0]
        let answer = Call.response(200, to: request)
        #expect(second.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        try replicate(from: first, to: &second)
        #expect(second.receive(answer, from: ProxyBench.callee).map(\.to) == [ProxyBench.caller])
        #expect(second.state == .confirmed)
        let payload = try #require(second.proxy.endingPayload(second.did, dialogs: second.dialogs))
        second.proxy.end(second.did, payload: payload, dialogs: &second.dialogs, now: second.now)
        let byes = second.drain().filter { $0.firstLine.hasPrefix("BYE ") }
        #expect(byes.map(\.to) == [ProxyBench.caller, ProxyBench.callee], "or nobody is told when its time is up")
    }

    @Test func `one to a re-INVITE that an heir has refused is acknowledged here, whatever was refused since`() throws {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let ack = Call.request(
            "ACK", branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!], contact: nil)
        _ = first.receive(ack, from: ProxyBench.caller)
        let request = first.receive(reInvite(2, invite), from: ProxyBench.caller)[0]
        var second = secondNode(ownerIsLive: false)
        try replicate(from: first, to: &second)
        second.proxy.review(second.did, now: second.now, dialogs: &second.dialogs)
        let refused = second.drain() + second.advance(milliseconds: 500)
        #expect(refused.contains { $0.to == ProxyBench.caller && $0.firstLine.hasPrefix("SIP/2.0 500") })
        for isLater in [false, true] {
            if isLater {
                let later = second.receive(reInvite(3, invite), from: ProxyBench.caller)[0]
                _ = second.receive(Call.response(500, to: later), from: ProxyBench.callee)
            }
            let sent = second.receive(Call.response(200, to: request), from: ProxyBench.callee)
            #expect(sent.map { $0.firstLine.prefix(4) } == ["ACK "] && sent[0].to == ProxyBench.callee)
        }
    }
}
