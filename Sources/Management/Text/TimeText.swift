// Times as people read them: `12 s`, `3 m 05 s`, `2 h 03 m`, `4 d 06 h`, and moments by the clock of whoever reads.

import Foundation

package enum TimeText {
    /// With spaces, for sentences.
    package static func span(seconds: Double) -> String { span(seconds, " ") }

    /// Without, for columns: `3m05s`.
    package static func column(seconds: Double) -> String { span(seconds, "") }

    private static func span(_ seconds: Double, _ gap: String) -> String {
        guard seconds.isFinite, abs(seconds) < 1e15 else { return "?" }
        let sign = seconds <= -1 ? "-" : ""
        let whole = Int(abs(seconds).rounded(.down))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        switch whole {
        case ..<60: return "\(sign)\(whole)\(gap)s"
        case ..<3_600: return "\(sign)\(whole / 60)\(gap)m\(gap)\(two(whole % 60))\(gap)s"
        case ..<86_400: return "\(sign)\(whole / 3_600)\(gap)h\(gap)\(two(whole / 60 % 60))\(gap)m"
        default: return "\(sign)\(whole / 86_400)\(gap)d\(gap)\(two(whole / 3_600 % 24))\(gap)h"
        }
    }

    /// `Sun Nov 29 15:20:11 2026`, as C's `ctime` has it, in the time zone of this process.
    package static func calendar(unixSeconds: Int64) -> String {
        let parts = Calendar(identifier: .gregorian).dateComponents(
            [.year, .month, .day, .hour, .minute, .second, .weekday],
            from: Date(timeIntervalSince1970: Double(unixSeconds)))
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func padded(_ number: Int?, _ fill: String) -> String {
            let number = number ?? 0
            return number < 10 ? "\(fill)\(number)" : "\(number)"
        }
        let day = days[((parts.weekday ?? 1) + 6) % 7]
        let month = months[((parts.month ?? 1) + 11) % 12]
        let clock = [parts.hour, parts.minute, parts.second].map { padded($0, "0") }.joined(separator: ":")
        return "\(day) \(month) \(padded(parts.day, " ")) \(clock) \(parts.year ?? 0)"
    }

    /// `2026-11-29 15:20:11`, in the time zone of this process.
    package static func moment(unixSeconds: Double) -> String {
        guard unixSeconds.isFinite, abs(unixSeconds) < 1e11 else { return "?" }
        let parts = Calendar(identifier: .gregorian).dateComponents(
            [.year, .month, .day, .hour, .minute, .second], from: Date(timeIntervalSince1970: unixSeconds))
        func two(_ number: Int?) -> String {
            let number = number ?? 0
            return number < 10 ? "0\(number)" : "\(number)"
        }
        return "\(parts.year ?? 0)-\(two(parts.month))-\(two(parts.day)) "
            + "\(two(parts.hour)):\(two(parts.minute)):\(two(parts.second))"
    }
}
