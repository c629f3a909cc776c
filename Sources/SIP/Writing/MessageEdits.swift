// MessageEdits collects what is to change in a message that was received, and writes the changed message at the end.
// Until then every reading sees the message as it came, so no edit depends on the order of the others.
//
//     received ──append, insert, remove, replace, body, Request-URI──▶ edits ──apply──▶ changed message
//
// An edit that does not fit is refused when it is made, or when the message is written: lines that are no header
// fields, two changes of the same bytes, more than MessageEditor takes, and a result that cannot be read or is another
// message than the one received. A refused edit changed nothing, and nothing wrong is ever written.
//
// Removing a line twice is removing it once: scripts do it.

package import Primitives

package struct MessageEdits: Equatable, Sendable {
    package enum Refusal: Error, Equatable, Sendable {
        /// A text that is no header line, or has an empty line in it.
        case notHeaderLines
        /// The same bytes were changed before.
        case overlap
        case tooManyEdits
        /// A Request-URI or body that cannot stand there.
        case badValue
        /// What would be sent cannot be read.
        case unreadable
        /// Its Call-ID, CSeq, tags or topmost Via would not be those that came.
        case anotherMessage
    }

    private struct Change: Equatable, Sendable {
        var range: ByteRange
        var fill: [UInt8]
    }

    private struct Body: Equatable, Sendable {
        var bytes: [UInt8]
        /// Its Content-Type; empty leaves that.
        var type: [UInt8]
    }

    private var changes: [Change] = []
    private var newBody: Body?
    private var newURI: [UInt8] = []

    package init() {}

    package var isEmpty: Bool { changes.isEmpty && newBody == nil && newURI.isEmpty }

    /// The Request-URI that was set; empty when it is the received one.
    package var requestURI: [UInt8] { newURI }

    // MARK: Making edits

    /// Adds header lines behind the last one.
    package mutating func append(_ lines: [UInt8], to message: Message) throws(Refusal) {
        try change(ByteRange(start: message.headersEnd, end: message.headersEnd), try Self.lines(lines))
    }

    /// Adds header lines before the first one.
    package mutating func insert(_ lines: [UInt8], to message: Message) throws(Refusal) {
        try change(ByteRange(start: message.firstLineEnd, end: message.firstLineEnd), try Self.lines(lines))
    }

    /// Adds header lines before or behind one field.
    package mutating func insert(_ lines: [UInt8], after: Bool, _ field: HeaderField) throws(Refusal) {
        let place = Int(after ? field.line.end : field.line.start)
        try change(ByteRange(start: place, end: place), try Self.lines(lines))
    }

    package mutating func remove(_ field: HeaderField) throws(Refusal) {
        guard !isRemoved(field) else { return }
        try change(field.line, [])
    }

    package func isRemoved(_ field: HeaderField) -> Bool {
        changes.contains { $0.range == field.line && $0.fill.isEmpty }
    }

    /// Writes other bytes in the place of some within a header's value.
    package mutating func replace(_ range: ByteRange, with fill: [UInt8]) throws(Refusal) {
        guard fill.allSatisfy({ $0 != 0x0D && $0 != 0x0A && $0 != 0 }) else { throw .badValue }
        if let index = changes.firstIndex(where: { $0.range == range && !range.isEmpty && !$0.fill.isEmpty }) {
            changes[index].fill = fill
            return
        }
        try change(range, fill)
    }

    package mutating func setBody(_ bytes: [UInt8], type: [UInt8]) throws(Refusal) {
        guard bytes.count <= Message.sizeLimit, type.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { throw .badValue }
        newBody = Body(bytes: bytes, type: type)
    }

    package mutating func setRequestURI(_ uri: [UInt8]) throws(Refusal) {
        guard let parts = try? URI(uri, ByteRange(uri)), parts.headers.isEmpty else { throw .badValue }
        newURI = uri
    }

    private mutating func change(_ range: ByteRange, _ fill: [UInt8]) throws(Refusal) {
        // The body, its length and type and the first line take up to four.
        guard changes.count < MessageEditor.limit - 4 else { throw .tooManyEdits }
        let overlaps = changes.contains { other in
            !range.isEmpty && !other.range.isEmpty && other.range.start < range.end && range.start < other.range.end
        }
        guard !overlaps else { throw .overlap }
        changes.append(Change(range: range, fill: fill))
    }

    /// Whole header lines, each with its CRLF: a bare LF becomes one, a missing last one is added.
    package static func lines(_ text: [UInt8]) throws(Refusal) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count + 2)
        for byte in text {
            if byte == 0x0A, out.last != 0x0D { out.append(0x0D) }
            out.append(byte)
        }
        if out.last != 0x0A { out += [0x0D, 0x0A] }
        let span = RawSpan(_elements: out.span)
        var start = 0
        while start < out.count {
            let end = Grammar.lineFeed(span, start, out.count)
            guard isLine(span, start, end) else { throw .notHeaderLines }
            start = end + 1
        }
        return out
    }

    /// Whether `start..<end` is `Name: value` with its CR, or a fold that is not the first line.
    private static func isLine(_ span: RawSpan, _ start: Int, _ end: Int) -> Bool {
        let last = end - 1
        guard last > start, span[last] == 0x0D else { return false }
        for index in start..<last where span[index] == 0 || span[index] == 0x0D { return false }
        if start > 0, Grammar.isSpace(span[start]) { return Grammar.skipSpace(span, start, last) < last }
        let colon = Grammar.skipSpace(span, Grammar.skipToken(span, start, last), last)
        return colon > start && colon < last && span[colon] == 0x3A && Grammar.isToken(span[start])
    }

    // MARK: Writing

    /// What writing needs, kept from message to message.
    package struct Tools: Sendable {
        fileprivate var editor = MessageEditor()
        fileprivate var result = Message()
        fileprivate var writer = ByteWriter(capacity: 4_096)

        package init() {}

        /// Exchanges the message that was written last, read and found good, for one that may be written over.
        package mutating func exchangeResult(with other: inout Message) { swap(&result, &other) }
    }

    /// The changed message. What is not changed is the same byte for byte.
    package func apply(to message: Message, using tools: inout Tools) throws(Refusal) -> [UInt8] {
        tools.editor.begin()
        for change in changes {
            let fill = change.fill
            tools.editor.replace(change.range) { $0.put(fill) }
        }
        try writeFirstLine(message, &tools.editor)
        if let body = newBody { try writeBody(body, message, &tools.editor) }
        guard !tools.editor.isOverfull else { throw .tooManyEdits }
        tools.writer.removeAll()
        tools.editor.write(message, into: &tools.writer)
        let bytes = tools.writer.copy()
        do throws(SIPParseError) {
            try tools.result.load(RawSpan(_elements: bytes.span))
            try tools.result.identify()
        } catch {
            throw .unreadable
        }
        guard Self.isSame(message, tools.result) else { throw .anotherMessage }
        return bytes
    }

    private func writeFirstLine(_ message: Message, _ editor: inout MessageEditor) throws(Refusal) {
        if !newURI.isEmpty {
            guard message.isRequest else { throw .badValue }
            let uri = newURI
            editor.replace(message.requestURI) { $0.put(uri) }
        }
    }

    private func writeBody(
        _ body: Body, _ message: Message, _ editor: inout MessageEditor
    ) throws(Refusal) {
        editor.replace(message.body) { $0.put(body.bytes) }
        var length = ByteWriter()
        length.putDecimal(UInt64(body.bytes.count))
        try set(.contentLength, length.bytes, message, &editor)
        if !body.type.isEmpty { try set(.contentType, body.type, message, &editor) }
    }

    private func set(
        _ name: HeaderName, _ value: [UInt8], _ message: Message, _ editor: inout MessageEditor
    ) throws(Refusal) {
        guard let field = message.first(name), !isRemoved(field) else {
            editor.insert(at: message.headersEnd) { writer in
                writer.put(name.text)
                writer.put(": ")
                writer.put(value)
                writer.put("\r\n")
            }
            return
        }
        let isChanged = changes.contains { $0.range.start >= field.value.start && $0.range.end <= field.value.end }
        guard !isChanged else { throw .overlap }
        editor.replace(field.value) { $0.put(value) }
    }

    /// Whether two messages are of the same transaction and dialog.
    private static func isSame(_ message: Message, _ other: Message) -> Bool {
        guard message.isRequest == other.isRequest, let via = try? message.topmostVia(),
            let otherVia = try? other.topmostVia(), let cSeq = try? message.cSeq(), let otherCSeq = try? other.cSeq()
        else { return false }
        let (bytes, otherBytes) = (message.bytes, other.bytes)
        func same(_ left: ByteRange, _ right: ByteRange) -> Bool { Text.same(bytes, left, otherBytes, right) }
        return same(via.element, otherVia.element) && same(message.callID, other.callID)
            && same(message.fromTag, other.fromTag) && same(message.toTag, other.toTag)
            && cSeq.number == otherCSeq.number && same(cSeq.methodText, otherCSeq.methodText)
    }
}
