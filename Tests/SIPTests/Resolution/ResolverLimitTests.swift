// The resolver's memory and its bounds: times to live, silence, stale answers, and every limit reached.

import Primitives
import SIP
import Testing

@Suite("What a resolver keeps, and its limits")
struct ResolverLimitTests {
    private let host = DNSQuestion("h.example", .a)
    private func addresses(_ last: Int, ttl: UInt32) -> DNSAnswer {
        .addresses([Address(ipv4: 0xC000_0200 + UInt32(last))], ttl: ttl)
    }

    @Test(
        arguments: [(0, 1_000), (1, 1_000), (60, 60_000), (86_400, 86_400_000), (2_000_000, 86_400_000)]
            as [(Int, Int64)])
    func `an answer is kept for its time to live, a second at least and a day at most`(ttl: Int, milliseconds: Int64) {
        var bench = ResolverBench("h.example A 192.0.2.1", ttl: UInt32(ttl))
        #expect(bench.resolve("h.example:5060") == ["udp 192.0.2.1:5060"])
        _ = bench.advance(milliseconds: milliseconds - 1)
        _ = bench.resolve("h.example:5060")
        #expect(bench.asked.count == 1)
        _ = bench.advance(milliseconds: 1)
        _ = bench.resolve("h.example:5060")
        #expect(bench.asked.count == 2)
        #expect(bench.resolver.counters.hits == 1)
        #expect(bench.resolver.counters.misses == 2)
    }

    @Test(arguments: [(nil, 5_000), (30, 30_000), (0, 1_000)] as [(UInt32?, Int64)])
    func `that there is none is kept as the SOA says, else for five seconds`(ttl: UInt32?, milliseconds: Int64) {
        var bench = ResolverBench()
        bench.zone.answers[host] = DNSAnswer.none(ttl: ttl)
        #expect(bench.resolve("h.example:5060") == [])
        _ = bench.advance(milliseconds: milliseconds - 1)
        #expect(bench.resolve("h.example:5060") == [])
        #expect(bench.asked.count == 1)
        _ = bench.advance(milliseconds: 1)
        _ = bench.resolve("h.example:5060")
        #expect(bench.asked.count == 2)
    }

