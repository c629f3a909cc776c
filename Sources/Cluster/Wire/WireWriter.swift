// Writing entries: protobuf's wire format (varint, fixed64, length-delimited), default values left out.
//
// Submessages need their length in front. It is written as a varint of fixed two or four bytes, patched afterwards:
// protobuf readers accept padded varints, and nothing is built twice. Names on the wire are UTF-8.

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

    package mutating func putBigEndian(_ value: UInt64) {
        put(8, of: value.byteSwapped)
    }

    mutating func putBigEndian(_ value: UInt16) {
        put(2, of: UInt64(value.byteSwapped))
    }

    mutating func putField(_ number: UInt64, varint value: UInt64) {
        guard value != 0 else { return }
        putVarint(number << 3)
        putVarint(value)
    }

    mutating func putField(_ number: UInt64, fixed value: UInt64) {
        guard value != 0 else { return }
        putVarint(number << 3 | 1)
        put(8, of: value)
    }

    mutating func putField(_ number: UInt64, bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        putVarint(number << 3 | 2)
        putVarint(UInt64(bytes.count))
        put(bytes)
    }

    mutating func putField(_ number: UInt64, span: RawSpan) {
        guard span.byteCount > 0 else { return }
        putVarint(number << 3 | 2)
        putVarint(UInt64(span.byteCount))
        put(span)
    }

    mutating func putField(_ number: UInt64, text: String) {
        let utf8 = text.utf8
        guard !utf8.isEmpty else { return }
        putVarint(number << 3 | 2)
        putVarint(UInt64(utf8.count))
        put(text: text)
    }

    /// A submessage, written even when it is empty.
    mutating func putField(_ number: UInt64, message body: (inout ByteWriter) -> Void) {
        putVarint(number << 3 | 2)
        putLengthDelimited(body)
    }

    /// The length of what `body` writes, then it. At most 256 MiB.
    mutating func putLengthDelimited(_ body: (inout ByteWriter) -> Void) {
        let at = count
        put(4, of: 0)
        body(&self)
        let length = UInt32(truncatingIfNeeded: count - at - 4)
        for index in 0..<4 {
            let continued: UInt8 = index < 3 ? 0x80 : 0
            bytes[at + index] = UInt8(truncatingIfNeeded: length >> UInt32(7 * index)) & 0x7f | continued
        }
    }

    mutating func putMember(_ number: UInt64, _ member: MemberID) {
        putField(number) { writer in
            writer.putField(1, text: member.name)
            writer.putField(2, fixed: member.boot)
        }
    }
}
