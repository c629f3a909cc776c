// CANCEL (RFC 3261 §9, §16.10), wherever in the cluster it arrives: one on another node than its INVITE's is answered
// 200 and becomes the fact `cancelled` (S1-2c).

import Dialogs
import Primitives
import SIP

extension Proxy {
    mutating func receiveCancel(_ plan: inout RequestPlan, dialogs: inout DialogTable) {
        let arrived = plan
        if let id = serverContext(serverKey(plan, method: .invite)) {
            // What it cancels is another's, and nothing is known of that yet.
            if let did = adoptedDialog(id), mayWait(for: did, plan, dialogs: dialogs),
                keep(arrived, at: .admit, for: .record(did, isWanted: true))
            {
                return
            }
            cancel(id, plan, dialogs: &dialogs)
            return
        }
        let isFromMember = neighbours.isPeerAddress(plan.source)
        switch findCancelled(&plan, dialogs: dialogs) {
        case .unknown(let did):
            if keep(arrived, at: .admit, for: .record(did, isWanted: true)) { return }
            plan = arrived
            plan.hasWaited = true
            receiveCancel(&plan, dialogs: &dialogs)
        case .invite(let did, let spiral):
            counters.foreignAbsorbed += 1
            learnForeignCancel(did, spiral, plan, dialogs: &dialogs)
            if !isFromMember {  // What a member passes on has been answered where it came in.
                let isPassed = passToOwner(of: did, spiral, plan, dialogs: dialogs)
                if isPassed && neighbours.isJoining {
                    // Its members may not hear this node; the CANCEL that is not answered comes again, perhaps to
                    // another.
                    counters.dropped += 1
                } else {
                    answer(200, plan)
                }
            }
            // Of an answered call, too: the INVITE may be a pass that another target than this one has answered.
            if let state = dialogs.state(did), state != .deleted {
                review(did, dialogs: &dialogs)
            }
        case .another:
            counters.foreignAbsorbed += 1
            guard !isFromMember else { return }
            let isPassed = passToPeers(completing: plan)
            // For a pass that only another member knows its owner answers: what is lost on the way comes again.
            if isPassed && mayBeOfUnknownPass(plan, dialogs: dialogs) { return }
            answer(200, plan)
        case .nothing:
            // Who says nothing gets the CANCEL again, and knows the call by then.
            if neighbours.isJoining {
                counters.dropped += 1
            } else if !isFromMember {
                // What its owner told may still be on its way here: it answers itself. Should nobody do so, the CANCEL
                // comes again.
                let did = dialogs.did(of: inviteIdentity(plan))
                let isAsked = waitingRoom.asksForInvite(did, now: now) && passToPeers(completing: plan)
                if !isAsked { refuse(Refusal(481), plan) }
            }
        }
    }

    /// The dialog of an INVITE that was adopted.
    private func adoptedDialog(_ id: SlotID) -> DialogID? {
        contexts.read(id) { $0.kind == .adopted ? $0.did : nil } ?? nil
    }

    /// Cancels an INVITE that is here.
    private mutating func cancel(_ id: SlotID, _ plan: RequestPlan, dialogs: inout DialogTable) {
        guard var context = take(id) else { return }
        answer(200, plan)
        context.cancelled = true
        if context.reason.isEmpty { context.reason = reasonLines() }
        if context.kind == .adopted, let did = context.did {
            learnForeignCancel(did, context.pass, plan, dialogs: &dialogs)
            cancelOwn(did, context, dialogs: &dialogs)
        } else {
            learnCancelled(context, dialogs: &dialogs)
        }
        cancelAll(&context, id, because: .caller, dialogs: &dialogs)
        finish(context, id)
    }

    /// An INVITE that was adopted is cancelled, and its branches are another transaction's of this node, whatever the
    /// record still knows of it.
    private mutating func cancelOwn(_ did: DialogID, _ adopted: ResponseContext, dialogs: inout DialogTable) {
        let own = inviteContext(of: did) {
            $0.kind == .forwarded && $0.isInitial && $0.pass == adopted.pass && $0.lastStatus < 200 && !$0.cancelled
        }
        guard let own, var context = take(own) else { return }
        context.cancelled = true
        context.reason = adopted.reason
        cancelAll(&context, own, because: .caller, dialogs: &dialogs)
        finish(context, own)
    }

