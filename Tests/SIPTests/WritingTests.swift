// Editing, answering, and the requests made from an INVITE.

import Primitives
import SIP
import Testing

@Suite("Editing a message, RFC 3261 §16.6")
struct MessageEditorTests {
    private func edited(_ message: Message, _ body: (inout MessageEditor) -> Void) -> String {
        var editor = MessageEditor()
        editor.begin()
        body(&editor)
        var out = ByteWriter()
        editor.write(message, into: &out)
        return out.text
    }

    @Test func `edits are applied in order of offset, equal offsets in order of calls`() throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\nVia: x\nMax-Forwards: 70\n\n")
        let text = edited(message) { editor in
            editor.replace(message.headers[1].value) { $0.putDecimal(69) }
            editor.insert(at: message.firstLineEnd) { $0.put("A: 1\r\n") }
            editor.insert(at: message.firstLineEnd) { $0.put("B: 2\r\n") }
            editor.replace(message.requestURI) { $0.put("sip:b") }
            editor.remove(message.headers[0].line)
        }
        #expect(text == "OPTIONS sip:b SIP/2.0\r\nA: 1\r\nB: 2\r\nMax-Forwards: 69\r\n\r\n")
    }

    @Test func `without edits the bytes are the same`() throws {
        let message = try Message(lines: invite)
        #expect(edited(message) { _ in } == Text.string(message.bytes, ByteRange(message.bytes)))
    }

    @Test func `overlapping edits copy nothing twice`() throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\n\n")
        let text = edited(message) { editor in
            editor.remove(ByteRange(start: 0, end: 8))
            editor.replace(ByteRange(start: 4, end: 6)) { $0.put("<") }
            editor.insert(at: 1_000) { $0.put(">") }
        }
        #expect(text == "<sip:a SIP/2.0\r\n\r\n>")
    }

    @Test(arguments: [
        (1, "Route: <sip:2>, <sip:3>\r\nTo: x\r\nRoute: <sip:4>\r\n"),
        (2, "Route: <sip:3>\r\nTo: x\r\nRoute: <sip:4>\r\n"),
        (3, "To: x\r\nRoute: <sip:4>\r\n"), (4, "To: x\r\n"), (9, "To: x\r\n"),
        (0, "Route: <sip:1>, <sip:2>, <sip:3>\r\nTo: x\r\nRoute: <sip:4>\r\n"),
    ])
    func `leading Routes are cut and the rest stays well-formed, §16.4`(count: Int, expected: String) throws {
        let message = try Message(
            lines: "BYE sip:a SIP/2.0\nRoute: <sip:1>, <sip:2>, <sip:3>\nTo: x\nRoute: <sip:4>\n\n")
        var routes: [NameAddress] = []
        message.nameAddresses(.route, into: &routes)
        let text = edited(message) { $0.removeLeading(count, of: routes) }
        #expect(text == "BYE sip:a SIP/2.0\r\n\(expected)\r\n")
    }

    @Test(arguments: [
        (0, "Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nTo: x\r\nVia: SIP/2.0/UDP c\r\n"),
        (1, "Via: SIP/2.0/UDP b\r\nTo: x\r\nVia: SIP/2.0/UDP c\r\n"), (2, "To: x\r\nVia: SIP/2.0/UDP c\r\n"),
        (3, "To: x\r\n"), (9, "To: x\r\n"),
    ])
    func `leading Vias are cut, and the rest stays well-formed`(count: Int, expected: String) throws {
        let message = try Message(
            lines: "SIP/2.0 200 OK\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b\nTo: x\nVia: SIP/2.0/UDP c\n\n")
        var vias: [Via] = []
        message.vias(into: &vias)
        #expect(edited(message) { $0.removeLeading(count, of: vias) } == "SIP/2.0 200 OK\r\n\(expected)\r\n")
    }

    @Test func `the topmost Via is cut from a line of its own and from a list, §16.7 step 3`() throws {
        let lines = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP a;branch=1\nVia: SIP/2.0/UDP b , SIP/2.0/UDP c\n\n"
        let message = try Message(lines: lines)
        let via = try message.topmostVia()
        var once = Message()
        try once.loadText(edited(message) { $0.removeTopmost(via) })
        #expect(once.text(once.headers[0].line) == "Via: SIP/2.0/UDP b , SIP/2.0/UDP c\r\n")
        let next = try once.topmostVia()
        #expect(edited(once) { $0.removeTopmost(next) } == "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP c\r\n\r\n")
    }

    @Test(arguments: [
        ("h;branch=1", false, "h;branch=1;received=192.0.2.9"),
        ("192.0.2.9;branch=1", false, "192.0.2.9;branch=1"),
        ("192.0.2.9:5070", true, "192.0.2.9:5070;received=192.0.2.9;rport=5062"),
        ("192.0.2.9;rport;branch=1", false, "192.0.2.9;rport=5062;branch=1;received=192.0.2.9"),
        ("h;rport=1;received=10.0.0.1", false, "h;rport=5062;received=192.0.2.9"),
        ("h;received=10.0.0.1;x;rport", false, "h;received=192.0.2.9;x;rport=5062"),
        ("h;received=10.0.0.1;x", false, "h;received=192.0.2.9;x"),
        ("192.0.2.9;received=10.0.0.1", false, "192.0.2.9;received=10.0.0.1"),
    ])
    func `received and rport are written as the source has them, RFC 3581 §4`(
        via: String, force: Bool, expected: String
    ) throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\nVia: SIP/2.0/UDP \(via)\n\n")
        let source = try #require(Endpoint(text: "192.0.2.9:5062"))
        let topmost = try message.topmostVia()
        let text = edited(message) { $0.stamp(topmost, of: message, source: source, forceRport: force) }
        #expect(text == "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP \(expected)\r\n\r\n")
    }

    @Test func `160 edits are taken and the next one is refused aloud`() throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\n\n")
        var editor = MessageEditor()
        for _ in 0..<MessageEditor.limit { editor.insert(at: 0) { $0.put(0x2B) } }
        #expect(!editor.isOverfull)
        editor.insert(at: 0) { $0.put(0x2D) }
        #expect(editor.isOverfull)
        var out = ByteWriter()
        editor.write(message, into: &out)
        #expect(out.count == message.bytes.count + MessageEditor.limit)
        editor.begin()
        #expect(!editor.isOverfull && editor.isEmpty)
    }
}

