// MessageEditor rewrites a message in one pass: cuts, replacements and insertions are collected against the message's
// own offsets, and `write` copies what lies between them (RFC 3261 §16.6: a proxy changes a few fields and must keep
// every other byte).
//
//     message  ──────────┤cut├────────▲──────┤replaced├──────────▶
//     out      ───────────────────[insert]──────[new]────────────▶
//
// Edits are kept in order of offset; equal offsets in order of calls. Where edits overlap, the later one's range starts
// where the earlier one's ended. Limit: 160 edits, which is more than a message of 128 header fields can need; further
// ones are refused and `isOverfull` says so. The editor is reused and allocates nothing once it has grown.

package import Primitives

package struct MessageEditor: Sendable {
    package static let limit = 160

    private struct Edit: Sendable {
        var start: Int
        var end: Int
        var fill: ByteRange
    }

    private var edits: ContiguousArray<Edit> = []
    /// Where the edit ends that reaches furthest; bytes that all of them add.
    private var (furthest, growth) = (0, 0)
    /// What edits put in: it is written here first, then said where it belongs (`insert(at:since:)`).
    package var fills = ByteWriter(capacity: 1_024)
    /// An edit was refused; the message written would be wrong and must not be sent.
    package private(set) var isOverfull = false

    package init() {
        edits.reserveCapacity(16)
    }

    /// Forgets all edits.
    package mutating func begin() {
        edits.removeAll(keepingCapacity: true)
        (furthest, growth) = (0, 0)
        fills.removeAll()
        isOverfull = false
    }

    package var isEmpty: Bool { edits.isEmpty }

    package mutating func remove(_ range: ByteRange) {
        add(Int(range.start), Int(range.end), .empty)
    }

    package mutating func replace(_ range: ByteRange, _ fill: (inout ByteWriter) -> Void) {
        let start = fills.count
        fill(&fills)
        add(Int(range.start), Int(range.end), ByteRange(start: start, end: fills.count))
    }

    package mutating func insert(at offset: Int, _ fill: (inout ByteWriter) -> Void) {
        let start = fills.count
        fill(&fills)
        add(offset, offset, ByteRange(start: start, end: fills.count))
    }

    /// What `fills` has had written to it since it was that long stands in the place of `range`.
    package mutating func replace(_ range: ByteRange, since start: Int) {
        add(Int(range.start), Int(range.end), ByteRange(start: start, end: fills.count))
    }

    /// The same, before what stands at `offset`.
    package mutating func insert(at offset: Int, since start: Int) {
        add(offset, offset, ByteRange(start: start, end: fills.count))
    }

    /// Cuts a via-parm so that what is left of its field stays well-formed.
    ///
    /// - Precondition: it is the first one of its field.
    package mutating func removeTopmost(_ via: Via) {
        remove(via.following == via.element.end ? via.field : Self.range(via.element.start, via.following))
    }

    /// Cuts the first `count` of a list that holds all Vias of a message.
    package mutating func removeLeading(_ count: Int, of vias: [Via]) {
        var position = 0
        while position < min(count, vias.count) {
            let first = vias[position]
            while position + 1 < min(count, vias.count), vias[position + 1].field == first.field { position += 1 }
            let last = vias[position]
            remove(last.following == last.element.end ? last.field : Self.range(first.element.start, last.following))
            position += 1
        }
    }

    /// Cuts the first `count` addresses of a list that holds all addresses of a header (as `Message.nameAddresses`
    /// answers it), leaving what remains well-formed.
    package mutating func removeLeading(_ count: Int, of addresses: [NameAddress]) {
        var position = 0
        while position < min(count, addresses.count) {
            let field = addresses[position].field
            let first = addresses[position]
            var last = position
            while last + 1 < min(count, addresses.count), addresses[last + 1].field == field { last += 1 }
            let isWhole = addresses[last].following == addresses[last].element.end
            remove(isWhole ? field : Self.range(first.element.start, addresses[last].following))
            position = last + 1
        }
    }

    /// Writes into a received request's topmost Via where it came from (RFC 3261 §18.2.1, RFC 3581 §4).
    package mutating func stamp(_ via: Via, of message: Message, source: Endpoint, forceRport: Bool) {
        let stamp = ViaStamp(via, message.bytes, source: source, forceRport: forceRport)
        guard stamp.changes else { return }
        let start = fills.count
        stamp.write(message.bytes, into: &fills)
        replace(via.element, since: start)
    }

    /// Appends the edited message to `out`.
    package func write(_ message: Message, into out: inout ByteWriter) {
        var room = message.bytes.count
        for index in edits.indices { room += edits[index].fill.count }
        out.put(atMost: room) { out in
            append(RawSpan(_elements: message.bytes.span), RawSpan(_elements: fills.bytes.span), to: &out)
        }
    }

    private func append(_ bytes: RawSpan, _ fills: RawSpan, to out: inout OutputSpan<UInt8>) {
        var cursor = 0
        for index in edits.indices {
            let (start, end, fill) = (edits[index].start, edits[index].end, edits[index].fill)
            if start > cursor {
                out.append(bytes.extracting(cursor..<min(start, bytes.byteCount)))
                cursor = min(start, bytes.byteCount)
            }
            if !fill.isEmpty { out.append(fills.extracting(fill.range)) }
            cursor = max(cursor, min(end, bytes.byteCount))
        }
        if cursor < bytes.byteCount { out.append(bytes.extracting(cursor..<bytes.byteCount)) }
    }

    /// The outline of the edited message; `nil` when an edit has changed what it tells.
    ///
    /// - Parameter callID: Where that is in the message before.
    /// - Precondition: No edit writes credentials.
    package func moved(_ outline: MessageOutline, callID: ByteRange) -> MessageOutline? {
        guard !isOverfull, furthest <= Int(outline.head) else { return nil }
        let (start, end) = (Int(callID.start), Int(callID.end))
        if furthest > start {
            for index in edits.indices where edits[index].start < end && edits[index].end > start { return nil }
        }
        var moved = outline
        moved.head &+= Int32(truncatingIfNeeded: growth)
        return moved
    }

    private static func range(_ start: Int32, _ end: Int32) -> ByteRange {
        ByteRange(start: Int(start), end: Int(end))
    }

    private mutating func add(_ start: Int, _ end: Int, _ fill: ByteRange) {
        guard edits.count < Self.limit else {
            isOverfull = true
            return
        }
        edits.append(Edit(start: start, end: end, fill: fill))
        furthest = max(furthest, end)
        growth &+= fill.count &- (end &- start)
        var position = edits.count &- 1
        while position > 0, edits[position &- 1].start > start {
            edits.swapAt(position, position &- 1)
            position &-= 1
        }
    }
}
