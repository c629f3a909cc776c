// What the table reads of bytes before and after it joins them: whose facts they are, and what its fixed part mirrors;
// and what it finds a dialog by.

internal import Primitives

/// Call-ID and From-tag of facts that were not joined yet; empty when they do not say.
struct RecordIdentity {
    private(set) var callID = ByteRange.empty
    private(set) var fromTag = ByteRange.empty
    private(set) var home = ByteRange.empty
    private(set) var deadline = ByteRange.empty
    /// They say something of profiles.
    private(set) var hasLinks = false

    init(_ facts: RawSpan) throws(RecordError) {
        var reader = ProtobufReader(0..<facts.byteCount)
        while let field = try reader.next(in: facts) {
            switch field.number {
            case RecordField.callID.rawValue: callID = RecordView.bytes(field)
            case RecordField.fromTag.rawValue: fromTag = RecordView.bytes(field)
            case RecordField.home.rawValue: home = RecordView.bytes(field)
            case RecordField.deadline.rawValue: deadline = RecordView.bytes(field)
            case RecordField.profiles.rawValue: hasLinks = true
            default: break
            }
        }
    }

    /// Whether what the facts say of Call-ID and From-tag is what a stored record holds.
    func agrees(with record: [UInt8], _ range: ByteRange, _ facts: RawSpan) throws(RecordError) -> Bool {
        if callID.isEmpty && fromTag.isEmpty { return true }
        let bytes = RawSpan(_elements: record.span)
        var reader = ProtobufReader(range.range)
        while let field = try reader.next(in: bytes), field.number <= RecordField.fromTag.rawValue {
            let mine = field.number == RecordField.callID.rawValue ? callID : fromTag
            if !mine.isEmpty, facts.extracting(mine.range).compared(to: bytes.extracting(field.payload)) != 0 {
                return false
            }
        }
        return true
    }
}

extension RecordView {
    /// When the time of a canonical record is up, milliseconds since birth; `.max` without a deadline.
    static func deadlineMilliseconds(_ record: RawSpan) -> UInt64 {
        var reader = ProtobufReader(0..<record.byteCount)
        while let field = reader.nextChecked(in: record), field.number <= RecordField.deadline.rawValue {
            if field.number == RecordField.deadline.rawValue { return deadline(record, bytes(field)).atMilliseconds }
        }
        return .max
    }
}

/// What a canonical record is found by: Call-ID and From-tag, then, one by one, the To-tags of its dialog-outs.
struct RecordNames {
    private(set) var callID = ByteRange.empty
    private(set) var fromTag = ByteRange.empty
    private var reader: ProtobufReader

    init(_ bytes: borrowing RawSpan, _ range: ByteRange) {
        reader = ProtobufReader(range.range)
        var ahead = reader
        while let field = ahead.nextChecked(in: bytes), field.number <= RecordField.fromTag.rawValue {
            if field.number == RecordField.callID.rawValue {
                callID = RecordView.bytes(field)
            } else {
                fromTag = RecordView.bytes(field)
            }
            reader = ahead
        }
    }

    /// - Returns: Empty for the null tag; `nil` at the end.
    mutating func nextToTag(_ bytes: borrowing RawSpan) -> ByteRange? {
        while let field = reader.nextChecked(in: bytes), field.number <= RecordField.outs.rawValue {
            guard field.number == RecordField.outs.rawValue else { continue }
            var inner = ProtobufReader(field.payload)
            guard let tag = inner.nextChecked(in: bytes), tag.number == OutField.toTag.rawValue else { return .empty }
            return RecordView.bytes(tag)
        }
        return nil
    }
}
