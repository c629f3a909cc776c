// Writing protobuf wire format at the end of a ByteWriter. A message is written in place behind as many bytes of length
// as it is expected to need, one where nothing is known; when it turns out otherwise, it is moved by the byte or two
// that the length then needs. For records of less than a kilobyte that is cheaper than measuring first.

internal import Primitives

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
        putVarint(UInt64(number) << 3 | UInt64(wireType))
    }

    mutating func putField(_ number: UInt32, varint value: UInt64) {
        putTag(number, ProtobufReader.varint)
        putVarint(value)
    }

    mutating func putField(_ number: UInt32, fixed value: UInt64, byteCount: Int) {
        putTag(number, byteCount == 8 ? ProtobufReader.fixed64 : ProtobufReader.fixed32)
        for index in 0..<byteCount { put(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
    }

    mutating func putField(_ number: UInt32, bytes span: RawSpan) {
        putTag(number, ProtobufReader.lengthDelimited)
        putVarint(UInt64(span.byteCount))
        put(span)
    }

    /// Begins a length-delimited field whose length is not known yet.
    /// - Parameter size: About how many bytes are to be expected.
    /// - Returns: Where its contents begin, for `endMessage`.
    mutating func beginMessage(_ number: UInt32, expecting size: Int = 0) -> Int {
        putTag(number, ProtobufReader.lengthDelimited)
        for _ in 0..<Self.lengthSize(of: size) { put(0 as UInt8) }
        return count
    }

    /// - Parameter size: As `beginMessage` was told.
    mutating func endMessage(_ start: Int, expected size: Int = 0) {
        let length = count - start
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
    private static func lengthSize(of length: Int) -> Int {
        length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4
    }
}
