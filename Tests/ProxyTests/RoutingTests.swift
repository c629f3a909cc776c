// Static routes: which one a request takes, in which order its targets are tried, and which of them are left out.

import Primitives
import Proxy
import SIP
import Testing

@Suite("Static routes and their targets")
struct RoutingTests {
    private static func target(_ number: Int, weight: Int = 1) -> TargetSet.Target {
        TargetSet.Target(
            uri: Array("sip:\(Fork.phone(number))".utf8), namesUser: false,
            endpoint: Endpoint(text: Fork.phone(number)),
            weight: weight)
    }

    private static func set(_ count: Int, _ policy: TargetPolicy, weights: [Int] = []) -> TargetSet {
        var set = TargetSet(
            name: "gw",
            targets: (1...count).map { target($0, weight: $0 <= weights.count ? weights[$0 - 1] : 1) })
        set.policy = policy
        return set
    }

    private func bench(_ set: TargetSet) -> ProxyBench {
        ProxyBench { settings in
            settings.targetSets = [set]
            settings.routes = [StaticRoute(set: 0)]
        }
    }

    private func request(_ number: Int, callID: String? = nil) -> String {
        Call.request("MESSAGE", branch: "z9hG4bKm\(number)").replacing("call-1", with: callID ?? "call-\(number)")
    }

    /// Where the first branch of each of many requests goes.
    private func firsts(_ bench: inout ProxyBench, _ count: Int) -> [String] {
        (0..<count).map { bench.receive(request($0), from: ProxyBench.caller)[0].to }
    }

    // MARK: Ourselves

    @Test func `a target that is the cluster itself is never sent to, whatever a route says (S1-5)`() {
        func own(_ user: String = "") -> TargetSet.Target {
            TargetSet.Target(
                uri: Array("sip:\(user)\(ProxyBench.node)".utf8), namesUser: !user.isEmpty,
                endpoint: Endpoint(text: ProxyBench.node))
        }
        var alone = bench(TargetSet(name: "us", targets: [own()]))
        let refused = alone.receive(request(1), from: ProxyBench.caller)
        #expect(refused.map(\.firstLine) == ["SIP/2.0 483 Too Many Hops"])
        #expect(alone.notes == [.routeToOurselves(callID: Array("call-1".utf8))], "\(alone.notes)")
        var beside = bench(TargetSet(name: "both", targets: [own(), Self.target(7)]))
        #expect(firsts(&beside, 5) == Array(repeating: Fork.phone(7), count: 5))
        // A name for another route of this cluster's comes back to be routed by it.
        var named = bench(TargetSet(name: "name", targets: [own("sales@")]))
        #expect(named.receive(request(1), from: ProxyBench.caller).map(\.to) == [ProxyBench.node])
    }

    // MARK: Conditions

    private func pattern(_ text: String) -> StaticRoute.Pattern {
        { bytes, range in String(decoding: bytes[range.range], as: UTF8.self) == text }
    }

    @Test(
        arguments: [
            (["INVITE"], [], [], false), (["INVITE", "MESSAGE"], [], [], true), (["message"], [], [], false),
            ([], ["10.0.0.0/24"], [], true), ([], ["10.0.1.0/24", "10.0.0.1"], [], true),
            ([], ["2001:db8::/32"], [], false),
            ([], [], [("X-Class", "gold")], true), ([], [], [("x-class", "gold")], true),
            ([], [], [("X-Class", "g")], false),
            ([], [], [("X-Clas", "gold")], false), ([], [], [("Subject", "hello")], true),
            ([], [], [("s", "hello")], true),
            (["MESSAGE"], ["10.0.0.1/32"], [("X-Class", "gold"), ("Subject", "hello")], true),
            (["MESSAGE"], ["10.0.0.2/32"], [("X-Class", "gold")], false),
        ] as [([String], [String], [(String, String)], Bool)])
    func `a route is taken when all of its conditions hold`(
        methods: [String], sources: [String], headers: [(String, String)], expected: Bool
    ) {
        var bench = ProxyBench { settings in
            settings.targetSets = [Self.set(1, .failover)]
            var route = StaticRoute(set: 0)
            route.methods = methods.map { Array($0.utf8) }
            route.sources = sources.map { Subnet(text: $0)! }
            route.headers = headers.map {
                StaticRoute.HeaderCondition(name: Array($0.0.utf8), matches: pattern($0.1))
            }
            settings.routes = [route]
        }
        let message = Call.request("MESSAGE", extra: "X-Class: gold\r\ns: hello\r\n")
        let hop = bench.receive(message, from: ProxyBench.caller)[0].to
        #expect(hop == (expected ? Fork.phone(1) : ProxyBench.callee))
    }

