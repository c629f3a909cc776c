// What is checked of forked calls beyond what is checked of all: that the callees which lost to another are told
// (`fork-ring`), that the caller is told one thing (`fork-final`), that the dialog it keeps has a record as long as
// both phones are in it (`fork-lost`), and that no record holds a dialog that is over for both (`fork-ghost`).

internal import Dialogs
internal import SIP

extension World {
    /// How long a record may still hold a dialog that is over for both phones: a lost BYE, CANCEL or 487 is repeated
    /// within T2, twice.
    static let ghostBound = Nanoseconds.seconds(10)

    /// Which callee of a call has this tag; the first when none has.
    func place(of tag: String?, call: Int) -> Int {
        guard plan.calls[call].fork != nil else { return 0 }
        return callees(of: call).firstIndex { $0.tag == tag } ?? 0
    }

    /// Which side a From or To speaks of. Not by its tag: phones may have none, or the same.
    func asker(_ address: String, call: Int) -> Role {
        address.contains("<sip:\(phones[2 * call].user)@example.org>") ? .caller : .callee
    }

    // MARK: Told by the caller

    /// A 2xx of a second callee made a dialog, too.
    func confirmedSurplus(_ phone: Phone, _ response: PhoneMessage) {
        let place = place(of: response.toTag, call: phone.call)
        truth[phone.call].dialogs[place].confirmedAt = now
        log("\(phone.user) has a 2xx too many, of \(callees(of: phone.call)[place].user)", call: phone.call)
    }

    func endedSurplus(_ phone: Phone, _ dialog: PhoneDialog, hangsUp: Bool) {
        let place = place(of: dialog.remoteTag, call: phone.call)
        if hangsUp {
            truth[phone.call].dialogs[place].hungUpAt[.caller] = now
            noteEndApart(truth[phone.call])
        }
        truth[phone.call].dialogs[place].endedAt[.caller] = (now, hangsUp ? "one too many" : "BYE received")
    }

    /// The node that sees this BYE may have heard nothing of the other dialogs: it came from a node that it was cut off
    /// from, or frames were lost a moment ago. Its tombstone and their confirmation then meet in an owing record (R15).
    private func noteEndApart(_ call: CallTruth) {
        let answered = call.confirmedAt ?? now
        let wasCut = max(disturbances.lastCut, disturbances.lastHealed) > answered - .seconds(5)
        let isFresh = !isHealed && plan.bus.lossPerMille > 0 && now - answered < .seconds(1)
        if wasCut || isFresh || !disturbances.isQuiet { call.wasEndedApart = true }
    }

    /// A final answer after the first: one more 2xx, or the same again; anything else contradicts it.
    func checkFurtherFinal(_ phone: Phone, _ response: PhoneMessage, first code: Int) {
        let isSuccess = response.statusCode < 300
        guard code < 300 ? !isSuccess : response.statusCode != code else { return }
        let call = truth[phone.call]
        ran("fork-final")
        let text = "the caller had \(code) to its INVITE, and then \(response.statusCode)"
        let start = phone.inviteClient.map { phone.clients[$0].startedAt } ?? now
        // An heir spoke for an owner that was only cut off, or stopped, and spoke for itself later (R15).
        // A cut is over for its nodes when they have heard of each other again.
        let lastApart = max(disturbances.lastCut, disturbances.lastHealed)
        let wasApart = lastApart > start - .seconds(2) || !disturbances.isQuiet
        // What no peer knew when it left the heir could not know: a 2xx that nobody took in time, or that only those
        // took who are dead; a failure of a dead node's, which nothing keeps.
        let isLost = !call.dialog.holders.contains { checks.isAlive($0) }
        let wasUnheld = call.dialog.wasUncommitted || call.dialog.wasAlone || call.dialog.wasRelayed
        let wasUnknown = code < 300 && (isLost || wasUnheld)
        let isOfTheDead = code >= 300 && !isSuccess && checks.ends.values.contains { $0 > start }
        // A node that has no record sends what comes for a dead one on: what else could it do?
        let wasRelayed = isSuccess && call.dialogs[place(of: response.toTag, call: call.index)].wasRelayed
        let isStray = call.wasStrayRefusal || wasRelayed
        if wasApart || wasUnknown || isOfTheDead || isStray {
            excuse("fork-final", call: call.index, text + "; who said it could not know")
        } else {
            violate("fork-final", call: call.index, text)
        }
    }

