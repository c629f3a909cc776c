// Credentials for realms of the registrar's go no further than here (RFC 3261 §22.3).

import Primitives
import Proxy
import SIP
import Testing

@Suite("Credentials of ours stay here, RFC 3261 §22.3")
struct CredentialsTests {
    private static let ours = "Proxy-Authorization: Digest username=\"bob\", realm=\"Example.ORG\", response=\"0\"\r\n"
    private static let others = "Proxy-Authorization: Digest realm=\"a, realm=\\\"example.org\", username=\"x\"\r\n"

    private static func bench(_ realms: [String]) -> ProxyBench {
        ProxyBench { settings in settings.realms = realms.map { Array($0.utf8) } }
    }

    @Test(arguments: ["INVITE", "MESSAGE"])
    func `a request leaves without those for our realms, with those for others`(method: String) {
        var bench = Self.bench(["example.com", "example.org"])
        let extra = "X-A: 1\r\n\(Self.ours)\(Self.others)X-B: 2\r\n"
        let sent = bench.receive(Call.request(method, extra: extra), from: ProxyBench.caller)[0]
        #expect(sent.headers("Proxy-Authorization").count == 1)
        #expect(sent.header("Proxy-Authorization")?.contains("username=\"x\"") == true)
        #expect(sent.header("X-A") == "1" && sent.header("X-B") == "2")
    }

    @Test func `where nobody shows who it is here, all of them pass`() {
        var bench = Self.bench([])
        let sent = bench.receive(Call.request("INVITE", extra: Self.ours), from: ProxyBench.caller)[0]
        #expect(sent.headers("Proxy-Authorization").count == 1)
    }

    @Test(
        arguments: [
            ("Digest realm=\"x\"", "x"), ("Digest username=\"a\",realm = \"x y\" , nonce=\"b\"", "x y"),
            ("Digest nonce=\"realm=\\\"no\\\"\", REALM=x, a=b", "x"), ("Digest realm=\"\"", ""),
            ("Digest realm=\"unclosed", "unclosed"), ("Digest user", nil), ("Digest", nil), ("", nil),
            ("Digest realms=\"x\"", nil), ("Digest realm", nil), ("Digest ,,realm=\"a\\\"b\"", "a\\\"b"),
        ] as [(String, String?)])
    func `a realm is found among the parameters`(value: String, realm: String?) {
        let bytes = Array(value.utf8)
        let found = Credentials.realm(bytes, ByteRange(bytes)).map { String(decoding: bytes[$0.range], as: UTF8.self) }
        #expect(found == realm)
    }
}
