// Reading `xdata`: JSON as a Kamailio wrote it, of which the names and values of profiles are taken.
//
// Limit: `depthLimit` levels; what is deeper, or no JSON, is refused as a whole.

internal import Primitives

extension ModuleLinks {
    /// The module's own text has three levels.
    static let depthLimit = 8

    /// - Returns: `nil` for what is no JSON object.
    static func links(in text: String) -> [ProfileLink]? {
        var reader = JSONReader(Array(text.utf8))
        guard case .object(let members)? = reader.value(depth: 0), reader.isAtEnd else { return nil }
        guard let profiles = members.first(where: { $0.name == "profiles" }) else { return [] }
        guard case .array(let entries) = profiles.value else { return nil }
        var links: [ProfileLink] = []
        for entry in entries {
            guard case .object(let fields) = entry,
                case .string(let name)? = fields.first(where: { $0.name == "name" })?.value
            else { return nil }
            var link = ProfileLink(name: Array(name.utf8))
            if let value = fields.first(where: { $0.name == "value" })?.value {
                guard case .string(let text) = value else { return nil }
                link.value = Array(text.utf8)
            }
            links.append(link)
        }
        return links
    }
}

private struct JSONReader {
    indirect enum Value {
        case string(String)
        case array([Value])
        case object([(name: String, value: Value)])
        /// A number, or a word: nobody asks which.
        case other
    }

    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return offset == bytes.count
        }
    }

    private mutating func skipSpace() {
        while offset < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[offset]) { offset += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        skipSpace()
        guard offset < bytes.count, bytes[offset] == character.asciiValue else { return false }
        offset += 1
        return true
    }

    mutating func value(depth: Int) -> Value? {
        guard depth < ModuleLinks.depthLimit else { return nil }
        skipSpace()
        guard offset < bytes.count else { return nil }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "\""): return string().map { .string($0) }
        default:
            let start = offset
            while offset < bytes.count, Self.isOfWord(bytes[offset]) { offset += 1 }
            return offset > start ? .other : nil
        }
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."): true
        default: false
        }
    }

    private mutating func array(_ depth: Int) -> Value? {
        offset += 1
        var values: [Value] = []
        if take("]") { return .array([]) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            values.append(value)
        } while take(",")
        return take("]") ? .array(values) : nil
    }

    private mutating func object(_ depth: Int) -> Value? {
        offset += 1
        var members: [(name: String, value: Value)] = []
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\""), let name = string(), take(":"),
                let value = value(depth: depth + 1)
            else { return nil }
            members.append((name, value))
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func string() -> String? {
        offset += 1
        var text = ""
        // Halves of one character may be escaped one by one.
        var units: [UInt16] = []
        while offset < bytes.count, bytes[offset] >= 0x20 {
            let start = offset
            while offset < bytes.count, bytes[offset] >= 0x20, !Self.endsPlain(bytes[offset]) { offset += 1 }
            if offset > start {
                text += String(decoding: units, as: UTF16.self) + String(decoding: bytes[start..<offset], as: UTF8.self)
                units = []
            }
            guard offset < bytes.count, Self.endsPlain(bytes[offset]) else { return nil }
            offset += 1
            if bytes[offset - 1] == UInt8(ascii: "\"") { return text + String(decoding: units, as: UTF16.self) }
            guard let unit = escaped() else { return nil }
            units.append(unit)
        }
        return nil
    }

    private static func endsPlain(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") }

    /// What follows a backslash, as a unit of UTF-16.
    private mutating func escaped() -> UInt16? {
        guard offset < bytes.count else { return nil }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UInt16(byte)
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "f"): return 12
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "u"):
            guard offset + 4 <= bytes.count,
                let value = Text.hex(bytes, ByteRange(start: offset, end: offset + 4))
            else { return nil }
            offset += 4
            return UInt16(value)
        default: return nil
        }
    }
}
