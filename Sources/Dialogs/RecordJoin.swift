// RecordJoin makes one record of two: the least upper bound of both in the order that RecordFields fixes. It works on
// the bytes, so a record is never decoded to learn one fact.
//
//     canonical ──fields as they lie──────────────────────▶ ┐            ┌ nobody else has it: copied ─────────┐
//                                                           ├─ merged ─▶ │                                     ├▶ bytes
//     facts ──gather──▶ checked ──sort by (number, key)───▶ ┘            └ a group: reduced by its rule ───────┘
//                          ▲                                                     │
//                          └───────────── a message inside of a group ───────────┘
//
// Of a canonical record only the tags are read, but for the messages that facts speak of; what nobody else has is
// copied, neighbours together, and so is a fact that is written as a join would write it. A patch to a record of 600
// bytes costs little more than stepping over its fields once.
//
// Invariants: the result is canonical (fields ascending, map entries ascending by key, defaults left out, minimal
// varints), hence equal records are equal bytes; joining is commutative, associative and idempotent for all inputs,
// patches among them, as long as no bound is reached. Depth is fixed by the table (Record ▸ Out ▸ Side ▸ Target). At a
// bound the join throws and the record stays as it was; then replicas may differ, which digests show.

public import Primitives

public struct RecordJoin: Sendable {
    /// A field as it was found, or an entry of a map with its key.
    struct Found: Sendable {
        var number: UInt32
        var wireType: UInt8
        var isCanonical: Bool
        /// `key` was read, or there is none: of a canonical field they are not until somebody asks.
        var hasKey: Bool
        var start: Int32
        var payload: ByteRange
        var value: UInt64
        /// Of a map entry.
        var key = EntryKey()

        /// All of its bytes.
        var field: Range<Int> { Int(start)..<Int(payload.end) }

        init(_ field: WireField, isCanonical: Bool) {
            number = field.number
            wireType = field.wireType
            self.isCanonical = isCanonical
            hasKey = !isCanonical
            start = Int32(truncatingIfNeeded: field.start)
            payload = ByteRange(start: field.payload.lowerBound, end: field.payload.upperBound)
            value = field.value
        }
    }

    let table = RecordMessage.table
    /// Both inputs, one after the other, and a word of zeros.
    var input: [UInt8] = []
    /// A stack: the fields of the message being joined lie above those of the messages around it. What lies above `top`
    /// is left over.
    var found: [Found] = []
    var top = 0
    /// What the whole record that was joined last says.
    private(set) var state = DialogState.unconfirmed
    private(set) var flags: RecordFlags = []
    var hasPendings: Bool { counts.pendings > 0 && !tombstone }
    private(set) var tombstone = false
    /// The end of the dialog was told: its tombstone narrows.
    var isTold = false
    var settled = Settled()
    /// Nothing is over in the result that was not so in the canonical input, which therefore has nothing to drop.
    var dropsNothing = false
    /// What is in the result, of what has a bound.
    var counts = Counts()
    /// The last join went the short way (`OrderedJoin`).
    public private(set) var wasOrdered = false
    /// Bytes of 2xx that the result may have; what comes after them, in the order of the fields, is left out.
    var answerRoom = Int.max

    /// What the whole record says about its dropped parts.
    struct Settled: Sendable {
        var caller: UInt64 = 0
        var callee: UInt64 = 0
        /// The canonical input knew it already, so it has no answer left to drop.
        var isOld = false

        func covers(_ key: EntryKey) -> Bool {
            key.number & 0xffff_ffff <= (key.number >> 32 == 0 ? caller : callee)
        }
    }

    /// Groups of the record that are going to be kept.
    struct Counts: Sendable {
        var outs = 0, pendings = 0, adoptions = 0, stamped = 0, unknown = 0
        /// Bytes of variables, profile links and attributes, or more.
        var stampedBytes = 0
    }

    public init() {
        input.reserveCapacity(2_048)
        found.reserveCapacity(64)
    }

