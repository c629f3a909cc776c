// What may be kept of a message for a trace.

import Primitives
import SIP
import Testing

@Suite("Of a message without its secrets")
struct RedactionTests {
    private func kept(_ text: String) -> (text: String, callID: String) {
        var writer = ByteWriter()
        let bytes = Array(text.utf8)
        let range = Redaction.append(RawSpan(_elements: bytes.span), into: &writer)
        return (
            String(decoding: writer.bytes, as: UTF8.self), String(decoding: bytes[range.range], as: UTF8.self)
        )
    }

    private static let head = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n"
    private static let description = "v=0\r\no=- 1 1 IN IP4 h\r\na=fingerprint:sha-256 AA\r\nm=audio 1 RTP/AVP 8\r\n"

    @Test(arguments: [
        "Authorization: Digest response=\"SECRET\"", "authorization:Digest SECRET", "AUTHORIZATION  : SECRET",
        "Proxy-Authorization: Digest SECRET", "proxy-AUTHORIZATION\t: SECRET",
        "Authorization: Digest a=b,\r\n response=\"SECRET\"\r\n\tSECRET",
    ])
    func `credentials, keys and bodies that are not SDP are never kept`(line: String) {
        let (text, callID) = kept("\(Self.head)\(line)\r\nCall-ID: x@y\r\nContent-Length: 0\r\n\r\n")
        #expect(!text.contains("SECRET") && text.contains("(not kept)\r\nCall-ID: x@y\r\nContent-Length: 0\r\n\r\n"))
        #expect(callID == "x@y" && text.hasPrefix(Self.head))
        // The last one of a message that ends in it.
        #expect(!kept("\(Self.head)\(line)").text.contains("SECRET"))
    }

    @Test(arguments: [
        "k=clear:SECRET", "a=crypto:1 AES inline:SECRET", "a=ice-pwd:SECRET", "a=key-mgmt:mikey SECRET",
        "A=CRYPTO:1 SECRET",
    ])
    func `keys of media are left out, the rest of the description stays`(line: String) {
        let body = "\(Self.description)\(line)\r\na=sendrecv\r\n\(line)"
        let (text, callID) = kept("\(Self.head)i:  x\r\nc: Application/SDP\r\n\r\n\(body)")
        #expect(!text.contains("SECRET") && text.hasSuffix("\r\n\r\n\(Self.description)a=sendrecv\r\n"))
        #expect(callID == "x" && text.contains("a=fingerprint"))
        let feeds = kept("\(Self.head)c: application/sdp\r\n\r\n\(body.replacing("\r\n", with: "\n"))").text
        #expect(!feeds.contains("SECRET") && feeds.contains("a=sendrecv"))
    }

    /// The same by what the parser has seen; `nil` when that must not be trusted with it.
    private func outlined(_ text: String) throws -> (text: String, callID: String)? {
        let bytes = Array(text.utf8)
        var message = Message()
        try message.load(RawSpan(_elements: bytes.span))
        guard let outline = message.outline(ofBytes: bytes.count) else { return nil }
        var writer = ByteWriter()
        Redaction.append(RawSpan(_elements: bytes.span), outline, into: &writer)
        #expect(outline.key == Redaction.key(RawSpan(_elements: bytes.span), message.callID))
        return (
            String(decoding: writer.bytes, as: UTF8.self),
            String(decoding: bytes[message.callID.range], as: UTF8.self)
        )
    }

    @Test(arguments: [
        "c: application/sdp\r\n\r\n\(description)", "Content-Type: application/sdp;x=y\r\n\r\n\(description)",
        "c: application/sdp\r\n\r\n\(description)k=clear:SECRET\r\na=sendrecv\r\n",
        "c: application/sdp\r\n\r\n\(description)a=CRYPTO:1 SECRET\r\n", "c: text/plain\r\n\r\nSECRET",
        "c: application/sdp\r\n\r\n\(description)a=ice-pwd:SECRET\r\n", "l: 0\r\n\r\n", "X-Long: y\r\n\r\n",
        "c: application/sdp\r\n\r\n\(description)a=key-mgmt:mikey SECRET\r\na=sendonly\r\n",
    ])
    func `by the parser's index the same is kept, and nothing more`(rest: String) throws {
        let message = "\(Self.head)Call-ID: x@y\r\n\(rest)"
        let expected = kept(message)
        let found = try #require(try outlined(message))
        #expect(found == expected)
        #expect(!found.text.contains("SECRET") && found.callID == "x@y")
    }

    @Test func `calls whose Call-IDs differ in one byte, or in their length, are told apart`() {
        for count in 1...40 {
            let callID = (0..<count).map { UInt8(0x30 + $0) }
            var keys: Set<UInt64> = []
            for place in 0..<count {
                var other = callID
                other[place] ^= 1
                keys.insert(Redaction.key(RawSpan(_elements: other.span), ByteRange(other)))
            }
            for end in 0...count {
                keys.insert(Redaction.key(RawSpan(_elements: callID.span), ByteRange(start: 0, end: end)))
            }
            #expect(keys.count == 2 * count + 1)
        }
    }

    @Test func `a long head is cut as ever`() throws {
        let long = String(repeating: "X-Long: \(String(repeating: "y", count: 90))\r\n", count: 100)
        let message = "\(Self.head)Call-ID: x\r\n\(long)l: 0\r\n\r\n"
        #expect(try outlined(message)?.text == kept(message).text)
    }

