// ByteWriter is a buffer that is filled, read and emptied again without giving its memory back: the hot path owns a few
// of them and allocates nothing once they have grown to the size of a typical message.
//
// Limit: none of its own; what is written was bounded when it was parsed.

public struct ByteWriter: Sendable {
    /// What has been written so far.
    public var bytes: [UInt8]

    @inlinable
    public init(capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    @inlinable
    public var count: Int { bytes.count }
    @inlinable
    public var isEmpty: Bool { bytes.isEmpty }

    /// Empties the buffer and keeps its memory.
    @inlinable
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    /// A copy of exactly what was written: what is kept for long must not keep the buffer's spare room.
    @inlinable
    public func copy() -> [UInt8] {
        [UInt8](copying: RawSpan(_elements: bytes.span))
    }

    @inlinable
    public mutating func put(_ byte: UInt8) {
        bytes.append(byte)
    }

    @inlinable
    public mutating func put(_ text: StaticString) {
        bytes.append(text)
    }

    @inlinable
    public mutating func put(_ span: RawSpan) {
        bytes.append(span)
    }

    @inlinable
    public mutating func put(_ other: [UInt8]) {
        bytes.append(RawSpan(_elements: other.span))
    }

    @inlinable
    public mutating func put(_ other: [UInt8], _ range: ByteRange) {
        bytes.append(RawSpan(_elements: other.span).extracting(range.range))
    }

    @inlinable
    public mutating func put(text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes what `body` appends, at most so many bytes: the buffer is looked at once, not at each of them.
    ///
    /// - Precondition: Whoever appends words leaves room for a whole one behind the last.
    @inlinable
    public mutating func put(atMost room: Int, _ body: (inout OutputSpan<UInt8>) -> Void) {
        bytes.append(addingCapacity: room, initializingWith: body)
    }

    /// Writes a number in decimal, without leading zeros.
    @inlinable
    public mutating func putDecimal(_ value: UInt64) {
        guard value >= 100_000_000 else {
            let digits = Self.decimal(value)
            return bytes.append(digits.count, of: digits.word)
        }
        putDecimal(value / 100_000_000)
        // What is below has its leading zeros.
        let digits = Self.decimal(value % 100_000_000)
        let zeros = UInt64(truncatingIfNeeded: 8 &- digits.count)
        let word = zeros == 0 ? digits.word : digits.word << (zeros &* 8) | 0x3030_3030_3030_3030 >> (64 &- zeros &* 8)
        bytes.append(8, of: word)
    }

    /// The digits of a number below 10⁸, without leading zeros, the first in the lowest byte.
    @inlinable
    public static func decimal(_ value: UInt64) -> (word: UInt64, count: Int) {
        var (rest, word, count) = (value, UInt64(0), 0)
        repeat {
            word = word << 8 | (48 &+ rest % 10)
            rest /= 10
            count &+= 1
        } while rest > 0
        return (word, count)
    }

    /// Writes the lowest bytes of a word, 0 to 8, the lowest first.
    @inlinable
    public mutating func put(_ count: Int, of word: UInt64) {
        bytes.append(count, of: word)
    }

    /// Writes the low `digits` hexadecimal digits (1 to 16) in lower case, with leading zeros.
    @inlinable
    public mutating func putHex(_ value: UInt64, digits: Int) {
        if digits > 8 { bytes.append(word: Self.hexadecimal(value >> 32), skipping: 16 - digits) }
        bytes.append(word: Self.hexadecimal(value & 0xFFFF_FFFF), skipping: max(0, 8 - digits))
    }

    /// The low `digits` hexadecimal digits (1 to 8) in lower case, with leading zeros, the first in the lowest byte.
    @inlinable
    public static func hexadecimal(_ value: UInt64, digits: Int) -> UInt64 {
        hexadecimal(value & 0xFFFF_FFFF) >> UInt64(truncatingIfNeeded: (8 &- digits) &* 8)
    }

    /// The eight digits of 32 bits, the first in the lowest byte.
    @inlinable
    static func hexadecimal(_ value: UInt64) -> UInt64 {
        var word = (value << 32 | value >> 16 & 0xFFFF) & 0x0000_FFFF_0000_FFFF
        word = (word & 0x0000_00FF_0000_00FF) << 16 | word >> 8 & 0x0000_00FF_0000_00FF
        word = (word & 0x000F_000F_000F_000F) << 8 | word >> 4 & 0x000F_000F_000F_000F
        // What is above 9 carries into the fifth bit.
        let letters = (word &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return word &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }
}
