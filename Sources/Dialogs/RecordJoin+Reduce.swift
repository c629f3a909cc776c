// The last third of the join: a group of fields becomes one. The two kinds of maps of a record differ from plain fields
// only in that a group has a key.

internal import Primitives

extension RecordJoin {
    /// Writes what a group of fields comes to: mostly one of them as it is.
    mutating func reduce(
        _ message: RecordMessage, _ group: Group, _ run: inout Run, into out: inout ByteWriter
    ) throws(RecordError) {
        let number = found[group.first].number
        let row = table[message, number]
        if answerRoom != .max, message.isAnswer(number), !fits(group) { return }
        if message == .record {
            if isDropped(row) { return }
            let isOfInvite = number == RecordField.pendings.rawValue || number == RecordField.adoptions.rawValue
            if isOfInvite, isGone(group.first) { return }
        }
        switch row.rule {
        case .max:
            let best = best(group) { $0.value < $1.value }
            if found[best].value > 0 { run.add(found[best], of: input, into: &out) }
        case .or: combine(number, group, &run, into: &out)
        case .leastNonzero:
            let best = best(group) { $1.value > 0 && ($0.value == 0 || $1.value < $0.value) }
            if found[best].value > 0 { run.add(found[best], of: input, into: &out) }
        case .largerBytes:
            let best = best(group) { order($0.payload, $1.payload) < 0 }
            if !found[best].payload.isEmpty { run.add(found[best], of: input, into: &out) }
        case .presentBytes:
            run.add(found[best(group) { order($0.payload, $1.payload) < 0 }], of: input, into: &out)
        case .leastBytes:
            let best = best(group) { left, right in
                !right.payload.isEmpty && (left.payload.isEmpty || order(left.payload, right.payload) > 0)
            }
            if !found[best].payload.isEmpty { run.add(found[best], of: input, into: &out) }
        case .joined(let inner): try joinMessages(narrowed(inner), group, as: .part, &run, into: &out)
        case .joinedMap(let inner): try joinMessages(narrowed(inner), group, as: .entry, &run, into: &out)
        case .picked(let inner): try pickMessage(inner, group, as: .part, &run, into: &out)
        case .pickedMap(let inner): try pickMessage(inner, group, as: .entry, &run, into: &out)
        case .dropped: break
        case .unknown: run.add(found[best(group, isLessOfUnknown)], of: input, into: &out)
        }
    }

    /// The largest of a group, the first of equals.
    private func best(_ group: Group, _ isLess: (Found, Found) -> Bool) -> Int {
        var best = group.first
        for index in group.rest where isLess(found[best], found[index]) { best = index }
        return best
    }

    private func combine(_ number: UInt32, _ group: Group, _ run: inout Run, into out: inout ByteWriter) {
        let all = group.rest.reduce(found[group.first].value) { $0 | found[$1].value }
        guard all > 0 else { return }
        let whole = best(group) { $0.value != all && $1.value == all }
        if found[whole].value == all { return run.add(found[whole], of: input, into: &out) }
        run.flush(input, into: &out)
        out.putField(number, varint: all)
    }

    /// Of a field of a later version: the larger by wire type, then by number or bytes.
    private func isLessOfUnknown(_ left: Found, _ right: Found) -> Bool {
        if left.wireType != right.wireType { return left.wireType < right.wireType }
        return left.wireType == ProtobufReader.lengthDelimited
            ? order(left.payload, right.payload) < 0 : left.value < right.value
    }

    /// Whether there is room left for a 2xx; it is taken.
    private mutating func fits(_ answers: Group) -> Bool {
        let size = answers.rest.reduce(found[answers.first].payload.count) { max($0, found[$1].payload.count) }
        guard size <= answerRoom else { return false }
        answerRoom -= size
        return true
    }

    private func narrowed(_ message: RecordMessage) -> RecordMessage {
        if message == .side, tombstone { return .deletedSide }
        guard message == .out else { return message }
        return tombstone ? .deletedOut : settled.caller > 0 ? .settledOut : .out
    }

    private func order(_ left: ByteRange, _ right: ByteRange) -> Int {
        let bytes = RawSpan(_elements: input.span)
        return bytes.extracting(left.range).compared(to: bytes.extracting(right.range))
    }

    // MARK: Messages

    /// What a message inside of another one is: a part, which is left out when it is empty, or an entry of a map, which
    /// is there all the same.
    private enum Place { case part, entry }

    /// Whether a message may be copied: it says all that the group does, as a join would write it.
    private func isCopied(_ index: Int, _ message: RecordMessage, as place: Place) -> Bool {
        let payload = found[index].payload
        if place == .part, payload.isEmpty { return false }
        return isCanonical(message, payload)
    }

