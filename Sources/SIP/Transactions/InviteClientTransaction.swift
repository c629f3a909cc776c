// INVITE client transaction (RFC 3261 §17.1.1, with `accepted` and timer M of RFC 6026 §7.2).
//
//     calling ──1xx──▶ proceeding ──────300–699: ACK──▶ completed ──timer D──▶ terminated
//       │  │               │                              ↺ 300–699: ACK again, not delivered
//       │  │               └──2xx──▶ accepted ──timer M──▶ terminated
//       │  ├──2xx────────────────────▶  ↺ 2xx: delivered
//       │  └──300–699: ACK──▶ completed
//       └──timer B, transport error──▶ terminated            ↺ timer A: send, doubled
//
// Every 1xx and the final response are delivered; the owner acknowledges a 2xx by whoever made the INVITE, never here.
// Timer A doubles without a cap (§17.1.1.2). Timer C is the response context's (§16.6 step 11): this machine only knows
// its name.

package struct InviteClientTransaction: Sendable {
    package enum Phase: UInt8, Sendable { case idle, calling, proceeding, completed, accepted, terminated }

    package private(set) var phase = Phase.idle
    private let isReliable: Bool
    private let timers: TransactionTimers
    private var interval = Duration.zero

    package init(timers: TransactionTimers = TransactionTimers(), reliable: Bool = false) {
        self.timers = timers
        isReliable = reliable
    }

    /// Sends the INVITE. Call it once.
    package mutating func start(actions: inout [TransactionAction]) {
        guard phase == .idle else { return }
        phase = .calling
        actions.append(.send)
        if !isReliable {
            interval = timers.t1
            actions.append(.start(.a, after: interval))
        }
        actions.append(.start(.b, after: timers.value(.b, reliable: isReliable)))
    }

    /// Takes a response that matched by branch and CSeq method (§17.1.3).
    package mutating func receive(statusCode: Int, actions: inout [TransactionAction]) {
        switch phase {
        case .calling, .proceeding:
            if phase == .calling { stopCalling(&actions) }
            finish(statusCode, &actions)
        case .completed:
            if statusCode >= 300 { actions.append(.acknowledge) }
        case .accepted:
            if (200..<300).contains(statusCode) { actions.append(.deliver) }
        case .idle, .terminated:
            break
        }
    }

    private mutating func stopCalling(_ actions: inout [TransactionAction]) {
        if !isReliable { actions.append(.stop(.a)) }
        actions.append(.stop(.b))
    }

    private mutating func finish(_ statusCode: Int, _ actions: inout [TransactionAction]) {
        switch statusCode {
        case ..<200:
            phase = .proceeding
            actions.append(.deliver)
        case ..<300:
            phase = .accepted
            actions.append(.deliver)
            actions.append(.start(.m, after: timers.value(.m, reliable: isReliable)))
        default:
            actions.append(.acknowledge)
            actions.append(.deliver)
            let delay = timers.value(.d, reliable: isReliable)
            phase = delay == .zero ? .terminated : .completed
            actions.append(delay == .zero ? .terminated : .start(.d, after: delay))
        }
    }

    /// A timer may fire after the response that stopped it was taken: late, not wrong, and without effect.
    package mutating func timerFired(_ timer: TransactionTimer, actions: inout [TransactionAction]) {
        switch (phase, timer) {
        case (.calling, .a):
            interval *= 2
            actions.append(.send)
            actions.append(.start(.a, after: interval))
        case (.calling, .b):
            if !isReliable { actions.append(.stop(.a)) }
            actions.append(.timedOut)
            terminate(&actions)
        case (.completed, .d), (.accepted, .m):
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

    /// The transport could not send the INVITE or the ACK (§17.1.4).
    package mutating func transportError(actions: inout [TransactionAction]) {
        switch phase {
        case .calling:
            stopCalling(&actions)
        case .completed:
            actions.append(.stop(.d))
        case .idle, .proceeding, .accepted, .terminated:
            return
        }
        actions.append(.transportFailed)
        terminate(&actions)
    }

    private mutating func terminate(_ actions: inout [TransactionAction]) {
        phase = .terminated
        actions.append(.terminated)
    }
}
