// Binding is one contact of an address of record, as one registration wrote it (RFC 3261 §10.3). It is written once and
// passed on byte for byte: replicas hold equal bytes, and fields of a later version stay.
//
//     Binding   1 key  2 call_id  3 cseq  4 counter  5 writer   who wrote it, and after what (`Stamp`)
//               6 gone                                          it was taken back
//               7 contact  8 q  9 path  10 received  11 flow  12 flags  13 methods  14 user_agent  15 instance
//               16 reg_id  17 lifetime_s  18 registered_unix_ms
//
// The key names the contact: its instance and reg-id (RFC 5626 §6), else its URI. Limit: `limit` bytes.

package import Primitives

package struct Binding: Equatable, Sendable {
    /// Bytes of a binding.
    package static let limit = 4_096

    package var key: [UInt8] = []
    package var callID: [UInt8] = []
    package var cSeq: UInt32 = 0
    package var stamp = Stamp(counter: 0, tag: 0)
    package var isGone = false
    /// The URI, without angle brackets.
    package var contact: [UInt8] = []
    /// Thousandths.
    package var q: UInt32 = 1_000
    /// The Path that leads to it (RFC 3327), the values of all its headers.
    package var path: [UInt8] = []
    /// Where it was heard from, where that is another place than its URI says: as `Endpoint` is kept in records.
    package var received: [UInt8] = []
    /// The connection that it came over, as a `FlowFact`.
    package var flow: [UInt8] = []
    package var flags: UInt32 = 0
    /// One bit for each method of Allow, by `Method`; 0 where it did not say.
    package var methods: UInt32 = 0
    package var userAgent: [UInt8] = []
    package var instance: [UInt8] = []
    package var registrationID: UInt32 = 0
    package var lifetimeSeconds: UInt32 = 0
    /// For people; nothing is decided by it.
    package var registeredUnixMilliseconds: UInt64 = 0

    package init() {}

    package var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 256)
        func put(_ number: UInt32, _ text: [UInt8]) {
            if !text.isEmpty { writer.putField(number, bytes: RawSpan(_elements: text.span)) }
        }
        func put(_ number: UInt32, _ value: UInt64) {
            if value != 0 { writer.putField(number, varint: value) }
        }
        put(1, key)
        put(2, callID)
        put(3, UInt64(cSeq))
        put(4, stamp.counter)
        put(5, UInt64(stamp.tag))
        put(6, isGone ? 1 : 0)
        put(7, contact)
        put(8, UInt64(q))
        put(9, path)
        put(10, received)
        put(11, flow)
        put(12, UInt64(flags))
        put(13, UInt64(methods))
        put(14, userAgent)
        put(15, instance)
        put(16, UInt64(registrationID))
        put(17, UInt64(lifetimeSeconds))
        put(18, registeredUnixMilliseconds)
        return writer.bytes
    }

    package init(_ bytes: [UInt8]) throws(RecordError) {
        guard bytes.count <= Self.limit else { throw .tooLarge(limit: Self.limit) }
        q = 0
        let span = RawSpan(_elements: bytes.span)
        var reader = ProtobufReader(0..<bytes.count)
        while let field = try reader.next(in: span) {
            switch field.number {
            case 1: key = try Self.text(field, bytes)
            case 2: callID = try Self.text(field, bytes)
            case 3: cSeq = try Self.word(field)
            case 4: stamp.counter = try Self.number(field)
            case 5: stamp.tag = try Self.word(field)
            case 6: isGone = try Self.number(field) != 0
            case 7: contact = try Self.text(field, bytes)
            case 8: q = try Self.word(field)
            case 9: path = try Self.text(field, bytes)
            case 10: received = try Self.text(field, bytes)
            case 11: flow = try Self.text(field, bytes)
            case 12: flags = try Self.word(field)
            case 13: methods = try Self.word(field)
            case 14: userAgent = try Self.text(field, bytes)
            case 15: instance = try Self.text(field, bytes)
            case 16: registrationID = try Self.word(field)
            case 17: lifetimeSeconds = try Self.word(field)
            case 18: registeredUnixMilliseconds = try Self.number(field)
            default: break
            }
        }
        guard !key.isEmpty, !callID.isEmpty else { throw .outOfRange(field: 1) }
    }

    private static func number(_ field: WireField) throws(RecordError) -> UInt64 {
        guard field.wireType == ProtobufReader.varint else { throw .wrongWireType(field: field.number) }
        return field.value
    }

    private static func word(_ field: WireField) throws(RecordError) -> UInt32 {
        guard let word = UInt32(exactly: try number(field)) else { throw .outOfRange(field: field.number) }
        return word
    }

    private static func text(_ field: WireField, _ bytes: [UInt8]) throws(RecordError) -> [UInt8] {
        guard field.wireType == ProtobufReader.lengthDelimited else { throw .wrongWireType(field: field.number) }
        return Array(bytes[field.payload])
    }
}

