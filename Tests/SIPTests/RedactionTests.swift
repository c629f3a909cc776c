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
}
