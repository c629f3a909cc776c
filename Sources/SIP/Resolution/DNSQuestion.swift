// DNSQuestion is one question to the domain name system: a name and the type of record wanted for it. It is also the
// key under which an answer is kept.

/// The record types that RFC 3263 asks for.
package enum DNSType: UInt16, CaseIterable, Sendable {
    case a = 1
    case aaaa = 28
    case srv = 33
    case naptr = 35
}

package struct DNSQuestion: Hashable, Sendable {
    /// In lower case, without a trailing dot.
    package var name: [UInt8]
    package var type: DNSType

    package init(name: [UInt8], type: DNSType) {
        self.name = name
        self.type = type
    }

    /// Bytes of the longest name as text (RFC 1035 §2.3.4: 255 on the wire).
    package static let nameLimit = 253
    package static let labelLimit = 63

    /// Labels of letters, digits, dashes and underscores, within the limits. Whatever else a URI or a record names has
    /// no host, and is not asked for.
    package var isValid: Bool {
        guard !name.isEmpty, name.count <= Self.nameLimit else { return false }
        var length = 0
        for byte in name {
            switch byte {
            case UInt8(ascii: "."):
                if length == 0 { return false }
                length = 0
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                length += 1
                if length > Self.labelLimit { return false }
            default: return false
            }
        }
        return length > 0
    }
}
