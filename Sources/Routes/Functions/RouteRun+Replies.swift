// Answers that a script gives by itself: the modules sl and tm, and what `t_relay` leaves behind for `sl_reply_error`.
// The first answer counts. A second one would be a second response of one transaction.

internal import Primitives
internal import SIP

extension RouteRun {
    /// - Returns: `false` where nobody can be answered: in a route about a response, to an ACK, after another verdict.
    package mutating func reply(_ code: Int, _ reason: [UInt8], isStateful: Bool) -> Bool {
        // A provisional answer decides nothing: the node gives its own 100.
        guard message.isRequest, message.method != .ack, (200...699).contains(code) else { return false }
        guard point.kind == .request || point.kind == .failure else { return false }
        guard reason.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return false }
        switch plan.verdict {
        case .ended: break
        case .replied, .relayed, .forwarded, .dropped: return false
        }
        plan.verdict = .replied(code, reason: reason, isStateful: isStateful || plan.isStateful)
        return true
    }

    /// What `t_relay` could not do, or 500.
    package mutating func replyError() -> Bool {
        guard let failure = plan.relayFailure else {
            return reply(500, Array("I'm terribly sorry, server error occurred (1/SL)".utf8), isStateful: false)
        }
        return reply(failure.status, [UInt8](copying: failure.reason), isStateful: false)
    }
}
