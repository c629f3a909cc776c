// Instant is the core's time: nanoseconds since an arbitrary origin that the shell chooses (CLOCK_BOOTTIME in a real
// node, zero in the simulator). It is an argument everywhere; nothing in the core asks for it.
//
// Invariant: arithmetic saturates at both ends, so a lifetime or an age that came from the network can never trap.
// Not attempted: calendar time. Clocks of two nodes are never compared; what crosses the network is an age.

/// A point in the local monotonic time of one process.
public struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the origin; negative before it.
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static let zero = Instant(nanoseconds: 0)

    /// Later than every time that can be reached: "never".
    public static let distantFuture = Instant(nanoseconds: .max)

    /// This instant plus a duration, held at the ends of the range.
    public func advanced(by duration: Duration) -> Instant {
        advanced(nanoseconds: duration.saturatedNanoseconds)
    }

    /// This instant plus milliseconds (which may be negative), held at the ends of the range.
    public func advanced(milliseconds: Int64) -> Instant {
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return advanced(nanoseconds: overflow ? (milliseconds < 0 ? .min : .max) : product)
    }

    /// Whole milliseconds from `earlier` to this instant, rounded toward zero; negative when `earlier` is later.
    public func milliseconds(since earlier: Instant) -> Int64 {
        nanoseconds(since: earlier) / 1_000_000
    }

    public static func - (later: Instant, earlier: Instant) -> Duration {
        .nanoseconds(later.nanoseconds(since: earlier))
    }

    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    private func advanced(nanoseconds delta: Int64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return Instant(nanoseconds: overflow ? (delta < 0 ? .min : .max) : sum)
    }

    private func nanoseconds(since earlier: Instant) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow ? (nanoseconds < earlier.nanoseconds ? .min : .max) : difference
    }
}

extension Duration {
    /// The duration in nanoseconds, held at the ends of `Int64` (292 years).
    public var saturatedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in whole milliseconds, rounded toward zero.
    public var wholeMilliseconds: Int64 { saturatedNanoseconds / 1_000_000 }
}
