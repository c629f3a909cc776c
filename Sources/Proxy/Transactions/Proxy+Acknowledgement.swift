// ACK (RFC 3261 §17.1.1.3, §13.2.2.4), wherever in the cluster it arrives: one for a non-2xx on another node than its
// INVITE's ends there, and every live member gets it once (S1-2d); one for a 2xx is forwarded by its Routes and settles
// the INVITE. That of a refusal of the cluster's own within a dialog is in `Proxy+Refusals`.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Whose an ACK is.
    private enum Fate {
        /// Of a non-2xx that this node has sent.
        case ofTransaction(SlotID)
        /// Of a refusal of the cluster's own within a dialog.
        case ofRefusal
        /// Of a final answer whose transaction another member has, or had.
        case ofAnother
        /// A member passed it on for whoever has its transaction, which this node has not.
        case ofNobody
        /// Of a 2xx: on to who has sent that.
        case ofSuccess
        /// Its CSeq may have to be moved, and the record that says so is not here.
        case unknown(DialogID)
    }

    mutating func receiveAcknowledgement(_ plan: inout RequestPlan, dialogs: inout DialogTable) {
        let arrived = plan
        switch fate(&plan, dialogs: dialogs) {
        case .unknown(let did):
            if keep(arrived, at: .admit, for: .record(did, isWanted: false)) { return }  // It has been asked for.
            plan = arrived
            plan.hasWaited = true
            receiveAcknowledgement(&plan, dialogs: &dialogs)
        case .ofTransaction(let id): acknowledge(id)
        case .ofRefusal: counters.refusalsAcknowledged += 1
        case .ofAnother:
            counters.foreignAbsorbed += 1
            passToPeers(from: plan.source)
        case .ofNobody: counters.foreignAbsorbed += 1
        case .ofSuccess: sendOn(&plan, dialogs: &dialogs)
        }
    }

    private mutating func fate(_ plan: inout RequestPlan, dialogs: DialogTable) -> Fate {
        if let id = serverContext(serverKey(plan, method: .ack)), awaitsAcknowledgement(id) {
            return .ofTransaction(id)
        }
        if isOfRefusal(plan) { return .ofRefusal }
        if isAcknowledgementOfOurs(plan) { return .ofAnother }
        consumeRoutes(&plan, dialogs: dialogs)
        let hint = plan.did
        let isRouted = hint != nil
        matchDialog(&plan, dialogs: dialogs)
        if let hint, !plan.isKnown, waits(for: hint, plan, dialogs: dialogs) { return .unknown(hint) }
        // Its INVITE's number did fit; one of no INVITE goes on as it came.
        if !placeCSeq(&plan, dialogs: dialogs) { counters.numbersUsedUp += 1 }
        plan.isInDialog = plan.isKnown || isRouted || !message.toTag.isEmpty
        let failure = recordedFailure(plan, dialogs: dialogs)
        if failure == .refused { return .ofRefusal }
        if failure == .rejected || isOfFailed(plan, isRouted: isRouted, dialogs: dialogs) {
            return .ofAnother
        }
        if isPassedOn(plan) { return .ofNobody }
        return !plan.isKnown && !isRouted && message.first(.route) == nil ? .ofAnother : .ofSuccess
    }

    /// The INVITE has been answered with a failure.
    private func awaitsAcknowledgement(_ id: SlotID) -> Bool {
        contexts.read(id) { context in
            guard case .invite(let transaction) = context.server else { return false }
            return transaction.phase == .completed || transaction.phase == .confirmed
        } ?? false
    }

    private mutating func acknowledge(_ id: SlotID) {
        guard var context = take(id) else { return }
        if case .invite(var transaction) = context.server {
            actions.removeAll(keepingCapacity: true)
            transaction.receiveAck(actions: &actions)
            context.server = .invite(transaction)
            performServer(&context, id)
        }
        finish(consume context, id)
    }

    /// An ACK for a 2xx settles its INVITE, and goes on by its Routes. It is never answered, so a next hop that cannot
    /// be found is a counted drop.
    mutating func sendOn(_ plan: inout RequestPlan, dialogs: inout DialogTable) {
        if !plan.isJudged, let did = plan.did, plan.isKnown {
            let settles = dialogs.state(did) == .confirmedNotAcknowledged
            if !watched.isEmpty { note(settles ? .confirmed : .requestWithin, did, from: plan.leg) }
            learnAcknowledgement(did, plan, dialogs: &dialogs)
        }
        if isForScript(plan), askAboutRequest(plan, .script) { return }
        guard let hops = try? message.maxForwards() ?? 70, hops > 0,
            plan.targets.isEmpty ? findNextHop(&plan, dialogs: dialogs).isProceed : true
        else {
            counters.dropped += 1
            return
        }
        forwardStatelessly(&plan)
    }

    /// Whether an ACK is for the failure of an INVITE: it has that one's topmost Via (RFC 3261 §17.1.1.3), or, where a
    /// balancer that fails over has renewed the branch, none of our Routes names a dialog, and a call of that Call-ID,
    /// From tag and CSeq has failed or is about to. Who has the INVITE's transaction gets it; the phone that the
    /// Request-URI names has no use for it.
    private mutating func isOfFailed(_ plan: RequestPlan, isRouted: Bool, dialogs: DialogTable) -> Bool {
        func isAnswered(_ did: DialogID) -> Bool {
            dialogs.state(did) == .confirmedNotAcknowledged || dialogs.state(did) == .confirmed
        }
        let own = dialogs.did(of: inviteIdentity(plan))
        if dialogs.contains(own) { return !isAnswered(own) }
        if isRouted { return false }
        // Of a pass of a spiral: whoever has that knows it by the server's branch, and the call has not been answered.
        if passCancelled(plan, dialogs: dialogs) != nil { return true }
        if plan.isKnown, let did = plan.did, isAnswered(did) {
            let (bytes, tag) = (message.bytes, message.toTag)
            let state = dialogs.view(did) { view, stored in view.out(toTag: bytes, tag, in: stored)?.state } ?? nil
            return state == .early || state == .deleted
        }
        return attempts(plan, dialogs: dialogs).contains { did in
            guard let state = dialogs.state(did) else { return false }
            // Nobody has answered, as far as is known here: it is for a pass of a spiral that another node has, if its
            // own INVITE was not here. Should a phone that ignores its Routes have been answered by way of another
            // node, its next ACK, to the next copy of the 2xx, finds the fact.
            if state < .confirmedNotAcknowledged { return true }
            return state == .deleted && dialogs.view(did) { view, _ in view.flags.contains(.failed) } ?? false
        }
    }

    /// A member has passed it on for whoever has its transaction (`passToPeers`), as it came: it goes no further. What
    /// a member forwards has the member's Via, or Routes.
    private mutating func isPassedOn(_ plan: RequestPlan) -> Bool {
        guard neighbours.isPeerAddress(plan.source),
            case .foreign = Branch(message.bytes, plan.via.branch, mark: settings.mark)
        else { return false }
        return message.first(.route) == nil || relayMark() != nil
    }

    /// The To tag is one that the cluster gave: the ACK is for a final answer of ours.
    private func isAcknowledgementOfOurs(_ plan: RequestPlan) -> Bool {
        let tag = message.toTag
        guard tag.count == 18, message.bytes[Int(tag.start)] == UInt8(ascii: "u"),
            message.bytes[Int(tag.start) + 1] == UInt8(ascii: "s"),
            let number = Text.hex(message.bytes, ByteRange(start: Int(tag.start) + 2, end: Int(tag.end)))
        else { return false }
        return number
            == ownToTag(
                callID: message.callID, fromTag: message.fromTag, cSeq: plan.cSeq.number, in: message.bytes)
    }
}
