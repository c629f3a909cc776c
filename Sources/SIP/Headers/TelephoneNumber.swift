// TelephoneNumber is what a tel URI names (RFC 3966 §3): a global number, `+` and digits, or a local one, which means
// something only in its phone-context.
//
//     tel:+1-201-555-0123;ext=12       tel:7042;phone-context=example.com
//         └── global, digits ──┘           └ local ┘            └ context ┘
//
// Visual separators (`-`, `.`, `(`, `)`) are kept; they mean nothing. Where a tel URI only passes by, none of this is
// checked: RFC 4475 §3.3.4 says that it is none of a proxy's business.

package import Primitives

package struct TelephoneNumber: Equatable, Sendable {
    package var isGlobal: Bool
    /// As written, with the `+` and the separators.
    package var digits: ByteRange
    /// The domain name or number prefix in which a local number is unique; empty for a global one.
    package var context: ByteRange
    /// Empty when there is none.
    package var `extension`: ByteRange

    /// Reads the number of a tel URI found in `bytes`.
    package init(_ uri: URI, in bytes: [UInt8]) throws(SIPParseError) {
        let failure = SIPParseError(.malformedURI, at: Int(uri.user.start))
        guard uri.scheme == .tel, !uri.user.isEmpty else { throw failure }
        isGlobal = bytes[Int(uri.user.start)] == 0x2B
        digits = uri.user
        context = uri.parameter("phone-context", in: bytes) ?? .empty
        self.extension = uri.parameter("ext", in: bytes) ?? .empty
        let number = ByteRange(start: Int(uri.user.start) + (isGlobal ? 1 : 0), end: Int(uri.user.end))
        guard Self.isNumber(bytes, number, isGlobal: isGlobal) else { throw failure }
        // A local number without a context names nobody (§5.1.5).
        guard isGlobal || Self.isContext(bytes, context) else { throw failure }
        guard self.extension.isEmpty || Self.isNumber(bytes, self.extension, isGlobal: true) else { throw failure }
    }

    static func isSeparator(_ byte: UInt8) -> Bool {
        byte == 0x2D || byte == 0x2E || byte == 0x28 || byte == 0x29
    }

    /// At least one digit among separators; in a local number A to F, `*` and `#` are digits too.
    private static func isNumber(_ bytes: [UInt8], _ range: ByteRange, isGlobal: Bool) -> Bool {
        var hasDigit = false
        for index in range.range {
            let byte = bytes[index]
            if isSeparator(byte) { continue }
            let isDigit =
                Grammar.isDigit(byte)
                || (!isGlobal && ((byte | 0x20) &- 0x61 < 6 || byte == 0x2A || byte == 0x23))
            guard isDigit else { return false }
            hasDigit = true
        }
        return hasDigit
    }

    /// A global number or a domain name.
    private static func isContext(_ bytes: [UInt8], _ range: ByteRange) -> Bool {
        guard !range.isEmpty else { return false }
        if bytes[Int(range.start)] == 0x2B {
            return isNumber(bytes, ByteRange(start: Int(range.start) + 1, end: Int(range.end)), isGlobal: true)
        }
        let span = RawSpan(_elements: bytes.span)
        return Grammar.skipHost(span, Int(range.start), Int(range.end)) == Int(range.end)
    }
}
