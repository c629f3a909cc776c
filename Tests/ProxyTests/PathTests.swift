// Path (RFC 3327): which REGISTER gets our URI, and where requests go that the registrar sends by it.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Path, RFC 3327, and the connections of registered phones")
struct PathTests {
    private static let registrar = "10.0.0.11:5060"
    private static let browser = "sip:x1@random.invalid;transport=ws"

    /// A proxy whose REGISTERs go to the registrar, with this use of Path.
    private static func bench(
        _ use: PathUse?, _ change: (inout ProxySettings) -> Void = { _ in }
    ) -> StreamBench {
        StreamBench { settings in
            let target = TargetSet.Target(
                uri: Array("sip:\(registrar)".utf8), namesUser: false, endpoint: Endpoint(text: registrar))
            settings.targetSets = [TargetSet(name: "registrar", targets: [target])]
            var route = StaticRoute(set: 0)
            route.methods = [Array("REGISTER".utf8)]
            route.path = use
            settings.routes = [route]
            change(&settings)
        }
    }

    private static func register(_ extra: String = "Supported: path\r\n", contact: String = browser) -> String {
        Call.request("REGISTER", uri: "sip:example.org", contact: contact, extra: extra)
    }

    /// The Path that a phone on a WebSocket gets, without its brackets.
    private static func path(_ bench: inout StreamBench, flow: UInt64 = 8) -> String {
        let sent = bench.receive(overTCP(register(), "WS"), from: "10.0.0.1:40000", .ws, flow: flow)
        return String(sent[0].sent.header("Path")?.dropFirst().dropLast() ?? "")
    }

    private static func request(_ method: String, _ path: String, branch: String = "z9hG4bKr1") -> String {
        Call.request(
            method, uri: browser, via: registrar, branch: branch, route: ["<\(path)>"], contact: "sip:r@\(registrar)")
    }

    // MARK: REGISTER

    @Test(
        arguments: [
            (nil, "Supported: path\r\n", 0, false), (.supported, "Supported: path\r\n", 1, false),
            (.supported, "k: gruu, PATH\r\n", 1, false), (.supported, "", 0, false), (.always, "", 1, false),
            (.required, "Supported: path\r\n", 1, true), (.required, "Supported: path\r\nRequire: path\r\n", 1, true),
        ] as [(PathUse?, String, Int, Bool)])
    func `a REGISTER gets our Path by the route's word and its sender's support`(
        use: PathUse?, extra: String, count: Int, requires: Bool
    ) {
        var bench = Self.bench(use)
        let sent = bench.receive(Self.register(extra), from: ProxyBench.caller)
        #expect(sent.map(\.sent.to) == [Self.registrar])
        #expect(sent[0].sent.headers("Path").count == count)
        #expect(sent[0].sent.headers("Require") == (requires ? ["path"] : []))
        #expect(sent[0].sent.header("Record-Route") == nil, "a REGISTER makes no dialog")
    }

    @Test func `without support a route that requires it answers 421, and no other request is asked`() {
        var bench = Self.bench(.required) { $0.routes[0].methods = [] }
        let refused = bench.receive(Self.register(""), from: ProxyBench.caller)
        #expect(refused.map(\.sent.firstLine) == ["SIP/2.0 421 Extension Required"])
        #expect(refused[0].sent.header("Require") == "path")
        let message = bench.receive(Call.request("MESSAGE", branch: "z9hG4bKm"), from: ProxyBench.caller)
        #expect(message[0].sent.to == Self.registrar && message[0].sent.header("Path") == nil)
    }

    @Test func `ours stands above the Path of a proxy nearer to the phone, and names no connection then`() {
        var bench = Self.bench(.always)
        let register = Self.register(
            "Via: SIP/2.0/UDP 10.0.0.77;branch=z9hG4bKbelow\r\nPath: <sip:edge@10.0.0.77;lr>\r\n")
        let sent = bench.receive(register, from: ProxyBench.caller)[0].sent
        #expect(sent.headers("Path") == ["<sip:\(ProxyBench.shared);lr>", "<sip:edge@10.0.0.77;lr>"])
    }

    @Test func `behind a balancer by UDP its port says nothing of the phone`() {
        var bench = Self.bench(.always) { $0.balancers = [Endpoint(text: ProxyBench.caller)!.address] }
        let sent = bench.receive(Self.register(), from: ProxyBench.caller)[0].sent
        #expect(sent.headers("Path") == ["<sip:\(ProxyBench.shared);lr>"])
    }

