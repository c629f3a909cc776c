// Headers by names that are known only at run time, as a script or a configuration says them: every spelling of a name
// that the index tells apart, and any other name letter by letter.

package import Primitives

extension HeaderName {
    /// The header that a name spells, in full or compact and in any case; `.other` for one that is not told apart.
    package init(_ name: [UInt8]) {
        var packed = PackedName()
        for byte in name { packed.append(byte) }
        self = name.allSatisfy(Grammar.isToken) ? HeaderNameTable.shared.find(packed) : .other
    }
}

extension Message {
    /// The name of a field as it is written.
    package func nameText(of field: HeaderField) -> ByteRange {
        let span = RawSpan(_elements: bytes.span)
        return ByteRange(
            start: Int(field.line.start), end: Grammar.skipToken(span, Int(field.line.start), Int(field.line.end)))
    }

    /// Calls `body` with each field of that name until it answers `false`.
    package func forEach(named name: [UInt8], _ body: (HeaderField) -> Bool) {
        let known = HeaderName(name)
        let whole = ByteRange(name)
        for field in headers where field.name == known {
            if known == .other, !Text.sameIgnoringCase(bytes, nameText(of: field), name, whole) { continue }
            if !body(field) { return }
        }
    }

    /// The first field of a name that the index does not tell apart.
    package func other(named name: StaticString) -> HeaderField? {
        headers.first { $0.name == .other && Text.equalsIgnoringCase(bytes, nameText(of: $0), name) }
    }

    /// The field of that name at a place: 0 is the first, -1 the last.
    package func field(named name: [UInt8], at place: Int = 0) -> HeaderField? {
        var (found, index): (HeaderField?, Int) = (nil, 0)
        var place = place
        if place < 0 {
            var count = 0
            forEach(named: name) { _ in
                count += 1
                return true
            }
            place += count
        }
        forEach(named: name) { field in
            if index == place { found = field }
            index += 1
            return found == nil
        }
        return found
    }
}