    /// Which INVITE a CANCEL is for that is not here (R16).
    private enum Cancelled {
        case invite(DialogID, SpiralPass)
        /// Its record would have to be fetched: a 481 now would leave a phone ringing.
        case unknown(DialogID)
        /// Records of that Call-ID, From tag and CSeq are here, and it is not clear which one it is for.
        case another
        case nothing
    }

    /// No INVITE that is known here can be meant, and one of its call goes on, or has come back before: there may be
    /// one more.
    private mutating func mayBeOfUnknownPass(_ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        let all = attempts(plan, dialogs: dialogs)
        guard !all.contains(where: { !openPasses(of: $0, plan, dialogs: dialogs).isEmpty }) else { return false }
        return all.contains { did in
            dialogs.view(did) { view, stored in
                guard view.state != .deleted else { return false }
                var spirals = view.state < .confirmedNotAcknowledged
                view.forEachPending(in: stored) { spirals = spirals || !$0.pass.isFirst }
                return spirals
            } ?? false
        }
    }

    /// By its topmost Via, which is its INVITE's (RFC 3261 §9.1); else the one unanswered call, or pass of
    /// one, that it can be for.
    private mutating func findCancelled(_ plan: inout RequestPlan, dialogs: DialogTable) -> Cancelled {
        if !message.toTag.isEmpty || namesDialog() {
            consumeRoutes(&plan, dialogs: dialogs)
            matchDialog(&plan, dialogs: dialogs)
            if let did = plan.did, dialogs.contains(did) {
                // One of an INVITE within it that has only just begun elsewhere: its fact is on its way here.
                guard knowsPending(of: did, plan, dialogs: dialogs) else { return .another }
                return .invite(did, passCancelled(within: did, plan, dialogs: dialogs))
            }
        }
        let did = dialogs.did(of: inviteIdentity(plan))
        if dialogs.contains(did) { return .invite(did, .first) }
        if let found = passCancelled(plan, dialogs: dialogs) { return .invite(found.did, found.pass) }
        if mayWait(for: did, plan, dialogs: dialogs) { return .unknown(did) }
        let all = attempts(plan, dialogs: dialogs)
        let open = all.flatMap { did in openPasses(of: did, plan, dialogs: dialogs).map { (did, $0) } }
        if open.count == 1 { return .invite(open[0].0, open[0].1) }
        return all.isEmpty ? .nothing : .another
    }

