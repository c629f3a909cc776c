// Reading entries. Everything here may come from a stranger: each step is checked against the end, nothing traps, and a
// message ends in values or in one typed error with the offset at which reading stopped.

internal import Primitives

/// Why a frame, or an entry in it, was not read.
package struct WireError: Error, Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        case truncated
        case notOurs
        case version(UInt8)
        /// A sealed message where one in the clear is read, and the other way about; the sender's name as it stands
        /// there.
        case sealed(String)
        case unsealed(String)
        case tooLong
        case badNumber
        case badField
        case badText
        case tooMany
    }
    package var reason: Reason
    package var offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

/// A cursor over part of a buffer.
struct WireReader {
    let bytes: [UInt8]
    private(set) var offset: Int
    let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

    var isAtEnd: Bool { offset >= end }

    mutating func byte() throws(WireError) -> UInt8 {
        guard offset < end else { throw WireError(.truncated, at: offset) }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try byte()
            if shift == 63, next > 1 { throw WireError(.badNumber, at: offset - 1) }
            value |= UInt64(next & 0x7f) << shift
            if next < 0x80 { return value }
        }
        throw WireError(.badNumber, at: offset)
    }

    mutating func bigEndian16() throws(WireError) -> UInt16 {
        let high = try byte()
        return UInt16(high) << 8 | UInt16(try byte())
    }

    mutating func bigEndian64() throws(WireError) -> UInt64 {
        guard end - offset >= 8 else { throw WireError(.truncated, at: end) }
        var value: UInt64 = 0
        for index in 0..<8 { value = value << 8 | UInt64(bytes[offset + index]) }
        offset += 8
        return value
    }

    mutating func littleEndian64() throws(WireError) -> UInt64 { try bigEndian64().byteSwapped }

    mutating func take(_ count: UInt64) throws(WireError) -> Range<Int> {
        guard count <= UInt64(end - offset) else { throw WireError(.truncated, at: end) }
        defer { offset += Int(count) }
        return offset..<offset + Int(count)
    }

    mutating func lengthDelimited() throws(WireError) -> Range<Int> {
        let length = try varint()
        return try take(length)
    }

    /// The next field of a message, `nil` at its end. Groups (wire types 3 and 4) are malformed here.
    mutating func field() throws(WireError) -> WireField? {
        guard !isAtEnd else { return nil }
        let tag = try varint()
        switch tag & 7 {
        case 0: return WireField(number: tag >> 3, value: .number(try varint()))
        case 1: return WireField(number: tag >> 3, value: .number(try littleEndian64()))
        case 2: return WireField(number: tag >> 3, value: .bytes(try lengthDelimited()))
        case 5:
            _ = try take(4)
            return WireField(number: 0, value: .number(0))
        default: throw WireError(.badField, at: offset)
        }
    }
}

/// One field; a number that nobody knows is ignored by whoever reads it.
struct WireField {
    enum Value {
        case number(UInt64)
        case bytes(Range<Int>)
    }
    var number: UInt64
    var value: Value

    /// The number, 0 when the field has another type.
    var integer: UInt64 { if case .number(let value) = value { value } else { 0 } }
    /// The bytes, empty when the field has another type.
    var range: Range<Int> { if case .bytes(let range) = value { range } else { 0..<0 } }

    /// A text of at most 128 bytes, or another limit.
    func text(in bytes: [UInt8], limit: Int = 128) throws(WireError) -> String {
        guard range.count <= limit else { throw WireError(.tooLong, at: range.lowerBound) }
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw WireError(.badText, at: range.lowerBound)
        }
        return text
    }

    func member(in bytes: [UInt8]) throws(WireError) -> MemberID {
        var member = MemberID(name: "", boot: 0)
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: member.name = try field.text(in: bytes)
            case 2: member.boot = field.integer
            default: break
            }
        }
        return member
    }
}