    /// An ACK for a failure, by a node that has no record of the call: it goes where its Request-URI says, and for a
    /// forked call that is nobody.
    func isStrayAcknowledgement(_ packet: Packet) -> Bool {
        guard case .node(let index) = packet.sender, packet.bytes.starts(with: "ACK ".utf8),
            let call = call(of: packet.bytes), truth[call].isForked,
            packet.to.text == caller(of: call).inviteText.uri.split(separator: "@").last.map(String.init)
        else { return false }
        return !checks.knowers(of: truth[call], self) { _ in true }.contains(hosts[index].process)
    }

    /// A BYE of the cluster's for a callee of which it knows no more than that an ACK was for it: nobody alive has its
    /// Contact. It goes to the URI that was called, and for a forked call that is nobody.
    func isStrayBye(_ packet: Packet) -> Bool {
        guard case .node = packet.sender, packet.bytes.starts(with: "BYE ".utf8),
            let call = call(of: packet.bytes), truth[call].isForked, let did = truth[call].did,
            packet.to.text == caller(of: call).inviteText.uri.split(separator: "@").last.map(String.init)
        else { return false }
        let tag = Array((packet.bytes.header("To")?.parameter("tag") ?? "").utf8)
        return !hosts.contains { host in
            let record = host.node.flatMap { NodeInspection.decoded(did, $0) }
            return record?.out(toTag: tag).map { !$0.side.contact.isEmpty } ?? false
        }
    }

    // MARK: The look at every node

    func look(atForked call: CallTruth) {
        guard let did = call.did else { return }
        checkLost(call, did)
        for place in call.dialogs.indices { checkGhost(call, did, place) }
    }

    /// Both phones are in the dialog, and its record says that it is over.
    func checkLost(_ call: CallTruth, _ did: UInt64) {
        let code = call.isForked ? "fork-lost" : "hunt-lost"
        let dialog = call.dialog
        guard dialog.confirmedAt != nil, dialog.ackReached != nil, !dialog.isEnding, dialog.byes.isEmpty,
            now < call.committedDeadline
        else { return }
        if call.isForked { ran("fork-lost") } else { ran("hunt-lost") }
        let tag = phone(.callee, of: call.index).tag
        var saysOver: [String] = []
        for host in hosts {
            guard let node = host.node, let known = NodeInspection.record(did, node, host) else { continue }
            let state = NodeInspection.state(of: did, with: tag, node)
            if known.state == .deleted || state == .deleted {
                saysOver.append(host.name)
            } else if let state, state >= .confirmedNotAcknowledged {
                return
            }
        }
        guard !saysOver.isEmpty else { return }
        let text = "its phones are in the call, and it is over for \(saysOver), live for nobody"
        if isOwing(call) {
            excuse("owing", call: call.index, text)
        } else if dialog.holders.contains(where: { checks.isAlive($0) }) {
            violate(code, call: call.index, text)
        } else {
            excuse(code, call: call.index, text + "; all who knew it as live are dead")
        }
    }

    /// A dialog that is over for both its phones lives on in a record. Whoever saw its end must have been there to
    /// tell: nothing may have been wrong since before it.
    private func checkGhost(_ call: CallTruth, _ did: UInt64, _ place: Int) {
        // The cluster's BYE to a phone that is gone is repeated until timer F (RFC 3261 §17.1.2.2).
        let isGone = [caller(of: call.index), callees(of: call.index)[place]].contains { $0.hasVanished(at: now) }
        let bound = World.ghostBound + (isGone ? PhoneTimes.transaction : 0)
        guard let over = call.dialogs[place].overAt(decidedAt: call.decidedAt), now - over > bound,
            hasBeenCalm(since: over)
        else { return }
        ran("fork-ghost")
        let tag = callees(of: call.index)[place].tag
        for host in hosts {
            guard let node = host.node, let known = NodeInspection.record(did, node, host), known.state != .deleted,
                let state = NodeInspection.state(of: did, with: tag, node), state != .deleted,
                plan.isCalm || state >= .confirmedNotAcknowledged
            else { continue }
            violate(
                "fork-ghost", call: call.index, node: host.index,
                "has the dialog with \(callees(of: call.index)[place].user) as \(state), which has been over for "
                    + "\((now - over).inMilliseconds) ms")
        }
    }

