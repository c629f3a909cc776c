// MessageOutline is what the index of a message tells whoever keeps it: that it has no credentials, where its Call-ID
// is, and whether its body may be kept (`Redaction`).

package import Primitives

package struct MessageOutline: Equatable, Sendable {
    package var callID: ByteRange
    /// It reaches to the end of the message.
    package var body: ByteRange
    /// The body is SDP, and not encoded.
    package var isDescription: Bool
}

extension Message {
    /// `nil` when the message has credentials, or is not as it came: whoever keeps it then looks for itself.
    /// - Parameter count: Bytes of the datagram.
    package func outline(ofBytes count: Int) -> MessageOutline? {
        guard bytes.count == count, first(.authorization) == nil, first(.proxyAuthorization) == nil else { return nil }
        guard !body.isEmpty else { return MessageOutline(callID: callID, body: body, isDescription: false) }
        let span = RawSpan(_elements: bytes.span)
        // Content-Encoding is none of the names that the index tells apart: `c`, `C`, `e` or `E` begins it.
        for field in headers where field.name == .other {
            let letter = span[Int(field.line.start)] | 0x20
            if letter == 0x63 || letter == 0x65 { return nil }
        }
        guard let type = first(.contentType) else { return nil }
        return MessageOutline(
            callID: callID, body: body, isDescription: Redaction.isDescription(span, type.value))
    }
}
