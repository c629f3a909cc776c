// CANCEL (RFC 3261 §9, §16.10) and ACK (§17.1.1.3, §13.2.2.4), wherever in the cluster they arrive: a CANCEL on another
// node is answered 200 and becomes the fact `cancelled` (S1-2c); an ACK for a non-2xx on another node ends there, and
// every live member gets it once (S1-2d); an ACK for a 2xx is forwarded by its Routes and settles the INVITE.

import Dialogs
import Primitives
import SIP

extension Proxy {
    // MARK: CANCEL

    mutating func receiveCancel(
        _ plan: inout RequestPlan, now: Instant, dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        if let id = serverContext(serverKey(plan, method: .invite)), var context = take(id) {
            if context.kind == .adopted, let did = context.did, !dialogs.contains(did),
                waitsForRecord(did, plan, now: now, dialogs: dialogs)
            {
                effects.items.append(.wanted(did))
                put(context, id)
                return
            }
            reject(200, plan, effects: &effects)
            counters.rejected -= 1
            context.cancelled = true
            if context.reason.isEmpty { context.reason = reasonLines() }
            if context.kind == .adopted, let did = context.did {
                learnForeignCancel(did, context.pass, plan, now: now, dialogs: &dialogs, effects: &effects)
                cancelOwn(did, context, now: now, dialogs: &dialogs, effects: &effects)
            } else {
                learnCancelled(context, now: now, dialogs: &dialogs, effects: &effects)
            }
            cancelAll(&context, id, because: .caller, now: now, dialogs: &dialogs, effects: &effects)
            finish(context, id)
            return
        }
        let isFromMember = isPeerAddress(plan.source)
        switch findCancelled(&plan, now: now, dialogs: dialogs, effects: &effects) {
        case .waiting: return
        case .invite(let did, let spiral):
            counters.foreignAbsorbed += 1
            learnForeignCancel(did, spiral, plan, now: now, dialogs: &dialogs, effects: &effects)
            if !isFromMember {  // What a member passes on has been answered where it came in.
                let isPassed = passToOwner(of: did, spiral, plan, dialogs: dialogs, effects: &effects)
                if isPassed && isJoining {
                    // Its members may not hear this node; the CANCEL that is not answered comes again, perhaps to
                    // another.
                    counters.dropped += 1
                } else {
                    reject(200, plan, effects: &effects)
                    counters.rejected -= 1
                }
            }
            // Of an answered call, too: the INVITE may be a pass that another target than this one has answered.
            if let state = dialogs.state(did), state != .deleted {
                review(did, now: now, dialogs: &dialogs, effects: &effects)
            }
        case .another:
            counters.foreignAbsorbed += 1
            guard !isFromMember else { return }
            let isPassed = passToPeers(completing: plan, effects: &effects)
            // For a pass that only another member knows its owner answers: what is lost on the way comes again.
            if isPassed && mayBeOfUnknownPass(plan, dialogs: dialogs) { return }
            reject(200, plan, effects: &effects)
            counters.rejected -= 1
        case .nothing:
            // Who says nothing gets the CANCEL again, and knows the call by then.
            if isJoining {
                counters.dropped += 1
            } else if !isFromMember {
                reject(481, plan, effects: &effects)
            }
        }
    }

    /// An INVITE that was adopted is cancelled, and its branches are another transaction's of this node, whatever the
    /// record still knows of it.
    private mutating func cancelOwn(
        _ did: DialogID, _ adopted: ResponseContext, now: Instant, dialogs: inout DialogTable,
        effects: inout ProxyEffects
    ) {
        let own = inviteContext(of: did) {
            $0.kind == .forwarded && $0.isInitial && $0.pass == adopted.pass && $0.lastStatus < 200 && !$0.cancelled
        }
        guard let own, var context = take(own) else { return }
        context.cancelled = true
        context.reason = adopted.reason
        cancelAll(&context, own, because: .caller, now: now, dialogs: &dialogs, effects: &effects)
        finish(context, own)
    }

