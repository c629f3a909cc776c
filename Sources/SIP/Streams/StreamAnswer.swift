// What a stream's owner needs of a message before any proxy sees it: the answer to one that cannot be framed, and the
// port that a request's topmost Via offers for requests in the other direction (RFC 5923).
//
// Both read a head with a `Message` that the caller owns and reuses. What is no request, or has no Via, gets no answer
// and offers nothing.

package import Primitives

package enum StreamAnswer {
    /// Appends the answer to the request whose head this is; nothing when there is none to give: a response, an ACK, or
    /// what is no SIP at all.
    package static func write(
        _ fault: StreamFault, head: RawSpan, source: Endpoint, reader: inout Message, into out: inout ByteWriter
    ) {
        guard let status = fault.statusCode else { return }
        // What is wrong with it is known already; whatever could be indexed is enough for the answer.
        try? reader.load(head)
        guard reader.isRequest, reader.method != .ack, !reader.requestURI.isEmpty,
            (try? reader.topmostVia()) != nil
        else { return }
        ResponseWriter.write(
            status, to: reader, toTag: [], received: (source, forceRport: false), into: &out)
    }
}

package enum StreamAlias {
    /// The port of the topmost Via's sent-by when the request carries `alias` (RFC 5923 §8.1); `nil` otherwise.
    package static func port(of message: RawSpan, reader: inout Message) -> UInt16? {
        guard (try? reader.load(message)) != nil, reader.isRequest, let via = try? reader.topmostVia() else {
            return nil
        }
        let parameters = ByteRange(start: Int(via.sentBy.end), end: Int(via.element.end))
        guard Parameters.value("alias", in: reader.bytes, parameters) != nil else { return nil }
        return via.sentByPort
    }
}
