// Calls over connections: which transport our Via and Record-Route name, which connection an answer takes, what becomes
// of a request that no connection could be had for, and requests in a dialog for a phone that can only be reached by
// its own connection.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Calls over connections, RFC 3261 §18, RFC 5658")
struct FlowTests {
    private static let browser = "sip:x1@random.invalid;transport=ws"

    @Test func `an answer goes over the connection its request came on, else to the port of its Via`() {
        var bench = StreamBench()
        let sent = bench.receive(overTCP(Call.request("INVITE")), from: "10.0.0.1:40000", .tcp, flow: 4)
        #expect(sent.map(\.transport) == [.udp, .tcp])
        #expect(sent[1].sent.firstLine == "SIP/2.0 100 Trying")
        #expect(sent[1].flow == FlowID(rawValue: 4) && sent[1].listener == 1)
        #expect(sent[1].sent.to == "10.0.0.1:5060")
        let ringing = bench.receive(Call.response(180, to: sent[0].sent), from: ProxyBench.callee)
        #expect(ringing.map(\.flow) == [FlowID(rawValue: 4)] && ringing.map(\.transport) == [.tcp])
        let again = bench.receive(overTCP(Call.request("INVITE")), from: "10.0.0.1:40000", .tcp, flow: 4)
        #expect(again.map(\.flow) == [FlowID(rawValue: 4)])
        let refused = bench.receive(
            overTCP(Call.request("INVITE", uri: "sip:bob@\(ProxyBench.node)", branch: "z9hG4bKc2", fromTag: "other")),
            from: "10.0.0.1:40001", .tcp, flow: 6)
        #expect(refused.map(\.sent.firstLine) == ["SIP/2.0 404 Not Found"])
        #expect(refused.map(\.flow) == [FlowID(rawValue: 6)])
    }

