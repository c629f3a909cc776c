// What phones tell the checkers at the moment it happens: a call confirmed, a refresh answered, the same INVITE twice.

internal import SIP

extension World {
    /// The INVITE has reached its callee for the first time.
    func rings(_ phone: Phone, _ request: PhoneMessage) {
        let call = truth[phone.call]
        call.dialogs[phone.place].ringsAt = call.dialogs[phone.place].ringsAt ?? now
        call.did = request.recordRoutes.lazy.compactMap { $0.parameter("did") }.first.flatMap { UInt64($0, radix: 16) }
        if call.did == nil {
            violate("sip", call: phone.call, "the INVITE reaches its callee without a did in Record-Route")
        }
        checkTarget(phone, request)
    }

    /// The INVITE has reached a callee that is switched off.
    func asks(_ phone: Phone, _ request: PhoneMessage) {
        if request.method == .invite, truth[phone.call].dialogs[phone.place].ringsAt == nil { rings(phone, request) }
    }

    /// The same INVITE by another branch: number 11, and 482 for the caller.
    func merged(_ phone: Phone, _ request: PhoneMessage) {
        let call = truth[phone.call]
        guard phone.role == .callee else {
            return violate("11", call: phone.call, "an INVITE reaches its own caller")
        }
        checkSecondBranch(
            call, "INVITE", branch: request.branch, sentBy: request.vias[0].sentBy,
            firstAt: call.dialogs[phone.place].ringsAt ?? now, pass: call.plan.spiral == nil ? nil : phone.place)
    }

    /// Two branches to one target. Left by nature: both copies within the replication lag, or a node that could not
    /// know.
    /// - Parameter pass: The callee that a call is on its way to which came back through the cluster: what counts then
    ///   is who knew of that pass, not who knew the call.
    func checkSecondBranch(
        _ call: CallTruth, _ what: String, branch: String, sentBy: String? = nil, firstAt: Nanoseconds, pass: Int? = nil
    ) {
        ran("11")
        let text =
            "a second branch of the \(what) reaches its target \((now - firstAt).inMilliseconds) ms after the first"
        let lag = Nanoseconds.milliseconds(60) + 4 * (plan.sip.latency + plan.sip.jitter)
        // Its first node may have died before anybody had the record; who has it now has it from the second copy. What
        // counts is what was known as its INVITE first left: the branch that arrives now may be a repetition, or the
        // second of a fork.
        let leftAt = checks.branchLeft[String(branch.prefix(CheckState.transactionLength))] ?? now
        let seen = pass.map { call.dialogs[$0].passSeen } ?? call.firstSeen
        let knew = seen.contains { checks.isAlive($0.key) && $0.value < leftAt - .milliseconds(300) }
        // A call that is over, or has failed: a node that started since was given no tombstone of it. Or it had failed
        // when its caller tried again: that is a further attempt (R16). So it is to the cluster when its balancer,
        // whose caller has lost the failure, sends it by a branch of its own.
        let mayBeAnother = call.triedAgainAt != nil || plan.balancerRenewsBranch
        let isAnother = mayBeAnother && (call.wasRefused || call.dialog.stoppedAt != nil)
        let couldNotKnow =
            !knew || isAnother || call.isEnding || isNewcomer(sentBy, to: call) || !disturbances.isQuiet
            || now - disturbances.lastChange < .seconds(1)
        if now - firstAt < lag || couldNotKnow || (!isHealed && plan.bus.lossPerMille > 0) {
            excuse("11", call: call.index, text + "; within the replication lag or a fault")
        } else {
            violate("11", call: call.index, text)
        }
    }

    /// The node that this name is of has started since all that was left of the call was a tombstone, which nobody is
    /// given who joins.
    private func isNewcomer(_ sentBy: String?, to call: CallTruth) -> Bool {
        guard let known = call.endKnownAt, let host = hosts.first(where: { $0.address.text == sentBy }) else {
            return false
        }
        return host.startedAt > known && !call.endKnowers.contains(host.process)
    }

    /// The caller has its 2xx.
    func confirmed(_ phone: Phone, _ response: PhoneMessage) {
        let call = truth[phone.call]
        guard call.confirmedAt == nil else { return }
        call.kept = place(of: response.toTag, call: call.index)
        call.dialogs[call.kept].confirmedAt = now
        if let lost = call.plan.vanishes { self.phone(lost.role, of: call.index).vanishAt = now + lost.after }
        if let lost = call.plan.forgets {
            self.phone(lost.role, of: call.index).start(.forget, after: lost.after, self)
        }
        attemptAnswered(phone)
        commit(call, asker: .caller, cseq: response.cseq, method: .invite)
        for (index, step) in call.plan.steps.enumerated() {
            schedule(.script(call: call.index, step: index), after: step.after)
        }
    }

    /// A re-INVITE or UPDATE was answered 2xx.
    func refreshed(_ phone: Phone, _ client: ClientTransaction) {
        commit(truth[phone.call], asker: phone.role, cseq: client.cseq, method: client.method)
    }

    private func commit(_ call: CallTruth, asker: Role, cseq: UInt32, method: SIP.Method) {
        let answer = call.answers.first {
            $0.asker == asker && $0.place == call.kept && $0.cseq == cseq && $0.method == method
        }
        guard let answer, answer.leftAt != nil, !answer.isUncommitted else { return }
        let deadline = answer.reachedAt + answer.lifetime
        if call.plan.habits.session != nil || plan.sessionSeconds > 0 { bound(call, by: answer) }
        guard deadline > call.committedDeadline, answer.reachedAt >= call.shortenedAt else { return }
        call.committedDeadline = deadline
        call.committedAt = now
        call.deadlineKnowers = answer.knowers
        log(
            "committed until \(deadline.inMilliseconds), known at \(answer.knowers.map { hosts[$0.host].name })",
            call: call.index)
    }
}
