// How an heir ends a dead node's ringing call (S2-11): it waits for the dead node's address, cancels, asks its peers
// once more, and tells everybody.
//
//   waiting ──nothing came──▶ cancelling ──every CANCEL answered, or 8·T1──▶ asking ──twice answered──▶ BYEs, ACK, 480
//      │ the owner is heard: it is left to it        │ a 2xx: it is passed on        │ a peer knows an answer: that one
//      ▼                                             ▼                               ▼ is repeated (S1-3)
//
// Nothing is sent before the CANCEL's answer but the CANCEL: only then no callee can answer the INVITE any more, and
// what the peers say is the last word. Each peer that is heard has answered before anything is ended, and each question
// has 200 ms at least, for what was under way.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// What the heir waited for has not come, or cannot come any more.
    mutating func graceOver(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        if context.lastStatus >= 200 {  // It waited for a provisional to cancel; the caller has its answer.
            for index in context.branches.indices where context.branches[index].final == nil { giveUp(&context, index) }
            return
        }
        guard let heir = context.heir else { return }
        if heir.awaitsAnswers {
            context.awaitAnswers(true, isOverdue: true)
            return wakeHeir(&context, id, at: now.advanced(by: Self.answerInterval))
        }
        switch heir.stage {
        case .cancelling:
            if isCancelling(context) { learnUnheard(context, dialogs: &dialogs) }
            endEarlyAsHeir(&context, id, dialogs: &dialogs)
        case .asking(cancels: false, _) where isCancelling(context):  // A provisional came meanwhile.
            awaitCancelAnswers(&context, id)
        case .asking: endEarlyAsHeir(&context, id, dialogs: &dialogs)
        case .waiting:
            if neighbours.peer(heir.owner)?.isLive == true {
                standDown(&context)
                return
            }
            let holds = neighbours.peer(heir.owner)?.holdsMovedAddress ?? false
            if holds, settings.earlyTakeover == .auto, now - context.startedAt < settings.timerC {
                wakeHeir(&context, id, at: context.startedAt.advanced(by: settings.timerC))
            } else {
                continueAsHeir(&context, id, dialogs: &dialogs)
            }
        }
    }

    private mutating func askAgain(_ context: inout ResponseContext, _ id: SlotID, _ did: DialogID) {
        effects.items.append(.question(did))
        context.awaitAnswers(true)
        wakeHeir(&context, id, at: now.advanced(by: Self.recordWait))
    }

    /// Everybody that is heard has said what it knows of the dialog. Who had waited for nothing else goes on.
    package mutating func questionAnswered(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        var seen: [SlotID] = []
        while let id = inviteContext(of: did, where: { $0.heir?.awaitsAnswers == true }, except: seen) {
            seen.append(id)
            guard var context = take(id) else { continue }
            let isOverdue = context.heir?.isOverdue == true
            context.awaitAnswers(false)
            if isOverdue {
                wheel.cancel(context.contextTimer)
                context.contextTimer = .none
                graceOver(&context, id, dialogs: &dialogs)
            }
            finish(consume context, id)
        }
        replayQueued(dialogs: &dialogs)
    }

    /// How soon an heir looks again whether its question has had its answers; it is told, too.
    private static let answerInterval = Duration.seconds(1)

    private mutating func wakeHeir(_ context: inout ResponseContext, _ id: SlotID, at moment: Instant) {
        wheel.cancel(context.contextTimer)
        context.contextTimer = wheel.schedule(
            TimerToken(context: id, machine: .grace, timer: .a).rawValue, at: moment)
    }

    /// The owner lives after all, and has its transaction: it is not this node's to end.
    mutating func standDown(_ context: inout ResponseContext) {
        for index in context.branches.indices where context.branches[index].final == nil { giveUp(&context, index) }
        leaveToRecord(&context)
    }

    /// An heir's part is over. Another copy of the INVITE that came here meanwhile is answered as the record says.
    mutating func leaveToRecord(_ context: inout ResponseContext) {
        guard context.kind == .heir, context.serverKey != nil, let did = context.did else {
            return abandonServer(&context)
        }
        wheel.cancel(context.contextTimer)
        context.contextTimer = .none
        context.role = .adopted
        adoptedCount += 1
        reviewsDue.append(did)
    }

    /// Nobody answers the CANCEL. The callee may be gone, or this node may have no way to it: the others try theirs.
    private mutating func learnUnheard(_ context: ResponseContext, dialogs: inout DialogTable) {
        guard let did = context.did else { return }
        facts.begin()
        for index in context.branches.indices where context.branches[index].final == nil {
            guard case .sent(let transaction) = context.branches[index].cancel,
                transaction.phase == .trying || transaction.phase == .proceeding
            else { continue }
            pendingFact(context, index) { $0.mark(.unheard) }
        }
        if !facts.isEmpty { learn(did, dialogs: &dialogs) }
    }

    /// Its heir cannot cancel this transaction of a dead node's: so does this node, once.
    mutating func cancelUnheard(
        _ did: DialogID, _ record: Record, _ pending: Record.Pending, _ token: Branch.Token, dialogs: inout DialogTable
    ) {
        let known = inviteContext(of: did) {
            $0.heir?.owner == token.member && $0.heir?.slot == token.slot
        }
        if known == nil { cancelLosers(did, record, pending, token, dialogs: &dialogs) }
    }

    /// A callee answers a CANCEL to where its first copy came from. If that was another heir, dead by now as well,
    /// nothing ever comes back here: after four copies the end follows all the same.
    private mutating func awaitCancelAnswers(_ context: inout ResponseContext, _ id: SlotID) {
        context.enter(.cancelling)
        wakeHeir(&context, id, at: now.advanced(by: settings.timers.t1 * 8))
    }

    /// The heir acts: CANCEL where it is legal, else the end at once.
    mutating func continueAsHeir(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        wheel.cancel(context.contextTimer)
        context.contextTimer = .none
        guard context.lastStatus < 200, context.held.isEmpty else { return }
        if waitsForQuorum(&context, id) { return }
        if awaitsAnswerFromBelow(&context, id, dialogs: &dialogs) { return }
        let cause = context.cancelled ? context.cause : .interrupted
        cancelAll(&context, id, because: cause, dialogs: &dialogs)
        context.enter(.cancelling)
        if let did = context.did { effects.items.append(.wanted(did)) }
        if context.isInitial, isCancelling(context) {
            awaitCancelAnswers(&context, id)
        } else {
            endEarlyAsHeir(&context, id, dialogs: &dialogs)
        }
    }

    /// A callee has answered by a further pass: its server has the 2xx, which one of the copies takes up to here, if
    /// the server's way is not to the dead node alone. When none has come in time, the 2xx that the record keeps for
    /// the pass is taken for the server's.
    /// - Returns: Whether the call is answered, and not this node's to end.
    private mutating func awaitsAnswerFromBelow(
        _ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable
    ) -> Bool {
        guard context.isInitial, context.pass.isFirst, !context.cancelled, let did = context.did,
            let record = dialogs.record(did),
            record.outs.contains(where: { $0.state == .confirmedNotAcknowledged || $0.state == .confirmed })
        else { return false }
        let fromBelow = record.pendings.first {
            !$0.pass.isFirst && $0.leg == .caller && $0.cseq == context.cSeq && !$0.answer.isEmpty
        }
        let patience = fromBelow == nil ? settings.timers.t1 * 64 : settings.timers.t1 * 4
        let until = context.startedAt.advanced(by: patience)
        if now < until {
            context.enter(.waiting)
            wakeHeir(&context, id, at: until)
            return true
        }
        guard let fromBelow, let index = context.branches.firstIndex(where: { $0.final == nil }) else { return false }
        let kept = message.snapshot()
        defer { _ = loadMessage(kept) }
        guard let bytes = answerTakenUp(fromBelow.answer, context, branch: index), loadMessage(bytes),
            let via = try? message.topmostVia(), let cSeq = try? message.cSeq()
        else { return false }
        receive(&context, id, branch: index, cSeq, via, dialogs: &dialogs)
        // The server's copies go to the dead node: it is this one that repeats it (S1-3).
        if let sent = dialogs.record(did)?.outs.first(where: { !$0.answer.isEmpty }) {
            startRepeating(context, did, sent.answer, isForAdopted: false)
        }
        return true
    }

    /// An answer of a further pass as its server would send it up: with the Vias of the first pass's INVITE.
    private mutating func answerTakenUp(
        _ answer: [UInt8], _ context: ResponseContext, branch index: Int
    ) -> [UInt8]? {
        guard loadStored(context.branches[index].sent), let own = stored.first(.via) else { return nil }
        let line = stored.copy(own.line)
        guard let upstream = readdress(answer, as: context.request), loadStored(upstream) else { return nil }
        editor.begin()
        editor.insert(at: stored.firstLineEnd) { $0.put(line) }
        scratch.removeAll()
        editor.write(stored, into: &scratch)
        return scratch.copy()
    }

    /// After the CANCEL: BYE on each early dialog, one ACK for a 487 that went to the dead node, the final answer
    /// upstream.
    mutating func endEarlyAsHeir(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        guard context.lastStatus < 200, context.held.isEmpty, let did = context.did, let record = dialogs.record(did)
        else { return }
        // The answer came by another node while the CANCEL was under way: there is nothing to end any more.
        if context.isInitial, record.state == .deleted || hasAnswered(context, record) { return }
        if waitsForQuorum(&context, id) { return }
        if context.isInitial, context.heir?.stage.isAsking != true, neighbours.hasAnybodyToAsk {
            // Asked once more, now that no callee can answer any more: an answer may have reached a peer while this
            // heir waited, and the caller may have it by now.
            context.enter(.asking(cancels: isCancelling(context), again: false))
            askAgain(&context, id, did)
            return
        }
        if context.isInitial, case .asking(let cancels, again: false) = context.heir?.stage, neighbours.hasAnybodyToAsk
        {
            // And at the last moment: what came while the first question was answered is not in that answer.
            context.enter(.asking(cancels: cancels, again: true))
            askAgain(&context, id, did)
            return
        }
        if context.isInitial {
            let own = record.outs.filter {
                $0.state != .deleted && (context.pass.isFirst || $0.side.pass == context.pass)
            }
            let byes = own.compactMap { bye(did, record, $0, to: .callee, because: .interrupted) }
            if !byes.isEmpty { _ = sendByes(byes, did: did, for: .interruption, dialogs: &dialogs) }  // Counted.
            for branch in context.branches where branch.sawProvisional && branch.final == nil {
                acknowledgeUnseen(branch)
            }
        }
        let status = context.cancelled && context.endCode == nil ? 487 : context.isInitial ? settings.earlyEndCode : 500
        learnFailure(context, status: status, dialogs: &dialogs)
        failAsHeir(status, &context, id)
        var waits = false
        for index in context.branches.indices where context.branches[index].final == nil && context.isInitial {
            if case .wanted = context.branches[index].cancel { waits = true } else { giveUp(&context, index) }
        }
        // A provisional that still comes is answered with CANCEL; for longer than timer C none will.
        guard waits else { return }
        context.contextTimer = wheel.schedule(
            TimerToken(context: id, machine: .grace, timer: .a).rawValue, at: now.advanced(by: settings.timerC))
    }

    /// The failure of a call goes upstream when the others have it, as a 2xx does: whoever gets the callee's late 2xx
    /// must not give the caller a second final answer, should this node die now.
    private mutating func failAsHeir(_ status: Int, _ context: inout ResponseContext, _ id: SlotID) {
        guard context.isInitial, neighbours.commits else {
            return respond(status, &context, id) { writer in
                if status == 500 { writer.put("Retry-After: 1\r\n") }
            }
        }
        guard let bytes = responseOfOurs(status, context.request) else { return }
        counters.heldResponses += 1
        context.held.append(HeldResponse(bytes: bytes, toTag: [], status: status, heldAt: now))
        effects.items.append(.commit(CommitToken(context: id, purpose: .inheritance)))
    }

    /// The failure that an heir has sent is acknowledged as any other (RFC 3261 §17.2.1), and a further copy of the
    /// dead node's INVITE gets it again: from now on the transaction is found by that one's topmost Via.
    mutating func expectAcknowledgement(_ context: inout ResponseContext, _ id: SlotID) {
        guard loadStored(context.request), let via = try? stored.topmostVia() else { return }
        let key = serverKey(.invite, via, in: stored.bytes)
        context.serverKey = key
        serverTable.insert(hash: key, value: id.index)
    }

    private mutating func giveUp(_ context: inout ResponseContext, _ index: Int) {
        context.branches[index].final = 487
        terminateClient(&context, index)
    }

    /// An heir that is not fit any more, for want of quorum, ends nothing; it looks again soon.
    private mutating func waitsForQuorum(_ context: inout ResponseContext, _ id: SlotID) -> Bool {
        guard !neighbours.isFit else { return false }
        wakeHeir(&context, id, at: now.advanced(by: Self.fitnessInterval))
        return true
    }

    /// How soon an heir without quorum looks again.
    static let fitnessInterval = Duration.milliseconds(200)

    /// Every CANCEL that was sent has been answered, or never will be.
    func hasCancelled(_ context: ResponseContext) -> Bool {
        var isSent = false
        for branch in context.branches {
            guard case .sent(let transaction) = branch.cancel else { continue }
            if transaction.phase == .trying || transaction.phase == .proceeding { return false }
            isSent = true
        }
        return isSent
    }

    /// Some CANCEL has no final answer yet.
    private func isCancelling(_ context: ResponseContext) -> Bool {
        context.branches.contains { branch in
            guard case .sent(let transaction) = branch.cancel else { return false }
            return transaction.phase == .trying || transaction.phase == .proceeding
        }
    }

    /// ACK with the INVITE's branch and no To tag: the 487 went to the dead node's address and would be repeated
    /// (S2-11).
    mutating func acknowledgeUnseen(_ branch: ClientBranch) {
        guard loadStored(branch.sent) else { return }
        effects.queue.send(
            to: branch.target, from: branch.listener, serverName: branch.serverName
        ) { [hops = settings.maxForwards, stored] writer in
            AckWriter.write(invite: stored, response: stored, maxForwards: hops, into: &writer)
        }
    }
}
