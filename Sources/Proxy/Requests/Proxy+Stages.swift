// The stages of a request (`Decision`), run one after the other from where it is: from the first for one that has come,
// from the one where it waited for one that goes on. ACK and CANCEL belong to a transaction, and leave after the first.

import Dialogs
import Primitives
import SIP

extension Proxy {
    mutating func receiveRequest(from source: Endpoint, on listener: ListenerID, dialogs: inout DialogTable) {
        guard let via = try? message.topmostVia(), let cSeq = try? message.cSeq() else {
            counters.malformed += 1
            return
        }
        let reply = replyPath(via: via, source: source)
        var plan = RequestPlan(
            source: source, listener: listener, arrivalFlow: arrivalFlow, upstream: reply.endpoint,
            addsReceived: reply.adds, cSeq: cSeq, via: via)
        readRelay(&plan)
        plan.key = serverKey(plan, method: message.method)
        run(&plan, from: .admit, dialogs: &dialogs)
    }

    /// A request that has waited goes on where it was. A copy of it may have gone on meanwhile.
    mutating func goOn(_ waited: WaitingRequest, dialogs: inout DialogTable) {
        guard loadMessage(waited.bytes) else { return }
        var plan = waited.plan
        arrivalFlow = plan.arrivalFlow
        readRoutes()
        if message.method != .cancel, let copy = contextOfCopy(plan) {
            absorb(copy)
        } else {
            run(&plan, from: waited.stage, dialogs: &dialogs)
        }
    }

    mutating func run(_ plan: inout RequestPlan, from first: Stage, dialogs: inout DialogTable) {
        defer {
            if isRefusalAtHand { rememberRefusal(dialogs: &dialogs) }
        }
        // An ACK of a 2xx about which a script was asked: it makes no transaction.
        if message.method == .ack, plan.isJudged { return sendOn(&plan, dialogs: &dialogs) }
        var stage = first
        while stage != .relay {
            switch decide(stage, &plan, dialogs: &dialogs) {
            case .proceed: stage = stage.next
            case .wait(let awaited):
                if keep(plan, at: stage, for: awaited) { return }
                if awaited.isWord { plan.isJudged = true } else { plan.hasWaited = true }
            case .refuse(let refusal): return refuse(refusal, plan)
            case .answerOptions: return answerOptions(plan)
            case .absorb(let copy): return absorb(copy)
            case .repeatAnswer(let did, let leg): return repeatLastResponse(did, plan, leg)
            case .adopt(let did): return adopt(plan, did, dialogs: &dialogs)
            case .pass(let owner):
                counters.foreignAbsorbed += 1
                return pass(to: owner, from: plan.source)
            case .relay(let member): return relay(plan, to: member)
            case .answerOwn(let did, let leg): return answerOwn(did, leg, plan, dialogs: &dialogs)
            case .drop(let why): return count(why)
            case .acknowledge: return receiveAcknowledgement(&plan, dialogs: &dialogs)
            case .cancel: return receiveCancel(&plan, dialogs: &dialogs)
            }
        }
        forward(&plan, dialogs: &dialogs)
    }

    private mutating func decide(_ stage: Stage, _ plan: inout RequestPlan, dialogs: inout DialogTable) -> Decision {
        switch stage {
        case .admit: admit(&plan, dialogs: dialogs)
        case .match: plan.isInDialog ? matchInDialog(&plan, dialogs: dialogs) : matchInitial(&plan, dialogs: dialogs)
        case .script:
            isForScript(plan) ? .wait(for: .script) : isForRegistrar(plan) ? .wait(for: .registrar) : .proceed
        case .route: route(&plan, dialogs: dialogs)
        case .relay: .proceed
        }
    }

    /// Whether its sender may send it, whether it is a copy, whether it can be understood (RFC 3261 §16.3), and which
    /// of its Routes are ours (§16.4).
    private mutating func admit(_ plan: inout RequestPlan, dialogs: DialogTable) -> Decision {
        let access = decideAccess(plan)
        guard access.isProceed else { return access }
        switch message.method {
        case .ack: return .acknowledge
        case .cancel: return .cancel
        default: break
        }
        if let copy = contextOfCopy(plan) { return .absorb(copy) }
        if let problem = checkRequest() { return .refuse(problem) }
        consumeRoutes(&plan, dialogs: dialogs)
        plan.isInDialog = isWithinDialog(plan, dialogs: dialogs)
        return plan.isInDialog ? .proceed : leaveForeignDialog(&plan)
    }

    /// How many branches it may have, and where it goes (§16.5, §16.6 steps 6 and 7).
    private mutating func route(_ plan: inout RequestPlan, dialogs: DialogTable) -> Decision {
        do {
            plan.breadth = try message.maxBreadth() ?? MaxBreadth.assumed
        } catch {
            return .refuse(error.statusCode)
        }
        guard plan.breadth > 0 else { return .refuse(440) }
        return plan.targets.isEmpty ? findNextHop(&plan, dialogs: dialogs) : .proceed
    }

    private mutating func count(_ drop: Drop) {
        switch drop {
        case .denied: counters.accessDenied += 1
        case .ofAnotherNode: counters.foreignAbsorbed += 1
        }
    }
}
