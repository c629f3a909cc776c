// An ACK of a 2xx as it leaves. It has no transaction, so what is asked about is kept whole; a script can stop it.

import Dialogs
import Primitives
import SIP

/// An ACK that is written.
struct LeavingAcknowledgement: Sendable {
    var bytes: [UInt8]
    var target: Endpoint
    var listener: ListenerID
    var flow = FlowID.none
    var serverName: [UInt8] = []
    var outline: MessageOutline?
}

extension Proxy {
    /// What a script is asked about the ACK at hand when it leaves; `nil` for one that no script has judged.
    func questionOfAcknowledgement(_ plan: RequestPlan) -> ScriptQuestion? {
        guard scriptPoints.contains(.acknowledgement), plan.isJudged, message.method == .ack else { return nil }
        return ScriptQuestion(
            token: 0, point: .acknowledgement, bytes: [], source: plan.source, listener: plan.near,
            flow: plan.arrivalFlow, did: plan.did, isInDialog: true, transaction: 0)
    }

    /// Sends it, when the script has been asked where there is one to ask.
    mutating func send(_ leaving: LeavingAcknowledgement, asking asked: ScriptQuestion?) {
        guard var question = asked else { return send(leaving) }
        guard let token = scripts.keep(.acknowledgement(leaving), now: now) else {
            counters.scriptsRefused += 1
            return send(leaving)
        }
        (question.token, question.bytes, question.target) = (token, leaving.bytes, leaving.target)
        effects.items.append(.ask(question))
    }

    mutating func goOn(_ asked: LeavingAcknowledgement, _ verdict: MessageVerdict) {
        switch verdict {
        case .drop: counters.dropped += 1
        case .goOn(let bytes):
            var leaving = asked
            if isChange(bytes, of: asked.bytes) { (leaving.bytes, leaving.outline) = (bytes, nil) }
            send(leaving)
        }
    }

    private mutating func send(_ leaving: LeavingAcknowledgement) {
        effects.queue.send(
            leaving.bytes, to: leaving.target, from: leaving.listener, flow: leaving.flow,
            serverName: leaving.serverName, outline: leaving.outline)
    }
}
