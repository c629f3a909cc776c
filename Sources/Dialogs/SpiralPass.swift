// SpiralPass names which passage of one INVITE through the cluster a transaction is. A server behind the cluster may
// send the INVITE back through it (a spiral, RFC 3261 §16.3 step 4): one dialog, several server transactions.
//
//     caller ──▶ cluster ──▶ server ──▶ cluster ──▶ phone
//                 first                  depth 1, hash of the server's Via
//
// The deeper pass stands nearer to who answers, so what it tells of that side, its connection above all, counts for
// more; the first one stands nearest to who asks, and only its end is the end of the request.

public struct SpiralPass: Hashable, Comparable, Sendable {
    /// Depth in the upper word, a hash of the topmost Via as received in the lower; 0 for the first pass.
    public var rawValue: UInt64

    public static let first = SpiralPass(rawValue: 0)

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// - Parameters:
    ///   - depth: How often the request has passed before; at least 1.
    ///   - hash: Of the branch and sent-by of its topmost Via: two branches of a server that forks are two passes.
    public init(depth: Int, hash: UInt64) {
        rawValue = UInt64(UInt16(clamping: depth)) << 32 | hash & 0xffff_ffff
    }

    /// What names the Via that it came by.
    public var hash: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    public var isFirst: Bool { self == .first }

    public static func < (left: SpiralPass, right: SpiralPass) -> Bool { left.rawValue < right.rawValue }
}
