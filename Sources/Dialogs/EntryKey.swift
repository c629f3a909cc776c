// What tells the entries of a map of the record apart: field 1 of each, and of a pending its leg and CSeq.

internal import Primitives

struct EntryKey: Sendable {
    /// Where field 1 lies: a To-tag, a branch, a name.
    private(set) var name = ByteRange.empty
    /// Leg and CSeq of a pending.
    private(set) var number: UInt64 = 0

    init() {}

    init(_ name: ByteRange, number: UInt64) {
        self.name = name
        self.number = number
    }

    /// - Parameter isCanonical: Keys come first in canonical entries; what follows was checked when it was joined.
    @inline(__always)
    init(
        _ message: RecordMessage, _ entry: Range<Int>, isCanonical: Bool, in bytes: borrowing RawSpan
    ) throws(RecordError) {
        let key = PendingField.branch.rawValue  // As `OutField.toTag` and `StampedField.key`.
        let last = message == .pending ? PendingField.cseq.rawValue : key
        var reader = ProtobufReader(entry)
        var leg: UInt64 = 0
        var cseq: UInt64 = 0
        while let field = try reader.next(in: bytes) {
            if field.number == key {
                guard field.wireType == ProtobufReader.lengthDelimited else { throw .wrongWireType(field: key) }
                if bytes.extracting(name.range).compared(to: bytes.extracting(field.payload)) < 0 {
                    name = ByteRange(start: field.payload.lowerBound, end: field.payload.upperBound)
                }
            } else if field.number <= last {
                guard field.wireType == ProtobufReader.varint else { throw .wrongWireType(field: field.number) }
                guard field.value <= UInt64(UInt32.max) else { throw .outOfRange(field: field.number) }
                if field.number == PendingField.leg.rawValue {
                    leg = max(leg, field.value)
                } else {
                    cseq = max(cseq, field.value)
                }
            }
            if isCanonical, field.number >= last { break }
        }
        number = leg << 32 | cseq
    }

    func order(beside other: EntryKey, in bytes: borrowing RawSpan) -> Int {
        let names = bytes.extracting(name.range).compared(to: bytes.extracting(other.name.range))
        if names != 0 { return names }
        return number == other.number ? 0 : number < other.number ? -1 : 1
    }
}
