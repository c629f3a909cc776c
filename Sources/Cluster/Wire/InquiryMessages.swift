// What an operator asks of a member through another goes over the repair socket, beside what the nodes ask themselves.
//
//   message Inquiry     { uint64 number = 1; fixed64 boot = 2; uint64 offset = 3; bytes text = 4; bytes code = 5; }
//   message InquiryPart { uint64 number = 1; uint32 state = 2; uint64 total = 3; uint64 offset = 4; bytes part = 5;
//                         bytes code = 6; }
//
// The text is opaque here. `number` grows with each inquiry of an asker's boot, `boot` is the answerer's, a `code` is a
// message authentication code (`Authenticator`). An answer is fetched part by part: the same inquiry is sent again with
// the offset that is wanted next. State: 1 being worked on, 2 a part, 3 refused, 4 the answer is too long.
//
// A reader of an older version skips both kinds: its reply has no part, by which the asker knows.

internal import Primitives

struct InquiryMessage: Equatable {
    var number: UInt64 = 0
    var boot: UInt64 = 0
    var offset: UInt64 = 0
    var text: [UInt8] = []
    var code: [UInt8] = []

    /// Bytes of a text: a list of bucket numbers is the longest that is asked.
    static let textLimit = 16_384
    static let codeLimit = 64

    init() {}

    func write(into writer: inout ByteWriter) {
        writer.putField(1, varint: number)
        writer.putField(2, fixed: boot)
        writer.putField(3, varint: offset)
        writer.putField(4, bytes: text)
        writer.putField(5, bytes: code)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: number = field.integer
            case 2: boot = field.integer
            case 3: offset = field.integer
            case 4:
                guard field.range.count <= Self.textLimit else { throw WireError(.tooLong, at: range.lowerBound) }
                text = Array(bytes[field.range])
            case 5:
                guard field.range.count <= Self.codeLimit else { throw WireError(.tooLong, at: range.lowerBound) }
                code = Array(bytes[field.range])
            default: break
            }
        }
        guard number < 1 << 62, offset < 1 << 40 else { throw WireError(.badNumber, at: range.lowerBound) }
    }
}

struct InquiryPart: Equatable {
    enum State: UInt8 { case pending = 1, part, refused, tooLong }

    var number: UInt64 = 0
    var state = State.refused
    var total: UInt64 = 0
    var offset: UInt64 = 0
    var part: Range<Int> = 0..<0
    var code: [UInt8] = []

    /// Bytes of an answer in one reply.
    static let sizeLimit = 65_536

    init(number: UInt64, state: State) {
        self.number = number
        self.state = state
    }

    func write(_ bytes: ArraySlice<UInt8>, into writer: inout ByteWriter) {
        writer.putField(1, varint: number)
        writer.putField(2, varint: UInt64(state.rawValue))
        writer.putField(3, varint: total)
        writer.putField(4, varint: offset)
        writer.putField(5, bytes: Array(bytes))
        writer.putField(6, bytes: code)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: number = field.integer
            // What a later version may say otherwise is no answer to this one.
            case 2: state = State(rawValue: UInt8(truncatingIfNeeded: field.integer)) ?? .refused
            case 3: total = field.integer
            case 4: offset = field.integer
            case 5: part = field.range
            case 6:
                guard field.range.count <= InquiryMessage.codeLimit else {
                    throw WireError(.tooLong, at: range.lowerBound)
                }
                code = Array(bytes[field.range])
            default: break
            }
        }
        guard part.count <= Self.sizeLimit else { throw WireError(.tooLong, at: part.lowerBound) }
        guard number < 1 << 62, total < 1 << 40, offset < 1 << 40 else {
            throw WireError(.badNumber, at: range.lowerBound)
        }
    }
}
