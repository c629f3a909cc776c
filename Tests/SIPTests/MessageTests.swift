// Loading: start lines, header lines, bodies, bounds.

import Primitives
import SIP
import Testing

@Suite("Loading a message, RFC 3261 §7 and §18.3")
struct MessageTests {
    private func fault(_ text: String) -> SIPParseError.Reason? {
        var message = Message()
        return reason { () throws(SIPParseError) in try message.loadText(text) }
    }

    @Test func `a request is taken apart`() throws {
        let message = try Message(lines: invite)
        #expect(message.isRequest && message.method == .invite && message.statusCode == 0)
        #expect(message.text(message.methodText) == "INVITE")
        #expect(message.text(message.requestURI) == "sip:bob@biloxi.example.com")
        #expect(message.headerCount == 9 && message.count(of: .via) == 1 && message.count(of: .path) == 0)
        #expect(message.headers[0].line.start == Int32(message.firstLineEnd))
        #expect(message.text(message.callID) == "3848276298220188511@atlanta.example.com")
        #expect(message.text(message.fromTag) == "9fxced76sl" && message.toTag.isEmpty)
        #expect(try message.maxForwards() == 70)
        #expect(try message.cSeq().number == 1)
        #expect(message.text(message.body) == "v=0\r")
        try message.validate()
    }

    @Test func `what is kept of a message is forgotten with the next one`() throws {
        var message = try Message(lines: invite)
        try message.identify()
        let kept = try (message.topmostVia(), message.fromTag, message.toTag, message.cSeq())
        var read = try Message(lines: invite)
        #expect(try (read.topmostVia(), read.fromTag, read.toTag) == (kept.0, kept.1, kept.2))
        #expect(try read.cSeq() == kept.3)
        try read.identify()
        try? read.loadText("SIP/2.0 200 OK\r\nFrom: <sip:a@b>;tag=x\r\nTo: <sip:c@d>;tag=y\r\n\r\n")
        #expect(read.text(read.fromTag) == "x" && read.text(read.toTag) == "y")
        #expect(throws: SIPParseError.self) { try read.topmostVia() }
        try? message.loadText("")
        #expect(message.fromTag.isEmpty && message.headerCount == 0)
    }

    @Test func `a message knows the bytes that it was read from`() throws {
        let good = Array("\(Self.start)Call-ID: x\r\n\r\n".utf8)
        let other = Array("\(Self.start)Call-ID: y\r\n\r\n".utf8)
        var message = Message()
        #expect(!message.isRead(from: []) && !message.isRead(from: good))
        try message.load(RawSpan(_elements: good.span))
        #expect(message.isRead(from: good) && !message.isRead(from: other) && !message.isRead(from: good.dropLast()))
        // What is no message is not read, nor what was cut to its Content-Length.
        for bad in ["\(Self.start)Call-ID\r\n\r\n", "\(Self.start)Content-Length: 9\r\n\r\n", ""] {
            #expect(throws: SIPParseError.self) { try message.loadText(bad) }
            #expect(!message.isRead(from: Array(bad.utf8)) && !message.isRead(from: good))
        }
        let long = "\(Self.start)Content-Length: 0\r\n\r\nmore"
        try message.loadText(long)
        #expect(!message.isRead(from: Array(long.utf8)) && message.isRead(from: Array(long.utf8.dropLast(4))))
    }

    private static let start = "OPTIONS sip:a@b SIP/2.0\r\n"

    @Test func `the URIs of From and To are the same before and after they are kept`() throws {
        var message = try Message(lines: invite)
        let names: [HeaderName] = [.from, .to, .contact, .route, .path]
        let read = names.map { message.firstURI($0) }
        #expect(read == names.map { message.firstNameAddress($0)?.uri })
        #expect(read[0] != nil && read[1] != nil && read[4] == nil)
        try message.identify()
        #expect(names.map { message.firstURI($0) } == read)
    }

    @Test(arguments: ["Call\rID", "Call\u{1}ID", "Call ID", "C\u{e1}ll-ID"])
    func `a name with a byte that no token has is no name`(name: String) throws {
        var message = Message()
        try? message.loadText("OPTIONS sip:a@b SIP/2.0\r\n\(name): x\r\nCALL-id : y\r\n\r\n")
        #expect(message.text(message.callID) == "y")
    }

