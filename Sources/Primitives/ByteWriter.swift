// ByteWriter is a buffer that is filled, read and emptied again without giving its memory back: the hot path owns a few of
// them and allocates nothing once they have grown to the size of a typical message.
//
// Limit: none of its own; what is written was bounded when it was parsed.

package struct ByteWriter: Sendable {
    /// What has been written so far.
    package var bytes: [UInt8]

    package init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var count: Int { bytes.count }
    package var isEmpty: Bool { bytes.isEmpty }

    /// Empties the buffer and keeps its memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    /// A copy of exactly what was written: what is kept for long must not keep the buffer's spare room.
    package func copy() -> [UInt8] {
        [UInt8](copying: RawSpan(_elements: bytes.span))
    }

    package mutating func put(_ byte: UInt8) {
        bytes.append(byte)
    }

    package mutating func put(_ text: StaticString) {
        bytes.append(text)
    }

    package mutating func put(_ span: RawSpan) {
        bytes.append(span)
    }

    package mutating func put(_ other: [UInt8]) {
        bytes.append(contentsOf: other)
    }

    package mutating func put(_ other: [UInt8], _ range: ByteRange) {
        bytes.append(RawSpan(_elements: other.span).extracting(range.range))
    }

    package mutating func put(text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes a number in decimal, without leading zeros.
    package mutating func putDecimal(_ value: UInt64) {
        if value < 10 {
            bytes.append(48 &+ UInt8(truncatingIfNeeded: value))
            return
        }
        var divisor: UInt64 = 10
        while value / divisor >= 10 { divisor &*= 10 }
        while divisor > 0 {
            bytes.append(48 &+ UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    /// Writes the low `digits` hexadecimal digits (1 to 16) in lower case, with leading zeros.
    package mutating func putHex(_ value: UInt64, digits: Int) {
        var shift = digits * 4
        while shift > 0 {
            shift -= 4
            let nibble = UInt8(truncatingIfNeeded: value >> UInt64(shift) & 15)
            bytes.append(nibble < 10 ? 48 &+ nibble : 87 &+ nibble)
        }
    }
}
