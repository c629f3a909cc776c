// Histogram counts how long things took, in buckets of fixed bounds, so that many nodes' can be added up. Counting is a
// walk over at most eighteen numbers, most often over a few, and allocates nothing.

public struct Histogram: Equatable, Sendable {
    /// Upper bounds in microseconds; what is longer has a bucket of its own.
    public static let bounds: [Int64] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        5_000_000, 10_000_000, 60_000_000,
    ]

    /// How many fell into each bucket, the one without a bound last.
    public private(set) var counts: [UInt64]
    /// All of them together, in microseconds.
    public private(set) var sum: Int64 = 0

    public init() {
        counts = Array(repeating: 0, count: Self.bounds.count + 1)
    }

    public mutating func note(_ duration: Duration) {
        let microseconds = max(0, duration.saturatedNanoseconds / 1_000)
        sum &+= microseconds
        var bucket = 0
        while bucket < Self.bounds.count, microseconds > Self.bounds[bucket] { bucket &+= 1 }
        counts[bucket] &+= 1
    }
}
