// RFC 3263 rule by rule: a zone, a target, the endpoints in order, and nothing asked that need not be.

import Primitives
import SIP
import Testing

@Suite("Locating SIP servers, RFC 3263 §4")
struct ResolverTests {
    /// The zone of the example in §4.1.
    static let example = """
        example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com
        example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com
        example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com
        _sips._tcp.example.com SRV 0 1 5061 server1.example.com
        _sip._tcp.example.com SRV 0 0 5060 server1.example.com
        _sip._tcp.example.com SRV 1 0 5060 server2.example.com
        _sip._udp.example.com SRV 0 1 5060 server2.example.com
        server1.example.com A 192.0.2.1
        server2.example.com A 192.0.2.2
        """

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var target: String
        var transports: [TransportProtocol] = [.udp, .tcp, .tls, .ws, .wss]
        var zone = ResolverTests.example
        var expected: [String]
        var testDescription: String { name }
    }

    @Test(arguments: [
        Case(
            name: "§4.1, the example: a client of TCP and UDP uses TCP, by the SRV records of it",
            target: "example.com", transports: [.udp, .tcp],
            expected: ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5060"]),
        Case(
            name: "a sip URI keeps SIPS services when the client speaks TLS", target: "example.com",
            expected: ["tls 192.0.2.1:5061"]),
        Case(
            name: "a sips URI discards services without SIPS", target: "sips example.com",
            zone: ResolverTests.example.replacing("SIPS+D2T", with: "SIP+D2W"), expected: ["tls 192.0.2.1:5061"]),
        Case(
            name: "a sips URI uses its SIPS service", target: "sips example.com", expected: ["tls 192.0.2.1:5061"]),
        Case(
            name: "a client of UDP alone uses the UDP service", target: "example.com", transports: [.udp],
            expected: ["udp 192.0.2.2:5060"]),
        Case(
            name: "a written transport is used, and its SRV records asked for at once", target: "example.com;udp",
            expected: ["udp 192.0.2.2:5060"]),
        Case(
            name: "a written port is used with UDP, and only addresses are asked for",
            target: "server1.example.com:5070",
            expected: ["udp 192.0.2.1:5070"]),
        Case(
            name: "a written port with sips is used with TLS", target: "sips server1.example.com:5070",
            expected: ["tls 192.0.2.1:5070"]),
        Case(
            name: "a written port and transport are both used", target: "server1.example.com:5070;tcp",
            expected: ["tcp 192.0.2.1:5070"]),
        Case(
            name: "transport=tcp under sips means TLS", target: "sips example.com;tcp", expected: ["tls 192.0.2.1:5061"]
        ),
        Case(name: "transport=udp under sips means nothing", target: "sips example.com;udp", expected: []),
        Case(name: "transport=sctp is not spoken", target: "example.com;sctp", expected: []),
        Case(
            name: "a transport that this node does not speak", target: "example.com;tcp", transports: [.udp],
            expected: []),
        Case(
            name: "sips at a node without TLS goes nowhere, not in the clear", target: "sips example.com",
            transports: [.udp, .tcp], expected: []),
        Case(
            name: "without NAPTR each transport's SRV is asked for, in the client's order", target: "example.com",
            transports: [.tcp, .udp], zone: ResolverTests.example.replacing("NAPTR", with: "NAPTR 0"),
            expected: ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5060", "udp 192.0.2.2:5060"]),
        Case(
            name: "without NAPTR and SRV the host's addresses on the default port of UDP",
            target: "server1.example.com",
            expected: ["udp 192.0.2.1:5060"]),
        Case(
            name: "the same with sips: TLS on 5061", target: "sips server1.example.com",
            expected: ["tls 192.0.2.1:5061"]),
        Case(
            name: "a written transport without SRV: its default port", target: "server1.example.com;ws",
            expected: ["ws 192.0.2.1:80"]),
        Case(name: "a name that is not there", target: "nowhere.example.com", expected: []),
    ])
    func `targets`(_ row: Case) {
        // A NAPTR line with a word too many has no replacement and is therefore unusable.
        let lines = row.zone.split(separator: "\n").filter { !$0.contains("NAPTR 0") }
        var bench = ResolverBench(lines.joined(separator: "\n"), transports: row.transports)
        #expect(bench.resolve(row.target) == row.expected)
        let asked = bench.asked
        #expect(Set(asked).count == asked.count, "a question asked twice")
        // What is in the cache now is enough for the next one.
        #expect(bench.resolve(row.target) == row.expected)
        #expect(bench.asked == asked)
    }

    @Test func `a written port asks for nothing but addresses, a written transport for no NAPTR`() {
        var bench = ResolverBench(Self.example)
        _ = bench.resolve("server1.example.com:5070")
        #expect(bench.asked.map(\.words) == ["server1.example.com a"])
        _ = bench.resolve("example.com;udp")
        #expect(
            bench.asked.dropFirst().map(\.words) == ["_sip._udp.example.com srv", "server2.example.com a"])
    }

    @Test(arguments: [
        ("x.example NAPTR 10 1 s SIP+D2U _sip._udp.x.example", "udp"),
        ("x.example NAPTR 10 1 S sip+d2t _sip._tcp.x.example", "tcp"),
        ("x.example NAPTR 10 1 s SIPS+D2T _sips._tcp.x.example", "tls"),
        ("x.example NAPTR 10 1 s SIP+D2W _sip._ws.x.example", "ws"),
        ("x.example NAPTR 10 1 s SIPS+D2W _sips._ws.x.example", "wss"),
        ("x.example NAPTR 10 1 s SIP+D2S _sip._udp.x.example", "default"),
        ("x.example NAPTR 10 1 s E2U+sip _sip._udp.x.example", "default"),
        ("x.example NAPTR 10 1 a SIP+D2U _sip._udp.x.example", "default"),
        ("x.example NAPTR 10 1 - SIP+D2U _sip._udp.x.example", "default"),
        ("x.example NAPTR 10 1 su SIP+D2U _sip._udp.x.example", "default"),
        ("x.example NAPTR 10 1 s SIP+D2U - ", "default"),
        ("x.example NAPTR 10 1 s SIP+D2U _sip._udp.x.example !.*!x!", "default"),
    ])
    func `services of NAPTR, and records that are skipped`(record: String, transport: String) {
        let zone = """
            \(record)
            _sip._udp.x.example SRV 1 1 1001 h.example
            _sip._tcp.x.example SRV 1 1 1002 h.example
            _sips._tcp.x.example SRV 1 1 1003 h.example
            _sip._ws.x.example SRV 1 1 1004 h.example
            _sips._ws.x.example SRV 1 1 1005 h.example
            h.example A 192.0.2.1
            """
        let ports = ["udp": 1001, "tcp": 1002, "tls": 1003, "ws": 1004, "wss": 1005]
        var bench = ResolverBench(zone)
        let found = bench.resolve("x.example")
        if let port = ports[transport] {
            #expect(found == ["\(transport) 192.0.2.1:\(port)"])
        } else {
            #expect(found == ["udp 192.0.2.1:1001", "tcp 192.0.2.1:1002", "ws 192.0.2.1:1004"])
        }
    }

    @Test func `the lowest usable order counts, and within it the preference, each by its own SRV name`() {
        let zone = """
            x.example NAPTR 20 1 s SIP+D2T _c.x.example
            x.example NAPTR 10 7 s SIP+D2T _b.x.example
            x.example NAPTR 10 3 s SIP+D2U _a.x.example
            x.example NAPTR 5 1 s SIP+D2S _d.x.example
            _a.x.example SRV 1 1 1001 h.example
            _b.x.example SRV 1 1 1002 h.example
            _c.x.example SRV 1 1 1003 h.example
            h.example A 192.0.2.1
            """
        var bench = ResolverBench(zone)
        #expect(bench.resolve("x.example") == ["udp 192.0.2.1:1001", "tcp 192.0.2.1:1002"])
        #expect(!bench.asked.contains(DNSQuestion("_c.x.example", .srv)))
    }

    @Test func `an SRV target of "." says that the service is not there, and the host is not tried`() {
        var bench = ResolverBench("_sip._udp.x.example SRV 0 0 0 .\nx.example A 192.0.2.1", transports: [.udp])
        #expect(bench.resolve("x.example") == [])
        #expect(!bench.asked.contains(DNSQuestion("x.example", .a)))
    }

    @Test func `servers are listed by priority, whatever their weights`() {
        let zone = (0..<6).map { "_sip._udp.x.example SRV \($0) \(60_000 - $0 * 9_999) 5060 h\($0).example" }
        let addresses = (0..<6).map { "h\($0).example A 192.0.2.\($0)" }
        for seed in 1...20 as ClosedRange<UInt64> {
            var bench = ResolverBench((zone.reversed() + addresses).joined(separator: "\n"), seed: seed)
            #expect(bench.resolve("x.example;udp") == (0..<6).map { "udp 192.0.2.\($0):5060" })
        }
    }

    @Test func `addresses of both families alternate, the preferred one first`() {
        let zone = """
            h.example A 192.0.2.1
            h.example A 192.0.2.2
            h.example A 192.0.2.3
            h.example AAAA 2001:db8::1
            """
        var six = ResolverBench(zone, families: [.ipv6, .ipv4])
        let first = ["udp [2001:db8::1]:5060", "udp 192.0.2.1:5060", "udp 192.0.2.2:5060", "udp 192.0.2.3:5060"]
        #expect(six.resolve("h.example:5060") == first)
        var four = ResolverBench(zone, families: [.ipv4, .ipv6])
        #expect(
            four.resolve("h.example:5060")
                == ["udp 192.0.2.1:5060", "udp [2001:db8::1]:5060", "udp 192.0.2.2:5060", "udp 192.0.2.3:5060"])
        var only = ResolverBench(zone, families: [.ipv6])
        #expect(only.resolve("h.example:5060") == ["udp [2001:db8::1]:5060"])
        #expect(only.asked.map(\.words) == ["h.example aaaa"])
    }

    @Test func `sixteen endpoints at most, none twice, none unspecified`() {
        let zone = (1...40).map { "h.example A 192.0.2.\($0 % 20 + 1)" } + ["h.example A 0.0.0.0"]
        var bench = ResolverBench(zone.joined(separator: "\n"))
        let found = bench.resolve("h.example:5060") ?? []
        #expect(found.count == 16)
        #expect(Set(found).count == 16)
        var none = ResolverBench("h.example A 0.0.0.0")
        #expect(none.resolve("h.example:5060") == [])
    }

    @Test func `of forty SRV records the first sixteen by priority are looked up`() {
        let zone = (0..<40).flatMap {
            ["_sip._udp.x.example SRV \($0) 1 5060 h\($0).example", "h\($0).example A 10.0.0.\($0)"]
        }
        var bench = ResolverBench(zone.joined(separator: "\n"))
        #expect(bench.resolve("x.example;udp")?.count == 16)
        #expect(bench.asked.count == 17)
    }

    @Test func `a server that answers NAPTR and SRV with an error is taken to have none`() {
        var bench = ResolverBench("x.example A 192.0.2.1", transports: [.udp])
        bench.zone.answers[DNSQuestion("x.example", .naptr)] = .failed(.refused(code: 4))
        bench.zone.answers[DNSQuestion("_sip._udp.x.example", .srv)] = .failed(.refused(code: 2))
        let end = bench.resolution("x.example")
        #expect(end?.endpoints.map(\.words) == ["udp 192.0.2.1:5060"])
        #expect(end?.hasFailed == true)
        #expect(bench.resolver.counters.failures == 2)
    }

    @Test func `servers that say nothing end the resolution at the first question`() {
        var bench = ResolverBench()
        bench.zone.answers[DNSQuestion("x.example", .naptr)] = .failed(.timedOut)
        #expect(bench.resolution("x.example")?.endpoints == [])
        #expect(bench.asked.map(\.words) == ["x.example naptr"])
    }

    @Test func `one server of two without an address leaves the other`() {
        let zone = """
            _sip._udp.x.example SRV 1 1 5060 gone.example
            _sip._udp.x.example SRV 2 1 5060 here.example
            here.example A 192.0.2.1
            """
        var bench = ResolverBench(zone)
        bench.zone.answers[DNSQuestion("gone.example", .a)] = .failed(.timedOut)
        let end = bench.resolution("x.example;udp")
        #expect(end?.endpoints.map(\.words) == ["udp 192.0.2.1:5060"])
        #expect(end?.hasFailed == true)
    }

    @Test(arguments: [
        String(repeating: "a", count: 64) + ".example", String(repeating: "abcdefgh.", count: 28) + "example",
        "a..example", ".example", "ex ample", "ex\\000ample", "exämple",
    ])
    func `a name that cannot exist is not asked for`(host: String) {
        var bench = ResolverBench()
        #expect(bench.resolve(host) == [])
        #expect(bench.asked.isEmpty)
    }

    @Test func `the longest name whose SRV names would be too long is asked for without them`() {
        let host = String(repeating: "abcdefgh.", count: 27) + "example"
        var bench = ResolverBench("\(host) A 192.0.2.1")
        #expect(bench.resolve(host) == ["udp 192.0.2.1:5060"])
        #expect(bench.asked.map(\.type) == [.naptr, .a])
    }

    @Test func `addresses of a host, for cluster.dns, need no transport of SIP`() {
        var bench = ResolverBench("n.example A 192.0.2.1\nn.example A 192.0.2.2", ttl: 30, transports: [.udp])
        var actions: [ResolverAction] = []
        bench.resolver.resolve(
            host: Array("n.example".utf8), port: 7400, transport: .tcp, families: [.ipv4], token: 9, now: .zero,
            into: &actions)
        #expect(actions == [.ask(DNSQuestion("n.example", .a))])
        let (_, ended) = bench.answer(DNSQuestion("n.example", .a), bench.zone.answer(DNSQuestion("n.example", .a)))
        #expect(ended.map(\.token) == [9])
        #expect(ended.first?.endpoints.map(\.words) == ["tcp 192.0.2.1:7400", "tcp 192.0.2.2:7400"])
        #expect(ended.first?.until == Instant.zero.advanced(by: .seconds(30)))
    }
}

