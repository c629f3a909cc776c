// What waits for a record: what empties each list, and what happens at its limit.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Waiting for a record")
struct WaitingRoomTests {
    /// A node that has peers, and lacks the record of the dialog that this Route names.
    private func waitingBench() -> ProxyBench {
        var bench = ProxyBench()
        bench.proxy.neighbours.commits = true
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        return bench
    }

    private func route(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        let did = String(repeating: "0", count: 16 - digits.count) + digits
        return "<sip:\(ProxyBench.shared);lr;did=\(did)>"
    }

    private func acknowledgement(_ number: Int) -> String {
        Call.request(
            "ACK", branch: "z9hG4bKa\(number)", toTag: "bob", route: [route(number)], contact: nil)
    }

    @Test func `ACKs and BYEs whose record never comes are let go, and there is room again`() {
        var bench = waitingBench()
        for number in 1...300 {
            #expect(bench.receive(acknowledgement(number), from: ProxyBench.caller).map(\.to) == [ProxyBench.callee])
        }
        #expect(bench.proxy.counters.parkedRefused == 44, "256 are kept, and each was sent on")
        _ = bench.advance(milliseconds: 5_100)
        #expect(bench.proxy.counters.parkedExpired == 256)
        _ = bench.receive(acknowledgement(301), from: ProxyBench.caller)
        #expect(bench.proxy.counters.parkedRefused == 44)
        #expect(bench.advance(milliseconds: 10_000).isEmpty)
        #expect(bench.proxy.counters.parkedExpired == 257 && bench.proxy.nextDeadline == nil, "nothing is left")
    }

    @Test func `beyond the limit a request goes on without its record, counted`() {
        var bench = waitingBench()
        func update(_ number: Int) -> String {
            Call.request("UPDATE", branch: "z9hG4bKu\(number)", cSeq: 2, toTag: "bob", route: [route(number)])
        }
        for number in 1...256 { #expect(bench.receive(update(number), from: ProxyBench.caller).isEmpty) }
        #expect(bench.receive(update(257), from: ProxyBench.caller).map(\.to) == [ProxyBench.callee])
        #expect(bench.proxy.counters.waitsRefused == 1)
        #expect(bench.advance(milliseconds: 201).count { $0.firstLine.hasPrefix("UPDATE ") } == 256)
        #expect(bench.receive(update(258), from: ProxyBench.caller).isEmpty, "there is room again")
    }

    @Test func `of the dialogs whose 2xx waits for a record the oldest is forgotten at the limit, counted`() {
        var dead = ProxyBench { $0.memberTag = 0x3333_3333 }
        var bench = waitingBench()
        for number in 1...257 {
            let invite = dead.receive(
                Call.request("INVITE", branch: "z9hG4bKi\(number)", cSeq: number), from: ProxyBench.caller)[0]
            #expect(bench.receive(Call.response(200, to: invite), from: ProxyBench.callee).isEmpty)
        }
        #expect(bench.proxy.counters.awaitedForgotten == 1)
        bench.now = bench.now.advanced(milliseconds: 33_000)
        for number in 258...400 {
            let invite = dead.receive(
                Call.request("INVITE", branch: "z9hG4bKi\(number)", cSeq: number), from: ProxyBench.caller)[0]
            _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        }
        #expect(bench.proxy.counters.awaitedForgotten == 1, "their callees have given up by then")
    }

    @Test func `all callees of a dead node's call that answer at once wait for its record`() {
        var owner = Fork.bench(3) { $0.memberTag = 0x3333_3333 }
        let invites = Fork.invites(owner.receive(Call.request("INVITE"), from: ProxyBench.caller))
        var bench = waitingBench()
        for (index, invite) in invites.enumerated() {
            #expect(Fork.answer(200, invite, tag: "t\(index)", &bench).isEmpty)
            bench.now = bench.now.advanced(milliseconds: 20)
        }
        bench.now = bench.now.advanced(milliseconds: 500)
        let copies = invites.enumerated().map { Fork.answer(200, $0.element, tag: "t\($0.offset)", &bench) }
        #expect(copies.allSatisfy { $0.count == 1 }, "what has not come by then does not come")
    }

    @Test func `more requests than the limit behind a held 2xx are dropped, counted`() {
        var bench = waitingBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        for number in 1...17 {
            let info = Call.request(
                "INFO", branch: "z9hG4bKf\(number)", cSeq: 10 + number, toTag: "alice", fromTag: "bob",
                route: [invite.header("Record-Route")!])
            #expect(bench.receive(info, from: ProxyBench.callee).isEmpty)
        }
        #expect(bench.proxy.counters.queuesRefused == 1)
        #expect(bench.commit().count { $0.firstLine.hasPrefix("INFO ") } == 16)
    }
}
