// The second third of the join: the fields of the canonical message and those of the facts, both in order, are gone
// through side by side. What stays as it is, is copied in runs; the other groups are reduced.

internal import Primitives

extension RecordJoin {
    /// Fields of one number and key: of the canonical message one at most, which is the first then.
    struct Group {
        var first: Int
        var rest: Range<Int>
    }

    /// Neighbours in the input that are to be copied as they are.
    struct Run {
        private var range = ByteRange.empty

        mutating func add(_ field: Found, of input: [UInt8], into out: inout ByteWriter) {
            add(from: field, to: field, of: input, into: &out)
        }

        /// Neighbours, from the first to the last of them.
        mutating func add(from first: Found, to last: Found, of input: [UInt8], into out: inout ByteWriter) {
            if range.isEmpty || range.end != first.start {
                flush(input, into: &out)
                range.start = first.start
            }
            range.end = last.payload.end
        }

        mutating func flush(_ input: [UInt8], into out: inout ByteWriter) {
            guard !range.isEmpty else { return }
            out.put(input, range)
            range = .empty
        }
    }

    /// Writes the join of the messages on the stack, a canonical one from `base` and facts from `middle` on, and takes
    /// them off.
    mutating func merge(
        _ message: RecordMessage, from base: Int, _ middle: Int, into out: inout ByteWriter
    ) throws(RecordError) {
        let (isRecord, last) = (message == .record, top)
        var (own, other, run) = (base, middle, Run())
        while own < middle || other < last {
            let ahead = endOfStaying(own, middle, before: other, message)
            if ahead > own {
                run.add(from: found[own], to: found[ahead - 1], of: input, into: &out)
                own = ahead
                continue
            }
            var isAlone = other == last
            if !isAlone, own < middle { isAlone = try isAhead(own, of: other, isRecord) }
            if own < middle, isAlone {
                if isRecord, found[own].number >= RecordField.attributes.rawValue {
                    if !dropsNothing { try loadKey(own) }
                    count(own)
                }
                switch fate(own, message) {
                case .stays: run.add(found[own], of: input, into: &out)
                case .goes: break
                case .changes: try reduce(message, Group(first: own, rest: own..<own), &run, into: &out)
                }
                own += 1
                continue
            }
            var next = other + 1
            while next < last, order(other, next) == 0 { next += 1 }
            var group = Group(first: other, rest: other + 1..<next)
            if own < middle, order(own, other) == 0 {
                group = Group(first: own, rest: other..<next)
                own += 1
            }
            if isRecord, found[other].number >= RecordField.attributes.rawValue { count(group.first) }
            try reduce(message, group, &run, into: &out)
            other = next
        }
        run.flush(input, into: &out)
        top = base
    }

    /// Past the canonical fields from `own` on whose number alone says that they stay as they are: it is below that of
    /// the next fact, and nothing of that message is dropped or counted.
    private func endOfStaying(_ own: Int, _ middle: Int, before other: Int, _ message: RecordMessage) -> Int {
        var limit = other < top ? found[other].number : .max
        switch message {
        case .record where dropsNothing: limit = min(limit, RecordField.attributes.rawValue)
        case .record, .settledOut, .deletedOut, .deletedSide: return own
        default: break
        }
        var end = own
        while end < middle, found[end].number < limit { end += 1 }
        return end
    }

    /// Whether the canonical field comes before the group of the fact.
    private mutating func isAhead(_ own: Int, of other: Int, _ isRecord: Bool) throws(RecordError) -> Bool {
        let number = found[own].number
        guard number == found[other].number else { return number < found[other].number }
        if isRecord { try loadKey(own) }
        return order(own, other) < 0
    }

    /// What becomes of a canonical field that nobody else has.
    private enum Fate {
        /// It is the same bytes in the result.
        case stays
        case goes
        /// Less of it is left.
        case changes
    }

    private func fate(_ index: Int, _ message: RecordMessage) -> Fate {
        let number = found[index].number
        switch message {
        case .record:
            if dropsNothing { return .stays }
            switch number {
            case RecordField.caller.rawValue: return tombstone ? .changes : .stays
            case RecordField.outs.rawValue:
                return !tombstone && (settled.caller == 0 || settled.isOld) ? .stays : .changes
            case RecordField.pendings.rawValue, RecordField.adoptions.rawValue:
                return tombstone || isGone(index) ? .goes : .stays
            default: return isDropped(table[message, number]) ? .goes : .stays
            }
        case .settledOut: return number == OutField.answer.rawValue ? .goes : .stays
        case .deletedOut:
            if number == OutField.side.rawValue { return .changes }
            return number == OutField.toTag.rawValue || number == OutField.state.rawValue ? .stays : .goes
        case .deletedSide: return number == SideField.shift.rawValue ? .stays : .goes
        default: return .stays
        }
    }

    func isDropped(_ row: RecordMessage.Row) -> Bool { row.isDropped(tombstone: tombstone, isTold: isTold) }

    /// Whether the contents of a message are the bytes that a join would write of them: a fact of that kind is copied.
    /// Messages inside of the record have no maps.
    func isCanonical(_ message: RecordMessage, _ range: ByteRange) -> Bool {
        var room = RecordLimits.fields - top
        do throws(RecordError) {
            return try Self.isCanonical(message, range.range, of: RawSpan(_elements: input.span), by: table, &room)
        } catch {
            return false  // Whoever joins it says what is wrong with it.
        }
    }

    static func isCanonical(
        _ message: RecordMessage, _ range: Range<Int>, of bytes: borrowing RawSpan, by table: RecordMessage.Table,
        _ room: inout Int
    ) throws(RecordError) -> Bool {
        var reader = ProtobufReader(range)
        var last: UInt32 = 0
        while let field = try reader.next(in: bytes) {
            guard field.number > last, room > 0 else { return false }
            last = field.number
            room -= 1
            switch table[message, field.number].rule {
            case .max(let most), .or(let most), .leastNonzero(let most):
                guard field.wireType == ProtobufReader.varint, field.value > 0, field.value <= most else {
                    return false
                }
            case .largerBytes, .leastBytes:
                guard field.wireType == ProtobufReader.lengthDelimited, !field.payload.isEmpty else { return false }
            case .presentBytes:
                guard field.wireType == ProtobufReader.lengthDelimited else { return false }
            case .joined(let inner), .picked(let inner):
                guard field.wireType == ProtobufReader.lengthDelimited, !field.payload.isEmpty,
                    try isCanonical(inner, field.payload, of: bytes, by: table, &room)
                else { return false }
            case .joinedMap, .pickedMap, .dropped: return false
            case .unknown: break
            }
        }
        return true
    }
}
