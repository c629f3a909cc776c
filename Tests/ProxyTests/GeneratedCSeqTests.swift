// CSeq numbers near their end: what is refused at the start, and that no BYE of ours has a lower one than its side's.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("CSeq up to 2³² − 1, RFC 3261 §8.1.1.5 and §12.2.2")
struct GeneratedCSeqTests {
    static let step = 1 << 24
    static let limit = 1 << 31
    static let end = 1 << 32 - 1

    /// A confirmed call whose INVITE has this CSeq; its route.
    private static func establish(_ bench: inout ProxyBench, cSeq: Int) -> String {
        let invite = bench.receive(Call.request("INVITE", cSeq: cSeq), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        _ = bench.receive(
            Call.request("ACK", branch: "z9hG4bKa1", cSeq: cSeq, toTag: "bob", route: [route], contact: nil),
            from: ProxyBench.caller)
        return route
    }

    private static func info(_ leg: Leg, _ route: String, cSeq: Int) -> String {
        leg == .caller
            ? Call.request("INFO", branch: "z9hG4bKi\(cSeq)", cSeq: cSeq, toTag: "bob", route: [route], contact: nil)
            : Call.request(
                "INFO", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKi\(cSeq)", cSeq: cSeq,
                toTag: "alice", fromTag: "bob", route: [route], contact: nil, from: "sip:bob@example.org",
                to: "sip:alice@example.org")
    }

    /// The CSeqs of the BYEs to caller and callee.
    private static func byes(_ bench: inout ProxyBench) -> [Int] {
        let payload = bench.proxy.endingPayload(bench.did, dialogs: bench.dialogs) ?? []
        bench.proxy.end(
            bench.did, payload: payload, dialogs: &bench.dialogs, now: bench.now)
        return bench.drain().compactMap { $0.header("CSeq").flatMap { Int($0.split(separator: " ")[0]) } }
    }

    @Test(arguments: [limit, limit + 5, end])
    func `an INVITE that begins a call with a number that none may have is refused`(cSeq: Int) {
        var bench = ProxyBench()
        let sent = bench.receive(Call.request("INVITE", cSeq: cSeq), from: ProxyBench.caller)
        #expect(sent.map(\.firstLine) == ["SIP/2.0 400 Bad Request"] && bench.puts.isEmpty)
        let ack = Call.request(
            "ACK", cSeq: cSeq, toTag: String(sent[0].header("To")!.split(separator: "tag=")[1]), contact: nil)
        #expect(bench.receive(ack, from: ProxyBench.caller).isEmpty)
    }

    @Test(
        arguments: [
            (1, 1 + step), (limit - step - 1, limit - 1), (limit - step, limit - 1), (limit - 2, limit - 1),
            (limit - 1, limit - 1 + step),
        ])
    func `a BYE is above the INVITE of its side, and below 2³¹ where there is room`(invite: Int, bye: Int) {
        var bench = ProxyBench()
        _ = Self.establish(&bench, cSeq: invite)
        #expect(Self.byes(&bench) == [1 + Self.step, bye])
    }

    @Test(arguments: [Leg.caller, .callee])
    func `it is above what a phone has come to since, whatever was answered`(leg: Leg) {
        for (number, expected) in [
            (Self.step, 1 + Self.step), (Self.step + 1, 1 + 2 * Self.step), (3 * Self.step, 1 + 3 * Self.step),
            (Self.limit - 1, 1 + 128 * Self.step), (Self.limit + 5, 1 + 129 * Self.step), (Self.end, Self.end),
        ] {
            var bench = ProxyBench()
            let route = Self.establish(&bench, cSeq: 1)
            let source = leg == .caller ? ProxyBench.caller : ProxyBench.callee
            let sent = bench.receive(Self.info(leg, route, cSeq: number), from: source)
            #expect(sent.count == 1 && sent[0].firstLine.hasPrefix("INFO"), "within a dialog nothing is refused for it")
            // The BYE to the callee stands in for the caller.
            let byes = Self.byes(&bench)
            #expect(byes == (leg == .caller ? [1 + Self.step, expected] : [expected, 1 + Self.step]), "\(number)")
        }
    }

    @Test func `a callee that sends its first request while it is ended changes no BYE`() {
        var bench = ProxyBench()
        let route = Self.establish(&bench, cSeq: 7)
        bench.proxy.fixByeCSeqs(bench.did, now: bench.now, dialogs: &bench.dialogs)
        _ = bench.receive(Self.info(.callee, route, cSeq: 734), from: ProxyBench.callee)
        #expect(Self.byes(&bench) == [1 + Self.step, 7 + Self.step], "as from who has not heard of that request")
        // What it had sent before counts.
        var other = ProxyBench()
        let otherRoute = Self.establish(&other, cSeq: 7)
        let info = other.receive(Self.info(.callee, otherRoute, cSeq: 734), from: ProxyBench.callee)
        _ = other.receive(Call.response(200, to: info[0], contact: nil), from: ProxyBench.caller)
        let patches = other.patches
        other.proxy.fixByeCSeqs(other.did, now: other.now, dialogs: &other.dialogs)
        _ = other.drain()
        #expect(other.patches == patches)
        #expect(Self.byes(&other) == [734 + Self.step, 7 + Self.step])
    }
}
