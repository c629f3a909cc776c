// A dead node's 2xx, sent again: T1 after the last, doubling to T2, for 64·T1, until some node sees the ACK (S1-3). So
// is that to an INVITE which was tried again, by who adopted it (R16). The first copy waits for its commit, as any 2xx
// that confirms a dialog does.

import Dialogs
import Primitives
import SIP

extension Proxy {
    mutating func startResending(_ did: DialogID, _ record: Record, _ pending: Record.Pending, _ answer: [UInt8]) {
        if mutated("resend-off") { return }
        // What the branches of a fork share stands in the first one.
        let whole = branches(of: pending, in: record).first { !$0.source.isEmpty } ?? pending
        guard let source = Endpoint(fact: whole.source) else {
            counters.takeoverUnreachable += 1
            return
        }
        counters.takeoverResent += 1
        var context = ResponseContext()
        context.leg = pending.leg
        context.cSeq = pending.cseq
        context.isInitial = pending.leg == .caller && pending.cseq == record.inviteCSeq
        context.pass = pending.pass
        context.upstream = source
        context.listener = egressListener(source)
        guard let id = keepResending(did, answer, context, isForAdopted: false) else { return }
        guard neighbours.commits else {
            effects.queue.send(answer, to: source, from: context.listener, token: upstreamToken(context, id))
            return
        }
        guard !holdsAnswer else { return }
        // Whoever told of it may be dead, or a joiner, whose word does not count (R10): the others have it from here.
        effects.items.append(.put(did))
        effects.items.append(.commit(CommitToken(context: id, purpose: .inheritance)))
    }

    /// The peers have what the first copy says, or say nothing.
    mutating func inheritedAnswerCommitted(_ context: ResponseContext, _ id: SlotID, dialogs: DialogTable) {
        guard let did = context.did, let state = dialogs.state(did),
            !isSettled(context, did, state, dialogs: dialogs), let deadline = dialogs.deadline(did), deadline > now
        else { return }
        answer(context.lastResponse, context, token: upstreamToken(context, id))
    }

    /// The 2xx to an INVITE of the caller's has been sent by the Vias of this context. Where that INVITE was adopted
    /// the callee's copies go by those that were given up, so it is this node that repeats it (RFC 3261 §13.3.1.4).
    mutating func startRepeating(
        _ sender: ResponseContext, _ did: DialogID, _ answer: [UInt8], isForAdopted: Bool = true
    ) {
        var context = ResponseContext()
        context.cSeq = sender.cSeq
        context.isInitial = sender.isInitial
        context.pass = sender.pass
        context.upstream = sender.upstream
        context.listener = sender.listener
        context.flow = sender.flow
        context.relay = sender.relay
        _ = keepResending(did, answer, context, isForAdopted: isForAdopted)  // Counted where there is no room.
    }

    /// - Returns: `nil` when there is no room.
    private mutating func keepResending(
        _ did: DialogID, _ answer: [UInt8], _ draft: ResponseContext, isForAdopted: Bool
    ) -> SlotID? {
        guard let id = newContext() else { return nil }
        var context = draft
        context.role = .resending(Resending(interval: settings.timers.t1, isForAdopted: isForAdopted))
        context.did = did
        context.lastResponse = answer
        context.startedAt = now
        dialogTable.insert(hash: did.rawValue, value: id.index)
        put(context, id)
        let timer = wheel.schedule(
            TimerToken(context: id, machine: .resend).rawValue, at: now.advanced(by: settings.timers.t1))
        _ = contexts.update(id) { $0.contextTimer = timer }
        return id
    }

    mutating func resendAnswer(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        context.contextTimer = .none
        guard var resending = context.resending, let did = context.did, let state = dialogs.state(did),
            !isSettled(context, did, state, dialogs: dialogs)
        else {
            context.role = .forwarded  // Nothing waits any more: the context ends.
            return
        }
        if now - context.startedAt >= settings.timers.t1 * 64 {
            context.role = .forwarded
            // A re-INVITE without its ACK is no reason to end a call in which both sides talk.
            guard context.isInitial else { return }
            shortenDeadline(did, flags: [], isAsked: false, dialogs: &dialogs)
            return
        }
        // Its BYEs are due (`isOverdue`).
        if let deadline = dialogs.deadline(did), deadline > now {
            let token = resending.isForAdopted ? 0 : upstreamToken(context, id)
            answer(context.lastResponse, context, token: token)
        }
        resending.interval = min(resending.interval * 2, settings.timers.t2)
        context.role = .resending(resending)
        context.contextTimer = wheel.schedule(
            TimerToken(context: id, machine: .resend).rawValue, at: now.advanced(by: resending.interval))
    }

    /// The call was answered, nobody has seen an ACK, and its time is up: its BYEs are due, or were sent by who has
    /// died since. A caller that has had no 2xx by now must not be given one any more: it has answered 481 to its BYE,
    /// and will to each repetition of that. So no copy of the 2xx is passed on, nor does one move the deadline.
    func isOverdue(_ did: DialogID, dialogs: DialogTable) -> Bool {
        guard dialogs.state(did) == .confirmedNotAcknowledged else { return false }
        return dialogs.deadline(did).map { $0 <= now } ?? false
    }

    /// The 2xx at hand is a copy of one that this node has sent on, and is too late.
    func isOverdueCopy(_ context: ResponseContext, dialogs: DialogTable) -> Bool {
        guard context.isInitial, context.lastStatus / 100 == 2, let did = context.did else { return false }
        return isOverdue(did, dialogs: dialogs)
    }

    /// An ACK was seen: whoever repeats the 2xx stops.
    mutating func stopResending(_ did: DialogID) {
        while let id = inviteContext(of: did, where: { $0.kind == .resending }), let context = take(id) {
            discard(context, id)
        }
    }
}
