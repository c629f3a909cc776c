// The head of every message on the bus: frames that are published, and requests and replies of the repair socket alike.
//
//  0     2      3       4                  12            20                  28
//  │"US" │ vers │ flags │ cluster mark u64 │ boot, u64   │ clock in ms, u64  │ salt, 16 bytes …
//  44     45                     53           55        56
//  │ lane │ first sequence, u64  │ count, u16 │ n, u8   │ name, n bytes │ entry │ entry │ …
//
// Numbers in the header are big-endian. An entry is its kind (one byte), its length (varint) and its payload, in
// protobuf's wire format; unknown kinds and unknown fields are skipped, so versions N and N−1 read each other. A change
// that an old reader must not overlook gets a new version byte.
//
//  flags   1 sealed (`SealedFrame`: the entries are under AEAD, and this header is authenticated), 2 acknowledge soon
//  mark    keyed hash of the cluster's name: tells a mistake apart from a peer, and is no authentication
//  clock   the sender's monotonic clock when the frame was made; only differences of one sender's clocks are ever used
//  salt    random, one for each process: tells two processes with one name apart, and makes the key of the process
//  lane    0 published to all, 1 request, 2 reply
//  first   sequence of the first put or patch in the frame; the others follow it. Without any: the next to be used
//  count   how many of the entries are puts or patches
//
// Sizes: a heartbeat of three nodes about 300 bytes, a patch about 40; a frame at most 32 KiB, a request or reply 320
// KiB.

internal import Primitives

package struct FrameHeader: Equatable, Sendable {
    package enum Lane: UInt8, Sendable { case published, request, reply }

    package var flags: UInt8 = 0
    package var mark: UInt64
    package var sender: MemberID
    package var clock: UInt64
    package var salt: Salt
    package var lane: Lane
    package var first: UInt64
    package var count: UInt16

    package static let version: UInt8 = 1
    package static let sealed: UInt8 = 1
    package static let acknowledgeSoon: UInt8 = 2
    /// A published frame is never longer.
    package static let frameLimit = 32_768
    /// Nor is a request or a reply.
    package static let messageLimit = 327_680

    var wantsAcknowledgement: Bool { flags & Self.acknowledgeSoon != 0 }

    func write(into writer: inout ByteWriter) {
        writer.put("US")
        writer.put(Self.version)
        writer.put(flags)
        writer.putBigEndian(mark)
        writer.putBigEndian(sender.boot)
        writer.putBigEndian(clock)
        writer.putBigEndian(salt.high)
        writer.putBigEndian(salt.low)
        writer.put(lane.rawValue)
        writer.putBigEndian(first)
        writer.putBigEndian(count)
        writer.put(UInt8(truncatingIfNeeded: min(255, sender.name.utf8.count)))
        writer.put(text: sender.name)
    }

    /// Reads a header and leaves the reader at the first entry; of a sealed message, at its seal.
    static func read(_ reader: inout WireReader, isSealed: Bool = false) throws(WireError) -> FrameHeader {
        guard try reader.byte() == 0x55, try reader.byte() == 0x53 else { throw WireError(.notOurs, at: 0) }
        let version = try reader.byte()
        guard version == Self.version else { throw WireError(.version(version), at: 2) }
        let flags = try reader.byte()
        let mark = try reader.bigEndian64()
        let boot = try reader.bigEndian64()
        let clock = try reader.bigEndian64()
        let salt = Salt(high: try reader.bigEndian64(), low: try reader.bigEndian64())
        guard let lane = Lane(rawValue: try reader.byte()) else { throw WireError(.badNumber, at: 44) }
        guard reader.end <= (lane == .published ? frameLimit : messageLimit) else {
            throw WireError(.tooLong, at: reader.end)
        }
        let first = try reader.bigEndian64()
        let count = try reader.bigEndian16()
        // Room for the count above it, so that no sum with a sequence can overflow.
        guard first < 1 << 62, clock < 1 << 62 else { throw WireError(.badNumber, at: 45) }
        let length = try reader.byte()
        guard length > 0, length <= ClusterSettings.nameLimit else { throw WireError(.tooLong, at: 55) }
        let range = try reader.take(UInt64(length))
        guard let name = String(validating: reader.bytes[range], as: UTF8.self) else {
            throw WireError(.badText, at: 56)
        }
        if isSealed, flags & Self.sealed == 0 { throw WireError(.unsealed(name), at: 3) }
        if !isSealed, flags & Self.sealed != 0 { throw WireError(.sealed(name), at: 3) }
        return FrameHeader(
            flags: flags, mark: mark, sender: MemberID(name: name, boot: boot), clock: clock, salt: salt, lane: lane,
            first: first, count: count)
    }
}

/// Sixteen random bytes, one set for each process.
package struct Salt: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// What an entry is; the raw value is its kind on the wire.
enum EntryKind: UInt8, Sendable {
    case put = 1
    case patch
    case heartbeat
    case positions
    case intent
    case grant
    case refuse
    case farewell
    /// What an heir asks everybody, and an answer to it.
    case question
    case known
    /// In requests and replies: a record as it stands.
    case item = 16
    case repairRequest
    case fetchRequest
    case repairAnswer
    case syncRequest
    case syncAnswer
    /// An operator's, of one member through another.
    case inquiry
    case inquiryPart
}