    /// Nothing has been wrong since a while before `time`, and the nodes could have acted: a BYE has found one.
    func hasBeenCalm(since time: Nanoseconds) -> Bool {
        disturbances.isQuiet(for: now - time + .seconds(5), at: now) && checks.lastUncalm(before: now) < time
    }

    // MARK: The last word

    func judgeFork(_ call: CallTruth) {
        let callees = callees(of: call.index)
        ran("fork-ring")
        for (place, callee) in callees.enumerated() where !callee.hasVanished(at: now) {
            let dialog = call.dialogs[place]
            if let decided = call.decidedAt, callee.isRinging {
                let knowing = call.plan.spiral == nil ? dialog.earlyHolders : dialog.passHolders
                let text =
                    "\(callee.user) rings on, and the caller had \(call.failure?.code ?? 200) at "
                    + "\(decided.inMilliseconds); known at \(names(knowing))"
                // Its owner lives and was never told that somebody else had answered for it, by a node without the
                // record, or by one that died with the news: timer C ends it.
                let isNewsLost = call.wasRefused && !call.endKnowers.contains { checks.isAlive($0) }
                let isUnheard =
                    (call.wasStrayRefusal || isNewsLost) && call.confirmedAt == nil && knowsPending(call)
                untold("fork-ring", call, isUnheard ? [] : knewAlive(knowing), text)
            }
            if place != call.kept || call.confirmedAt == nil, callee.isConfirmed {
                let text = "\(callee.user) is in a dialog that is one too many at the end, "
                untold("4", call, knewAlive(dialog.holders), text + "held by \(names(dialog.holders))")
            }
            if plan.isCalm { judgeCalmFork(call, callee, dialog) }
        }
    }

    /// With nothing wrong: who rings when the call is decided stops within a second, and who answers is heard.
    private func judgeCalmFork(_ call: CallTruth, _ callee: Phone, _ dialog: DialogTruth) {
        let bound = Nanoseconds.seconds(1) + 4 * (plan.sip.latency + plan.sip.jitter)
        if let decided = call.decidedAt, let stopped = dialog.stoppedAt, stopped > decided + bound {
            violate(
                "fork-ring", call: call.index,
                "\(callee.user) stops ringing \((stopped - decided).inMilliseconds) ms after the caller's final answer")
        }
        guard dialog.answeredAt != nil, dialog.confirmedAt == nil || dialog.ackReached == nil else { return }
        violate(
            "fork-final", call: call.index,
            dialog.confirmedAt == nil
                ? "\(callee.user) answers, and the caller never has its 2xx" : "\(callee.user) never has the ACK")
    }
}

extension CheckState {
    /// A BYE to a phone that has been out of this dialog for long, as the other has.
    func checkGhost(_ truth: CallTruth, _ bye: GeneratedBye, _ world: World) {
        guard let over = truth.dialogs[bye.place].overAt(decidedAt: truth.decidedAt),
            world.now - over > .seconds(5), world.hasBeenCalm(since: over)
        else { return }
        world.violate(
            "fork-ghost", call: truth.index, node: bye.process.host,
            "sends a BYE in the dialog with \(world.callees(of: truth.index)[bye.place].user), which has been over for "
                + "\((world.now - over).inMilliseconds) ms")
    }
}

extension Phone {
    /// It has an INVITE that it has not answered.
    var isRinging: Bool { servers.contains { $0.isInitial && $0.isOpenInvite } }
}
