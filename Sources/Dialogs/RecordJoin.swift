// RecordJoin makes one record of two: the least upper bound of both in the order that RecordFields fixes. It works on
// the bytes, so a record is never decoded to learn one fact.
//
//     a ++ b ──gather──▶ fields of both messages ──sort by (number, key)──▶ groups ──reduce by rule──▶ canonical bytes
//                            ▲                                                 │
//                            └───────────── a message inside of a group ───────┘
//
// A field that stands alone and comes from a canonical record is copied as it is, and neighbours together, so a patch
// to a record of 600 bytes costs little more than walking over it once.
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
        var start: Int32
        var payload: ByteRange
        var value: UInt64
        /// Bytes of the key of a map entry, then, for a pending, leg and CSeq.
        var key = ByteRange.empty
        var subkey: UInt64 = 0
    }

    /// Both inputs, one after the other.
    var input: [UInt8] = []
    /// A stack: the fields of the message being joined lie above those of the messages around it.
    var found: [Found] = []
    var tombstone = false
    /// The end of the dialog was told: its tombstone narrows.
    var isTold = false
    var settled = Settled()
    /// Bytes of 2xx that the result may have; what comes after them, in the order of the fields, is left out.
    var answerRoom = Int.max
    /// Bytes of variables, profile links and attributes, or more.
    private var stampedBytes = 0

    /// What the whole record says about its dropped parts.
    struct Settled: Sendable {
        var caller: UInt64 = 0
        var callee: UInt64 = 0
        /// The canonical input knew it already, so it has nothing left to drop.
        var isOld = false

        func covers(leg: UInt64, cseq: UInt64) -> Bool {
            cseq <= (leg == 0 ? caller : callee)
        }
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
        found.removeAll(keepingCapacity: true)
        input.append(a)
        input.append(b)
        let start = out.count
        do throws(RecordError) {
            try gather(.record, 0..<a.byteCount, isCanonical: isCanonical)
            try gather(.record, a.byteCount..<input.count, isCanonical: false)
            sort(from: 0)
            learnWhatIsOver()
            try checkCounts(room)
            try reduceAll(.record, from: 0, into: &out)
            // What scripts have written takes nothing of what an INVITE may fill.
            let limit = min(RecordLimits.bytes, room.bytes + stampedBytes)
            guard out.count - start <= limit else { throw RecordError.tooLarge(limit: limit) }
        } catch {
            out.bytes.removeLast(out.count - start)
            throw error
        }
    }

    private mutating func learnWhatIsOver() {
        tombstone = false
        isTold = false
        settled = Settled()
        for field in found {
            switch field.number {
            case RecordField.state.rawValue:
                tombstone = tombstone || field.value == UInt64(DialogState.deleted.rawValue)
            case RecordField.flags.rawValue:
                isTold = isTold || RecordFlags(rawValue: field.value).contains(.toldEnd)
            case RecordField.settledCaller.rawValue:
                settled.caller = max(settled.caller, field.value)
                settled.isOld = settled.isOld || (field.isCanonical && field.value > 0)
            case RecordField.settledCallee.rawValue:
                settled.callee = max(settled.callee, field.value)
            default: break
            }
        }
    }

    /// Counts the groups of the sorted record that are going to be kept.
    private mutating func checkCounts(_ room: RecordRoom) throws(RecordError) {
        stampedBytes = 0
        guard !tombstone || found.count > RecordLimits.outs else { return }
        var outs = 0, pendings = 0, adoptions = 0, stamped = 0, unknown = 0
        for index in found.indices where index == 0 || !isSameGroup(index - 1, index) {
            let field = found[index]
            switch RecordField(rawValue: field.number) {
            case .outs: outs += 1
            case .pendings: pendings += isSettled(field) ? 0 : 1
            case .adoptions: adoptions += isSettled(field) ? 0 : 1
            case .variables, .profiles, .attributes:
                stamped += 1
                stampedBytes += field.payload.count + 3
            case nil: unknown += 1
            default: break
            }
        }
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

    func isSettled(_ pending: Found) -> Bool {
        settled.covers(leg: pending.subkey >> 32, cseq: pending.subkey & 0xffff_ffff)
    }

    // MARK: Gathering

    /// Puts the fields of one message on the stack, checked against the table.
    mutating func gather(
        _ message: RecordMessage, _ range: Range<Int>, isCanonical: Bool
    ) throws(RecordError) {
        try Self.gather(message, range, of: input, isCanonical: isCanonical, into: &found)
    }

    private static func gather(
        _ message: RecordMessage, _ range: Range<Int>, of input: [UInt8], isCanonical: Bool, into found: inout [Found]
    ) throws(RecordError) {
        let bytes = RawSpan(_elements: input.span)
        var reader = ProtobufReader(range)
        while let field = try reader.next(in: bytes) {
            var entry = Found(
                number: field.number, wireType: field.wireType, isCanonical: isCanonical, start: Int32(field.start),
                payload: ByteRange(start: field.payload.lowerBound, end: field.payload.upperBound), value: field.value)
            var isRight = true
            switch message.rule(field.number) {
            case .max(let most), .or(let most), .leastNonzero(let most):
                isRight = field.wireType == ProtobufReader.varint
                if isRight, field.value > most { throw .outOfRange(field: field.number) }
            case .largerBytes, .leastBytes, .presentBytes, .joined, .picked:
                isRight = field.wireType == ProtobufReader.lengthDelimited
            case .joinedMap(let inner), .pickedMap(let inner):
                isRight = field.wireType == ProtobufReader.lengthDelimited
                if isRight { try readKey(of: &entry, inner, in: bytes) }
            case .dropped, .unknown: break
            }
            guard isRight else { throw .wrongWireType(field: field.number) }
            guard found.count < RecordLimits.fields else { throw .tooMany(field: 0, limit: RecordLimits.fields) }
            found.append(entry)
        }
    }

    /// Reads what tells the entries of a map apart: field 1 of each, and of a pending its leg and CSeq.
    private static func readKey(
        of entry: inout Found, _ message: RecordMessage, in bytes: borrowing RawSpan
    ) throws(RecordError) {
        let key = PendingField.branch.rawValue  // As `OutField.toTag` and `StampedField.key`.
        let last = message == .pending ? PendingField.cseq.rawValue : key
        var reader = ProtobufReader(entry.payload.range)
        var leg: UInt64 = 0
        var cseq: UInt64 = 0
        while let field = try reader.next(in: bytes) {
            if field.number == key {
                guard field.wireType == ProtobufReader.lengthDelimited else { throw .wrongWireType(field: key) }
                let found = ByteRange(start: field.payload.lowerBound, end: field.payload.upperBound)
                if compare(bytes, entry.key, found) < 0 { entry.key = found }
            } else if field.number <= last {
                guard field.wireType == ProtobufReader.varint else { throw .wrongWireType(field: field.number) }
                guard field.value <= UInt64(UInt32.max) else { throw .outOfRange(field: field.number) }
                if field.number == PendingField.leg.rawValue {
                    leg = max(leg, field.value)
                } else {
                    cseq = max(cseq, field.value)
                }
            }
            // Keys come first in canonical entries; what follows was checked when it was joined.
            if entry.isCanonical, field.number >= last { break }
        }
        entry.subkey = leg << 32 | cseq
    }

    private static func compare(_ bytes: borrowing RawSpan, _ left: ByteRange, _ right: ByteRange) -> Int {
        bytes.extracting(left.range).compared(to: bytes.extracting(right.range))
    }

    // MARK: Order

    /// Sorts the top of the stack by number and key, stably. Two ascending runs, one of them short, are the usual case.
    mutating func sort(from base: Int) {
        guard found.count - base > 1 else { return }
        Self.sort(&found, from: base, of: input)
    }

    private static func sort(_ found: inout [Found], from base: Int, of input: [UInt8]) {
        let bytes = RawSpan(_elements: input.span)
        var fields = found.mutableSpan
        for index in base + 1..<fields.count {
            guard fields[index].number <= fields[index - 1].number, precedes(fields[index], fields[index - 1], bytes)
            else { continue }
            let field = fields[index]
            var place = index
            repeat {
                fields[place] = fields[place - 1]
                place -= 1
            } while place > base && precedes(field, fields[place - 1], bytes)
            fields[place] = field
        }
    }

    private static func precedes(_ left: Found, _ right: Found, _ bytes: borrowing RawSpan) -> Bool {
        if left.number != right.number { return left.number < right.number }
        let order = compare(bytes, left.key, right.key)
        return order == 0 ? left.subkey < right.subkey : order < 0
    }

    func isSameGroup(_ left: Int, _ right: Int) -> Bool {
        guard found[left].number == found[right].number else { return false }
        return found[left].subkey == found[right].subkey
            && Self.compare(RawSpan(_elements: input.span), found[left].key, found[right].key) == 0
    }
}
