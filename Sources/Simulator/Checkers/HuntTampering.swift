// Ways to break the attempts of a hunt on purpose, for the tests of their checkers.

internal import Node
internal import SIP

extension World {
    /// Answered attempts among the calls in progress.
    package var attemptsInProgress: [Int] { callsInProgress.filter { plan.calls[$0].hunt != nil } }

    /// Attempts that ring, or will until they are rejected, and are not the only one of their hunt.
    package var attemptsRinging: [Int] {
        truth.filter { call in
            call.plan.hunt.map { $0.attempts > 1 } == true && call.decidedAt == nil
                && callees(of: call.index)[0].isRinging
        }.map(\.index)
    }

    /// Attempts whose targets have rejected them, and whose callers do not know yet.
    package var attemptsRejected: [Int] {
        truth.filter { call in
            call.plan.hunt != nil && call.decidedAt == nil && call.cancelledAt == nil
                && callees(of: call.index)[0].servers.contains { $0.isInitial && $0.statusCode >= 300 }
        }.map(\.index)
    }

    /// Attempts that have not begun, of hunts that go on.
    package var attemptsToCome: [Int] {
        truth.filter { call in
            call.plan.waits && caller(of: call.index).inviteClient == nil && truth[call.index - 1].decidedAt == nil
                && caller(of: call.index - 1).inviteClient != nil && call.cancelledAt == nil
        }.map(\.index)
    }

    package func hasBegun(_ call: Int) -> Bool { caller(of: call).inviteClient != nil }
    package func hasFailed(_ call: Int) -> Bool { truth[call].failure != nil }
    package func isMeantToFail(_ call: Int) -> Bool {
        plan.calls[call].callees[0].answer == .rejects && plan.calls[call].cancelAfter == nil
    }

    /// Another attempt of the same hunt.
    package func sibling(of call: Int) -> Int? { plan.calls[call].hunt?.calls.first { $0 != call } }

    /// The INVITE of one attempt, as its target had it, reaches the target of another.
    package func tamper(givingInviteOf call: Int, to other: Int, on host: Int) {
        guard let invite = callees(of: call)[0].servers.first(where: \.isInitial)?.request.bytes else { return }
        send(
            Packet(
                bytes: invite, source: hosts[host].address, to: callees(of: other)[0].endpoint, sender: .node(host)))
    }

    /// The target of an attempt hears nothing from now on.
    package func tamper(silencing call: Int) { callees(of: call)[0].vanishAt = now }
}
