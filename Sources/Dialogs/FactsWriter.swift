// FactsWriter writes what was learned of a dialog: a patch, or a whole record for a put. Fields and map entries may
// come in any order and more than once; the join makes them canonical.
//
//     facts.begin()
//     facts.put(RecordField.state, 2)
//     facts.message(RecordField.outs) { out in
//         out.put(OutField.toTag, bytes, toTag)
//         out.put(OutField.state, 2)
//     }
//
// A fact about a pending names branch, leg and cseq (see RecordFields). The buffer keeps its memory from patch to
// patch.

public import Primitives

public struct FactsWriter: Sendable {
    /// The patch so far.
    public private(set) var writer: ByteWriter

    public init(capacity: Int = 512) {
        writer = ByteWriter(capacity: capacity)
    }

    public var bytes: [UInt8] { writer.bytes }
    public var isEmpty: Bool { writer.isEmpty }

    /// Starts the next patch.
    public mutating func begin() {
        writer.removeAll()
    }

    public mutating func put<F: RawRepresentable<UInt32>>(_ field: F, _ value: UInt64) {
        writer.putField(field.rawValue, varint: value)
    }

    /// Writes a fixed64, which only `HomeField.boot` is.
    public mutating func putFixed<F: RawRepresentable<UInt32>>(_ field: F, _ value: UInt64) {
        writer.putField(field.rawValue, fixed: value, byteCount: 8)
    }

    public mutating func put<F: RawRepresentable<UInt32>>(_ field: F, _ bytes: [UInt8]) {
        writer.putField(field.rawValue, bytes: RawSpan(_elements: bytes.span))
    }

    public mutating func put<F: RawRepresentable<UInt32>>(_ field: F, _ bytes: [UInt8], _ range: ByteRange) {
        writer.putField(field.rawValue, bytes: RawSpan(_elements: bytes.span).extracting(range.range))
    }

    /// Writes the bytes that `fill` appends; it must not touch what was there before.
    public mutating func put<F: RawRepresentable<UInt32>>(_ field: F, _ fill: (inout ByteWriter) -> Void) {
        let start = writer.beginMessage(field.rawValue)
        fill(&writer)
        writer.endMessage(start)
    }

    public mutating func message<F: RawRepresentable<UInt32>>(_ field: F, _ body: (inout FactsWriter) -> Void) {
        let start = writer.beginMessage(field.rawValue)
        body(&self)
        writer.endMessage(start)
    }
}
