// OrderedJoin is the short way of a join: for a canonical record, and facts that are written as a join would write
// them, fields and entries ascending, nothing twice, no defaults. Nearly all facts are that a node writes. Both are
// gone through side by side, once, and what stays as it is is copied in runs; of a field that was passed nothing is
// kept.
//
// What it needs to know of the dialog it knows in time: state, flags and settled INVITEs have lower numbers than what
// goes with them.
//
// It answers whether it could. Where it could not, for whatever reason, RecordJoin does the same the long way, and says
// what is wrong if something is: so the two must agree, byte for byte (`OrderedJoinTests`).

internal import Primitives

struct OrderedJoin {
    private typealias Rule = RecordMessage.Rule

    private let table: RecordMessage.Table
    private(set) var state: UInt64 = 0
    private(set) var flags: RecordFlags = []
    private(set) var tombstone = false
    private(set) var counts = RecordJoin.Counts()
    private var settled = RecordJoin.Settled()
    /// INVITEs are settled that the record did not know of.
    private var settlesMore = false
    /// Fields of facts that may still come: fewer than the long way would take.
    private var room = RecordLimits.fields / 4

    init(table: RecordMessage.Table) {
        self.table = table
    }

    private var isTold: Bool { flags.contains(.toldEnd) }

    // MARK: The record

    /// Writes the join of a record and facts, which both lie in `bytes`, with a word of anything behind them.
    /// - Returns: `false` where they are to be joined the long way; what was written then is of no use.
    mutating func join(
        _ own: Range<Int>, _ facts: Range<Int>, of bytes: RawSpan, into out: inout OutputSpan<UInt8>
    ) -> Bool {
        var (mine, fact, run) = (FieldCursor(own), FieldCursor(facts), FieldRun())
        mine.advance(in: bytes)
        fact.advance(in: bytes)
        var key = EntryKey?.none
        guard isInOrder(&fact, after: 0, &key, in: bytes) else { return false }
        while true {
            passPlain(&mine, before: fact.number, &run, of: bytes, into: &out)
            var order = mine.number < fact.number ? -1 : mine.number == fact.number ? 0 : 1
            if order == 0 {
                guard fact.number != FieldCursor.end else { break }
                if let key {
                    guard let own = self.key(of: &mine, in: bytes) else { return false }
                    order = own.order(beside: key, in: bytes)
                }
            }
            if order < 0 {
                guard keep(&mine, &run, of: bytes, into: &out) else { return false }
                mine.advance(in: bytes)
                continue
            }
            let number = fact.number
            if order == 0 {
                note(number, mine.value)
                guard take(&fact, key, beside: &mine, &run, of: bytes, into: &out) else { return false }
                mine.advance(in: bytes)
            } else {
                guard take(&fact, key, &run, of: bytes, into: &out) else { return false }
            }
            fact.advance(in: bytes)
            guard isInOrder(&fact, after: number, &key, in: bytes) else { return false }
        }
        run.flush(bytes, into: &out)
        return !mine.isBroken && !fact.isBroken
    }

    /// Whether the next of the facts has its place behind the one before, which had this key, and what its own is.
    @inline(__always)
    private mutating func isInOrder(
        _ fact: inout FieldCursor, after number: UInt32, _ key: inout EntryKey?, in bytes: RawSpan
    ) -> Bool {
        room -= 1
        guard room > 0 else { return false }
        guard fact.number >= RecordField.attributes.rawValue, isMap(fact.number) else {
            key = nil
            return fact.number > number
        }
        return isInOrder(entry: &fact, after: number, &key, in: bytes)
    }

    private func isInOrder(
        entry: inout FieldCursor, after number: UInt32, _ key: inout EntryKey?, in bytes: RawSpan
    ) -> Bool {
        let before = key
        guard let next = self.key(of: &entry, in: bytes) else { return false }
        key = next
        guard entry.number == number, let before else { return entry.number > number }
        return before.order(beside: next, in: bytes) < 0
    }

    /// Fields of the record, before that of the facts, that stay as they are and are neither counted nor an entry.
    @inline(__always)
    private mutating func passPlain(
        _ mine: inout FieldCursor, before number: UInt32, _ run: inout FieldRun, of bytes: RawSpan,
        into out: inout OutputSpan<UInt8>
    ) {
        let limit = min(number, RecordField.attributes.rawValue)
        let start = mine.bytes.lowerBound
        var end = start
        while mine.number < limit {
            if mine.number == RecordField.state.rawValue || mine.number == RecordField.flags.rawValue
                || mine.number == RecordField.settledCaller.rawValue
                || mine.number == RecordField.settledCallee.rawValue
            {
                note(mine.number, mine.value)
            }
            if tombstone { break }
            end = mine.payload.upperBound
            mine.advance(in: bytes)
        }
        if end > start { run.add(start..<end, of: bytes, into: &out) }
    }

