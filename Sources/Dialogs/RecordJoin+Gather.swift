// The first third of the join: the fields of a message are put on the stack, those of facts checked against the table
// and sorted, those of a canonical record as they lie.

internal import Primitives

extension RecordJoin {
    mutating func push(_ entry: Found) {
        if top < found.count { found[top] = entry } else { found.append(entry) }
        top &+= 1
    }

    /// Puts the fields of a message of facts on the stack, checked against the table.
    mutating func gather(_ message: RecordMessage, _ range: Range<Int>) throws(RecordError) {
        let input = input
        let bytes = RawSpan(_elements: input.span)
        var reader = ProtobufReader(range)
        while let field = try reader.next(in: bytes) {
            var entry = Found(field, isCanonical: false)
            var isRight = true
            switch table[message, field.number].rule {
            case .max(let most), .or(let most), .leastNonzero(let most):
                isRight = field.wireType == ProtobufReader.varint
                if isRight, field.value > most { throw .outOfRange(field: field.number) }
            case .largerBytes, .leastBytes, .presentBytes, .joined, .picked:
                isRight = field.wireType == ProtobufReader.lengthDelimited
            case .joinedMap(let inner), .pickedMap(let inner):
                isRight = field.wireType == ProtobufReader.lengthDelimited
                if isRight { entry.key = try EntryKey(inner, entry.payload.range, isCanonical: false, in: bytes) }
            case .dropped, .unknown: break
            }
            guard isRight else { throw .wrongWireType(field: field.number) }
            guard top < RecordLimits.fields else { throw .tooMany(field: 0, limit: RecordLimits.fields) }
            push(entry)
        }
    }

    /// Puts the fields of a canonical message on the stack, which were checked when it was joined.
    mutating func gatherAsTheyLie(_ range: Range<Int>) throws(RecordError) {
        var reader = ProtobufReader(range)
        top = try Self.put(&reader, on: &found, from: top, of: input)
        let input = input
        let bytes = RawSpan(_elements: input.span)
        while let field = try reader.next(in: bytes) {
            guard top < RecordLimits.fields else { throw .tooMany(field: 0, limit: RecordLimits.fields) }
            push(Found(field, isCanonical: true))
        }
    }

    /// Puts as many canonical fields on the stack as it has been large before, by a span: an array that belongs to
    /// `self` asks each time whether it is shared.
    /// - Returns: The new top.
    private static func put(
        _ reader: inout ProtobufReader, on found: inout [Found], from top: Int, of input: [UInt8]
    ) throws(RecordError) -> Int {
        let bytes = RawSpan(_elements: input.span)
        var fields = found.mutableSpan
        var top = top
        while top < fields.count, let field = try reader.next(in: bytes) {
            fields[top] = Found(field, isCanonical: true)
            top &+= 1
        }
        return top
    }

    /// Reads, once, what tells a canonical entry of a map from the others; only the record has maps.
    mutating func loadKey(_ index: Int) throws(RecordError) {
        guard !found[index].hasKey else { return }
        switch table[.record, found[index].number].rule {
        case .joinedMap(let inner), .pickedMap(let inner):
            found[index].key = try EntryKey(
                inner, found[index].payload.range, isCanonical: true, in: RawSpan(_elements: input.span))
        default: break
        }
        found[index].hasKey = true
    }

    // MARK: Order

    /// Sorts the top of the stack by number and key, stably. Facts are mostly written in order.
    mutating func sort(from base: Int) {
        guard top - base > 1 else { return }
        Self.sort(&found, base..<top, of: input)
    }

    private static func sort(_ found: inout [Found], _ range: Range<Int>, of input: [UInt8]) {
        let bytes = RawSpan(_elements: input.span)
        var fields = found.mutableSpan
        let base = range.lowerBound
        for index in base + 1..<range.upperBound {
            guard fields[index].number <= fields[index - 1].number, order(fields[index], fields[index - 1], bytes) < 0
            else { continue }
            let field = fields[index]
            var place = index
            repeat {
                fields[place] = fields[place - 1]
                place -= 1
            } while place > base && order(field, fields[place - 1], bytes) < 0
            fields[place] = field
        }
    }

    /// By number, then key, then leg and CSeq. Both keys are known.
    private static func order(_ left: Found, _ right: Found, _ bytes: borrowing RawSpan) -> Int {
        if left.number != right.number { return left.number < right.number ? -1 : 1 }
        return left.key.order(beside: right.key, in: bytes)
    }

    func order(_ left: Int, _ right: Int) -> Int {
        if found[left].number != found[right].number { return found[left].number < found[right].number ? -1 : 1 }
        return Self.order(found[left], found[right], RawSpan(_elements: input.span))
    }
}
