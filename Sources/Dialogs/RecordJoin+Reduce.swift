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
        if case .dropped = message.rule(field.number) { return false }
        guard message == .record else { return true }
        switch field.number {
        case 1...5, 7, 23: return true
        case 16: return !tombstone && (settled.caller == 0 || settled.isOld)
        case 17: return !tombstone && !isSettled(field)
        default: return !tombstone
        }
    }

    private mutating func reduce(
        _ message: RecordMessage, _ group: Range<Int>, into out: inout ByteWriter
    ) throws(RecordError) {
        let number = found[group.lowerBound].number
        if message == .record {
            if tombstone, !(number <= 5 || number == 7 || number == 16 || number == 23) { return }
            if number == 17, isSettled(found[group.lowerBound]) { return }
        }
        switch message.rule(number) {
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
            if case .presentBytes = message.rule(number) {
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
        case .joined(let inner): try joinMessages(inner, group, keepsEmpty: false, into: &out)
        case .joinedMap(let inner):
            try joinMessages(narrowed(inner), group, keepsEmpty: true, into: &out)
        case .picked(let inner): try pickMessage(inner, group, keepsEmpty: false, into: &out)
        case .pickedMap(let inner): try pickMessage(inner, group, keepsEmpty: true, into: &out)
        case .dropped: break
        case .unknown: putUnknown(group, into: &out)
        }
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

    /// All messages of the group become one, field by field.
    private mutating func joinMessages(
        _ message: RecordMessage, _ group: Range<Int>, keepsEmpty: Bool, into out: inout ByteWriter
    ) throws(RecordError) {
        let number = found[group.lowerBound].number
        let base = found.count
        for index in group {
            let field = found[index]
            try gather(message, field.payload.range, isCanonical: field.isCanonical)
        }
        sort(message, from: base)
        let fieldStart = out.count
        let start = out.beginMessage(number)
        try reduceAll(message, from: base, into: &out)
        if out.count == start, !keepsEmpty {
            out.bytes.removeLast(out.count - fieldStart)
        } else {
            out.endMessage(start)
        }
    }

    /// Of the messages of the group, each made canonical, the largest stays. The candidates are written one behind the
    /// other and the smaller is cut out.
    private mutating func pickMessage(
        _ message: RecordMessage, _ group: Range<Int>, keepsEmpty: Bool, into out: inout ByteWriter
    ) throws(RecordError) {
        let bestStart = out.count
        try joinMessages(message, group.lowerBound..<group.lowerBound + 1, keepsEmpty: keepsEmpty, into: &out)
        for index in group.dropFirst() {
            let start = out.count
            try joinMessages(message, index..<index + 1, keepsEmpty: keepsEmpty, into: &out)
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
                switch (message, field.number) {
                case (.deadline, 1), (.target, 1), (.stamped, 2): first = field.value
                case (.deadline, 2), (.stamped, 4), (.target, 6): second = field.value
                case (.deadline, 3): third = field.value
                case (.stamped, 3): node = field.payload
                default: break
                }
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
