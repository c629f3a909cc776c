// What OrderedJoin reads and writes with: a cursor over the fields of a message, a run of neighbours that are copied at
// once, and protobuf's wire format put into the room that was made for the whole result.

internal import Primitives

/// Goes over the fields of a message, and stops before one that cannot be read.
struct FieldCursor {
    /// The number past the last field: above that of any.
    static let end = UInt32.max

    private let messageEnd: Int
    private var field: WireField
    private(set) var isBroken = false

    @inline(__always)
    init(_ range: Range<Int>) {
        let start = range.lowerBound..<range.lowerBound
        field = WireField(number: 0, wireType: 0, start: range.lowerBound, payload: start, value: 0)
        messageEnd = range.upperBound
    }

    var number: UInt32 { field.number }
    var wireType: UInt8 { field.wireType }
    var value: UInt64 { field.value }
    var payload: Range<Int> { field.payload }
    /// All of the field.
    var bytes: Range<Int> { field.bytes }

    /// Goes to the next field.
    @inline(__always)
    mutating func advance(in bytes: borrowing RawSpan) {
        let start = field.payload.upperBound
        guard start < messageEnd else {
            field.number = Self.end
            return
        }
        if let next = WireField.plain(at: start, before: messageEnd, in: bytes) {
            field = next
        } else {
            advanceSlowly(in: bytes)
        }
    }

    @inline(never)
    private mutating func advanceSlowly(in bytes: borrowing RawSpan) {
        var reader = ProtobufReader(field.payload.upperBound..<messageEnd)
        if let next = reader.nextChecked(in: bytes) {
            field = next
        } else {
            (field.number, isBroken) = (Self.end, true)
        }
    }
}

/// Neighbours in the input that are to be copied as they are.
struct FieldRun {
    private var range = 0..<0

    @inline(__always)
    mutating func add(_ next: Range<Int>, of bytes: RawSpan, into out: inout OutputSpan<UInt8>) {
        if range.upperBound == next.lowerBound, !range.isEmpty {
            range = range.lowerBound..<next.upperBound
            return
        }
        flush(bytes, into: &out)
        range = next
    }

    mutating func flush(_ bytes: RawSpan, into out: inout OutputSpan<UInt8>) {
        guard !range.isEmpty else { return }
        out.append(bytes.extracting(range))
        range = 0..<0
    }
}

extension OutputSpan<UInt8> {
    mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func putField(_ number: UInt32, varint value: UInt64) {
        putVarint(UInt64(number) << 3 | UInt64(ProtobufReader.varint))
        putVarint(value)
    }

    /// Begins a length-delimited field that is expected to have about so many bytes.
    /// - Returns: Where its contents begin, for `endMessage`.
    mutating func beginMessage(_ number: UInt32, expecting size: Int) -> Int {
        putVarint(UInt64(number) << 3 | UInt64(ProtobufReader.lengthDelimited))
        for _ in 0..<ByteWriter.lengthSize(of: size) { append(0) }
        return count
    }

    /// Writes the length of a message, and moves it where that has another size than was expected.
    mutating func endMessage(_ start: Int, expected size: Int) {
        let length = count - start
        let (room, needed) = (ByteWriter.lengthSize(of: size), ByteWriter.lengthSize(of: length))
        let first = start - room
        if needed > room {
            for _ in room..<needed { append(0) }
            var bytes = mutableSpan
            for offset in (0..<length).reversed() { bytes[first + needed + offset] = bytes[start + offset] }
        } else if needed < room {
            var bytes = mutableSpan
            for offset in 0..<length { bytes[first + needed + offset] = bytes[start + offset] }
            removeLast(room - needed)
        }
        var bytes = mutableSpan
        var rest = UInt64(length)
        for offset in first..<first + needed {
            let isLast = offset == first + needed - 1
            bytes[offset] = UInt8(truncatingIfNeeded: rest) & 0x7f | (isLast ? 0 : 0x80)
            rest >>= 7
        }
    }
}
