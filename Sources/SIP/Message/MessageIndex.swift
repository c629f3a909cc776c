// MessageIndex is what one pass over a message finds: the start line's parts, every header field, and where the body is
// (RFC 3261 §7, §18.3). Values are not looked into, Content-Length apart.
//
// A fault does not stop the pass: the first one is remembered and answered at the end, so that a message with a bad
// start line or one bad header still has its Vias, and can be told 400 or 505 (§16.3 step 1, §8.2.6).
//
// Lines end with CRLF; a bare LF is taken too, as files and some gateways send it. A bare CR is a byte like any other.
// Limits: 128 header fields, and 64 KiB by the caller. The index is reused: after the first messages nothing is
// allocated.

internal import Primitives

struct MessageIndex: Sendable {
    static let headerLimit = 128

    var isRequest = true
    var method = Method.other
    var methodText = ByteRange.empty
    var requestURI = ByteRange.empty
    var statusCode = 0
    var reasonPhrase = ByteRange.empty
    var firstLineEnd = 0
    var headersEnd = 0
    var body = ByteRange.empty
    var fields: ContiguousArray<HeaderField> = []
    /// The position in `fields` of the first header of each name, 255 where there is none.
    private var firsts = InlineArray<40, UInt8>(repeating: 255)
    /// Names, by the bit of their number, of which there are several fields.
    private var repeated: UInt64 = 0
    /// First letters of names that are not in the table: of each byte its lowest five bits, as the number of a bit.
    private(set) var otherInitials: UInt32 = 0
    private var fault: SIPParseError?
    /// Nothing was wrong with what was read last.
    var isSound: Bool { fault == nil }
    private let names = HeaderNameTable.shared

    init() {
        fields.reserveCapacity(Self.headerLimit)
    }

    @inline(__always)
    func first(_ name: HeaderName) -> HeaderField? {
        let position = Int(firsts[Int(name.rawValue)])
        return position < fields.count ? fields[position] : nil
    }

    @inline(__always)
    func has(_ name: HeaderName) -> Bool { firsts[Int(name.rawValue)] != 255 }

    /// Whether there are several fields of that name.
    func isRepeated(_ name: HeaderName) -> Bool { repeated >> UInt64(name.rawValue) & 1 != 0 }

    mutating func reset() {
        isRequest = true
        method = .other
        methodText = .empty
        requestURI = .empty
        statusCode = 0
        reasonPhrase = .empty
        firstLineEnd = 0
        headersEnd = 0
        body = .empty
        fields.removeAll(keepingCapacity: true)
        firsts = InlineArray(repeating: 255)
        repeated = 0
        otherInitials = 0
        fault = nil
    }

    /// Indexes a whole message and answers the first fault in it.
    mutating func read(_ bytes: [UInt8]) -> SIPParseError? {
        reset()
        let span = RawSpan(_elements: bytes.span)
        readStartLine(span)
        readHeaders(span)
        if headersEnd < span.byteCount {
            readBody(span)
        } else {
            body = ByteRange(start: span.byteCount, end: span.byteCount)
            note(.missingEmptyLine, span.byteCount)
        }
        return fault
    }

    private mutating func note(_ reason: SIPParseError.Reason, _ offset: Int) {
        if fault == nil { fault = SIPParseError(reason, at: offset) }
    }

    // MARK: Start line (§7.1, §7.2)

    private mutating func readStartLine(_ span: RawSpan) {
        let feed = Grammar.lineFeed(span, 0, span.byteCount)
        firstLineEnd = min(feed &+ 1, span.byteCount)
        let end = feed > 0 && span[feed &- 1] == 0x0D ? feed &- 1 : feed
        if Self.isVersion(span, 0, min(4, end)) {
            readStatusLine(span, end)
        } else {
            readRequestLine(span, end)
        }
    }

    /// Whether `start..<end` begins with `SIP/`, in any case.
    private static func isVersion(_ span: RawSpan, _ start: Int, _ end: Int) -> Bool {
        guard end &- start >= 4 else { return false }
        return span[start] | 0x20 == 0x73 && span[start &+ 1] | 0x20 == 0x69 && span[start &+ 2] | 0x20 == 0x70
            && span[start &+ 3] == 0x2F
    }

    private static func isTwoDotZero(_ span: RawSpan, _ start: Int, _ end: Int) -> Bool {
        end &- start == 7 && span[start &+ 4] == 0x32 && span[start &+ 5] == 0x2E && span[start &+ 6] == 0x30
    }

    private mutating func readRequestLine(_ span: RawSpan, _ end: Int) {
        isRequest = true
        let methodEnd = Grammar.skipToken(span, 0, end)
        methodText = ByteRange(start: 0, end: methodEnd)
        method = Method(span, methodText)
        guard methodEnd > 0, methodEnd < end, span[methodEnd] == 0x20 else {
            return note(.malformedStartLine, methodEnd)
        }
        let uriStart = methodEnd &+ 1
        var uriEnd = uriStart
        uriEnd = Grammar.skipVisible(span, uriEnd, end)
        requestURI = ByteRange(start: uriStart, end: uriEnd)
        guard uriEnd > uriStart, uriEnd < end, span[uriEnd] == 0x20, Self.isVersion(span, uriEnd &+ 1, end) else {
            return note(.malformedStartLine, uriEnd)
        }
        let versionEnd = Grammar.skipToken(span, uriEnd &+ 5, end)
        guard versionEnd == end else { return note(.malformedStartLine, versionEnd) }
        if !Self.isTwoDotZero(span, uriEnd &+ 1, end) { note(.unsupportedVersion, uriEnd &+ 1) }
    }

