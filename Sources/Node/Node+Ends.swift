// Ends that somebody asks for, and what becomes of them. Any node takes the wish, as a fact; the dialog's actor carries
// it out; and every node can tell from the record how far it has come.
//
//   lives ──asked for, or time is up──▶ waiting ──a majority grants──▶ ending ──each side has answered, or not──▶ ended
//
//   A ringing call goes from lives to ending: its owner cancels it at once.

import Cluster
import Dialogs
package import Primitives
import Proxy
import SIP

extension Node {
    /// Ends a dialog: a confirmed one by a deadline that is now, a ringing one by cancelling it. Whoever asks a second
    /// time changes nothing.
    package mutating func endDialog(did text: String, now: Instant, into out: inout Outbox) -> EndReport {
        guard let did = DialogID(hex: text), let state = store.dialogs.state(did) else { return .unknown }
        if state == .deleted { return .alreadyEnded }
        guard cluster.isFit else { return .refused("this node has no quorum or is not up yet; ask another member") }
        // An end that is granted goes on, for the reason that its BYEs give: whoever repeats them must say the same.
        if state >= .confirmedNotAcknowledged,
            proxy.isEnding(did) || proxy.neighbours.frozenDialogs.contains(did, now: now)
        {
            return .endingAlready
        }
        let isAsked = store.dialogs.view(did) { view, _ in view.flags.contains(.endedByOperator) } ?? false
        begin(&out)
        let flags = RecordFlags.endedByOperator
        if state >= .confirmedNotAcknowledged {
            proxy.shortenDeadline(
                did, flags: flags, isAsked: true, now: now, dialogs: &store.dialogs)
        } else {
            _ = proxy.cancelEarly(did, flags: flags, now: now, dialogs: &store.dialogs)
            proxy.review(did, now: now, dialogs: &store.dialogs)
        }
        settle(now: now, into: &out)
        finish(&out, now: now)
        return isAsked ? .endingAlready : .ending
    }

    /// How far the end of a dialog has come, as this node sees it.
    func end(_ did: DialogID, _ record: Record, now: Instant) -> DialogEnd {
        var end = DialogEnd()
        guard let state = record.state, state != .deleted else {
            end.phase = .ended
            end.cause = Self.cause(of: record.flags)
            end.isAnswered = !record.flags.contains(.unanswered)
            return end
        }
        let isExplicit = record.deadline?.isExplicitEnd ?? false
        if state < .confirmedNotAcknowledged {
            guard record.flags.contains(.cancelled) else { return end }
            end.phase = .ending
        } else if proxy.isEnding(did) || proxy.neighbours.frozenDialogs.contains(did, now: now) {
            end.phase = .ending
        } else if isExplicit || (store.dialogs.deadline(did) ?? .distantFuture) <= now {
            end.phase = .waiting
        } else {
            return end
        }
        end.cause = isExplicit || state < .confirmedNotAcknowledged ? Self.cause(of: record.flags) : .timeout
        if record.flags.contains(.endedByKeepAlive) { end.cause = .keepAlive }
        return end
    }

    /// The party's own BYE comes first: what the cluster wanted beside it has found nothing to end.
    private static func cause(of flags: RecordFlags) -> DialogEnd.Cause {
        if flags.contains(.byeFromCaller) { return .caller }
        if flags.contains(.byeFromCallee) { return .callee }
        if flags.contains(.endedByOperator) { return .operator }
        if flags.contains(.endedByKeepAlive) { return .keepAlive }
        if flags.contains(.timedOut) { return .timeout }
        if flags.contains(.cancelled) { return .cancelled }
        return flags.contains(.failed) ? .failed : .none
    }
}
