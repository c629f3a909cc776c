// ByteRange names a part of a buffer in eight bytes. Parsers hand out ranges instead of slices: they copy nothing, hold
// no reference, and stay valid for as long as the buffer they index is not changed.
//
// Primitives and Dialogs say `public` where the rest of the package says `package`: Swift 6.3 neither inlines nor
// specialises `package` code across modules (measured: not even `@inlinable`), and these are the types that every inner
// loop touches. A patch to a record cost twice as much, a look-up three times.
//
// Limit: offsets up to 2 GiB; a message is at most 64 KiB and a record 88 KiB.

/// A half-open range of offsets into a byte buffer.
public struct ByteRange: Hashable, Sendable {
    public var start: Int32
    public var end: Int32

    /// - Precondition: `0 <= start <= end <= Int32.max`.
    @inlinable
    public init(start: Int, end: Int) {
        precondition(start >= 0 && start <= end, "a byte range must not be reversed: \(start)..<\(end)")
        self.start = Int32(start)
        self.end = Int32(end)
    }

    /// The whole of a buffer.
    public init(_ bytes: [UInt8]) {
        self.init(start: 0, end: bytes.count)
    }

    /// The range that stands for "absent".
    public static let empty = ByteRange(start: 0, end: 0)

    @inlinable public var count: Int { Int(end) - Int(start) }
    @inlinable public var isEmpty: Bool { start == end }
    @inlinable public var range: Range<Int> { Int(start)..<Int(end) }
}
