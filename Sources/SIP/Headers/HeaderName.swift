// HeaderName names the header fields that a proxy reads, and recognises them in one step per message line (RFC 3261
// §7.3.3, §20).
//
// A name is packed, lower-cased, into at most three 64-bit words while its bytes are checked to be a token; the words
// and the length are then looked up in a small open-addressing table that is built once. Every other name is `.other`:
// it is forwarded and never looked at. No name in the table is longer than 24 bytes.

internal import Primitives

package enum HeaderName: UInt8, Sendable, CaseIterable {
    case via, from, to, callID, cSeq, maxForwards, contact, route, recordRoute, contentLength, contentType
    case require, proxyRequire, supported, unsupported, sessionExpires, minSE, rack, rseq, reason, event, expires
    case timestamp, authorization, proxyAuthorization, wwwAuthenticate, proxyAuthenticate, allow, accept, retryAfter
    case subject, warning, path, maxBreadth, assertedIdentity, preferredIdentity, privacy, other

    /// The name as it is written; "Other" for what is not recognised.
    package var text: StaticString {
        switch self {
        case .via: "Via"
        case .from: "From"
        case .to: "To"
        case .callID: "Call-ID"
        case .cSeq: "CSeq"
        case .maxForwards: "Max-Forwards"
        case .contact: "Contact"
        case .route: "Route"
        case .recordRoute: "Record-Route"
        case .contentLength: "Content-Length"
        case .contentType: "Content-Type"
        case .require: "Require"
        case .proxyRequire: "Proxy-Require"
        case .supported: "Supported"
        case .unsupported: "Unsupported"
        case .sessionExpires: "Session-Expires"
        case .minSE: "Min-SE"
        case .rack: "RAck"
        case .rseq: "RSeq"
        case .reason: "Reason"
        case .event: "Event"
        case .expires: "Expires"
        case .timestamp: "Timestamp"
        case .authorization: "Authorization"
        case .proxyAuthorization: "Proxy-Authorization"
        case .wwwAuthenticate: "WWW-Authenticate"
        case .proxyAuthenticate: "Proxy-Authenticate"
        case .allow: "Allow"
        case .accept: "Accept"
        case .retryAfter: "Retry-After"
        case .subject: "Subject"
        case .warning: "Warning"
        case .path: "Path"
        case .maxBreadth: "Max-Breadth"
        case .assertedIdentity: "P-Asserted-Identity"
        case .preferredIdentity: "P-Preferred-Identity"
        case .privacy: "Privacy"
        case .other: "Other"
        }
    }

    /// The one-letter form (§7.3.3, RFC 4028, RFC 6665), if there is one.
    package var compactForm: StaticString? {
        switch self {
        case .via: "v"
        case .from: "f"
        case .to: "t"
        case .callID: "i"
        case .contact: "m"
        case .contentLength: "l"
        case .contentType: "c"
        case .supported: "k"
        case .sessionExpires: "x"
        case .event: "o"
        case .subject: "s"
        default: nil
        }
    }
}

/// A header name as three words of lower-case bytes, the first byte lowest, with its length.
struct PackedName: Equatable {
    var first: UInt64 = 0
    var second: UInt64 = 0
    var third: UInt64 = 0
    var count = 0

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        let bits = UInt64(byte | 0x20) << UInt64(count & 7 &* 8)
        if count < 8 {
            first |= bits
        } else if count < 16 {
            second |= bits
        } else if count < 24 {
            third |= bits
        }
        count &+= 1
    }

    /// The bytes from `offset` to the next colon, eight a step. They need not be a token, but a name that is in the
    /// table they are then only if they spell it: setting 0x20 makes a hyphen of a CR and of nothing else that is no
    /// part of such a name, so no control is taken.
    /// - Returns: `nil` when no colon is near, and nothing was found out.
    @inline(__always)
    init?(upToColonIn span: RawSpan, at offset: Int) {
        let limit = span.byteCount &- 8
        for step in 0..<3 {
            let place = offset &+ step &* 8
            guard place <= limit else { return nil }
            let word = span.word(at: place)
            let difference = word ^ 0x3A3A_3A3A_3A3A_3A3A
            let hit = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            let bits = UInt64(truncatingIfNeeded: hit.trailingZeroBitCount & ~7)
            let before = hit == 0 ? UInt64.max : ~(UInt64.max << bits)
            guard (word | word << 1) & before & 0x4040_4040_4040_4040 == before & 0x4040_4040_4040_4040 else {
                return nil
            }
            let part = (word | 0x2020_2020_2020_2020) & before
            switch step {
            case 0: first = part
            case 1: second = part
            default: third = part
            }
            if hit != 0 {
                count = step &* 8 &+ Int(truncatingIfNeeded: bits >> 3)
                return
            }
        }
        return nil
    }

    init() {}

    @inline(__always)
    var hash: Int {
        let mixed =
            (first ^ second &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: count)) &* 0xFF51_AFD7_ED55_8CCD
        return Int(truncatingIfNeeded: mixed >> 57)
    }
}

/// The table from packed names to HeaderName: 128 slots for 49 spellings, built once and shared.
struct HeaderNameTable: Sendable {
    private struct Slot: Sendable {
        var first: UInt64 = 0
        var second: UInt64 = 0
        var third: UInt64 = 0
        /// 0 in an empty slot.
        var count = 0
        var name = HeaderName.other
    }

    private var slots = [Slot](repeating: Slot(), count: 128)

    static let shared = HeaderNameTable()

    private init() {
        for name in HeaderName.allCases where name != .other {
            insert(name.text, name)
            if let compactForm = name.compactForm { insert(compactForm, name) }
        }
    }

    private mutating func insert(_ text: StaticString, _ name: HeaderName) {
        var packed = PackedName()
        for byte in [UInt8](copying: text) { packed.append(byte) }
        var index = packed.hash
        while slots[index].count != 0 { index = (index + 1) & 127 }
        slots[index] = Slot(
            first: packed.first, second: packed.second, third: packed.third, count: packed.count, name: name)
    }

    /// The header that `packed` names, `.other` for a name that is not in the table.
    func find(_ packed: PackedName) -> HeaderName {
        var index = packed.hash
        while true {
            let slot = slots[index]
            if slot.count == 0 { return .other }
            if slot.first == packed.first, slot.count == packed.count, slot.second == packed.second,
                slot.third == packed.third
            {
                return slot.name
            }
            index = (index &+ 1) & 127
        }
    }
}
