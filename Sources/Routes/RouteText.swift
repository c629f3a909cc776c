// What routes do with text that the parser of messages has no use for: searches, numbers with a sign, splitting.

internal import Primitives

package enum RouteText {
    /// The decimal number that a text begins with, after white space and a sign; `nil` when there is none, or when it
    /// does not fit.
    package static func leadingNumber(_ bytes: [UInt8]) -> Int? {
        var index = 0
        while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
        let isNegative = index < bytes.count && bytes[index] == 0x2D
        if isNegative || (index < bytes.count && bytes[index] == 0x2B) { index += 1 }
        let start = index
        var value = 0
        while index < bytes.count, bytes[index] &- 0x30 < 10 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(bytes[index] &- 0x30))
            if overflow || carry { return nil }
            value = sum
            index += 1
        }
        return index == start ? nil : isNegative ? -value : value
    }

    /// Where `part` first occurs from `start` on.
    package static func find(
        _ part: [UInt8], in bytes: [UInt8], from start: Int = 0, ignoringCase: Bool = false
    ) -> Int? {
        guard part.count <= bytes.count else { return nil }
        var index = start
        while index <= bytes.count - part.count {
            var length = 0
            while length < part.count, same(bytes[index + length], part[length], ignoringCase) { length += 1 }
            if length == part.count { return index }
            index += 1
        }
        return nil
    }

    private static func same(_ left: UInt8, _ right: UInt8, _ ignoringCase: Bool) -> Bool {
        left == right || (ignoringCase && Text.lowercased(left) == Text.lowercased(right))
    }

    package static func equalsIgnoringCase(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && zip(left, right).allSatisfy { same($0, $1, true) }
    }

    package static func trimmed(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return Array(bytes[first...last])
    }

    /// The parts between separators, white space around them cut; empty ones too.
    package static func split(_ bytes: [UInt8], by separator: UInt8) -> [[UInt8]] {
        bytes.split(separator: separator, omittingEmptySubsequences: false).map { trimmed($0) }
    }

    package static func lowercased(_ bytes: [UInt8]) -> [UInt8] { bytes.map(Text.lowercased) }

    package static func hex(_ bytes: [UInt8]) -> [UInt8] {
        let digits = [UInt8](copying: "0123456789abcdef")
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return out
    }
}

extension [UInt8] {
    /// The bytes of a literal.
    package init(text: String) { self = Array(text.utf8) }
    /// As a log line shows them.
    package var shown: String { String(decoding: self, as: UTF8.self) }
}