    /// Whether the record has the INVITE within the dialog that a CANCEL is for, or has seen its end.
    private func knowsPending(of did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, stored in
            let settled = plan.leg == .caller ? view.settledCaller : view.settledCallee
            let first = plan.leg == .caller ? view.inviteCSeq : 0
            var isKnown = view.state == .deleted || plan.cSeq.number <= max(settled, first)
            view.forEachPending(in: stored) { pending in
                isKnown = isKnown || pending.leg == plan.leg && pending.cseq == plan.cSeq.number
            }
            return isKnown
        } ?? false
    }

    /// Cancels every branch that has no final response, at once or when its first provisional comes (§9.1).
    mutating func cancelAll(
        _ context: inout ResponseContext, _ id: SlotID, because cause: CancelCause, dialogs: inout DialogTable
    ) {
        close(&context)
        cancelOthers(&context, id, but: nil, because: cause)
        if !context.targets.isEmpty { continueFork(&context, id, dialogs: &dialogs) }
    }

    mutating func cancelOthers(
        _ context: inout ResponseContext, _ id: SlotID, but spared: Int?, because cause: CancelCause
    ) {
        for index in context.branches.indices where index != spared && context.branches[index].final == nil {
            guard case .none = context.branches[index].cancel else { continue }
            context.branches[index].cause = cause
            if context.branches[index].sawProvisional {
                sendCancel(&context, id, branch: index)
            } else {
                context.branches[index].cancel = .wanted
                // An heir's transaction has no timer B.
                if context.kind == .heir { awaitEnd(&context, id, branch: index) }
            }
        }
    }

    /// CANCEL with the INVITE's Via, Request-URI and Routes, to where the INVITE went (§9.1).
    mutating func sendCancel(_ context: inout ResponseContext, _ id: SlotID, branch index: Int) {
        if context.branches[index].cancelSent.isEmpty {
            guard loadStored(context.branches[index].sent) else { return }
            scratch.removeAll()
            let (cause, lines) = (context.branches[index].cause, context.reason)
            CancelWriter.write(
                invite: stored, maxForwards: settings.maxForwards,
                extra: { Self.writeCancelReason(cause, ofCaller: lines, into: &$0) }, into: &scratch)
            context.branches[index].cancelSent = scratch.copy()
        }
        var transaction = NonInviteClientTransaction(
            timers: settings.timers, reliable: context.branches[index].target.transport.isReliable)
        actions.removeAll(keepingCapacity: true)
        transaction.start(actions: &actions)
        context.branches[index].cancel = .sent(transaction)
        performCancel(&context, id, branch: index)
        awaitEnd(&context, id, branch: index)
    }

    mutating func performCancel(_ context: inout ResponseContext, _ id: SlotID, branch index: Int) {
        for action in actions {
            switch action {
            case .send:
                let branch = context.branches[index]
                // By UDP it is sent again before anybody could tell that it was not sent.
                let isTold = branch.target.transport.isReliable
                let token = isTold ? SendToken(context: id, branch: index, isCancel: true).rawValue : 0
                effects.queue.send(
                    branch.cancelSent, to: branch.target, from: branch.listener, flow: branch.flow, token: token,
                    serverName: branch.serverName)
            case .start(let timer, let delay):
                let token = TimerToken(context: id, branch: index, machine: .cancel, timer: timer)
                wheel.cancel(context.branches[index].cancelTimers[timer])
                context.branches[index].cancelTimers[timer] = wheel.schedule(
                    token.rawValue, at: now.advanced(by: delay))
            case .stop(let timer):
                wheel.cancel(context.branches[index].cancelTimers[timer])
                context.branches[index].cancelTimers[timer] = .none
            case .deliver, .acknowledge, .timedOut, .transportFailed, .terminated: break
            }
        }
    }

    mutating func receiveCancelResponse(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, dialogs: inout DialogTable
    ) {
        guard case .sent(var transaction) = context.branches[index].cancel else { return }
        actions.removeAll(keepingCapacity: true)
        transaction.receive(statusCode: message.statusCode, actions: &actions)
        context.branches[index].cancel = .sent(transaction)
        let delivered = actions.contains(.deliver)
        performCancel(&context, id, branch: index)
        if delivered, message.statusCode >= 200 {
            cancelAnswered(&context, id, branch: index, dialogs: &dialogs)
        }
    }

    /// The CANCEL could not be sent (§17.1.4, §18.4): nobody will answer it. The INVITE keeps its 64·T1, for the callee
    /// may answer it over a connection of its own.
    mutating func endUnsentCancel(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, dialogs: inout DialogTable
    ) {
        guard case .sent(var transaction) = context.branches[index].cancel else { return }
        actions.removeAll(keepingCapacity: true)
        transaction.transportError(actions: &actions)
        context.branches[index].cancel = .sent(transaction)
        let hasFailed = actions.contains(.transportFailed)
        performCancel(&context, id, branch: index)
        guard hasFailed else { return }
        counters.transportErrors += 1
        cancelAnswered(&context, id, branch: index, dialogs: &dialogs)
    }

    /// The CANCEL was answered, or will never be.
    mutating func cancelAnswered(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, dialogs: inout DialogTable
    ) {
        if context.kind == .heir, context.lastStatus >= 200 {
            // A provisional came after the caller had its answer; the 487 goes to the dead node.
            if context.branches[index].final == nil { acknowledgeUnseen(context.branches[index]) }
        } else if context.kind == .heir, hasCancelled(context) {
            context.enter(.cancelling)
            endEarlyAsHeir(&context, id, dialogs: &dialogs)
        }
    }

    /// A cancelled INVITE without a final answer within 64·T1 of its CANCEL has ended, whatever became of that (§9.1).
    private mutating func awaitEnd(_ context: inout ResponseContext, _ id: SlotID, branch index: Int) {
        guard context.branches[index].final == nil else { return }
        wheel.cancel(context.branches[index].timerC)
        context.branches[index].timerC = wheel.schedule(
            TimerToken(context: id, branch: index, machine: .branchEnd).rawValue,
            at: now.advanced(by: settings.timers.t1 * 64))
    }
}
