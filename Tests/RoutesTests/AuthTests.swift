// Digests by the vectors of their RFCs, and the challenge and its answer on two nodes.

import Primitives
import Routes
import SIP
import Testing

@Suite("Digest authentication, RFC 7616 and RFC 8760")
struct AuthTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"), ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (String(repeating: "1234567890", count: 8), "57edf4a22be3c955ac49da2e2107b67a"),
    ])
    func `MD5 as RFC 1321 has it`(text: String, digest: String) {
        #expect(RouteText.hex(MD5.digest(Array(text.utf8))).shown == digest)
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 as FIPS 180-4 has it`(text: String, digest: String) {
        #expect(RouteText.hex(SHA256.digest(Array(text.utf8))).shown == digest)
    }

    @Test func `HMAC as RFC 4231 has it`() {
        let code = SHA256.authenticationCode(bytes("what do ya want for nothing?"), key: bytes("Jefe"))
        #expect(
            RouteText.hex(code).shown == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let long = SHA256.authenticationCode(
            bytes("Test Using Larger Than Block-Size Key - Hash Key First"), key: [UInt8](repeating: 0xaa, count: 131))
        #expect(
            RouteText.hex(long).shown == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    private func settings(_ algorithm: AuthSettings.Algorithm) -> RouteSettings {
        var settings = RouteBench.settings()
        settings.auth.key = bytes("the key of the cluster")
        settings.auth.algorithm = algorithm
        settings.auth.credentials = [
            .init(user: bytes("alice"), realm: bytes("example.com"), password: bytes("secret")),
            .init(
                user: bytes("bob"), realm: [], password: RouteText.hex(MD5.digest(bytes("bob:example.com:secret"))),
                isDigest: true),
        ]
        return settings
    }

    /// The request again with the answer to a challenge.
    private func answered(
        _ challenge: [UInt8], user: String = "alice", password: String = "secret", algorithm: AuthSettings.Algorithm,
        changing: (String) -> String = { $0 }
    ) throws -> RouteRun {
        let line = challenge.shown.split(separator: "\r\n")[0]
        let value = try #require(DigestParameters(bytes(String(line.split(separator: ": ", maxSplits: 1)[1]))))
        let nonce = try #require(value["nonce"]).shown
        func hash(_ text: String) -> String {
            RouteText.hex(algorithm == .sha256 ? SHA256.digest(bytes(text)) : MD5.digest(bytes(text))).shown
        }
        let secret = hash("\(user):example.com:\(password)")
        let request = hash("INVITE:sip:bob@example.org")
        let response = hash("\(secret):\(nonce):00000001:c:auth:\(request)")
        let name = algorithm == .sha256 ? "SHA-256" : "MD5"
        let header = changing(
            "Proxy-Authorization: Digest username=\"\(user)\", realm=\"example.com\", nonce=\"\(nonce)\", "
                + "uri=\"sip:bob@example.org\", response=\"\(response)\", algorithm=\(name), qop=auth, nc=00000001, "
                + "cnonce=\"c\"")
        let text = RouteBench.invite.replacing("User-Agent", with: header + "\nUser-Agent")
        return try RouteBench.run(text, settings: settings(algorithm))
    }

    private func challenge(_ algorithm: AuthSettings.Algorithm) throws -> [UInt8] {
        var run = try RouteBench.run(settings: settings(algorithm))
        #expect(run.checkCredentials(bytes("example.com")) == .noCredentials)
        #expect(try run.challenge(bytes("example.com"), 1))
        #expect(run.plan.verdict == .replied(407, reason: bytes("Proxy Authentication Required"), isStateful: false))
        return run.plan.replyLines
    }

    @Test(arguments: [AuthSettings.Algorithm.md5, .sha256])
    func `what one node asked another can check`(algorithm: AuthSettings.Algorithm) throws {
        let lines = try challenge(algorithm)
        var run = try answered(lines, algorithm: algorithm)
        #expect(run.checkCredentials(bytes("example.com")) == .ok)
        #expect(run.checkPassword(bytes("example.com"), bytes("secret"), 0, 0) == .ok)
        #expect(run.checkPassword(bytes("example.com"), bytes("wrong"), 0, 0) == .wrongPassword)
        #expect(try !run.consumeCredentials(), "nobody has said whose were good")
        #expect(run.authorized(bytes("example.com"), .ok) == 1)
        #expect(try run.consumeCredentials())
        #expect(try #require(try run.edited()).shown.contains("Digest") == false)
        if algorithm == .md5 {
            #expect(try answered(lines, user: "bob", algorithm: .md5).checkCredentials(bytes("example.com")) == .ok)
        }
    }

    @Test func `both algorithms are offered, the better one first`() throws {
        let lines = try challenge(.both).shown.split(separator: "\r\n")
        #expect(lines.count == 2)
        #expect(lines[0].contains("algorithm=SHA-256") && lines[1].contains("algorithm=MD5"))
    }

    @Test func `what is wrong with an answer is told apart`() throws {
        let lines = try challenge(.md5)
        func check(_ changing: (String) -> String) throws -> RouteRun.AuthAnswer {
            try answered(lines, algorithm: .md5, changing: changing).checkCredentials(bytes("example.com"))
        }
        #expect(
            try answered(lines, password: "x", algorithm: .md5).checkCredentials(bytes("example.com")) == .wrongPassword
        )
        #expect(
            try answered(lines, user: "eve", algorithm: .md5).checkCredentials(bytes("example.com")) == .unknownUser)
        #expect(try check { $0.replacing("example.com", with: "example.net") } == .noCredentials)
        #expect(try check { $0.replacing("nonce=\"", with: "nonce=\"0") } == .staleNonce)
        #expect(try check { $0.replacing("algorithm=MD5", with: "algorithm=FOO") } == .failed)
        #expect(try check { $0.replacing("qop=auth", with: "qop=auth-int") } == .failed)
        var old = try answered(lines, algorithm: .md5)
        old.time = RouteTime(microseconds: old.time.microseconds + 301_000_000, now: old.time.now)
        #expect(old.checkCredentials(bytes("example.com")) == .staleNonce)
        #expect(try old.challenge(bytes("example.com"), 0))
        #expect(old.plan.replyLines.shown.contains("stale=true"))
    }

    @Test func `good credentials of another than the request is from are refused where a script asks`() throws {
        let realm = bytes("example.com")
        let lines = try challenge(.md5)
        let alice = try answered(lines, algorithm: .md5)
        #expect(alice.checkCredentials(realm, 1) == .ok)
        #expect(alice.checkPassword(realm, bytes("secret"), 0, 1) == .ok)
        // Her From, his password.
        let bob = try answered(lines, user: "bob", algorithm: .md5)
        #expect(bob.checkCredentials(realm) == .ok)
        #expect(bob.checkCredentials(realm, 1) == .userMismatch)
        #expect(bob.checkPassword(realm, bytes("secret"), 0, 1) == .userMismatch)
        #expect(bob.checkCredentials(realm, 3) == .ok, "an INVITE may have been forwarded")
        #expect(try answered(lines, password: "x", algorithm: .md5).checkCredentials(realm, 1) == .wrongPassword)
    }

    @Test(arguments: [("alice", true), ("bob", false)])
    func `a REGISTER is for the user that its credentials name, whoever it is from`(to: String, isHers: Bool) throws {
        let realm = bytes("example.com")
        var run = try RouteBench.run(
            RouteBench.invite.replacing("INVITE", with: "REGISTER"), settings: settings(.md5))
        let nonce = try #require(run.challenge(realm, 0) ? run.plan.replyLines : nil).shown.split(separator: "\"")[3]
        func hash(_ text: String) -> String { RouteText.hex(MD5.digest(bytes(text))).shown }
        let response = hash(
            "\(hash("alice:example.com:secret")):\(nonce):\(hash("REGISTER:sip:example.org"))")
        let header =
            "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"\(nonce)\", "
            + "uri=\"sip:example.org\", response=\"\(response)\""
        let text = RouteBench.invite.replacing("INVITE", with: "REGISTER")
            .replacing("To: <sip:bob@example.org>", with: "To: <sip:\(to)@example.org>")
            .replacing("User-Agent", with: header + "\nUser-Agent")
        run = try RouteBench.run(text, settings: settings(.md5))
        #expect(run.checkCredentials(realm) == .ok)
        #expect(run.checkCredentials(realm, 3) == (isHers ? .ok : .userMismatch))
    }
}