    @Test func `the first route that matches decides, and requests within a dialog take none`() {
        var bench = ProxyBench { settings in
            settings.targetSets = [Self.set(1, .failover), TargetSet(name: "b", targets: [Self.target(2)])]
            var first = StaticRoute(set: 0)
            first.requestURI = pattern("sip:nobody@10.0.0.9")
            settings.routes = [first, StaticRoute(set: 1), StaticRoute(set: 0)]
        }
        #expect(bench.receive(Call.request("MESSAGE"), from: ProxyBench.caller)[0].to == Fork.phone(2))
        let inside = Call.request("INFO", branch: "z9hG4bKi", toTag: "b")
        #expect(bench.receive(inside, from: ProxyBench.caller)[0].to == ProxyBench.callee)
    }

    @Test func `a target with a user becomes the Request-URI, one without is the next hop alone`() {
        var bench = bench(Self.set(2, .failover))
        #expect(
            bench.receive(Call.request("MESSAGE"), from: ProxyBench.caller)[0].firstLine
                == "MESSAGE sip:bob@10.0.0.2:5060 SIP/2.0")
        var named = Fork.bench(2, .failover)
        #expect(
            named.receive(Call.request("MESSAGE"), from: ProxyBench.caller)[0].firstLine
                == "MESSAGE sip:p1@10.0.0.11:5060 SIP/2.0")
    }

    @Test func `420 lists every extension of every Proxy-Require, §16_3 step 5`() {
        var bench = ProxyBench()
        let message = Call.request("MESSAGE", extra: "Proxy-Require: foo, bar\r\nProxy-Require: sec-agree\r\n")
        let sent = bench.receive(message, from: ProxyBench.caller)
        #expect(sent.map(\.firstLine) == ["SIP/2.0 420 Bad Extension"])
        #expect(sent[0].headers("Unsupported") == ["foo, bar, sec-agree"])
    }

    // MARK: Order

    @Test func `round-robin begins with the next target each time`() {
        var bench = bench(Self.set(3, .roundRobin))
        #expect(firsts(&bench, 4) == [1, 2, 3, 1].map(Fork.phone))
    }

    @Test func `weight draws targets as often as they weigh`() {
        var bench = bench(Self.set(3, .weight, weights: [1, 2, 7]))
        let drawn = firsts(&bench, 2_000)
        let counts = (1...3).map { number in drawn.count { $0 == Fork.phone(number) } }
        #expect(counts[0] > 150 && counts[0] < 250, "\(counts)")
        #expect(counts[1] > 330 && counts[1] < 470)
        #expect(counts[2] > 1_300 && counts[2] < 1_500)
    }

    @Test func `hash sends one Call-ID to one target, on every node, and spreads many`() {
        var one = bench(Self.set(4, .hash))
        var other = ProxyBench { settings in
            settings.targetSets = [Self.set(4, .hash)]
            settings.routes = [StaticRoute(set: 0)]
            settings.memberTag = 0x2222_2222
        }
        let first = firsts(&one, 400)
        #expect(first == firsts(&other, 400))
        #expect(Set(first).count == 4)
    }

    @Test func `a target that is down leaves the shares of the others where they are`() {
        var all = bench(Self.set(4, .hash))
        let before = firsts(&all, 200)
        var some = bench(Self.set(4, .hash))
        let victim = before[0]
        for round in 0..<3 {
            let sent = some.receive(request(1_000 + round, callID: "call-0"), from: ProxyBench.caller)
            #expect(sent[0].to == victim)
            _ = some.fail(sent[0])
        }
        let after = firsts(&some, 200)
        for (old, new) in zip(before, after) {
            #expect(old == victim ? new != victim : new == old)
        }
    }

    // MARK: Up and down

    @Test func `three silences in a row take a target away, and 30 s later it is tried again`() {
        var bench = bench(Self.set(2, .failover))
        for number in 0..<3 {
            let sent = bench.receive(request(number), from: ProxyBench.caller)
            #expect(sent[0].to == Fork.phone(1))
            #expect(bench.fail(sent[0]).map(\.to) == [Fork.phone(2)])
        }
        #expect(bench.receive(request(3), from: ProxyBench.caller)[0].to == Fork.phone(2))
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [false, true])
        _ = bench.advance(milliseconds: 30_000)
        let again = bench.receive(request(4), from: ProxyBench.caller)[0]
        #expect(again.to == Fork.phone(1))
        _ = bench.receive(Call.response(200, to: again), from: again.to)
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [true, true])
        #expect(bench.proxy.counters.targetsWentDown == 1 && bench.proxy.counters.targetsCameUp == 1)
    }

    @Test func `an answer in between starts the count again, and 503 is an answer`() {
        var bench = bench(Self.set(1, .failover))
        for number in 0..<6 {
            let sent = bench.receive(request(number), from: ProxyBench.caller)[0]
            if number % 3 == 2 {
                _ = bench.receive(Call.response(404, to: sent), from: sent.to)
            } else {
                _ = bench.fail(sent)
            }
        }
        let busy = bench.receive(request(7), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(503, to: busy), from: busy.to)
        #expect(bench.proxy.targets(now: bench.now)[0].isUp)
    }

    @Test func `when all are down all are tried, and that is counted`() {
        var bench = bench(Self.set(2, .failover))
        for number in 0..<3 {
            let first = bench.receive(request(number), from: ProxyBench.caller)[0]
            _ = bench.fail(bench.fail(first)[0])
        }
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [false, false])
        #expect(bench.receive(request(9), from: ProxyBench.caller)[0].to == Fork.phone(1))
        #expect(bench.proxy.counters.allTargetsDown == 1)
    }

    // MARK: Probes

    private func probed(up: Int = 2, down: Int = 2) -> ProxyBench {
        var set = Self.set(2, .failover)
        set.probeInterval = .seconds(10)
        set.upAfter = up
        set.downAfter = down
        return bench(set)
    }

    /// Lets time pass; phones whose numbers are in `dead` do not answer OPTIONS, others do with `status`.
    private func probe(_ bench: inout ProxyBench, seconds: Int64, dead: Set<Int> = [], status: Int = 200) -> [Sent] {
        var asked: [Sent] = []
        for _ in 0..<seconds * 10 {
            for sent in bench.advance(milliseconds: 100) where sent.firstLine.hasPrefix("OPTIONS ") {
                asked.append(sent)
                if !dead.contains(where: { Fork.phone($0) == sent.to }) {
                    _ = bench.receive(Call.response(status, to: sent, contact: nil), from: sent.to)
                }
            }
        }
        return asked
    }

    @Test func `each target gets one OPTIONS an interval, spread over it`() {
        var bench = probed()
        let asked = probe(&bench, seconds: 41)
        #expect(asked.filter { $0.to == Fork.phone(1) }.count == 5)
        #expect(asked.filter { $0.to == Fork.phone(2) }.count == 4)
        #expect(asked[0].firstLine == "OPTIONS sip:10.0.0.11:5060 SIP/2.0")
        #expect(Set(asked.map { $0.headers("Via")[0] }).count == asked.count)
        #expect(bench.proxy.openTransactionCount == 0, "a drain does not wait for probes")
    }

    @Test func `a target without an answer is down after down-after intervals, and up after up-after answers`() {
        var bench = probed()
        _ = probe(&bench, seconds: 19, dead: [1])
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [true, true])
        _ = probe(&bench, seconds: 2, dead: [1])
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [false, true])
        #expect(bench.receive(request(1), from: ProxyBench.caller)[0].to == Fork.phone(2))
        _ = probe(&bench, seconds: 60, dead: [1])
        #expect(bench.receive(request(2), from: ProxyBench.caller)[0].to == Fork.phone(2), "no trial while probed")
        _ = probe(&bench, seconds: 8)  // The probe of before is answered when it is repeated.
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [false, true])
        _ = probe(&bench, seconds: 4)
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [true, true])
    }

    @Test(arguments: [(200, true), (404, true), (405, true), (501, true), (408, false), (503, false)])
    func `any answer to OPTIONS but 408 and 503 counts as one`(status: Int, isUp: Bool) {
        var bench = probed(down: 1)
        _ = probe(&bench, seconds: 15, status: status)
        #expect(bench.proxy.targets(now: bench.now)[0].isUp == isUp)
    }

    @Test func `a probe that cannot be sent has failed`() {
        var bench = probed(down: 1)
        _ = bench.fail(bench.advance(milliseconds: 100)[0])
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [false, true])
    }

    @Test func `an answer to a probe of before is no answer to the one of now`() {
        var bench = probed(down: 1)
        let first = probe(&bench, seconds: 1, dead: [1, 2])[0]
        _ = probe(&bench, seconds: 10, dead: [1])
        #expect(bench.receive(Call.response(200, to: first, contact: nil), from: first.to).isEmpty)
        #expect(bench.proxy.targets(now: bench.now)[0].isUp == false)
        #expect(bench.proxy.counters.strayResponses == 1)
    }
}

