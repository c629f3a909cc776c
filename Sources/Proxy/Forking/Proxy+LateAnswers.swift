// Callees whose 2xx comes too late. Each gets ACK and BYE from the cluster, as a user agent would have sent them (RFC
// 3261 §13.2.2.4), and each retransmission of its 2xx another ACK.
//
//   2xx after a final answer that the cluster gave itself           always (S2-11)
//   2xx of another callee than the one that has answered            with `sip.late-answer: end`; else it goes upstream,
//                                                                   and the caller ends what it does not want
//
// BYE and ACK follow from (did, To tag) alone, so whichever nodes see copies of the 2xx, the callee sees one of each.

import Dialogs
import Primitives
import SIP

/// A 2xx that nobody waits for.
enum LateAnswer {
    /// To the INVITE that would make the dialog: ACK, and BYE for this cause.
    case ofCall(ByeCause)
    /// To one within the dialog, which goes on: ACK alone.
    case ofReInvite
}

extension Proxy {
    /// Whether the 2xx at hand, to the INVITE that makes the dialog, is not to reach the caller because another callee
    /// has answered.
    func isLateAnswer(_ did: DialogID, dialogs: DialogTable) -> Bool {
        guard settings.endsLateAnswers else { return false }
        return dialogs.view(did) { view, bytes in
            var (isKnown, hasOther) = (false, false)
            view.forEachOut(in: bytes) { out in
                // One that only a further pass has seen is not the caller's yet.
                let isTold = out.state == .confirmed || out.side.pass.isFirst || !out.answer.isEmpty
                guard isTold, out.state == .confirmedNotAcknowledged || out.state == .confirmed else { return }
                if Text.same(bytes, out.toTag, message.bytes, message.toTag) { isKnown = true } else { hasOther = true }
            }
            return hasOther && !isKnown
        } ?? false
    }

    /// Ends the callee of the 2xx at hand; its dialog-out is over.
    mutating func endLateAnswer(_ did: DialogID, dialogs: inout DialogTable) {
        counters.lateAnswersEnded += 1
        let toTag = message.copy(message.toTag)
        facts.begin()
        facts.out(toTag) { $0.reach(.deleted) }
        learn(did, dialogs: &dialogs)
        let home = dialogs.record(did)?.home
        refuseLateAnswer(did, home: home, .ofCall(.elsewhere), dialogs: &dialogs)
    }

    /// ACK and BYE for the 2xx at hand (S2-11), of a re-INVITE the ACK alone.
    mutating func refuseLateAnswer(
        _ did: DialogID, home: Record.Home?, _ answer: LateAnswer, dialogs: inout DialogTable
    ) {
        // Without quorum nobody's call is ended, and the callee repeats its answer (RFC 3261 §13.3.1.4).
        guard neighbours.isFit else {
            counters.foreignAbsorbed += 1
            return
        }
        guard let contact = contactURI(), let to = message.first(.to), let from = message.first(.from),
            let cSeq = try? message.cSeq()
        else { return }
        var record = Record()
        record.home = home  // Its sent-by makes this BYE the same transaction as any other of the cluster's.
        record.callID = message.copy(message.callID)
        record.from = message.copy(from.value)
        record.inviteCSeq = cSeq.number
        record.state = .early
        var out = Record.Out()
        out.toTag = message.copy(message.toTag)
        out.to = message.copy(to.value)
        out.side.contact = message.copy(contact)
        out.side.routes = recordRoutes(of: .callee)
        if let fact = flowFact(arrivalFlow) {
            var flow = ByteWriter(capacity: FlowFact.byteCount)
            fact.write(into: &flow)
            out.side.flow = flow.bytes
        }
        record.caller.firstCSeq = cSeq.number
        var cause = ByeCause.interrupted
        if case .ofCall(let other) = answer { cause = other }
        guard let request = bye(did, record, out, to: .callee, because: cause) else { return }
        let moved = movedCSeq(ofInvite: cSeq.number, did: did, dialogs: dialogs)
        acknowledge(did, record, out, of: request, cSeq: moved)
        if case .ofReInvite = answer { return }
        let hash = generatedHash(request.bytes)
        guard ownRequests.find(hash: hash) == nil else { return }
        _ = sendByes([request], did: did, for: .interruption, dialogs: &dialogs)  // The callee repeats its 2xx.
    }

    /// The ACK that goes where the BYE goes.
    private mutating func acknowledge(
        _ did: DialogID, _ record: Record, _ out: Record.Out, of bye: EndingRequest, cSeq: UInt64
    ) {
        guard let hop = nextHop(out.side) else { return }
        let sent = requestWithin(
            record, out, to: .callee, OwnLine("ACK", cSeq: cSeq), hop,
            via: { writeGeneratedVia(did, record, out, to: .callee, .ack, settings.egress ?? hop.endpoint, into: &$0) })
        let target = settings.egress ?? bye.target
        if target != .none {
            effects.queue.send(sent, to: target, from: listener(ofGenerated: sent, toward: target))
        } else if let name = nameOfHop(sent) {
            if !ask(for: name, .stateless(sent, nil, nil)) { counters.dropped += 1 }
        }
    }
}