    @Test(arguments: [
        "Authorization: SECRET\r\n", "proxy-authorization : SECRET\r\n", "PROXY-AUTHORIZATION:\r\n SECRET\r\n",
        "c: application/sdp\r\nContent-Encoding: gzip\r\n", "c: application/sdp\r\ne: gzip\r\n",
    ])
    func `credentials and encoded bodies are left to whoever keeps the message`(line: String) throws {
        #expect(try outlined("\(Self.head)\(line)Call-ID: x\r\n\r\nSECRET") == nil)
        #expect(!kept("\(Self.head)\(line)Call-ID: x\r\n\r\nSECRET").text.contains("SECRET"))
    }

    @Test func `what is not as it came is not trusted`() throws {
        #expect(try outlined("\r\n\(Self.head)Call-ID: x\r\n\r\n") == nil)
        #expect(try outlined("\(Self.head)Call-ID: x\r\nContent-Length: 0\r\n\r\nSECRET") == nil)
    }

    @Test func `a body that is not SDP, or is encoded, is left out`() {
        for head in ["Content-Type: multipart/mixed", "X: y", "c: application/sdp\r\nContent-Encoding: gzip"] {
            let (text, _) = kept("\(Self.head)\(head)\r\n\r\nSECRET\r\n")
            #expect(text == "\(Self.head)\(head)\r\n\r\n")
        }
    }

    @Test func `no more of a message is kept than the limit`() {
        let long = Self.head + String(repeating: "X-Long: \(String(repeating: "y", count: 90))\r\n", count: 100)
        let text = kept("\(long)c: application/sdp\r\n\r\n\(String(repeating: Self.description, count: 100))").text
        #expect(text.utf8.count <= Redaction.limit)
        let body = kept("\(Self.head)c: application/sdp\r\n\r\n\(String(repeating: Self.description, count: 100))").text
        #expect(body.utf8.count <= Redaction.limit && body.utf8.count > Redaction.limit / 2)
        for count in 0..<400 {
            let cut = String(decoding: Array(long.utf8).prefix(count), as: UTF8.self)
            #expect(kept(cut).text == cut)
        }
    }

    @Test func `what is written from a message has its outline where the edits have put it`() throws {
        let body = "\(Self.description)a=sendrecv\r\n"
        let bytes = Array("\(Self.head)Call-ID: x@y\r\nMax-Forwards: 70\r\nc: application/sdp\r\n\r\n\(body)".utf8)
        var (message, editor, writer) = (Message(), MessageEditor(), ByteWriter())
        try message.load(RawSpan(_elements: bytes.span))
        let outline = try #require(message.outline(ofBytes: bytes.count))
        #expect(outline.isDescription && !outline.mayHoldKey)

        editor.begin()
        editor.insert(at: message.firstLineEnd) { $0.put("Record-Route: <sip:a;lr>\r\n") }
        editor.replace(try #require(message.first(.maxForwards)).value) { $0.put("9") }
        editor.insert(at: message.headersEnd) { $0.put("Max-Breadth: 60\r\n") }
        editor.write(message, into: &writer)
        let moved = try #require(editor.moved(outline, callID: message.callID))
        var (kept, searched) = (ByteWriter(), ByteWriter())
        Redaction.append(RawSpan(_elements: writer.bytes.span), moved, into: &kept)
        let callID = Redaction.append(RawSpan(_elements: writer.bytes.span), into: &searched)
        #expect(kept.bytes == searched.bytes && kept.bytes == writer.bytes)
        #expect(moved.key == Redaction.key(RawSpan(_elements: writer.bytes.span), callID))
        #expect(String(decoding: writer.bytes[callID.range], as: UTF8.self) == "x@y")
        #expect(String(decoding: writer.bytes[Int(moved.head)...], as: UTF8.self) == body)

        // What an edit has changed is looked for.
        for range in [message.callID, message.body] {
            editor.begin()
            editor.replace(range) { $0.put("z") }
            #expect(editor.moved(outline, callID: message.callID) == nil)
        }
        editor.begin()
        for _ in 0...MessageEditor.limit { editor.insert(at: 0) { $0.put("z") } }
        #expect(editor.moved(outline, callID: message.callID) == nil)
    }

    @Test func `a description in another script than Latin is looked at line by line, and kept`() throws {
        let body = "\(Self.description)i=Grüße\r\na=sendrecv\r\n"
        let bytes = Array("\(Self.head)Call-ID: x@y\r\nc: application/sdp\r\n\r\n\(body)".utf8)
        var (message, kept) = (Message(), ByteWriter())
        try message.load(RawSpan(_elements: bytes.span))
        let outline = try #require(message.outline(ofBytes: bytes.count))
        #expect(outline.mayHoldKey)
        Redaction.append(RawSpan(_elements: bytes.span), outline, into: &kept)
        #expect(kept.bytes == bytes)
    }

    @Test func `a key in a description is never kept by its outline, wherever the message goes`() throws {
        let secret = "\(Self.description)a=crypto:1 AES inline:SECRET\r\n"
        let bytes = Array("\(Self.head)Call-ID: x@y\r\nc: application/sdp\r\n\r\n\(secret)".utf8)
        var (message, editor, writer, kept) = (Message(), MessageEditor(), ByteWriter(), ByteWriter())
        try message.load(RawSpan(_elements: bytes.span))
        editor.begin()
        editor.insert(at: message.firstLineEnd) { $0.put("Via: SIP/2.0/UDP own\r\n") }
        editor.write(message, into: &writer)
        let outline = try #require(message.outline(ofBytes: bytes.count))
        #expect(outline.mayHoldKey)
        let moved = try #require(editor.moved(outline, callID: message.callID))
        Redaction.append(RawSpan(_elements: writer.bytes.span), moved, into: &kept)
        let text = String(decoding: kept.bytes, as: UTF8.self)
        #expect(!text.contains("SECRET") && text.hasSuffix(Self.description) && text.contains("UDP own"))
    }
}
