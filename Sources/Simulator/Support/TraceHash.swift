// TraceHash condenses every delivered event of a run into one number: the same seed must give the same number, in
// this process, in another one and on another machine (Architecture, "What must hold on every seed", number 10). In
// the manner of FNV-1a, but eight bytes a round: it has to notice a difference, not to withstand an attacker.

internal import Primitives

package struct TraceHash: Equatable, Sendable {
    package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func combine(_ word: UInt64) {
        value = (value ^ word) &* 0x0000_0100_0000_01B3
        value ^= value >> 29
    }

    mutating func combine(_ number: Int) {
        combine(UInt64(truncatingIfNeeded: number))
    }

    mutating func combine(_ bytes: [UInt8]) {
        combine(bytes.count)
        let span = RawSpan(_elements: bytes.span)
        var offset = 0
        while offset + 8 <= span.byteCount {
            combine(span.word(at: offset))
            offset += 8
        }
        while offset < span.byteCount {
            combine(UInt64(span[offset]))
            offset += 1
        }
    }
}
