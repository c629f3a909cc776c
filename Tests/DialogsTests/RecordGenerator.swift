// Facts for property tests: any fields in any order, twice, unknown ones among them, from domains so small that two
// draws often speak of the same entry and disagree about it.

import Dialogs
import Primitives

struct RecordGenerator {
    var random: SplitMix
    /// SwiftProtobuf writes unknown fields last, so only those behind all known ones keep its bytes equal to ours.
    var unknownNumbers: [UInt32] = [24, 26, 100, 4_000]
    var states: ClosedRange<UInt64> = 0...5

    init(seed: UInt64) {
        random = SplitMix(seed: seed)
    }

    private struct Number: RawRepresentable {
        var rawValue: UInt32
    }

    private mutating func small(_ limit: UInt64 = 4) -> UInt64 { UInt64.random(in: 0...limit, using: &random) }

    private mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

    private mutating func word() -> UInt64 {
        chance(8) ? UInt64.random(in: 0...UInt64(UInt32.max), using: &random) : small()
    }

    private mutating func text() -> [UInt8] {
        let length = chance(12) ? Int.random(in: 100...300, using: &random) : Int(small(3))
        return (0..<length).map { _ in UInt8(97 + UInt8.random(in: 0...2, using: &random)) }
    }

    /// Shuffles whole fields, so the parts of a message come in any order.
    private mutating func assemble(_ parts: [[UInt8]]) -> [UInt8] {
        Array(parts.shuffled(using: &random).joined())
    }

    private func field(_ number: UInt32, _ value: UInt64) -> [UInt8] {
        var facts = FieldWriter<Number>()
        facts.put(Number(rawValue: number), value)
        return facts.bytes
    }

    private func field(_ number: UInt32, _ bytes: [UInt8]) -> [UInt8] {
        var facts = FieldWriter<Number>()
        facts.put(Number(rawValue: number), bytes)
        return facts.bytes
    }

    private mutating func unknown(_ parts: inout [[UInt8]]) {
        guard chance(4), let number = unknownNumbers.filter({ $0 > 25 || parts.isEmpty }).randomElement(using: &random)
        else { return }
        switch small(2) {
        case 0: parts.append(field(number, word()))
        case 1: parts.append(field(number, text()))
        default:
            var facts = FieldWriter<Number>()
            facts.putFixed(Number(rawValue: number), word())
            parts.append(facts.bytes)
        }
    }

    private mutating func deadline() -> [UInt8] {
        assemble([field(1, small(2)), field(2, word()), field(3, small()), field(4, small(1))])
    }

    private mutating func side() -> [UInt8] {
        var parts: [[UInt8]] = []
        if chance(2) { parts.append(field(1, word())) }
        if chance(2) { parts.append(field(2, small())) }
        for _ in 0..<small(2) {
            parts.append(
                field(
                    3,
                    assemble([
                        field(1, small(2)), field(2, text()), field(3, text()), field(4, text()), field(6, small(2)),
                    ])))
        }
        if chance(2) { parts.append(field(4, text())) }
        if chance(3) { parts.append(field(5, word())) }
        if chance(3) { parts.append(field(6, small() << 32 | small())) }
        unknown(&parts)
        return assemble(parts)
    }

    private mutating func out() -> [UInt8] {
        var parts = [field(1, small(1) == 0 ? [] : [UInt8(97 + small(2))])]
        if chance(2) { parts.append(field(2, small(5))) }
        if chance(2) { parts.append(field(3, side())) }
        if chance(2) { parts.append(field(4, text())) }
        if chance(2) { parts.append(field(5, word())) }
        if chance(2) { parts.append(field(6, text())) }
        if chance(2) { parts.append(field(7, word())) }
        unknown(&parts)
        return assemble(parts)
    }

    private mutating func pending() -> [UInt8] {
        var parts = [field(1, [UInt8(97 + small(1))]), field(2, small(1)), field(3, small(3))]
        if chance(2) { parts.append(field(4, small(31))) }
        for number in 5...11 as ClosedRange<UInt32> where chance(3) { parts.append(field(number, text())) }
        if chance(3) { parts.append(field(12, small(2) << 32 | small())) }
        if chance(3) { parts.append(field(13, word())) }
        if chance(3) { parts.append(field(14, text())) }
        if chance(3) { parts.append(field(15, word())) }
        unknown(&parts)
        return assemble(parts)
    }

    private mutating func stamped() -> [UInt8] {
        var parts = [
            field(1, [UInt8(97 + small(2))]), field(2, small(2)), field(3, [UInt8(97 + small(1))]), field(4, small(1)),
        ]
        if chance(2) { parts.append(field(5, text())) }
        unknown(&parts)
        return assemble(parts)
    }

    /// Facts as a stranger might send them: not canonical.
    mutating func facts() -> [UInt8] {
        var parts: [[UInt8]] = []
        for number in [1, 2, 8, 9, 10] as [UInt32] where chance(2) { parts.append(field(number, text())) }
        if chance(2) { parts.append(field(3, word())) }
        for _ in 0..<small(2) {
            let (name, sentBy) = (text() + [97], text() + [97])
            parts.append(field(4, field(1, name) + field(3, sentBy)))
        }
        if chance(2) { parts.append(field(5, UInt64.random(in: states, using: &random))) }
        for _ in 0..<small(2) { parts.append(field(6, deadline())) }
        if chance(2) { parts.append(field(7, small(63) | (chance(3) ? RecordFlags.toldEnd.rawValue : 0))) }
        for _ in 0..<small(2) {
            parts.append(field(14, assemble([field(1, word()), field(2, small()), field(3, small())])))
        }
        for _ in 0..<small(2) { parts.append(field(11, side())) }
        if chance(3) { parts.append(field(12, small(3))) }
        if chance(3) { parts.append(field(13, small(3))) }
        if chance(3) { parts.append(field(23, small(3) * 100)) }
        for _ in 0..<small() { parts.append(field(16, out())) }
        for _ in 0..<small() { parts.append(field(17, pending())) }
        for _ in 0..<small(2) { parts.append(field(15, stamped())) }
        for _ in 0..<small() { parts.append(field(18, stamped())) }
        for _ in 0..<small() { parts.append(field(19, stamped())) }
        for _ in 0..<small(2) { parts.append(field(20, pending())) }
        if chance(3) { parts.append(field(25, word())) }
        for number in unknownNumbers where chance(6) { parts.append(field(number, chance(2) ? text() : [])) }
        return assemble(parts)
    }
}

/// The join of byte strings, in their order.
func joined(_ parts: [UInt8]...) throws(RecordError) -> [UInt8] {
    var result: [UInt8] = []
    for part in parts {
        var out = ByteWriter()
        try RecordJoin.join(RawSpan(_elements: result.span), RawSpan(_elements: part.span), into: &out)
        result = out.bytes
    }
    return result
}
