// Whether two URIs are the same: RFC 3261 §19.1.4 for SIP and SIPS, RFC 3966 §4 for tel; any other scheme byte by byte
// but for the case of the scheme itself.
//
// The relation is reflexive and symmetric, but not transitive: a parameter that only one side has is ignored, so
// `sip:carol@h` equals both `sip:carol@h;security=on` and `sip:carol@h;security=off`, which differ. Do not sort or hash
// by it.
//
// Escapes: `%41` equals `A`, `%3B` does not equal `;` (it is reserved, and may mean something). Names are not looked
// up, so a host name never equals an address. Headers compare by name and value in any order; the rules of the single
// header fields, which §19.1.4 refers to, are not applied to the values.
//
// Cost: quadratic in the number of parameters, which a message of 64 KiB bounds; not for the hot path.

internal import Primitives

extension URI {
    /// Whether this URI, found in `bytes`, and `other`, found in `otherBytes`, are equivalent.
    package func isEquivalent(to other: URI, in bytes: [UInt8], _ otherBytes: [UInt8]) -> Bool {
        guard scheme == other.scheme else { return false }
        let (left, right) = (Side(self, bytes), Side(other, otherBytes))
        switch scheme {
        case .sip, .sips: return Self.sameSIP(left, right)
        case .tel: return Self.sameNumber(left, right)
        case .other: return Self.sameOpaque(left, right)
        }
    }

    private struct Side {
        let uri: URI
        let bytes: [UInt8]

        init(_ uri: URI, _ bytes: [UInt8]) {
            self.uri = uri
            self.bytes = bytes
        }
    }

    private static func sameSIP(_ left: Side, _ right: Side) -> Bool {
        // A component that is written never equals one that is left out, be it the default (§19.1.4).
        guard left.uri.user.isEmpty == right.uri.user.isEmpty,
            Escaped.same(left.bytes, left.uri.user, right.bytes, right.uri.user, ignoringCase: false),
            (left.uri.password == .empty) == (right.uri.password == .empty),
            Escaped.same(left.bytes, left.uri.password, right.bytes, right.uri.password, ignoringCase: false),
            left.uri.port == right.uri.port, sameHost(left, right)
        else { return false }
        return coversParameters(of: left, right) && coversParameters(of: right, left)
            && sameHeaders(left, right)
    }

    private static func sameHost(_ left: Side, _ right: Side) -> Bool {
        if Text.sameIgnoringCase(left.bytes, left.uri.host, right.bytes, right.uri.host) { return true }
        guard let address = Address(bytes: left.bytes, range: left.uri.host) else { return false }
        return Address(bytes: right.bytes, range: right.uri.host) == address
    }

    // MARK: Parameters

    /// Parameters that never equal their absence.
    private static func isStrict(_ name: ByteRange, in bytes: [UInt8]) -> Bool {
        for strict in ["user", "ttl", "method", "maddr", "transport"] as [StaticString]
        where Text.equalsIgnoringCase(bytes, name, strict) {
            return true
        }
        return false
    }

    /// Whether each parameter of `left` has its equal in `right`, or may be ignored.
    private static func coversParameters(of left: Side, _ right: Side) -> Bool {
        var isCovered = true
        let ours = URIFields(left.bytes, left.uri.parameters, separator: 0x3B)
        let theirs = URIFields(right.bytes, right.uri.parameters, separator: 0x3B)
        ours.forEach { name, value, place in
            guard isCovered else { return }
            if let found = theirs.value(left.bytes, name, nth: ours.occurrence(of: name, at: place)) {
                isCovered = Escaped.same(left.bytes, value, right.bytes, found, ignoringCase: true)
            } else {
                isCovered = !isStrict(name, in: left.bytes)
            }
        }
        return isCovered
    }

    // MARK: Headers

    /// Headers are never ignored (§19.1.4).
    private static func sameHeaders(_ left: Side, _ right: Side) -> Bool {
        let ours = URIFields(left.bytes, left.uri.headers, separator: 0x26)
        let theirs = URIFields(right.bytes, right.uri.headers, separator: 0x26)
        guard ours.count == theirs.count else { return false }
        var isSame = true
        ours.forEach { name, value, place in
            guard isSame else { return }
            guard let found = theirs.value(left.bytes, name, nth: ours.occurrence(of: name, at: place)) else {
                isSame = false
                return
            }
            isSame = Escaped.same(left.bytes, value, right.bytes, found, ignoringCase: false)
        }
        return isSame
    }

    // MARK: tel

    /// Numbers without their separators, and every parameter on both sides (RFC 3966 §4).
    private static func sameNumber(_ left: Side, _ right: Side) -> Bool {
        guard sameDigits(left.bytes, left.uri.user, right.bytes, right.uri.user) else { return false }
        let ours = URIFields(left.bytes, left.uri.parameters, separator: 0x3B)
        let theirs = URIFields(right.bytes, right.uri.parameters, separator: 0x3B)
        guard ours.count == theirs.count else { return false }
        var isSame = true
        ours.forEach { name, value, place in
            guard isSame else { return }
            guard let found = theirs.value(left.bytes, name, nth: ours.occurrence(of: name, at: place)) else {
                isSame = false
                return
            }
            let isNumber =
                Text.equalsIgnoringCase(left.bytes, name, "ext")
                || (Text.equalsIgnoringCase(left.bytes, name, "phone-context") && isGlobal(left.bytes, value))
            isSame =
                isNumber
                ? sameDigits(left.bytes, value, right.bytes, found)
                : Escaped.same(left.bytes, value, right.bytes, found, ignoringCase: true)
        }
        return isSame
    }

