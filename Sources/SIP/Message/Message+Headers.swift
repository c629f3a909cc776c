// Reading a message's headers on demand. Nothing here allocates but the arrays that the caller passes in, and nothing
// is cached but what `identify` has read: a proxy reads each of the others once or twice.

package import Primitives

extension Message {
    package func first(_ name: HeaderName) -> HeaderField? { index.first(name) }

    package func forEach(_ name: HeaderName, _ body: (HeaderField) -> Void) {
        guard let first = index.first(name) else { return }
        guard index.isRepeated(name) else { return body(first) }
        for field in index.fields where field.name == name { body(field) }
    }

    /// How many fields of that name there are.
    package func count(of name: HeaderName) -> Int {
        guard index.first(name) != nil else { return 0 }
        guard index.isRepeated(name) else { return 1 }
        var count = 0
        for field in index.fields where field.name == name { count += 1 }
        return count
    }

    /// Whether there are several fields of that name.
    package func isRepeated(_ name: HeaderName) -> Bool { index.isRepeated(name) }

    /// The first via-parm: where a response to this request goes, or whose transaction this response answers.
    package func topmostVia() throws(SIPParseError) -> Via {
        if let known = identity.first { return known.topmostVia }
        guard let field = index.first(.via) else { throw SIPParseError(.missingHeader(.via), at: headersEnd) }
        return try Via(RawSpan(_elements: bytes.span), at: Int(field.value.start), in: field)
    }

    /// The Request-URI taken apart; `nil` where it cannot be read, and in a response.
    package var parsedRequestURI: URI? {
        if let known = identity.first?.requestURI { return known }
        return isRequest ? try? URI(RawSpan(_elements: bytes.span), requestURI) : nil
    }

    /// The branch of the topmost Via of a message of ours, which is well-formed and is read no further than that; `nil`
    /// where there is none.
    package static func topmostBranch(of bytes: [UInt8]) -> ByteRange? {
        let span = RawSpan(_elements: bytes.span)
        let end = span.byteCount
        var line = Grammar.lineFeed(span, 0, end) &+ 1
        if let branch = ownBranch(span, line, end) { return branch }
        while line < end, span[line] != 0x0D, span[line] != 0x0A {
            var next = Grammar.lineFeed(span, line, end) &+ 1
            if let name = PackedName(upToColonIn: span, at: line), HeaderNameTable.shared.find(name) == .via {
                while next < end, span[next] == 0x20 || span[next] == 0x09 {
                    next = Grammar.lineFeed(span, next, end) &+ 1
                }
                let value = ByteRange(start: line &+ name.count &+ 1, end: min(next, end))
                let field = HeaderField(name: .via, line: ByteRange(start: line, end: min(next, end)), value: value)
                return (try? Via(span, at: Int(value.start), in: field))?.branch
            }
            line = next
        }
        return nil
    }

    /// The same where the first line is a Via as this proxy writes it, whose first parameter is the branch.
    private static func ownBranch(_ span: RawSpan, _ line: Int, _ end: Int) -> ByteRange? {
        guard line &+ 64 <= end, span.word(at: line) == 0x5049_5320_3A61_6956 else { return nil }  // "Via: SIP"
        let semicolon = Grammar.find(0x3B, span, line, end)
        guard semicolon &+ 16 <= end, span.word(at: semicolon &+ 1) == 0x7A3D_6863_6E61_7262,  // "branch=z"
            Grammar.lineFeed(span, line, semicolon) == semicolon
        else { return nil }
        return ByteRange(
            start: semicolon &+ 8, end: Grammar.skipParameterValue(span, semicolon &+ 8, end))
    }

    /// Appends all via-parms in order, comma lists taken apart.
    ///
    /// - Returns: `false` when one cannot be read; those before it were appended.
    @discardableResult
    package func vias(into vias: inout [Via]) -> Bool {
        for field in index.fields where field.name == .via {
            var offset = Int(field.value.start)
            while true {
                guard let via = try? Via(RawSpan(_elements: bytes.span), at: offset, in: field) else { return false }
                vias.append(via)
                if via.following == via.element.end { break }
                offset = Int(via.following)
            }
        }
        return true
    }

