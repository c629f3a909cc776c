// Instant is the core's time: nanoseconds since an arbitrary origin that the shell chooses (CLOCK_BOOTTIME in a real
// node, zero in the simulator). It is an argument everywhere; nothing in the core asks for it.
//
// Invariant: arithmetic saturates at both ends, so a lifetime or an age that came from the network can never trap.
// Not attempted: calendar time. Clocks of two nodes are never compared; what crosses the network is an age.

/// A point in the local monotonic time of one process.
public struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the origin; negative before it.
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static let zero = Instant(nanoseconds: 0)

    /// Later than every time that can be reached: "never".
    public static let distantFuture = Instant(nanoseconds: .max)

    /// This instant plus a duration, held at the ends of the range.
    @inlinable
    public func advanced(by duration: Duration) -> Instant {
        advanced(nanoseconds: duration.saturatedNanoseconds)
    }

    /// This instant plus milliseconds (which may be negative), held at the ends of the range.
    @inlinable
    public func advanced(milliseconds: Int64) -> Instant {
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return advanced(nanoseconds: overflow ? (milliseconds < 0 ? .min : .max) : product)
    }

    /// Whole milliseconds from `earlier` to this instant, rounded toward zero; negative when `earlier` is later.
    @inlinable
    public func milliseconds(since earlier: Instant) -> Int64 {
        nanoseconds(since: earlier) / 1_000_000
    }

    @inlinable
    public static func - (later: Instant, earlier: Instant) -> Duration {
        .nanoseconds(later.nanoseconds(since: earlier))
    }

    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// This instant plus nanoseconds (which may be negative), held at the ends of the range.
    @inlinable
    public func advanced(nanoseconds delta: Int64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return Instant(nanoseconds: overflow ? (delta < 0 ? .min : .max) : sum)
    }

    /// Nanoseconds from `earlier` to this instant, held at the ends of the range; negative when `earlier` is later.
    @inlinable
    public func nanoseconds(since earlier: Instant) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow ? (nanoseconds < earlier.nanoseconds ? .min : .max) : difference
    }
}

extension Duration {
    /// The standard library's own is for every kind of integer, and takes 500 instructions for it. It traps as that
    /// does, beyond what attoseconds in 128 bits can say.
    @inlinable
    public static func * (duration: Duration, times: Int) -> Duration {
        Duration(attoseconds: duration.attoseconds * Int128(times))
    }

    /// The same of its division.
    @inlinable
    public static func / (duration: Duration, parts: Int) -> Duration {
        Duration(attoseconds: duration.attoseconds / Int128(parts))
    }

    /// The duration in nanoseconds, rounded toward zero, held at the ends of `Int64` (292 years).
    ///
    /// A Duration counts attoseconds in 128 bits, and dividing those costs a hundred instructions. 10⁹ is 2⁹ · 5⁹: what
    /// is not negative and below an hour fits 64 bits when it has been shifted, and is divided there.
    @inlinable
    public var saturatedNanoseconds: Int64 {
        let attoseconds = attoseconds
        if attoseconds >= 0, attoseconds >> 72 == 0 {
            return Int64(UInt64(truncatingIfNeeded: attoseconds >> 9) / 1_953_125)
        }
        return slowlySaturatedNanoseconds
    }

    @usableFromInline
    var slowlySaturatedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in whole milliseconds, rounded toward zero.
    @inlinable
    public var wholeMilliseconds: Int64 { saturatedNanoseconds / 1_000_000 }
}
