// Where a received message belongs, for who keeps messages (`understudy trace`): a call's, or not. It is known only
// when the message has been handled, and must not depend on what a stranger can send by the thousand: what this node
// refused or had no use for is set apart.

package import Dialogs
import Primitives
import SIP

/// What the message that was received last is.
package enum MessageOutcome: Sendable {
    /// A keep-alive, or nothing.
    case keepAlive
    /// It could not be read.
    case unreadable
    /// It makes a dialog, or belongs to one.
    case ofCall
    /// OPTIONS, REGISTER, MESSAGE and the like, and what names a dialog that is not known here.
    case other
    /// It was refused without a transaction, or was of no use.
    case refused
}

/// What was counted before a message was handled.
struct OutcomeMarks {
    fileprivate var outcome: MessageOutcome
    fileprivate var refusals: UInt64
}

extension Proxy {
    /// Call it with the message as it came, before it is handled.
    func marks() -> OutcomeMarks {
        let method = message.isRequest ? message.method : (try? message.cSeq())?.method ?? .other
        let isOfCall: Bool =
            switch method {
            case .invite, .ack, .bye, .cancel, .prack, .update, .info, .refer: true
            case .options, .register, .subscribe, .notify, .publish, .message, .other: false
            }
        return OutcomeMarks(outcome: isOfCall ? .ofCall : .other, refusals: refusals(isAck: method == .ack))
    }

    func outcome(since marks: OutcomeMarks, isAck: Bool) -> MessageOutcome {
        guard refusals(isAck: isAck) == marks.refusals else { return .refused }
        return lacksDialog ? .other : marks.outcome
    }

    /// Requests refused within a dialog are its own; there is no counting them apart, and they are seldom.
    private func refusals(isAck: Bool) -> UInt64 {
        let counted = counters.rejected &+ counters.accessDenied &+ counters.staleDropped &+ counters.strayResponses
        guard isAck else { return counted }
        return counted &+ counters.foreignAbsorbed &+ counters.refusalsAcknowledged &+ counters.dropped
    }
}

extension Proxy {
    /// Counts an answer that goes upstream, and how long its call took to be answered.
    mutating func noteAnswer(_ status: Int, _ context: ResponseContext) {
        answersByClass[min(6, status / 100)] &+= 1
        guard status / 100 == 2, context.lastStatus < 200, context.method == .invite, context.isInitial,
            context.pass.isFirst, context.kind == .forwarded
        else { return }
        counters.callsAnswered += 1
        setUpTimes.note(now - context.startedAt)
    }

    /// Which dialog a commit is waited for. It changes nothing; asked of a copy it would cost more than its answer.
    package mutating func dialog(of token: CommitToken) -> DialogID? {
        guard let id = resolve(token.context, generationMask: CommitToken.generationMask) else { return nil }
        return contexts.update(id) { $0.did } ?? nil
    }
}
