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
// A dialog whose ACK no node has seen is asked once the ACK's time is over, 64·T1 after the answer (RFC 3261
// §13.3.1.4): a callee that had none has sent BYE by then, so its users are talking (S1-5), and nobody else would hear
// of their end.
//
// Not asked: a dialog before that, one with several answered callees (which of them is meant cannot be told), a side
// whose connection has ended (it may come back), a name without an address.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Whether any keep-alives are sent.
    package var keepsAlive: Bool { settings.keepAlive.interval > .zero }

    /// Looks at a dialog that has changed: watches it from its answer to its end. Without keep-alives that is one
    /// comparison.
    package mutating func watch(_ did: DialogID, now: Instant, dialogs: DialogTable) {
        self.now = now
        guard keepsAlive else { return }
        guard Self.isAnswered(did, dialogs) else {
            keepAlives.remove(did)
            return
        }
        guard !keepAlives.contains(did), asksPhones(of: did, dialogs: dialogs),
            let wait = untilNextMoment(did, dialogs: dialogs)
        else { return }
        if !keepAlives.insert(did, at: now.advanced(by: wait)) { counters.keepAlivesRefused += 1 }
    }

    private static func isAnswered(_ did: DialogID, _ dialogs: DialogTable) -> Bool {
        switch dialogs.state(did) {
        case .confirmedNotAcknowledged, .confirmed: true
        case .unconfirmed, .early, .deleted, nil: false
        }
    }

    /// Its ACK was seen, or none will be.
    private func hasSettled(_ did: DialogID, _ dialogs: DialogTable) -> Bool {
        if dialogs.state(did) == .confirmed { return true }
        let answered = dialogs.view(did) { view, bytes in view.times(in: bytes).answeredMilliseconds } ?? 0
        return age(did, dialogs: dialogs) >= answered + UInt64((settings.timers.t1 * 64).wholeMilliseconds)
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
    package mutating func keepAlive(_ did: DialogID, isActor: Bool, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        guard Self.isAnswered(did, dialogs), var wait = untilNextMoment(did, dialogs: dialogs) else {
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
        guard !keepAlives.isUnderWay(did), hasSettled(did, dialogs), let deadline = dialogs.deadline(did),
            deadline > now
        else { return }
        askPhones(did, dialogs: &dialogs)
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

    private mutating func askPhones(_ did: DialogID, dialogs: inout DialogTable) {
        guard let record = dialogs.record(did) else { return }
        let answered = record.outs.filter { $0.state == .confirmedNotAcknowledged || $0.state == .confirmed }
        guard answered.count == 1 else { return }
        guard let id = reserve(.keepAlive, .options, did) else { return }
        var parts: [OwnPart] = []
        for leg in [Leg.caller, .callee] where record.keepsAlive(leg) {
            if let part = keepAlivePart(did, record, answered[0], to: leg, UInt8(parts.count), id) {
                parts.append(part)
            } else {
                counters.keepAlivesUnsendable += 1
            }
        }
        if !parts.isEmpty { keepAlives.setUnderWay(did, true) }
        begin(parts, id, dialogs: &dialogs)
    }

    /// OPTIONS for one side, without a target where a name has to be looked up first; `nil` where no way leads there.
    private func keepAlivePart(
        _ did: DialogID, _ record: Record, _ out: Record.Out, to leg: Leg, _ number: UInt8, _ id: SlotID
    ) -> OwnPart? {
        let side = leg == .caller ? record.caller : out.side
        guard !side.contact.isEmpty, isReachable(side), let hop = nextHop(side) else { return nil }
        let target = settings.egress ?? hop.endpoint
        let token = Branch.Token(member: settings.memberTag, slot: id, branch: number, did: did, loop: 0)
        let sender = leg == .caller ? out.side : record.caller
        let listener = settings.listener(sentBy: side.sentBy, toward: target) ?? egressListener(target)
        let request = requestWithin(
            record, out, to: leg, OwnLine("OPTIONS", cSeq: Self.keepAliveCSeq(after: sender.cseq)), hop,
            via: { Self.writeVia(settings, .transaction(token), listener, into: &$0) })
        var part = OwnPart(client: ownTransaction(target), sent: request, target: target, listener: listener)
        part.number = number
        part.leg = leg
        return part
    }

    /// A phone that came over a connection which has ended cannot be asked, and may be in its call all the same.
    func isReachable(_ side: Record.Side) -> Bool {
        !side.routes.isEmpty || side.flow.isEmpty || holder(ofFlow: side.flow) != nil
    }

    /// One below the last that the side has seen, as Kamailio has it; 0 where it has seen none, so that whatever the
    /// peer begins with is higher.
    static func keepAliveCSeq(after last: UInt32) -> UInt64 {
        UInt64(last > 1 ? last - 1 : last)
    }

    // MARK: Answers

    /// One side has answered, or will not.
    mutating func endKeepAlive(_ request: OwnRequest, _ index: Int, _ end: OwnEnd, dialogs: inout DialogTable) {
        guard let did = request.did else { return }
        if request.hasEnded { keepAlives.setUnderWay(did, false) }
        let leg = request.parts[index].leg
        switch end {
        case .answered(481) where !isOfItsDialog(request.parts[index]): counters.strayResponses += 1
        // That there is no way to it now says nothing of the call.
        case .unsent, .unresolved: counters.keepAlivesUnsendable += 1
        case .answered(408), .answered(481), .silent: noteFailure(did, leg, dialogs: &dialogs)
        case .answered: keepAlives.noteAnswer(did, leg)
        }
    }

    /// The response at hand has the To tag of the request that it answers.
    private mutating func isOfItsDialog(_ part: OwnPart) -> Bool {
        loadStored(part.sent) && Text.same(message.bytes, message.toTag, stored.bytes, stored.toTag)
    }

    private mutating func noteFailure(_ did: DialogID, _ leg: Leg, dialogs: inout DialogTable) {
        counters.keepAlivesFailed += 1
        // Cut off from its peers a node is likely cut off from the phones as well, and ends nobody's call.
        guard neighbours.isFit,
            keepAlives.noteFailure(did, leg) >= settings.keepAlive.failureLimit,
            Self.isAnswered(did, dialogs), let deadline = dialogs.deadline(did), deadline > now
        else { return }
        counters.dialogsEndedByKeepAlive += 1
        shortenDeadline(did, flags: .endedByKeepAlive, isAsked: false, dialogs: &dialogs)
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