    /// Appends the join of two byte strings, either of which may be a record, a patch or empty.
    public static func join(_ a: RawSpan, _ b: RawSpan, into out: inout ByteWriter) throws(RecordError) {
        var join = RecordJoin()
        try join.join(a, b, isCanonical: false, into: &out)
    }

    /// Appends the join to `out`; on an error `out` is left as it was.
    ///
    /// - Parameters:
    ///   - isCanonical: Whether `a` came out of a join before. Then its untouched fields are copied.
    ///   - room: What the join may fill. A join that adds nothing to what is over it is refused as well.
    public mutating func join(
        _ a: RawSpan, _ b: RawSpan, isCanonical: Bool, room: RecordRoom = .whole, into out: inout ByteWriter
    ) throws(RecordError) {
        answerRoom = .max
        try joinWithin(a, b, isCanonical: isCanonical, room: room, into: &out)
    }

    /// The same for what a peer has in its record: where 2xx of several callees do not fit beside each other, the ones
    /// that come first stay, on whichever node. What else the facts say is learned.
    /// - Returns: `false` when one was left out.
    public mutating func joinAsFits(
        _ a: RawSpan, _ b: RawSpan, isCanonical: Bool, into out: inout ByteWriter
    ) throws(RecordError) -> Bool {
        answerRoom = .max
        do throws(RecordError) {
            try joinWithin(a, b, isCanonical: isCanonical, room: .whole, into: &out)
            return true
        } catch {
            guard case .tooLarge = error else { throw error }
            answerRoom = RecordLimits.bytes - RecordLimits.earlyBytes
            try joinWithin(a, b, isCanonical: false, room: .whole, into: &out)
            return false
        }
    }

    private mutating func joinWithin(
        _ a: RawSpan, _ b: RawSpan, isCanonical: Bool, room: RecordRoom, into out: inout ByteWriter
    ) throws(RecordError) {
        guard a.byteCount <= RecordLimits.bytes, b.byteCount <= RecordLimits.bytes else {
            throw .tooLarge(limit: RecordLimits.bytes)
        }
        input.removeAll(keepingCapacity: true)
        input.append(a)
        input.append(b)
        let end = input.count
        input.append(8, of: 0)
        wasOrdered =
            (isCanonical || a.byteCount == 0) && answerRoom == .max && joinInOrder(a.byteCount, end, room, into: &out)
        if wasOrdered { return }
        top = 0
        counts = Counts()
        let start = out.count
        do throws(RecordError) {
            if isCanonical { try gatherAsTheyLie(0..<a.byteCount) }
            let middle = top
            if !isCanonical { try gather(.record, 0..<a.byteCount) }
            try gather(.record, a.byteCount..<end)
            sort(from: middle)
            learnWhatIsOver()
            try merge(.record, from: 0, middle, into: &out)
            try counts.check(room, tombstone: tombstone)
            // What scripts have written takes nothing of what an INVITE may fill.
            let limit = min(RecordLimits.bytes, room.bytes + counts.stampedBytes)
            guard out.count - start <= limit else { throw RecordError.tooLarge(limit: limit) }
        } catch {
            out.bytes.removeLast(out.count - start)
            throw error
        }
    }

    /// Joins what is in `input` the short way, where that can be done and nothing is beyond a bound; else `out` is left
    /// as it was.
    private mutating func joinInOrder(_ middle: Int, _ end: Int, _ room: RecordRoom, into out: inout ByteWriter) -> Bool
    {
        var join = OrderedJoin(table: table)
        let start = out.count
        guard Self.join(input, middle, end, by: &join, into: &out), isWithin(room, join, out.count - start) else {
            out.bytes.removeLast(out.count - start)
            return false
        }
        state = DialogState(rawValue: UInt8(truncatingIfNeeded: join.state)) ?? .unconfirmed
        (flags, tombstone, counts) = (join.flags, join.tombstone, join.counts)
        return true
    }

    private static func join(
        _ input: [UInt8], _ middle: Int, _ end: Int, by join: inout OrderedJoin, into out: inout ByteWriter
    ) -> Bool {
        var isDone = false
        // Of two messages that become one, one length is left, which is no longer than both.
        out.bytes.append(addingCapacity: input.count) { output in
            isDone = join.join(
                0..<middle, middle..<end, of: RawSpan(_elements: input.span), into: &output)
        }
        return isDone
    }

