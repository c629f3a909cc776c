// NameAddress is one address of From, To, Contact, Route or Record-Route: `name-addr` or `addr-spec` with parameters
// (RFC 3261 §20.10, §25.1).
//
//     "Quoted name" <sip:user@host;lr> ;tag=98asjd8 , <sip:next…
//                    └──── uri ─────┘  └ parameters ┘
//     └────────────────── element ─────────────────┘
//
// In an addr-spec without angle brackets the first `;` ends the URI: the parameters are the header's (§20). A display
// name without quotes may hold any byte that separates nothing, though the RFC says tokens: phones send them, and RFC
// 4475 §3.1.2.15 allows it. An open quote, a space within the brackets or a missing scheme is an error.

package import Primitives

package struct NameAddress: Equatable, Sendable {
    package var element: ByteRange
    /// Without angle brackets. `*` for a wildcard Contact.
    package var uri: ByteRange
    /// From the first `;` of the header's parameters to the element's end; empty when there are none.
    package var parameters: ByteRange
    /// The tag parameter's value; empty when there is none.
    package var tag: ByteRange
    /// The header's line, folds and line end included.
    package var field: ByteRange
    package var isOnlyInField: Bool
    /// Where the next address of the same field starts; the element's end when it is the last.
    package var following: Int32

    /// Reads the one address in `bytes[range]`, a header's value.
    package init(_ bytes: [UInt8], _ range: ByteRange) throws(SIPParseError) {
        let field = HeaderField(name: .other, line: range, value: range)
        try self.init(RawSpan(_elements: bytes.span), at: Int(range.start), in: field)
        guard isOnlyInField else { throw SIPParseError(.malformedValue(.other), at: Int(element.end)) }
    }

    /// Appends each address of the comma-separated list in `bytes[range]`, a header's value or several joined with
    /// commas.
    ///
    /// - Returns: `false` when one cannot be read; those before it were appended.
    @discardableResult
    package static func append(
        listIn bytes: [UInt8], _ range: ByteRange, to addresses: inout [NameAddress]
    ) -> Bool {
        let field = HeaderField(name: .other, line: range, value: range)
        return append(RawSpan(_elements: bytes.span), field, to: &addresses)
    }

    static func append(_ span: RawSpan, _ field: HeaderField, to addresses: inout [NameAddress]) -> Bool {
        var offset = Int(field.value.start)
        while true {
            do throws(SIPParseError) {
                let address = try NameAddress(span, at: offset, in: field)
                addresses.append(address)
                if address.following == address.element.end { return true }
                offset = Int(address.following)
            } catch {
                return false
            }
        }
    }

    /// Reads the address that starts, after white space, at `start`; `field.value` bounds it.
    init(_ span: RawSpan, at start: Int, in field: HeaderField) throws(SIPParseError) {
        let end = Int(field.value.end)
        let first = Grammar.skipSpace(span, start, end)
        let failure = SIPParseError(.malformedValue(field.name), at: first)
        var offset = first
        if offset < end, span[offset] == 0x22 {
            guard let past = Grammar.skipQuoted(span, offset, end) else { throw failure }
            offset = Grammar.skipSpace(span, past, end)
            guard offset < end, span[offset] == 0x3C else { throw failure }
        } else {
            offset = Self.endOfName(span, offset, end)
        }
        if offset < end, span[offset] == 0x3C {
            let close = Grammar.skipURIBytes(span, offset &+ 1, end)
            guard close < end, span[close] == 0x3E else { throw failure }
            uri = ByteRange(start: offset &+ 1, end: close)
            offset = close &+ 1
        } else {
            uri = ByteRange(start: first, end: Grammar.trimmedEnd(span, first, offset))
            guard Grammar.skipURIBytes(span, first, Int(uri.end)) == Int(uri.end) else { throw failure }
            offset = Int(uri.end)
        }
        let isWildcard = uri.count == 1 && span[Int(uri.start)] == 0x2A
        guard isWildcard || Grammar.hasScheme(span, Int(uri.start), Int(uri.end)) else { throw failure }

        element = field.value
        parameters = .empty
        tag = .empty
        self.field = field.line
        isOnlyInField = true
        following = 0
        let elementEnd = try readParameters(span, offset, end, field.name)
        element = ByteRange(start: first, end: elementEnd)
        following = Int32(elementEnd)
        let comma = Grammar.skipSpace(span, elementEnd, end)
        if comma < end { following = Int32(Grammar.skipSpace(span, comma &+ 1, end)) }
        isOnlyInField = comma == end && first == Int(field.value.start)
    }

    /// Where a display name without quotes ends, or the URI of an addr-spec.
    private static func endOfName(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        // Hardly any address is written without a name and without brackets.
        if index < end, span[index] == 0x3C { return index }
        while index < end {
            switch span[index] {
            case 0x3C, 0x3E, 0x2C, 0x3B, 0x22: return index
            default: index &+= 1
            }
        }
        return index
    }

    private mutating func readParameters(
        _ span: RawSpan, _ offset: Int, _ end: Int, _ name: HeaderName
    ) throws(SIPParseError) -> Int {
        var offset = offset
        var first: Int?
        while true {
            switch Parameters.step(span, offset, end) {
            case .end:
                if let first { parameters = ByteRange(start: first, end: offset) }
                return offset
            case .malformed(let place):
                throw SIPParseError(.malformedValue(name), at: place)
            case .parameter(let parameter):
                if first == nil { first = Int(parameter.whole.start) }
                if parameter.key == 0x74_6167, tag.isEmpty { tag = parameter.value }  // tag
                offset = Int(parameter.whole.end)
            }
        }
    }
}
