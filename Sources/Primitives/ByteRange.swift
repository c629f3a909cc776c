// ByteRange names a part of a buffer in eight bytes. Parsers hand out ranges instead of slices: they copy nothing, hold no
// reference, and stay valid for as long as the buffer they index is not changed.
//
// Limit: offsets up to 2 GiB; a message is at most 64 KiB and a record 16 KiB.

/// A half-open range of offsets into a byte buffer.
package struct ByteRange: Hashable, Sendable {
    package var start: Int32
    package var end: Int32

    /// - Precondition: `0 <= start <= end <= Int32.max`.
    @inlinable
    package init(start: Int, end: Int) {
        precondition(start >= 0 && start <= end, "a byte range must not be reversed: \(start)..<\(end)")
        self.start = Int32(start)
        self.end = Int32(end)
    }

    /// The whole of a buffer.
    package init(_ bytes: [UInt8]) {
        self.init(start: 0, end: bytes.count)
    }

    /// The range that stands for "absent".
    package static let empty = ByteRange(start: 0, end: 0)

    @inlinable package var count: Int { Int(end) - Int(start) }
    @inlinable package var isEmpty: Bool { start == end }
    @inlinable package var range: Range<Int> { Int(start)..<Int(end) }
}
