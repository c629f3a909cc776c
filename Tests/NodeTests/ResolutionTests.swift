// The node's side of names: questions leave by the outbox, answers come back as events, results are delivered; and
// `cluster.dns` turns addresses into peers.

import Node
import Primitives
import SIP
import Testing

/// A node, its clock, and a name server that is a table.
struct NamedNode {
    var node: Node
    var now = Instant.zero
    var out = Outbox()
    /// Addresses of every name; `nil`: the servers say nothing.
    var addresses: [String]? = []
    var ttl: UInt32 = 30
    private(set) var asked: [DNSQuestion] = []
    private(set) var bus: [BusAction] = []
    /// First line and destination of every datagram.
    private(set) var sent: [String] = []

    init(_ change: (inout Settings) -> Void = { _ in }) {
        node = Node(settings: LoneNodeTests.settings(change), boot: 1, seed: 7, now: .zero, unixMilliseconds: 0)
    }

    /// Answers what is asked until nothing is, and keeps what the shell would do.
    mutating func serve(isAnswering: Bool = true) {
        while true {
            for datagram in out.datagrams {
                let text = String(decoding: out.arena[datagram.range.range], as: UTF8.self)
                sent.append("\(text.prefix { $0 != "\r\n" }) → \(datagram.to.text)")
            }
            for action in out.bus {
                switch action {
                case .connect, .disconnect: bus.append(action)
                case .publish, .request, .reply, .probe, .recycle: break
                }
            }
            let questions = out.questions
            asked += questions
            out.removeAll()
            guard isAnswering, !questions.isEmpty else { return }
            for question in questions {
                let answer: DNSAnswer =
                    switch question.type {
                    case .a:
                        addresses.map { found in
                            found.isEmpty
                                ? DNSAnswer.none(ttl: nil)
                                : .addresses(found.compactMap { Address(text: $0) }, ttl: ttl)
                        } ?? .failed(.timedOut)
                    case .aaaa, .srv, .naptr: DNSAnswer.none(ttl: nil)
                    }
                node.receive(answer: answer, to: question, now: now, into: &out)
            }
        }
    }

    mutating func advance(milliseconds: Int64) {
        let end = now.advanced(milliseconds: milliseconds)
        var turns = 0
        while node.nextDeadline <= end, turns < 100_000 {
            now = max(now, node.nextDeadline)
            node.advance(to: now, into: &out)
            serve()
            turns += 1
        }
        now = end
        node.advance(to: now, into: &out)
        serve()
    }

    /// A request for a name arrives.
    mutating func ask(for uri: String, _ branch: String = "z9hG4bK1") {
        let text =
            "MESSAGE \(uri) SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=\(branch)\r\nMax-Forwards: 70\r\n"
            + "From: <sip:a@example.org>;tag=a\r\nTo: <sip:b@example.org>\r\nCall-ID: \(branch)\r\nCSeq: 1 MESSAGE\r\n"
            + "Content-Length: 0\r\n\r\n"
        let bytes = Array(text.utf8)
        node.receive(
            datagram: RawSpan(_elements: bytes.span), from: Endpoint(text: "10.0.0.9:5060")!,
            on: ListenerID(rawValue: 0), ageMilliseconds: 0, now: now, into: &out)
    }
}

@Suite("Names at a node, RFC 3263")
struct ResolutionTests {
    private static let uri = "sip:b@x.example"

    @Test func `a request's questions leave by the outbox, and it goes to the first address`() {
        var bench = NamedNode()
        bench.addresses = ["192.0.2.1", "192.0.2.2"]
        bench.ask(for: Self.uri)
        #expect(bench.out.questions == [DNSQuestion(name: Array("x.example".utf8), type: .naptr)])
        bench.serve()
        #expect(bench.asked.map(\.type) == [.naptr, .srv, .a])
        #expect(bench.sent == ["MESSAGE sip:b@x.example SIP/2.0 → 192.0.2.1:5060"])
    }

    @Test func `what is cached is delivered in the same turn`() {
        var bench = NamedNode()
        bench.addresses = ["192.0.2.1"]
        bench.ask(for: "sip:b@x.example:5070")
        bench.serve()
        bench.ask(for: "sip:b@x.example:5070", "z9hG4bK2")
        #expect(bench.out.questions.isEmpty)
        #expect(bench.out.datagrams.map(\.to.text) == ["192.0.2.1:5070"])
    }

    @Test func `a name without an address is answered 502`() {
        var bench = NamedNode()
        bench.ask(for: Self.uri)
        bench.serve()
        #expect(bench.sent == ["SIP/2.0 502 Bad Gateway → 10.0.0.9:5060"])
    }

    @Test func `silence ends after dns.timeout-ms, and the node asks for that moment`() {
        var bench = NamedNode { $0.dns.timeout = .milliseconds(700) }
        bench.ask(for: Self.uri)
        bench.serve(isAnswering: false)
        #expect(bench.node.nextDeadline <= Instant.zero.advanced(milliseconds: 700))
        bench.advance(milliseconds: 699)
        #expect(bench.sent.isEmpty)
        bench.advance(milliseconds: 1)
        #expect(bench.sent == ["SIP/2.0 502 Bad Gateway → 10.0.0.9:5060"])
        let metrics = bench.node.metrics(now: bench.now)
        #expect(metrics.first { $0.name == "understudy_dns_timeouts_total" }?.value == 1)
        #expect(metrics.first { $0.name == "understudy_dns_questions_under_way" }?.value == 0)
    }

