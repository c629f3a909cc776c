// How likely it is that two addresses are of one network, as far as addresses say it. A node with several sockets of
// one family picks by it the one that a request leaves from: the routes of the host are not the core's to know.
//
//     3   the same /24 (IPv4) or /64 (IPv6)
//     2   the same block: loopback, one of the private ones (RFC 1918, RFC 6598, RFC 4193), link-local, or the rest of
//         the internet
//     1   two different private blocks of IPv4
//     0   anything else, two families among it

extension Address {
    /// - Returns: 0 to 3, larger is closer.
    package func closeness(to other: Address) -> Int {
        guard isIPv6 == other.isIPv6 else { return 0 }
        if isIPv6 ? high == other.high : low >> 8 == other.low >> 8 { return block == .loopback ? 2 : 3 }
        if block == other.block { return 2 }
        return block.isPrivate && other.block.isPrivate ? 1 : 0
    }

    private var block: Block {
        if isLoopback { return .loopback }
        guard isIPv6 else {
            switch (low >> 24, low >> 16 & 0xFF) {
            case (10, _): return .ten
            case (172, 16...31): return .oneSevenTwo
            case (192, 168): return .oneNineTwo
            case (100, 64...127): return .shared
            case (169, 254): return .linkLocal
            default: return .global
            }
        }
        switch high >> 56 {
        case 0xFC, 0xFD: return .uniqueLocal
        case 0xFE where high >> 54 == 0x3FA: return .linkLocal
        default: return .global
        }
    }

    private enum Block {
        case loopback, linkLocal, ten, oneSevenTwo, oneNineTwo, shared, uniqueLocal, global

        var isPrivate: Bool {
            switch self {
            case .ten, .oneSevenTwo, .oneNineTwo, .shared: true
            case .loopback, .linkLocal, .uniqueLocal, .global: false
            }
        }
    }
}
