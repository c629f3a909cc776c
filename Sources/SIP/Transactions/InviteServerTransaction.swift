// INVITE server transaction (RFC 3261 §17.2.1, with `accepted` and timer L of RFC 6026 §7.1).
//
//     proceeding ──300–699: send──▶ completed ──ACK──▶ confirmed ──timer I──▶ terminated
//       │ ↺ 1xx: send                 │ ↺ timer G: send, doubled up to T2; INVITE: send
//       │ ↺ INVITE: send the last     └──timer H──▶ terminated (timed out)
//       │
//       └──2xx: send──▶ accepted ──timer L──▶ terminated
//                         ↺ 2xx: send; ACK: delivered; INVITE: absorbed
//
// The 100 is the proxy's to send (within 200 ms, when a peer has the record), so `start` asks for nothing and a
// repeated INVITE is only answered once something was said. A 2xx is resent by whoever made it, never here. A transport
// error is reported and changes nothing (RFC 6026 §7.1): the timers end what cannot be delivered.

package struct InviteServerTransaction: Sendable {
    package enum Phase: UInt8, Sendable {
        case idle, proceeding, completed, confirmed, accepted, terminated

        /// Written out as that of `Method`.
        package static func == (left: Phase, right: Phase) -> Bool { left.rawValue == right.rawValue }
    }

    package private(set) var phase = Phase.idle
    /// Whether a response was given, so that there is one to send again.
    package private(set) var hasResponded = false
    private let isReliable: Bool
    private let timers: TransactionTimers
    private var interval = Duration.zero

    package init(timers: TransactionTimers = TransactionTimers(), reliable: Bool = false) {
        self.timers = timers
        isReliable = reliable
    }

    /// The INVITE came. Call it once; nothing is asked for yet.
    package mutating func start(actions: inout [TransactionAction]) {
        guard phase == .idle else { return }
        phase = .proceeding
    }

    /// The same INVITE came again (§17.2.3).
    package mutating func receiveRetransmission(actions: inout [TransactionAction]) {
        switch phase {
        case .proceeding:
            if hasResponded { actions.append(.send) }
        case .completed:
            actions.append(.send)
        case .idle, .confirmed, .accepted, .terminated:
            break
        }
    }

    /// An ACK came that matches this transaction: for a non-2xx by branch, for a 2xx by dialog.
    package mutating func receiveAck(actions: inout [TransactionAction]) {
        switch phase {
        case .completed:
            stopCompleted(&actions)
            let delay = timers.value(.i, reliable: isReliable)
            phase = delay == .zero ? .terminated : .confirmed
            actions.append(delay == .zero ? .terminated : .start(.i, after: delay))
        case .accepted:
            actions.append(.deliver)
        case .idle, .proceeding, .confirmed, .terminated:
            break
        }
    }

    /// The proxy gives a response. After a final one only further 2xx to a 2xx are taken; the rest has no effect.
    package mutating func respond(statusCode: Int, actions: inout [TransactionAction]) {
        switch (phase, statusCode) {
        case (.proceeding, ..<200):
            hasResponded = true
            actions.append(.send)
        case (.proceeding, ..<300):
            hasResponded = true
            phase = .accepted
            actions.append(.send)
            actions.append(.start(.l, after: timers.value(.l, reliable: isReliable)))
        case (.proceeding, _):
            hasResponded = true
            phase = .completed
            actions.append(.send)
            if !isReliable {
                interval = timers.value(.g, reliable: false)
                actions.append(.start(.g, after: interval))
            }
            actions.append(.start(.h, after: timers.value(.h, reliable: isReliable)))
        case (.accepted, 200..<300):
            actions.append(.send)
        default:
            break
        }
    }

    /// A timer may fire after what stopped it was taken: late, not wrong, and without effect.
    package mutating func timerFired(_ timer: TransactionTimer, actions: inout [TransactionAction]) {
        switch (phase, timer) {
        case (.completed, .g):
            interval = timers.doubledUpToT2(interval)
            actions.append(.send)
            actions.append(.start(.g, after: interval))
        case (.completed, .h):
            if !isReliable { actions.append(.stop(.g)) }
            actions.append(.timedOut)
            terminate(&actions)
        case (.confirmed, .i), (.accepted, .l):
            terminate(&actions)
        default:
            break
        }
    }

    /// Ends the transaction from outside: another node has finished it, and nothing it waits for matters any more. The
    /// owner of its timers stops them.
    package mutating func abandon() {
        phase = .terminated
    }

    /// The transport could not send a response.
    package mutating func transportError(actions: inout [TransactionAction]) {
        switch phase {
        case .proceeding, .completed, .accepted: actions.append(.transportFailed)
        case .idle, .confirmed, .terminated: break
        }
    }

    private func stopCompleted(_ actions: inout [TransactionAction]) {
        if !isReliable { actions.append(.stop(.g)) }
        actions.append(.stop(.h))
    }

    private mutating func terminate(_ actions: inout [TransactionAction]) {
        phase = .terminated
        actions.append(.terminated)
    }
}