@Suite("Answering a request, RFC 3261 §8.2.6")
struct ResponseWriterTests {
    private func response(
        _ code: Int, to request: Message, tag: String = "t1", received: (Endpoint, forceRport: Bool)? = nil,
        extra: (inout ByteWriter) -> Void = { _ in }
    ) -> String {
        var out = ByteWriter()
        ResponseWriter.write(code, to: request, toTag: Array(tag.utf8), received: received, extra: extra, into: &out)
        return out.text
    }

    @Test func `a response has the request's Vias, From, To with a tag, Call-ID and CSeq`() throws {
        let request = try Message(
            lines: """
                INVITE sip:bob@b.example SIP/2.0
                v: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport, SIP/2.0/TCP b
                Record-Route: <sip:p;lr>
                f: <sip:a@a>;tag=1
                t: Bob <sip:bob@b.example>
                i: c1
                Via: SIP/2.0/UDP c
                Timestamp: 54
                CSeq: 7
                 INVITE
                Content-Length: 0


                """)
        let source = try #require(Endpoint(text: "[2001:db8::9]:5070"))
        let text = response(404, to: request, received: (source, forceRport: false)) { $0.put("Warning: x\r\n") }
        #expect(
            text
                == """
                SIP/2.0 404 Not Found
                Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport=5070;received=2001:db8::9, SIP/2.0/TCP b
                Via: SIP/2.0/UDP c
                From: <sip:a@a>;tag=1
                To: Bob <sip:bob@b.example>;tag=t1
                Call-ID: c1
                CSeq: 7
                 INVITE
                Warning: x
                Content-Length: 0


                """.replacingLineFeeds())
        var again = Message()
        try again.loadText(text)
        try again.validate()
    }

    @Test func `a 100 has no To tag and repeats the Timestamp, §8.2.6.1`() throws {
        let request = try Message(lines: "OPTIONS sip:a SIP/2.0\nTo: <sip:a>\nTimestamp: 54\n\n")
        #expect(
            response(100, to: request)
                == "SIP/2.0 100 Trying\nTo: <sip:a>\nTimestamp: 54\nContent-Length: 0\n\n".replacingLineFeeds())
    }

    @Test func `a To tag that is there is kept, and an empty one adds none, §8.2.6.2`() throws {
        let tagged = try Message(lines: "BYE sip:a SIP/2.0\nTo: <sip:a>;tag=x\n\n")
        #expect(response(481, to: tagged).contains("To: <sip:a>;tag=x\r\n"))
        let plain = try Message(lines: "BYE sip:a SIP/2.0\nTo: <sip:a>\n\n")
        #expect(response(481, to: plain, tag: "").contains("To: <sip:a>\r\n"))
    }

    @Test func `a request that could not be parsed is answered with what it had, RFC 4475 §3.1.2.1`() throws {
        var request = Message()
        #expect(throws: SIPParseError.self) {
            try request.loadText("INVITE x SIP/2.0\r\nVia: SIP/2.0/UDP h;;,\r\nTo: \"x\r\nno header\r\n\r\n")
        }
        let source = try #require(Endpoint(text: "192.0.2.9:5070"))
        #expect(
            response(400, to: request, received: (source, forceRport: true))
                == "SIP/2.0 400 Bad Request\nVia: SIP/2.0/UDP h;;,\nTo: \"x;tag=t1\nContent-Length: 0\n\n"
                .replacingLineFeeds())
    }
}

