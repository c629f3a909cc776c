// URIs and parameters.

import Primitives
import SIP
import Testing

@Suite("URIs, RFC 3261 §19.1 and RFC 3966")
struct URITests {
    struct Parts: Equatable, CustomStringConvertible {
        var scheme: URI.Scheme
        var user = ""
        var host = ""
        var port: UInt16?
        var parameters = ""
        var headers = ""
        var description: String { "\(scheme) \(user) \(host) \(port ?? 0) \(parameters) \(headers)" }
    }

    static let readable: [(String, Parts)] = [
        ("sip:alice@atlanta.com", Parts(scheme: .sip, user: "alice", host: "atlanta.com")),
        ("SIP:atlanta.com:5070", Parts(scheme: .sip, host: "atlanta.com", port: 5070)),
        (
            "sips:alice:secret@[2001:db8::1]:5061;transport=tls?subject=x",
            Parts(
                scheme: .sips, user: "alice", host: "[2001:db8::1]", port: 5061, parameters: ";transport=tls",
                headers: "?subject=x")
        ),
        (
            "sip:sips%3Auser%40example.com@example.net",
            Parts(scheme: .sip, user: "sips%3Auser%40example.com", host: "example.net")
        ),
        (
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it@example.com",
            Parts(scheme: .sip, user: "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", host: "example.com")
        ),
        ("sip:a.b?x=y", Parts(scheme: .sip, host: "a.b", headers: "?x=y")),
        (
            "tel:+1-201-555-0123;phone-context=example.com",
            Parts(scheme: .tel, user: "+1-201-555-0123", parameters: ";phone-context=example.com")
        ),
        ("http://www.example.com/a?b", Parts(scheme: .other)),
        ("urn:service:sos", Parts(scheme: .other)),
    ]

    @Test(arguments: readable)
    func `a URI is taken apart without unescaping it, RFC 4475 §3.1.1`(text: String, parts: Parts) throws {
        let bytes = Array("<<\(text)>>".utf8)
        let uri = try URI(bytes, ByteRange(start: 2, end: bytes.count - 2))
        let found = Parts(
            scheme: uri.scheme, user: Text.string(bytes, uri.user), host: Text.string(bytes, uri.host), port: uri.port,
            parameters: Text.string(bytes, uri.parameters), headers: Text.string(bytes, uri.headers))
        #expect(found == parts)
    }

    @Test(arguments: [
        "", "sip", "sip:", "alice@atlanta.com", "sip:@host", "sip:user@", "sip:host:", "sip:host:99999", "sip:host:1x",
        "sip:2001:db8::10", "sip:[2001:db8::1", "sip:[]", "sip:ho st", "sip:a@b@c", "sip:host/x", "<sip:host>",
        "sip:\"x\"@host", "1sip:host", "tel:", "sip::pw@host",
    ])
    func `a malformed URI is an error, RFC 5118 §4.2`(text: String) {
        let bytes = Array(text.utf8)
        #expect(reason { () throws(SIPParseError) in _ = try URI(bytes, ByteRange(bytes)) } == .malformedURI)
    }

    @Test(
        arguments: [
            ("sip:h", 5060), ("sips:h", 5061), ("sip:h;transport=tls", 5061), ("sip:h;transport=ws", 80),
            ("sips:h;transport=ws", 443), ("sip:h:7;transport=tls", 7), ("sip:h;transport=tcp", 5060),
        ] as [(String, UInt16)])
    func `a port that is not written follows from scheme and transport, §19.1.2`(text: String, port: UInt16) throws {
        let bytes = Array(text.utf8)
        #expect(try URI(bytes, ByteRange(bytes)).effectivePort(in: bytes) == port)
    }

    @Test(arguments: [
        (";lr", true), (";LR", true), (";lr=on", true), (";lr=", true), (";x;lr;y", true), (";lrx", false), ("", false),
        (";x=lr", false), (";x=\"a;lr\"", false), (";;lr", true), (";x[]=1;lr", true),
    ])
    func `lr is found whatever surrounds it, §19.1.1`(parameters: String, expected: Bool) throws {
        let bytes = Array("sip:10.0.0.10\(parameters.replacing("\"", with: "'"))".utf8)
        let quoted = Array(parameters.utf8)
        let uri = try URI(bytes, ByteRange(bytes))
        #expect((Parameters.value("lr", in: quoted, ByteRange(quoted)) != nil) == expected)
        if !parameters.contains("\"") { #expect(uri.hasLooseRoute(in: bytes) == expected) }
    }

    @Test(arguments: [
        (";did=00ab", "00ab"), ("; did = 00ab ; x", "00ab"), (";a=\"did=1;\\\"\";did=\"q;\"", "\"q;\""), (";did", ""),
        (";DID=x,y", "x"),
    ])
    func `a parameter's value is found past quotes and white space, §7.3.1`(text: String, value: String) throws {
        let bytes = Array(text.utf8)
        let range = try #require(Parameters.value("did", in: bytes, ByteRange(bytes)))
        #expect(Text.string(bytes, range) == value)
    }
}

extension String {
    fileprivate func replacing(_ old: Character, with new: Character) -> String {
        String(map { $0 == old ? new : $0 })
    }

    @Test(
        arguments: [
            ("sip:a@h?Subject=x", "sip:a@h"), ("sip:h;lr?", "sip:h;lr"), ("sip:a?b@h", "sip:a?b@h"),
            ("tel:+1?x", "tel:+1?x"), ("sip:a@h", "sip:a@h"), ("?", "?"),
        ])
    func `headers have no place in a Request-URI, §19_1_1`(text: String, expected: String) {
        let bytes = Array(text.utf8)
        let range = URI.withoutHeaders(bytes, ByteRange(bytes))
        #expect(String(decoding: bytes[range.range], as: UTF8.self) == expected)
    }
}
