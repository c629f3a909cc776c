// Writing protobuf wire format at the end of a ByteWriter. A message is written in place behind one byte of length;
// when it turns out longer than 127 bytes, it is moved up by the byte or two that the length then needs. For records of
// less than a kilobyte that is cheaper than measuring first.

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
    /// - Returns: Where its contents begin, for `endMessage`.
    mutating func beginMessage(_ number: UInt32) -> Int {
        putTag(number, ProtobufReader.lengthDelimited)
        put(0 as UInt8)
        return count
    }

    mutating func endMessage(_ start: Int) {
        let length = count - start
        if length < 0x80 {
            bytes[start - 1] = UInt8(truncatingIfNeeded: length)
            return
        }
        bytes[start - 1] = UInt8(truncatingIfNeeded: length) | 0x80
        var rest = UInt64(length) >> 7
        var offset = start
        while true {
            let byte = UInt8(truncatingIfNeeded: rest) & 0x7f
            rest >>= 7
            bytes.insert(rest == 0 ? byte : byte | 0x80, at: offset)
            if rest == 0 { return }
            offset += 1
        }
    }
}
