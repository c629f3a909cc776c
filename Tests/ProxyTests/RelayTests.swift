// What a draining node tells with an INVITE that it relays, and what the member that takes it makes of that: as if it
// had come from its sender.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("An INVITE is relayed as it came")
struct RelayTests {
    static let member = "10.0.1.2:5060"
    static let other = "10.0.1.3:5060"

    private static func peers(
        _ endpoints: [(UInt32, String)], isLive: Bool = true, takesCalls: Bool = true
    ) -> [PeerContact] {
        endpoints.map {
            PeerContact(memberTag: $0.0, endpoint: Endpoint(text: $0.1), isLive: isLive, takesCalls: takesCalls)
        }
    }

    /// A node that drains, with members that take calls.
    private static func draining(_ members: [String] = [member, other]) -> StreamBench {
        var drain = StreamBench()
        drain.bench.proxy.neighbours.isDraining = true
        drain.bench.proxy.neighbours.peers = peers(members.enumerated().map { (UInt32($0.offset) + 2, $0.element) })
        return drain
    }

    /// The member that takes the call.
    private static func taking(_ configure: (inout ProxySettings) -> Void = { _ in }) -> StreamBench {
        var taker = StreamBench { settings in
            settings.memberTag = 2
            settings.listeners[0] = Endpoint(text: member)!
            settings.names[0].sentBy = Array(member.utf8)
            settings.ownNames.append(HostPort(Endpoint(text: member)!))
            settings.nodeName = Array("n2".utf8)
            configure(&settings)
        }
        taker.bench.proxy.neighbours.isDraining = true  // What a member relayed is served all the same.
        taker.bench.proxy.neighbours.peers = peers([(0x1111_1111, ProxyBench.node), (3, other)])
        return taker
    }

    private func invite(_ extra: String = "", via: String = "10.0.0.1:5060;rport") -> String {
        Call.request("INVITE", via: via, extra: extra)
    }

    @Test func `the relay is no hop: no Via, no Record-Route, Max-Forwards as it was, and no record`() {
        var drain = Self.draining()
        let sent = drain.receive(invite(), from: ProxyBench.caller).map(\.sent)
        #expect(sent.count == 1 && [Self.member, Self.other].contains(sent[0].to))
        #expect(sent[0].headers("Via") == ["SIP/2.0/UDP 10.0.0.1:5060;rport=5060;branch=z9hG4bKc1;received=10.0.0.1"])
        #expect(sent[0].header("Max-Forwards") == "70" && sent[0].header("Record-Route") == nil)
        #expect(sent[0].headers("Route") == ["<sip:\(sent[0].to);lr;relay=000000000000000000>"])
        #expect(drain.bench.puts.isEmpty && drain.bench.proxy.openTransactionCount == 1)
        #expect(drain.bench.proxy.openRelayCount == 1 && drain.bench.proxy.counters.relayed == 1)
    }

    @Test func `answers come back as they are, by way of the draining node`() {
        var (drain, taker) = (Self.draining([Self.member]), Self.taking())
        let relayed = drain.receive(invite(), from: ProxyBench.caller)[0].sent
        let forwarded = taker.receive(relayed.text, from: ProxyBench.node).map(\.sent)
        let out = forwarded.first { $0.firstLine.hasPrefix("INVITE") }
        #expect(out?.to == ProxyBench.callee && out?.header("Route") == nil)
        #expect(out?.header("Max-Forwards") == "69" && out?.headers("Via").count == 2)
        for (status, open) in [(180, 1), (183, 1), (302, 0)] {
            let answer = taker.receive(Call.response(status, to: out!), from: ProxyBench.callee)
                .map(\.sent).first { $0.firstLine.hasPrefix("SIP/2.0 \(status)") }
            #expect(answer?.to == ProxyBench.node)
            let told = drain.receive(answer!.text, from: Self.member).map(\.sent)
            #expect(told.first { $0.firstLine.hasPrefix("SIP/2.0") }?.text == answer?.text)
            #expect(told.first { $0.firstLine.hasPrefix("SIP/2.0") }?.to == ProxyBench.caller)
            #expect(drain.bench.proxy.openTransactionCount == open)
            // The failure is acknowledged hop by hop, by what the member knows it by.
            guard status == 302 else { continue }
            let ack = told.first { $0.firstLine.hasPrefix("ACK") }
            #expect(ack?.to == Self.member)
            #expect(taker.receive(ack!.text, from: ProxyBench.node).isEmpty)
            #expect(taker.bench.advance(milliseconds: 40_000).allSatisfy { !$0.firstLine.contains("302") })
        }
    }

