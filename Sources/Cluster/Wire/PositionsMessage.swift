// Positions: up to where each stream is in the sender's records, entry by entry. It is what a commit waits for.
//
//   message Positions { repeated Position positions = 1; }
//   message Position  { bytes name = 1; fixed64 boot = 2; uint64 position = 3; uint64 known = 4; }
//
// `known` is the highest sequence of the stream that the sender knows to exist; it is at least the position.

internal import Primitives

struct Position: Equatable, Sendable {
    var member: MemberID
    var position: UInt64
    var known: UInt64

    static let limit = 256

    func write(into writer: inout ByteWriter) {
        writer.putField(1, text: member.name)
        writer.putField(2, fixed: member.boot)
        writer.putField(3, varint: position)
        writer.putField(4, varint: known)
    }

    init(member: MemberID, position: UInt64, known: UInt64) {
        self.member = member
        self.position = position
        self.known = known
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        self.init(member: MemberID(name: "", boot: 0), position: 0, known: 0)
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: member.name = try field.text(in: bytes)
            case 2: member.boot = field.integer
            case 3: position = field.integer
            case 4: known = field.integer
            default: break
            }
        }
        guard position < 1 << 62, known < 1 << 62 else { throw WireError(.badNumber, at: range.lowerBound) }
    }

    static func write(_ positions: [Position], into writer: inout ByteWriter) {
        for position in positions { writer.putField(1) { position.write(into: &$0) } }
    }

    static func readAll(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) -> [Position] {
        var positions: [Position] = []
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            guard field.number == 1 else { continue }
            guard positions.count < limit else { throw WireError(.tooMany, at: range.lowerBound) }
            positions.append(try Position(bytes, field.range))
        }
        return positions
    }
}