    private func isWithin(_ room: RecordRoom, _ join: OrderedJoin, _ count: Int) -> Bool {
        do throws(RecordError) {
            try join.counts.check(room, tombstone: join.tombstone)
            return count <= min(RecordLimits.bytes, room.bytes + join.counts.stampedBytes)
        } catch {
            return false  // What is beyond its bound the long way says.
        }
    }

    // MARK: What is over

    private mutating func learnWhatIsOver() {
        settled = Settled()
        var (highest, all, was) = (UInt64(0), UInt64(0), Settled())
        var (wasState, wasFlags) = (UInt64(0), UInt64(0))
        for index in 0..<top {
            let number = found[index].number
            guard number <= RecordField.settledCallee.rawValue, number >= RecordField.state.rawValue else { continue }
            let (value, isCanonical) = (found[index].value, found[index].isCanonical)
            switch number {
            case RecordField.state.rawValue:
                highest = max(highest, value)
                if isCanonical { wasState = value }
            case RecordField.flags.rawValue:
                all |= value
                if isCanonical { wasFlags = value }
            case RecordField.settledCaller.rawValue:
                settled.caller = max(settled.caller, value)
                if isCanonical { was.caller = value }
            case RecordField.settledCallee.rawValue:
                settled.callee = max(settled.callee, value)
                if isCanonical { was.callee = value }
            default: break
            }
        }
        settled.isOld = was.caller > 0
        state = DialogState(rawValue: UInt8(truncatingIfNeeded: highest)) ?? .unconfirmed
        flags = RecordFlags(rawValue: all)
        tombstone = state == .deleted
        isTold = flags.contains(.toldEnd)
        let isOver =
            tombstone && (wasState != highest || isTold && !RecordFlags(rawValue: wasFlags).contains(.toldEnd))
        dropsNothing = !isOver && settled.caller == was.caller && settled.callee == was.callee
    }

    /// Whether a pending, or an adoption, is of an INVITE that is settled. One whose key nobody has asked for is none
    /// of them: it was there, and nothing has been settled since.
    func isGone(_ index: Int) -> Bool {
        found[index].hasKey && settled.covers(found[index].key)
    }

    // MARK: Bounds

    /// Counts a group of the record by its first field.
    mutating func count(_ index: Int) {
        counts.add(found[index].number, payload: found[index].payload.count, isGone: isGone(index))
    }
}

extension RecordJoin.Counts {
    /// Counts a group by its first field.
    mutating func add(_ number: UInt32, payload: Int, isGone: Bool) {
        switch number {
        case RecordField.outs.rawValue: outs += 1
        case RecordField.pendings.rawValue: pendings += isGone ? 0 : 1
        case RecordField.adoptions.rawValue: adoptions += isGone ? 0 : 1
        case RecordField.variables.rawValue, RecordField.profiles.rawValue, RecordField.attributes.rawValue:
            stamped += 1
            stampedBytes += payload + 3
        default: unknown += RecordField(rawValue: number) == nil ? 1 : 0
        }
    }

    func check(_ room: RecordRoom, tombstone: Bool) throws(RecordError) {
        guard outs <= room.outs else { throw .tooMany(field: RecordField.outs.rawValue, limit: room.outs) }
        guard !tombstone else { return }
        guard pendings <= RecordLimits.pendings else {
            throw .tooMany(field: RecordField.pendings.rawValue, limit: RecordLimits.pendings)
        }
        guard adoptions <= RecordLimits.adoptions else {
            throw .tooMany(field: RecordField.adoptions.rawValue, limit: RecordLimits.adoptions)
        }
        guard stamped <= RecordLimits.stamped else {
            throw .tooMany(field: RecordField.variables.rawValue, limit: RecordLimits.stamped)
        }
        guard unknown <= RecordLimits.unknown else { throw .tooMany(field: 0, limit: RecordLimits.unknown) }
    }
}
