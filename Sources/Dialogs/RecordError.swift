// RecordError says why bytes from a peer (or facts of our own) did not become part of a record. The record that was
// there stays as it was. A peer's mistake is counted by who called; it never stops the node.

public enum RecordError: Error, Hashable, Sendable {
    /// The bytes end inside of a field.
    case truncated
    /// A varint of more than ten bytes, more than 64 bits, or with a superfluous last byte.
    case malformedVarint
    /// A group, a reserved wire type, field number 0, or a field number above 2²⁹ − 1.
    case malformedTag
    /// A known field with the wire type of another.
    case wrongWireType(field: UInt32)
    /// A number beyond what the field may hold.
    case outOfRange(field: UInt32)
    /// More than `limit` entries of one kind, or fields in one message.
    case tooMany(field: UInt32, limit: Int)
    /// A record or a patch above its limit of bytes.
    case tooLarge(limit: Int)
    /// The table holds as many dialogs as it may.
    case tableFull(limit: Int)
}

/// The bounds of one record.
///
/// What a 2xx confirms needs room when it comes: an answer of up to 64 KiB, two route sets, the Via stack. So the facts
/// of a call that is not answered, of which a fork or a caller may send any number, stop at the early bounds. They are
/// looked at where a fact is made. What a peer has in its record is joined up to the whole bounds: a replica is never
/// smaller than the record it copies.
public enum RecordLimits {
    /// Bytes of a record, and of a patch.
    public static let bytes = 90_112
    /// Bytes of a record that facts of an unanswered INVITE may fill.
    public static let earlyBytes = 20_480
    public static let outs = 64
    /// Dialog-outs that early dialogs may be.
    public static let earlyOuts = 48
    public static let pendings = 64
    /// Copies of the INVITE that are answered by other nodes than the owner of its branches.
    public static let adoptions = 8
    /// Variables and profile links together.
    public static let stamped = 256
    /// Fields of later versions, kept and passed on.
    public static let unknown = 64
    /// Fields of one message while two records are joined; two canonical records have fewer than half of it each.
    public static let fields = 2_048
}

/// How much of a record facts may fill.
public enum RecordRoom: Sendable {
    /// What an INVITE and its provisional answers teach.
    case early
    case whole

    var bytes: Int { self == .early ? RecordLimits.earlyBytes : RecordLimits.bytes }
    var outs: Int { self == .early ? RecordLimits.earlyOuts : RecordLimits.outs }
}
