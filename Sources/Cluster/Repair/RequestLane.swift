// RequestLane is the REQ socket to one configured peer: one question at a time, in lock step with its answer.
//
//   idle ──something is wanted, or a hello is due──▶ asking ──answer──▶ idle
//                                                     └──no answer, or `requestTimeout`──▶ idle, pausing 100 ms
//
// Lanes are positions: the shell knows a peer by its lane. One that was given up is vacant, and the next new peer gets
// it.
//
// A lane learns which process is at its end from any answer; before that it sends hellos, questions without entries.

internal import Primitives

struct RequestLane: Sendable {
    struct Outstanding: Sendable {
        var id: UInt64
        var sentAt: Instant
        var to: MemberID?
        var isSync = false
        /// The number of the inquiry in it.
        var inquiry: UInt64?
    }

    /// The peer's bus address as configured or found.
    let address: String
    /// Given up: nobody is asked here.
    private(set) var isVacant = false
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

    /// Somebody else is, or may be, at its end.
    var isInUse: Bool { !isSelf && !isVacant }

    /// Nobody is asked here any more; an answer that still comes belongs to nothing.
    mutating func vacate() {
        isVacant = true
        outstanding = nil
        member = nil
    }

    init(address: String, now: Instant) {
        self.address = address
        pauseUntil = now
        helloAt = now
        lastRecycle = now
    }
}
