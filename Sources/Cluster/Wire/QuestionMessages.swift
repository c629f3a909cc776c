// What an heir asks before it ends a transaction of a dead node's, and what the others answer: both are published, so
// that no question waits behind another on the repair socket, which takes one at a time.
//
//   message Question { fixed64 did = 1; uint64 number = 2; fixed64 digest = 3; }   // of the asker's record; 0 without
//   message Known    { fixed64 did = 1; uint64 number = 2; Member asker = 3; uint64 age_ms = 4; bytes record = 5;
//                      bool large = 6; }   // the record fits no frame: it is to be fetched, and asked for again
//
// An answer without a record says that the asker has all that the answerer has: its record has this digest, or there is
// none here. An answer may come once more, unasked, when the answerer knows more.

internal import Primitives

struct Question: Equatable {
    var did: UInt64 = 0
    var number: UInt64 = 0
    var digest: UInt64 = 0

    init(did: UInt64, number: UInt64, digest: UInt64) {
        self.did = did
        self.number = number
        self.digest = digest
    }

    func write(into writer: inout ByteWriter) {
        writer.putField(1, fixed: did)
        writer.putField(2, varint: number)
        writer.putField(3, fixed: digest)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: did = field.integer
            case 2: number = field.integer
            case 3: digest = field.integer
            default: break
            }
        }
    }
}

struct QuestionAnswer: Equatable {
    var did: UInt64 = 0
    var number: UInt64 = 0
    var asker = MemberID(name: "", boot: 0)
    var age: UInt64 = 0
    var record: Range<Int> = 0..<0
    var isLarge = false

    init(did: UInt64, number: UInt64, asker: MemberID) {
        self.did = did
        self.number = number
        self.asker = asker
    }

    init(to question: Question, from asker: MemberID) {
        self.init(did: question.did, number: question.number, asker: asker)
    }

    func write(into writer: inout ByteWriter, age: Int64 = 0, record: RawSpan? = nil) {
        writer.putField(1, fixed: did)
        writer.putField(2, varint: number)
        writer.putMember(3, asker)
        writer.putField(4, varint: UInt64(max(0, age)))
        if let record { writer.putField(5, span: record) }
        writer.putField(6, varint: isLarge ? 1 : 0)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: did = field.integer
            case 2: number = field.integer
            case 3: asker = try field.member(in: bytes)
            case 4: age = field.integer
            case 5: record = field.range
            case 6: isLarge = field.integer != 0
            default: break
            }
        }
        guard record.count <= RecordItem.recordLimit, age < 1 << 50 else {
            throw WireError(.tooLong, at: range.lowerBound)
        }
    }
}
