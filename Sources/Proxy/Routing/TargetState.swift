// TargetState is what this node knows of one target of a static route: whether it answers.
//
//     up ──down-after failures in a row──▶ down ──up-after answers in a row──▶ up
//                                            └──no probes: 30 s──▶ tried again; one failure and it stays down
//
// An answer is any but 408 and 503 to OPTIONS, or any to a request. A failure is a probe without one, or a request to
// which nothing came at all. Each node finds out for itself: what one of them cannot reach, another may.

import Primitives

package struct TargetState: Sendable {
    /// How long a target that is not probed stays down before it is tried again.
    static let rest = Duration.seconds(30)

    /// Which target of which set.
    var set: Int
    var position: Int
    var isUp = true
    /// In a row, toward the other state.
    var failures = 0
    var answers = 0
    var changedAt: Instant
    var probes: UInt64 = 0
    var requests: UInt64 = 0
    var silences: UInt64 = 0

    package enum Change: Sendable { case none, up, down }

    mutating func note(isUp answered: Bool, upAfter: Int, downAfter: Int, now: Instant) -> Change {
        if answered {
            failures = 0
            guard !isUp else { return .none }
            answers += 1
            guard answers >= upAfter else { return .none }
        } else {
            answers = 0
            failures += 1
            guard isUp, failures >= downAfter else {
                if !isUp { changedAt = now }
                return .none
            }
        }
        isUp = answered
        failures = 0
        answers = 0
        changedAt = now
        return answered ? .up : .down
    }

    func isUsable(isProbed: Bool, now: Instant) -> Bool {
        isUp || !isProbed && now - changedAt >= Self.rest
    }
}

/// One target, for operators.
package struct TargetStatus: Equatable, Sendable {
    package var set: String
    package var uri: [UInt8]
    package var policy: TargetPolicy
    package var isUp: Bool
    package var isProbed: Bool
    /// Since it last went up or down, or was last found silent while down.
    package var changedMilliseconds: Int64
    /// Failures in a row while up, answers in a row while down.
    package var streak: Int
    package var probes: UInt64
    /// Branches begun to it, and those to which nothing came.
    package var requests: UInt64
    package var silences: UInt64
}
