// RequestLane is the REQ socket to one configured peer: one question at a time, in lock step with its answer.
//
//   idle ──something is wanted, or a hello is due──▶ asking ──answer──▶ idle
//                                                     └──no answer, or `requestTimeout`──▶ idle, pausing 100 ms
//
// A lane learns which process is at its end from any answer; before that it sends hellos, questions without entries.

internal import Primitives

struct RequestLane: Sendable {
    struct Outstanding: Sendable {
        var id: UInt64
        var sentAt: Instant
        var to: MemberID?
        var isSync = false
    }

    var outstanding: Outstanding?
    /// Who answered last.
    var member: MemberID?
    /// It was we ourselves: our own address is in our list.
    var isSelf = false
    var pauseUntil: Instant
    var helloAt: Instant
    var failures = 0
    var lastRecycle: Instant
    var wasNotedAbsent = false

    static let pause: Duration = .milliseconds(100)

    init(now: Instant) {
        pauseUntil = now
        helloAt = now
        lastRecycle = now
    }
}
