// ClockOffset tells how long a frame was on its way, without comparing clocks: the least (own clock − sender's clock)
// seen is the quickest way there is, and what a frame shows above it is what it took longer (R8).
//
// Two clocks drift apart by some ten microseconds a second, so the least is kept for the present and the last minute
// only. Limit: a delay that lasts for over a minute counts as the way's own.
//
// The first frames of a new connection may be a backlog, seconds old, and then nothing quicker has been seen yet: ages
// that they brought are too small. The first quicker message shows it (`hasImproved`), and those ages are asked for
// again.

internal import Primitives

struct ClockOffset: Sendable {
    private var current = Int64.max
    private var previous = Int64.max
    private var began: Instant?
    /// A message was quicker than all before by more than `tolerance`: what those said of ages was wrong.
    private(set) var hasImproved = false
    /// Milliseconds; the ordinary jitter of a way.
    static let tolerance: Int64 = 20

    /// Milliseconds that the frame took longer than the quickest one.
    mutating func transit(clock: UInt64, now: Instant) -> Int64 {
        let offset = Self.milliseconds(now) - Int64(clock)
        if let began, now > began.advanced(by: .seconds(60)) {
            previous = current
            current = .max
            self.began = now
        } else if began == nil {
            began = now
        }
        let known = min(current, previous)
        hasImproved = known != .max && offset < known - Self.tolerance
        current = min(current, offset)
        return mutated("transit-zero") ? 0 : offset - min(current, previous)
    }

    /// The clock that a process puts into its frames.
    static func clock(_ now: Instant) -> UInt64 { UInt64(max(0, milliseconds(now))) }

    private static func milliseconds(_ now: Instant) -> Int64 { now.nanoseconds / 1_000_000 }
}