    /// Which INVITE a CANCEL is for that is not here (R16).
    private enum Cancelled {
        case invite(DialogID, SpiralPass)
        /// Its record is being fetched: a 481 now would leave a phone ringing.
        case waiting
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
    private mutating func findCancelled(
        _ plan: inout RequestPlan, now: Instant, dialogs: DialogTable, effects: inout ProxyEffects
    ) -> Cancelled {
        if !message.toTag.isEmpty || namesDialog() {
            consumeRoutes(&plan, dialogs: dialogs)
            matchDialog(&plan, now: now, dialogs: dialogs, effects: &effects)
            if let did = plan.did, dialogs.contains(did) {
                return .invite(did, passCancelled(within: did, plan, dialogs: dialogs))
            }
        }
        let did = dialogs.did(of: inviteIdentity(plan))
        if dialogs.contains(did) { return .invite(did, .first) }
        if let found = passCancelled(plan, dialogs: dialogs) { return .invite(found.did, found.pass) }
        if waitsForRecord(did, plan, now: now, dialogs: dialogs) {
            effects.items.append(.wanted(did))
            return .waiting
        }
        let all = attempts(plan, dialogs: dialogs)
        let open = all.flatMap { did in openPasses(of: did, plan, dialogs: dialogs).map { (did, $0) } }
        if open.count == 1 { return .invite(open[0].0, open[0].1) }
        return all.isEmpty ? .nothing : .another
    }

    /// Cancels every branch that has no final response, at once or when its first provisional comes (§9.1).
    mutating func cancelAll(
        _ context: inout ResponseContext, _ id: SlotID, because cause: CancelCause, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        close(&context)
        cancelOthers(&context, id, but: -1, because: cause, now: now, effects: &effects)
        if !context.targets.isEmpty { continueFork(&context, id, now: now, dialogs: &dialogs, effects: &effects) }
    }

    mutating func cancelOthers(
        _ context: inout ResponseContext, _ id: SlotID, but spared: Int, because cause: CancelCause, now: Instant,
        effects: inout ProxyEffects
    ) {
        for index in context.branches.indices where index != spared && context.branches[index].final == 0 {
            guard case .none = context.branches[index].cancel else { continue }
            context.branches[index].cause = cause
            if context.branches[index].sawProvisional {
                sendCancel(&context, id, branch: index, now: now, effects: &effects)
            } else {
                context.branches[index].cancel = .wanted
                // An heir's transaction has no timer B.
                if context.kind == .heir { awaitEnd(&context, id, branch: index, now: now) }
            }
        }
    }

    /// CANCEL with the INVITE's Via, Request-URI and Routes, to where the INVITE went (§9.1).
    mutating func sendCancel(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, now: Instant, effects: inout ProxyEffects
    ) {
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
        performCancel(&context, id, branch: index, now: now, effects: &effects)
        awaitEnd(&context, id, branch: index, now: now)
    }

    mutating func performCancel(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, now: Instant, effects: inout ProxyEffects
    ) {
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
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        guard case .sent(var transaction) = context.branches[index].cancel else { return }
        actions.removeAll(keepingCapacity: true)
        transaction.receive(statusCode: message.statusCode, actions: &actions)
        context.branches[index].cancel = .sent(transaction)
        let delivered = actions.contains(.deliver)
        performCancel(&context, id, branch: index, now: now, effects: &effects)
        if delivered, message.statusCode >= 200 {
            cancelAnswered(&context, id, branch: index, now: now, dialogs: &dialogs, effects: &effects)
        }
    }

    /// The CANCEL could not be sent (§17.1.4, §18.4): nobody will answer it. The INVITE keeps its 64·T1, for the callee
    /// may answer it over a connection of its own.
    mutating func endUnsentCancel(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        guard case .sent(var transaction) = context.branches[index].cancel else { return }
        actions.removeAll(keepingCapacity: true)
        transaction.transportError(actions: &actions)
        context.branches[index].cancel = .sent(transaction)
        let hasFailed = actions.contains(.transportFailed)
        performCancel(&context, id, branch: index, now: now, effects: &effects)
        guard hasFailed else { return }
        counters.transportErrors += 1
        cancelAnswered(&context, id, branch: index, now: now, dialogs: &dialogs, effects: &effects)
    }

