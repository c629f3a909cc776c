// A heartbeat: everything that a member says of itself and of the others, ten times a second and at once when it
// changes.
//
//   message Heartbeat {
//     uint32 state = 1; bool fit = 2; uint64 epoch = 3; repeated Member view = 4;
//     Ballot promised = 5; Ballot accepted = 6; repeated Member value = 7;     // the agreement about epoch + 1
//     repeated Opinion opinions = 8; uint64 lamport = 9; uint64 last = 10;     // last sequence of its own stream
//     fixed64 root = 11; uint64 live = 12; uint64 ready = 13; uint64 compared = 14;
//     bytes management = 15; bytes sip = 16; bytes service = 17; repeated bytes addresses = 18;
//     bytes names = 19; repeated fixed64 settings = 20; bytes software = 21; uint64 capabilities = 22;
//     bool witness = 23;                                                      // votes, and keeps no records
//     uint64 known_until = 24;                                                // of its storage, when it began
//   }
//   message Ballot  { uint32 round = 1; bytes name = 2; }
//   message Opinion { bytes name = 1; fixed64 boot = 2; uint32 verdict = 3; uint64 position = 4; uint64 known = 5;
//                     uint64 echo = 6; }   // the newest clock of that member that the sender has seen
//
// About 300 bytes with three members. At most 64 members and opinions.

internal import Primitives

/// A numbered attempt to agree; names break ties.
struct Ballot: Hashable, Comparable, Sendable {
    var round: UInt32 = 0
    var name = ""

    static func < (left: Ballot, right: Ballot) -> Bool { (left.round, left.name) < (right.round, right.name) }
}

/// What one member says of another.
enum Verdict: UInt8, Sendable {
    case unknown
    case heard
    /// Silent for longer than the suspicion time.
    case silent
    /// Its port refuses connections.
    case refused
    case left

    var isDead: Bool { self == .silent || self == .refused || self == .left }
}

struct Opinion: Equatable, Sendable {
    var member: MemberID
    var verdict: Verdict
    var position: UInt64
    var known: UInt64
    var echo: UInt64
}

struct Heartbeat: Equatable, Sendable {
    var state = MemberState.joining
    var isFit = false
    var view = View()
    var promised = Ballot()
    var accepted = Ballot()
    var value: [MemberID] = []
    var opinions: [Opinion] = []
    var lamport: UInt64 = 0
    var last: UInt64 = 0
    var root: UInt64 = 0
    var live: UInt64 = 0
    /// The epoch with all of whose live members a joiner has compared its replica; 0 while it has not.
    var ready: UInt64 = 0
    /// The latest epoch with all of whose members the sender compared its replica after that epoch began.
    var compared: UInt64 = 0
    var hello = Hello()
    /// Service addresses that the host holds now.
    var addresses: [String] = []
    /// The sender votes and keeps no records.
    var isWitness = false

    static let limit = 64

    func opinion(of name: String) -> Opinion? { opinions.first { $0.member.name == name } }

    func write(into writer: inout ByteWriter) {
        writer.putField(1, varint: UInt64(state.rawValue))
        writer.putField(2, varint: isFit ? 1 : 0)
        writer.putField(3, varint: view.epoch)
        for member in view.members { writer.putMember(4, member) }
        write(promised, 5, into: &writer)
        write(accepted, 6, into: &writer)
        for member in value { writer.putMember(7, member) }
        for opinion in opinions {
            writer.putField(8) { writer in
                writer.putField(1, text: opinion.member.name)
                writer.putField(2, fixed: opinion.member.boot)
                writer.putField(3, varint: UInt64(opinion.verdict.rawValue))
                writer.putField(4, varint: opinion.position)
                writer.putField(5, varint: opinion.known)
                writer.putField(6, varint: opinion.echo)
            }
        }
        writer.putField(9, varint: lamport)
        writer.putField(10, varint: last)
        writer.putField(11, fixed: root)
        writer.putField(12, varint: live)
        writer.putField(13, varint: ready)
        writer.putField(14, varint: compared)
        writer.putField(15, text: hello.management)
        writer.putField(16, text: hello.sip)
        writer.putField(17, text: hello.service)
        writer.putField(19, text: hello.names)
        for address in addresses { writer.putField(18, text: address) }
        for hash in hello.settings { writer.putField(20, fixed: hash) }
        writer.putField(21, text: hello.software)
        writer.putField(22, varint: hello.capabilities)
        writer.putField(23, varint: isWitness ? 1 : 0)
        writer.putField(24, varint: hello.knownUntil)
    }

