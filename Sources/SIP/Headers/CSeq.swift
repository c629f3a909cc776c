// CSeq is the number and method that order the requests of a dialog (RFC 3261 §8.1.1.5, §20.16).
//
// Numbers up to 2³²−1 are taken though a sender must stay below 2³¹: only what does not fit 32 bits is an error (RFC
// 4475 §3.1.2.4).

package import Primitives

package struct CSeq: Equatable, Sendable {
    package var number: UInt32
    package var method: Method
    /// The method as written, in the bytes that were parsed.
    package var methodText: ByteRange

    /// Reads a CSeq header's value.
    package init(_ bytes: [UInt8], _ value: ByteRange) throws(SIPParseError) {
        try self.init(RawSpan(_elements: bytes.span), value)
    }

    init(_ span: RawSpan, _ value: ByteRange) throws(SIPParseError) {
        let (start, end) = (Int(value.start), Int(value.end))
        let digitsEnd = Grammar.skipDigits(span, start, end)
        let methodStart = Grammar.skipSpace(span, digitsEnd, end)
        let methodEnd = Grammar.skipToken(span, methodStart, end)
        guard let number = Grammar.number(span, start, digitsEnd), methodStart > digitsEnd, methodEnd > methodStart,
            methodEnd == end
        else { throw SIPParseError(.malformedValue(.cSeq), at: start) }
        self.number = number
        methodText = ByteRange(start: methodStart, end: methodEnd)
        method = Method(span, methodText)
    }
}