    @Test func `all branches of a fork get the same Path`() {
        var bench = Self.bench(.always) { settings in
            let second = TargetSet.Target(
                uri: Array("sip:10.0.0.12".utf8), namesUser: false, endpoint: Endpoint(text: "10.0.0.12:5060"))
            settings.targetSets[0].targets.append(second)
            settings.targetSets[0].policy = .parallel
        }
        let sent = bench.receive(overTCP(Self.register(), "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
        let paths = sent.map { $0.sent.headers("Path") }
        #expect(sent.map(\.sent.to) == [Self.registrar, "10.0.0.12:5060"])
        #expect(paths[0].count == 1 && paths[0] == paths[1])
    }

    // MARK: The way back

    @Test func `a request by the Path goes over the phone's connection, and its dialog keeps to it`() throws {
        var bench = Self.bench(.supported)
        let path = Self.path(&bench)
        #expect(path.hasPrefix("sip:usp") && path.hasSuffix("@\(ProxyBench.shared);lr"))
        let sent = bench.receive(Self.request("INVITE", path), from: Self.registrar)
        let invite = try #require(sent.first)
        #expect(invite.flow == FlowID(rawValue: 8) && invite.transport == .ws)
        #expect(invite.sent.headers("Route").isEmpty && invite.sent.firstLine == "INVITE \(Self.browser) SIP/2.0")
        _ = bench.receive(
            Call.response(200, to: invite.sent, contact: Self.browser), from: "10.0.0.1:40000", .ws, flow: 8)
        let out = bench.bench.dialogs.record(bench.bench.did)!.outs[0]
        #expect(FlowFact(out.side.flow, ByteRange(out.side.flow))?.flow == FlowID(rawValue: 8))
    }

    @Test func `when the connection has ended the answer is 430, RFC 5626 §5_3_1`() {
        var bench = Self.bench(.supported)
        let path = Self.path(&bench)
        bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        let sent = bench.receive(Self.request("MESSAGE", path), from: Self.registrar)
        #expect(sent.map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
    }

    @Test func `the member that holds the connection is passed the request, and the callee's leg is known as its`() {
        var holder = Self.bench(.supported)
        let path = Self.path(&holder)
        var other = Self.bench(.supported) { $0.memberTag = 0x2222_2223 }
        other.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: "10.0.1.1:5060")!, isLive: true)
        ]
        holder.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2223, endpoint: Endpoint(text: "10.0.1.2:5060")!, isLive: true)
        ]
        let passed = other.receive(Self.request("INVITE", path), from: Self.registrar)[0].sent
        #expect(passed.to == "10.0.1.1:5060")
        #expect(passed.headers("Route") == ["<sip:10.0.1.1:5060;lr;flow=0000000000000008>", "<\(path)>"])
        let sent = holder.receive(passed.text, from: "10.0.1.2:5060")
        #expect(sent.first?.flow == FlowID(rawValue: 8) && sent.first?.sent.headers("Route").isEmpty == true)
        // The answer comes back through the holder: the connection is the holder's in the record all the same.
        let answer = Call.response(200, to: passed, contact: Self.browser)
        _ = other.receive(answer, from: "10.0.1.1:5060")
        let flow = other.bench.dialogs.record(other.bench.did)!.outs[0].side.flow
        #expect(FlowFact(flow, ByteRange(flow)) == FlowFact(member: 0x1111_1111, flow: FlowID(rawValue: 8)))
        // A dead member holds nothing.
        other.bench.proxy.neighbours.peers[0].isLive = false
        let gone = other.receive(Self.request("MESSAGE", path, branch: "z9hG4bKr2"), from: Self.registrar)
        #expect(gone.map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
    }

    @Test func `a phone by UDP is reached where it was heard from, whatever its Contact says`() {
        var bench = Self.bench(.supported)
        let register = Self.register(contact: "sip:alice@192.168.1.5:5060")
        let sent = bench.receive(register, from: "203.0.113.9:30123")
        let path = String(sent[0].sent.header("Path")!.dropFirst().dropLast())
        let message = Call.request(
            "MESSAGE", uri: "sip:alice@192.168.1.5:5060", via: Self.registrar, branch: "z9hG4bKr1", route: ["<\(path)>"]
        )
        #expect(bench.receive(message, from: Self.registrar).map(\.sent.to) == ["203.0.113.9:30123"])
    }

    @Test func `only what the cluster wrote names a connection`() {
        var bench = Self.bench(.supported)
        let path = Self.path(&bench)
        let digit = path.index(path.startIndex, offsetBy: 20)
        let forged = String(path[..<digit]) + (path[digit] == "0" ? "1" : "0") + path[path.index(after: digit)...]
        for (index, other) in [forged, "sip:usp@\(ProxyBench.shared);lr", "sip:usp00@\(ProxyBench.shared);lr"]
            .enumerated()
        {
            let sent = bench.receive(
                Self.request("MESSAGE", other, branch: "z9hG4bKf\(index)"), from: Self.registrar)
            #expect(!sent.contains { $0.flow == FlowID(rawValue: 8) }, "\(other)")
        }
        // Another cluster's key makes another seal.
        var stranger = Self.bench(.supported)
        stranger.bench = ProxyBench(hash: KeyedHash(key0: 3, key1: 4)) { $0 = bench.bench.proxy.settings }
        let foreign = Self.path(&stranger)
        #expect(foreign != path && foreign.count == path.count)
        let sent = bench.receive(Self.request("MESSAGE", foreign, branch: "z9hG4bKf9"), from: Self.registrar)
        #expect(!sent.contains { $0.flow == FlowID(rawValue: 8) })
    }
}
