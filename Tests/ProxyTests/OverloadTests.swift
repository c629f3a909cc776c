// What is refused when there is too much, and in which order: new calls first, emergency calls last, calls that are up
// never.

import Primitives
import Proxy
import SIP
import Testing

@Suite("Overload, and emergency calls (RFC 5031)")
struct OverloadTests {
    static let sos = "urn:service:sos.police"

    /// A bench with a route for emergency calls by name, one by number, and one for the rest.
    private func bench(_ change: (inout ProxySettings) -> Void = { _ in }) -> ProxyBench {
        ProxyBench { settings in
            let target = TargetSet.Target(
                uri: Array("sip:10.0.0.2".utf8), namesUser: false, endpoint: Endpoint(text: "10.0.0.2:5060"))
            settings.targetSets = [TargetSet(name: "all", targets: [target])]
            var urgent = StaticRoute(set: 0)
            urgent.requestURI = { bytes, range in Text.equalsIgnoringCase(bytes, range, "sip:112@example.org") }
            urgent.isEmergency = true
            settings.routes = [urgent, StaticRoute(set: 0)]
            settings.limits.overloadMilliseconds = 50
            settings.limits.emergencyReserve = 10
            change(&settings)
        }
    }

    private func invite(_ uri: String, _ number: Int) -> String {
        Call.request("INVITE", uri: uri, branch: "z9hG4bKo\(number)", fromTag: "t\(number)")
    }

    private func firstLine(_ sent: [Sent]) -> String { sent.first { $0.firstLine.hasPrefix("SIP") }?.firstLine ?? "" }

    /// Whether an INVITE goes on.
    private func begins(_ bench: inout ProxyBench, _ number: Int, _ uri: String = ordinary, age: Int64 = 0) -> Bool {
        bench.receive(invite(uri, number), from: ProxyBench.caller, age: age).contains {
            $0.firstLine.hasPrefix("INVITE")
        }
    }

    private static let ordinary = "sip:bob@10.0.0.2:5060"

    @Test func `new requests are refused once datagrams have stood for long, for a quarter of a second`() {
        var bench = bench()
        var begun = [begins(&bench, 1, age: 51)]
        _ = bench.advance(milliseconds: 249)
        begun.append(begins(&bench, 2, age: 400))
        #expect(begun == [true, true])
        _ = bench.advance(milliseconds: 1)
        let refused = bench.receive(invite(Self.ordinary, 3), from: ProxyBench.caller, age: 51)
        #expect(firstLine(refused) == "SIP/2.0 503 Service Unavailable" && refused[0].header("Retry-After") == "5")
        let options = Call.request("OPTIONS", uri: Self.ordinary, branch: "z9hG4bKp", fromTag: "p")
        let answer = bench.receive(options, from: ProxyBench.caller, age: 60)
        #expect(firstLine(answer).contains("503") && bench.proxy.counters.shed == 2)
        // One that stood for less: the queue was empty in between.
        begun = [begins(&bench, 4, age: 50), begins(&bench, 5, age: 500)]
        #expect(begun == [true, true] && bench.proxy.counters.shed == 2)
    }

    @Test func `a node that is held up now and then, and has nothing to do in between, refuses nobody`() {
        var bench = bench()
        let begun = (1...5).map { number in
            _ = bench.advance(milliseconds: 10_000)
            return begins(&bench, number, age: 1_900)
        }
        #expect(begun.allSatisfy { $0 } && bench.proxy.counters.shed == 0)
    }

    @Test(arguments: [sos, "URN:SERVICE:SOS", "sip:112@example.org"])
    func `an emergency call is begun while others are refused, for whatever reason`(uri: String) {
        var behind = bench()
        _ = begins(&behind, 1, age: 100)
        _ = behind.advance(milliseconds: 300)
        let whileBehind = [begins(&behind, 2, age: 400), begins(&behind, 3, uri, age: 400)]
        #expect(whileBehind == [false, true])
        var limited = bench { ($0.limits.totalPerSecond, $0.limits.totalBurst) = (1, 1) }
        let overLimit = [begins(&limited, 1), begins(&limited, 2)] + (3...6).map { begins(&limited, $0, uri) }
        #expect(overLimit == [true, false, true, true, true, true])
        var draining = bench()
        draining.proxy.neighbours.isDraining = true
        let whileDraining = [begins(&draining, 1), begins(&draining, 2, uri)]
        #expect(whileDraining == [false, true] && draining.proxy.counters.emergencyCalls == 1)
    }

    @Test func `ordinary calls leave the reserve, emergency calls use it to the last place`() {
        var bench = bench { $0.contextLimit = 50 }
        let ordinary = (0..<80).count { begins(&bench, $0) }
        let urgent = (80..<120).count { begins(&bench, $0, Self.sos) }
        #expect(ordinary == 45 && urgent == 5, "\(ordinary) and \(urgent)")
        #expect(bench.proxy.counters.overloaded == 35 + 35)
    }

    @Test(arguments: ["urn:service:sosx", "urn:service:counseling", "urn:nena:service:sos"])
    func `other names are no emergency, and nothing that this node understands`(uri: String) {
        var bench = bench()
        let answer = bench.receive(invite(uri, 1), from: ProxyBench.caller)
        #expect(firstLine(answer).contains("416"))
    }

    @Test func `the name goes on as it is, and without a route it is refused`() {
        var bench = bench()
        let sent = bench.receive(invite(Self.sos, 1), from: ProxyBench.caller)
        #expect(sent.contains { $0.firstLine == "INVITE \(Self.sos) SIP/2.0" && $0.to == ProxyBench.callee })
        var bare = ProxyBench()
        let answer = bare.receive(invite(Self.sos, 1), from: ProxyBench.caller)
        #expect(firstLine(answer).contains("416"))
    }
}
