// The notation of rtpengine's control protocol: what is written can be read, and what is none is refused whole.

import Primitives
import Routes
import Testing

@Suite("Bencode")
struct BencodeTests {
    private static func read(_ text: String) -> Bencode? { Bencode(Array(text.utf8)[...]) }

    @Test(arguments: [
        ("i42e", Bencode.number(42)), ("i-7e", .number(-7)), ("i0e", .number(0)), ("4:spam", .text("spam")),
        ("0:", .text("")), ("le", .list([])), ("l4:spami42ee", .list([.text("spam"), .number(42)])),
        ("de", .dictionary([])),
        (
            "d3:bar4:spam3:fooli1eee",
            .dictionary([
                .init(Array("bar".utf8), .text("spam")), .init(Array("foo".utf8), .list([.number(1)])),
            ])
        ),
    ]) func `what is written is read`(text: String, value: Bencode) {
        #expect(Self.read(text) == value)
        #expect(String(decoding: value.bytes, as: UTF8.self) == text)
    }

    @Test(arguments: [
        "", "i", "ie", "i-e", "i-0e", "i01e", "i1", "i1.5e", "i99999999999999999999999e", "4:spa", "04:spam", "4spam",
        "-1:x", "999999:x", "99999999999999999999:x", "l", "li1e", "d", "d3:foo", "d3:fooi1e", "di1ei2ee", "x",
        "i1ei2e",
        "4:spam ", "e",
    ]) func `what is none is refused`(text: String) { #expect(Self.read(text) == nil) }

    @Test func `so deep, so many values and so many bytes, and no more`() {
        func nested(_ depth: Int) -> Bencode? {
            Self.read(String(repeating: "l", count: depth) + String(repeating: "e", count: depth))
        }
        #expect(nested(Bencode.depthLimit) != nil && nested(Bencode.depthLimit + 1) == nil)
        func many(_ count: Int) -> Bencode? { Self.read("l" + String(repeating: "0:", count: count) + "e") }
        #expect(many(Bencode.valueLimit - 1) != nil && many(Bencode.valueLimit) == nil)
        func long(_ count: Int) -> Bencode? { Self.read("\(count):" + String(repeating: "x", count: count)) }
        #expect(long(Bencode.sizeLimit - 6) != nil && long(Bencode.sizeLimit - 5) == nil)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `any value is read as it was written, and no spoilt one traps`(seed: UInt64) {
        var random = SplitMix(seed: seed)
        func value(_ depth: Int) -> Bencode {
            switch random.next() % (depth > 4 ? 2 : 4) {
            case 0: return .number(Int(truncatingIfNeeded: random.next()))
            case 1: return .text((0..<(random.next() % 9)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            case 2: return .list((0..<(random.next() % 4)).map { _ in value(depth + 1) })
            default:
                return .dictionary((0..<(random.next() % 4)).map { .init(Array("k\($0)".utf8), value(depth + 1)) })
            }
        }
        for _ in 0..<50 {
            let made = value(0)
            var bytes = made.bytes
            #expect(Bencode(bytes[...]) == made)
            for _ in 0..<20 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                if let read = Bencode(bytes[...]) { #expect(Bencode(read.bytes[...]) == read) }
            }
        }
    }

    @Test func `a dictionary is looked into by its keys`() throws {
        let value = try #require(Self.read("d6:result2:ok6:totalsd3:RTPi3eee"))
        #expect(value["result"]?.asText == Array("ok".utf8) && value["totals"]?["RTP"]?.asNumber == 3)
        #expect(value["none"] == nil && value["result"]?["x"] == nil && value["result"]?.asNumber == nil)
    }
}
