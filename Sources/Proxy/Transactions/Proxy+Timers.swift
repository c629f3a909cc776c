// Timers of the proxy: one wheel for all; a token says which machine of which context it belongs to. A timer that was
// stopped may still be in a batch of due tokens: each is looked up again, and a machine ignores what no longer applies.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Handles every timer due by `now`.
    package mutating func advance(to now: Instant, dialogs: inout DialogTable) {
        self.now = now
        if let next = waitingRoom.next, next <= now {
            let late = waitingRoom.expire(now: now)
            released += late.requests
            counters.parkedExpired += UInt64(late.forgotten)
        }
        if let next = lookUps.next, next <= now { expireLookUps(dialogs: &dialogs) }
        if scripts.count > 0 { expireScripts(dialogs: &dialogs) }
        replayQueued(dialogs: &dialogs)
        guard let next = wheel.next, next <= now else { return }
        dueTokens.removeAll(keepingCapacity: true)
        wheel.advance(to: now, due: &dueTokens)
        for raw in dueTokens {
            guard let token = TimerToken(rawValue: raw) else { continue }
            if token.context.isOwn {
                fireOwn(token, dialogs: &dialogs)
                continue
            }
            if token.machine == .debt {
                payOwedEnds(dialogs: &dialogs)
                continue
            }
            guard let id = resolve(token.context, generationMask: 0xffff), var context = take(id) else { continue }
            fire(token, &context, id, dialogs: &dialogs)
            finish(consume context, id)
        }
        replayQueued(dialogs: &dialogs)
    }

    private mutating func fire(
        _ token: TimerToken, _ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable
    ) {
        let branch = Int(token.branch)
        switch token.machine {
        case .server:
            if token.timer == .l { checkAcknowledged(context, dialogs: dialogs) }
            fireServer(token.timer, &context, id)
        case .client where branch < context.branches.count:
            fireClient(token.timer, &context, id, branch, dialogs: &dialogs)
        case .cancel where branch < context.branches.count:
            fireCancel(token.timer, &context, id, branch, dialogs: &dialogs)
        case .timerC where branch < context.branches.count:
            fireTimerC(&context, id, branch, dialogs: &dialogs)
        case .branchEnd where branch < context.branches.count:
            endCancelled(&context, id, branch, dialogs: &dialogs)
        case .client, .cancel, .timerC, .branchEnd: break
        case .resend: resendAnswer(&context, id, dialogs: &dialogs)
        case .grace:
            context.contextTimer = .none
            if context.kind == .heir { graceOver(&context, id, dialogs: &dialogs) }
        case .silence: endSilence(&context)
        case .relay:
            context.contextTimer = .none
            if context.kind == .relayed, context.branches[0].final == nil {
                _ = relaysOn(&context, id, dialogs: &dialogs)
            }
        case .own, .probe, .debt: break  // They have no context.
        }
    }

    /// The time for an ACK is over (64·T1 after the 2xx): a dialog without one is talked about, never ended for it
    /// (S1-5).
    private mutating func checkAcknowledged(_ context: ResponseContext, dialogs: DialogTable) {
        guard context.isInitial, context.pass.isFirst, let did = context.did,
            dialogs.state(did) == .confirmedNotAcknowledged
        else { return }
        counters.dialogsUnseenAcknowledgement += 1
        if counters.dialogsUnseenAcknowledgement == 1 {
            let callID = dialogs.view(did) { view, bytes in Array(bytes[view.callID.range]) } ?? []
            effects.items.append(.note(.acknowledgementUnseen(callID: callID)))
        }
    }

    private mutating func fireServer(_ timer: TransactionTimer, _ context: inout ResponseContext, _ id: SlotID) {
        actions.removeAll(keepingCapacity: true)
        switch context.server {
        case .invite(var transaction):
            transaction.timerFired(timer, actions: &actions)
            context.server = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.timerFired(timer, actions: &actions)
            context.server = .nonInvite(transaction)
        case .none: return
        }
        performServer(&context, id)
    }

    private mutating func fireClient(
        _ timer: TransactionTimer, _ context: inout ResponseContext, _ id: SlotID, _ branch: Int,
        dialogs: inout DialogTable
    ) {
        actions.removeAll(keepingCapacity: true)
        switch context.branches[branch].client {
        case .invite(var transaction):
            transaction.timerFired(timer, actions: &actions)
            context.branches[branch].client = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.timerFired(timer, actions: &actions)
            context.branches[branch].client = .nonInvite(transaction)
            if timer == .e { sendLateTrying(&context, id) }
        }
        let timedOut = actions.contains(.timedOut)
        counters.retransmissionsSent += actions.contains(.send) ? 1 : 0
        performClient(&context, branch: branch, id)
        guard timedOut, context.branches[branch].final == nil else { return }
        if context.kind == .relayed {
            relayTimedOut(&context, id, dialogs: &dialogs)
            return
        }
        context.branches[branch].final = 408
        context.branches[branch].response = []
        let isSilent = !context.branches[branch].sawProvisional
        branchEnded(&context, id, branch: branch, isSilent ? .failed : .answered, dialogs: &dialogs)
    }

    /// 100 for a request other than INVITE, when its timer E is set to T2 and not before (RFC 4320 §4.1): T1 doubles up
    /// to there, which takes T2 - T1.
    private mutating func sendLateTrying(_ context: inout ResponseContext, _ id: SlotID) {
        guard context.kind == .forwarded, context.lastStatus == 0,
            now - context.startedAt >= settings.timers.t2 - settings.timers.t1
        else { return }
        let kept = actions
        respond(100, &context, id)
        actions = kept
    }

    private mutating func fireCancel(
        _ timer: TransactionTimer, _ context: inout ResponseContext, _ id: SlotID, _ branch: Int,
        dialogs: inout DialogTable
    ) {
        guard case .sent(var transaction) = context.branches[branch].cancel else { return }
        actions.removeAll(keepingCapacity: true)
        transaction.timerFired(timer, actions: &actions)
        context.branches[branch].cancel = .sent(transaction)
        let timedOut = actions.contains(.timedOut)
        performCancel(&context, id, branch: branch)
        if timedOut { cancelAnswered(&context, id, branch: branch, dialogs: &dialogs) }
    }

    /// Timer C (RFC 3261 §16.8): a branch that had a provisional is cancelled, another counts as 408.
    private mutating func fireTimerC(
        _ context: inout ResponseContext, _ id: SlotID, _ branch: Int, dialogs: inout DialogTable
    ) {
        context.branches[branch].timerC = .none
        guard context.branches[branch].final == nil else { return }
        if context.branches[branch].sawProvisional {
            guard case .none = context.branches[branch].cancel else { return }
            context.branches[branch].cause = .unanswered
            sendCancel(&context, id, branch: branch)
            return
        }
        context.branches[branch].final = 408
        terminateClient(&context, branch)
        branchEnded(&context, id, branch: branch, .failed, dialogs: &dialogs)
    }

    /// A cancelled INVITE has had no final answer for 64·T1 (§9.1).
    private mutating func endCancelled(
        _ context: inout ResponseContext, _ id: SlotID, _ branch: Int, dialogs: inout DialogTable
    ) {
        context.branches[branch].timerC = .none
        guard context.branches[branch].final == nil else { return }
        context.branches[branch].final = context.cancelled ? 487 : 408
        terminateClient(&context, branch)
        branchEnded(&context, id, branch: branch, .answered, dialogs: &dialogs)
    }

    /// Ends a client transaction from outside: what it waits for cannot matter any more.
    mutating func terminateClient(_ context: inout ResponseContext, _ branch: Int) {
        cancelTimers(context.branches[branch].timers)
        context.branches[branch].timers = TimerSet()
        wheel.cancel(context.branches[branch].timerC)
        context.branches[branch].timerC = .none
        switch context.branches[branch].client {
        case .invite(var transaction):
            transaction.abandon()
            context.branches[branch].client = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.abandon()
            context.branches[branch].client = .nonInvite(transaction)
        }
    }
}
