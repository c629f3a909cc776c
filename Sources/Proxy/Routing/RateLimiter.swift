// RateLimiter counts new requests by token buckets: one for everybody, one for each source address. A bucket holds up
// to `burst` tokens and gains `perSecond` of them; a request takes one from each, or none from either.
//
// Sources are kept in sets of four places, found by a keyed hash. A source that finds no place takes that of the one
// not heard for longest, and begins with a full bucket: memory is bounded, and who floods from more addresses than
// there are places meets the limit for all.

import Primitives
import SIP

package struct RateLimits: Equatable, Sendable {
    /// New requests a second from one source; 0: no limit.
    package var sourcePerSecond = 0
    package var sourceBurst = 0
    /// From all sources; 0: no limit.
    package var totalPerSecond = 0
    package var totalBurst = 0
    /// Source addresses remembered, rounded up to a power of two.
    package var sources = 16_384
    /// Milliseconds that datagrams may stand in the socket before new requests are refused; 0: any
    /// (`limits.overload-ms`).
    package var overloadMilliseconds: Int64 = 0
    /// Percent of the dialogs and transactions that only emergency calls may use (`limits.emergency-reserve`).
    package var emergencyReserve = 0

    package init() {}
}

struct RateLimiter: Sendable {
    enum Verdict: Equatable, Sendable { case admitted, source, total }

    struct Bucket: Sendable {
        /// Billionths of a token.
        var level: Int64
        var at: Instant

        /// Adds what has flowed in since.
        mutating func fill(perSecond: Int, burst: Int, now: Instant) {
            let full = Int64(burst) * RateLimiter.token
            // No bucket takes longer than 1000 s to fill, and the product stays within 63 bits.
            let elapsed = min(max(0, now.nanoseconds &- at.nanoseconds), 1_000_000_000_000)
            level = min(full, level + elapsed * Int64(perSecond))
            at = now
        }
    }

    private struct Place: Sendable {
        var address: Address?
        var bucket: Bucket
    }

    static let ways = 4
    fileprivate static let token: Int64 = 1_000_000_000

    let limits: RateLimits
    private var total: Bucket
    private var places: [Place]

    init(_ limits: RateLimits, now: Instant) {
        self.limits = limits
        total = Bucket(level: Int64(limits.totalBurst) * Self.token, at: now)
        var count = Self.ways
        while count < limits.sources { count *= 2 }
        let empty = Place(address: nil, bucket: Bucket(level: 0, at: Instant(nanoseconds: .min)))
        places = limits.sourcePerSecond > 0 ? Array(repeating: empty, count: count) : []
    }

    var isActive: Bool { limits.sourcePerSecond > 0 || limits.totalPerSecond > 0 }

    /// - Parameter source: `nil` for one that has no bucket of its own.
    mutating func take(source: Address?, hash: KeyedHash, now: Instant) -> Verdict {
        var place: Int?
        if let source, !places.isEmpty {
            let found = self.place(of: source, hash: hash, now: now)
            places[found].bucket.fill(perSecond: limits.sourcePerSecond, burst: limits.sourceBurst, now: now)
            guard places[found].bucket.level >= Self.token else { return .source }
            place = found
        }
        if limits.totalPerSecond > 0 {
            total.fill(perSecond: limits.totalPerSecond, burst: limits.totalBurst, now: now)
            guard total.level >= Self.token else { return .total }
            total.level -= Self.token
        }
        if let place { places[place].bucket.level -= Self.token }
        return .admitted
    }

    private mutating func place(of source: Address, hash: KeyedHash, now: Instant) -> Int {
        var stream = hash.begin()
        stream.combine(source.high)
        stream.combine(source.low)
        let first = Int(truncatingIfNeeded: stream.finish() & UInt64(places.count / Self.ways - 1)) * Self.ways
        let set = first..<first + Self.ways
        if let known = set.first(where: { places[$0].address == source }) { return known }
        let oldest = set.min { (places[$0].bucket.at, $0) < (places[$1].bucket.at, $1) } ?? first
        places[oldest] = Place(
            address: source, bucket: Bucket(level: Int64(limits.sourceBurst) * Self.token, at: now))
        return oldest
    }
}