    private static func isGlobal(_ bytes: [UInt8], _ range: ByteRange) -> Bool {
        !range.isEmpty && bytes[Int(range.start)] == 0x2B
    }

    private static func sameDigits(
        _ left: [UInt8], _ leftRange: ByteRange, _ right: [UInt8], _ rightRange: ByteRange
    ) -> Bool {
        var (index, other) = (Int(leftRange.start), Int(rightRange.start))
        while true {
            while index < Int(leftRange.end), TelephoneNumber.isSeparator(left[index]) { index += 1 }
            while other < Int(rightRange.end), TelephoneNumber.isSeparator(right[other]) { other += 1 }
            guard index < Int(leftRange.end), other < Int(rightRange.end) else {
                return index == Int(leftRange.end) && other == Int(rightRange.end)
            }
            guard Text.lowercased(left[index]) == Text.lowercased(right[other]) else { return false }
            index += 1
            other += 1
        }
    }

    // MARK: Other schemes

    private static func sameOpaque(_ left: Side, _ right: Side) -> Bool {
        func rest(_ side: Side) -> (scheme: ByteRange, rest: ByteRange) {
            let (start, end) = (Int(side.uri.whole.start), Int(side.uri.whole.end))
            var colon = start
            while colon < end, side.bytes[colon] != 0x3A { colon += 1 }
            return (ByteRange(start: start, end: colon), ByteRange(start: colon, end: end))
        }
        let (ours, theirs) = (rest(left), rest(right))
        return Text.sameIgnoringCase(left.bytes, ours.scheme, right.bytes, theirs.scheme)
            && Text.same(left.bytes, ours.rest, right.bytes, theirs.rest)
    }
}

/// Text with escapes as it is meant.
private enum Escaped {
    /// One character and where the next one begins; an escaped reserved character is another than the bare one.
    private static func next(_ bytes: [UInt8], _ index: Int, _ end: Int) -> (character: UInt16, next: Int) {
        guard bytes[index] == 0x25, index + 2 < end,
            let value = Text.hex(bytes, ByteRange(start: index + 1, end: index + 3))
        else { return (UInt16(bytes[index]), index + 1) }
        let byte = UInt8(truncatingIfNeeded: value)
        return (UInt16(byte) | (isReserved(byte) ? 0x100 : 0), index + 3)
    }

    /// `reserved` of RFC 3261 §25.1.
    private static func isReserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x3B, 0x2F, 0x3F, 0x3A, 0x40, 0x26, 0x3D, 0x2B, 0x24, 0x2C: true
        default: false
        }
    }

    static func same(
        _ left: [UInt8], _ leftRange: ByteRange, _ right: [UInt8], _ rightRange: ByteRange, ignoringCase: Bool
    ) -> Bool {
        var (index, other) = (Int(leftRange.start), Int(rightRange.start))
        let (end, otherEnd) = (Int(leftRange.end), Int(rightRange.end))
        while index < end, other < otherEnd {
            let (ours, theirs) = (next(left, index, end), next(right, other, otherEnd))
            guard folded(ours.character, ignoringCase) == folded(theirs.character, ignoringCase) else { return false }
            index = ours.next
            other = theirs.next
        }
        return index >= end && other >= otherEnd
    }

    private static func folded(_ character: UInt16, _ ignoresCase: Bool) -> UInt16 {
        ignoresCase && character < 0x80 ? UInt16(Text.lowercased(UInt8(truncatingIfNeeded: character))) : character
    }
}

/// `;name=value` or `?name=value&name=value` of a URI, in which quotes mean nothing.
private struct URIFields {
    let bytes: [UInt8]
    private let range: ByteRange
    private let separator: UInt8

    init(_ bytes: [UInt8], _ range: ByteRange, separator: UInt8) {
        self.bytes = bytes
        self.range = range
        self.separator = separator
    }

    /// Visits each field with its offset; empty ones are none.
    func forEach(_ body: (_ name: ByteRange, _ value: ByteRange, _ place: Int) -> Void) {
        let end = Int(range.end)
        var start = Int(range.start) + 1
        while start < end {
            var stop = start
            while stop < end, bytes[stop] != separator { stop += 1 }
            if stop > start {
                var equals = start
                while equals < stop, bytes[equals] != 0x3D { equals += 1 }
                let value = ByteRange(start: min(equals + 1, stop), end: stop)
                body(ByteRange(start: start, end: equals), value, start)
            }
            start = stop + 1
        }
    }

    var count: Int {
        var count = 0
        forEach { _, _, _ in count += 1 }
        return count
    }

    /// How many fields of that name stand before `place`: no name should stand twice, but it may.
    func occurrence(of name: ByteRange, at place: Int) -> Int {
        var count = 0
        forEach { other, _, start in
            if start < place, Escaped.same(bytes, other, bytes, name, ignoringCase: true) { count += 1 }
        }
        return count
    }

    /// The value of the nth field that has the name in `names`.
    func value(_ names: [UInt8], _ name: ByteRange, nth: Int) -> ByteRange? {
        var (seen, found): (Int, ByteRange?) = (0, nil)
        forEach { other, value, _ in
            guard Escaped.same(bytes, other, names, name, ignoringCase: true) else { return }
            if seen == nth { found = value }
            seen += 1
        }
        return found
    }
}