/// A binding in a record: its bytes, what decides between two of them, and until when it holds here.
package struct StoredBinding: Equatable, Sendable {
    package var bytes: [UInt8]
    package var key: [UInt8]
    package var callID: [UInt8]
    package var cSeq: UInt32
    package var stamp: Stamp
    package var isGone: Bool
    /// Local: no clock of another node is compared with it.
    package var expiresAt: Instant
    /// Until then it has to be here, since what it has replaced may be elsewhere until then.
    package var keptUntil: Instant

    package init(_ binding: Binding, expiresAt: Instant, keptUntil: Instant) {
        bytes = binding.bytes
        (key, callID, cSeq) = (binding.key, binding.callID, binding.cSeq)
        (stamp, isGone) = (binding.stamp, binding.isGone)
        self.expiresAt = expiresAt
        self.keptUntil = max(keptUntil, expiresAt)
    }

    init(bytes: [UInt8], expiresAt: Instant, keptUntil: Instant) throws(RecordError) {
        self.init(try Binding(bytes), expiresAt: expiresAt, keptUntil: keptUntil)
        self.bytes = bytes  // With what a later version has in them.
    }

    /// All that it says.
    package var binding: Binding {
        do {
            return try Binding(bytes)
        } catch {
            preconditionFailure("a stored binding has been read before: \(error)")
        }
    }

    /// What is kept for others' sake is kept longer than they may be mistaken.
    package var leavesAt: Instant { keptUntil.advanced(by: keptUntil > expiresAt ? .seconds(40) : .seconds(10)) }

    /// When somebody may be told of its end: a renewal would be here by then.
    var toldAt: Instant { expiresAt.advanced(by: .seconds(10)) }

    package func isLive(at now: Instant) -> Bool { !isGone && expiresAt > now }

    /// The key of what takes back every contact: `*`, which is no URI.
    package static let everything: [UInt8] = [0x2A]

    /// It takes back every contact that there was.
    package var isSweep: Bool { isGone && key == Self.everything }

    /// Of one Call-ID its CSeq says what came before what, of several the stamp does.
    func covers(_ other: StoredBinding) -> Bool {
        if other.callID == callID { return other.cSeq < cSeq }
        return (other.stamp.counter, other.stamp.tag) < (stamp.counter, stamp.tag)
    }

    func isSameEntry(as other: StoredBinding) -> Bool { key == other.key && callID == other.callID }

    /// The order of the entries of a record.
    static func precedes(_ left: StoredBinding, _ right: StoredBinding) -> Bool {
        left.key == right.key
            ? left.callID.lexicographicallyPrecedes(right.callID) : left.key.lexicographicallyPrecedes(right.key)
    }

    /// Which of two of one key and Call-ID stays: the later CSeq, then the later stamp, then any that is the same
    /// everywhere.
    func yields(to other: StoredBinding) -> Bool {
        let (mine, its) = (
            (cSeq, stamp.counter, stamp.tag), (other.cSeq, other.stamp.counter, other.stamp.tag)
        )
        return mine == its ? bytes.lexicographicallyPrecedes(other.bytes) : mine < its
    }
}
