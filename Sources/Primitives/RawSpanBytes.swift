// The one file of the core that says `unsafe`: reading bytes and little-endian words from a RawSpan, copying a RawSpan
// into an array, and looking into a StaticString. The standard library of Swift 6.3 has no checked spelling for these.
// The way from an array to a span is `RawSpan(_elements: array.span)`: `Span.bytes` counts as unsafe in 6.3.
//
// Why they are safe: every load goes through the span's own bounds check (never the `unchecked` variant), the types
// loaded are plain integers, and no pointer leaves its closure. A bad offset stops the program; it cannot read past the
// span.

extension RawSpan {
    /// The byte at `offset`; traps outside of the span.
    @inlinable
    public subscript(offset: Int) -> UInt8 {
        @inline(__always) get { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    }

    /// The eight bytes from `offset` as a little-endian word; traps outside of the span.
    @inlinable
    public func word(at offset: Int) -> UInt64 {
        UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Compares two spans as byte strings: negative, zero or positive like C's `memcmp`, a prefix sorting first.
    @inlinable
    public func compared(to other: RawSpan) -> Int {
        let shared = min(byteCount, other.byteCount)
        var offset = 0
        while offset &+ 8 <= shared {
            let (left, right) = (word(at: offset), other.word(at: offset))
            if left != right { return left.byteSwapped < right.byteSwapped ? -1 : 1 }
            offset &+= 8
        }
        while offset < shared {
            let (left, right) = (self[offset], other[offset])
            if left != right { return left < right ? -1 : 1 }
            offset &+= 1
        }
        return byteCount - other.byteCount
    }
}

extension [UInt8] {
    /// Appends a copy of the span's bytes.
    @inlinable
    public mutating func append(_ span: RawSpan) {
        let count = span.byteCount
        append(addingCapacity: count) { output in
            unsafe output.withUnsafeMutableBufferPointer { target, initialized in
                unsafe span.withUnsafeBytes {
                    unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: $0)
                }
                initialized = count
            }
        }
    }

    /// Appends the text of a literal.
    @inlinable
    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe append(contentsOf: $0) }
    }

    /// Appends the bytes of a word, the lowest first, but for the first few of them.
    @inlinable
    public mutating func append(word: UInt64, skipping: Int = 0) {
        append(8 &- skipping, of: skipping == 0 ? word : word >> UInt64(truncatingIfNeeded: skipping &* 8))
    }

    /// Appends the lowest bytes of a word, the lowest first.
    ///
    /// - Precondition: `count` is 0 to 8.
    @inlinable
    public mutating func append(_ count: Int, of word: UInt64) {
        precondition(count >= 0 && count <= 8, "a word has eight bytes: \(count)")
        append(addingCapacity: 8) { output in
            unsafe output.withUnsafeMutableBufferPointer { target, initialized in
                unsafe UnsafeMutableRawBufferPointer(target).storeBytes(of: word.littleEndian, as: UInt64.self)
                initialized = count
            }
        }
    }

    /// Overwrites the bytes from `offset` with a copy of `source`; traps when they do not all fit.
    @inlinable
    public mutating func overwrite(at offset: Int, with source: RawSpan) {
        precondition(offset >= 0 && offset <= count - source.byteCount, "an overwrite must stay inside of the array")
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes {
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: $0)
            }
        }
    }

    /// A new array with a copy of the span's bytes.
    public init(copying span: RawSpan) {
        self = []
        append(span)
    }

    /// A new array with the text of a literal.
    public init(copying text: StaticString) {
        self = []
        append(text)
    }
}

extension OutputSpan<UInt8> {
    /// Appends a copy of the span's bytes; traps when they do not all fit.
    @inlinable
    public mutating func append(_ span: RawSpan) {
        precondition(span.byteCount <= freeCapacity, "there must be room for what is appended: \(span.byteCount)")
        unsafe withUnsafeMutableBufferPointer { target, initialized in
            unsafe span.withUnsafeBytes {
                unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[initialized...])
                    .copyMemory(from: $0)
            }
            initialized &+= span.byteCount
        }
    }

    /// Appends the lowest bytes of a word, the lowest first; traps where there is no room for a whole word.
    ///
    /// - Precondition: `count` is 0 to 8.
    @inlinable
    public mutating func append(_ count: Int, of word: UInt64) {
        precondition(count >= 0 && count <= 8 && freeCapacity >= 8, "a word needs eight bytes of room: \(count)")
        unsafe withUnsafeMutableBufferPointer { target, initialized in
            unsafe UnsafeMutableRawBufferPointer(target).storeBytes(
                of: word.littleEndian, toByteOffset: initialized, as: UInt64.self)
            initialized &+= count
        }
    }

    /// Appends the text of a literal; traps when it does not fit.
    @inlinable
    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { text in
            precondition(text.count <= freeCapacity, "there must be room for what is appended: \(text.count)")
            unsafe withUnsafeMutableBufferPointer { target, initialized in
                unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[initialized...])
                    .copyMemory(from: UnsafeRawBufferPointer(text))
                initialized &+= text.count
            }
        }
    }
}

extension StaticString {
    /// Whether `test` holds for each pair of a byte of `bytes[range]` and a byte of this literal, and the lengths
    /// agree.
    public func matches(_ bytes: [UInt8], _ range: ByteRange, by test: (UInt8, UInt8) -> Bool) -> Bool {
        guard range.count == utf8CodeUnitCount else { return false }
        return withUTF8Buffer { literal in
            for index in 0..<literal.count {
                guard test(bytes[Int(range.start) + index], unsafe literal[index]) else { return false }
            }
            return true
        }
    }
}