    @Test func `our Via names the transport; two Record-Routes where the sides differ, upstream's below`() {
        var bench = StreamBench()
        let mixed = bench.receive(overTCP(Call.request("INVITE")), from: "10.0.0.1:40000", .tcp, flow: 4)[0].sent
        #expect(mixed.headers("Via")[0].hasPrefix("SIP/2.0/UDP 10.0.1.1:5060;branch="))
        let did = bench.bench.did.hex
        #expect(
            mixed.headers("Record-Route") == [
                "<sip:10.0.1.9:5060;lr;did=\(did)>", "<sip:10.0.1.9:5060;transport=tcp;lr;did=\(did)>",
            ])
        var same = StreamBench()
        let sent = same.receive(
            overTCP(Call.request("INVITE", uri: "sip:bob@10.0.0.2;transport=tcp")), from: "10.0.0.1:40000", .tcp,
            flow: 4)[0]
        #expect(sent.transport == .tcp && sent.listener == 1 && sent.token != 0)
        #expect(sent.sent.headers("Via")[0].hasPrefix("SIP/2.0/TCP 10.0.1.1:5060;branch="))
        #expect(
            sent.sent.headers("Record-Route") == ["<sip:10.0.1.9:5060;transport=tcp;lr;did=\(same.bench.did.hex)>"])
        // A reliable transport repeats nothing (§17.1.1.2).
        #expect(same.bench.advance(milliseconds: 4_000).isEmpty)
    }

    @Test func `a sips Request-URI goes by TLS, and Record-Route is sips (§16.6 step 4)`() {
        var bench = StreamBench()
        let sent = bench.receive(
            overTCP(Call.request("INVITE", uri: "sips:bob@10.0.0.2"), "TLS"), from: "10.0.0.1:40000", .tls, flow: 4)[0]
        #expect(sent.transport == .tls && sent.sent.to == "10.0.0.2:5061")
        #expect(sent.sent.headers("Via")[0].hasPrefix("SIP/2.0/TLS 10.0.1.1:5061;branch="))
        #expect(
            sent.sent.headers("Record-Route") == [
                "<sips:10.0.1.9:5061;transport=tls;lr;did=\(bench.bench.did.hex)>"
            ])
    }

    @Test func `without a connection the branch ends as by 503, and the caller is told 500 (§16.9)`() {
        var bench = StreamBench()
        let sent = bench.receive(
            Call.request("INVITE", uri: "sip:bob@10.0.0.2;transport=tcp"), from: ProxyBench.caller)
        let failed = bench.fail(sent[0].token)
        #expect(failed.map(\.sent.firstLine) == ["SIP/2.0 500 Server Internal Error"])
        #expect(failed.map(\.sent.to) == [ProxyBench.caller])
        #expect(bench.bench.state == .deleted)
        #expect(bench.fail(sent[0].token).isEmpty, "told once")
        #expect(bench.fail(4_711).isEmpty && bench.fail(.max).isEmpty, "tokens of nobody")

        // One that was answered meanwhile does not end.
        var other = StreamBench()
        let options = other.receive(
            Call.request("OPTIONS", uri: "sip:bob@10.0.0.2;transport=tcp"), from: ProxyBench.caller)
        _ = other.receive(
            Call.response(200, to: options[0].sent), from: ProxyBench.callee, .tcp, flow: 3)
        #expect(other.fail(options[0].token).isEmpty)
        #expect(other.bench.proxy.counters.transportErrors == 0)
    }

    @Test func `an heir whose answer has no way to the caller counts it, once (RFC 3261 §18.2.2)`() {
        func ringing(answered: Bool) -> StreamBench {
            var owner = StreamBench()
            let invite = owner.receive(overTCP(Call.request("INVITE")), from: "10.0.0.1:40000", .tcp, flow: 4)[0].sent
            if answered { _ = owner.receive(Call.response(200, to: invite), from: ProxyBench.callee) }
            var heir = StreamBench { settings in
                settings.memberTag = 0x2222_2222
                settings.nodeName = Array("n2".utf8)
            }
            heir.bench.proxy.neighbours.peers = [PeerContact(memberTag: 0x1111_1111, endpoint: nil, isLive: false)]
            let did = owner.bench.did
            let bytes = owner.bench.dialogs.bytes(did)!
            _ = try? heir.bench.dialogs.learn(
                did, facts: RawSpan(_elements: bytes.span), age: .zero, now: heir.bench.now)
            heir.bench.proxy.review(did, now: heir.bench.now, dialogs: &heir.bench.dialogs)
            return heir
        }
        var ended = ringing(answered: false)
        let told = ended.drain()
        #expect(told.map(\.sent.firstLine) == ["SIP/2.0 480 Temporarily Unavailable"])
        #expect(told.map(\.transport) == [.tcp] && told[0].token != 0)
        #expect(ended.bench.proxy.counters.takeoverUnreachable == 0)
        #expect(ended.fail(told[0].token).isEmpty && ended.fail(told[0].token).isEmpty)
        #expect(ended.bench.proxy.counters.takeoverUnreachable == 1)

        var repeated = ringing(answered: true)
        let first = repeated.drain()
        #expect(first.map(\.sent.firstLine) == ["SIP/2.0 200 Whatever"] && first.map(\.transport) == [.tcp])
        _ = repeated.fail(first[0].token)
        #expect(repeated.bench.proxy.counters.takeoverUnreachable == 1)
    }

    @Test func `a large request goes by TCP unless UDP was asked for, and by UDP when nobody accepts (§18.1.1)`() {
        let body = String(repeating: "b", count: 1_300)
        var bench = StreamBench()
        let sent = bench.receive(Call.request("INVITE", body: body), from: ProxyBench.caller)
        #expect(sent[0].transport == .tcp)
        #expect(sent[0].sent.headers("Via")[0].hasPrefix("SIP/2.0/TCP 10.0.1.1:5060;branch="))
        let again = bench.fail(sent[0].token)
        #expect(again.map(\.transport) == [.udp] && again.map(\.sent.to) == [ProxyBench.callee])
        #expect(again[0].sent.headers("Via")[0] == sent[0].sent.headers("Via")[0].replacing("/TCP", with: "/UDP"))
        #expect(again[0].sent.headers("Via").dropFirst() == sent[0].sent.headers("Via").dropFirst())
        #expect(bench.bench.advance(milliseconds: 500).count == 1, "timer A runs now")
        let answer = bench.receive(Call.response(180, to: again[0].sent), from: ProxyBench.callee)
        #expect(answer.map(\.sent.to) == [ProxyBench.caller])

        var named = StreamBench()
        let asked = named.receive(
            Call.request("INVITE", uri: "sip:bob@10.0.0.2:5060;transport=udp", body: body), from: ProxyBench.caller)
        #expect(asked[0].transport == .udp)
        var small = StreamBench()
        let fits = small.receive(Call.request("INVITE", body: "b"), from: ProxyBench.caller)
        #expect(fits[0].transport == .udp)
        var plain = ProxyBench()
        #expect(plain.receive(Call.request("INVITE", body: body), from: ProxyBench.caller)[0].to == ProxyBench.callee)
    }

    @Test func `each branch of a fork has the Via and the Record-Routes of its own transport`() {
        func target(_ number: Int, _ transport: TransportProtocol) -> TargetSet.Target {
            TargetSet.Target(
                uri: Array("sip:bob@10.0.0.\(number)".utf8), namesUser: true,
                endpoint: StreamBench.endpoint("10.0.0.\(number):5060", transport), isTransportOpen: transport == .udp)
        }
        func sent(body: String) -> [StreamBench.Out] {
            var bench = StreamBench { settings in
                var set = TargetSet(name: "both", targets: [target(31, .udp), target(32, .tcp)])
                set.policy = .parallel
                settings.targetSets = [set]
                settings.routes = [StaticRoute(set: 0)]
            }
            return bench.receive(Call.request("INVITE", body: body), from: ProxyBench.caller).filter {
                $0.sent.firstLine.hasPrefix("INVITE ")
            }
        }
        let both = sent(body: "")
        #expect(both.map(\.transport) == [.udp, .tcp])
        #expect(both[0].sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP 10.0.1.1:5060;branch="))
        #expect(both[1].sent.headers("Via")[0].hasPrefix("SIP/2.0/TCP 10.0.1.1:5060;branch="))
        #expect(both.map { $0.sent.headers("Record-Route").count } == [1, 2])
        #expect(both[1].sent.headers("Record-Route")[0].hasPrefix("<sip:10.0.1.9:5060;transport=tcp;lr;did="))
        // Too large for a datagram: what was given without a transport goes by TCP, and is recorded as that.
        let large = sent(body: String(repeating: "x", count: 1_400))
        #expect(large.map(\.transport) == [.tcp, .tcp])
        #expect(large.map { $0.sent.headers("Record-Route").count } == [2, 2])
    }

    /// A browser calls by WebSocket as flow 8, a UDP phone answers; the route set of each side, nearest to it first.
    private func establish(_ bench: inout StreamBench, via: String = "") -> [String] {
        let invite = overTCP(
            Call.request("INVITE", contact: Self.browser, extra: via), "WS")
        let sent = bench.receive(invite, from: "10.0.0.1:40000", .ws, flow: 8)[0].sent
        _ = bench.receive(Call.response(200, to: sent), from: ProxyBench.callee)
        let routes = sent.headers("Record-Route")
        _ = bench.receive(
            overTCP(
                Call.request(
                    "ACK", branch: "z9hG4bKa1", toTag: "bob", route: routes.reversed(), contact: nil), "WS"),
            from: "10.0.0.1:40000", .ws, flow: 8)
        return routes
    }

    private func info(_ routes: [String], _ branch: String = "z9hG4bKb1") -> String {
        Call.request(
            "INFO", uri: Self.browser, via: "10.0.0.2:5060", branch: branch, toTag: "alice", fromTag: "bob",
            route: routes, contact: nil, from: "sip:bob@example.org", to: "sip:alice@example.org")
    }

    @Test func `a request for a browser goes over its connection, whose fact is in the record (S2-13)`() {
        var bench = StreamBench()
        let routes = establish(&bench)
        let fact = bench.bench.dialogs.record(bench.bench.did)!.caller.flow
        #expect(
            FlowFact(fact, ByteRange(fact)) == FlowFact(member: 0x1111_1111, flow: FlowID(rawValue: 8)))
        #expect(fact.count == FlowFact.byteCount)
        let sent = bench.receive(info(routes), from: ProxyBench.callee)
        #expect(sent.map(\.flow) == [FlowID(rawValue: 8)] && sent.map(\.transport) == [.ws])
        #expect(sent[0].sent.headers("Via")[0].hasPrefix("SIP/2.0/WS 10.0.1.1:80;branch="))
        #expect(sent[0].sent.headers("Route").isEmpty)
    }

    @Test func `when the connection has ended and the Contact leads nowhere the answer is 430`() {
        var bench = StreamBench()
        let routes = establish(&bench)
        bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        let sent = bench.receive(info(routes), from: ProxyBench.callee)
        #expect(sent.map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
        #expect(bench.bench.proxy.counters.flowsGone == 1)
    }

    @Test func `a live member that holds the connection is passed the request, once, with our Route on it`() {
        var bench = StreamBench()
        let routes = establish(&bench)
        let member = "10.0.1.2:5060"
        // Seen from another node: the flow is a member's.
        bench.bench.proxy.settings.memberTag = 0x2222_2223
        bench.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: member)!, isLive: true)
        ]
        let sent = bench.receive(info(routes), from: ProxyBench.callee)
        #expect(sent.map(\.sent.to) == [member] && sent.map(\.transport) == [.udp])
        #expect(sent[0].sent.headers("Via").count == 2)
        #expect(sent[0].sent.headers("Route") == ["<sip:\(member);lr;flow=0000000000000008>"] + routes)
        #expect(sent[0].sent.firstLine == "INFO \(Self.browser) SIP/2.0")
        // The member itself sends it on, and does not pass it back.
        let again = info(routes, "z9hG4bKb2")
        #expect(bench.receive(again, from: member).map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
        // A member that has died holds nothing.
        bench.bench.proxy.neighbours.peers[0].isLive = false
        let last = info(routes, "z9hG4bKb3")
        #expect(bench.receive(last, from: ProxyBench.callee).map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
        #expect(bench.bench.proxy.counters.passedToFlow == 1)
    }

    @Test func `a re-INVITE that a member passes here goes over the connection, though its fact came first`() {
        var holder = StreamBench()
        let routes = establish(&holder)
        var other = StreamBench { $0.memberTag = 0x2222_2223 }
        copyRecord(from: holder, to: &other)
        other.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node)!, isLive: true)
        ]
        let reInvite = Call.request(
            "INVITE", uri: Self.browser, via: "10.0.0.2:5060", branch: "z9hG4bKb1", cSeq: 101, toTag: "alice",
            fromTag: "bob", route: routes, contact: "sip:bob@10.0.0.2:5060", from: "sip:bob@example.org",
            to: "sip:alice@example.org")
        let passed = other.receive(reInvite, from: ProxyBench.callee)
        #expect(passed[0].sent.to == ProxyBench.node && passed[0].sent.headers("Via").count == 2)
        copyRecord(from: other, did: holder.bench.did, to: &holder)
        holder.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2223, endpoint: Endpoint(text: "10.0.1.2:5060")!, isLive: true)
        ]
        let sent = holder.receive(passed[0].sent.text, from: "10.0.1.2:5060")
        #expect(sent.first?.flow == FlowID(rawValue: 8) && sent.first?.sent.headers("Via").count == 3)
        #expect(holder.bench.proxy.counters.foreignAbsorbed == 0)
    }

    @Test func `a request that a member passes here goes over the connection it names, whatever the record says`() {
        var holder = StreamBench()
        let routes = establish(&holder)
        let member = "10.0.1.2:5060"
        holder.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2223, endpoint: Endpoint(text: member)!, isLive: true)
        ]
        holder.bench.proxy.bury(
            holder.bench.did, now: holder.bench.now, dialogs: &holder.bench.dialogs)
        holder.bench.proxy.effects.removeAll()
        func bye(_ branch: String, flow: String) -> String {
            Call.request(
                "BYE", uri: Self.browser, via: "10.0.0.2:5060", branch: branch, cSeq: 102, toTag: "alice",
                fromTag: "bob",
                route: ["<sip:\(ProxyBench.node);lr;flow=\(flow)>"] + routes, contact: nil,
                from: "sip:bob@example.org", to: "sip:alice@example.org")
        }
        let named = bye("z9hG4bKn1", flow: "0000000000000008")
        let sent = holder.receive(named, from: member)
        #expect(sent.map(\.flow) == [FlowID(rawValue: 8)] && sent.map(\.transport) == [.ws])
        #expect(sent[0].sent.headers("Route").isEmpty)
        // A connection that has ended is not replaced by another, and a stranger cannot name one.
        let ended = holder.receive(bye("z9hG4bKn2", flow: "000000000000000a"), from: member)
        #expect(ended.map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
        let strange = holder.receive(bye("z9hG4bKn3", flow: "0000000000000008"), from: "10.0.0.66:5060")
        #expect(!strange.contains { $0.flow == FlowID(rawValue: 8) })
    }

    private func copyRecord(from: StreamBench, did: DialogID? = nil, to: inout StreamBench) {
        let did = did ?? from.bench.did
        let bytes = from.bench.dialogs.bytes(did) ?? []
        _ = try? to.bench.dialogs.learn(did, facts: RawSpan(_elements: bytes.span), age: .zero, now: to.bench.now)
    }

    @Test func `a connection of a proxy in between is nobody's flow`() {
        var bench = StreamBench()
        _ = establish(&bench, via: "Via: SIP/2.0/UDP 10.0.0.77;branch=z9hG4bKbelow\r\n")
        #expect(bench.bench.dialogs.record(bench.bench.did)!.caller.flow.isEmpty)
        // One that we opened is not either: whoever is there can be connected to.
        var other = StreamBench()
        let sent = other.receive(
            Call.request("INVITE", uri: "sip:bob@10.0.0.2;transport=tcp"), from: ProxyBench.caller)[0].sent
        _ = other.receive(Call.response(200, to: sent), from: ProxyBench.callee, .tcp, flow: 9)
        #expect(other.bench.dialogs.record(other.bench.did)!.outs[0].side.flow.isEmpty)
    }

    @Test(arguments: [("127.0.0.1:5060", TransportProtocol.udp, ""), ("[::1]:5061", .tls, ";transport=tls")])
    func `records keep endpoints with their transport`(text: String, transport: TransportProtocol, suffix: String) {
        let endpoint = StreamBench.endpoint(text, transport)
        var writer = ByteWriter()
        endpoint.writeFact(into: &writer)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == text + suffix)
        #expect(Endpoint(fact: writer.bytes) == endpoint)
        #expect(Endpoint(fact: Array("\(text);transport=pigeon".utf8)) == nil)
        #expect(Endpoint(fact: Array("\(text);x".utf8)) == nil)
        #expect(Endpoint(fact: []) == nil)
    }
}
