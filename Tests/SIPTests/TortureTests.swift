// The torture messages of RFC 4475 and RFC 5118, and what we do with each; the PROTOS cases and others' fuzz seeds,
// which must only not trap. The files are third-party data beside the repository.

import Fuzzing
import Primitives
import SIP
import Testing

@Suite("Torture messages, RFC 4475 and RFC 5118", .enabled(if: TestData.isPresent, Comment(rawValue: TestData.absence)))
struct TortureTests {
    enum Outcome: Equatable {
        /// Parsed and fit to be forwarded or answered by its contents.
        case valid
        /// A request that is answered with this status.
        case status(Int)
        /// A response that is dropped.
        case discarded
    }

    static let outcomes: [(name: String, outcome: Outcome)] = [
        ("wsinv", .valid), ("intmeth", .valid), ("esc01", .valid), ("esc02", .valid), ("lwsdisp", .valid),
        ("transports", .valid), ("mpart01", .valid), ("unreason", .valid), ("noreason", .valid),
        ("badinv01", .status(400)), ("clerr", .status(400)), ("ncl", .status(400)), ("scalar02", .status(400)),
        ("scalarlg", .discarded), ("quotbal", .status(400)), ("ltgtruri", .status(400)), ("trws", .status(400)),
        ("badaspec", .status(400)), ("baddn", .status(400)), ("badvers", .status(505)), ("mismatch02", .status(400)),
        ("badbranch", .valid), ("unkscm", .status(416)), ("unksm2", .valid), ("regaut01", .valid),
        ("mcl01", .status(400)), ("zeromf", .valid), ("cparam01", .valid), ("cparam02", .valid), ("test", .status(400)),
        ("ipv6-bad", .status(400)), ("ipv6-bug-abnf-3-colons", .valid), ("ipv6-correct-abnf-2-colons", .valid),
        ("ipv6-good", .valid), ("mult-ip-in-header", .valid), ("mult-ip-in-sdp", .valid),
        ("via-received-param-with-delim", .valid),
    ]

    /// A corpus message; those of RFC 5118 get their CRLFs and the empty line that the copy lost.
    private static func bytes(_ name: String) throws -> [UInt8] {
        if let path = try TestData.files("torture/rfc4475").first(where: { $0.hasSuffix("/\(name).dat") }) {
            return try TestData.bytes(path)
        }
        var text = String(decoding: try TestData.bytes("torture/rfc5118/\(name)"), as: UTF8.self)
        if !text.contains("\n\n") { text += "\n" }
        return Array(text.replacingLineFeeds().utf8)
    }

    private static func loaded(_ name: String) throws -> Message {
        var message = Message()
        let bytes = try bytes(name)
        try message.load(RawSpan(_elements: bytes.span))
        return message
    }

    @Test func `the table has each message of the corpus`() throws {
        let rows = String(decoding: try TestData.bytes("torture/expectations.tsv"), as: UTF8.self)
            .split(separator: "\n").dropFirst().map { String($0.split(separator: "\t")[1]) }
        #expect(rows.sorted() == Self.outcomes.map(\.name).sorted())
    }

    @Test(arguments: outcomes)
    func `each message has the outcome that the RFC asks of a proxy`(name: String, outcome: Outcome) throws {
        let bytes = try Self.bytes(name)
        var exercise = MessageExercise()
        var message = Message()
        let fault = exercise.run(bytes)
        _ = reason { () throws(SIPParseError) in try message.load(RawSpan(_elements: bytes.span)) }
        let found: Outcome = fault.map { message.isRequest ? .status($0.statusCode) : .discarded } ?? .valid
        #expect(found == outcome, "\(String(describing: fault))")
    }

    @Test func `baddn is refused for its names, with its empty line too, §3.1.2.15`() throws {
        var exercise = MessageExercise()
        let fault = exercise.run(try Self.bytes("baddn") + [0x0D, 0x0A])
        #expect(fault?.reason == .malformedValue(.from))
    }

