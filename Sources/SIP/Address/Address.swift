// Address is an IPv4 or IPv6 address as two words: comparing and hashing cost nothing, and no socket type enters the
// core.
//
// Read from text without resolving anything. IPv6 is printed as RFC 5952 asks (lower case, longest run of zeros as
// `::`), in brackets where SIP needs a host (RFC 3261 §25.1 IPv6reference). Zones (`%eth0`) are not taken: they mean
// nothing to a peer.

package import Primitives

package struct Address: Hashable, Sendable {
    /// The first eight bytes of an IPv6 address; 0 for IPv4.
    package var high: UInt64
    /// The last eight bytes; for IPv4 its 32 bits.
    package var low: UInt64
    package var isIPv6: Bool

    package init(ipv4: UInt32) {
        high = 0
        low = UInt64(ipv4)
        isIPv6 = false
    }

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
        isIPv6 = true
    }

    package init?(text: String) {
        let bytes = Array(text.utf8)
        self.init(bytes: bytes, range: ByteRange(bytes))
    }

    /// Reads `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`; `nil` for anything else, a host name included.
    package init?(bytes: [UInt8], range: ByteRange) {
        let span = RawSpan(_elements: bytes.span)
        var (start, end) = (Int(range.start), Int(range.end))
        guard start < end, end <= span.byteCount else { return nil }
        if span[start] == 0x5B {
            guard span[end &- 1] == 0x5D else { return nil }
            start &+= 1
            end &-= 1
        }
        if let value = Self.ipv4(span, start, end), start == Int(range.start) {
            self.init(ipv4: value)
        } else if let words = Self.ipv6(span, start, end) {
            self.init(high: words.high, low: words.low)
        } else {
            return nil
        }
    }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : low >> 24 == 127 }

    /// 0.0.0.0 or ::, which names no peer.
    package var isUnspecified: Bool { high == 0 && low == 0 }

    /// Without brackets.
    package var text: String {
        var writer = ByteWriter()
        write(into: &writer, brackets: false)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Appends the address; an IPv6 address in brackets unless told otherwise (`received` has none, RFC 3261 §25.1).
    package func write(into writer: inout ByteWriter, brackets: Bool = true) {
        writer.put(atMost: Self.textRoom) { append(to: &$0, brackets: brackets) }
    }

    /// Bytes of an address at most, brackets included, and a word.
    static let textRoom = 41 + 8

    /// The same into room for `textRoom`.
    func append(to out: inout OutputSpan<UInt8>, brackets: Bool) {
        guard isIPv6 else {
            let (first, second) = (Self.dotted(low >> 16 & 0xFFFF), Self.dotted(low & 0xFFFF))
            out.append(first.count + 1, of: first.word | 0x2E << UInt64(first.count * 8))
            return out.append(second.count, of: second.word)
        }
        if brackets { out.append(0x5B) }
        appendGroups(to: &out)
        if brackets { out.append(0x5D) }
    }

    /// Two bytes of an IPv4 address in decimal and the dot between them: seven bytes of a word at most.
    private static func dotted(_ pair: UInt64) -> (word: UInt64, count: Int) {
        let (first, second) = (ByteWriter.decimal(pair >> 8), ByteWriter.decimal(pair & 0xFF))
        let behind = second.word << 8 | 0x2E
        return (first.word | behind << UInt64(first.count * 8), first.count + 1 + second.count)
    }

    private func group(_ index: Int) -> UInt64 {
        (index < 4 ? high : low) >> UInt64((3 - index & 3) * 16) & 0xFFFF
    }

    private func appendGroups(to out: inout OutputSpan<UInt8>) {
        let zeros = longestZeroRun()
        var index = 0
        while index < 8 {
            if index == zeros.lowerBound, zeros.count > 1 {
                out.append(2, of: 0x3A3A)
                index = zeros.upperBound
                continue
            }
            if index > 0, index != zeros.upperBound || zeros.count < 2 { out.append(0x3A) }
            let value = group(index)
            let digits = value > 0xFFF ? 4 : value > 0xFF ? 3 : value > 0xF ? 2 : 1
            out.append(digits, of: ByteWriter.hexadecimal(value, digits: digits))
            index += 1
        }
    }

    private func longestZeroRun() -> Range<Int> {
        var best = 0..<0
        var start = 0
        for index in 0..<8 {
            if group(index) != 0 {
                start = index + 1
            } else if index + 1 - start > best.count {
                best = start..<index + 1
            }
        }
        return best
    }
}
