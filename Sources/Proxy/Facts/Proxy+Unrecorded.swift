// What becomes of a call whose record takes no more (STYLE: every limit has a name for what happens at it).
//
//   facts of an unanswered INVITE     stop at the early bounds of the record: an heir will not know of that branch or
//                                     early dialog; the call goes on
//   a 2xx too large for the record    is recorded without its bytes: an heir can end the dialog, and not repeat the 2xx
//   an INVITE, or a 2xx that confirms, without a record
//                                     `dialogs.unrecorded`: `forward`, it goes on and the cluster knows nothing of the
//                                     dialog; `refuse`, 513 upstream, ACK and BYE to who has answered
//   a refresh, an ACK, a BYE          goes on; the record stays as it was
//
// Each is counted; the first of a kind is logged, with the Call-ID. All nodes have the same bounds, so what one has
// recorded the others can.

import Dialogs
import Primitives
import SIP

/// What a 2xx has taught.
enum SuccessFact {
    case nothing
    /// It confirms a dialog, or moves its deadline.
    case moves
    /// The record does not take it.
    case refused
}

extension Proxy {
    /// How much of its record an INVITE's progress may fill: an answered dialog has its room already.
    func room(_ context: ResponseContext) -> RecordRoom { context.isInitial ? .early : .whole }

    /// Counts why a record refused what was learned.
    mutating func noteRefusal(_ error: RecordError, _ did: DialogID, dialogs: DialogTable) {
        let isFirst: Bool
        switch error {
        case .tooLarge, .tooMany:
            counters.factsRefused += 1
            isFirst = counters.factsRefused == 1
        case .tableFull:
            counters.recordsRefusedAtLimit += 1
            isFirst = counters.recordsRefusedAtLimit == 1
        case .truncated, .malformedVarint, .malformedTag, .wrongWireType, .outOfRange:
            counters.factsUnreadable += 1
            isFirst = counters.factsUnreadable == 1
        }
        guard isFirst else { return }
        let known = dialogs.view(did) { view, bytes in Array(bytes[view.callID.range]) }
        effects.items.append(.note(.factRefused(callID: known ?? message.copy(message.callID), error)))
    }

    /// Learns a 2xx, without its bytes where they do not fit.
    mutating func learnSuccessAsFits(
        _ context: inout ResponseContext, _ index: Int, answer: [UInt8], dialogs: inout DialogTable
    ) -> SuccessFact {
        let fact = learnSuccess(&context, index, answer: answer, dialogs: &dialogs)
        guard fact == .refused, context.method == .invite else { return fact }
        counters.answersNotKept += 1
        return learnSuccess(&context, index, answer: [], dialogs: &dialogs)
    }

    /// The INVITE can have no record.
    /// - Returns: Whether it goes on all the same.
    mutating func goesOnUnrecorded(_ context: inout ResponseContext, _ id: SlotID) -> Bool {
        noteUnrecorded()
        context.isUnrecorded = true
        guard settings.refusesUnrecorded else { return true }
        for index in context.branches.indices {
            context.branches[index].final = 513
            terminateClient(&context, index)
        }
        close(&context)
        respond(513, &context, id)
        return false
    }

    /// The 2xx at hand confirms a dialog, and its record does not take that.
    /// - Returns: Whether the 2xx goes on all the same.
    mutating func confirmsUnrecorded(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) -> Bool
    {
        noteUnrecorded()
        guard settings.refusesUnrecorded, context.isInitial, context.lastStatus < 200, context.held.isEmpty,
            let did = context.did
        else { return true }
        refuseLateAnswer(did, home: dialogs.record(did)?.home, .ofCall(.interrupted), dialogs: &dialogs)
        learnFailure(context, status: 513, dialogs: &dialogs)
        respond(513, &context, id)
        return false
    }

    private mutating func noteUnrecorded() {
        counters.unrecorded += 1
        guard counters.unrecorded == 1 else { return }
        effects.items.append(
            .note(.unrecorded(callID: message.copy(message.callID), isRefused: settings.refusesUnrecorded)))
    }
}