    @Test func `a response is taken apart, its phrase may be empty or hold anything, RFC 4475 §3.1.1.12`() throws {
        let ringing = try Message(lines: "SIP/2.0 180 Зв= ** 2\nl:0\n\n")
        #expect(!ringing.isRequest && ringing.statusCode == 180 && ringing.method == .other)
        #expect(ringing.text(ringing.reasonPhrase) == "Зв= ** 2")
        #expect(try Message(lines: "SIP/2.0 100 \nl:0\n\n").statusCode == 100)
        #expect(try Message(lines: "sip/2.0 100\nl:0\n\n").reasonPhrase.isEmpty)
    }

    @Test(arguments: [
        "SIP/2.0 4294967301 better not\r\n\r\n", "SIP/2.0 099 x\r\n\r\n", "SIP/2.0 700 x\r\n\r\n",
        "SIP/2.0 20 x\r\n\r\n",
        "SIP/2.0 2000 x\r\n\r\n", "SIP/2.0\r\n\r\n", "SIP/2.0 \r\n\r\n", "SIP/2.0 200x\r\n\r\n",
        "INVITE sip:a\r\n\r\n", "INVITE\r\n\r\n", " INVITE sip:a SIP/2.0\r\n\r\n", "INVITE  sip:a SIP/2.0\r\n\r\n",
        "INVITE sip:a  SIP/2.0\r\n\r\n", "INVITE sip:a SIP/2.0 \r\n\r\n", "INVITE sip:a; lr SIP/2.0\r\n\r\n",
        "INVITE sip:a HTTP/1.1\r\n\r\n", "INV[ITE sip:a SIP/2.0\r\n\r\n",
    ])
    func `a malformed start line is an error, RFC 4475 §3.1.2`(text: String) {
        #expect(fault(text) == .malformedStartLine)
    }

    @Test(arguments: ["INVITE sip:a SIP/7.0\r\n\r\n", "SIP/3.0 200 OK\r\n\r\n", "INVITE sip:a SIP/2.00\r\n\r\n"])
    func `another version is answered 505, RFC 4475 §3.1.2.16`(text: String) {
        #expect(fault(text) == .unsupportedVersion)
        #expect(SIPParseError(.unsupportedVersion, at: 0).statusCode == 505)
    }

    @Test func `after a fault in the start line the headers are still there for the answer`() throws {
        var message = Message()
        #expect(throws: SIPParseError.self) { try message.loadText("BAD\r\nVia: SIP/2.0/UDP h;branch=1\r\n\r\n") }
        #expect(message.text(try message.topmostVia().host) == "h")
    }

    @Test(arguments: ["", "\r\n", "\r\n\r\n", "\n"])
    func `line ends alone are a keep-alive, RFC 5626 §3.5.1`(text: String) {
        #expect(fault(text) == .emptyMessage)
    }

    @Test func `line ends before the start line are dropped, §7.5`() throws {
        var message = Message()
        try message.loadText("\r\n\r\nOPTIONS sip:a SIP/2.0\r\n\r\n")
        #expect(message.bytes.first == 0x4F && message.headersEnd == message.firstLineEnd)
    }

    @Test func `bare line feeds end lines too`() throws {
        var message = Message()
        try message.loadText("OPTIONS sip:a SIP/2.0\nTo: <sip:a>\n ;tag=x\nl: 1\n\nbc")
        #expect(message.text(message.toTag) == "x" && message.text(message.body) == "b")
    }

