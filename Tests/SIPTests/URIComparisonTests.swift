// Comparing URIs: the examples of RFC 3261 §19.1.4 and RFC 3966 §4 and §6, and what they do not say.

import Primitives
import SIP
import Testing

@Suite("Comparing URIs, RFC 3261 §19.1.4 and RFC 3966 §4")
struct URIComparisonTests {
    private func areEquivalent(_ left: String, _ right: String) throws -> Bool {
        // Each in its own place of its own buffer.
        let (a, b) = (Array("<\(left)>".utf8), Array("<<\(right)>>".utf8))
        let uri = try URI(a, ByteRange(start: 1, end: a.count - 1))
        let other = try URI(b, ByteRange(start: 2, end: b.count - 2))
        let answer = uri.isEquivalent(to: other, in: a, b)
        #expect(other.isEquivalent(to: uri, in: b, a) == answer, "symmetric")
        #expect(uri.isEquivalent(to: uri, in: a, a) && other.isEquivalent(to: other, in: b, b), "reflexive")
        return answer
    }

    static let equivalent = [
        // The RFC's.
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x"
        ),
        // Ours.
        ("SIP:h", "sip:H"), ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0:0::1]"), ("sip:h;%61=b", "sip:h;A=B"),
        ("sip:a:%70w@h", "sip:a:pw@h"), ("sip:h;lr", "sip:h;lr="), ("sip:h;x=1;x=2", "sip:h;x=1;x=2"),
        ("sip:h;maddr=10.0.0.1", "sip:h;maddr=10.0.0.1"), ("sip:h?A=b", "sip:h?a=b"),
    ]

    static let different = [
        // The RFC's.
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        // What the rules in the section say without an example.
        ("sip:a@h", "sips:a@h"), ("sip:h", "sip:a@h"), ("sip:a@h", "sip:a:pw@h"), ("sip:a:pw@h", "sip:a:PW@h"),
        ("sip:h", "sip:h;user=ip"), ("sip:h", "sip:h;ttl=1"), ("sip:h", "sip:h;method=INVITE"),
        ("sip:h", "sip:h;maddr=h"), ("sip:a%3Bb@h", "sip:a;b@h"), ("sip:h?a=b", "sip:h?a=b&a=b"),
        ("sip:h?a=b", "sip:h?a=c"), ("sip:h;x=1;x=2", "sip:h;x=2;x=1"), ("sip:a%00@h", "sip:a@h"),
        ("sip:a%4@h", "sip:a@h"), ("sip:a@h", "sip:b@h"), ("sip:a@h:1", "sip:a@h:2"), ("sip:[::1]", "sip:[::2]"),
    ]

    static let sameNumbers = [
        ("tel:+1-201-555-0123", "TEL:+1(201)5550123"),
        ("tel:+358-555-1234567;ext=12;isub=3", "tel:+358.5551234567;ISUB=3;ext=1-2"),
        ("tel:7042;phone-context=example.com", "tel:7-042;phone-context=EXAMPLE.com"),
        ("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555"),
        ("tel:*A#;phone-context=h", "tel:*a#;phone-context=h"), ("tel:+1;a=b", "tel:+1;A=B"),
    ]

    static let otherNumbers = [
        ("tel:+1201", "tel:1201;phone-context=+1"), ("tel:+1201", "tel:+1202"), ("tel:+1201", "tel:+12"),
        ("tel:7042;phone-context=example.com", "tel:7042;phone-context=example.org"), ("tel:+1", "tel:+1;ext=1"),
        ("tel:+1;a=b", "tel:+1;a=c"), ("tel:+1;a=b", "tel:+1;c=b"), ("tel:+1", "sip:+1@h"),
        ("tel:+1;phone-context=a-b", "tel:+1;phone-context=ab"),
    ]

    static let opaque = [
        ("urn:service:sos", "URN:service:sos", true), ("urn:service:sos", "urn:service:SOS", false),
        ("http://a/b", "http://a/b", true), ("http://a/b", "https://a/b", false),
    ]

    @Test(arguments: equivalent + sameNumbers)
    func `these are equivalent`(left: String, right: String) throws {
        #expect(try areEquivalent(left, right))
    }

    @Test(arguments: different + otherNumbers)
    func `these are not`(left: String, right: String) throws {
        #expect(try !areEquivalent(left, right))
    }

    @Test(arguments: opaque)
    func `other schemes compare byte by byte`(left: String, right: String, expected: Bool) throws {
        #expect(try areEquivalent(left, right) == expected)
    }
}

@Suite("Telephone numbers, RFC 3966 §3")
struct TelephoneNumberTests {
    private func number(_ text: String) throws -> (TelephoneNumber, [UInt8]) {
        let bytes = Array(text.utf8)
        return (try TelephoneNumber(try URI(bytes, ByteRange(bytes)), in: bytes), bytes)
    }

    @Test func `global and local numbers are taken apart`() throws {
        let (global, bytes) = try number("tel:+1-(201)-555.0123;ext=12;isub=a")
        #expect(global.isGlobal && Text.string(bytes, global.digits) == "+1-(201)-555.0123")
        #expect(Text.string(bytes, global.extension) == "12" && global.context.isEmpty)
        let (local, other) = try number("tel:*70-A#;phone-context=example.com")
        #expect(!local.isGlobal && Text.string(other, local.context) == "example.com")
        let (prefixed, more) = try number("tel:863-1234;phone-context=+1-914-555")
        #expect(Text.string(more, prefixed.context) == "+1-914-555")
    }

    @Test(arguments: [
        "tel:7042", "tel:7042;phone-context=", "tel:+", "tel:+-", "tel:+1a", "tel:--;phone-context=h",
        "tel:g;phone-context=h",
        "tel:7;phone-context=+", "tel:7;phone-context=a/b", "tel:+1;ext=x", "sip:+1@h", "tel:%31;phone-context=h",
    ])
    func `what names nobody is an error, §5_1`(text: String) {
        #expect(throws: SIPParseError.self) { try number(text) }
    }
}
