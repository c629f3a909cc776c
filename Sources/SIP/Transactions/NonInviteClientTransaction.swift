// Non-INVITE client transaction (RFC 3261 §17.1.2).
//
//     trying ──1xx──▶ proceeding ──200–699──▶ completed ──timer K──▶ terminated
//       │  └──200–699──────────────────────────▶  ↺ any response: absorbed
//       └──timer F, transport error, from proceeding too──▶ terminated
//
// Timer E resends: doubling up to T2 while trying, every T2 once a provisional came. RFC 4320 (no 408 upstream, no
// early 100) is the proxy's matter.

package struct NonInviteClientTransaction: Sendable {
    package enum Phase: UInt8, Sendable { case idle, trying, proceeding, completed, terminated }

    package private(set) var phase = Phase.idle
    private let isReliable: Bool
    private let timers: TransactionTimers
    private var interval = Duration.zero

    package init(timers: TransactionTimers = TransactionTimers(), reliable: Bool = false) {
        self.timers = timers
        isReliable = reliable
    }

    /// Sends the request. Call it once.
    package mutating func start(actions: inout [TransactionAction]) {
        guard phase == .idle else { return }
        phase = .trying
        actions.append(.send)
        if !isReliable {
            interval = timers.value(.e, reliable: false)
            actions.append(.start(.e, after: interval))
        }
        actions.append(.start(.f, after: timers.value(.f, reliable: isReliable)))
    }

    /// Takes a response that matched by branch and CSeq method (§17.1.3).
    package mutating func receive(statusCode: Int, actions: inout [TransactionAction]) {
        guard phase == .trying || phase == .proceeding else { return }
        guard statusCode >= 200 else {
            phase = .proceeding
            actions.append(.deliver)
            return
        }
        stop(&actions)
        actions.append(.deliver)
        let delay = timers.value(.k, reliable: isReliable)
        phase = delay == .zero ? .terminated : .completed
        actions.append(delay == .zero ? .terminated : .start(.k, after: delay))
    }

    /// A timer may fire after the response that stopped it was taken: late, not wrong, and without effect.
    package mutating func timerFired(_ timer: TransactionTimer, actions: inout [TransactionAction]) {
        switch (phase, timer) {
        case (.trying, .e), (.proceeding, .e):
            interval = phase == .proceeding ? timers.t2 : timers.doubledUpToT2(interval)
            actions.append(.send)
            actions.append(.start(.e, after: interval))
        case (.trying, .f), (.proceeding, .f):
            if !isReliable { actions.append(.stop(.e)) }
            actions.append(.timedOut)
            terminate(&actions)
        case (.completed, .k):
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

    /// The transport could not send the request (§17.1.4).
    package mutating func transportError(actions: inout [TransactionAction]) {
        guard phase == .trying || phase == .proceeding else { return }
        stop(&actions)
        actions.append(.transportFailed)
        terminate(&actions)
    }

    private func stop(_ actions: inout [TransactionAction]) {
        if !isReliable { actions.append(.stop(.e)) }
        actions.append(.stop(.f))
    }

    private mutating func terminate(_ actions: inout [TransactionAction]) {
        phase = .terminated
        actions.append(.terminated)
    }
}
