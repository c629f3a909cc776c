// Asking and answering (R1), published to all: an answer is also news for those who did not ask.
//
//   message Intent { fixed64 did = 1; uint32 generation = 2; uint64 deadline_ms = 3; bytes payload = 4; }
//   message Answer { fixed64 did = 1; uint32 generation = 2; uint64 deadline_ms = 3; bytes asker = 4; fixed64
//   asker_boot = 5;
//                    uint64 age_ms = 6; bytes record = 7; }   // a refusal carries the record as it stands; a grant
//                    does not

internal import Primitives

extension Intent {
    /// What fits a frame.
    static let payloadLimit = 30_720

    func write(into writer: inout ByteWriter) {
        writer.putField(1, fixed: did)
        writer.putField(2, varint: UInt64(generation))
        writer.putField(3, varint: deadlineMilliseconds)
        writer.putField(4, bytes: payload)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        self.init(did: 0, generation: 0, deadlineMilliseconds: 0, payload: [])
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: did = field.integer
            case 2: generation = UInt32(truncatingIfNeeded: field.integer)
            case 3: deadlineMilliseconds = field.integer
            case 4:
                guard field.range.count <= Self.payloadLimit else { throw WireError(.tooLong, at: range.lowerBound) }
                payload = Array(bytes[field.range])
            default: break
            }
        }
    }
}

struct IntentAnswer: Equatable {
    var did: UInt64 = 0
    var generation: UInt32 = 0
    var deadlineMilliseconds: UInt64 = 0
    var asker = MemberID(name: "", boot: 0)
    var age: UInt64 = 0
    var record: Range<Int> = 0..<0

    init(to intent: Intent, from asker: MemberID) {
        did = intent.did
        generation = intent.generation
        deadlineMilliseconds = intent.deadlineMilliseconds
        self.asker = asker
    }

    func write(into writer: inout ByteWriter, age: Int64 = 0, record: RawSpan? = nil) {
        writer.putField(1, fixed: did)
        writer.putField(2, varint: UInt64(generation))
        writer.putField(3, varint: deadlineMilliseconds)
        writer.putField(4, text: asker.name)
        writer.putField(5, fixed: asker.boot)
        writer.putField(6, varint: UInt64(max(0, age)))
        if let record { writer.putField(7, span: record) }
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: did = field.integer
            case 2: generation = UInt32(truncatingIfNeeded: field.integer)
            case 3: deadlineMilliseconds = field.integer
            case 4: asker.name = try field.text(in: bytes)
            case 5: asker.boot = field.integer
            case 6: age = field.integer
            case 7: record = field.range
            default: break
            }
        }
        guard record.count <= RecordItem.recordLimit, age < 1 << 50 else {
            throw WireError(.tooLong, at: range.lowerBound)
        }
    }
}
