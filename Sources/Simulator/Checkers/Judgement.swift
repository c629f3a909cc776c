// The last word on each call: was every phone told what it had to be told (numbers 1 and 4, and S1-3, S1-8, S2-10 of
// the SIP rules)? What is left by nature is told apart by who knew: with all of them dead, nobody could have said
// anything.

internal import Dialogs
internal import SIP

extension World {
    func judge(_ call: CallTruth) {
        let caller = caller(of: call.index)
        if call.confirmedAt != nil {
            judgeConfirmed(call, caller, phone(.callee, of: call.index))
        } else {
            judgeUnanswered(call, caller)
        }
        if call.isForked { judgeFork(call) }
        judgeRefusals(call)
        judgeForgotten(call)
        judgeAskedEnd(call)
        judgeEvents(call)
        if plan.isCalm { judgeCalm(call) }
    }

    /// Somebody may act for the dead at the end of the run.
    private var canAct: Bool {
        nodes.contains { host in host.node.map { NodeInspection.hasQuorum($0) } == true }
    }

    /// What nobody could have told the phones is left by nature: all who knew are dead, or half of the nodes are.
    func untold(_ code: String, _ call: CallTruth, _ living: [ProcessID], _ text: String) {
        if !canAct {
            excuse(code, call: call.index, text + "; no quorum")
        } else if living.isEmpty {
            excuse(code, call: call.index, text)
        } else {
            violate(code, call: call.index, text)
        }
    }

    func knewAlive(_ processes: [ProcessID]) -> [ProcessID] { processes.filter { checks.isAlive($0) } }

    func names(_ processes: [ProcessID]) -> String {
        processes.map { "\(hosts[$0.host].name).\($0.serial)" }.joined(separator: " ")
    }

    private func judgeConfirmed(_ call: CallTruth, _ caller: Phone, _ callee: Phone) {
        let living = knewAlive(call.dialog.holders)
        let isSilent = caller.hasVanished(at: now) || callee.hasVanished(at: now)
        ran("4")
        if isSilent { looksAway("S1-3", "a phone fell silent") } else { ran("S1-3") }
        if !isSilent && call.ackReached == nil && call.dialog.unacknowledgedAt[.callee] != nil {
            let text = "the caller had its 2xx at \((call.confirmedAt ?? 0).inMilliseconds), no ACK reached the callee"
            // It was lost on its last hop, and the callee repeats its 2xx to a dead node: nobody hears that it was.
            let isLost = call.dialog.ackLeft != nil && plan.sip.lossPerMille > 0
            untold("S1-3", call, isLost || isAdopterDead(call) ? [] : living, text)
        }
        let untold = [caller, callee].filter { $0.dialog != nil && !$0.hasEnded && !$0.hasVanished(at: now) }.map(
            \.role.name)
        if !untold.isEmpty {
            let text =
                "\(untold) still in the call at the end; deadline \(call.latestDeadline.inMilliseconds) at most; "
                + "held by \(names(call.dialog.holders)), of whom live \(names(living))"
            if isOwing(call) { return excuse("owing", call: call.index, text) }
            if !living.isEmpty || !canAct { return self.untold("4", call, living, text) }
            return excuseLoss(call)
        }
        judgeLateness(call)
    }

    /// Number 4: deadline + detection + settle + stagger, from when the nodes could act.
    private func judgeLateness(_ call: CallTruth) {
        guard plan.bus.lossPerMille < 50 || call.latestDeadline > Plan.heal else {
            return looksAway("4late", "frames are lost")
        }
        guard call.hungUpAt.isEmpty else { return looksAway("4late", "somebody hung up") }
        if !call.byes.isEmpty { ran("4late") }
        let start = max(call.latestDeadline, checks.lastUncalm(before: call.byes.map(\.at).max() ?? 0))
        let bound =
            Nanoseconds.milliseconds(400 + 4 * 100 + 150 + 2 * 1_500 + 1_000) + .milliseconds(500) * Int64(plan.nodes)
        for leg in [Role.caller, .callee] {
            guard let bye = call.firstBye(leg), call.hungUpAt.isEmpty, bye.at > start + bound else { continue }
            violate(
                "4late", call: call.index,
                "the BYE to the \(leg.name) leaves \((bye.at - start).inMilliseconds) ms after deadline or calm")
        }
    }

