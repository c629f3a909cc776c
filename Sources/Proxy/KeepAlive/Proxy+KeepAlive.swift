// Keep-alives within dialogs (`ka-src`, `ka-dst`): OPTIONS to one side or both, written from the record as a BYE of the
// cluster is, sent by the dialog's actor. The node says when it is due and whether this node is the actor.
//
//     final answer but 408 and 481      the side has the dialog: its run of failures is over
//     408, 481, silence for 64·T1       a failure; `ka_failed_limit` of them in a row end the dialog: its deadline is
//                                       now, by a fact, and the rest goes the way of every deadline (grants, BYEs)
//     anything else                     nothing is learned: it could not be sent, the 481 has another To tag, or this
//                                       node may not act any more (a node that is cut off hears nobody)
//
// The CSeq is below what the side has seen (S3-19): raising it would make the peer's own next request come too late,
// and be answered 500. Many phones answer the keep-alive itself so; it means that they live. Kamailio does the same.
// A keep-alive never refreshes a lifetime, also where it passes another member because a connection is there.
//
// Not asked: a dialog that is not confirmed (its ACK was not seen), one with several answered callees (which of them is
// meant cannot be told), a side whose connection has ended (it may come back), a name without an address.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Whether any keep-alives are sent.
    package var keepsAlive: Bool { settings.keepAlive.interval > .zero }

    /// Looks at a dialog that has changed: watches it from its confirmation to its end. Without keep-alives that is one
    /// comparison.
    package mutating func watch(_ did: DialogID, now: Instant, dialogs: DialogTable) {
        self.now = now
        guard keepsAlive else { return }
        guard dialogs.state(did) == .confirmed else {
            keepAlives.remove(did)
            return
        }
        guard !keepAlives.contains(did), asksPhones(of: did, dialogs: dialogs),
            let wait = untilNextMoment(did, dialogs: dialogs)
        else { return }
        if !keepAlives.insert(did, at: now.advanced(by: wait)) { counters.keepAlivesRefused += 1 }
    }

    /// One of its sides is asked.
    private func asksPhones(of did: DialogID, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, bytes in
            let caller = view.property(.keepAliveToCaller, in: bytes) ?? view.flags.contains(.keepAliveToCaller)
            return caller || view.property(.keepAliveToCallee, in: bytes) ?? view.flags.contains(.keepAliveToCallee)
        } ?? false
    }

    /// Appends the dialogs that are to be given to `keepAlive` now.
    package mutating func takeDueKeepAlives(now: Instant, into dids: inout [DialogID]) {
        self.now = now
        counters.keepAlivesPutOff += UInt64(keepAlives.takeDue(now: now, into: &dids))
    }

    /// A dialog's moment: its next one is set, and if this node acts for it, its phones are asked.
    package mutating func keepAlive(_ did: DialogID, isActor: Bool, now: Instant, dialogs: DialogTable) {
        self.now = now
        guard dialogs.state(did) == .confirmed, var wait = untilNextMoment(did, dialogs: dialogs) else {
            keepAlives.remove(did)  // Its record is gone from here.
            return
        }
        // It came late: half an interval lies between two questions at least.
        if wait < settings.keepAlive.interval / 2 { wait += settings.keepAlive.interval }
        keepAlives.schedule(did, at: now.advanced(by: wait))
        guard isActor else {
            // Somebody else asks, and counts: failures of then mean nothing any more.
            keepAlives.noteAnswer(did, .caller)
            keepAlives.noteAnswer(did, .callee)
            return
        }
        // Its deadline has passed: BYEs are under way, or about to be.
        guard !keepAlives.isUnderWay(did), let deadline = dialogs.deadline(did), deadline > now else { return }
        askPhones(did, dialogs: dialogs)
    }

    /// Birth + phase + k · interval, from now.
    private func untilNextMoment(_ did: DialogID, dialogs: DialogTable) -> Duration? {
        guard let age = dialogs.age(did, now: now) else { return nil }
        let interval = settings.keepAlive.interval.saturatedNanoseconds
        let phase = Int64(did.rawValue % UInt64(interval))
        let past = (age.saturatedNanoseconds - phase) % interval
        return .nanoseconds(interval - (past < 0 ? past + interval : past))
    }

    // MARK: Asking

    private mutating func askPhones(_ did: DialogID, dialogs: DialogTable) {
        guard let record = dialogs.record(did) else { return }
        let answered = record.outs.filter { $0.state == .confirmedNotAcknowledged || $0.state == .confirmed }
        guard answered.count == 1 else { return }
        guard let id = newContext() else { return }
        var context = ResponseContext()
        context.kind = .keepAlive
        context.method = .options
        context.did = did
        context.startedAt = now
        for leg in [Leg.caller, .callee] where record.keepsAlive(leg) {
            let number = context.branches.count
            guard let branch = keepAliveBranch(did, record, answered[0], to: leg, number, id),
                branch.target != .none || asksForName(of: branch, number, id)
            else {
                counters.keepAlivesUnsendable += 1
                continue
            }
            context.branches.append(branch)
        }
        guard !context.branches.isEmpty else {
            contexts.remove(id)
            return
        }
        keepAlives.setUnderWay(did, true)
        for index in context.branches.indices where context.branches[index].target != .none {
            counters.keepAlivesSent += 1
            start(&context, branch: index, id)
        }
        put(context, id)
    }

    /// Has the name looked up that a keep-alive goes to.
    private mutating func asksForName(of branch: ClientBranch, _ number: Int, _ id: SlotID) -> Bool {
        guard let name = nameOfHop(branch.sent) else { return false }
        return ask(for: name, .generated(id, number))
    }

    /// The address of a keep-alive was looked up, or there is none: nothing is known of the side then.
    mutating func keepAliveResolved(
        _ context: inout ResponseContext, _ index: Int, _ endpoint: Endpoint?, _ id: SlotID, dialogs: inout DialogTable
    ) {
        guard let endpoint else {
            counters.keepAlivesUnsendable += 1
            endKeepAlive(&context, index, 503, .unknown, dialogs: &dialogs)
            return
        }
        counters.keepAlivesSent += 1
        startGenerated(&context, index, at: endpoint, id)
    }

    /// OPTIONS for one side, without a target where a name has to be looked up first; `nil` where no way leads there.
    private func keepAliveBranch(
        _ did: DialogID, _ record: Record, _ out: Record.Out, to leg: Leg, _ number: Int, _ id: SlotID
    ) -> ClientBranch? {
        let side = leg == .caller ? record.caller : out.side
        guard !side.contact.isEmpty, isReachable(side), let hop = nextHop(side) else { return nil }
        let target = settings.egress ?? hop.endpoint
        let token = Branch.Token(
            member: settings.memberTag, slot: id, branch: UInt8(number), did: did, loop: 0)
        let sender = leg == .caller ? out.side : record.caller
        let listener = settings.listener(sentBy: side.sentBy, toward: target) ?? egressListener(target)
        let request = requestWithin(
            record, out, to: leg, method: "OPTIONS", cSeq: Self.keepAliveCSeq(after: sender.cseq), hop,
            via: { Self.writeVia(settings, .transaction(token), listener, into: &$0) })
        var branch = ClientBranch(
            client: clientTransaction(.options, target), sent: request, target: target,
            listener: listener)
        branch.number = token.branch
        branch.leg = leg
        return branch
    }

    /// A phone that came over a connection which has ended cannot be asked, and may be in its call all the same.
    private func isReachable(_ side: Record.Side) -> Bool {
        !side.routes.isEmpty || side.flow.isEmpty || holder(ofFlow: side.flow) != nil
    }

    /// One below the last that the side has seen, as Kamailio has it; 0 where it has seen none, so that whatever the
    /// peer begins with is higher.
    static func keepAliveCSeq(after last: UInt32) -> UInt64 {
        UInt64(last > 1 ? last - 1 : last)
    }

    // MARK: Answers

    /// What a keep-alive's end says of its side.
    enum KeepAliveEnd { case lives, failed, unknown }

    mutating func receiveKeepAliveResponse(
        _ context: inout ResponseContext, _ token: Branch.Token, dialogs: inout DialogTable
    ) {
        let index = Int(token.branch)
        guard index < context.branches.count, context.branches[index].final == nil,
            case .nonInvite(var transaction) = context.branches[index].client
        else {
            counters.strayResponses += 1
            return
        }
        let status = message.statusCode
        actions.removeAll(keepingCapacity: true)
        transaction.receive(statusCode: status, actions: &actions)
        context.branches[index].client = .nonInvite(transaction)
        performClient(&context, branch: index, token.slot)
        guard status >= 200 else { return }
        let end: KeepAliveEnd =
            switch status {
            case 408: .failed
            case 481: isOfItsDialog(context.branches[index]) ? .failed : .unknown
            default: .lives
            }
        if end == .unknown { counters.strayResponses += 1 }
        endKeepAlive(&context, index, status, end, dialogs: &dialogs)
    }

    /// The response has the To tag of the request that it answers.
    private mutating func isOfItsDialog(_ branch: ClientBranch) -> Bool {
        loadStored(branch.sent) && Text.same(message.bytes, message.toTag, stored.bytes, stored.toTag)
    }

    /// One side has answered, or will not. Its context ends with the last one: a late copy of an answer is a stray.
    mutating func endKeepAlive(
        _ context: inout ResponseContext, _ index: Int, _ status: Int, _ end: KeepAliveEnd, dialogs: inout DialogTable
    ) {
        guard let did = context.did, context.branches[index].final == nil else { return }
        let leg = context.branches[index].leg
        context.branches[index].final = status
        terminateClient(&context, index)
        if context.branches.allSatisfy({ $0.final != nil }) { keepAlives.setUnderWay(did, false) }
        switch end {
        case .lives: keepAlives.noteAnswer(did, leg)
        case .unknown: break
        case .failed:
            counters.keepAlivesFailed += 1
            // Cut off from its peers a node is likely cut off from the phones as well, and ends nobody's call.
            guard isFit,
                keepAlives.noteFailure(did, leg) >= settings.keepAlive.failureLimit,
                dialogs.state(did) == .confirmed, let deadline = dialogs.deadline(did), deadline > now
            else { return }
            counters.dialogsEndedByKeepAlive += 1
            shortenDeadline(did, flags: .endedByKeepAlive, isAsked: false, dialogs: &dialogs)
        }
    }

    // MARK: Passing by

    /// A keep-alive of the cluster's own passes here, since the connection to its phone is here: the only Via is a
    /// member's. It teaches nothing; whoever sent it learns what comes of it.
    func isKeepAlive(_ plan: RequestPlan) -> Bool {
        guard message.method == .options, message.count(of: .via) == 1, plan.via.isOnlyInField,
            case .transaction = Branch(message.bytes, plan.via.branch, mark: settings.mark)
        else { return false }
        return true
    }
}
