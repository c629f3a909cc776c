// MessageOutline is what the index of a message tells whoever keeps it: that it has no credentials, what its call is
// found by, and whether its body may be kept (`Redaction`). What is written from the message has the same outline
// elsewhere (`MessageEditor.moved`), so that a message that is passed on need not be looked through again.

internal import Primitives

package struct MessageOutline: Hashable, Sendable {
    /// `Redaction.key` of its Call-ID.
    package var key: UInt64
    /// Where the body begins, which reaches to the end of the message.
    package var head: Int32
    /// The body is SDP, and not encoded.
    package var isDescription: Bool
    /// A line of the SDP may have a key: it is looked through, line by line.
    package var mayHoldKey = false
}

extension Message {
    /// `nil` when the message has credentials, or is not as it came: whoever keeps it then looks for itself.
    /// - Parameter count: Bytes of the datagram.
    package func outline(ofBytes count: Int) -> MessageOutline? {
        guard bytes.count == count, !index.has(.authorization), !index.has(.proxyAuthorization) else { return nil }
        let span = RawSpan(_elements: bytes.span)
        let key = Redaction.key(span, callID)
        let head = body.start
        guard !body.isEmpty else { return MessageOutline(key: key, head: head, isDescription: false) }
        // Content-Encoding is none of the names that the index tells apart: `c`, `C`, `e` or `E` begins it.
        guard index.otherInitials & (1 << 0x03 | 1 << 0x05) == 0 else { return nil }
        guard let type = first(.contentType) else { return nil }
        var outline = MessageOutline(
            key: key, head: head, isDescription: Redaction.isDescription(span, type.value))
        if outline.isDescription { outline.mayHoldKey = Redaction.mayHoldKey(span.extracting(body.range)) }
        return outline
    }
}
