// DialogID (did): the 63-bit name of a dialog, a keyed hash of what names the INVITE transaction that made it (R16).
// Every node that sees a copy of one INVITE computes the same did, so two records of one dialog join into one; another
// attempt by a proxy above, which has a branch of its own, is another dialog. It travels in our Record-Route as `did=`,
// comes back from the network, and is therefore only a hint: Call-ID and tags decide.
//
// The top bit is 0: it marks records of other kinds.

public import Primitives

public struct DialogID: Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Reads 1 to 16 hexadecimal digits.
    public init?(hex text: String) {
        let bytes = Array(text.utf8)
        guard let value = Text.hex(bytes, ByteRange(bytes)) else { return nil }
        rawValue = value
    }

    /// 16 lower-case hexadecimal digits.
    public var hex: String {
        var writer = ByteWriter(capacity: 16)
        writer.putHex(rawValue, digits: 16)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    public static func < (left: DialogID, right: DialogID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// What names an INVITE transaction as it was received, so that copies of it, its CANCEL (RFC 3261 §9.1) and the ACK
/// for its failure (§17.1.1.3) are known again on any node: they have the topmost Via of the INVITE.
public struct InviteIdentity: Sendable {
    var bytes: [UInt8]
    var callID: ByteRange
    var fromTag: ByteRange
    var cSeq: UInt32
    var sentBy: ByteRange
    /// The branch, or, where it lacks the magic cookie, the Request-URI (RFC 3261 §17.2.3).
    var distinction: ByteRange

    /// - Parameters:
    ///   - bytes: What the ranges index.
    ///   - branch: The branch of the topmost Via; anything without the magic cookie `z9hG4bK` stands aside for the
    ///     Request-URI.
    public init(
        _ bytes: [UInt8], callID: ByteRange, fromTag: ByteRange, cSeq: UInt32, branch: ByteRange, sentBy: ByteRange,
        requestURI: ByteRange
    ) {
        self.bytes = bytes
        self.callID = callID
        self.fromTag = fromTag
        self.cSeq = cSeq
        self.sentBy = sentBy
        let cookie = ByteRange(start: Int(branch.start), end: Int(branch.start) + 7)
        let isMagic = branch.count > 7 && Text.equalsIgnoringCase(bytes, cookie, "z9hG4bK")
        distinction = isMagic ? branch : requestURI
    }
}
