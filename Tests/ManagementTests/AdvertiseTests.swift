// `sip.advertise`: one for each transport and family, and what cannot be used is told.

import Management
import Node
import SIP
import Testing

@Suite("Names of listeners")
struct AdvertiseTests {
    /// What is told of these listeners and names.
    private static func problems(_ listen: String, _ advertise: String) -> [SettingProblem] {
        load(["node.name=n1", "sip.listen=\(listen)", "sip.advertise=\(advertise)"]).problems
    }

    @Test(arguments: [
        ("udp://10.0.0.1:5060", "sip:10.0.0.9"),
        ("udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip:10.0.0.9,sip:[2001:db8::9]"),
        ("udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip:sbc.example.org"),
        ("udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip:sbc.example.org,sip:[2001:db8::9]"),
        ("udp://10.0.0.1:5060,udp://192.0.2.1:5060", "sip:10.0.0.9"),
        ("udp://10.0.0.1:5060,tcp://[2001:db8::1]:5060", "sip:10.0.0.9,sip:[2001:db8::9];transport=tcp"),
    ])
    func `one for each transport and family is taken`(listen: String, advertise: String) {
        #expect(Self.problems(listen, advertise) == [])
    }

    @Test(arguments: [
        ("udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip:10.0.0.9", "nothing for udp over IPv6"),
        ("udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip:[2001:db8::9]", "nothing for udp over IPv4"),
        (
            "udp://10.0.0.1:5060,tcp://10.0.0.1:5060,tcp://[2001:db8::1]:5060",
            "sip:10.0.0.9,sip:10.0.0.9;transport=tcp", "nothing for tcp over IPv6"
        ),
        ("udp://10.0.0.1:5060", "sip:10.0.0.9,sip:[2001:db8::9]", "sip:[2001:db8::9] is of no use"),
        ("udp://10.0.0.1:5060", "sip:10.0.0.9,sip:10.0.0.9;transport=tcp", "sip:10.0.0.9;transport=tcp is of no use"),
        (
            "udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip:a.example,sip:10.0.0.9,sip:[2001:db8::9]",
            "sip:a.example is of no use"
        ),
        ("udp://[2001:db8::1]:5060", "sip:[2001:db8::8],sip:[2001:db8::9]", "give one a transport and family"),
    ])
    func `what cannot be used, and a listener without one, are told`(
        listen: String, advertise: String, told: String
    ) {
        let problems = Self.problems(listen, advertise)
        #expect(problems.contains { $0.key == "sip.advertise" && $0.message.contains(told) }, "\(problems)")
        #expect(problems.allSatisfy { $0.key == "sip.advertise" })
    }

    @Test func `a balancer that everything leaves by needs a socket of its family`() {
        let wrong = load(
            ["node.name=n1", "sip.listen=udp://10.0.0.1:5060", "sip.egress=balancer", "sip.balancer=[2001:db8::5]"])
        #expect(wrong.problems.map(\.key) == ["sip.egress"])
        let right = load(
            [
                "node.name=n1", "sip.listen=udp://10.0.0.1:5060,udp://[2001:db8::1]:5060", "sip.egress=balancer",
                "sip.balancer=[2001:db8::5]",
            ])
        #expect(right.problems == [])
    }
}
