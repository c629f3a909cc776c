// The realm of Authorization and Proxy-Authorization (RFC 3261 §25.1): whose credentials they are, before anybody looks
// whether they are good.
//
//     Digest username="bob", realm="example.org", nonce="…", …

package import Primitives

package enum Credentials {
    /// What stands in the quotes of `realm`; `nil` where there is none.
    package static func realm(_ bytes: [UInt8], _ value: ByteRange) -> ByteRange? {
        var place = Int(value.start)
        let end = Int(value.end)
        while place < end, bytes[place] != 0x20, bytes[place] != 0x09 { place += 1 }  // The scheme.
        while place < end {
            while place < end, [0x20, 0x09, 0x0D, 0x0A, 0x2C].contains(bytes[place]) { place += 1 }
            let name = place
            while place < end, bytes[place] != 0x3D, bytes[place] != 0x2C { place += 1 }
            var nameEnd = place
            while nameEnd > name, bytes[nameEnd - 1] == 0x20 || bytes[nameEnd - 1] == 0x09 { nameEnd -= 1 }
            guard place < end, bytes[place] == 0x3D else { continue }
            place += 1
            while place < end, bytes[place] == 0x20 || bytes[place] == 0x09 { place += 1 }
            let found = text(bytes, &place, end)
            if Text.equalsIgnoringCase(bytes, ByteRange(start: name, end: nameEnd), "realm") { return found }
        }
        return nil
    }

    /// A quoted string without its quotes, or what stands before the next comma; the place behind it.
    private static func text(_ bytes: [UInt8], _ place: inout Int, _ end: Int) -> ByteRange {
        guard place < end, bytes[place] == 0x22 else {
            let start = place
            while place < end, bytes[place] != 0x2C { place += 1 }
            return ByteRange(start: start, end: place)
        }
        let start = place + 1
        place = start
        while place < end, bytes[place] != 0x22 { place += bytes[place] == 0x5C ? 2 : 1 }
        let found = ByteRange(start: start, end: min(place, end))
        place = min(place + 1, end)
        return found
    }
}
