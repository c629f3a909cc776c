// Requests that make a subscription are record-routed, and its requests find the connection of a phone from every node.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Subscriptions over connections, RFC 6665 and RFC 5626 §5.3")
struct SubscriptionTests {
    private static let browser = "sip:x1@random.invalid;transport=ws"
    private static let notifier = ProxyBench.callee

    private static func subscribe(_ method: String = "SUBSCRIBE", contact: String = browser) -> String {
        Call.request(method, contact: contact, extra: "Event: presence\r\n")
    }

    /// A NOTIFY within the subscription, with this route set.
    private static func notify(_ routes: [String], branch: String = "z9hG4bKn1", toTag: String = "alice") -> String {
        Call.request(
            "NOTIFY", uri: browser, via: notifier, branch: branch, cSeq: 1, toTag: toTag, fromTag: "bob",
            route: routes, contact: "sip:bob@\(notifier)", from: "sip:bob@example.org", to: "sip:alice@example.org")
    }

    /// A subscription of a phone on a WebSocket; the Record-Routes as its notifier got them.
    private static func routes(_ bench: inout StreamBench, _ method: String = "SUBSCRIBE") -> [String] {
        let sent = bench.receive(overTCP(subscribe(method), "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
        return sent[0].sent.headers("Record-Route")
    }

    @Test(arguments: ["SUBSCRIBE", "REFER"])
    func `each side has its own entry, and the one of the phone names its connection`(method: String) {
        var bench = StreamBench()
        let routes = Self.routes(&bench, method)
        #expect(routes.count == 2)
        #expect(routes[0].hasPrefix("<sip:uss000000000000000000000000") && routes[0].hasSuffix("@10.0.1.9:5060;lr>"))
        #expect(routes[1].hasPrefix("<sip:uss111111110000000000000008"))
        #expect(routes[1].hasSuffix("@10.0.1.9:80;transport=ws;lr>"))
        #expect(bench.bench.puts.isEmpty, "there is no record of it")
    }

    @Test func `a NOTIFY goes over the connection, and is record-routed itself`() {
        var bench = StreamBench()
        let routes = Self.routes(&bench)
        let sent = bench.receive(Self.notify(routes), from: Self.notifier)
        #expect(sent.map(\.flow) == [FlowID(rawValue: 8)] && sent.map(\.transport) == [.ws])
        #expect(sent[0].sent.headers("Route").isEmpty && sent[0].sent.firstLine == "NOTIFY \(Self.browser) SIP/2.0")
        // For the phone the entry next to it is its own; from here it refreshes the subscription.
        #expect(
            sent[0].sent.headers("Record-Route").map { String($0.prefix(32)) } == [
                "<sip:uss111111110000000000000008", "<sip:uss000000000000000000000000",
            ])
        let refresh = Call.request(
            "SUBSCRIBE", uri: "sip:bob@10.0.0.2:5060", branch: "z9hG4bKs2", cSeq: 2, toTag: "bob",
            route: routes.reversed(), contact: Self.browser)
        let again = bench.receive(overTCP(refresh, "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
        #expect(again.map(\.sent.to) == [Self.notifier] && again.map(\.transport) == [.udp])
        #expect(again[0].sent.header("Record-Route") == nil)
    }

    @Test func `on another node it is passed to the member that holds the connection`() {
        var holder = StreamBench()
        let routes = Self.routes(&holder)
        var other = StreamBench { $0.memberTag = 0x2222_2223 }
        let member = PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node)!, isLive: true)
        other.bench.proxy.neighbours.peers = [member]
        holder.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2223, endpoint: Endpoint(text: "10.0.1.2:5060")!, isLive: true)
        ]
        let passed = other.receive(Self.notify(routes), from: Self.notifier)
        #expect(passed.map(\.sent.to) == [ProxyBench.node])
        let sent = holder.receive(passed[0].sent.text, from: "10.0.1.2:5060")
        #expect(sent.map(\.flow) == [FlowID(rawValue: 8)] && sent[0].sent.headers("Route").isEmpty)
        #expect(sent[0].sent.headers("Record-Route").count == passed[0].sent.headers("Record-Route").count)
        // When it has died the phone cannot be reached.
        other.bench.proxy.neighbours.peers[0].isLive = false
        let gone = other.receive(Self.notify(routes, branch: "z9hG4bKn2"), from: Self.notifier)
        #expect(gone.map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
    }

    @Test func `when the connection has ended a Contact that can be sent to is`() {
        var bench = StreamBench()
        let tcp = "sip:alice@10.0.0.1:5070;transport=tcp"
        let sent = bench.receive(
            overTCP(Self.subscribe(contact: tcp)), from: "10.0.0.1:40000", .tcp, flow: 8)
        let routes = sent[0].sent.headers("Record-Route")
        bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        let notify = Self.notify(routes).replacing(Self.browser, with: tcp)
        let again = bench.receive(notify, from: Self.notifier)
        #expect(again.map(\.sent.to) == ["10.0.0.1:5070"] && again.map(\.transport) == [.tcp])
    }

    @Test func `a subscriber without a tag is found all the same`() {
        var bench = StreamBench()
        let routes = Self.routes(&bench)
        let notify = Self.notify(routes, toTag: "")
        let sent = bench.receive(notify, from: Self.notifier)
        #expect(sent.map(\.flow) == [FlowID(rawValue: 8)])
    }

    @Test func `between phones by UDP one entry is enough, and within a call nothing is recorded`() {
        var bench = StreamBench()
        let sent = bench.receive(
            Self.subscribe(contact: "sip:alice@10.0.0.1:5060"), from: ProxyBench.caller)
        #expect(sent[0].sent.headers("Record-Route").count == 1)
        var call = StreamBench()
        let invite = call.receive(
            overTCP(Call.request("INVITE", contact: Self.browser), "WS"), from: "10.0.0.1:40000", .ws, flow: 8)[0]
        _ = call.receive(Call.response(200, to: invite.sent), from: ProxyBench.callee)
        let refer = Call.request(
            "REFER", branch: "z9hG4bKf", cSeq: 2, toTag: "bob", route: invite.sent.headers("Record-Route").reversed(),
            contact: Self.browser)
        let referred = call.receive(overTCP(refer, "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
        #expect(referred.map(\.sent.to) == [ProxyBench.callee] && referred[0].sent.header("Record-Route") == nil)
        let message = call.receive(
            Call.request("MESSAGE", branch: "z9hG4bKm", contact: nil), from: ProxyBench.caller)
        #expect(message[0].sent.header("Record-Route") == nil, "it makes no dialog")
    }

    @Test func `all branches of a fork carry it`() {
        var bench = StreamBench { settings in
            let targets = ["10.0.0.11:5060", "10.0.0.12:5060"].map { text in
                TargetSet.Target(uri: Array("sip:\(text)".utf8), namesUser: false, endpoint: Endpoint(text: text))
            }
            settings.targetSets = [TargetSet(name: "servers", targets: targets)]
            settings.targetSets[0].policy = .parallel
            settings.routes = [StaticRoute(set: 0)]
        }
        let sent = bench.receive(overTCP(Self.subscribe(), "WS"), from: "10.0.0.1:40000", .ws, flow: 8)
        let routes = sent.map { $0.sent.headers("Record-Route") }
        #expect(routes.count == 2 && routes[0].count == 2 && routes[0] == routes[1])
        #expect(bench.receive(Self.notify(routes[0]), from: Self.notifier).map(\.flow) == [FlowID(rawValue: 8)])
    }

    @Test func `only what the cluster wrote names a connection`() {
        var bench = StreamBench()
        let routes = Self.routes(&bench)
        let place = routes[1].index(routes[1].startIndex, offsetBy: 31)
        for (index, digit) in ["9", "g"].enumerated() {
            let forged = routes[1].replacingCharacters(at: place, with: digit)
            let sent = bench.receive(
                Self.notify([routes[0], forged], branch: "z9hG4bKf\(index)"), from: Self.notifier)
            #expect(!sent.contains { $0.flow == FlowID(rawValue: 8) })
        }
    }
}

extension String {
    fileprivate func replacingCharacters(at place: Index, with text: String) -> String {
        String(self[..<place]) + text + self[index(after: place)...]
    }
}