@Suite("Routes that are read again")
struct RouteReloadTests {
    private static func set(_ name: String, _ numbers: [Int], probes: Bool = false) -> TargetSet {
        var set = TargetSet(
            name: name,
            targets: numbers.map { number in
                TargetSet.Target(
                    uri: Array("sip:\(Fork.phone(number))".utf8), namesUser: false,
                    endpoint: Endpoint(text: Fork.phone(number))!)
            })
        set.policy = .failover
        set.downAfter = 1
        if probes { set.probeInterval = .seconds(10) }
        return set
    }

    private func bench(_ sets: [TargetSet]) -> ProxyBench {
        ProxyBench { settings in
            settings.targetSets = sets
            settings.routes = [StaticRoute(set: 0)]
        }
    }

    private func request(_ number: Int) -> String {
        Call.request("MESSAGE", branch: "z9hG4bKq\(number)").replacing("call-1", with: "call-\(number)")
    }

    @Test func `requests go by the new routes, and what is under way ends as it began`() {
        var bench = bench([Self.set("gw", [1])])
        let old = bench.receive(request(1), from: ProxyBench.caller)[0]
        #expect(old.to == Fork.phone(1))
        bench.proxy.adopt(
            routes: [StaticRoute(set: 1)], targetSets: [Self.set("a", [3]), Self.set("gw", [2])], now: bench.now)
        #expect(bench.receive(request(2), from: ProxyBench.caller)[0].to == Fork.phone(2))
        let answered = bench.receive(Call.response(200, to: old, contact: nil), from: old.to)
        #expect(answered.map(\.to) == [ProxyBench.caller])
        #expect(
            bench.proxy.targets(now: bench.now).map(\.requests) == [0, 0], "the old one's answer is none of theirs")
    }

    @Test func `a failure of before says nothing of the target that stands there now`() {
        var bench = bench([Self.set("gw", [1])])
        _ = bench.receive(request(1), from: ProxyBench.caller)
        bench.proxy.adopt(routes: [StaticRoute(set: 0)], targetSets: [Self.set("gw", [2])], now: bench.now)
        _ = bench.advance(milliseconds: 40_000)
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [true])
        #expect(bench.proxy.contextCount == 0)
    }

    @Test func `what is known of a target that stays is kept, wherever it stands`() {
        var bench = bench([Self.set("gw", [1, 2])])
        _ = bench.receive(request(1), from: ProxyBench.caller)
        _ = bench.advance(milliseconds: 40_000)
        #expect(bench.proxy.targets(now: bench.now).map(\.isUp) == [false, true])
        bench.proxy.adopt(
            routes: [StaticRoute(set: 1)], targetSets: [Self.set("other", [9]), Self.set("gw", [3, 2, 1])],
            now: bench.now)
        let states = bench.proxy.targets(now: bench.now)
        #expect(states.map(\.isUp) == [true, true, true, false])
        #expect(states.map(\.silences) == [0, 0, 0, 1])
    }

    @Test func `probes go to the targets that there are, once each`() {
        var bench = bench([Self.set("gw", [1, 2], probes: true)])
        _ = bench.advance(milliseconds: 12_000)
        let contexts = bench.proxy.contextCount
        for _ in 0..<3 {
            bench.proxy.adopt(
                routes: [StaticRoute(set: 0)], targetSets: [Self.set("gw", [2, 3], probes: true)], now: bench.now)
        }
        #expect(bench.proxy.contextCount == contexts)
        var asked: [String] = []
        for _ in 0..<300 {
            for sent in bench.advance(milliseconds: 100) where sent.firstLine.hasPrefix("OPTIONS ") {
                asked.append(sent.to)
                _ = bench.receive(Call.response(200, to: sent, contact: nil), from: sent.to)
            }
        }
        #expect(Set(asked) == [Fork.phone(2), Fork.phone(3)])
        for number in [2, 3] { #expect((3...4).contains(asked.count { $0 == Fork.phone(number) }), "\(asked)") }
        bench.proxy.adopt(routes: [], targetSets: [], now: bench.now)
        #expect(bench.proxy.contextCount == 0 && bench.proxy.targets(now: bench.now).isEmpty)
        #expect(bench.advance(milliseconds: 30_000).isEmpty)
    }
}

