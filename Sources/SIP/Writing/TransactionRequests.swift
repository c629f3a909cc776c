// The two requests that belong to an INVITE's client transaction and are made from the INVITE as it was sent: the ACK
// for a response of 300 to 699 (RFC 3261 §17.1.1.3) and the CANCEL (§9.1). Both carry the INVITE's Request-URI, topmost
// Via, Routes, From, Call-ID and CSeq number, so they reach the same place and match the same transaction there.
//
// Both load from the bytes stored for retransmission. They answer `false`, having written nothing, when those are no
// INVITE with a Via and a CSeq, which would be a fault of the caller.

package import Primitives

package enum AckWriter {
    /// Appends the ACK for `response`, whose To (with its tag) it carries; body and credentials are left out.
    @discardableResult
    package static func write(
        invite: Message, response: Message, maxForwards: Int, into out: inout ByteWriter
    ) -> Bool {
        guard let to = response.first(.to) ?? invite.first(.to) else { return false }
        let toBytes = response.first(.to) == nil ? invite.bytes : response.bytes
        return TransactionRequest.write(
            "ACK", invite, toBytes, to.value, maxForwards, extra: { _ in }, into: &out)
    }
}

package enum CancelWriter {
    /// Appends the CANCEL of `invite`.
    ///
    /// - Parameter extra: writes further header lines, each with its CRLF (a Reason, RFC 3326).
    @discardableResult
    package static func write(
        invite: Message, maxForwards: Int, extra: (inout ByteWriter) -> Void = { _ in },
        into out: inout ByteWriter
    ) -> Bool {
        guard let to = invite.first(.to) else { return false }
        return TransactionRequest.write(
            "CANCEL", invite, invite.bytes, to.value, maxForwards, extra: extra, into: &out)
    }
}

private enum TransactionRequest {
    static func write(
        _ method: StaticString, _ invite: Message, _ toBytes: [UInt8], _ to: ByteRange,
        _ maxForwards: Int, extra: (inout ByteWriter) -> Void, into out: inout ByteWriter
    ) -> Bool {
        guard invite.isRequest, let via = try? invite.topmostVia(), let cSeq = try? invite.cSeq() else { return false }
        let bytes = invite.bytes
        out.put(method)
        out.put(0x20)
        out.put(bytes, invite.requestURI)
        out.put(" SIP/2.0\r\nVia: ")
        out.put(bytes, via.element)
        out.put("\r\n")
        for field in invite.index.fields where field.name == .route { HeaderWriter.copy(bytes, field, into: &out) }
        out.put("Max-Forwards: ")
        out.putDecimal(UInt64(maxForwards))
        out.put("\r\n")
        if let from = invite.first(.from) { HeaderWriter.copy(bytes, from, into: &out) }
        out.put("To: ")
        out.put(toBytes, to)
        out.put("\r\nCall-ID: ")
        out.put(bytes, invite.callID)
        out.put("\r\nCSeq: ")
        out.putDecimal(UInt64(cSeq.number))
        out.put(0x20)
        out.put(method)
        out.put("\r\n")
        extra(&out)
        out.put("Content-Length: 0\r\n\r\n")
        return true
    }
}