    private func judgeUnanswered(_ call: CallTruth, _ caller: Phone) {
        let invite = caller.inviteClient.map { caller.clients[$0] }
        let callees = callees(of: call.index)
        let known = call.ringKnowers + call.dialogs.flatMap(\.holders)
        let living = knewAlive(known)
        ran("S1-8")
        ran("S2-11")
        if let invite, !invite.isOver {
            let text =
                "the caller has waited \((now - invite.startedAt).inMilliseconds) ms for a final answer; "
                + "known at \(names(known))"
            // A callee that rings on and a caller who waits is a call; so is one that is switched off, until timer B.
            let isRinging = callees.contains { $0.isRinging || isStillAsked($0) }
            if !(isRinging && call.cancelledAt == nil && knowsPending(call)) {
                // CANCEL at a node that could not know of the call is answered 481; the caller knows no more to do.
                // One that was answered 200 is a fact, which may die with the node that has it.
                // A question asked while cut off takes the lane for as long as its answer is waited for.
                let cancelledAt = call.cancelledAt ?? 0
                let isLostCancel =
                    call.cancelCode != nil
                    && (isCutOff(at: cancelledAt) || isCutOff(at: cancelledAt - World.requestDeadline))
                // So is a rejection that was lost on its way while its node died: nothing keeps it (S1-3 keeps a 2xx).
                // A server behind gives one, too.
                let isRejected =
                    callees.contains { $0.servers.contains { $0.isInitial && $0.statusCode >= 300 } }
                    || !call.refusers.isEmpty && knewAlive(call.refusers).isEmpty
                // Or its deadline came before a 2xx that the network kept back.
                let isLost = isLostCancel || isRejected || call.dialogs.contains { !$0.byes.isEmpty }
                untold("S1-8", call, isLost || isAdopterDead(call) ? [] : living, text)
            }
        } else if !call.isForked, callees[0].isRinging {
            let text = "the callee rings on; the caller was told \(call.failure?.code ?? 0); known at \(names(known))"
            // Its owner lives and heard of nothing: timer C ends it, after this run. The callee of a pass is cancelled
            // by who has that pass.
            let holders = call.plan.spiral == nil ? call.dialog.earlyHolders : call.dialog.passHolders
            let knowing = knowsPending(call) && call.wasRefused ? [] : knewAlive(holders)
            untold("S2-11", call, knowing, text)
        }
        for (place, dialog) in call.dialogs.enumerated() where dialog.unacknowledgedAt[.callee] != nil {
            let text =
                "\(callees[place].user) answered at \((dialog.answeredAt ?? 0).inMilliseconds) and was never told; "
                + "known at \(names(known))"
            // Owing (R15): refused by an heir after its owner, which was only cut off, had sent the 2xx on.
            let isOwing = call.wasRefused && call.answers.contains { $0.method == .invite && $0.leftAt != nil }
            // Its BYE was on the way by its server, and who repeated it is dead.
            let isEndLost =
                !dialog.byes.isEmpty && (isLedAstray(call) || !dialog.byes.contains { checks.isAlive($0.process) })
            if isAdopterDead(call) || isEndLost {
                excuse("S2-11", call: call.index, text)
            } else if isOwing {
                excuse("owing", call: call.index, text)
            } else {
                untold("S2-11", call, knewAlive(dialog.earlyHolders), text)
            }
        }
    }

    /// The way to its callee leads by its server, which hands it to a balancer that may know none but the dead.
    private func isLedAstray(_ call: CallTruth) -> Bool {
        call.plan.spiral?.recordRoutes == true && !plan.deals && !checks.ends.isEmpty
    }

    /// Its INVITE was tried again, and all who knew the second transaction's Vias are dead (R16).
    private func isAdopterDead(_ call: CallTruth) -> Bool {
        call.triedAgainAt != nil && knewAlive(call.adopters + call.adoptionKnowers).isEmpty
    }

    /// A callee that is switched off has been asked, and timer B has not run out.
    private func isStillAsked(_ callee: Phone) -> Bool {
        let asked = truth[callee.call].dialogs[callee.place].ringsAt
        return callee.behaviour.answer == .silent && asked.map { now - $0 < PhoneTimes.transaction } == true
    }