    @Test func `a caller's connection is the draining node's, and both names of the cluster are recorded`() {
        var (drain, taker) = (Self.draining([Self.member]), Self.taking())
        let text = overTCP(invite(via: "10.0.0.1:5060"), "WS")
        let relayed = drain.receive(text, from: "10.0.0.1:40000", .ws, flow: 0x2A)[0]
        #expect(relayed.transport == .udp && relayed.sent.to == Self.member)
        #expect(relayed.sent.header("Route") == "<sip:\(Self.member);lr;relay=02000000000000002a>")
        let out = taker.receive(relayed.sent.text, from: ProxyBench.node).map(\.sent)
            .first { $0.firstLine.hasPrefix("INVITE") }
        let names = out?.headers("Record-Route").map { route in String(route.prefix { $0 != ";" }) }
        #expect(names == ["<sip:10.0.1.9:5060", "<sip:10.0.1.9:80"])
        let record = taker.bench.dialogs.record(taker.bench.did)
        let fact = FlowFact(record?.caller.flow ?? [], ByteRange(record?.caller.flow ?? []))
        #expect(fact == FlowFact(member: 0x1111_1111, flow: FlowID(rawValue: 0x2A)))
        // The answer goes over that connection.
        let answer = taker.receive(Call.response(180, to: out!), from: ProxyBench.callee).map(\.sent)
            .first { $0.firstLine.hasPrefix("SIP/2.0 180") }
        let told = drain.receive(answer!.text, from: Self.member)
        #expect(told.last?.transport == .ws && told.last?.flow == FlowID(rawValue: 0x2A))
        // It does not lose what is sent by UDP between the two: nobody else repeats it.
        var again = Self.draining([Self.member])
        _ = again.receive(text, from: "10.0.0.1:40000", .ws, flow: 0x2A)
        #expect(again.bench.advance(milliseconds: 600).count { $0.to == Self.member } == 1)
    }

    @Test func `once the draining node is gone the sender is answered itself`() {
        var (drain, taker) = (Self.draining([Self.member]), Self.taking())
        let relayed = drain.receive(invite(via: "10.0.0.1:5060;rport"), from: "10.0.0.1:6666")[0].sent
        let out = taker.receive(relayed.text, from: ProxyBench.node).map(\.sent)
            .first { $0.firstLine.hasPrefix("INVITE") }
        taker.bench.proxy.neighbours.peers = Self.peers([(0x1111_1111, ProxyBench.node)], isLive: false)
        let told = taker.receive(Call.response(180, to: out!), from: ProxyBench.callee).map(\.sent)
        #expect(told.last?.to == "10.0.0.1:6666" && told.last?.firstLine.hasPrefix("SIP/2.0 180") == true)
    }

    @Test func `limits are not counted twice, and routes see the sender`() {
        var taker = Self.taking { settings in
            settings.limits.sourcePerSecond = 1
            settings.limits.sourceBurst = 1
            settings.access.deny = [Subnet(text: "10.0.0.0/24")!]
        }
        var drain = Self.draining([Self.member])
        for number in 1...5 {
            let text = invite().replacing("z9hG4bKc1", with: "z9hG4bKc\(number)")
                .replacing("call-1", with: "c\(number)")
            let relayed = drain.receive(text, from: ProxyBench.caller)[0].sent
            let out = taker.receive(relayed.text, from: ProxyBench.node).map(\.sent)
            #expect(out.contains { $0.firstLine.hasPrefix("INVITE") })
        }
    }

    @Test func `what comes from a member is never relayed, whatever it says`() {
        var drain = Self.draining()
        let sent = drain.receive(invite(), from: Self.other).map(\.sent)
        #expect(sent.first { $0.firstLine.hasPrefix("INVITE") }?.to == ProxyBench.callee)
        // A stranger who writes the Route himself is believed nothing.
        var taker = Self.taking()
        taker.bench.proxy.neighbours.isDraining = false
        let forged = Call.request("INVITE", route: ["<sip:\(Self.member);lr;relay=000000000000000001>"])
        let out = taker.receive(forged, from: "10.0.0.66:5060").map(\.sent)
        #expect(out.first { $0.firstLine.hasPrefix("SIP/2.0") }?.to.hasPrefix("10.0.0.66") == true)
        #expect(taker.bench.dialogs.record(taker.bench.did)?.caller.flow.isEmpty == true)
    }

