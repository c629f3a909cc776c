// The registrar without a script: phones register through one node, and are found by all of them (RFC 3261 §10).

import Node
import Primitives
import SIP
import Testing

@Suite("Phones register here")
struct RegistrarTests {
    private static let phone = "10.0.9.2:5060"

    private static func bench(_ change: @escaping (inout Settings) -> Void = { _ in }) -> ClusterBench {
        var bench = ClusterBench {
            $0.registrar.domains = ["example.org"]
            change(&$0)
        }
        bench.status = [:]
        bench.advance(milliseconds: 3_000)
        return bench
    }

    private static func register(
        _ contacts: [String], user: String = "bob", callID: String = "r1", cSeq: Int = 1, via: String = phone,
        extra: String = ""
    ) -> String {
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP \(via);branch=z9hG4bK\(callID)\(cSeq)\r\n"
            + "Max-Forwards: 70\r\nFrom: <sip:\(user)@example.org>;tag=t\r\nTo: <sip:\(user)@example.org>\r\n"
            + "Call-ID: \(callID)\r\nCSeq: \(cSeq) REGISTER\r\n"
            + contacts.map { "Contact: \($0)\r\n" }.joined() + extra + "Content-Length: 0\r\n\r\n"
    }

    private static func request(_ method: String, to user: String, callID: String, extra: String = "") -> String {
        "\(method) sip:\(user)@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.9.1:5060;branch=z9hG4bK\(callID)\r\n"
            + "Max-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=a\r\nTo: <sip:\(user)@example.org>\r\n"
            + "Call-ID: \(callID)\r\nCSeq: 1 \(method)\r\nContact: <sip:alice@10.0.9.1>\r\n\(extra)"
            + "Content-Length: 0\r\n\r\n"
    }

    /// What the sender of a request is told in the end.
    private static func answer(_ bench: ClusterBench, to callID: String, cSeq: Int = 1) -> ClusterBench.Sent? {
        bench.sent.last {
            $0.text.hasPrefix("SIP/2.0 ") && !$0.text.hasPrefix("SIP/2.0 1") && $0.header("Call-ID") == callID
                && $0.header("CSeq")?.hasPrefix("\(cSeq) ") == true
        }
    }

    private static func status(_ bench: ClusterBench, to callID: String, cSeq: Int = 1) -> Int? {
        answer(bench, to: callID, cSeq: cSeq).flatMap { Int($0.text.dropFirst(8).prefix(3)) }
    }

    private static func invites(_ bench: ClusterBench, of callID: String) -> [ClusterBench.Sent] {
        bench.sent.filter { $0.text.hasPrefix("INVITE ") && $0.header("Call-ID") == callID }
    }

    @Test func `a contact whose 200 has left is found by every survivor`() throws {
        var bench = Self.bench()
        for index in 0..<50 {
            bench.receive(
                Self.register(["<sip:u\(index)@10.0.9.2>"], user: "u\(index)", callID: "r\(index)"), from: Self.phone,
                at: 0)
        }
        while Self.status(bench, to: "r49") == nil { bench.advance(milliseconds: 1) }
        bench.kill(0)
        bench.advance(milliseconds: 20)
        for index in 0..<50 {
            let callID = "i\(index)"
            bench.receive(
                Self.request("INVITE", to: "u\(index)", callID: callID), from: ClusterBench.caller, at: 1 + index % 2)
            #expect(Self.invites(bench, of: callID).first?.text.hasPrefix("INVITE sip:u\(index)@10.0.9.2 ") == true)
            #expect(Self.invites(bench, of: callID).first?.to == Self.phone)
        }
    }

    @Test func `the 200 waits for its commit, and lists what is there`() throws {
        var bench = Self.bench()
        bench.receive(Self.register(["<sip:bob@10.0.9.2>;expires=120;q=0.5"]), from: Self.phone, at: 0)
        #expect(Self.answer(bench, to: "r1") == nil)
        bench.advance(milliseconds: 20)
        #expect(
            try #require(Self.answer(bench, to: "r1")).header("Contact") == "<sip:bob@10.0.9.2>;expires=120;q=0.500")
        // A question changes nothing, and waits for nobody.
        bench.receive(Self.register([], callID: "q", cSeq: 7), from: Self.phone, at: 2)
        #expect(Self.answer(bench, to: "q", cSeq: 7)?.header("Contact")?.hasPrefix("<sip:bob@10.0.9.2>") == true)
    }

    @Test func `what is taken back on one node is gone on all, and leaves its last trace by itself`() throws {
        var bench = Self.bench()
        bench.receive(Self.register(["<sip:bob@10.0.9.2>;expires=60"]), from: Self.phone, at: 0)
        bench.advance(milliseconds: 100)
        bench.receive(
            Self.register(["*"], callID: "r2", extra: "Expires: 0\r\n"), from: Self.phone, at: 1)
        bench.advance(milliseconds: 100)
        #expect(Self.status(bench, to: "r2") == 200 && Self.answer(bench, to: "r2")?.header("Contact") == nil)
        for index in 0..<3 {
            bench.receive(
                Self.request("INVITE", to: "bob", callID: "i\(index)"), from: ClusterBench.caller, at: index)
            #expect(Self.status(bench, to: "i\(index)") == 480)
        }
        let now = bench.now
        #expect(bench.nodes.allSatisfy { $0?.contacts(after: nil, now: now).addresses.isEmpty == true })
    }