    private mutating func readStatusLine(_ span: RawSpan, _ end: Int) {
        isRequest = false
        let versionEnd = Grammar.skipToken(span, 4, end)
        let codeEnd = min(versionEnd &+ 4, end)
        let code = versionEnd < end ? Grammar.number(span, versionEnd &+ 1, codeEnd) ?? 0 : 0
        statusCode = Int(code)
        guard span.byteCount > versionEnd, versionEnd < end, span[versionEnd] == 0x20, codeEnd == versionEnd &+ 4,
            (100...699).contains(code), codeEnd == end || span[codeEnd] == 0x20
        else {
            statusCode = 0
            return note(.malformedStartLine, versionEnd)
        }
        let phraseStart = min(codeEnd &+ 1, end)
        reasonPhrase = ByteRange(start: phraseStart, end: end)
        if !Self.isTwoDotZero(span, 0, versionEnd) { note(.unsupportedVersion, 0) }
    }

    // MARK: Headers (§7.3)

    private mutating func readHeaders(_ span: RawSpan) {
        // Taken out and lent for all fields at once: an array that belongs to `self` asks each time whether it is
        // shared.
        var found: ContiguousArray<HeaderField> = []
        swap(&found, &fields)
        found.append(addingCapacity: Self.headerLimit) { readHeaders(span, into: &$0) }
        swap(&found, &fields)
    }

    private mutating func readHeaders(_ span: RawSpan, into found: inout OutputSpan<HeaderField>) {
        let count = span.byteCount
        var offset = firstLineEnd
        while offset < count {
            let byte = span[offset]
            if byte == 0x0A || (byte == 0x0D && offset &+ 1 < count && span[offset &+ 1] == 0x0A) {
                headersEnd = offset
                return
            }
            offset = readHeader(span, offset, count, into: &found)
        }
        headersEnd = count
    }

    /// Reads the header line at `start`, with its folds, and answers where the next line starts.
    @inline(__always)
    private mutating func readHeader(
        _ span: RawSpan, _ start: Int, _ count: Int, into found: inout OutputSpan<HeaderField>
    ) -> Int {
        var name = HeaderName.other
        var offset = start
        var hasColon = false
        if let packed = PackedName(upToColonIn: span, at: start) {
            name = names.find(packed)
            if name != .other || packed.count > 0 && Grammar.isPlainName(span, start, packed.count) {
                offset = start &+ packed.count
                hasColon = true
            }
        }
        if !hasColon { (name, offset, hasColon) = readName(span, start, count) }

        var feed = Grammar.lineFeed(span, offset, count)
        while feed &+ 1 < count, span[feed &+ 1] == 0x20 || span[feed &+ 1] == 0x09 {
            feed = Grammar.lineFeed(span, feed &+ 1, count)
        }
        let next = min(feed &+ 1, count)
        guard hasColon else {
            note(.malformedHeaderLine, start)
            return next
        }
        guard found.count < Self.headerLimit else {
            note(.tooManyHeaders(limit: Self.headerLimit), start)
            return next
        }
        let valueStart = Grammar.skipSpace(span, offset &+ 1, next)
        let valueEnd = Grammar.trimmedEnd(span, valueStart, next)
        if firsts[Int(name.rawValue)] == 255 {
            firsts[Int(name.rawValue)] = UInt8(truncatingIfNeeded: found.count)
        } else {
            repeated |= 1 << UInt64(name.rawValue)
        }
        if name == .other { otherInitials |= 1 &<< UInt32(truncatingIfNeeded: span[start] & 31) }
        found.append(
            HeaderField(
                name: name, line: ByteRange(start: start, end: next), value: ByteRange(start: valueStart, end: valueEnd)
            ))
        return next
    }

    /// The name of a header line, byte by byte: for what is unknown, malformed, or has space before its colon.
    private func readName(_ span: RawSpan, _ start: Int, _ count: Int) -> (HeaderName, end: Int, hasColon: Bool) {
        var packed = PackedName()
        var offset = start
        while offset < count {
            let byte = span[offset]
            guard Grammar.isToken(byte) else { break }
            packed.append(byte)
            offset &+= 1
        }
        let nameEnd = offset
        while offset < count, span[offset] == 0x20 || span[offset] == 0x09 { offset &+= 1 }
        let hasColon = nameEnd > start && offset < count && span[offset] == 0x3A
        return (names.find(packed), offset, hasColon)
    }

    // MARK: Body (§7.4, §18.3)

    private mutating func readBody(_ span: RawSpan) {
        let start = headersEnd &+ (span[headersEnd] == 0x0D ? 2 : 1)
        let available = span.byteCount &- start
        body = ByteRange(start: start, end: span.byteCount)
        guard let field = first(.contentLength) else { return }
        guard let length = Grammar.number(span, Int(field.value.start), Int(field.value.end)) else {
            return note(.malformedValue(.contentLength), Int(field.value.start))
        }
        for other in fields where isRepeated(.contentLength) && other.name == .contentLength && other != field {
            return note(.duplicateHeader(.contentLength), Int(other.line.start))
        }
        guard Int(length) <= available else { return note(.bodyTooShort, Int(field.value.start)) }
        body = ByteRange(start: start, end: start &+ Int(length))
    }
}
