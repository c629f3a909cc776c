// Reading addresses: dotted decimal (leading zeros are decimal too), and IPv6 text of RFC 4291 §2.2 with an embedded
// IPv4 tail.
//
// One leniency: `:::` before an IPv4 tail counts as `::`, because the grammar of RFC 3261 produced it (RFC 5118 §4.10).

internal import Primitives

extension Address {
    static func ipv4(_ span: RawSpan, _ start: Int, _ end: Int) -> UInt32? {
        var value: UInt32 = 0
        var (number, digits, dots) = (UInt32(0), 0, 0)
        for index in start..<end {
            let digit = span[index] &- 0x30
            if digit < 10 {
                number = number &* 10 &+ UInt32(digit)
                digits &+= 1
                guard digits <= 3, number < 256 else { return nil }
            } else {
                guard digit == 0xFE, digits > 0, dots < 3 else { return nil }  // A dot.
                value = value << 8 | number
                (number, digits, dots) = (0, 0, dots &+ 1)
            }
        }
        return dots == 3 && digits > 0 ? value << 8 | number : nil
    }

    /// Groups before and after the `::` are collected apart and joined at the end.
    static func ipv6(_ span: RawSpan, _ start: Int, _ end: Int) -> (high: UInt64, low: UInt64)? {
        var reader = IPv6Reader()
        var offset = start
        if offset &+ 1 < end, span[offset] == 0x3A {
            guard span[offset &+ 1] == 0x3A else { return nil }
            reader.gap = 0
            offset &+= 2
        }
        while offset < end {
            let groupStart = offset
            var value: UInt64 = 0
            while offset < end, offset &- groupStart < 5, let digit = hexadecimal(span[offset]) {
                value = value << 4 | digit
                offset &+= 1
            }
            if offset < end, span[offset] == 0x2E {
                guard let tail = ipv4(span, groupStart, end) else { return nil }
                reader.append(UInt64(tail >> 16))
                reader.append(UInt64(tail & 0xFFFF))
                return reader.words
            }
            guard offset > groupStart, offset &- groupStart <= 4 else { return nil }
            reader.append(value)
            if offset == end { break }
            guard span[offset] == 0x3A, offset &+ 1 < end else { return nil }
            offset &+= 1
            if span[offset] == 0x3A {
                guard reader.gap == nil else { return nil }
                reader.gap = reader.count
                offset &+= 1
                if offset < end, span[offset] == 0x3A, ipv4(span, offset &+ 1, end) != nil { offset &+= 1 }
            }
        }
        return reader.words
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt64? {
        if Grammar.isDigit(byte) { return UInt64(byte &- 0x30) }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? UInt64(letter) &+ 10 : nil
    }
}

/// Collects the groups of an IPv6 address; more than eight make it invalid.
private struct IPv6Reader {
    private var groups = InlineArray<8, UInt64>(repeating: 0)
    private(set) var count = 0
    /// How many groups stand before the `::`.
    var gap: Int?

    mutating func append(_ group: UInt64) {
        if count < 8 { groups[count] = group }
        count += 1
    }

    var words: (high: UInt64, low: UInt64)? {
        guard gap == nil ? count == 8 : count < 8 else { return nil }
        let zeros = 8 - count
        var (high, low): (UInt64, UInt64) = (0, 0)
        for index in 0..<8 {
            let before = gap ?? 8
            let group = index < before ? groups[index] : index < before + zeros ? 0 : groups[index - zeros]
            if index < 4 { high = high << 16 | group } else { low = low << 16 | group }
        }
        return (high, low)
    }
}
