// Names as next hops: what is asked, what waits meanwhile, and failover from address to address (RFC 3263 §4.3).

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Names and their addresses, RFC 3263")
struct ResolutionTests {
    private func invite(_ bench: inout ProxyBench, uri: String = "sip:bob@Example.ORG") -> [Sent] {
        bench.receive(Call.request("INVITE", uri: uri), from: ProxyBench.caller)
    }

    @Test(
        arguments: [
            ("sip:bob@Example.ORG", "example.org", nil, nil, false),
            ("sip:bob@example.org.:5070", "example.org", 5_070, nil, false),
            ("sip:bob@example.org;transport=tcp", "example.org", nil, TransportProtocol.tcp, false),
            ("sips:bob@example.org", "example.org", nil, nil, true),
            ("sip:bob@example.org;maddr=a.example", "a.example", nil, nil, false),
        ] as [(String, String, UInt16?, TransportProtocol?, Bool)])
    func `what is asked is what the URI says, §4`(
        uri: String, host: String, port: UInt16?, transport: TransportProtocol?, isSecure: Bool
    ) {
        var bench = ProxyBench()
        #expect(invite(&bench, uri: uri).map(\.firstLine) == ["SIP/2.0 100 Trying"])
        #expect(
            bench.questions.map(\.name) == [
                ResolutionTarget(isSecure: isSecure, host: Array(host.utf8), port: port, transport: transport)
            ])
    }

    @Test func `the request goes to the first address when it is known, with its Request-URI as it was`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        let sent = bench.answer(["10.0.0.2:5060", "10.0.0.3:5060"])
        #expect(sent.map(\.to) == ["10.0.0.2:5060"])
        #expect(sent[0].firstLine == "INVITE sip:bob@Example.ORG SIP/2.0")
        #expect(Fork.upstream(bench.receive(Call.response(200, to: sent[0]), from: sent[0].to)) == ["200"])
        #expect(bench.state == .confirmedNotAcknowledged)
    }

    @Test func `repetitions are absorbed while the name is looked up`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        #expect(invite(&bench).map(\.firstLine) == ["SIP/2.0 100 Trying"])
        #expect(bench.questions.count == 1)
        #expect(bench.dialogs.count == 1)
    }

    @Test func `503 goes to the next address, as a new transaction with its own branch, §4_3`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        let first = bench.answer(["10.0.0.2:5060", "10.0.0.3:5060"])[0]
        let rest = bench.receive(Call.response(503, to: first), from: first.to)
        let second = Fork.invites(rest)[0]
        #expect(second.to == "10.0.0.3:5060")
        #expect(second.firstLine == first.firstLine)
        #expect(second.headers("Via")[0] != first.headers("Via")[0])
        #expect(Fork.upstream(rest).isEmpty)
        #expect(bench.proxy.counters.failovers == 1)
        // What the first one came to does not count: the second speaks for the target.
        #expect(Fork.upstream(bench.receive(Call.response(404, to: second), from: second.to)) == ["404"])
    }

    @Test func `silence until timer B goes to the next address, §4_3`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        _ = bench.answer(["10.0.0.2:5060", "10.0.0.3:5060"])
        let sent = bench.advance(milliseconds: 32_100)
        #expect(Fork.invites(sent).last?.to == "10.0.0.3:5060")
    }

    @Test func `who has answered anything is not left for another address`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        let first = bench.answer(["10.0.0.2:5060", "10.0.0.3:5060"])[0]
        _ = bench.receive(Call.response(180, to: first), from: first.to)
        #expect(Fork.upstream(bench.receive(Call.response(486, to: first), from: first.to)) == ["486"])
    }

    @Test func `a transport error goes to the next address, and counts as 503 at the last, §16_9`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        var sent = bench.answer(["10.0.0.2:5060", "10.0.0.3:5060"])
        sent = bench.fail(sent[0])
        #expect(Fork.invites(sent).map(\.to) == ["10.0.0.3:5060"])
        #expect(Fork.upstream(bench.fail(sent[0])) == ["500"])
    }

    @Test func `an address that was given up and answers 2xx after all is the answer`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        let first = bench.answer(["10.0.0.2:5060", "10.0.0.3:5060"])[0]
        let second = Fork.invites(bench.advance(milliseconds: 32_100)).last!
        _ = bench.receive(Call.response(180, to: second, toTag: "s"), from: second.to)
        let sent = bench.receive(Call.response(200, to: first), from: first.to)
        #expect(Fork.upstream(sent) == ["200"])
        #expect(Fork.cancels(sent).map(\.to) == [second.to])
    }

    @Test func `without an address the answer is 502`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        #expect(Fork.upstream(bench.answer([])) == ["502"])
        #expect(bench.state == .deleted)
    }

    @Test func `a name that leads back to the cluster has no address, S1-5`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        #expect(Fork.upstream(bench.answer([ProxyBench.shared])) == ["502"])
    }

    @Test func `5 s without an answer is no answer, and a later one is ignored`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        #expect(bench.advance(milliseconds: 4_990).isEmpty)
        #expect(Fork.upstream(bench.advance(milliseconds: 20)) == ["502"])
        #expect(bench.answer(["10.0.0.2:5060"]).isEmpty)
    }

    @Test func `a CANCEL ends a request that waits for its name, §16_10`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        let sent = bench.receive(
            Call.request("CANCEL", uri: "sip:bob@Example.ORG", contact: nil), from: ProxyBench.caller)
        #expect(Fork.upstream(sent) == ["200", "487"])
        #expect(bench.answer(["10.0.0.2:5060"]).isEmpty, "no INVITE after a CANCEL")
    }

    @Test func `at most 8 addresses of a target are tried`() {
        var bench = ProxyBench()
        _ = invite(&bench)
        var sent = bench.answer((1...9).map { "10.0.2.\($0):5060" })
        var tried = 0
        while let current = Fork.invites(sent).first {
            tried += 1
            sent = bench.receive(Call.response(503, to: current), from: current.to)
        }
        #expect(tried == ForkTarget.candidateLimit)
        #expect(Fork.upstream(sent) == ["500"])
    }

    @Test func `at most 1024 requests wait for names; the next gets 503 with Retry-After`() {
        var bench = ProxyBench()
        func request(_ number: Int) -> String {
            Call.request("MESSAGE", uri: "sip:bob@example.org", branch: "z9hG4bKm\(number)")
        }
        for number in 0..<LookUps.limit { _ = bench.receive(request(number), from: ProxyBench.caller) }
        let refused = bench.receive(request(9_999), from: ProxyBench.caller)
        #expect(Fork.upstream(refused) == ["503"])
        #expect(refused[0].header("Retry-After") == "5")
        _ = bench.answer([])
        #expect(bench.receive(request(9_999), from: ProxyBench.caller).isEmpty, "there is room again")
    }

    @Test func `an ACK for a 2xx waits for its name as it is, and has no answer`() {
        var bench = ProxyBench()
        let route = ["<sip:10.0.1.9:5060;lr;did=00000000000000aa>"]
        let ack = Call.request(
            "ACK", uri: "sip:bob@example.org", branch: "z9hG4bKa", toTag: "b", route: route, contact: nil)
        #expect(bench.receive(ack, from: ProxyBench.caller).isEmpty)
        let sent = bench.answer(["10.0.0.2:5060"])
        #expect(sent.map(\.to) == ["10.0.0.2:5060"])
        #expect(sent[0].firstLine == "ACK sip:bob@example.org SIP/2.0")
        _ = bench.receive(ack, from: ProxyBench.caller)
        #expect(bench.answer([]).isEmpty)
        #expect(bench.proxy.counters.dropped == 1)
    }

    @Test func `with egress by the balancer nothing is looked up, S2-13`() {
        var bench = ProxyBench { $0.egress = Endpoint(text: "10.0.1.9:5060") }
        #expect(Fork.invites(invite(&bench)).map(\.to) == ["10.0.1.9:5060"])
        #expect(bench.questions.isEmpty)
    }

    @Test func `a request tries at most 32 branches in all`() {
        var bench = ProxyBench { settings in
            var set = TargetSet(name: "names", targets: [])
            for number in 1...16 {
                let host = Array("h\(number).example".utf8)
                set.targets.append(
                    TargetSet.Target(
                        uri: Array("sip:h\(number).example".utf8), namesUser: false, endpoint: nil,
                        name: ResolutionTarget(isSecure: false, host: host, port: nil, transport: nil)))
            }
            settings.targetSets = [set]
            settings.routes = [StaticRoute(set: 0)]
        }
        _ = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)
        var tried = 0
        var sent: [Sent] = []
        var final: [String] = []
        while final.isEmpty, tried < 200 {
            if let next = Fork.invites(sent).first {
                tried += 1
                sent = bench.receive(Call.response(503, to: next), from: next.to)
            } else {
                sent = bench.answer((1...8).map { "10.0.2.\($0):5060" })
            }
            final = Fork.upstream(sent)
        }
        #expect(tried == 32)
        #expect(final == ["502"], "the targets that had no branch any more")
        #expect(bench.proxy.counters.branchesRefused > 0)
    }
}
