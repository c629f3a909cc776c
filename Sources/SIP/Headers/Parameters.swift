// Parameters steps over `;name=value` lists (RFC 3261 §7.3.1, §19.1.1, §25.1 generic-param) with quoted strings and
// white space around every separator. An empty value (`;rport=`) is read as no value; an empty parameter (`;;`) is an
// error (RFC 4475 §3.1.2.1).

package import Primitives

package enum Parameters {
    /// The value of the first parameter called `name` in any case; an empty range when it has none; `nil` when it is
    /// absent.
    ///
    /// `range` starts with the `;` of the first parameter, as the parameter ranges of Via, NameAddress and URI do. A
    /// quoted value is answered with its quotes. What does not parse is skipped up to the next `;`.
    package static func value(_ name: StaticString, in bytes: [UInt8], _ range: ByteRange) -> ByteRange? {
        let span = RawSpan(_elements: bytes.span)
        let end = min(Int(range.end), span.byteCount)
        var offset = Int(range.start)
        while offset < end {
            switch step(span, offset, end) {
            case .parameter(let parameter):
                if Text.equalsIgnoringCase(bytes, parameter.name, name) { return parameter.value }
                offset = Int(parameter.whole.end)
            case .end:
                return nil
            case .malformed:
                offset = nextSemicolon(span, offset &+ 1, end)
            }
        }
        return nil
    }

    private static func nextSemicolon(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index < end, span[index] != 0x3B {
            if span[index] == 0x22 {
                guard let past = Grammar.skipQuoted(span, index, end) else { return end }
                index = past
            } else {
                index &+= 1
            }
        }
        return index
    }

    /// One parameter: `whole` from its `;` to the end of its value, `key` its name packed in lower case.
    struct Parameter {
        var whole: ByteRange
        var name: ByteRange
        /// Empty when there is none.
        var value: ByteRange
        /// The name's bytes in lower case, the last byte lowest; 0 for names of more than eight bytes.
        var key: UInt64
    }

    enum Step {
        case parameter(Parameter)
        /// Nothing but white space up to `end`, or a comma at this offset.
        case end(Int)
        case malformed(Int)
    }

    /// Reads the parameter that starts, after white space, at `offset`.
    @inline(__always)
    static func step(_ span: RawSpan, _ offset: Int, _ end: Int) -> Step {
        let semicolon = Grammar.skipSpace(span, offset, end)
        guard semicolon < end, span[semicolon] != 0x2C else { return .end(semicolon) }
        guard span[semicolon] == 0x3B else { return .malformed(semicolon) }
        let start = Grammar.skipSpace(span, semicolon &+ 1, end)
        var index = start
        var key: UInt64 = 0
        if start &+ 8 <= end {
            // The letters that it begins with, at once.
            let word = span.word(at: start)
            let stop = Grammar.letters(word) ^ 0x8080_8080_8080_8080
            let bits = stop == 0 ? 64 : UInt64(truncatingIfNeeded: stop.trailingZeroBitCount & ~7)
            if bits > 0 {
                key = (word | 0x2020_2020_2020_2020).byteSwapped >> (64 &- bits)
                index = start &+ Int(truncatingIfNeeded: bits >> 3)
            }
        }
        while index < end, Grammar.isToken(span[index]) {
            key = key << 8 | UInt64(span[index] | 0x20)
            index &+= 1
        }
        guard index > start else { return .malformed(index) }
        if index &- start > 8 { key = 0 }
        let name = ByteRange(start: start, end: index)
        let equals = Grammar.skipSpace(span, index, end)
        guard equals < end, span[equals] == 0x3D else {
            let whole = ByteRange(start: semicolon, end: index)
            return .parameter(Parameter(whole: whole, name: name, value: .empty, key: key))
        }
        let valueStart = Grammar.skipSpace(span, equals &+ 1, end)
        guard let valueEnd = skipValue(span, valueStart, end) else { return .malformed(valueStart) }
        let value = ByteRange(start: valueStart, end: valueEnd)
        let whole = ByteRange(start: semicolon, end: valueEnd > valueStart ? valueEnd : equals &+ 1)
        return .parameter(Parameter(whole: whole, name: name, value: value, key: key))
    }

    /// Past a token, host or quoted string. Any byte that separates nothing is taken: branches with `=` or `/` are
    /// common.
    @inline(__always)
    private static func skipValue(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int? {
        if offset < end, span[offset] == 0x22 { return Grammar.skipQuoted(span, offset, end) }
        return Grammar.skipParameterValue(span, offset, end)
    }
}