    private func write(_ ballot: Ballot, _ number: UInt64, into writer: inout ByteWriter) {
        guard ballot.round > 0 else { return }
        writer.putField(number) { writer in
            writer.putField(1, varint: UInt64(ballot.round))
            writer.putField(2, text: ballot.name)
        }
    }
}

extension Heartbeat {
    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        hello.capabilities = 0
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: state = MemberState(rawValue: UInt8(truncatingIfNeeded: field.integer)) ?? .joining
            case 2: isFit = field.integer != 0
            case 3: view.epoch = field.integer
            case 4: try Self.append(field.member(in: bytes), to: &view.members, at: reader.offset)
            case 5: promised = try Self.ballot(bytes, field.range)
            case 6: accepted = try Self.ballot(bytes, field.range)
            case 7: try Self.append(field.member(in: bytes), to: &value, at: reader.offset)
            case 8: try Self.append(Opinion(bytes, field.range), to: &opinions, at: reader.offset)
            case 9: lamport = field.integer
            case 10: last = field.integer
            case 11: root = field.integer
            case 12: live = field.integer
            case 13: ready = field.integer
            case 14: compared = field.integer
            case 15: hello.management = try field.text(in: bytes)
            case 16: hello.sip = try field.text(in: bytes)
            case 17: hello.service = try field.text(in: bytes)
            case 18: try Self.append(field.text(in: bytes), to: &addresses, at: reader.offset)
            case 19: hello.names = try field.text(in: bytes, limit: Hello.namesLimit)
            case 21: hello.software = try field.text(in: bytes)
            case 22: hello.capabilities = field.integer
            case 23: isWitness = field.integer != 0
            case 24: hello.knownUntil = field.integer
            case 20 where hello.settings.count < Hello.settingsLimit: hello.settings.append(field.integer)
            default: break
            }
        }
        let numbers = [view.epoch, lamport, last, ready, compared, hello.knownUntil]
        guard numbers.allSatisfy({ $0 < 1 << 62 }) else { throw WireError(.badNumber, at: range.lowerBound) }
        guard zip(view.members, view.members.dropFirst()).allSatisfy({ $0.name < $1.name }),
            zip(value, value.dropFirst()).allSatisfy({ $0.name < $1.name })
        else { throw WireError(.badField, at: range.lowerBound) }
    }

    private static func append<Element>(_ element: Element, to list: inout [Element], at offset: Int) throws(WireError)
    {
        guard list.count < limit else { throw WireError(.tooMany, at: offset) }
        list.append(element)
    }

    private static func ballot(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) -> Ballot {
        var ballot = Ballot()
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1:
                // A round near the end of its range would leave no higher one to bid.
                guard field.integer < 1 << 31 else { throw WireError(.badNumber, at: range.lowerBound) }
                ballot.round = UInt32(field.integer)
            case 2: ballot.name = try field.text(in: bytes)
            default: break
            }
        }
        return ballot
    }
}

extension Opinion {
    fileprivate init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        self.init(member: MemberID(name: "", boot: 0), verdict: .unknown, position: 0, known: 0, echo: 0)
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: member.name = try field.text(in: bytes)
            case 2: member.boot = field.integer
            case 3: verdict = Verdict(rawValue: UInt8(truncatingIfNeeded: field.integer)) ?? .unknown
            case 4: position = field.integer
            case 5: known = field.integer
            case 6: echo = field.integer
            default: break
            }
        }
        guard position < 1 << 62, known < 1 << 62 else { throw WireError(.badNumber, at: range.lowerBound) }
    }
}