    /// The CANCEL was answered, or will never be.
    mutating func cancelAnswered(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        if context.kind == .heir, context.lastStatus >= 200 {
            // A provisional came after the caller had its answer; the 487 goes to the dead node.
            if context.branches[index].final == 0 { acknowledgeUnseen(context.branches[index], effects: &effects) }
        } else if context.kind == .heir, hasCancelled(context) {
            context.heirStage = .cancelling
            endEarlyAsHeir(&context, id, now: now, dialogs: &dialogs, effects: &effects)
        }
    }

    /// A cancelled INVITE without a final answer within 64·T1 of its CANCEL has ended, whatever became of that (§9.1).
    private mutating func awaitEnd(_ context: inout ResponseContext, _ id: SlotID, branch index: Int, now: Instant) {
        guard context.branches[index].final == 0 else { return }
        wheel.cancel(context.branches[index].timerC)
        context.branches[index].timerC = wheel.schedule(
            TimerToken(context: id, branch: index, machine: .branchEnd).rawValue,
            at: now.advanced(by: settings.timers.t1 * 64))
    }

    // MARK: ACK

    mutating func receiveAcknowledgement(
        _ plan: inout RequestPlan, now: Instant, dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        if let id = serverContext(serverKey(plan, method: .ack)), var context = take(id) {
            if case .invite(var transaction) = context.server,
                transaction.phase == .completed || transaction.phase == .confirmed
            {
                actions.removeAll(keepingCapacity: true)
                transaction.receiveAck(actions: &actions)
                context.server = .invite(transaction)
                performServer(&context, id, now: now, effects: &effects)
                finish(context, id)
                return
            }
            put(context, id)
        }
        if isOfRefusal(plan, now: now) {
            counters.refusalsAcknowledged += 1
            return
        }
        if isAcknowledgementOfOurs(plan) {
            counters.foreignAbsorbed += 1
            passToPeers(from: plan.source, effects: &effects)
            return
        }
        consumeRoutes(&plan, dialogs: dialogs)
        let isRouted = plan.did != nil
        matchDialog(&plan, now: now, dialogs: dialogs, effects: &effects)
        plan.isInDialog = plan.isKnown || isRouted || !message.toTag.isEmpty
        if isOfRecordedRefusal(plan, dialogs: dialogs) {
            counters.refusalsAcknowledged += 1
            return
        }
        if isOfRejected(plan, dialogs: dialogs) || isOfFailed(plan, isRouted: isRouted, dialogs: dialogs) {
            counters.foreignAbsorbed += 1
            passToPeers(from: plan.source, effects: &effects)
            return
        }
        if isPassedOn(plan) {
            counters.foreignAbsorbed += 1
            return
        }
        if !plan.isKnown, !isRouted, message.first(.route) == nil {
            counters.foreignAbsorbed += 1
            passToPeers(from: plan.source, effects: &effects)
            return
        }
        if let did = plan.did, plan.isKnown {
            learnAcknowledgement(did, plan, now: now, dialogs: &dialogs, effects: &effects)
        }
        guard let hops = try? message.maxForwards() ?? 70, hops > 0,
            findAcknowledgementHop(&plan, now: now, dialogs: dialogs, effects: &effects)
        else {
            counters.dropped += 1
            return
        }
        forwardStatelessly(plan, now: now, effects: &effects)
    }

    /// An ACK is never answered, so a next hop that cannot be found is a counted drop.
    private mutating func findAcknowledgementHop(
        _ plan: inout RequestPlan, now: Instant, dialogs: DialogTable, effects: inout ProxyEffects
    ) -> Bool {
        let queued = effects.queue.datagrams.count
        let found = findNextHop(&plan, now: now, dialogs: dialogs, effects: &effects)
        if !found {
            effects.queue.datagrams.removeSubrange(queued...)
            counters.rejected -= 1
        }
        return found
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
            let flags = dialogs.view(did) { view, _ in view.flags } ?? 0
            return state == .deleted && flags & RecordFlag.failed != 0
        }
    }

    /// A member has passed it on for whoever has its transaction (`passToPeers`), as it came: it goes no further. What
    /// a member forwards has the member's Via, or Routes.
    private mutating func isPassedOn(_ plan: RequestPlan) -> Bool {
        guard isPeerAddress(plan.source),
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
