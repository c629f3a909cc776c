// A record, or part of one, on its way: the payload of put, patch and item.
//
//   message Item {
//     fixed64 did = 1;
//     uint64  age_ms = 2;     // of the dialog, made when it was sent; a put's, never a patch's
//     bytes   record = 3;     // opaque; left out: "no longer known", or sent earlier in the same message
//     uint64  sequence = 4;   // in the stream asked about or pushed; left out in a put and a patch, which follow the
//     header
//   }
//
// The record's bytes stay where they are in the frame: only their range is read.

internal import Primitives

struct RecordItem {
    var did: UInt64 = 0
    var age: UInt64 = 0
    var record: Range<Int> = 0..<0
    var sequence: UInt64 = 0

    /// A record that does not fit a frame goes by the repair socket.
    static let recordLimit = 90_112

    init() {}

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: did = field.integer
            case 2: age = field.integer
            case 3: record = field.range
            case 4: sequence = field.integer
            default: break
            }
        }
        guard record.count <= Self.recordLimit else { throw WireError(.tooLong, at: record.lowerBound) }
        guard sequence < 1 << 62, age < 1 << 50 else { throw WireError(.badNumber, at: range.lowerBound) }
    }

    /// Writes the payload's fields; `record` may be empty.
    static func write(
        did: UInt64, age: Int64, record: RawSpan, sequence: UInt64 = 0, into writer: inout ByteWriter
    ) {
        writer.putField(1, fixed: did)
        writer.putField(2, varint: UInt64(max(0, age)))
        writer.putField(3, span: record)
        writer.putField(4, varint: sequence)
    }
}