    /// The key of an entry that is written in order.
    private func key(of entry: inout FieldCursor, in bytes: RawSpan) -> EntryKey? {
        guard entry.wireType == ProtobufReader.lengthDelimited else { return nil }
        var field = FieldCursor(entry.payload)
        var (name, leg, cseq) = (ByteRange.empty, UInt64(0), UInt64(0))
        field.advance(in: bytes)
        if field.number == PendingField.branch.rawValue {  // As `OutField.toTag` and `StampedField.key`.
            guard field.wireType == ProtobufReader.lengthDelimited else { return nil }
            name = ByteRange(start: field.payload.lowerBound, end: field.payload.upperBound)
            field.advance(in: bytes)
        }
        if entry.number == RecordField.pendings.rawValue || entry.number == RecordField.adoptions.rawValue {
            if field.number == PendingField.leg.rawValue {
                leg = field.value
                guard field.wireType == ProtobufReader.varint else { return nil }
                field.advance(in: bytes)
            }
            if field.number == PendingField.cseq.rawValue {
                cseq = field.value
                guard field.wireType == ProtobufReader.varint else { return nil }
            }
        }
        guard !field.isBroken, leg <= UInt64(UInt32.max), cseq <= UInt64(UInt32.max) else { return nil }
        return EntryKey(name, number: leg << 32 | cseq)
    }

    private func isMap(_ number: UInt32) -> Bool {
        switch number {
        case RecordField.outs.rawValue, RecordField.pendings.rawValue, RecordField.adoptions.rawValue,
            RecordField.attributes.rawValue, RecordField.variables.rawValue, RecordField.profiles.rawValue:
            true
        default: false
        }
    }

    /// What the record itself says of how far it has come.
    private mutating func note(_ number: UInt32, _ value: UInt64) {
        switch number {
        case RecordField.state.rawValue: reach(value)
        case RecordField.flags.rawValue: flags.formUnion(RecordFlags(rawValue: value))
        case RecordField.settledCaller.rawValue:
            settled.caller = value
            settled.isOld = true
        case RecordField.settledCallee.rawValue: settled.callee = value
        default: break
        }
    }

    private mutating func noteFact(_ number: UInt32, _ value: UInt64) {
        switch number {
        case RecordField.state.rawValue: reach(value)
        case RecordField.flags.rawValue: flags.formUnion(RecordFlags(rawValue: value))
        case RecordField.settledCaller.rawValue where value > settled.caller:
            settled.caller = value
            settlesMore = true
        case RecordField.settledCallee.rawValue where value > settled.callee:
            settled.callee = value
            settlesMore = true
        default: break
        }
    }

    private mutating func reach(_ value: UInt64) {
        state = max(state, value)
        tombstone = state == UInt64(DialogState.deleted.rawValue)
    }

    /// A field of the record that the facts do not speak of.
    private mutating func keep(
        _ mine: inout FieldCursor, _ run: inout FieldRun, of bytes: RawSpan, into out: inout OutputSpan<UInt8>
    ) -> Bool {
        let number = mine.number
        if number < RecordField.attributes.rawValue { note(number, mine.value) }
        if tombstone, table[.record, number].isDropped(tombstone: tombstone, isTold: isTold) { return true }
        switch number {
        case RecordField.caller.rawValue where tombstone:
            return write(.deletedSide, number, mine.payload, 0..<0, as: .part, &run, of: bytes, into: &out)
        case RecordField.outs.rawValue:
            counts.outs += 1
            if tombstone || settled.caller > 0 && !settled.isOld {
                return write(narrowed(.out), number, mine.payload, 0..<0, as: .entry, &run, of: bytes, into: &out)
            }
        case RecordField.pendings.rawValue, RecordField.adoptions.rawValue:
            if settlesMore {
                guard let key = key(of: &mine, in: bytes) else { return false }
                if settled.covers(key) { return true }
            }
            counts.add(number, payload: 0, isGone: false)
        case RecordField.attributes.rawValue...: counts.add(number, payload: mine.payload.count, isGone: false)
        default: break
        }
        run.add(mine.bytes, of: bytes, into: &out)
        return true
    }

    /// A fact, and what the record has of the same.
    private mutating func take(
        _ fact: inout FieldCursor, _ key: EntryKey?, beside mine: inout FieldCursor, _ run: inout FieldRun,
        of bytes: RawSpan, into out: inout OutputSpan<UInt8>
    ) -> Bool {
        let row = table[.record, fact.number]
        switch look(at: &fact, row, key, counting: mine.payload.count, of: bytes) {
        case .stays: return merge(row.rule, &mine, &fact, &run, of: bytes, into: &out)
        case .goes: return true
        case .isUnfit: return false
        }
    }

