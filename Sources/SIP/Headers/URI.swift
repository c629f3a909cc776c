// URI takes a SIP, SIPS or tel URI apart in place (RFC 3261 §19.1, RFC 3966); any other scheme is kept whole.
//
//     sip:user:password@host:port;parameters?headers
//
// Escapes are kept as they are written: a proxy must not unescape a Request-URI (RFC 4475 §3.1.1.3). The user part may
// hold `;`, `?` and `/` (§3.1.1.2), so the `@` is looked for first. Parts are ranges into the bytes given, empty when
// absent.

package import Primitives

package struct URI: Equatable, Sendable {
    package enum Scheme: UInt8, Sendable {
        case sip, sips, tel, other

        /// Written out as that of `Method`.
        package static func == (left: Scheme, right: Scheme) -> Bool { left.rawValue == right.rawValue }
    }

    package var scheme: Scheme
    /// The user without a password; the number of a tel URI.
    package var user = ByteRange.empty
    package var password = ByteRange.empty
    /// An IPv6 reference with its brackets.
    package var host = ByteRange.empty
    package var port: UInt16?
    /// From the first `;` on.
    package var parameters = ByteRange.empty
    /// From the `?` on.
    package var headers = ByteRange.empty
    /// The whole URI.
    package var whole: ByteRange

    /// Takes `bytes[range]` apart.
    package init(_ bytes: [UInt8], _ range: ByteRange) throws(SIPParseError) {
        try self.init(RawSpan(_elements: bytes.span), range)
    }

    init(_ span: RawSpan, _ range: ByteRange) throws(SIPParseError) {
        let (start, end) = (Int(range.start), Int(range.end))
        whole = range
        guard Grammar.hasScheme(span, start, end), Grammar.skipURIBytes(span, start, end) == end else {
            throw SIPParseError(.malformedURI, at: start)
        }
        var colon = start
        var word: UInt64 = 0
        while span[colon] != 0x3A {
            word = word << 8 | UInt64(span[colon] | 0x20)
            colon &+= 1
        }
        switch (word, colon &- start) {
        case (0x73_6970, 3): scheme = .sip
        case (0x7369_7073, 4): scheme = .sips
        case (0x74_656C, 3): scheme = .tel
        default: scheme = .other
        }
        switch scheme {
        case .sip, .sips: try readSIP(span, colon &+ 1, end)
        case .tel:
            var index = colon &+ 1
            while index < end, span[index] != 0x3B { index &+= 1 }
            guard index > colon &+ 1 else { throw SIPParseError(.malformedURI, at: start) }
            user = ByteRange(start: colon &+ 1, end: index)
            parameters = ByteRange(start: index, end: end)
        case .other: break
        }
    }

    private mutating func readSIP(_ span: RawSpan, _ start: Int, _ end: Int) throws(SIPParseError) {
        let failure = SIPParseError(.malformedURI, at: start)
        var hostStart = start
        var index = Grammar.find(0x40, span, start, end)
        if index < end {
            let userEnd = Grammar.find(0x3A, span, start, index)
            guard userEnd > start else { throw failure }
            user = ByteRange(start: start, end: userEnd)
            if userEnd < index { password = ByteRange(start: userEnd &+ 1, end: index) }
            hostStart = index &+ 1
        }
        guard let hostEnd = Grammar.skipHost(span, hostStart, end) else { throw failure }
        host = ByteRange(start: hostStart, end: hostEnd)
        index = hostEnd
        if index < end, span[index] == 0x3A {
            index = Grammar.skipDigits(span, hostEnd &+ 1, end)
            guard let number = Grammar.port(span, hostEnd &+ 1, index) else { throw failure }
            port = number
        }
        guard index < end else { return }
        guard span[index] == 0x3B || span[index] == 0x3F else { throw failure }
        let parametersStart = index
        index = Grammar.find(0x3F, span, index, end)
        parameters = ByteRange(start: parametersStart, end: index)
        headers = ByteRange(start: index, end: end)
    }

    /// What of the URI in `range` may stand in a Request-URI: all but its headers (RFC 3261 §19.1.1). What cannot be
    /// read stays as it is.
    package static func withoutHeaders(_ bytes: [UInt8], _ range: ByteRange) -> ByteRange {
        let end = Int(range.end)
        guard Grammar.find(0x3F, RawSpan(_elements: bytes.span), Int(range.start), end) < end,  // Hardly any has one.
            let uri = try? URI(bytes, range), !uri.headers.isEmpty
        else { return range }
        return ByteRange(start: Int(range.start), end: Int(uri.headers.start))
    }

    /// The value of a URI parameter; an empty range when it has none; `nil` when it is absent.
    package func parameter(_ name: StaticString, in bytes: [UInt8]) -> ByteRange? {
        guard !parameters.isEmpty else { return nil }
        let span = RawSpan(_elements: bytes.span)
        let end = Int(parameters.end)
        // A comma ends the list that `Parameters` reads, and hardly any URI has one: there are no quotes in a URI, nor
        // spaces, so from semicolon to semicolon is a parameter.
        guard Grammar.find(0x2C, span, Int(parameters.start), end) == end else {
            return Parameters.value(name, in: bytes, parameters)
        }
        let count = name.utf8CodeUnitCount
        var offset = Int(parameters.start)
        while offset < end {
            let start = offset &+ 1
            let after = start &+ count
            offset = Grammar.find(0x3B, span, start, end)
            guard after <= offset, after == offset || !Grammar.isToken(span[after]),
                Text.equalsIgnoringCase(bytes, ByteRange(start: start, end: after), name)
            else { continue }
            guard after < offset, span[after] == 0x3D else { return ByteRange(start: after, end: after) }
            return ByteRange(start: after &+ 1, end: Grammar.skipParameterValue(span, after &+ 1, end))
        }
        return nil
    }

    /// Whether the element that the URI names routes loosely: it has an `lr` parameter, of any value (RFC 3261
    /// §19.1.1).
    package func hasLooseRoute(in bytes: [UInt8]) -> Bool { parameter("lr", in: bytes) != nil }

    /// The transport parameter, `nil` when there is none.
    package func transport(in bytes: [UInt8]) -> TransportProtocol? {
        guard let value = parameter("transport", in: bytes) else { return nil }
        return TransportProtocol(bytes, value)
    }

    /// The port written, or the one that the scheme and transport imply (RFC 3261 §19.1.2, RFC 7118 §5).
    package func effectivePort(in bytes: [UInt8]) -> UInt16 {
        if let port { return port }
        let transport = transport(in: bytes) ?? .udp
        switch (scheme, transport) {
        case (.sips, .ws), (_, .wss): return 443
        case (.sips, _): return 5061
        default: return transport.defaultPort
        }
    }

    /// Writes the parameters as they stand, without those of these names.
    package func writeParameters(in bytes: [UInt8], but names: [StaticString], into writer: inout ByteWriter) {
        let end = Int(parameters.end)
        var start = Int(parameters.start)
        while start < end {
            var stop = start + 1
            while stop < end, bytes[stop] != UInt8(ascii: ";") { stop += 1 }
            var nameEnd = start + 1
            while nameEnd < stop, bytes[nameEnd] != UInt8(ascii: "=") { nameEnd += 1 }
            let name = ByteRange(start: start + 1, end: nameEnd)
            if !names.contains(where: { Text.equalsIgnoringCase(bytes, name, $0) }) {
                writer.put(bytes, ByteRange(start: start, end: stop))
            }
            start = stop
        }
    }
}
