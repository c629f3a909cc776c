// P-Asserted-Identity and the trust domain (RFC 3325): what is passed on, from whom, to whom.

import Primitives
import Proxy
import SIP
import Testing

@Suite("Asserted identities and whom to believe, RFC 3325")
struct IdentityTests {
    private static let identity = "P-Asserted-Identity: \"Alice\" <sip:alice@example.org>, <tel:+14085264000>\r\n"
    private static let preferred = "P-Preferred-Identity: <sip:alice@example.org>\r\n"

    private static func bench(_ trusted: [String]) -> ProxyBench {
        ProxyBench { settings in settings.trusted = trusted.map { Subnet(text: $0)! } }
    }

    /// The identities that reach the callee: asserted, preferred.
    private static func passed(_ trusted: [String], _ extra: String, method: String = "INVITE") -> [Int] {
        var bench = bench(trusted)
        let sent = bench.receive(Call.request(method, extra: extra), from: ProxyBench.caller)[0]
        return [sent.headers("P-Asserted-Identity").count, sent.headers("P-Preferred-Identity").count]
    }

    @Test(
        arguments: [
            // Nobody is judged.
            ([], identity + preferred, [1, 1]), ([], identity + "Privacy: id\r\n", [1, 0]),
            // From a stranger: removed, whoever gets it (§5, §6).
            (["10.0.0.2"], identity + preferred, [0, 0]), (["10.9.0.0/16"], identity, [0, 0]),
            // From who is trusted to a stranger: unless Privacy says id (§7).
            (["10.0.0.1"], identity + preferred, [1, 1]), (["10.0.0.1"], identity + "Privacy: none\r\n", [1, 0]),
            (["10.0.0.1"], identity + "Privacy: id\r\n", [0, 0]),
            (["10.0.0.1"], identity + "Privacy: user;ID ; critical\r\n", [0, 0]),
            (["10.0.0.1"], identity + "Privacy: header\r\nPrivacy: user;\r\n id\r\n", [0, 0]),
            (["10.0.0.1"], identity + "Privacy: idle;idx\r\n", [1, 0]),
            // Both are trusted.
            (["10.0.0.0/24"], identity + "Privacy: id\r\n", [1, 0]),
        ] as [([String], String, [Int])])
    func `identities pass by who sends and who receives`(trusted: [String], extra: String, expected: [Int]) {
        #expect(Self.passed(trusted, extra) == expected)
        #expect(Self.passed(trusted, extra, method: "MESSAGE") == expected)
    }

    @Test func `every line is removed, folded ones whole, and what stands beside stays`() {
        var bench = Self.bench(["10.9.0.0/16"])
        let extra = "X-A: 1\r\nP-Asserted-Identity: <sip:a@h>,\r\n <tel:+1>\r\nX-B: 2\r\n\(Self.identity)X-C: 3\r\n"
        let sent = bench.receive(Call.request("INVITE", extra: extra), from: ProxyBench.caller)[0]
        #expect(!sent.text.contains("Asserted") && !sent.text.contains("tel:+1"))
        #expect(["X-A", "X-B", "X-C"].map { sent.header($0) } == ["1", "2", "3"])
    }

    @Test(
        arguments: [
            ([], "Privacy: id\r\n", 1), (["10.0.0.1"], "", 0), (["10.0.0.2"], "", 1),
            (["10.0.0.2"], "Privacy: id\r\n", 0), (["10.0.0.0/24"], "Privacy: id\r\n", 1),
        ] as [([String], String, Int)])
    func `answers are judged alike`(trusted: [String], privacy: String, expected: Int) {
        for status in [180, 200, 404] {
            var bench = Self.bench(trusted)
            let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
            let answer = Call.response(status, to: invite)
                .replacing("Content-Length", with: "\(Self.identity)\(privacy)Content-Length")
            let sent = bench.receive(answer, from: ProxyBench.callee).first { $0.to == ProxyBench.caller }
            #expect(sent?.headers("P-Asserted-Identity").count == expected, "\(status)")
        }
    }

    @Test func `each branch of a fork is judged by where it goes`() {
        var bench = Fork.bench(2) { settings in
            settings.trusted = [Subnet(text: "10.0.0.1")!, Subnet(text: "10.0.0.12")!]
        }
        let extra = Self.identity + "Privacy: id\r\n"
        let sent = Fork.invites(bench.receive(Call.request("INVITE", extra: extra), from: ProxyBench.caller))
        #expect(sent.map { $0.headers("P-Asserted-Identity").count } == [0, 1])
        var strangers = Fork.bench(2) { $0.trusted = [Subnet(text: "10.0.0.11")!] }
        let others = Fork.invites(strangers.receive(Call.request("INVITE", extra: extra), from: ProxyBench.caller))
        #expect(others.map { $0.headers("P-Asserted-Identity").count } == [0, 0])
    }

    @Test func `a member of the cluster is trusted, and so is what it has judged`() {
        var bench = Self.bench(["10.9.0.0/16"])
        bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: ProxyBench.caller)!, isLive: true)
        ]
        let sent = bench.receive(Call.request("INVITE", extra: Self.identity), from: ProxyBench.caller)[0]
        #expect(sent.headers("P-Asserted-Identity").count == 1)
    }

    @Test func `no route is chosen by an identity that nobody vouches for`() {
        for (trusted, hop) in [([], Fork.phone(1)), (["10.0.0.1"], Fork.phone(1)), (["10.9.0.1"], ProxyBench.callee)] {
            var bench = Fork.bench(1) { settings in
                settings.trusted = trusted.map { Subnet(text: $0)! }
                settings.routes[0].headers = [
                    StaticRoute.HeaderCondition(name: Array("p-asserted-identity".utf8)) { _, _ in true }
                ]
            }
            #expect(bench.receive(Call.request("INVITE", extra: Self.identity), from: ProxyBench.caller)[0].to == hop)
        }
    }
}