    @Test func `folded lines belong to their header, §7.3.1`() throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\nSubject:\n  first\n\tsecond  \nTo:x\n\n")
        let subject = try #require(message.first(.subject))
        #expect(message.text(subject.value) == "first\r\n\tsecond")
        #expect(message.text(subject.line) == "Subject:\r\n  first\r\n\tsecond  \r\n")
        #expect(message.headers[1].name == .to)
    }

    @Test func `an empty value is a value`() throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\nSubject:\nTo: \n\n")
        #expect(message.first(.subject)?.value.isEmpty == true && message.first(.to)?.value.isEmpty == true)
    }

    @Test(arguments: ["Foobar roobar", ": x", " folded: first", "Na me: x", "X@Y: 1"])
    func `a line that is no header is an error and the next ones are read`(line: String) {
        var message = Message()
        let fault = reason { () throws(SIPParseError) in
            try message.loadText("OPTIONS sip:a SIP/2.0\r\n\(line)\r\nCall-ID: 1\r\n\r\n")
        }
        #expect(fault == .malformedHeaderLine)
        #expect(message.text(message.callID) == "1")
    }

    @Test(arguments: ["OPTIONS sip:a SIP/2.0", "OPTIONS sip:a SIP/2.0\r\n", "OPTIONS sip:a SIP/2.0\r\nTo: x\r\n"])
    func `a message without its empty line is an error`(text: String) {
        #expect(fault(text) == .missingEmptyLine)
    }

    @Test(
        arguments: [
            ("l: 3", "abc", nil), ("l: 2", "ab", nil), ("l: 0", "", nil), ("Subject: x", "abc", nil),
            ("l: 4", nil, .bodyTooShort), ("l: -1", nil, .malformedValue(.contentLength)),
            ("l: 1x", nil, .malformedValue(.contentLength)), ("l:", nil, .malformedValue(.contentLength)),
            ("l: 4294967296", nil, .malformedValue(.contentLength)),
            ("l: 3\r\nContent-Length: 3", nil, .duplicateHeader(.contentLength)),
        ] as [(String, String?, SIPParseError.Reason?)])
    func `Content-Length bounds the body, §18.3 and RFC 4475 §3.1.2.2`(
        line: String, body: String?, expected: SIPParseError.Reason?
    ) {
        var message = Message()
        let fault = reason { () throws(SIPParseError) in
            try message.loadText("OPTIONS sip:a SIP/2.0\r\n\(line)\r\n\r\nabc")
        }
        #expect(fault == expected)
        if let body {
            #expect(message.text(message.body) == body)
            #expect(message.bytes.count == Int(message.body.end), "what follows the body is cut")
        }
    }

    @Test func `128 header fields are taken and one more is told 513`() throws {
        let fields = String(repeating: "X: 1\r\n", count: Message.headerLimit)
        var message = Message()
        try message.loadText("OPTIONS sip:a SIP/2.0\r\n\(fields)\r\n")
        #expect(message.headerCount == Message.headerLimit)
        let overfull = fault("OPTIONS sip:a SIP/2.0\r\n\(fields)X: 1\r\n\r\n")
        #expect(overfull == .tooManyHeaders(limit: 128))
        #expect(SIPParseError(.tooManyHeaders(limit: 128), at: 0).statusCode == 513)
    }

    @Test func `65535 bytes are taken and one more is told 513`() throws {
        let head = "OPTIONS sip:a SIP/2.0\r\n\r\n"
        let body = String(repeating: "x", count: Message.sizeLimit - head.utf8.count)
        #expect(fault(head + body) == nil)
        #expect(fault(head + body + "x") == .messageTooLarge(limit: Message.sizeLimit))
        #expect(SIPParseError(.messageTooLarge(limit: 0), at: 0).statusCode == 513)
    }

    @Test func `a message is loaded again without a trace of the one before`() throws {
        var message = try Message(lines: invite)
        try message.loadText("SIP/2.0 200 OK\r\n\r\n")
        #expect(message.headerCount == 0 && message.callID.isEmpty && message.first(.via) == nil)
        #expect(message.method == .other && message.requestURI.isEmpty && message.body.isEmpty)
        #expect(message.snapshot() == Array("SIP/2.0 200 OK\r\n\r\n".utf8))
    }

    @Test func `tokens of a comma list and leading numbers are found`() throws {
        let message = try Message(
            lines: "OPTIONS sip:a SIP/2.0\nSupported: timer , 100rel\nk:\nx: 1800;refresher=uac\nExpires: x\n\n")
        #expect(message.lists("100REL", in: .supported) && message.lists("timer", in: .supported))
        #expect(!message.lists("time", in: .supported) && !message.lists("timer", in: .require))
        #expect(message.leadingNumber(.sessionExpires) == 1800 && message.leadingNumber(.expires) == nil)
    }
}
