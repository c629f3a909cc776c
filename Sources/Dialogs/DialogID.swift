// DialogID (did): the 64-bit name of a dialog, a keyed hash of (Call-ID, From-tag, CSeq of the INVITE). Every node that
// sees a copy of one INVITE computes the same did, so two records of one dialog join into one. It travels in our
// Record-Route as `did=`, comes back from the network, and is therefore only a hint: Call-ID and tags decide.

internal import Primitives

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