@Suite("The order of servers, RFC 2782")
struct ServiceOrderTests {
    private func service(_ priority: UInt16, _ weight: UInt16, _ name: String) -> DNSService {
        DNSService(priority: priority, weight: weight, port: 5060, target: Array(name.utf8))
    }

    @Test func `among equals the first is drawn in proportion to the weights`() {
        let services = [service(1, 10, "a"), service(1, 30, "b"), service(1, 60, "c"), service(1, 0, "d")]
        var random = SplitMix(seed: 2782)
        var first: [String: Int] = [:]
        let rounds = 20_000
        for _ in 0..<rounds {
            let order = ServiceOrder.ordered(services, using: &random)
            #expect(order.count == 4)
            first[String(decoding: order[0].target, as: UTF8.self), default: 0] += 1
        }
        // A number from 0 to 100 inclusive: d at 0, a at 1...10, b at 11...40, c at 41...100.
        for (name, share) in [("d", 1.0), ("a", 10), ("b", 30), ("c", 60)] {
            let expected = share / 101 * Double(rounds)
            let deviation = 5 * expected.squareRoot()
            #expect(
                abs(Double(first[name] ?? 0) - expected) < deviation, "\(name): \(first[name] ?? 0), not \(expected)")
        }
    }

    @Test func `after the first draw the rest is drawn by its own weights`() {
        let services = [service(1, 1, "a"), service(1, 1, "b"), service(1, 98, "c")]
        var random = SplitMix(seed: 1)
        var second = 0
        var rounds = 0
        for _ in 0..<20_000 {
            let order = ServiceOrder.ordered(services, using: &random)
            guard order[0].target == Array("c".utf8) else { continue }
            rounds += 1
            if order[1].target == Array("b".utf8) { second += 1 }
        }
        // 0, 1 → a; 2 → b: the RFC's inclusive range favours the first.
        #expect(rounds > 18_000)
        #expect(abs(Double(second) / Double(rounds) - 1.0 / 3) < 0.02)
    }

    @Test func `a lower priority comes first, and every server once`() {
        var random = SplitMix(seed: 3)
        let services = (0..<12).map { service(UInt16($0 / 4), UInt16($0 * 10), "\($0)") }
        for _ in 0..<100 {
            let order = ServiceOrder.ordered(services.reversed(), using: &random)
            #expect(order.map(\.priority) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
            #expect(Set(order) == Set(services))
        }
        #expect(ServiceOrder.ordered([], using: &random) == [])
    }
}
