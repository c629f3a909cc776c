// Writing protobuf wire format at the end of a ByteWriter. A message is written in place behind as many bytes of length
// as it is expected to need, one where nothing is known; when it turns out otherwise, it is moved by the byte or two
// that the length then needs. For records of less than a kilobyte that is cheaper than measuring first.

public import Primitives

extension ByteWriter {
    mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            put(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        put(UInt8(truncatingIfNeeded: rest))
    }

    mutating func putTag(_ number: UInt32, _ wireType: UInt8) {
        putVarint(Self.tag(number, wireType))
    }

    @usableFromInline
    mutating func putField(_ number: UInt32, varint value: UInt64) {
        put(Self.tag(number, ProtobufReader.varint), value)
    }

    private static func tag(_ number: UInt32, _ wireType: UInt8) -> UInt64 {
        UInt64(number) << 3 | UInt64(wireType)
    }

    /// A tag and a number behind it: one step where both fit a word, as they nearly always do.
    private mutating func put(_ tag: UInt64, _ value: UInt64) {
        guard tag < 1 << 14, value < 1 << 42 else {
            putVarint(tag)
            return putVarint(value)
        }
        let both = Self.varints(tag, value)
        put(both.count, of: both.word)
    }

    /// Two varints of eight bytes together at most.
    private static func varints(_ tag: UInt64, _ value: UInt64) -> (word: UInt64, count: Int) {
        let (first, second) = (varint(tag), varint(value))
        let word = first.word | second.word << UInt64(truncatingIfNeeded: first.count &* 8)
        return (word, first.count &+ second.count)
    }

    /// The varint of a number below 2⁵⁶, its first byte in the lowest one.
    private static func varint(_ value: UInt64) -> (word: UInt64, count: Int) {
        var (rest, word, shift) = (value, UInt64(0), UInt64(0))
        while rest >= 0x80 {
            word |= (rest & 0x7f | 0x80) &<< shift
            rest >>= 7
            shift &+= 8
        }
        return (word | rest &<< shift, Int(truncatingIfNeeded: shift >> 3) &+ 1)
    }

    @usableFromInline
    mutating func putField(_ number: UInt32, fixed value: UInt64, byteCount: Int) {
        putTag(number, byteCount == 8 ? ProtobufReader.fixed64 : ProtobufReader.fixed32)
        put(byteCount, of: value)
    }

    @usableFromInline
    mutating func putField(_ number: UInt32, bytes span: RawSpan) {
        let (tag, length) = (Self.tag(number, ProtobufReader.lengthDelimited), span.byteCount)
        guard tag < 1 << 14, length < 1 << 42 else {
            put(tag, UInt64(truncatingIfNeeded: length))
            return put(span)
        }
        let head = Self.varints(tag, UInt64(truncatingIfNeeded: length))
        put(atMost: 8 + length) { out in
            out.append(head.count, of: head.word)
            out.append(span)
        }
    }

    /// Begins a length-delimited field whose length is not known yet.
    /// - Parameter size: About how many bytes are to be expected.
    /// - Returns: Where its contents begin, for `endMessage`.
    @usableFromInline
    mutating func beginMessage(_ number: UInt32, expecting size: Int = 0) -> Int {
        // A tag has five bytes at most, a length three.
        let tag = Self.varint(Self.tag(number, ProtobufReader.lengthDelimited))
        put(tag.count + Self.lengthSize(of: size), of: tag.word)
        return count
    }

    /// - Parameter size: As `beginMessage` was told.
    @usableFromInline
    mutating func endMessage(_ start: Int, expected size: Int = 0) {
        let length = count - start
        if size < 0x80, length < 0x80 {
            bytes[start - 1] = UInt8(truncatingIfNeeded: length)
            return
        }
        let (room, needed) = (Self.lengthSize(of: size), Self.lengthSize(of: length))
        if needed > room {
            bytes.insert(contentsOf: repeatElement(0, count: needed - room), at: start)
        } else if needed < room {
            bytes.removeSubrange(start - (room - needed)..<start)
        }
        var rest = UInt64(length)
        let first = start - room
        for offset in first..<first + needed {
            let isLast = offset == first + needed - 1
            bytes[offset] = UInt8(truncatingIfNeeded: rest) & 0x7f | (isLast ? 0 : 0x80)
            rest >>= 7
        }
    }

    /// Bytes of the varint of a length.
    static func lengthSize(of length: Int) -> Int {
        length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4
    }
}
