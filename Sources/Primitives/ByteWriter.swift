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
        bytes.reserveCapacity(capacity)
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
        bytes.append(contentsOf: other)
    }

    @inlinable
    public mutating func put(_ other: [UInt8], _ range: ByteRange) {
        bytes.append(RawSpan(_elements: other.span).extracting(range.range))
    }

    @inlinable
    public mutating func put(text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes a number in decimal, without leading zeros.
    @inlinable
    public mutating func putDecimal(_ value: UInt64) {
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
    @inlinable
    public mutating func putHex(_ value: UInt64, digits: Int) {
        var shift = digits * 4
        while shift > 0 {
            shift -= 4
            let nibble = UInt8(truncatingIfNeeded: value >> UInt64(shift) & 15)
            bytes.append(nibble < 10 ? 48 &+ nibble : 87 &+ nibble)
        }
    }
}