@Suite("Access lists and rate limits")
struct AdmissionTests {
    private func message(_ number: Int, _ method: String = "MESSAGE", toTag: String = "") -> String {
        Call.request(method, branch: "z9hG4bKx\(number)", toTag: toTag)
    }

    @Test(
        arguments: [
            ([], [], "10.0.0.1:5060", true), (["10.0.0.0/24"], [], "10.0.0.1:5060", true),
            (["10.0.0.0/24"], [], "10.0.1.1:5060", false), ([], ["10.0.0.1"], "10.0.0.1:5060", false),
            (["10.0.0.0/24"], ["10.0.0.0/28"], "10.0.0.1:5060", false), ([], ["0.0.0.0/0"], "[2001:db8::1]:5060", true),
            ([], ["2001:db8::/33"], "[2001:db8::1]:5060", false), ([], ["10.0.0.9"], "10.0.0.9:5060", true),
        ] as [([String], [String], String, Bool)])
    func `deny comes before allow, and a balancer is not judged`(
        allow: [String], deny: [String], source: String, expected: Bool
    ) {
        var bench = ProxyBench { settings in
            settings.access.allow = allow.map { Subnet(text: $0)! }
            settings.access.deny = deny.map { Subnet(text: $0)! }
            settings.balancers = [Address(text: "10.0.0.9")!]
        }
        let sent = bench.receive(message(1), from: source)
        #expect(sent[0].firstLine == (expected ? "MESSAGE sip:bob@10.0.0.2:5060 SIP/2.0" : "SIP/2.0 403 Forbidden"))
        #expect(bench.proxy.counters.accessDenied == (expected ? 0 : 1))
    }

