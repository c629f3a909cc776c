// The second half of the join: sorted fields become canonical bytes, group by group. Two maps of a record differ from
// plain fields only in that a group has a key.

internal import Primitives

extension RecordJoin {
    /// Writes all groups on the stack from `base` and takes them off.
    mutating func reduceAll(
        _ message: RecordMessage, from base: Int, into out: inout ByteWriter
    ) throws(RecordError) {
        var first = base
        // The run of neighbours in the input that are to be copied as they are.
        var run = ByteRange.empty
        let last = found.count
        while first < last {
            var next = first + 1
            while next < last, isSameGroup(first, next) { next += 1 }
            let field = found[first]
            if next == first + 1, field.isCanonical, isKeptAsItIs(field, message) {
                if run.end != field.start || run.isEmpty {
                    out.put(input, run)
                    run.start = field.start
                }
                run.end = field.payload.end
            } else {
                out.put(input, run)
                run = .empty
                try reduce(message, first..<next, into: &out)
            }
            first = next
        }
        out.put(input, run)
        found.removeLast(found.count - base)
    }

    /// Whether a canonical field that nobody else has stays the same bytes in the result.
    private func isKeptAsItIs(_ field: Found, _ message: RecordMessage) -> Bool {
        let row = message.row(field.number)
        if case .dropped = row.rule { return false }
        guard message == .record else { return true }
        switch RecordField(rawValue: field.number) {
        case .outs: return !tombstone && (settled.caller == 0 || settled.isOld)
        case .pendings, .adoptions: return !tombstone && !isSettled(field)
        default: return !isDropped(row)
        }
    }

    /// Whether a record that has come so far no longer has the field.
    private func isDropped(_ row: RecordMessage.Row) -> Bool {
        switch row.span {
        case .dialog: tombstone
        case .telling: tombstone && isTold
        case .tombstone: false
        }
    }

    private mutating func reduce(
        _ message: RecordMessage, _ group: Range<Int>, into out: inout ByteWriter
    ) throws(RecordError) {
        let number = found[group.lowerBound].number
        let row = message.row(number)
        if answerRoom != .max, message.isAnswer(number), !fits(group) { return }
        if message == .record {
            if isDropped(row) { return }
            let isOfInvite = number == RecordField.pendings.rawValue || number == RecordField.adoptions.rawValue
            if isOfInvite, isSettled(found[group.lowerBound]) { return }
        }
        switch row.rule {
        case .max: put(number, group.reduce(0) { max($0, found[$1].value) }, into: &out)
        case .or: put(number, group.reduce(0) { $0 | found[$1].value }, into: &out)
        case .leastNonzero:
            var least: UInt64 = 0
            for index in group where least == 0 || found[index].value < least {
                if found[index].value > 0 { least = found[index].value }
            }
            put(number, least, into: &out)
        case .largerBytes, .presentBytes:
            var best = found[group.lowerBound].payload
            for index in group.dropFirst() where order(best, found[index].payload) < 0 { best = found[index].payload }
            if case .presentBytes = row.rule {
                out.putField(number, bytes: RawSpan(_elements: input.span).extracting(best.range))
            } else if !best.isEmpty {
                out.putField(number, bytes: RawSpan(_elements: input.span).extracting(best.range))
            }
        case .leastBytes:
            var best = ByteRange.empty
            for index in group where best.isEmpty || order(best, found[index].payload) > 0 {
                if !found[index].payload.isEmpty { best = found[index].payload }
            }
            if !best.isEmpty { out.putField(number, bytes: RawSpan(_elements: input.span).extracting(best.range)) }
        case .joined(let inner): try joinMessages(inner, group, as: .part, into: &out)
        case .joinedMap(let inner): try joinMessages(narrowed(inner), group, as: .entry, into: &out)
        case .picked(let inner): try pickMessage(inner, group, as: .part, into: &out)
        case .pickedMap(let inner): try pickMessage(inner, group, as: .entry, into: &out)
        case .dropped: break
        case .unknown: putUnknown(group, into: &out)
        }
    }

    /// Whether there is room left for a 2xx; it is taken.
    private mutating func fits(_ answers: Range<Int>) -> Bool {
        let size = answers.reduce(0) { max($0, found[$1].payload.count) }
        guard size <= answerRoom else { return false }
        answerRoom -= size
        return true
    }

    private func narrowed(_ message: RecordMessage) -> RecordMessage {
        guard message == .out else { return message }
        return tombstone ? .deletedOut : settled.caller > 0 ? .settledOut : .out
    }

    private func put(_ number: UInt32, _ value: UInt64, into out: inout ByteWriter) {
        if value > 0 { out.putField(number, varint: value) }
    }

    private func order(_ left: ByteRange, _ right: ByteRange) -> Int {
        let bytes = RawSpan(_elements: input.span)
        return bytes.extracting(left.range).compared(to: bytes.extracting(right.range))
    }

    /// What a message inside of another one is: a part, which is left out when it is empty, or an entry of a map, which
    /// is there all the same.
    private enum Place { case part, entry }

