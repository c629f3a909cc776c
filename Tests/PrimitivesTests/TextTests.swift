// Text, ByteWriter, ByteRange and the bytes of spans.

import Primitives
import Testing

@Suite("Bytes and text")
struct TextTests {
    private func all(_ text: String) -> ([UInt8], ByteRange) {
        let bytes = Array(text.utf8)
        return (bytes, ByteRange(bytes))
    }

    @Test(
        arguments: [
            ("0", 0), ("42", 42), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil), ("", nil),
            ("-1", nil), ("1 ", nil), ("99999999999999999999999", nil), ("007", 7),
        ] as [(String, UInt64?)])
    func `a decimal number is digits only and fits into 64 bits`(text: String, expected: UInt64?) {
        let (bytes, range) = all(text)
        #expect(Text.decimal(bytes, range) == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("ff", 255), ("FF", 255), ("ffffffffffffffff", UInt64.max), ("10000000000000000", nil), ("", nil),
            ("0x1", nil), ("g", nil),
        ] as [(String, UInt64?)])
    func `a hexadecimal number has 1 to 16 digits`(text: String, expected: UInt64?) {
        let (bytes, range) = all(text)
        #expect(Text.hex(bytes, range) == expected)
    }

    @Test func `eight digits at once are read as one by one, whatever stands among them`() {
        for byte in UInt8.min...UInt8.max {
            let digit = Character(UnicodeScalar(byte)).isASCII ? Character(UnicodeScalar(byte)).hexDigitValue : nil
            for place in 0..<9 {
                var bytes = Array("70fB29c3a".utf8)
                bytes[place] = byte
                let text = String(decoding: bytes, as: UTF8.self)
                let expected = digit == nil ? nil : UInt64(text, radix: 16)
                #expect(Text.hex(bytes, ByteRange(bytes)) == expected, "\(byte) at \(place)")
            }
        }
    }

    @Test func `tokens compare without the case of ASCII letters, RFC 3261 §7.3.1`() {
        let (bytes, range) = all("Branch")
        #expect(Text.equalsIgnoringCase(bytes, range, "bRANCH"))
        #expect(!Text.equals(bytes, range, "branch") && Text.equals(bytes, range, "Branch"))
        #expect(!Text.equalsIgnoringCase(bytes, range, "branc"))
        let (braces, bracesRange) = all("[]{}@`")
        #expect(!Text.equalsIgnoringCase(braces, bracesRange, "{}[]`@"))
        #expect(Text.same(bytes, ByteRange(start: 1, end: 3), Array("xra".utf8), ByteRange(start: 1, end: 3)))
        #expect(Text.sameIgnoringCase(bytes, range, Array("BRANCH".utf8), range))
        #expect(Text.string(bytes, ByteRange(start: 0, end: 4)) == "Bran")
    }

    @Test func `all bytes but A to Z are their own lower case`() {
        for byte in UInt8.min...UInt8.max {
            let expected = (65...90).contains(byte) ? byte + 32 : byte
            #expect(Text.lowercased(byte) == expected)
        }
    }

    @Test func `a writer keeps its memory and writes numbers without leading zeros, hexadecimal with them`() {
        var writer = ByteWriter(capacity: 64)
        writer.put(text: "stale")
        writer.removeAll()
        for value in [0, 9, 10, 99, 100, 5_060, UInt64.max] as [UInt64] {
            writer.putDecimal(value)
            writer.put(UInt8(ascii: " "))
        }
        writer.putHex(0x0bad_cafe, digits: 16)
        writer.put(";lr")
        writer.put([65, 66, 67], ByteRange(start: 1, end: 2))
        writer.putHex(0x123, digits: 2)
        let expected = "0 9 10 99 100 5060 18446744073709551615 000000000badcafe;lrB23"
        #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
    }

    @Test func `decimal has every digit, however many`() {
        var value: UInt64 = 1
        for _ in 1..<20 {
            for number in [value - 1, value, value + 1, value * 3 / 2] {
                var writer = ByteWriter()
                writer.putDecimal(number)
                #expect(String(decoding: writer.bytes, as: UTF8.self) == String(number))
            }
            value *= 10
        }
    }

    @Test func `of a word as many bytes are written as are wanted, the lowest first`() {
        for count in 0...8 {
            var bytes: [UInt8] = [9]
            bytes.append(count, of: 0x0807_0605_0403_0201)
            #expect(bytes == [9] + [1, 2, 3, 4, 5, 6, 7, 8].prefix(count))
        }
    }

    @Test func `hexadecimal has the low digits, however many`() {
        for value in [0, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, .max, 0x9a9a_a9a9_0f0f_f0f0] as [UInt64] {
            let all = String(value, radix: 16)
            let padded = String(repeating: "0", count: 16 - all.count) + all
            for digits in 1...16 {
                var writer = ByteWriter()
                writer.putHex(value, digits: digits)
                #expect(String(decoding: writer.bytes, as: UTF8.self) == padded.suffix(digits))
            }
        }
    }

    @Test func `tokens are the same in any case, wherever they differ in it`() {
        for length in 1...20 {
            let plain = [UInt8](repeating: UInt8(ascii: "k"), count: length)
            for place in 0..<length {
                var other = plain
                other[place] = UInt8(ascii: "K")
                #expect(Text.sameIgnoringCase(plain, ByteRange(plain), other, ByteRange(other)))
                other[place] = UInt8(ascii: "j")
                #expect(!Text.sameIgnoringCase(plain, ByteRange(plain), other, ByteRange(other)))
            }
        }
    }

    @Test func `spans compare as byte strings, a prefix first`() {
        let ordered: [[UInt8]] = [
            [], [0], [0, 0], [1], [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 9], [1, 2, 3, 4, 5, 6, 8, 1, 1],
            [1, 200], [255], [255, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        for (leftIndex, left) in ordered.enumerated() {
            for (rightIndex, right) in ordered.enumerated() {
                let order = RawSpan(_elements: left.span).compared(to: RawSpan(_elements: right.span))
                #expect(order.signum() == (leftIndex - rightIndex).signum())
            }
        }
    }
}
