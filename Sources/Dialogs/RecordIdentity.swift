// What the table reads of bytes before and after it joins them: whose facts they are, and what its fixed part mirrors.

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

/// What the table mirrors of a canonical record.
struct RecordSummary {
    private(set) var callID = ByteRange.empty
    private(set) var state = DialogState.unconfirmed
    /// Milliseconds since birth; `.max` without a deadline.
    private(set) var deadline = UInt64.max
    private(set) var hasPendings = false
    private(set) var flags: RecordFlags = []

    init(_ record: RawSpan) {
        var reader = ProtobufReader(0..<record.byteCount)
        while let field = try? reader.next(in: record), field.number <= RecordField.pendings.rawValue {
            switch field.number {
            case RecordField.callID.rawValue: callID = RecordView.bytes(field)
            case RecordField.state.rawValue:
                state = DialogState(rawValue: UInt8(truncatingIfNeeded: field.value)) ?? .unconfirmed
            case RecordField.deadline.rawValue:
                deadline = RecordView.deadline(record, RecordView.bytes(field)).atMilliseconds
            case RecordField.flags.rawValue: flags = RecordFlags(rawValue: field.value)
            case RecordField.pendings.rawValue:
                hasPendings = true
                return
            default: break
            }
        }
    }
}