    @Test func `families are those of the listeners, in their order`() {
        var bench = NamedNode {
            $0.sip.listen = [Endpoint(text: "[2001:db8::1]:5060")!, Endpoint(text: "10.0.0.1:5060")!]
        }
        bench.ask(for: "sip:b@x.example:5070")
        #expect(bench.out.questions.map(\.type) == [.aaaa, .a])
    }

    // MARK: cluster.dns

    private static func found(_ change: @escaping (inout Settings) -> Void = { _ in }) -> NamedNode {
        NamedNode {
            $0.cluster.bus = Endpoint(address: Address(text: "127.0.0.11")!, port: 7400, transport: .tcp)
            $0.cluster.dns = PeerName("nodes.example:7400")
            $0.cluster.forgetAfter = .seconds(60)
            change(&$0)
        }
    }

    private func connect(_ peer: Int, _ address: String) -> BusAction {
        .connect(peer: peer, to: Endpoint(address: Address(text: address)!, port: 7400, transport: .tcp))
    }

    @Test func `the addresses of the name are the peers, our own left out`() {
        var bench = Self.found()
        bench.addresses = ["127.0.0.12", "127.0.0.11", "127.0.0.13"]
        bench.advance(milliseconds: 0)
        #expect(bench.asked.map(\.type) == [.a])
        #expect(bench.bus == [connect(0, "127.0.0.12"), connect(1, "127.0.0.13")])
        let members = bench.node.status(now: bench.now).members.map(\.bus)
        #expect(members.contains("127.0.0.12:7400") && members.contains("127.0.0.13:7400"))
    }

    @Test func `a loopback bus takes loopback addresses only`() {
        var bench = Self.found()
        bench.addresses = ["192.0.2.7", "127.0.0.12"]
        bench.advance(milliseconds: 0)
        #expect(bench.bus == [connect(0, "127.0.0.12")])
    }

    @Test(arguments: [(1, 5_000), (30, 30_000), (300, 300_000)] as [(UInt32, Int64)])
    func `the name is looked up again when the answer ends, after 5 seconds at least`(ttl: UInt32, milliseconds: Int64)
    {
        var bench = Self.found()
        bench.addresses = ["127.0.0.12"]
        bench.ttl = ttl
        bench.advance(milliseconds: 0)
        bench.addresses = ["127.0.0.12", "127.0.0.13"]
        bench.advance(milliseconds: milliseconds - 1)
        #expect(bench.bus.count == 1)
        bench.advance(milliseconds: 1)
        #expect(bench.bus == [connect(0, "127.0.0.12"), connect(1, "127.0.0.13")])
    }

    @Test func `an address that vanished and is silent is given up after forget-after, and its position used again`() {
        var bench = Self.found()
        bench.addresses = ["127.0.0.12", "127.0.0.13"]
        bench.advance(milliseconds: 0)
        bench.addresses = ["127.0.0.13"]
        bench.advance(milliseconds: 90_000)
        #expect(bench.bus.count == 2)
        bench.advance(milliseconds: 31_000)
        #expect(bench.bus.dropFirst(2) == [.disconnect(peer: 0)])
        bench.addresses = ["127.0.0.13", "127.0.0.14"]
        bench.advance(milliseconds: 31_000)
        #expect(bench.bus.dropFirst(3) == [connect(0, "127.0.0.14")])
        #expect(!bench.node.status(now: bench.now).members.map(\.bus).contains("127.0.0.12:7400"))
    }

    @Test func `servers that say nothing cost no peer`() {
        var bench = Self.found()
        bench.addresses = ["127.0.0.12"]
        bench.advance(milliseconds: 0)
        bench.addresses = nil
        bench.advance(milliseconds: 300_000)
        #expect(bench.bus == [connect(0, "127.0.0.12")])
    }

    @Test func `63 positions are all there are, and what finds none is counted`() {
        var bench = Self.found { $0.cluster.forgetAfter = .seconds(604_800) }
        bench.ttl = 1
        for round in 0..<5 {
            bench.addresses = (0..<16).map { "127.0.\(round + 1).\($0 + 1)" }
            bench.advance(milliseconds: 6_000)
        }
        #expect(bench.bus.count == 63)
        let refused = bench.node.metrics(now: bench.now).first { $0.name == "understudy_peers_refused_total" }
        #expect((refused?.value ?? 0) >= 17)
    }

    @Test
    func `without an answer a node does not take itself for alone; with an empty one it does after the bootstrap time`()
    {
        var silent = Self.found { $0.cluster.bootstrapAfter = .seconds(10) }
        silent.addresses = nil
        silent.advance(milliseconds: 60_000)
        #expect(silent.node.status(now: silent.now).state == "joining")
        var alone = Self.found { $0.cluster.bootstrapAfter = .seconds(10) }
        alone.addresses = ["127.0.0.11"]
        alone.advance(milliseconds: 9_000)
        #expect(alone.node.status(now: alone.now).state == "joining")
        alone.advance(milliseconds: 2_000)
        #expect(alone.node.status(now: alone.now).state == "up")
        #expect(alone.node.status(now: alone.now).view == ["n1"])
    }
}