    @Test func `a refused source gets nothing where that is configured, and an ACK never gets an answer`() {
        var silent = ProxyBench { settings in
            settings.access.deny = [Subnet(text: "10.0.0.0/8")!]
            settings.access.isSilent = true
        }
        #expect(silent.receive(message(1), from: ProxyBench.caller).isEmpty)
        var loud = ProxyBench { $0.access.deny = [Subnet(text: "10.0.0.0/8")!] }
        #expect(loud.receive(message(1, "ACK", toTag: "b"), from: ProxyBench.caller).isEmpty)
    }

    private func limited(_ change: @escaping (inout RateLimits) -> Void) -> ProxyBench {
        ProxyBench { settings in
            settings.balancers = [Address(text: "10.0.0.9")!]
            change(&settings.limits)
        }
    }

    @Test func `over its burst a source gets 503 with Retry-After, and tokens come back with time`() {
        var bench = limited {
            $0.sourcePerSecond = 10
            $0.sourceBurst = 2
        }
        for number in 0..<2 {
            #expect(bench.receive(message(number), from: ProxyBench.caller)[0].to == ProxyBench.callee)
        }
        let refused = bench.receive(message(2), from: ProxyBench.caller)
        #expect(refused.map(\.firstLine) == ["SIP/2.0 503 Service Unavailable"])
        #expect(refused[0].header("Retry-After") == "5")
        #expect(bench.receive(message(3), from: "10.0.0.3:5060")[0].to == ProxyBench.callee, "another source")
        _ = bench.advance(milliseconds: 100)
        #expect(bench.receive(message(4), from: ProxyBench.caller)[0].to == ProxyBench.callee)
        #expect(bench.proxy.counters.rateLimitedSource == 1)
    }

