// Bencode is the notation of rtpengine's control protocol (ng): numbers, texts, lists and dictionaries, one after the
// other, without spaces.
//
//     d7:command5:offer7:call-id6:call-15:flagsl13:trust addressee   {command: offer, call-id: call-1, flags: […]}
//     i42e  a number     4:spam  a text of so many bytes     l…e  a list     d…e  a dictionary, keys are texts
//
// A dictionary keeps the order in which it was made or read: rtpengine does not ask for sorted keys. What is read may
// come from anybody: sizes are looked at before anything is taken.
//
// Limits: 65 507 bytes, which is a datagram; 16 levels; 4096 values. What is beyond them, or is none, is refused whole.

internal import Primitives

package indirect enum Bencode: Equatable, Sendable {
    package static let sizeLimit = 65_507
    package static let depthLimit = 16
    package static let valueLimit = 4_096

    case number(Int)
    case text([UInt8])
    case list([Bencode])
    case dictionary([Entry])

    package struct Entry: Equatable, Sendable {
        package var key: [UInt8]
        package var value: Bencode

        package init(_ key: [UInt8], _ value: Bencode) {
            self.key = key
            self.value = value
        }
    }

    package static func text(_ text: StaticString) -> Bencode { .text([UInt8](copying: text)) }

    // MARK: Writing

    package var bytes: [UInt8] {
        var out: [UInt8] = []
        write(into: &out)
        return out
    }

    private func write(into out: inout [UInt8]) {
        switch self {
        case .number(let number):
            out.append(UInt8(ascii: "i"))
            out += Array(String(number).utf8)
            out.append(UInt8(ascii: "e"))
        case .text(let text): Self.write(text, into: &out)
        case .list(let values):
            out.append(UInt8(ascii: "l"))
            for value in values { value.write(into: &out) }
            out.append(UInt8(ascii: "e"))
        case .dictionary(let entries):
            out.append(UInt8(ascii: "d"))
            for entry in entries {
                Self.write(entry.key, into: &out)
                entry.value.write(into: &out)
            }
            out.append(UInt8(ascii: "e"))
        }
    }

    private static func write(_ text: [UInt8], into out: inout [UInt8]) {
        out += Array(String(text.count).utf8)
        out.append(UInt8(ascii: ":"))
        out += text
    }

    // MARK: Reading

    /// - Returns: `nil` for what is none, or has something behind it.
    package init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count <= Self.sizeLimit else { return nil }
        var reader = Reader(bytes: bytes, position: bytes.startIndex)
        guard let value = reader.value(depth: 0), reader.position == bytes.endIndex else { return nil }
        self = value
    }

    private struct Reader {
        let bytes: ArraySlice<UInt8>
        var position: Int
        var count = 0

        private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

        mutating func value(depth: Int) -> Bencode? {
            count += 1
            guard depth < Bencode.depthLimit, count <= Bencode.valueLimit, let next else { return nil }
            switch next {
            case UInt8(ascii: "i"):
                position += 1
                return number().map { .number($0) }
            case UInt8(ascii: "l"):
                position += 1
                var values: [Bencode] = []
                while self.next != UInt8(ascii: "e") {
                    guard let value = value(depth: depth + 1) else { return nil }
                    values.append(value)
                }
                position += 1
                return .list(values)
            case UInt8(ascii: "d"):
                position += 1
                var entries: [Entry] = []
                while self.next != UInt8(ascii: "e") {
                    guard let key = text(), let value = value(depth: depth + 1) else { return nil }
                    entries.append(Entry(key, value))
                }
                position += 1
                return .dictionary(entries)
            default: return text().map { .text($0) }
            }
        }

        /// Digits with their `e`; no leading zero, no `-0`.
        private mutating func number() -> Int? {
            let start = position
            if next == UInt8(ascii: "-") { position += 1 }
            while let byte = next, byte &- 0x30 < 10, position - start < 20 { position += 1 }
            let digits = String(decoding: bytes[start..<position], as: UTF8.self)
            guard next == UInt8(ascii: "e"), let number = Int(digits), String(number) == digits else { return nil }
            position += 1
            return number
        }

        private mutating func text() -> [UInt8]? {
            let start = position
            while let byte = next, byte &- 0x30 < 10, position - start < 6 { position += 1 }
            let digits = String(decoding: bytes[start..<position], as: UTF8.self)
            guard next == UInt8(ascii: ":"), let count = Int(digits), String(count) == digits,
                count <= bytes.endIndex - position - 1
            else { return nil }
            let from = position + 1
            position = from + count
            return Array(bytes[from..<position])
        }
    }

    // MARK: Looking into one

    package subscript(_ key: StaticString) -> Bencode? {
        guard case .dictionary(let entries) = self else { return nil }
        let key = [UInt8](copying: key)
        return entries.first { $0.key == key }?.value
    }

    /// Its bytes, where it is a text.
    package var asText: [UInt8]? { if case .text(let text) = self { text } else { nil } }

    package var asNumber: Int? { if case .number(let number) = self { number } else { nil } }
}