    @Test func `a member that says nothing, or cannot be reached, is not the last one`() {
        var drain = Self.draining()
        let first = drain.receive(invite(), from: ProxyBench.caller)[0]
        let later = drain.bench.advance(milliseconds: 1_600)
        let second = later.first { $0.firstLine.hasPrefix("INVITE") && $0.to != first.sent.to }
        #expect(second != nil && drain.bench.proxy.counters.relayedAnew == 1)
        // Both have been tried: the last one is asked until timer B.
        let end = drain.bench.advance(milliseconds: 40_000)
        #expect(!end.contains { $0.to == ProxyBench.caller }, "its sender has given up by then, or has its answer")
        #expect(drain.bench.proxy.openTransactionCount == 0)

        var refused = Self.draining()
        let out = refused.receive(invite(), from: ProxyBench.caller)[0]
        let anew = refused.fail(out.token)
        #expect(anew.count == 1 && anew[0].sent.to != out.sent.to && anew[0].sent.firstLine.hasPrefix("INVITE"))
    }

    @Test func `a member that lives may have answered the sender itself: no 408 ends what it has begun`() {
        for isLive in [true, false] {
            var drain = Self.draining([Self.member])
            _ = drain.receive(invite(), from: ProxyBench.caller)
            drain.bench.proxy.neighbours.peers[0].isLive = isLive
            let told = drain.bench.advance(milliseconds: 33_000).filter { $0.firstLine.hasPrefix("SIP/2.0") }
            #expect(told.first?.firstLine == (isLive ? nil : "SIP/2.0 408 Request Timeout"))
            #expect(drain.bench.proxy.openRelayCount == 0)
        }
    }

    @Test func `a CANCEL that comes before the member has said anything waits for that`() {
        var drain = Self.draining()
        let relayed = drain.receive(invite(), from: ProxyBench.caller)[0].sent
        let told = drain.receive(
            Call.request("CANCEL", via: "10.0.0.1:5060;rport", contact: nil), from: ProxyBench.caller)
        #expect(told.map(\.sent.firstLine) == ["SIP/2.0 200 OK"])
        let after = drain.receive(Call.response(100, to: relayed, toTag: ""), from: relayed.to).map(\.sent)
        let cancel = after.first { $0.firstLine.hasPrefix("CANCEL") }
        #expect(cancel?.to == relayed.to && cancel?.headers("Via") == relayed.headers("Via"))
    }

    @Test func `a further pass of a spiral is relayed with its Vias`() {
        var drain = Self.draining([Self.member])
        let mark = "z9hG4bKus1234t000000020000000100000001000123456789abcdef00000000"
        let text = invite("Via: SIP/2.0/UDP 10.0.1.3:5060;branch=\(mark)\r\n", via: "10.0.0.7:5060")
        let sent = drain.receive(text, from: "10.0.0.7:5060").map(\.sent)
        #expect(sent.map(\.to) == [Self.member] && sent[0].headers("Via").count == 2)
    }

    @Test func `an answer that this process knows nothing of is sent on by its Via`() {
        var drain = Self.draining([Self.member])
        let relayed = drain.receive(invite(via: "10.0.0.1:5060;rport"), from: "10.0.0.1:6666")[0].sent
        var restarted = Self.draining([Self.member])
        let told = restarted.receive(Call.response(180, to: relayed), from: Self.member).map(\.sent)
        #expect(told.map(\.to) == ["10.0.0.1:6666"])
        // Of a stranger it is not believed.
        #expect(restarted.receive(Call.response(180, to: relayed), from: "10.0.0.66:5060").isEmpty)
    }

    @Test func `a caller of RFC 2543 is relayed and answered as well`() {
        var (drain, taker) = (Self.draining([Self.member]), Self.taking())
        let text = invite().replacing("branch=z9hG4bKc1", with: "branch=1")
        let relayed = drain.receive(text, from: ProxyBench.caller)[0].sent
        let out = taker.receive(relayed.text, from: ProxyBench.node).map(\.sent)
            .first { $0.firstLine.hasPrefix("INVITE") }
        let answer = taker.receive(Call.response(180, to: out!), from: ProxyBench.callee).map(\.sent).last
        #expect(drain.receive(answer!.text, from: Self.member).map(\.sent.to) == [ProxyBench.caller])
    }
}
