// Answers that a script gives by itself: the modules sl and tm, and what `t_relay` leaves behind for `sl_reply_error`.
// The first answer counts. A second one would be a second response of one transaction.

internal import Primitives
internal import SIP

extension RouteRun {
    /// - Returns: `false` where nobody can be answered: in a route about a response, to an ACK, after another verdict.
    package mutating func reply(_ code: Int, _ reason: [UInt8], isStateful: Bool) -> Bool {
        guard message.isRequest, message.method != .ack, (100...699).contains(code) else { return false }
        guard point.kind == .request || point.kind == .failure || point.kind == .branchFailure else { return false }
        guard reason.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return false }
        switch plan.verdict {
        case .ended: break
        // A provisional answer may be followed by others.
        case .replied(let earlier, _, _) where earlier < 200: break
        case .replied, .relayed, .forwarded, .dropped, .suspended: return false
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

    package mutating func setReplyBody(_ body: [UInt8], _ type: [UInt8]) -> Bool {
        guard !body.isEmpty, type.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return false }
        plan.replyBody = body
        plan.replyType = type
        return true
    }
}