    /// A fact of which the record has nothing.
    private mutating func take(
        _ fact: inout FieldCursor, _ key: EntryKey?, _ run: inout FieldRun, of bytes: RawSpan,
        into out: inout OutputSpan<UInt8>
    ) -> Bool {
        let row = table[.record, fact.number]
        switch look(at: &fact, row, key, counting: fact.payload.count, of: bytes) {
        case .stays: return copy(row.rule, &fact, &run, of: bytes, into: &out)
        case .goes: return true
        case .isUnfit: return false
        }
    }

    /// What becomes of a fact.
    private enum Fate { case stays, goes, isUnfit }

    private mutating func look(
        at fact: inout FieldCursor, _ row: RecordMessage.Row, _ key: EntryKey?, counting size: Int, of bytes: RawSpan
    ) -> Fate {
        let number = fact.number
        guard Self.isFit(row.rule, &fact) else { return .isUnfit }
        guard number >= RecordField.attributes.rawValue else {
            noteFact(number, fact.value)
            return tombstone && row.isDropped(tombstone: true, isTold: isTold) ? .goes : .stays
        }
        let isOfInvite = number == RecordField.pendings.rawValue || number == RecordField.adoptions.rawValue
        var isGone = false
        if isOfInvite, let key { isGone = settled.covers(key) }
        counts.add(number, payload: size, isGone: isGone)
        guard isGone || row.isDropped(tombstone: tombstone, isTold: isTold) else { return .stays }
        // Its key is what it seems to be if it is written as it should be.
        return key == nil || isCanonical(isOfInvite ? .pending : .stamped, fact.payload, bytes) ? .goes : .isUnfit
    }

    // MARK: Fields

    /// Whether a fact is one that a canonical record could have, as far as it can be seen without a look into it.
    @inline(__always)
    private static func isFit(_ rule: Rule, _ fact: inout FieldCursor) -> Bool {
        switch rule {
        case .max(let most), .or(let most), .leastNonzero(let most):
            fact.wireType == ProtobufReader.varint && fact.value > 0 && fact.value <= most
        case .largerBytes, .leastBytes, .joined, .picked:
            fact.wireType == ProtobufReader.lengthDelimited && !fact.payload.isEmpty
        case .presentBytes, .joinedMap, .pickedMap: fact.wireType == ProtobufReader.lengthDelimited
        case .dropped, .unknown: true
        }
    }

    private func narrowed(_ message: RecordMessage) -> RecordMessage {
        if message == .side, tombstone { return .deletedSide }
        guard message == .out else { return message }
        return tombstone ? .deletedOut : settled.caller > 0 ? .settledOut : .out
    }

    /// What the record has and a fact of the same become one.
    private mutating func merge(
        _ rule: Rule, _ mine: inout FieldCursor, _ fact: inout FieldCursor, _ run: inout FieldRun, of bytes: RawSpan,
        into out: inout OutputSpan<UInt8>
    ) -> Bool {
        var isLarger = false
        switch rule {
        case .max: isLarger = fact.value > mine.value
        case .leastNonzero: isLarger = fact.value < mine.value
        case .or:
            let all = mine.value | fact.value
            guard all == mine.value || all == fact.value else {
                run.flush(bytes, into: &out)
                out.putField(fact.number, varint: all)
                return true
            }
            isLarger = all != mine.value
        case .largerBytes, .presentBytes: isLarger = order(mine.payload, fact.payload, bytes) < 0
        case .leastBytes: isLarger = order(mine.payload, fact.payload, bytes) > 0
        case .joined(let inner):
            let (message, number, own) = (narrowed(inner), mine.number, mine.payload)
            return write(message, number, own, fact.payload, as: .part, &run, of: bytes, into: &out)
        case .joinedMap(let inner):
            let (message, number, own) = (narrowed(inner), mine.number, mine.payload)
            return write(message, number, own, fact.payload, as: .entry, &run, of: bytes, into: &out)
        case .picked where isSame(mine.payload, fact.payload, bytes): break
        case .picked(let inner), .pickedMap(let inner):
            guard isCanonical(inner, fact.payload, bytes),
                let order = try? RecordJoin.pickOrder(inner, mine.bytes, fact.bytes, in: bytes)
            else { return false }
            isLarger = order < 0
        case .dropped: return true
        case .unknown: return false
        }
        run.add(isLarger ? fact.bytes : mine.bytes, of: bytes, into: &out)
        return true
    }

