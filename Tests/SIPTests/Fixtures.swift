// What the SIP tests share: messages from text, ranges back to text, and a typical INVITE.

import Primitives
import SIP

extension Message {
    /// A message loaded from text in which every line end is written as a plain new line and sent as CRLF.
    init(lines text: String) throws(SIPParseError) {
        self.init()
        try loadText(text.replacingLineFeeds())
    }

    mutating func loadText(_ text: String) throws(SIPParseError) {
        let bytes = Array(text.utf8)
        try load(RawSpan(_elements: bytes.span))
    }

    func text(_ range: ByteRange) -> String { Text.string(bytes, range) }
}

extension String {
    func replacingLineFeeds() -> String {
        var result = ""
        for scalar in unicodeScalars {
            if scalar == "\n" { result.unicodeScalars.append("\r") }
            result.unicodeScalars.append(scalar)
        }
        return result
    }
}

extension ByteWriter {
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The reason why `body` throws, `nil` when it does not.
func reason(_ body: () throws(SIPParseError) -> Void) -> SIPParseError.Reason? {
    do throws(SIPParseError) {
        try body()
        return nil
    } catch {
        return error.reason
    }
}

/// The INVITE of RFC 3665 §3.1, shortened.
let invite = """
    INVITE sip:bob@biloxi.example.com SIP/2.0
    Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport
    Max-Forwards: 70
    Route: <sip:10.0.0.10;lr;did=00ab>, <sip:ss1.example.com;lr>
    From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl
    To: Bob <sip:bob@biloxi.example.com>
    Call-ID: 3848276298220188511@atlanta.example.com
    CSeq: 1 INVITE
    Contact: <sip:alice@client.atlanta.example.com;transport=tcp>
    Content-Length: 4

    v=0

    """
