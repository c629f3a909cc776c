// FactsWriter writes what was learned of a dialog: a patch, or a whole record for a put. Fields and map entries may
// come in any order and more than once; the join makes them canonical.
//
//     facts.begin()
//     facts.reach(.confirmedNotAcknowledged)
//     facts.out(bytes, toTag) { out in
//         out.reach(.confirmedNotAcknowledged)
//     }
//
// Which message of the record is being written is part of the writer's type, so that no field ends up where the join
// reads another one. The verbs are in `Facts`; `put` and `message` are what they are made of.

public import Primitives

/// Writes a record, or a patch to one.
public typealias FactsWriter = FieldWriter<RecordField>

public struct FieldWriter<Field: RawRepresentable<UInt32>>: Sendable {
    /// The patch so far.
    @usableFromInline var writer: ByteWriter

    @inlinable
    public init(capacity: Int = 0) {
        writer = ByteWriter(capacity: capacity)
    }

    @inlinable public var bytes: [UInt8] { writer.bytes }
    @inlinable public var isEmpty: Bool { writer.isEmpty }

    /// Starts the next patch; the buffer keeps its memory.
    @inlinable
    public mutating func begin() {
        writer.removeAll()
    }

    @inlinable
    public mutating func put(_ field: Field, _ value: UInt64) {
        writer.putField(field.rawValue, varint: value)
    }

    /// Writes a fixed64, which only `HomeField.boot` is.
    @inlinable
    public mutating func putFixed(_ field: Field, _ value: UInt64) {
        writer.putField(field.rawValue, fixed: value, byteCount: 8)
    }

    @inlinable
    public mutating func put(_ field: Field, _ bytes: [UInt8]) {
        writer.putField(field.rawValue, bytes: RawSpan(_elements: bytes.span))
    }

    @inlinable
    public mutating func put(_ field: Field, _ bytes: [UInt8], _ range: ByteRange) {
        writer.putField(field.rawValue, bytes: RawSpan(_elements: bytes.span).extracting(range.range))
    }

    /// Writes the bytes that `fill` appends; it must not touch what was there before.
    @inlinable
    public mutating func put(_ field: Field, _ fill: (inout ByteWriter) -> Void) {
        let start = writer.beginMessage(field.rawValue)
        fill(&writer)
        writer.endMessage(start)
    }

    /// Writes a message inside of this one. The buffer moves into its writer and back: nothing is copied.
    @inlinable
    public mutating func message<Inner>(_ field: Field, _ body: (inout FieldWriter<Inner>) -> Void) {
        let start = writer.beginMessage(field.rawValue)
        var inner = FieldWriter<Inner>()
        swap(&inner.writer, &writer)
        body(&inner)
        swap(&inner.writer, &writer)
        writer.endMessage(start)
    }
}
