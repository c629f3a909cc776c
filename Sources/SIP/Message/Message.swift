// Message is one SIP message in a buffer of its own with an index over it (RFC 3261 §7). It is loaded again and again:
// the datagram is copied once, the index is rebuilt, and after the first few messages nothing is allocated. Values are
// read on demand as ranges into `bytes`, but for the topmost Via, the tags and CSeq, which are kept by `identify`; what
// is to be kept longer than the next `load` is copied out (`snapshot()`).
//
//     datagram ──load──▶ start line, headers, body ──validate──▶ fit to forward ──▶ Via, From, Route … on demand
//
// Invariants: every range answered lies within `bytes`; `bytes` ends where Content-Length says. Limits: 64 KiB a
// message, 128 header fields. Any bytes may come in: faults end in a SIPParseError, and what was indexed stays readable
// for the answer.

package import Primitives

package struct Message: Sendable {
    private let passing = ByAddress()
    /// The largest message taken, in bytes; a larger one is told 513.
    package static let sizeLimit = 65_535
    /// The most header fields taken; more are told 513.
    package static let headerLimit = MessageIndex.headerLimit

    /// The message, from its start line to the end of its body.
    package private(set) var bytes: [UInt8] = []
    private(set) var index = MessageIndex()
    /// Of a message that was identified, what every question about it begins with: one element, or none. An array,
    /// because a message is passed about, and this is larger than all the rest of it.
    private(set) var identity: ContiguousArray<MessageIdentity> = []

    package init() {
        bytes.reserveCapacity(4_096)
        identity.reserveCapacity(1)
    }

    /// Whether `identify` has read it, and found it good.
    package var isIdentified: Bool { !identity.isEmpty }

    /// Whether it was read from these bytes, and they were a message.
    package func isRead(from other: [UInt8]) -> Bool {
        index.isSound && !bytes.isEmpty && Text.same(bytes, ByteRange(bytes), other, ByteRange(other))
    }

    /// Keeps what `identify` has read.
    mutating func remember(_ identity: MessageIdentity) { self.identity.append(identity) }

    /// Copies and indexes one datagram, or bytes that were stored before.
    ///
    /// Empty lines before the start line are dropped (§7.5). A datagram longer than its Content-Length says is cut, a
    /// shorter one is an error; without Content-Length the body is all that follows (§18.3). On an error what was
    /// indexed stays readable.
    package mutating func load(_ datagram: RawSpan) throws(SIPParseError) {
        bytes.removeAll(keepingCapacity: true)
        identity.removeAll(keepingCapacity: true)
        let count = datagram.byteCount
        guard count <= Self.sizeLimit else {
            index.reset()
            throw SIPParseError(.messageTooLarge(limit: Self.sizeLimit), at: Self.sizeLimit)
        }
        var start = 0
        while start < count, datagram[start] == 0x0D || datagram[start] == 0x0A { start &+= 1 }
        guard start < count else {
            index.reset()
            throw SIPParseError(.emptyMessage, at: 0)
        }
        if start == 0 { bytes.append(datagram) } else { bytes.append(datagram.extracting(start..<count)) }
        let fault = index.read(bytes)
        let end = Int(index.body.end)
        if end < bytes.count { bytes.removeLast(bytes.count - end) }
        if let fault { throw fault }
    }

    package var isRequest: Bool { index.isRequest }
    /// The request's method; `.other` in a response.
    package var method: Method { index.method }
    package var methodText: ByteRange { index.methodText }
    /// As written, escapes included.
    package var requestURI: ByteRange { index.requestURI }
    /// 100 to 699; 0 in a request.
    package var statusCode: Int { index.statusCode }
    package var reasonPhrase: ByteRange { index.reasonPhrase }
    /// Where the first header line starts.
    package var firstLineEnd: Int { index.firstLineEnd }
    /// Every header field in order.
    package var headers: ContiguousArray<HeaderField> { index.fields }
    package var headerCount: Int { index.fields.count }
    /// Where the empty line starts.
    package var headersEnd: Int { index.headersEnd }
    package var body: ByteRange { index.body }

    /// A copy of the message that takes no more memory than it needs.
    package func snapshot() -> [UInt8] { [UInt8](copying: RawSpan(_elements: bytes.span)) }

    /// A copy of one range.
    package func copy(_ range: ByteRange) -> [UInt8] {
        [UInt8](copying: RawSpan(_elements: bytes.span).extracting(range.range))
    }
}
