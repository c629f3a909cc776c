// Text reads numbers and compares tokens in place, in the ASCII that SIP is written in (RFC 3261 §7.3.1, §25). No
// String is made: one costs more than parsing the whole message.

public enum Text {
    /// The value of 1 to 20 decimal digits; `nil` for anything else or beyond 64 bits.
    public static func decimal(_ bytes: [UInt8], _ range: ByteRange) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var value: UInt64 = 0
        for index in range.range {
            let digit = bytes[index] &- 48
            guard digit < 10 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }

    /// The value of 1 to 16 hexadecimal digits of either case; `nil` for anything else.
    public static func hex(_ bytes: [UInt8], _ range: ByteRange) -> UInt64? {
        guard !range.isEmpty, range.count <= 16 else { return nil }
        var value: UInt64 = 0
        var start = Int(range.start)
        let span = RawSpan(_elements: bytes.span)
        while start &+ 8 <= Int(range.end) {
            guard let digits = hexadecimal(span.word(at: start)) else { return nil }
            value = value << 32 | digits
            start &+= 8
        }
        for index in start..<Int(range.end) {
            let byte = bytes[index]
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte &- 48
            case 97...102: digit = byte &- 87
            case 65...70: digit = byte &- 55
            default: return nil
            }
            value = value << 4 | UInt64(digit)
        }
        return value
    }

    /// The value of eight hexadecimal digits, the first in the lowest byte; `nil` when one is none.
    private static func hexadecimal(_ word: UInt64) -> UInt64? {
        let low = word & 0x7F7F_7F7F_7F7F_7F7F
        let digits = (low &+ 0x5050_5050_5050_5050) & ~(low &+ 0x4646_4646_4646_4646)
        let small = low | 0x2020_2020_2020_2020
        let letters = (small &+ 0x1F1F_1F1F_1F1F_1F1F) & ~(small &+ 0x1919_1919_1919_1919)
        guard (digits | letters) & ~word & 0x8080_8080_8080_8080 == 0x8080_8080_8080_8080 else { return nil }
        let nine = (letters & 0x8080_8080_8080_8080) >> 7 &* 9
        var value = ((low & 0x0F0F_0F0F_0F0F_0F0F) &+ nine).byteSwapped
        value = (value | value >> 4) & 0x00FF_00FF_00FF_00FF
        value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF
        return (value | value >> 16) & 0xFFFF_FFFF
    }

    public static func equals(_ bytes: [UInt8], _ range: ByteRange, _ text: StaticString) -> Bool {
        text.matches(bytes, range) { $0 == $1 }
    }

    /// Compares as SIP compares tokens: ASCII letters without their case.
    public static func equalsIgnoringCase(_ bytes: [UInt8], _ range: ByteRange, _ text: StaticString) -> Bool {
        text.matches(bytes, range) { lowercased($0) == lowercased($1) }
    }

    public static func same(_ left: [UInt8], _ leftRange: ByteRange, _ right: [UInt8], _ rightRange: ByteRange) -> Bool
    {
        guard leftRange.count == rightRange.count else { return false }
        return RawSpan(_elements: left.span).extracting(leftRange.range)
            .compared(to: RawSpan(_elements: right.span).extracting(rightRange.range)) == 0
    }

    public static func sameIgnoringCase(
        _ left: [UInt8], _ leftRange: ByteRange, _ right: [UInt8], _ rightRange: ByteRange
    ) -> Bool {
        guard leftRange.count == rightRange.count else { return false }
        let one = RawSpan(_elements: left.span).extracting(leftRange.range)
        let other = RawSpan(_elements: right.span).extracting(rightRange.range)
        // As they are written they are mostly the same already.
        var offset = 0
        while offset &+ 8 <= one.byteCount, one.word(at: offset) == other.word(at: offset) { offset &+= 8 }
        while offset < one.byteCount {
            guard lowercased(one[offset]) == lowercased(other[offset]) else { return false }
            offset &+= 1
        }
        return true
    }

    /// The ASCII lower case of a byte; everything but A to Z stays as it is.
    @inlinable
    public static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 65 < 26 ? byte | 0x20 : byte
    }

    /// The bytes as a String for logs and JSON; what is not UTF-8 is replaced.
    public static func string(_ bytes: [UInt8], _ range: ByteRange) -> String {
        String(decoding: bytes[range.range], as: UTF8.self)
    }
}
