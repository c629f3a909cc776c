// What a proxy insists on.

import Primitives
import SIP
import Testing

@Suite("Validating a message, RFC 3261 §16.3 and §8.1.1")
struct ValidationTests {
    private static let valid = [
        "Via": "SIP/2.0/UDP h;branch=z9hG4bK1", "From": "<sip:a@b>;tag=1", "To": "<sip:c@d>", "Call-ID": "x@y",
        "CSeq": "1 OPTIONS", "Max-Forwards": "70",
    ]

    private func validate(
        _ changes: [String: String?] = [:], firstLine: String = "OPTIONS sip:c@d SIP/2.0", more: String = ""
    ) throws -> SIPParseError.Reason? {
        var fields = Self.valid
        for (name, value) in changes { fields[name] = value }
        let lines = fields.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\n" }.joined()
        let message = try Message(lines: "\(firstLine)\n\(lines)\(more)\n")
        return reason { () throws(SIPParseError) in try message.validate() }
    }

    @Test func `a complete request and a complete response pass`() throws {
        #expect(try validate() == nil)
        #expect(try validate(firstLine: "SIP/2.0 200 OK") == nil)
    }

    @Test(
        arguments: [
            ("Via", .via), ("From", .from), ("To", .to), ("Call-ID", .callID), ("CSeq", .cSeq),
        ] as [(String, HeaderName)])
    func `each mandatory header must be there, in requests and responses, §8.1.1`(name: String, expected: HeaderName)
        throws
    {
        #expect(try validate([name: nil]) == .missingHeader(expected))
        #expect(try validate([name: nil], firstLine: "SIP/2.0 200 OK") == .missingHeader(expected))
    }

    @Test(
        arguments: [
            ("From: <sip:a@b>;tag=1", .from), ("t: <sip:c@d>", .to), ("i: x@y", .callID), ("CSeq: 1 OPTIONS", .cSeq),
            ("Max-Forwards: 70", .maxForwards),
        ] as [(String, HeaderName)])
    func `a header that identifies must not be there twice, RFC 4475 §3.3.8`(line: String, expected: HeaderName) throws
    {
        #expect(try validate(more: line + "\n") == .duplicateHeader(expected))
    }

    @Test func `Max-Forwards and a From tag may be missing, §16.6 step 3`() throws {
        #expect(try validate(["Max-Forwards": nil, "From": "sip:a@b"]) == nil)
    }

    @Test(
        arguments: [
            ("Via", "SIP/2.0/UDP", .malformedValue(.via)), ("Via", "SIP/2.0/UDP a, b", .malformedValue(.via)),
            ("From", "a@b", .malformedValue(.from)), ("From", "*", .malformedValue(.from)),
            ("To", "<sip:a>, <sip:b>", .malformedValue(.to)), ("To", "\"x <sip:a>", .malformedValue(.to)),
            ("Call-ID", "", .malformedValue(.callID)), ("Call-ID", "a b", .malformedValue(.callID)),
            ("CSeq", "x", .malformedValue(.cSeq)), ("CSeq", "1 INVITE", .methodMismatch),
            ("Max-Forwards", "256", .malformedValue(.maxForwards)),
            ("Max-Forwards", "x", .malformedValue(.maxForwards)),
            ("Route", "<sip:@>", .malformedURI), ("Route", "sip", .malformedValue(.route)),
            ("Contact", "\"broken", nil), ("Date", "Friday", nil),
        ] as [(String, String, SIPParseError.Reason?)])
    func `what routes or identifies must be readable, the rest is not a proxy's business, RFC 4475 §3.3.4`(
        name: String, value: String, expected: SIPParseError.Reason?
    ) throws {
        #expect(try validate([name: value]) == expected)
    }

    @Test(
        arguments: [
            ("sip:h?Route=%3Csip:x%3E", .malformedURI), ("sip:2001:db8::10", .malformedURI), ("<sip:h>", .malformedURI),
            ("nobodyKnowsThisScheme:totallyopaquecontent", .unsupportedScheme), ("tel:+1234", nil), ("sips:h", nil),
        ] as [(String, SIPParseError.Reason?)])
    func `the Request-URI must be one that a proxy can use, §16.3 step 2`(
        uri: String, expected: SIPParseError.Reason?
    ) throws {
        #expect(try validate(firstLine: "OPTIONS \(uri) SIP/2.0") == expected)
    }

    @Test func `an unknown method must be repeated exactly in CSeq, RFC 4475 §3.1.2.18`() throws {
        #expect(try validate(["CSeq": "1 NEW"], firstLine: "NEW sip:h SIP/2.0") == nil)
        #expect(try validate(["CSeq": "1 new"], firstLine: "NEW sip:h SIP/2.0") == .methodMismatch)
    }

    @Test func `every reason has a status, §21`() {
        let reasons: [(SIPParseError.Reason, Int)] = [
            (.malformedStartLine, 400), (.missingHeader(.via), 400), (.methodMismatch, 400), (.bodyTooShort, 400),
            (.unsupportedScheme, 416), (.unsupportedVersion, 505), (.messageTooLarge(limit: 1), 513),
        ]
        for (reason, status) in reasons { #expect(SIPParseError(reason, at: 0).statusCode == status) }
    }
}
