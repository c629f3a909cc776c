// Why a branch is cancelled (RFC 3326): a phone that was called and is not wanted any more tells from the Reason
// whether its user has missed a call.
//
//   the caller's CANCEL                   its Reasons as they came, none if there were none
//   another branch was answered           SIP ;cause=200 ;text="Call completed elsewhere"
//   another branch declined for all       its 6xx
//   timer C, early timeout                408
//   an operator, an heir                  480
//
// The cause is kept with the branch, since a CANCEL waits for the first provisional (RFC 3261 §9.1). The caller's
// Reasons stand in the pending fact of its INVITE, so a CANCEL that reached another node, and an heir, have them too.

import Dialogs
import Primitives
import SIP

enum CancelCause: Equatable, Sendable {
    case caller, elsewhere
    case declined(Int)
    case unanswered, earlyTimeout, ended, interrupted

    /// Why a call is cancelled that a record says is: its flags tell.
    init(flags: RecordFlags) {
        if flags.contains(.endedByOperator) {
            self = .ended
        } else if flags.contains(.timedOut) {
            self = .earlyTimeout
        } else {
            self = .caller
        }
    }
}

extension Proxy {
    /// The Reason headers of the CANCEL at hand.
    mutating func reasonLines() -> [UInt8] {
        guard message.first(.reason) != nil else { return [] }
        var lines = ByteWriter()
        if !message.writeReasons(into: &lines) { counters.reasonsLeftOut += 1 }
        return lines.bytes
    }

    /// The Reason headers of a branch's CANCEL.
    static func writeCancelReason(_ cause: CancelCause, ofCaller lines: [UInt8], into writer: inout ByteWriter) {
        let (code, text): (Int, StaticString)
        switch cause {
        case .caller:
            writer.put(lines)
            return
        case .elsewhere: (code, text) = (200, "Call completed elsewhere")
        case .declined(let status): (code, text) = (status, reasonPhrase(status))
        case .unanswered: (code, text) = (408, "No answer in time")
        case .earlyTimeout: (code, text) = (408, "Call set-up took too long")
        case .ended: (code, text) = (480, "Ended by the operator")
        case .interrupted: (code, text) = (480, "Call set-up was interrupted")
        }
        ReasonWriter.write(cause: code, text: [UInt8](copying: text), into: &writer)
    }

    /// Adds the Reasons that the caller gave to the facts of the INVITE that is cancelled.
    mutating func learnReason(_ context: ResponseContext) {
        guard !context.reason.isEmpty, !context.branches.isEmpty else { return }
        pendingFact(context, 0) { $0.put(.reason, context.reason) }
    }

    /// A CANCEL came for the INVITE of this pending.
    mutating func writeCancelled(_ pending: Record.Pending, progress: PendingProgress, reason: [UInt8]) {
        guard !progress.isEmpty || !reason.isEmpty else { return }
        facts.pending(pending.leg, cSeq: pending.cseq, pending.branch, ByteRange(pending.branch)) { fields in
            fields.mark(progress)
            if !reason.isEmpty { fields.put(.reason, reason) }
        }
    }

    /// Another node has learned that the INVITE is cancelled: by whom, and why.
    func noteCancelled(_ context: inout ResponseContext, _ flags: RecordFlags, _ pendings: [Record.Pending]) {
        context.cancelled = true
        context.cause = context.isInitial && context.pass.isFirst ? CancelCause(flags: flags) : .caller
        if context.cause != .caller { context.endCode = settings.earlyEndCode }
        if context.reason.isEmpty { context.reason = Self.reason(of: pendings) }
    }

    /// Why a branch is cancelled whose record is a tombstone: its caller gave up, an heir ended the set-up, or another
    /// branch was answered and its call is over.
    func causeOfEnd(_ flags: RecordFlags) -> CancelCause {
        if flags.contains(.cancelled) { return CancelCause(flags: flags) }
        return flags.contains(.failed) ? .interrupted : .elsewhere
    }

    /// The Reasons of a CANCEL for one of these pendings.
    static func reason(of pendings: [Record.Pending]) -> [UInt8] {
        pendings.first { !$0.reason.isEmpty }?.reason ?? []
    }
}