    /// A fact of which the record has nothing.
    private mutating func copy(
        _ rule: Rule, _ fact: inout FieldCursor, _ run: inout FieldRun, of bytes: RawSpan,
        into out: inout OutputSpan<UInt8>
    ) -> Bool {
        switch rule {
        case .joined(let inner), .joinedMap(let inner):
            guard isCanonical(narrowed(inner), fact.payload, bytes) else { return false }
        case .picked(let inner), .pickedMap(let inner):
            guard isCanonical(inner, fact.payload, bytes) else { return false }
        case .dropped: return true
        case .max, .or, .leastNonzero, .largerBytes, .leastBytes, .presentBytes, .unknown: break
        }
        run.add(fact.bytes, of: bytes, into: &out)
        return true
    }

    private func isSame(_ left: Range<Int>, _ right: Range<Int>, _ bytes: RawSpan) -> Bool {
        left.count == right.count && order(left, right, bytes) == 0
    }

    private func order(_ left: Range<Int>, _ right: Range<Int>, _ bytes: RawSpan) -> Int {
        bytes.extracting(left).compared(to: bytes.extracting(right))
    }

    /// Whether a message of a fact is written as a join would write it.
    private mutating func isCanonical(_ message: RecordMessage, _ range: Range<Int>, _ bytes: RawSpan) -> Bool {
        var field = FieldCursor(range)
        var last: UInt32 = 0
        while true {
            field.advance(in: bytes)
            guard field.number != FieldCursor.end else { return !field.isBroken }
            room -= 1
            guard field.number > last, room > 0 else { return false }
            last = field.number
            let rule = table[message, field.number].rule
            guard Self.isFit(rule, &field) else { return false }
            switch rule {
            case .joined(let inner), .picked(let inner):
                guard isCanonical(inner, field.payload, bytes) else { return false }
            case .joinedMap, .pickedMap, .dropped: return false
            case .max, .or, .leastNonzero, .largerBytes, .leastBytes, .presentBytes, .unknown: break
            }
        }
    }

    // MARK: Messages

    /// What a message inside of another one is: a part, which is left out when it is empty, or an entry of a map.
    private enum Place { case part, entry }

    /// Writes the join of a message of the record and of one of the facts, if they have it. Eight values by themselves:
    /// they are in registers, and a struct of them would be written and read for each message.
    private mutating func write(
        _ message: RecordMessage, _ number: UInt32, _ own: Range<Int>, _ facts: Range<Int>, as place: Place,
        _ run: inout FieldRun, of bytes: RawSpan, into out: inout OutputSpan<UInt8>
    ) -> Bool {
        run.flush(bytes, into: &out)
        let field = out.count
        let size = max(own.count, facts.count)
        let start = out.beginMessage(number, expecting: size)
        guard join(message, own, facts, of: bytes, into: &out) else { return false }
        if out.count == start, place == .part {
            out.removeLast(out.count - field)
        } else {
            out.endMessage(start, expected: size)
        }
        return true
    }

    /// A message inside of a record: it has no maps, and nothing of it is counted.
    private mutating func join(
        _ message: RecordMessage, _ own: Range<Int>, _ facts: Range<Int>, of bytes: RawSpan,
        into out: inout OutputSpan<UInt8>
    ) -> Bool {
        let narrows = message == .settledOut || message == .deletedOut || message == .deletedSide
        var (mine, fact, run) = (FieldCursor(own), FieldCursor(facts), FieldRun())
        mine.advance(in: bytes)
        fact.advance(in: bytes)
        while true {
            if mine.number < fact.number {
                if narrows {
                    guard keep(&mine, message, &run, of: bytes, into: &out) else { return false }
                } else if fact.number == FieldCursor.end {
                    run.add(mine.bytes.lowerBound..<own.upperBound, of: bytes, into: &out)
                    break
                } else {
                    run.add(mine.bytes, of: bytes, into: &out)
                }
                mine.advance(in: bytes)
                continue
            }
            let number = fact.number
            guard number != FieldCursor.end else { break }
            room -= 1
            let rule = table[message, number].rule
            guard room > 0, Self.isFit(rule, &fact) else { return false }
            if mine.number == number {
                guard merge(rule, &mine, &fact, &run, of: bytes, into: &out) else { return false }
                mine.advance(in: bytes)
            } else {
                guard copy(rule, &fact, &run, of: bytes, into: &out) else { return false }
            }
            fact.advance(in: bytes)
            guard fact.number > number else { return false }
        }
        run.flush(bytes, into: &out)
        return !mine.isBroken && !fact.isBroken
    }

    /// A field of a message of which less is left.
    private mutating func keep(
        _ mine: inout FieldCursor, _ message: RecordMessage, _ run: inout FieldRun, of bytes: RawSpan,
        into out: inout OutputSpan<UInt8>
    ) -> Bool {
        switch table[message, mine.number].rule {
        case .dropped: return true
        case .joined(let inner) where inner == .deletedSide:
            return write(inner, mine.number, mine.payload, 0..<0, as: .part, &run, of: bytes, into: &out)
        default:
            run.add(mine.bytes, of: bytes, into: &out)
            return true
        }
    }
}