    /// All messages of the group become one, field by field.
    private mutating func joinMessages(
        _ message: RecordMessage, _ group: Range<Int>, as place: Place, into out: inout ByteWriter
    ) throws(RecordError) {
        let number = found[group.lowerBound].number
        let base = found.count
        for index in group {
            let field = found[index]
            try gather(message, field.payload.range, isCanonical: field.isCanonical)
        }
        sort(from: base)
        let fieldStart = out.count
        let start = out.beginMessage(number)
        try reduceAll(message, from: base, into: &out)
        if out.count == start, place == .part {
            out.bytes.removeLast(out.count - fieldStart)
        } else {
            out.endMessage(start)
        }
    }

    /// Of the messages of the group, each made canonical, the largest stays. The candidates are written one behind the
    /// other and the smaller is cut out.
    private mutating func pickMessage(
        _ message: RecordMessage, _ group: Range<Int>, as place: Place, into out: inout ByteWriter
    ) throws(RecordError) {
        let bestStart = out.count
        try joinMessages(message, group.lowerBound..<group.lowerBound + 1, as: place, into: &out)
        for index in group.dropFirst() {
            let start = out.count
            try joinMessages(message, index..<index + 1, as: place, into: &out)
            let isLarger = try pickOrder(message, bestStart..<start, start..<out.count, in: out.bytes) < 0
            out.bytes.removeSubrange(isLarger ? bestStart..<start : start..<out.count)
        }
    }

    /// Compares two canonical fields that hold one message each: by the message's stamp, then by all its bytes.
    private func pickOrder(
        _ message: RecordMessage, _ left: Range<Int>, _ right: Range<Int>, in written: [UInt8]
    ) throws(RecordError) -> Int {
        let bytes = RawSpan(_elements: written.span)
        let leftStamp = try Stamp(message, left, in: bytes)
        let rightStamp = try Stamp(message, right, in: bytes)
        if leftStamp.first != rightStamp.first { return leftStamp.first < rightStamp.first ? -1 : 1 }
        let nodes = bytes.extracting(leftStamp.node).compared(to: bytes.extracting(rightStamp.node))
        if nodes != 0 { return nodes }
        if leftStamp.second != rightStamp.second { return leftStamp.second < rightStamp.second ? -1 : 1 }
        if leftStamp.third != rightStamp.third { return leftStamp.third < rightStamp.third ? -1 : 1 }
        return bytes.extracting(left).compared(to: bytes.extracting(right))
    }

    /// What orders the values of a field that is picked whole.
    private struct Stamp {
        var first: UInt64 = 0
        var node: Range<Int> = 0..<0
        var second: UInt64 = 0
        var third: UInt64 = 0

        init(_ message: RecordMessage, _ field: Range<Int>, in bytes: borrowing RawSpan) throws(RecordError) {
            var outer = ProtobufReader(field)
            guard let contents = try outer.next(in: bytes) else { return }
            var reader = ProtobufReader(contents.payload)
            while let field = try reader.next(in: bytes) {
                switch message {
                case .deadline: read(DeadlineField(rawValue: field.number), field)
                case .target: read(TargetField(rawValue: field.number), field)
                case .stamped: read(StampedField(rawValue: field.number), field)
                default: break
                }
            }
        }

        private mutating func read(_ name: DeadlineField?, _ field: WireField) {
            switch name {
            case .generation: first = field.value
            case .atMilliseconds: second = field.value
            case .lifetimeMilliseconds: third = field.value
            case .ordinaryMilliseconds, nil: break
            }
        }

        private mutating func read(_ name: TargetField?, _ field: WireField) {
            switch name {
            case .cseq: first = field.value
            case .pass: second = field.value
            case .contact, .routes, .endpoint, .flow, nil: break
            }
        }

        private mutating func read(_ name: StampedField?, _ field: WireField) {
            switch name {
            case .counter: first = field.value
            case .node: node = field.payload
            case .boot: second = field.value
            case .key, .value, nil: break
            }
        }
    }

    /// A field of a later version: the larger by wire type, then by number or bytes.
    private func putUnknown(_ group: Range<Int>, into out: inout ByteWriter) {
        var best = found[group.lowerBound]
        for index in group.dropFirst() {
            let other = found[index]
            let isLarger =
                best.wireType != other.wireType
                ? best.wireType < other.wireType
                : best.wireType == ProtobufReader.lengthDelimited
                    ? order(best.payload, other.payload) < 0 : best.value < other.value
            if isLarger { best = other }
        }
        switch best.wireType {
        case ProtobufReader.varint: out.putField(best.number, varint: best.value)
        case ProtobufReader.fixed64: out.putField(best.number, fixed: best.value, byteCount: 8)
        case ProtobufReader.fixed32: out.putField(best.number, fixed: best.value, byteCount: 4)
        default: out.putField(best.number, bytes: RawSpan(_elements: input.span).extracting(best.payload.range))
        }
    }
}
