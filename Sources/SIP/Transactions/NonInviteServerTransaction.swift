// Non-INVITE server transaction (RFC 3261 §17.2.2).
//
//     trying ──1xx: send──▶ proceeding ──200–699: send──▶ completed ──timer J──▶ terminated
//       │ ↺ request: absorbed  ↺ 1xx: send                  ↺ request: send
//       │                      ↺ request: send
//       └──200–699: send──────────────────────────────────▶ completed
//
// A transport error ends it from proceeding and completed (§17.2.4). When a 100 may be sent at all is the proxy's
// matter (RFC 4320).

package struct NonInviteServerTransaction: Sendable {
    package enum Phase: UInt8, Sendable { case idle, trying, proceeding, completed, terminated }

    package private(set) var phase = Phase.idle
    private let isReliable: Bool
    private let timers: TransactionTimers

    package init(timers: TransactionTimers = TransactionTimers(), reliable: Bool = false) {
        self.timers = timers
        isReliable = reliable
    }

    /// The request came. Call it once; nothing is asked for yet.
    package mutating func start(actions: inout [TransactionAction]) {
        guard phase == .idle else { return }
        phase = .trying
    }

    /// The same request came again (§17.2.3).
    package mutating func receiveRetransmission(actions: inout [TransactionAction]) {
        switch phase {
        case .proceeding, .completed: actions.append(.send)
        case .idle, .trying, .terminated: break
        }
    }

    /// The proxy gives a response. A second final one has no effect.
    package mutating func respond(statusCode: Int, actions: inout [TransactionAction]) {
        guard phase == .trying || phase == .proceeding else { return }
        actions.append(.send)
        guard statusCode >= 200 else {
            phase = .proceeding
            return
        }
        let delay = timers.value(.j, reliable: isReliable)
        phase = delay == .zero ? .terminated : .completed
        actions.append(delay == .zero ? .terminated : .start(.j, after: delay))
    }

    package mutating func timerFired(_ timer: TransactionTimer, actions: inout [TransactionAction]) {
        guard phase == .completed, timer == .j else { return }
        terminate(&actions)
    }

    /// Ends the transaction from outside: another node has finished it, and nothing it waits for matters any more. The
    /// owner of its timers stops them.
    package mutating func abandon() {
        phase = .terminated
    }

    /// The transport could not send a response.
    package mutating func transportError(actions: inout [TransactionAction]) {
        guard phase == .proceeding || phase == .completed else { return }
        if phase == .completed { actions.append(.stop(.j)) }
        actions.append(.transportFailed)
        terminate(&actions)
    }

    private mutating func terminate(_ actions: inout [TransactionAction]) {
        phase = .terminated
        actions.append(.terminated)
    }
}
