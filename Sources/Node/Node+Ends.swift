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
        if state >= .confirmedNotAcknowledged, proxy.isEnding(did) || proxy.frozenDialogs.contains(did, now: now) {
            return .endingAlready
        }
        let isAsked = store.dialogs.view(did) { view, _ in view.flags & RecordFlag.endedByOperator != 0 } ?? false
        begin(&out)
        let flags = RecordFlag.endedByOperator
        if state >= .confirmedNotAcknowledged {
            proxy.shortenDeadline(
                did, flags: flags, isAsked: true, now: now, dialogs: &store.dialogs, effects: &effects)
        } else {
            _ = proxy.cancelEarly(did, flags: flags, now: now, dialogs: &store.dialogs, effects: &effects)
            proxy.review(did, now: now, dialogs: &store.dialogs, effects: &effects)
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
            end.isAnswered = record.flags & RecordFlag.unanswered == 0
            return end
        }
        let isExplicit = record.deadline?.isExplicitEnd ?? false
        if state < .confirmedNotAcknowledged {
            guard record.flags & RecordFlag.cancelled != 0 else { return end }
            end.phase = .ending
        } else if proxy.isEnding(did) || proxy.frozenDialogs.contains(did, now: now) {
            end.phase = .ending
        } else if isExplicit || (store.dialogs.deadline(did) ?? .distantFuture) <= now {
            end.phase = .waiting
        } else {
            return end
        }
        end.cause = isExplicit || state < .confirmedNotAcknowledged ? Self.cause(of: record.flags) : .timeout
        if record.flags & RecordFlag.endedByKeepAlive != 0 { end.cause = .keepAlive }
        return end
    }

    /// The party's own BYE comes first: what the cluster wanted beside it has found nothing to end.
    private static func cause(of flags: UInt64) -> DialogEnd.Cause {
        if flags & RecordFlag.byeFromCaller != 0 { return .caller }
        if flags & RecordFlag.byeFromCallee != 0 { return .callee }
        if flags & RecordFlag.endedByOperator != 0 { return .operator }
        if flags & RecordFlag.endedByKeepAlive != 0 { return .keepAlive }
        if flags & RecordFlag.timedOut != 0 { return .timeout }
        if flags & RecordFlag.cancelled != 0 { return .cancelled }
        return flags & RecordFlag.failed != 0 ? .failed : .none
    }
}
