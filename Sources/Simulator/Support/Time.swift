// Units of virtual time. A run counts nanoseconds from 0, and only here are they spelled as anything else.

/// Nanoseconds of virtual time since the run began.
typealias Nanoseconds = Int64

extension Int64 {
    static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }
    static func seconds(_ count: Int64) -> Int64 { count * 1_000_000_000 }

    /// Whole milliseconds, for people.
    var inMilliseconds: Int64 { self / 1_000_000 }

    /// `12345.678`: milliseconds with three digits after the point, for traces.
    var traceTime: String {
        let micros = self / 1_000 % 1_000
        let fraction = micros < 10 ? "00\(micros)" : micros < 100 ? "0\(micros)" : "\(micros)"
        return "\(inMilliseconds).\(fraction)"
    }
}
