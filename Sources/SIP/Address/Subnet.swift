// Subnet is a block of addresses, `192.0.2.0/24` or `2001:db8::/32` (RFC 4632, RFC 4291 §2.3); an address without a
// prefix length is a block of one.
//
// IPv4 and IPv6 never contain one another. Bits behind the prefix must be zero: `192.0.2.1/24` is refused, because one
// of its two halves is a slip of the pen.

package struct Subnet: Hashable, Sendable {
    package let address: Address
    /// 0 to 32, or to 128.
    package let prefixLength: Int

    /// `nil` when the text is no block.
    package init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let address = Address(text: String(first)) else { return nil }
        let most = address.isIPv6 ? 128 : 32
        var length = most
        if parts.count == 2 {
            let digits = parts[1].utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ $0 >= 48 && $0 <= 57 }),
                let number = Int(parts[1]), number <= most
            else { return nil }
            length = number
        }
        self.init(address: address, prefixLength: length)
    }

    /// `nil` when the prefix is too long, or bits are set behind it.
    package init?(address: Address, prefixLength: Int) {
        guard (0...(address.isIPv6 ? 128 : 32)).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
        let mask = Self.mask(prefixLength, isIPv6: address.isIPv6)
        guard address.high & ~mask.high == 0, address.low & ~mask.low & (address.isIPv6 ? .max : 0xFFFF_FFFF) == 0
        else { return nil }
    }

    package func contains(_ other: Address) -> Bool {
        guard other.isIPv6 == address.isIPv6 else { return false }
        let mask = Self.mask(prefixLength, isIPv6: address.isIPv6)
        return other.high & mask.high == address.high && other.low & mask.low == address.low
    }

    package var text: String { "\(address.text)/\(prefixLength)" }

    private static func mask(_ length: Int, isIPv6: Bool) -> (high: UInt64, low: UInt64) {
        guard isIPv6 else { return (0, length == 0 ? 0 : UInt64(0xFFFF_FFFF) << UInt64(32 - length) & 0xFFFF_FFFF) }
        let high = length == 0 ? 0 : length >= 64 ? UInt64.max : UInt64.max << UInt64(64 - length)
        let low = length <= 64 ? 0 : UInt64.max << UInt64(128 - length)
        return (high, low)
    }
}