    /// All messages of the group become one, field by field.
    private mutating func joinMessages(
        _ message: RecordMessage, _ group: Group, as place: Place, _ run: inout Run, into out: inout ByteWriter
    ) throws(RecordError) {
        if answerRoom == .max, group.rest.isEmpty, isCopied(group.first, message, as: place) {
            return run.add(found[group.first], of: input, into: &out)
        }
        run.flush(input, into: &out)
        try writeMessage(message, group, as: place, into: &out)
    }

    private mutating func writeMessage(
        _ message: RecordMessage, _ group: Group, as place: Place, into out: inout ByteWriter
    ) throws(RecordError) {
        let (base, first) = (top, found[group.first])
        var size = first.payload.count
        if first.isCanonical { try gatherAsTheyLie(first.payload.range) }
        let middle = top
        if !first.isCanonical { try gather(message, first.payload.range) }
        for index in group.rest {
            size = max(size, found[index].payload.count)
            try gather(message, found[index].payload.range)
        }
        sort(from: middle)
        let fieldStart = out.count
        let start = out.beginMessage(first.number, expecting: size)
        try merge(message, from: base, middle, into: &out)
        if out.count == start, place == .part {
            out.bytes.removeLast(out.count - fieldStart)
        } else {
            out.endMessage(start, expected: size)
        }
    }

    /// Of the messages of the group, each made canonical, the largest stays.
    private mutating func pickMessage(
        _ message: RecordMessage, _ group: Group, as place: Place, _ run: inout Run, into out: inout ByteWriter
    ) throws(RecordError) {
        let isOwn = found[group.first].isCanonical
        if isOwn || isCopied(group.first, message, as: place),
            group.rest.allSatisfy({ isCopied($0, message, as: place) })
        {
            var best = group.first
            for index in group.rest {
                let isLarger =
                    try Self.pickOrder(
                        message, found[best].field, found[index].field, in: RawSpan(_elements: input.span)) < 0
                if isLarger { best = index }
            }
            return run.add(found[best], of: input, into: &out)
        }
        run.flush(input, into: &out)
        // The candidates are written one behind the other and the smaller is cut out.
        let bestStart = out.count
        let first = Group(first: group.first, rest: group.first..<group.first)
        try writeMessage(message, first, as: place, into: &out)
        for index in group.rest {
            let start = out.count
            try writeMessage(message, Group(first: index, rest: index..<index), as: place, into: &out)
            let isLarger =
                try Self.pickOrder(
                    message, bestStart..<start, start..<out.count, in: RawSpan(_elements: out.bytes.span)) < 0
            out.bytes.removeSubrange(isLarger ? bestStart..<start : start..<out.count)
        }
    }

    /// Compares two canonical fields that hold one message each: by the message's stamp, then by all its bytes.
    static func pickOrder(
        _ message: RecordMessage, _ left: Range<Int>, _ right: Range<Int>, in bytes: borrowing RawSpan
    ) throws(RecordError) -> Int {
        let leftStamp = try Stamp(message, left, in: bytes)
        let rightStamp = try Stamp(message, right, in: bytes)
        if message == .deadline, left != right {
            if leftStamp.first == rightStamp.first, leftStamp.second != rightStamp.second {
                if mutated("deadline-minimum") { return leftStamp.second > rightStamp.second ? -1 : 1 }
                if mutated("deadline-last") { return -1 }
            } else if leftStamp.first != rightStamp.first, mutated("generation-ignored") {
                return leftStamp.second < rightStamp.second ? -1 : 1
            }
        }
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
            // Which fields order it, by their numbers; 0 is none.
            let (one, two, three, name): (UInt32, UInt32, UInt32, UInt32) =
                switch message {
                case .deadline:
                    (
                        DeadlineField.generation.rawValue, DeadlineField.atMilliseconds.rawValue,
                        DeadlineField.lifetimeMilliseconds.rawValue, 0
                    )
                case .target: (TargetField.cseq.rawValue, TargetField.pass.rawValue, 0, 0)
                case .stamped:
                    (StampedField.counter.rawValue, StampedField.boot.rawValue, 0, StampedField.node.rawValue)
                default: (0, 0, 0, 0)
                }
            while let field = try reader.next(in: bytes) {
                if field.number == one {
                    first = field.value
                } else if field.number == two {
                    second = field.value
                } else if field.number == three {
                    third = field.value
                } else if field.number == name {
                    node = field.payload
                }
            }
        }
    }
}