    @Test func `wsinv is read through its white space, §3.1.1.1`() throws {
        let message = try Self.loaded("wsinv")
        #expect(message.method == .invite && message.headerCount == 14)
        #expect(message.text(message.fromTag) == "98asjd8" && message.text(message.toTag) == "1918181833n")
        #expect(try message.maxForwards() == 68)
        #expect(try message.cSeq().number == 9)
        var vias: [Via] = []
        #expect(message.vias(into: &vias))
        #expect(vias.map { message.text($0.branch) } == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"])
        var routes: [NameAddress] = []
        #expect(message.nameAddresses(.route, into: &routes))
        let route = try URI(message.bytes, try #require(routes.first).uri)
        #expect(message.text(route.host) == "services.example.com" && route.hasLooseRoute(in: message.bytes))
        let contact = try #require(message.firstNameAddress(.contact))
        #expect(message.text(contact.uri) == "sip:jdrosen@example.com")
        let q = try #require(Parameters.value("q", in: message.bytes, contact.parameters))
        #expect(message.text(q) == "0.33")
    }

    @Test func `intmeth and esc02 keep their methods and names as written, §3.1.1.2 and §3.1.1.5`() throws {
        let odd = try Self.loaded("intmeth")
        #expect(odd.method == .other && odd.text(odd.methodText).hasPrefix("!interesting-Method0123456789"))
        #expect(odd.text(odd.fromTag) == "_token~1'+`*%!-.")
        #expect(odd.text(try URI(odd.bytes, odd.requestURI).host) == "example.com")
        let escaped = try Self.loaded("esc02")
        #expect(escaped.method == .other && escaped.count(of: .contact) == 2)
    }

    @Test func `esc01 is not unescaped, §3.1.1.3`() throws {
        let message = try Self.loaded("esc01")
        #expect(message.text(try URI(message.bytes, message.requestURI).user) == "sips%3Auser%40example.com")
    }

    @Test func `transports and unknown schemes are kept, §3.1.1.10 and §3.3.4`() throws {
        let message = try Self.loaded("transports")
        var vias: [Via] = []
        #expect(message.vias(into: &vias))
        #expect(vias.map(\.transport) == [.udp, .other, .tls, .other, .tcp])
        let scheme = try Self.loaded("unksm2")
        #expect(scheme.text(try #require(scheme.firstNameAddress(.from)).uri) == "http://www.example.com")
    }

    @Test func `mpart01 keeps its body, unreason and noreason their phrases, §3.1.1.11 to 13`() throws {
        let multipart = try Self.loaded("mpart01")
        #expect(multipart.body.count == Int(try #require(multipart.leadingNumber(.contentLength))))
        #expect(try Self.loaded("unreason").statusCode == 200)
        let trying = try Self.loaded("noreason")
        #expect(trying.statusCode == 100 && trying.reasonPhrase.isEmpty)
    }

    @Test func `a bare magic cookie is no transaction identifier, §3.2.1`() throws {
        let message = try Self.loaded("badbranch")
        #expect(try !message.topmostVia().hasMagicCookie(in: message.bytes))
    }

    @Test func `zeromf has no hop left, §3.3.11`() throws {
        #expect(try Self.loaded("zeromf").maxForwards() == 0)
    }

    @Test func `an unknown contact parameter is the header's, a URI parameter the URI's, §3.3.12 and 13`() throws {
        let header = try Self.loaded("cparam01")
        let outside = try #require(header.firstNameAddress(.contact))
        #expect(header.text(outside.parameters) == ";unknownparam")
        let uri = try Self.loaded("cparam02")
        let inside = try #require(uri.firstNameAddress(.contact))
        #expect(inside.parameters.isEmpty && uri.text(inside.uri).hasSuffix(";unknownparam"))
    }

    @Test func `IPv6 references are read with and without brackets around received, RFC 5118 §4.5 and §4.10`() throws {
        let message = try Self.loaded("via-received-param-with-delim")
        let via = try message.topmostVia()
        #expect(Address(bytes: message.bytes, range: via.host) == Address(text: "2001:db8::9:1"))
        #expect(Address(bytes: message.bytes, range: via.received) == Address(text: "2001:db8::9:255"))
        for name in ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"] {
            let options = try Self.loaded(name)
            let host = try URI(options.bytes, options.requestURI).host
            #expect(Address(bytes: options.bytes, range: host) == Address(text: "2001:db8::c000:201"))
        }
        let multiple = try Self.loaded("mult-ip-in-header")
        var vias: [Via] = []
        #expect(multiple.vias(into: &vias))
        #expect(multiple.text(vias[2].received) == "192.0.2.200" && vias[0].port == 6050)
    }

    @Test func `no PROTOS case and no other project's fuzz find traps`() throws {
        var exercise = MessageExercise()
        let cases = try TestData.files("torture/protos-c07-sip")
        #expect(cases.count == 300)
        for path in cases {
            let file = try TestData.bytes(path)
            exercise.run(file)
            exercise.run(Self.filledIn(file))
        }
        #expect(exercise.valid > 0, "some cases only test what a proxy must not look at")
        for folder in ["fuzz-seeds", "messages", "stream", "flows"] {
            for path in try TestData.files(folder) { exercise.run(try TestData.bytes(path)) }
        }
    }

    /// A PROTOS case as it is sent.
    private static func filledIn(_ file: [UInt8]) -> [UInt8] {
        let values = [
            "To": "bob@127.0.0.1", "From": "alice@127.0.0.1", "From-Address": "127.0.0.1", "From-IP": "127.0.0.1",
            "Local-Port": "5060", "Branch-ID": "17", "Call-ID": "17", "CSeq": "1", "Content-Length": "0",
            "Teardown-Method": "CANCEL",
        ]
        return PROTOSCase.message(of: file, values)
    }
}
