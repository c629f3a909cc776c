// Headers of the extensions that a proxy takes part in.

import Primitives
import SIP
import Testing

private func request(_ lines: String) throws -> Message {
    try Message(lines: "OPTIONS sip:a SIP/2.0\n\(lines)\n\n")
}

@Suite("Session timers, RFC 4028")
struct SessionTimerTests {
    @Test(
        arguments: [
            ("1800", 1_800, nil), ("90;refresher=uac", 90, .uac), ("4000 ; x=y ; REFRESHER = UAS", 4_000, .uas),
            ("1;x", 1, nil), ("4294967295", .max, nil),
        ] as [(String, UInt32, SessionExpires.Refresher?)])
    func `an interval and who refreshes are read and written`(
        value: String, seconds: UInt32, refresher: SessionExpires.Refresher?
    ) throws {
        for name in ["Session-Expires", "x"] {
            let found = try #require(try request("\(name): \(value)").sessionExpires())
            #expect(found == SessionExpires(seconds: seconds, refresher: refresher))
            var writer = ByteWriter()
            found.write(into: &writer)
            #expect(try request("x: \(writer.text)").sessionExpires() == found)
        }
    }

    @Test(arguments: ["", "x", "-1", "4294967296", "1800 s", "90;refresher=proxy", "90;refresher"])
    func `a malformed interval is an error`(value: String) throws {
        let message = try request("Session-Expires: \(value)")
        #expect(
            reason { () throws(SIPParseError) in _ = try message.sessionExpires() } == .malformedValue(.sessionExpires))
    }

    @Test func `without the header there is no interval`() throws {
        #expect(try request("Y: z").sessionExpires() == nil)
    }
}

@Suite("Max-Breadth, RFC 5393 §5")
struct MaxBreadthTests {
    @Test func `the value is read`() throws {
        #expect(try request("Max-Breadth: 60").maxBreadth() == 60)
        #expect(try request("max-breadth: 0").maxBreadth() == 0)
        #expect(try request("Max-Breadth: 18446744073709551615").maxBreadth() == 65_535)
        #expect(try request("Y: z").maxBreadth() == nil)
        for value in ["", "x", "-1", "1 2", "18446744073709551616"] {
            let message = try request("Max-Breadth: \(value)")
            #expect(reason { () throws(SIPParseError) in _ = try message.maxBreadth() } == .malformedValue(.maxBreadth))
        }
    }

    @Test func `the shares of all branches never exceed what came in, and differ by one at most`() {
        for breadth in 0...40 {
            for branches in 1...20 {
                let shares = (0..<branches).map { MaxBreadth.share(of: breadth, branch: $0, of: branches) }
                let given = shares.compactMap { $0 }
                #expect(given.reduce(0, +) == breadth)
                #expect(given.allSatisfy { $0 >= 1 } && (given.max() ?? 0) - (given.min() ?? 0) <= 1)
                #expect(shares.prefix(given.count).allSatisfy { $0 != nil }, "those that wait are the last ones")
            }
        }
        #expect(MaxBreadth.share(of: 3, branch: 3, of: 3) == nil && MaxBreadth.share(of: 3, branch: -1, of: 3) == nil)
        #expect(MaxBreadth.share(of: 3, branch: 0, of: 0) == nil)
    }
}

@Suite("Lists of tokens")
struct OptionTagTests {
    private func tokens(_ lines: String) throws -> [String] {
        let message = try request(lines)
        var found: [String] = []
        message.forEachToken(in: .supported) { found.append(message.text($0)) }
        return found
    }

    @Test func `tokens of all headers of a name are found in order`() throws {
        #expect(
            try tokens("Supported: timer , 100rel\nk:path,\n  gruu,,\nRequire: x\nSupported:") == [
                "timer", "100rel", "path", "gruu",
            ])
        #expect(try tokens("Y: z").isEmpty)
    }

    @Test func `what is not known is listed for Unsupported, RFC 3261 §8.2.2.3`() throws {
        let message = try request("Proxy-Require: path, Foo\nProxy-Require: sec-agree, bar")
        var writer = ByteWriter()
        #expect(message.writeUnsupported(.proxyRequire, known: ["PATH", "sec-agree"], into: &writer))
        #expect(writer.text == "Foo, bar")
        writer.removeAll()
        #expect(!message.writeUnsupported(.proxyRequire, known: ["path", "foo", "bar", "sec-agree"], into: &writer))
        #expect(!message.writeUnsupported(.require, known: [], into: &writer) && writer.isEmpty)
    }

    @Test func `Path is a list of addresses, RFC 3327 §4`() throws {
        let message = try request("Path: <sip:p2;lr>, <sip:p1;lr>\nPath: <sip:p0;lr>")
        var found: [NameAddress] = []
        #expect(message.nameAddresses(.path, into: &found))
        #expect(found.map { message.text($0.uri) } == ["sip:p2;lr", "sip:p1;lr", "sip:p0;lr"])
    }
}

@Suite("Reason, RFC 3326")
struct ReasonTests {
    @Test func `a Reason is written with its cause and a quoted text that cannot end the header`() throws {
        var writer = ByteWriter()
        ReasonWriter.write(cause: 200, text: Array("Call completed elsewhere".utf8), into: &writer)
        ReasonWriter.write(.q850, cause: 16, into: &writer)
        ReasonWriter.write(cause: -1, text: Array("a\"b\\c\r\nX: y\u{7F}".utf8), into: &writer)
        #expect(
            writer.text == "Reason: SIP ;cause=200 ;text=\"Call completed elsewhere\"\r\nReason: Q.850 ;cause=16\r\n"
                + "Reason: SIP ;cause=0 ;text=\"a\\\"b\\\\cX: y\"\r\n")
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\n\n")
        var (editor, out, again) = (MessageEditor(), ByteWriter(), Message())
        editor.insert(at: message.headersEnd) { $0.put(writer.bytes) }
        editor.write(message, into: &out)
        try again.load(RawSpan(_elements: out.bytes.span))
        #expect(again.count(of: .reason) == 3 && again.headerCount == 3)
    }

    @Test func `Reasons are copied as they came, whole headers at a time, up to a bound`() throws {
        let lines = "Reason: SIP;cause=200\nX: y\nreason:  Q.850 ;cause=16 ,  SIP\n"
        var writer = ByteWriter()
        #expect(try request(lines).writeReasons(into: &writer))
        #expect(writer.text == "Reason: SIP;cause=200\r\nReason: Q.850 ;cause=16 ,  SIP\r\n")
        let long = "Reason: \(String(repeating: "x", count: Message.reasonLimit - 10))\n"
        var (full, none) = (ByteWriter(), ByteWriter())
        #expect(try request(long).writeReasons(into: &full) && full.count == Message.reasonLimit)
        #expect(try !request(lines + long + lines).writeReasons(into: &none))
        #expect(none.text == writer.text + writer.text)
    }
}
