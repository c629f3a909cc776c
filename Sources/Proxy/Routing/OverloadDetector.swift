// OverloadDetector tells a node that cannot keep up from one that was held up for a moment, by how long datagrams have
// stood in the socket before they were read (the kernel stamps each).
//
//   keeping up ──one stood for longer than `delay`──▶ behind ──for 250 ms without a break──▶ overloaded
//       ▲                                               │ one stood shorter, or found the queue empty │
//       └───────────────────────────────────────────────┴─────────────────────────────────────────────┘
//
// Whoever came after the one before was read found the queue empty, however long it stood then: a node that is held up
// twice, and idle in between, is not behind in between.
//
// Intuition (CoDel, RFC 8289): a queue that empties now and then absorbs a burst, and is good; one that never does
// delays everybody and helps nobody. While it stands, new calls are refused, which is cheap, and what belongs to calls
// that are up goes on. A process that was stopped finds an old queue too, and has emptied it long before 250 ms.
//
// Not attempted: a share of calls to admit. The queue falls below `delay` within some tens of milliseconds, and the
// next quarter of a second admits again: what is answered stays near what can be.

import Primitives

struct OverloadDetector: Sendable {
    /// Zero: never.
    let delay: Int64
    /// Since when no datagram has stood for less, or found an empty queue.
    private var behindSince: Instant?
    private var lastReadAt = Instant(nanoseconds: .min)

    static let patience: Duration = .milliseconds(250)

    /// - Parameter delay: Milliseconds.
    init(delay: Int64) { self.delay = delay }

    /// A datagram that has stood in its socket for so long is read.
    mutating func note(ageMilliseconds age: Int64, now: Instant) {
        guard delay > 0 else { return }
        let foundEmpty = now.advanced(milliseconds: -age) > lastReadAt
        lastReadAt = now
        if age <= delay {
            behindSince = nil
        } else if foundEmpty || behindSince == nil {
            behindSince = now
        }
    }

    func isOverloaded(_ now: Instant) -> Bool {
        guard let behindSince else { return false }
        return now - behindSince >= Self.patience
    }
}
