// ProtobufReader walks over the fields of one message in protobuf wire format, bounds-checked, without allocating.
//
//     field = tag varint (number << 3 | wire type), then 0 varint │ 1 eight bytes │ 2 length, bytes │ 5 four bytes
//
// Varints must be minimal; groups (3, 4) are refused. A message inside is a byte string until somebody walks over it,
// so depth costs nothing here.

internal import Primitives

/// One field: where it lies, and its value when it is a number.
struct WireField {
    var number: UInt32
    var wireType: UInt8
    /// Offset of the tag.
    var start: Int
    /// The bytes of a length-delimited field; for numbers the encoded number.
    var payload: Range<Int>
    /// The number of a varint or fixed field.
    var value: UInt64

    /// All of its bytes.
    var bytes: Range<Int> { start..<payload.upperBound }

    /// A number or a byte string whose tag, and number or length, have up to two bytes each, as nearly all do: they lie
    /// in one word. `nil` for any other, right or wrong, and near the end of the bytes.
    @inline(__always)
    static func plain(at start: Int, before end: Int, in bytes: borrowing RawSpan) -> WireField? {
        guard start &+ 8 <= bytes.byteCount else { return nil }
        let word = bytes.word(at: start)
        var (tag, next, count) = (word & 0xff, word >> 8, 1)
        if tag >= 0x80 {
            tag = tag & 0x7f | (next & 0xff) << 7
            next >>= 8
            count = 2
            // A second byte that says nothing, or is not the last.
            guard tag >= 0x80, tag < 1 << 14 else { return nil }
        }
        var value = next & 0xff
        let payload = start &+ count
        count &+= 1
        if value >= 0x80 {
            value = value & 0x7f | (next >> 1) & 0x7f80
            count &+= 1
            guard value >= 0x80, value < 1 << 14 else { return nil }
        }
        let (type, contents) = (UInt8(truncatingIfNeeded: tag & 7), start &+ count)
        guard tag > 7, contents <= end else { return nil }
        let number = UInt32(truncatingIfNeeded: tag >> 3)
        if type == ProtobufReader.varint {
            let range = payload..<contents
            return WireField(number: number, wireType: type, start: start, payload: range, value: value)
        }
        guard type == ProtobufReader.lengthDelimited, value <= UInt64(truncatingIfNeeded: end &- contents) else {
            return nil
        }
        let range = contents..<contents &+ Int(truncatingIfNeeded: value)
        return WireField(number: number, wireType: type, start: start, payload: range, value: 0)
    }
}

struct ProtobufReader {
    static let varint: UInt8 = 0
    static let fixed64: UInt8 = 1
    static let lengthDelimited: UInt8 = 2
    static let fixed32: UInt8 = 5

    private(set) var offset: Int
    let end: Int

    /// - Precondition: `range` lies inside of the spans that `next` is going to be given.
    init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    /// The next field, or `nil` at the end of the message.
    @inline(__always)
    mutating func next(in bytes: borrowing RawSpan) throws(RecordError) -> WireField? {
        guard offset < end else { return nil }
        if let field = WireField.plain(at: offset, before: end, in: bytes) {
            offset = field.payload.upperBound
            return field
        }
        return try nextOfAnyKind(in: bytes)
    }

    @inline(never)
    private mutating func nextOfAnyKind(in bytes: borrowing RawSpan) throws(RecordError) -> WireField {
        let start = offset
        let tag = try number(in: bytes)
        let field = tag >> 3
        guard field > 0, field < 1 << 29 else { throw .malformedTag }
        var result = WireField(
            number: UInt32(truncatingIfNeeded: field), wireType: UInt8(truncatingIfNeeded: tag & 7), start: start,
            payload: offset..<offset, value: 0)
        let payload = offset
        switch result.wireType {
        case Self.varint:
            result.value = try number(in: bytes)
        case Self.lengthDelimited:
            let count = try number(in: bytes)
            guard count <= UInt64(truncatingIfNeeded: end &- offset) else { throw .truncated }
            result.payload = offset..<offset &+ Int(truncatingIfNeeded: count)
            offset = result.payload.upperBound
            return result
        case Self.fixed64:
            guard end &- offset >= 8 else { throw .truncated }
            result.value = bytes.word(at: offset)
            offset &+= 8
        case Self.fixed32:
            guard end &- offset >= 4 else { throw .truncated }
            for index in 0..<4 { result.value |= UInt64(bytes[offset &+ index]) << UInt64(index &* 8) }
            offset &+= 4
        default:
            throw .malformedTag
        }
        result.payload = payload..<offset
        return result
    }

    /// The same of a canonical record, whose bytes the join has checked and written: there is nothing to be wrong with
    /// them, and so nothing to be told.
    @inline(__always)
    mutating func nextChecked(in bytes: borrowing RawSpan) -> WireField? { try? next(in: bytes) }

    @inline(__always)
    private mutating func number(in bytes: borrowing RawSpan) throws(RecordError) -> UInt64 {
        guard offset < end else { throw .truncated }
        let first = bytes[offset]
        offset &+= 1
        return first < 0x80 ? UInt64(first) : try longNumber(first, in: bytes)
    }

    private mutating func longNumber(_ first: UInt8, in bytes: borrowing RawSpan) throws(RecordError) -> UInt64 {
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while true {
            guard offset < end else { throw .truncated }
            let byte = bytes[offset]
            offset &+= 1
            guard shift < 63 || byte <= 1 else { throw .malformedVarint }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 {
                guard byte != 0 else { throw .malformedVarint }
                return value
            }
            shift &+= 7
        }
    }
}