    @Test func `what is taken back at a node that does not know of it yet is gone on all`() throws {
        var bench = Self.bench()
        bench.receive(Self.register(["<sip:bob@10.0.9.2>"]), from: Self.phone, at: 0)
        bench.advance(milliseconds: 100)
        bench.kill(2)
        bench.advance(milliseconds: 2_000)
        bench.start(2)
        // It has heard nobody.
        bench.receive(Self.register(["<sip:bob@10.0.9.2>;expires=0"], cSeq: 2), from: Self.phone, at: 2)
        bench.advance(milliseconds: 6_000)
        #expect(Self.status(bench, to: "r1", cSeq: 2) == 200)
        let now = bench.now
        #expect(bench.nodes.allSatisfy { $0?.contacts(after: nil, now: now).addresses.isEmpty == true })
        bench.receive(Self.register(["<sip:bob@10.0.9.2>"], cSeq: 3), from: Self.phone, at: 1)
        bench.advance(milliseconds: 100)
        #expect(bench.nodes.allSatisfy { $0?.contacts(of: "bob@example.org", now: bench.now)?.contacts.count == 1 })
    }

    @Test func `a star takes back what only others know`() throws {
        var bench = Self.bench()
        for name in ["bob", "bobs-other"] {
            bench.receive(Self.register(["<sip:\(name)@10.0.9.2>"], cSeq: name.count), from: Self.phone, at: 0)
            bench.advance(milliseconds: 100)
        }
        bench.kill(2)
        bench.advance(milliseconds: 2_000)
        bench.start(2)
        // It has heard nobody.
        bench.receive(Self.register(["*"], cSeq: 20, extra: "Expires: 0\r\n"), from: Self.phone, at: 2)
        bench.advance(milliseconds: 6_000)
        #expect(Self.status(bench, to: "r1", cSeq: 20) == 200)
        let now = bench.now
        #expect(bench.nodes.allSatisfy { $0?.contacts(after: nil, now: now).addresses.isEmpty == true })
        bench.receive(Self.register(["<sip:bob@10.0.9.2>"], cSeq: 21), from: Self.phone, at: 1)
        bench.advance(milliseconds: 100)
        #expect(bench.nodes.allSatisfy { $0?.contacts(of: "bob@example.org", now: bench.now)?.contacts.count == 1 })
    }

    @Test func `a contact that is not renewed is gone by its time, on every node`() throws {
        var bench = Self.bench { $0.registrar.minExpires = .seconds(1) }
        bench.receive(Self.register(["<sip:bob@10.0.9.2>;expires=5"]), from: Self.phone, at: 0)
        bench.advance(milliseconds: 4_500)
        bench.receive(Self.request("INVITE", to: "bob", callID: "i1"), from: ClusterBench.caller, at: 1)
        #expect(Self.invites(bench, of: "i1").count == 1)
        bench.advance(milliseconds: 1_000)
        bench.receive(Self.request("INVITE", to: "bob", callID: "i2"), from: ClusterBench.caller, at: 2)
        #expect(Self.status(bench, to: "i2") == 480)
    }

    @Test func `registrations on two nodes at once both stay, and one restarted gets them`() throws {
        var bench = Self.bench()
        bench.receive(Self.register(["<sip:bob@10.0.9.2>"], callID: "r1"), from: Self.phone, at: 0)
        bench.receive(Self.register(["<sip:bob@10.0.9.3>;q=0.3"], callID: "r2"), from: Self.phone, at: 1)
        bench.advance(milliseconds: 200)
        bench.kill(2)
        bench.advance(milliseconds: 2_000)
        bench.start(2)
        bench.advance(milliseconds: 6_000)
        bench.receive(Self.request("INVITE", to: "bob", callID: "i"), from: ClusterBench.caller, at: 2)
        #expect(Self.invites(bench, of: "i").map(\.to) == [Self.phone])
        let first = try #require(Self.invites(bench, of: "i").first)
        bench.receive(ClusterBench.answer(486, to: first, toTag: ";tag=x"), from: Self.phone, at: 2)
        bench.advance(milliseconds: 10)
        #expect(Self.invites(bench, of: "i").map(\.to) == [Self.phone, "10.0.9.3:5060"], "serial, by q")
    }