    private func isCutOff(at time: Nanoseconds) -> Bool {
        checks.troubled.contains { $0 >= time - World.sampleInterval && $0 <= time + World.sampleInterval }
    }

    /// Ended by an heir while its owner, cut off, confirmed it, or with one of several dialogs by a node that had not
    /// heard of it: R15's owing record, which is not part of this stage.
    func isOwing(_ call: CallTruth) -> Bool {
        // A tombstone may have been collected by now; that it was one has been seen.
        (call.wasRefused || call.wasEndedApart)
            && (checks.isDead.contains(call.index)
                || !checks.knowers(of: call, self) { $0.state == .deleted }.isEmpty)
    }

    /// Some live node still has the ringing call, and will go on with it.
    func knowsPending(_ call: CallTruth) -> Bool {
        !checks.knowers(of: call, self) { $0.state < .deleted }.isEmpty
    }

    /// With keep-alives a call that one phone has lost is ended for the other within an interval and the time that
    /// acting takes; one whose ACK went by nodes without its record, once the ACK's time is over. Judged where nothing
    /// else is wrong: in a calm run, and after the faults.
    private func judgeForgotten(_ call: CallTruth) {
        guard let forgotten = call.forgotAt, let lost = call.plan.forgets, canAct,
            plan.isCalm || forgotten >= Plan.heal + .seconds(5), !knewAlive(call.dialog.holders).isEmpty
        else { return }
        let other = lost.role.other
        ran("ka")
        guard !phone(other, of: call.index).hasVanished(at: now) else { return }
        let settled = min(call.ackKnownAt ?? .max, (call.confirmedAt ?? 0) + PhoneTimes.transaction)
        let start = max(forgotten, call.ackReached ?? 0, settled)
        let bound =
            Plan.keepAliveInterval + .milliseconds(150 + 2 * 1_500 + 1_000) + .milliseconds(500) * Int64(plan.nodes)
        let end = call.endedAt[other]?.at
        if let end, end <= start + bound { return }
        violate(
            "ka", call: call.index,
            "the \(lost.role.name) lost it at \(forgotten.inMilliseconds), the \(other.name)'s ended at "
                + "\(end?.inMilliseconds ?? 0)")
    }

    /// S2-10: a call does not die because the node that handled a re-INVITE did.
    private func judgeRefusals(_ call: CallTruth) {
        for refusal in call.refusals where refusal.code == 408 || refusal.code == 481 {
            // Nobody answered for 64·T1: the network was the fault.
            if refusal.waited >= PhoneTimes.transaction {
                looksAway("S2-10", "nobody answered for 64·T1")
                continue
            }
            // Its time was up and its end granted: until the BYEs come a refresh is refused (R1).
            let isOver = refusal.at >= min(call.committedDeadline, call.askedAt ?? .max)
            if refusal.code == 481, isOver {
                looksAway("S2-10", "its time was up")
                continue
            }
            let other = call.endedAt[refusal.role.other]?.at ?? .max
            let wasEnding = min(other, call.byes.map(\.at).min() ?? .max) <= refusal.at + .seconds(3)
            ran("S2-10")
            if wasEnding { continue }
            violate(
                "S2-10", call: call.index,
                "the \(refusal.role.name)'s \(refusal.method) got \(refusal.code) in a live call")
        }
    }

    /// With nothing wrong, every call goes as its users meant it to.
    private func judgeCalm(_ call: CallTruth) {
        guard call.plan.isAnswered, caller(of: call.index).inviteClient != nil, call.cancelledAt == nil else { return }
        ran("calm")
        if call.confirmedAt == nil {
            violate("calm", call: call.index, "it failed with \(call.failure?.code ?? 0) and nothing was wrong")
        } else if call.ackReached == nil {
            violate("calm", call: call.index, "its callee never had the ACK, and nothing was wrong")
        }
    }
}

extension CheckState {
    /// When, before `time`, the nodes last could not have acted.
    func lastUncalm(before time: Nanoseconds) -> Nanoseconds {
        uncalm.last { $0 <= time } ?? 0
    }
}