    @Test func `what belongs to something that is there is never shed`() {
        var bench = limited {
            $0.totalPerSecond = 1
            $0.totalBurst = 1
        }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        #expect(Fork.upstream(bench.receive(message(1), from: ProxyBench.caller)) == ["503"])
        #expect(
            Fork.upstream(bench.receive(Call.request("INVITE"), from: ProxyBench.caller)) == ["100"], "a repetition")
        _ = bench.receive(Call.response(200, to: invite, toTag: "b"), from: ProxyBench.callee)
        #expect(bench.receive(message(2, "INFO", toTag: "b"), from: ProxyBench.caller)[0].to == ProxyBench.callee)
        #expect(bench.receive(message(3, "BYE"), from: ProxyBench.caller)[0].to == ProxyBench.callee)
        #expect(bench.receive(message(4, "ACK", toTag: "b"), from: ProxyBench.caller)[0].to == ProxyBench.callee)
        #expect(
            Fork.upstream(bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)) == ["200"])
        #expect(bench.proxy.counters.rateLimitedTotal == 1)
    }

    @Test func `a balancer has no bucket of its own, and is counted in the total`() {
        var bench = limited {
            $0.sourcePerSecond = 1
            $0.sourceBurst = 1
            $0.totalPerSecond = 5
            $0.totalBurst = 5
        }
        let answers = (0..<6).map { bench.receive(message($0), from: "10.0.0.9:5060")[0].firstLine.prefix(3) }
        #expect(answers == ["MES", "MES", "MES", "MES", "MES", "SIP"])
    }

    @Test func `the table of sources is bounded: the one not heard for longest makes room`() {
        var bench = limited {
            $0.sourcePerSecond = 1
            $0.sourceBurst = 1
            $0.sources = 16
        }
        var refused = 0
        for round in 0..<2 {
            for number in 0..<200 {
                let source = "10.1.\(number / 100).\(number % 100 + 1):5060"
                let sent = bench.receive(message(round * 1_000 + number), from: source)
                refused += sent[0].firstLine.hasPrefix("SIP") ? 1 : 0
            }
        }
        #expect(refused < 20, "nearly all have been forgotten meanwhile: \(refused)")
    }
}