@Suite("ACK and CANCEL made from the INVITE as sent, RFC 3261 §17.1.1.3 and §9.1")
struct TransactionRequestTests {
    private let head = """
        Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport
        Route: <sip:10.0.0.10;lr;did=00ab>, <sip:ss1.example.com;lr>
        Max-Forwards: 70
        From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl

        """
    private let tail = "Call-ID: 3848276298220188511@atlanta.example.com\n"

    @Test func `an ACK for a non-2xx has the To of the response and the rest of the INVITE`() throws {
        let response = try Message(lines: "SIP/2.0 486 Busy Here\nTo: Bob <sip:bob@biloxi.example.com>;tag=b\n\n")
        var out = ByteWriter()
        #expect(
            AckWriter.write(
                invite: try Message(lines: invite), response: response, maxForwards: 70, into: &out))
        let expected =
            "ACK sip:bob@biloxi.example.com SIP/2.0\n\(head)To: Bob <sip:bob@biloxi.example.com>;tag=b\n\(tail)"
            + "CSeq: 1 ACK\nContent-Length: 0\n\n"
        #expect(out.text == expected.replacingLineFeeds())
    }

    @Test func `a CANCEL has the To of the INVITE and may say a Reason`() throws {
        var out = ByteWriter()
        let message = try Message(lines: invite)
        #expect(
            CancelWriter.write(
                invite: message, maxForwards: 70, extra: { $0.put("Reason: x\r\n") }, into: &out))
        let expected =
            "CANCEL sip:bob@biloxi.example.com SIP/2.0\n\(head)To: Bob <sip:bob@biloxi.example.com>\n\(tail)"
            + "CSeq: 1 CANCEL\nReason: x\nContent-Length: 0\n\n"
        #expect(out.text == expected.replacingLineFeeds())
        var again = Message()
        try again.loadText(out.text)
        try again.validate()
    }

    @Test func `only the topmost Via of a list goes along`() throws {
        let message = try Message(
            lines: "INVITE sip:a SIP/2.0\nVia: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b\nTo: <sip:a>\nCSeq: 1 INVITE\n\n")
        var out = ByteWriter()
        #expect(CancelWriter.write(invite: message, maxForwards: 70, into: &out))
        #expect(out.text.contains("Via: SIP/2.0/UDP a;branch=1\r\n") && !out.text.contains("UDP b"))
    }

    @Test func `bytes that are no INVITE make nothing`() throws {
        var out = ByteWriter()
        #expect(!CancelWriter.write(invite: Message(), maxForwards: 70, into: &out))
        #expect(
            !AckWriter.write(
                invite: try Message(lines: "SIP/2.0 200 OK\nTo: <sip:a>\n\n"), response: Message(), maxForwards: 70,
                into: &out))
        #expect(out.isEmpty)
    }
}