    @Test func `equal questions under way are asked once, and all who wait are answered in order`() {
        var bench = ResolverBench()
        let first = bench.begin("h.example:5060")
        let second = bench.begin("h.example:5070")
        let third = bench.begin("h.example:5060;tcp")
        #expect(first.asked == [host])
        #expect(second.asked.isEmpty && third.asked.isEmpty)
        let (_, ended) = bench.answer(host, addresses(1, ttl: 60))
        #expect(ended.map(\.token) == [first.token, second.token, third.token])
        #expect(
            ended.flatMap { $0.endpoints.map(\.words) }
                == ["udp 192.0.2.1:5060", "udp 192.0.2.1:5070", "tcp 192.0.2.1:5060"])
        #expect(bench.resolver.counters.coalesced == 2)
        #expect(bench.resolver.waitingCount == 0 && bench.resolver.questionCount == 0)
    }

    @Test func `a question without an answer fails after five seconds, and is not asked again for five more`() {
        var bench = ResolverBench()
        #expect(bench.begin("h.example:5060").ended.isEmpty)
        #expect(bench.resolver.nextDeadline == Instant.zero.advanced(by: .seconds(5)))
        #expect(bench.advance(milliseconds: 4_999).ended.isEmpty)
        let (_, ended) = bench.advance(milliseconds: 1)
        #expect(ended.map(\.endpoints) == [[]])
        #expect(ended.first?.hasFailed == true)
        #expect(bench.resolver.nextDeadline == .distantFuture)
        #expect(bench.resolver.counters.timeouts == 1)
        #expect(bench.begin("h.example:5060").ended.count == 1)
        _ = bench.advance(milliseconds: 5_000)
        #expect(bench.begin("h.example:5060").asked == [host])
    }

    @Test func `an answer that comes too late is kept for the next, a late failure is not`() {
        var bench = ResolverBench()
        _ = bench.begin("h.example:5060")
        _ = bench.advance(milliseconds: 5_000)
        #expect(bench.answer(host, addresses(7, ttl: 60)).ended.isEmpty)
        _ = bench.answer(host, .failed(.timedOut))
        #expect(bench.begin("h.example:5060").ended.first?.endpoints.map(\.words) == ["udp 192.0.2.7:5060"])
        #expect(bench.resolver.counters.late == 2)
    }

    @Test func `an expired answer stands in for up to an hour when the servers do not answer`() {
        var bench = ResolverBench("h.example A 192.0.2.1", ttl: 60)
        _ = bench.resolve("h.example:5060")
        bench.zone.answers[host] = .failed(.timedOut)
        _ = bench.advance(milliseconds: 60_000)
        let stale = bench.resolution("h.example:5060")
        #expect(stale?.endpoints.map(\.words) == ["udp 192.0.2.1:5060"])
        #expect(bench.resolver.counters.stale == 1)
        // For five seconds it is served without asking; then the servers are tried again.
        #expect(bench.begin("h.example:5060").ended.first?.endpoints.count == 1)
        #expect(bench.asked.count == 2)
        #expect(bench.resolver.counters.stale == 2)
        _ = bench.advance(milliseconds: 5_000)
        #expect(bench.resolve("h.example:5060")?.count == 1)
        #expect(bench.asked.count == 3)
        _ = bench.advance(milliseconds: 3_600_000 - 5_000)
        #expect(bench.resolve("h.example:5060") == [])
    }

    @Test func `servers that come back end the stale answer`() {
        var bench = ResolverBench("h.example A 192.0.2.1", ttl: 1)
        _ = bench.resolve("h.example:5060")
        bench.zone.answers[host] = .failed(.unreachable)
        _ = bench.advance(milliseconds: 1_000)
        #expect(bench.resolve("h.example:5060") == ["udp 192.0.2.1:5060"])
        bench.zone.answers[host] = addresses(2, ttl: 60)
        _ = bench.advance(milliseconds: 5_000)
        #expect(bench.resolve("h.example:5060") == ["udp 192.0.2.2:5060"])
    }

    @Test func `that there is none any more is believed at once`() {
        var bench = ResolverBench("h.example A 192.0.2.1", ttl: 1)
        _ = bench.resolve("h.example:5060")
        bench.zone.answers[host] = DNSAnswer.none(ttl: nil)
        _ = bench.advance(milliseconds: 1_000)
        #expect(bench.resolve("h.example:5060") == [])
        #expect(bench.resolver.counters.stale == 0)
    }

    @Test(arguments: [
        DNSAnswer.services([], ttl: 1), .pointers([], ttl: 1), .addresses([Address(high: 1, low: 1)], ttl: 1),
    ])
    func `records of another type fail the question and are counted`(answer: DNSAnswer) {
        var bench = ResolverBench()
        _ = bench.begin("h.example:5060")
        let (_, ended) = bench.answer(host, answer)
        #expect(ended.map(\.endpoints) == [[]])
        #expect(bench.resolver.counters.malformed == 1)
        #expect(bench.resolver.counters.failures == 1)
    }

    @Test func `the cache has 8192 entries, and the least recently used one goes`() {
        let limit = ResolverSettings().cacheLimit
        #expect(limit == 8_192)
        var bench = ResolverBench()
        func target(_ number: Int) -> String { "h\(number).example:5060" }
        for number in 0..<limit {
            bench.zone.answers[DNSQuestion("h\(number).example", .a)] = addresses(1, ttl: 86_400)
            _ = bench.resolve(target(number))
        }
        #expect(bench.resolver.cachedCount == limit)
        // 0 is used again, so 1 is the oldest.
        #expect(bench.begin(target(0)).asked.isEmpty)
        _ = bench.resolve("one.more.example:5060")
        #expect(bench.resolver.cachedCount == limit)
        #expect(bench.resolver.counters.evicted == 1)
        #expect(bench.begin(target(0)).asked.isEmpty)
        #expect(bench.begin(target(2)).asked.isEmpty)
        #expect(bench.begin(target(1)).asked.count == 1)
    }

    @Test func `1024 questions are under way at most, and one more fails for who wanted it`() {
        var bench = ResolverBench()
        let limit = ResolverSettings().questionLimit
        #expect(limit == 1_024)
        for number in 0..<limit { #expect(bench.begin("h\(number).example:5060").asked.count == 1) }
        let refused = bench.begin("one.more.example:5060")
        #expect(refused.asked.isEmpty)
        #expect(refused.ended.map(\.token) == [refused.token])
        #expect(refused.ended.first?.hasFailed == true)
        #expect(bench.resolver.counters.questionsRefused == 1)
        // It is not remembered as a failure: with room it is asked.
        _ = bench.answer(DNSQuestion("h0.example", .a), addresses(1, ttl: 60))
        #expect(bench.begin("one.more.example:5060").asked.count == 1)
        #expect(bench.resolver.questionCount == limit)
        // Those who want what is being asked already still join.
        #expect(bench.begin("h1.example:5070").ended.isEmpty)
    }

    @Test func `4096 resolutions wait at most, and one more ends at once, empty`() {
        var bench = ResolverBench()
        let limit = ResolverSettings().waitingLimit
        #expect(limit == 4_096)
        for _ in 0..<limit { #expect(bench.begin("h.example:5060").ended.isEmpty) }
        let refused = bench.begin("h.example:5060")
        #expect(refused.ended.map(\.endpoints) == [[]])
        #expect(bench.resolver.counters.resolutionsRefused == 1)
        #expect(bench.answer(host, addresses(1, ttl: 60)).ended.count == limit)
        #expect(bench.resolver.waitingCount == 0)
    }

    @Test func `a cache smaller than one resolution needs does not make it ask twice`() {
        let zone = """
            x.example NAPTR 1 1 s SIP+D2U _sip._udp.x.example
            _sip._udp.x.example SRV 1 1 5060 a.example
            _sip._udp.x.example SRV 2 1 5060 b.example
            a.example A 192.0.2.1
            b.example A 192.0.2.2
            """
        var bench = ResolverBench(zone) { $0.cacheLimit = 1 }
        #expect(bench.resolve("x.example") == ["udp 192.0.2.1:5060", "udp 192.0.2.2:5060"])
        #expect(bench.asked.count == 4)
    }

    @Test func `one seed gives one trace`() {
        let zone = (0..<8).map { "_sip._udp.x.example SRV 1 \($0) 5060 h\($0).example\nh\($0).example A 10.0.0.\($0)" }
        func trace(_ seed: UInt64) -> [[String]?] {
            var bench = ResolverBench(zone.joined(separator: "\n"), seed: seed)
            return (0..<20).map { _ in bench.resolve("x.example;udp") }
        }
        #expect(trace(5) == trace(5))
        #expect(trace(5) != trace(6))
    }

    @Test func `any order of answers, failures and time ends every resolution exactly once`() {
        var random = SplitMix(seed: 0xD05)
        let hosts = ["x.example", "y.example", "z.example:5070", "x.example;tcp", "sips x.example"]
        for _ in 0..<200 {
            var bench = ResolverBench(
                "x.example A 192.0.2.1\n_sip._udp.x.example SRV 1 1 5060 y.example\ny.example A 192.0.2.2", ttl: 1,
                families: [.ipv4, .ipv6])
            var open: [DNSQuestion] = []
            var ended: [UInt64: Int] = [:]
            var begun = 0
            func take(_ step: (asked: [DNSQuestion], ended: [Resolution])) {
                open += step.asked
                for end in step.ended { ended[end.token, default: 0] += 1 }
            }
            for _ in 0..<60 {
                switch random.next(below: 4) {
                case 0:
                    let step = bench.begin(hosts[random.next(below: hosts.count)])
                    begun += 1
                    take((step.asked, step.ended))
                case 1: take(bench.advance(milliseconds: Int64(random.next(below: 3_000))))
                default:
                    guard !open.isEmpty else { continue }
                    let question = open.remove(at: random.next(below: open.count))
                    let fails = random.next(below: 4) == 0
                    take(bench.answer(question, fails ? .failed(.timedOut) : bench.zone.answer(question)))
                }
            }
            for _ in 0..<8 { take(bench.advance(milliseconds: 5_000)) }
            #expect(ended.count == begun)
            #expect(ended.values.allSatisfy { $0 == 1 })
            #expect(bench.resolver.waitingCount == 0 && bench.resolver.questionCount == 0)
        }
    }
}
