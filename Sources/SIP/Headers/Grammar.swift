// Grammar knows which bytes may stand where (RFC 3261 §25.1) and how to step over the small repeated parts: white
// space, tokens, quoted strings, hosts, line ends. Everything works on offsets into one span, so nothing is copied.
//
// White space here is SP, HT, CR and LF alike: header values keep their folds (§7.3.1), and inside of a value a CR or
// LF can only be part of one. Where the RFC's grammar and common phones disagree the comment says which one is
// followed.

internal import Primitives

enum Grammar {
    private static let tokenLow: UInt64 =
        1 << 0x21 | 1 << 0x25 | 1 << 0x27 | 1 << 0x2A | 1 << 0x2B | 1 << 0x2D | 1 << 0x2E | 0x3FF << 0x30
    private static let tokenHigh: UInt64 =
        0x03FF_FFFF << 1 | 1 << 31 | 1 << 32 | 0x03FF_FFFF << 33 | 1 << 62

    /// token: alphanumeric or one of `-.!%*_+`'~` (§25.1).
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        if byte < 64 { return tokenLow >> UInt64(byte) & 1 != 0 }
        return byte < 128 && tokenHigh >> UInt64(byte & 63) & 1 != 0
    }

    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
    }

    /// Whether the bytes from `offset`, which a colon ends, are letters and hyphens, as in nearly all names of headers.
    ///
    /// - Precondition: `PackedName` has found the colon.
    @inline(__always)
    static func isPlainName(_ span: RawSpan, _ offset: Int, _ count: Int) -> Bool {
        var (index, left) = (offset, count)
        while left > 0 {
            let word = span.word(at: index)
            let difference = word ^ 0x2D2D_2D2D_2D2D_2D2D
            let others = ((difference & 0x7F7F_7F7F_7F7F_7F7F) &+ 0x7F7F_7F7F_7F7F_7F7F) | difference
            let wanted = left >= 8 ? 0x8080_8080_8080_8080 : 0x8080_8080_8080_8080 & ~(UInt64.max << UInt64(left &* 8))
            guard (letters(word) | ~others) & wanted == wanted else { return false }
            index &+= 8
            left &-= 8
        }
        return true
    }

    /// The highest bit set in each byte of a word that is an ASCII letter.
    @inline(__always)
    static func letters(_ word: UInt64) -> UInt64 {
        let low = (word | 0x2020_2020_2020_2020) & 0x7F7F_7F7F_7F7F_7F7F
        let fromA = low &+ 0x1F1F_1F1F_1F1F_1F1F
        let behindZ = low &+ 0x0505_0505_0505_0505
        return fromA & ~behindZ & ~word & 0x8080_8080_8080_8080
    }

    /// The same of each byte that may stand in a host name or an IPv4 address: letters, digits, `-`, `.` and `_`.
    @inline(__always)
    static func hostBytes(_ word: UInt64) -> UInt64 {
        let low = word & 0x7F7F_7F7F_7F7F_7F7F
        let fromHyphen = low &+ 0x5353_5353_5353_5353
        let behindNine = low &+ 0x4646_4646_4646_4646
        let isNoSlash = (low ^ 0x2F2F_2F2F_2F2F_2F2F) &+ 0x7F7F_7F7F_7F7F_7F7F
        let isNoUnderscore = (low ^ 0x5F5F_5F5F_5F5F_5F5F) &+ 0x7F7F_7F7F_7F7F_7F7F
        let others = (fromHyphen & ~behindNine & isNoSlash | ~isNoUnderscore) & ~word & 0x8080_8080_8080_8080
        return letters(word) | others
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    @inline(__always)
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    /// The offset of the first byte at or after `offset` that is no white space, at most `end`.
    @inline(__always)
    static func skipSpace(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index < end, isSpace(span[index]) { index &+= 1 }
        return index
    }

    /// The end of `start..<end` without white space at its end.
    @inline(__always)
    static func trimmedEnd(_ span: RawSpan, _ start: Int, _ end: Int) -> Int {
        var index = end
        while index > start, isSpace(span[index &- 1]) { index &-= 1 }
        return index
    }

    @inline(__always)
    static func skipToken(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index < end, isToken(span[index]) { index &+= 1 }
        return index
    }

    @inline(__always)
    static func skipDigits(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index < end, isDigit(span[index]) { index &+= 1 }
        return index
    }

    /// Past the closing quote of the string whose opening quote is at `offset`; `nil` when it is never closed.
    static func skipQuoted(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int? {
        var index = offset &+ 1
        while index &+ 8 <= end {
            let word = span.word(at: index)
            let hit = zeros(word ^ 0x2222_2222_2222_2222) | zeros(word ^ 0x5C5C_5C5C_5C5C_5C5C)
            if hit != 0 {
                index &+= hit.trailingZeroBitCount >> 3
                break
            }
            index &+= 8
        }
        while index < end {
            switch span[index] {
            case 0x22: return index &+ 1
            case 0x5C: index &+= 2
            default: index &+= 1
            }
        }
        return nil
    }

    /// Past a host name, IPv4 address or bracketed IPv6 reference; `nil` when there is none.
    ///
    /// Underscores pass as in common resolvers. What is in brackets is only checked to be made of address characters,
    /// because RFC 5118 §4.10 asks to accept references that are not quite addresses.
    static func skipHost(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int? {
        guard offset < end else { return nil }
        var index = offset
        if span[index] == 0x5B {
            index &+= 1
            while index < end, isAddressCharacter(span[index]) { index &+= 1 }
            guard index < end, span[index] == 0x5D, index > offset &+ 1 else { return nil }
            return index &+ 1
        }
        while index &+ 8 <= end {
            let stop = hostBytes(span.word(at: index)) ^ 0x8080_8080_8080_8080
            if stop != 0 {
                index &+= stop.trailingZeroBitCount >> 3
                return index > offset ? index : nil
            }
            index &+= 8
        }
        while index < end {
            let byte = span[index]
            guard isLetter(byte) || isDigit(byte) || byte == 0x2D || byte == 0x2E || byte == 0x5F else { break }
            index &+= 1
        }
        return index > offset ? index : nil
    }

    private static func isAddressCharacter(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20) &- 0x61 < 6 || byte == 0x3A || byte == 0x2E
    }

    /// The port in `start..<end`, which must be one to five digits and fit 16 bits.
    static func port(_ span: RawSpan, _ start: Int, _ end: Int) -> UInt16? {
        guard start < end, end &- start <= 5 else { return nil }
        var value: UInt32 = 0
        for index in start..<end {
            let digit = span[index] &- 0x30
            guard digit < 10 else { return nil }
            value = value &* 10 &+ UInt32(digit)
        }
        return UInt16(exactly: value)
    }

    /// The decimal number in `start..<end`; `nil` when it is empty, holds anything but digits, or passes 32 bits.
    static func number(_ span: RawSpan, _ start: Int, _ end: Int) -> UInt32? {
        guard start < end else { return nil }
        var value: UInt64 = 0
        for index in start..<end {
            let digit = span[index] &- 0x30
            guard digit < 10 else { return nil }
            value = value &* 10 &+ UInt64(digit)
            if value > UInt64(UInt32.max) { return nil }
        }
        return UInt32(truncatingIfNeeded: value)
    }

    /// The first byte from `offset` that is white space or a control, or `end`.
    static func skipVisible(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index &+ 8 <= end {
            let word = span.word(at: index)
            let hit = (word &- 0x2121_2121_2121_2121) & ~word & 0x8080_8080_8080_8080
            if hit != 0 { return index &+ hit.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < end, span[index] > 0x20 { index &+= 1 }
        return index
    }

    /// Whether `start..<end` begins with a URI scheme, its colon and at least one byte more (§25.1).
    static func hasScheme(_ span: RawSpan, _ start: Int, _ end: Int) -> Bool {
        guard start < end, isLetter(span[start]) else { return false }
        if start &+ 8 <= end {
            let word = span.word(at: start) & 0xFFFF_FFFF
            if word == 0x3A70_6973 || word == 0x3A6C_6574 { return true }  // "sip:", "tel:"
        }
        var index = start
        while index < end {
            let byte = span[index]
            if byte == 0x3A { return index &+ 1 < end }
            guard isLetter(byte) || isDigit(byte) || byte == 0x2B || byte == 0x2D || byte == 0x2E else { return false }
            index &+= 1
        }
        return false
    }

    /// A word with the highest bit set in each byte that is zero, right up to the first such byte.
    @inline(__always)
    private static func zeros(_ word: UInt64) -> UInt64 {
        (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
    }

    /// The offset of the next `byte`, or `end`.
    @inline(__always)
    static func find(_ byte: UInt8, _ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var index = offset
        while index &+ 8 <= end {
            let hit = zeros(span.word(at: index) ^ pattern)
            if hit != 0 { return index &+ hit.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < end, span[index] != byte { index &+= 1 }
        return index
    }

    /// The first byte from `offset` that no URI may hold: white space, a control, a quote or an angle bracket; or
    /// `end`.
    static func skipURIBytes(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index &+ 8 <= end {
            let word = span.word(at: index)
            // Below 0x21; then a quote, an angle bracket (they differ in one bit), DEL.
            let hit =
                (word &- 0x2121_2121_2121_2121) & ~word & 0x8080_8080_8080_8080
                | zeros(word ^ 0x2222_2222_2222_2222)
                | zeros((word | 0x0202_0202_0202_0202) ^ 0x3E3E_3E3E_3E3E_3E3E)
                | zeros(word ^ 0x7F7F_7F7F_7F7F_7F7F)
            if hit != 0 { return index &+ hit.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < end {
            let byte = span[index]
            if byte <= 0x20 || byte == 0x22 || byte == 0x3C || byte == 0x3E || byte == 0x7F { break }
            index &+= 1
        }
        return index
    }

    /// Past a parameter's value: the first white space, control, separator, quote or angle bracket; or `end`.
    static func skipParameterValue(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index &+ 8 <= end {
            let word = span.word(at: index)
            let hit =
                (word &- 0x2121_2121_2121_2121) & ~word & 0x8080_8080_8080_8080
                | zeros(word ^ 0x2222_2222_2222_2222) | zeros(word ^ 0x2C2C_2C2C_2C2C_2C2C)
                | zeros(word ^ 0x3B3B_3B3B_3B3B_3B3B)
                | zeros((word | 0x0202_0202_0202_0202) ^ 0x3E3E_3E3E_3E3E_3E3E)
            if hit != 0 { return index &+ hit.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < end {
            let byte = span[index]
            if byte == 0x3B || byte == 0x2C || byte <= 0x20 || byte == 0x22 || byte == 0x3C || byte == 0x3E { break }
            index &+= 1
        }
        return index
    }

    /// The offset of the next LF, or `end`. Sixteen bytes at a time: most of a message is stepped over here.
    @inline(__always)
    static func lineFeed(_ span: RawSpan, _ offset: Int, _ end: Int) -> Int {
        var index = offset
        while index &+ 16 <= end {
            let first = span.word(at: index) ^ 0x0A0A_0A0A_0A0A_0A0A
            let second = span.word(at: index &+ 8) ^ 0x0A0A_0A0A_0A0A_0A0A
            let firstHit = (first &- 0x0101_0101_0101_0101) & ~first & 0x8080_8080_8080_8080
            let secondHit = (second &- 0x0101_0101_0101_0101) & ~second & 0x8080_8080_8080_8080
            if firstHit | secondHit != 0 {
                return firstHit != 0
                    ? index &+ firstHit.trailingZeroBitCount >> 3
                    : index &+ 8 &+ secondHit.trailingZeroBitCount >> 3
            }
            index &+= 16
        }
        if index &+ 8 <= end {
            let difference = span.word(at: index) ^ 0x0A0A_0A0A_0A0A_0A0A
            let hit = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if hit != 0 { return index &+ hit.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < end, span[index] != 0x0A { index &+= 1 }
        return index
    }
}