    /// The Call-ID's value; empty when absent.
    package var callID: ByteRange { index.first(.callID)?.value ?? .empty }

    /// The From tag; empty when there is none or the header cannot be read.
    package var fromTag: ByteRange { identity.first?.from.tag ?? tag(.from) }

    /// The To tag; empty when there is none or the header cannot be read.
    package var toTag: ByteRange { identity.first?.to.tag ?? tag(.to) }

    private func tag(_ name: HeaderName) -> ByteRange {
        guard let field = index.first(name),
            let address = try? NameAddress(RawSpan(_elements: bytes.span), at: Int(field.value.start), in: field)
        else { return .empty }
        return address.tag
    }

    package func cSeq() throws(SIPParseError) -> CSeq {
        if let known = identity.first { return known.cSeq }
        guard let field = index.first(.cSeq) else { throw SIPParseError(.missingHeader(.cSeq), at: headersEnd) }
        return try CSeq(RawSpan(_elements: bytes.span), field.value)
    }

    /// Max-Forwards, 0 to 255; `nil` when absent (RFC 3261 §16.3 step 3, §20.22).
    package func maxForwards() throws(SIPParseError) -> Int? {
        guard let field = index.first(.maxForwards) else { return nil }
        guard let value = number(field), value <= 255 else {
            throw SIPParseError(.malformedValue(.maxForwards), at: Int(field.value.start))
        }
        return Int(value)
    }

    /// The first header of that name as a decimal number of up to 32 bits, parameters after it ignored (Expires,
    /// Session-Expires, Retry-After, RSeq); `nil` when absent or no such number.
    package func leadingNumber(_ name: HeaderName) -> UInt32? {
        guard let field = index.first(name) else { return nil }
        let span = RawSpan(_elements: bytes.span)
        let start = Int(field.value.start)
        return Grammar.number(span, start, Grammar.skipDigits(span, start, Int(field.value.end)))
    }

    private func number(_ field: HeaderField) -> UInt32? {
        Grammar.number(RawSpan(_elements: bytes.span), Int(field.value.start), Int(field.value.end))
    }

    /// Appends the addresses of every header of that name in order, comma lists taken apart.
    ///
    /// - Returns: `false` when one cannot be read; those before it were appended.
    @discardableResult
    package func nameAddresses(_ name: HeaderName, into addresses: inout [NameAddress]) -> Bool {
        guard index.first(name) != nil else { return true }
        for field in index.fields where field.name == name {
            guard NameAddress.append(RawSpan(_elements: bytes.span), field, to: &addresses) else { return false }
        }
        return true
    }

    /// The first address of the first header of that name; `nil` when there is none that can be read.
    package func firstNameAddress(_ name: HeaderName) -> NameAddress? {
        guard let field = index.first(name) else { return nil }
        return try? NameAddress(RawSpan(_elements: bytes.span), at: Int(field.value.start), in: field)
    }

    /// The URI that the first element of a header field names; `nil` when it is absent or cannot be read.
    package func firstURI(_ name: HeaderName) -> ByteRange? {
        if let known = identity.first {
            if name == .from { return known.from.uri }
            if name == .to { return known.to.uri }
        }
        return firstNameAddress(name)?.uri
    }

    /// Whether a comma list (Supported, Require, Allow …) has `token`, in any case.
    package func lists(_ token: StaticString, in name: HeaderName) -> Bool {
        guard index.first(name) != nil else { return false }
        let span = RawSpan(_elements: bytes.span)
        for field in index.fields where field.name == name {
            let end = Int(field.value.end)
            var offset = Int(field.value.start)
            while offset < end {
                let start = Grammar.skipSpace(span, offset, end)
                var comma = start
                while comma < end, span[comma] != 0x2C { comma &+= 1 }
                let element = ByteRange(start: start, end: Grammar.trimmedEnd(span, start, comma))
                if Text.equalsIgnoringCase(bytes, element, token) { return true }
                offset = comma &+ 1
            }
        }
        return false
    }
}