    @Test func `what cannot be is refused with its reason`() throws {
        var bench = Self.bench { $0.registrar.maxContacts = 2 }
        func told(_ text: String, _ callID: String, cSeq: Int = 1) -> ClusterBench.Sent? {
            bench.receive(text, from: Self.phone, at: 0)
            bench.advance(milliseconds: 100)
            return Self.answer(bench, to: callID, cSeq: cSeq)
        }
        let brief = told(Self.register(["<sip:bob@10.0.9.2>;expires=5"], callID: "a"), "a")
        #expect(brief?.text.hasPrefix("SIP/2.0 423 ") == true && brief?.header("Min-Expires") == "60")
        let three = (1...3).map { "<sip:bob@10.0.9.\($0)>" }
        #expect(told(Self.register(three, callID: "b"), "b")?.text.hasPrefix("SIP/2.0 503 ") == true)
        #expect(told(Self.register(["*"], callID: "c"), "c")?.text.hasPrefix("SIP/2.0 400 ") == true)
        let extensions = told(Self.register([], callID: "d", extra: "Require: gruu, path\r\n"), "d")
        #expect(extensions?.text.hasPrefix("SIP/2.0 420 ") == true && extensions?.header("Unsupported") == "gruu")
        let foreign = Self.register(["<sip:bob@10.0.9.2>"], callID: "e").replacing(
            "To: <sip:bob@example.org>", with: "To: <sip:bob@example.com>")
        #expect(told(foreign, "e")?.text.hasPrefix("SIP/2.0 404 ") == true)
        _ = told(Self.register(["<sip:bob@10.0.9.2>"], callID: "f", cSeq: 9), "f", cSeq: 9)
        let older = told(Self.register(["<sip:bob@10.0.9.2>"], callID: "f", cSeq: 8), "f", cSeq: 8)
        #expect(older?.text.hasPrefix("SIP/2.0 500 ") == true)
        // A copy of what another node has answered is answered alike.
        bench.receive(
            Self.register(["<sip:bob@10.0.9.2>"], callID: "f", cSeq: 9), from: Self.phone, at: 1)
        #expect(Self.status(bench, to: "f", cSeq: 9) == 200)
    }

    @Test func `a phone behind an address translation is sent to where it was heard from`() throws {
        var bench = Self.bench()
        bench.receive(
            Self.register(["<sip:bob@192.168.1.9:5060>"], via: "192.168.1.9:5060"), from: "10.0.9.7:33333", at: 0)
        bench.advance(milliseconds: 100)
        bench.receive(Self.request("INVITE", to: "BOB", callID: "i"), from: ClusterBench.caller, at: 1)
        let sent = try #require(Self.invites(bench, of: "i").first)
        #expect(sent.to == "10.0.9.7:33333" && sent.text.hasPrefix("INVITE sip:bob@192.168.1.9:5060 "))
    }

    @Test func `a Path is followed to the contact, RFC 3327`() throws {
        var bench = Self.bench()
        bench.receive(
            Self.register(["<sip:bob@192.168.1.9>"], extra: "Path: <sip:10.0.9.8;lr>\r\nSupported: path\r\n"),
            from: "10.0.9.8:5060", at: 0)
        bench.advance(milliseconds: 100)
        #expect(Self.answer(bench, to: "r1")?.header("Path") == "<sip:10.0.9.8;lr>")
        bench.receive(Self.request("INVITE", to: "bob", callID: "i"), from: ClusterBench.caller, at: 2)
        let sent = try #require(Self.invites(bench, of: "i").first)
        #expect(sent.to == "10.0.9.8:5060" && sent.header("Route") == "<sip:10.0.9.8;lr>")
    }

    @Test func `a file says who may register`() throws {
        let read = try PhoneCredential.read(Array("# phones\nbob:secret\ncarol@example.org:a:b\r\n\n".utf8))
        #expect(read.map { String(decoding: $0.user, as: UTF8.self) } == ["bob", "carol"])
        #expect(read[1].password.bytes == Array("a:b".utf8) && read[1].realm == Array("example.org".utf8))
        let digest = String(repeating: "0f", count: 16)
        #expect(try PhoneCredential.read(Array("bob:example.org:\(digest)".utf8)).first?.isDigest == true)
        #expect(throws: PhoneCredential.Unreadable(message: "line 2 is not of the form user:password")) {
            try PhoneCredential.read(Array("a:b\nnobody\n".utf8))
        }
        var bench = Self.bench { $0.registrar.credentials = PhoneCredentials(read) }
        bench.receive(Self.register(["<sip:bob@10.0.9.2>"]), from: Self.phone, at: 0)
        let challenged = try #require(Self.answer(bench, to: "r1"))
        #expect(challenged.text.hasPrefix("SIP/2.0 401 "))
        #expect(challenged.text.contains("algorithm=SHA-256") && challenged.text.contains("algorithm=MD5"))
        let wrong = """
            Authorization: Digest username="bob", realm="example.org", nonce="0", uri="sip:example.org", response="0"
            """
        bench.receive(
            Self.register(["<sip:bob@10.0.9.2>"], cSeq: 2, extra: wrong + "\r\n"), from: Self.phone, at: 1)
        #expect(Self.status(bench, to: "r1", cSeq: 2) == 401)
        bench.receive(Self.request("INVITE", to: "bob", callID: "i"), from: ClusterBench.caller, at: 0)
        #expect(Self.status(bench, to: "i") == 407)
    }
}
