// ResponseWriter makes the responses that the proxy answers itself (RFC 3261 §8.2.6): the request's Vias, From, To,
// Call-ID and CSeq as they came, folds and all, and an empty body. It works on a request that failed to parse too: what
// is there is copied.
//
// Not copied: Record-Route (it belongs to responses that create dialogs, §12.1.1, and those are not made here).

package import Primitives

package enum ResponseWriter {
    /// Appends a response to `request`.
    ///
    /// - Parameters:
    ///   - toTag: added to a To without a tag; empty adds none, and a 100 never gets one (§8.2.6.2).
    ///   - reason: the reason phrase; empty takes the RFC's.
    ///   - received: the request's source, written into the topmost Via (§18.2.1, RFC 3581 §4);
    ///     `nil` leaves it as it came.
    ///   - extra: writes further header lines, each with its CRLF.
    package static func write(
        _ statusCode: Int, reason: [UInt8] = [], to request: Message, toTag: [UInt8],
        received: (Endpoint, forceRport: Bool)?,
        extra: (inout ByteWriter) -> Void = { _ in }, into out: inout ByteWriter
    ) {
        out.put("SIP/2.0 ")
        out.putDecimal(UInt64(clamping: statusCode))
        out.put(0x20)
        if reason.isEmpty { out.put(reasonPhrase(statusCode)) } else { out.put(reason) }
        out.put("\r\n")
        writeVias(of: request, received, into: &out)
        let bytes = request.bytes
        if let from = request.first(.from) { HeaderWriter.copy(bytes, from, into: &out) }
        if let to = request.first(.to) {
            out.put("To: ")
            out.put(bytes, to.value)
            if !toTag.isEmpty, statusCode != 100, request.toTag.isEmpty {
                out.put(";tag=")
                out.put(toTag)
            }
            out.put("\r\n")
        }
        if let callID = request.first(.callID) { HeaderWriter.copy(bytes, callID, into: &out) }
        if let cSeq = request.first(.cSeq) { HeaderWriter.copy(bytes, cSeq, into: &out) }
        if statusCode == 100, let timestamp = request.first(.timestamp) {
            HeaderWriter.copy(bytes, timestamp, into: &out)
        }
        extra(&out)
        out.put("Content-Length: 0\r\n\r\n")
    }

    private static func writeVias(
        of request: Message, _ received: (Endpoint, forceRport: Bool)?, into out: inout ByteWriter
    ) {
        let bytes = request.bytes
        var isTopmost = true
        for field in request.index.fields where field.name == .via {
            if isTopmost, let received, let via = try? request.topmostVia() {
                out.put("Via: ")
                ViaStamp(via, bytes, source: received.0, forceRport: received.forceRport).write(bytes, into: &out)
                out.put(bytes, ByteRange(start: Int(via.element.end), end: Int(field.value.end)))
                out.put("\r\n")
            } else {
                HeaderWriter.copy(bytes, field, into: &out)
            }
            isTopmost = false
        }
    }
}

/// Copies header fields under their full names.
enum HeaderWriter {
    static func copy(_ bytes: [UInt8], _ field: HeaderField, into out: inout ByteWriter) {
        out.put(field.name.text)
        out.put(": ")
        out.put(bytes, field.value)
        out.put("\r\n")
    }
}
