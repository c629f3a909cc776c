// Bytes from the network never trap: truncated, flipped, random, above each bound. And one record in hexadecimal, so
// that a later version stays readable.

import Dialogs
import Primitives
import Testing

@Suite("The bytes of records")
struct RecordBytesTests {
    private static func example() -> FactsWriter {
        var facts = FactsWriter()
        facts.message(.outs) { (out: inout OutFacts) in
            out.side { side in
                side.put(.firstCSeq, 1)
                side.target { $0.put(.contact, Array("sip:b".utf8)) }
            }
            out.reach(.confirmed)
            out.put(.toTag, Array("t".utf8))
        }
        facts.put(.state, 4)
        facts.put(.inviteCSeq, 300)
        facts.put(.callID, Array("c@h".utf8))
        facts.put(.fromTag) { $0.put("f") }
        facts.message(.home) { (home: inout FieldWriter<HomeField>) in
            home.put(.name, Array("n1".utf8))
            home.putFixed(.boot, 0x0102)
        }
        return facts
    }

    @Test func `version 1 of the wire format reads like this`() throws {
        let bytes = try joined(Self.example().bytes)
        let text = bytes.map { byte in
            var writer = ByteWriter()
            writer.putHex(UInt64(byte), digits: 2)
            return String(decoding: writer.bytes, as: UTF8.self)
        }.joined()
        let expected =
            "0a03634068" + "120166" + "18ac02" + "220d" + "0a026e31" + "110201000000000000" + "2804"
            + "820112" + "0a0174" + "1004" + "1a0b" + "1001" + "1a07" + "12057369703a62"
        #expect(text == expected)
    }

    @Test func `every prefix of a record is refused or read, never trapped on`() throws {
        var generator = RecordGenerator(seed: 99)
        generator.states = 0...4
        var refused = 0
        for _ in 0..<15 {
            let record = try joined(generator.facts(), generator.facts())
            for end in record.indices {
                do {
                    _ = try joined(Array(record[..<end]))
                } catch { refused += 1 }
                _ = RecordView(record, ByteRange(start: 0, end: end))
            }
        }
        #expect(refused > 500)
    }

    @Test func `random bytes and flipped bits are refused or read, never trapped on`() throws {
        var generator = RecordGenerator(seed: 7)
        for round in 0..<4_000 {
            var bytes: [UInt8]
            if round.isMultiple(of: 2) {
                bytes = (0..<Int.random(in: 0...80, using: &generator.random)).map { _ in
                    UInt8.random(in: 0...255, using: &generator.random)
                }
            } else {
                bytes = generator.facts()
                for _ in 0..<3 where !bytes.isEmpty {
                    let index = Int.random(in: 0..<bytes.count, using: &generator.random)
                    bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &generator.random)
                }
            }
            if let record = try? joined(bytes) {
                // What was accepted is canonical and stays what it is.
                try #require(try joined(record) == record)
                _ = try Record(RawSpan(_elements: record.span))
            }
            let view = RecordView(bytes, ByteRange(bytes))
            view.forEachOut(in: bytes) { _ in }
            view.forEachPending(in: bytes) { _ in }
            view.forEachVariable(in: bytes) { _ in }
        }
    }

    @Test(
        arguments: [
            ([0x28], .truncated), ([0x28, 0x80], .truncated), ([0x0a, 0x05, 0x61], .truncated),
            ([0x28, 0x84, 0x00], .malformedVarint),
            ([0x28, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], .malformedVarint),
            ([0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], .malformedVarint),
            ([0x00, 0x01], .malformedTag), ([0x0b], .malformedTag), ([0x0f, 1], .malformedTag),
            ([0x08, 0x01], .wrongWireType(field: 1)), ([0x2a, 0x00], .wrongWireType(field: 5)),
            ([0x28, 0x06], .outOfRange(field: 5)), ([0x18, 0xff, 0xff, 0xff, 0xff, 0x1f], .outOfRange(field: 3)),
            ([0x82, 0x01, 0x02, 0x08, 0x01], .wrongWireType(field: 1)),
            ([0x21, 1, 2, 3], .truncated), ([0xa5, 0x06, 1, 2, 3], .truncated),
        ] as [([UInt8], RecordError)])
    func `what is malformed is named`(bytes: [UInt8], expected: RecordError) {
        #expect(throws: expected) { try joined(bytes) }
    }

    private static func entries(_ field: RecordField, _ count: Int) -> [UInt8] {
        var facts = FactsWriter()
        for index in 0..<count {
            facts.message(field) { (entry: inout PendingFacts) in  // Every map has its key in field 1.
                entry.put(.branch, [UInt8(index / 256), UInt8(index % 256)])
                if field == .pendings { entry.put(.cseq, 9) }
            }
        }
        return facts.bytes
    }

    @Test(
        arguments: [
            (.outs, RecordLimits.outs), (.pendings, RecordLimits.pendings), (.variables, RecordLimits.stamped),
            (.profiles, RecordLimits.stamped),
        ] as [(RecordField, Int)])
    func `as many entries as the bound allows, and none more`(field: RecordField, limit: Int) throws {
        let full = try joined(Self.entries(field, limit))
        #expect(!full.isEmpty)
        let number = field == .profiles ? 18 : field.rawValue
        #expect(throws: RecordError.tooMany(field: number, limit: limit)) { try joined(Self.entries(field, limit + 1)) }
        // The same entries again are no more entries.
        #expect(try joined(full, Self.entries(field, limit)) == full)
    }

    @Test func `variables and profiles share one bound, unknown fields and the whole record have theirs`() throws {
        let half = Self.entries(.variables, 200)
        #expect(throws: RecordError.self) { try joined(half, Self.entries(.profiles, 57)) }
        var facts = FactsWriter()
        facts.put(.from, Array(repeating: 65, count: RecordLimits.bytes - 4))
        #expect(try joined(facts.bytes).count == RecordLimits.bytes)
        #expect(throws: RecordError.tooLarge(limit: RecordLimits.bytes)) { try joined(facts.bytes, [0x28, 1]) }
        #expect(throws: RecordError.tooLarge(limit: RecordLimits.bytes)) { try joined(facts.bytes + [0x28, 1]) }
        var unknown: [UInt8] = []
        for number in 100..<165 as Range<UInt64> {
            unknown += [UInt8(number << 3 & 0x7f) | 0x80, UInt8(number >> 4), 1]
        }
        #expect(throws: RecordError.tooMany(field: 0, limit: RecordLimits.unknown)) { try joined(unknown) }
        let repeated = Array(repeating: [0x28, 1] as [UInt8], count: RecordLimits.fields + 1)
        #expect(throws: RecordError.tooMany(field: 0, limit: RecordLimits.fields)) {
            try joined(Array(repeated.joined()))
        }
    }

    @Test func `an error leaves the output as it was`() {
        var out = ByteWriter()
        out.put("before")
        var join = RecordJoin()
        let bytes: [UInt8] = [0x28, 0x01, 0x82, 0x01, 0x02, 0x1a, 0x07]
        #expect(throws: RecordError.truncated) {
            try join.join(RawSpan(), RawSpan(_elements: bytes.span), isCanonical: false, into: &out)
        }
        #expect(out.bytes == Array("before".utf8))
    }
}
