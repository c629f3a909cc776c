// Response processing: RFC 3261 §16.7 with RFC 6026 (accepted state), and the rules for a cluster: an answer for a live
// member's transaction is passed to that member once (S1-2a); a 2xx that confirms a dialog or moves its deadline is
// held until its facts are committed, and what follows it from that callee waits behind it (S2-12).

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    mutating func receiveResponse(from source: Endpoint, on listener: ListenerID, dialogs: inout DialogTable) {
        guard let via = try? message.topmostVia(), let cSeq = try? message.cSeq() else {
            counters.malformed += 1
            return
        }
        switch Branch(message.bytes, via.branch, mark: settings.mark) {
        case .foreign:
            if receiveRelayed(via, cSeq, from: source, dialogs: &dialogs) { return }
            if receiveBridgeAnswer(via, cSeq, dialogs: &dialogs) { return }
            counters.strayResponses += 1
        case .generated(let hash):
            receiveGeneratedResponse(hash, from: source, dialogs: &dialogs)
        case .transaction(let token) where settings.isOwn(token.member) && token.slot.isOwn:
            receiveOwnAnswer(token, cSeq, dialogs: &dialogs)
        case .transaction(let token) where settings.isOwn(token.member):
            receiveOwnResponse(token, via, cSeq, from: source, dialogs: &dialogs)
        case .transaction(let token): receiveForeignAnswer(token, via, cSeq, from: source, dialogs: &dialogs)
        }
    }

    /// Without a Via below ours a response is meant for this element, and must not be forwarded (§16.7 step 3).
    func isForUsAlone(_ via: Via) -> Bool {
        via.following == via.element.end && !message.isRepeated(.via)
    }

    private mutating func receiveOwnResponse(
        _ token: Branch.Token, _ via: Via, _ cSeq: CSeq, from source: Endpoint, dialogs: inout DialogTable
    ) {
        guard contexts.contains(token.slot), var context = take(token.slot) else {
            // Its context is gone: a 2xx repeated after 64·T1, or one for a call that an heir has ended meanwhile.
            counters.strayResponses += 1
            if cSeq.method == .invite, 200..<300 ~= message.statusCode {
                receiveAnswerForTheDead(token, via, cSeq, from: source, dialogs: &dialogs)
            }
            return
        }
        let isAnother = context.method != cSeq.method && cSeq.method != .cancel
        let isAlone = cSeq.method != .cancel && isForUsAlone(via)
        if isAnother || isAlone || token.did != context.did ?? DialogID(rawValue: 0) {
            put(consume context, token.slot)
            counters.strayResponses += 1
            return
        }
        var via = via
        if context.shift != 0, cSeq.method != .cancel, let moved = moveBack(to: context.cSeq) { via = moved }
        receive(&context, token.slot, branch: Int(token.branch), cSeq, via, dialogs: &dialogs)
        finish(consume context, token.slot)
    }

    /// Puts a context back, or forgets it when every machine of it has ended.
    mutating func finish(_ context: consuming ResponseContext, _ id: SlotID) {
        if isOver(context) { discard(context, id) } else { put(consume context, id) }
    }

    private func isOver(_ context: ResponseContext) -> Bool {
        guard context.held.isEmpty, context.asked.isEmpty else { return false }
        switch context.server {
        case .invite(let transaction): if transaction.phase != .terminated { return false }
        case .nonInvite(let transaction): if transaction.phase != .terminated { return false }
        case .none: break
        }
        if context.kind == .resending { return false }
        for index in context.branches.indices {
            switch context.branches[index].client {
            case .invite(let transaction): if transaction.phase != .terminated { return false }
            case .nonInvite(let transaction): if transaction.phase != .terminated { return false }
            }
            if case .sent(let transaction) = context.branches[index].cancel, transaction.phase != .terminated {
                return false
            }
        }
        return true
    }

    /// One response to a branch of a context.
    mutating func receive(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ cSeq: CSeq, _ via: Via,
        dialogs: inout DialogTable
    ) {
        guard index < context.branches.count else { return }
        if cSeq.method == .cancel, context.method != .cancel {
            receiveCancelResponse(&context, id, branch: index, dialogs: &dialogs)
            return
        }
        let status = message.statusCode
        actions.removeAll(keepingCapacity: true)
        switch context.branches[index].client {
        case .invite(var transaction):
            transaction.receive(statusCode: status, actions: &actions)
            context.branches[index].client = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.receive(statusCode: status, actions: &actions)
            context.branches[index].client = .nonInvite(transaction)
        }
        var delivers = isLateSuccess(context, branch: index)
        var acknowledges = false
        for action in actions {
            if case .deliver = action { delivers = true }
            if case .acknowledge = action { acknowledges = true }
        }
        if acknowledges { acknowledge(context.branches[index]) }
        performClient(&context, branch: index, id)
        guard delivers, !askAboutResponse(&context, id, branch: index) else { return }
        deliver(&context, id, branch: index, via, dialogs: &dialogs)
    }

    /// What a branch's response means for its request.
    mutating func deliver(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ via: Via, dialogs: inout DialogTable
    ) {
        let status = message.statusCode
        if !watched.isEmpty { noteAnswer(context) }
        if status >= 200 {
            wheel.cancel(context.branches[index].timerC)
            context.branches[index].timerC = .none
            if context.method == .bye { noteAnswerPassing(dialogs: &dialogs) }
            if context.endsOnAnswer { endOnAnswer(&context, dialogs: &dialogs) }
        }
        if status < 200 {
            receiveProvisional(&context, id, branch: index, via, dialogs: &dialogs)
        } else if status < 300 {
            receiveSuccess(&context, id, branch: index, via, dialogs: &dialogs)
        } else {
            // What a script gave up after its time counts as silence to it, whatever the callee says to the CANCEL.
            let isGivenUp = context.times.final != nil && context.branches[index].cause == .unanswered && status == 487
            context.branches[index].final = isGivenUp ? 408 : status
            context.branches[index].response = isGivenUp ? [] : message.snapshot()
            branchEnded(&context, id, branch: index, status == 503 ? .failed : .answered, dialogs: &dialogs)
        }
    }

    /// A 2xx of a branch that was given up is one all the same, as long as the caller was not told otherwise (§16.7
    /// step 5).
    private func isLateSuccess(_ context: ResponseContext, branch index: Int) -> Bool {
        guard message.statusCode / 100 == 2, context.lastStatus < 300,
            case .invite(let transaction) = context.branches[index].client
        else { return false }
        return transaction.phase == .terminated
    }

    /// ACK for a non-2xx, made by the proxy (§17.1.1.3).
    mutating func acknowledge(_ branch: ClientBranch) {
        guard loadStored(branch.sent) else { return }
        effects.queue.send(
            to: branch.target, from: branch.listener, flow: branch.flow, serverName: branch.serverName
        ) { [hops = settings.maxForwards, stored, message] writer in
            AckWriter.write(invite: stored, response: message, maxForwards: hops, into: &writer)
        }
    }

    private mutating func receiveProvisional(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ via: Via, dialogs: inout DialogTable
    ) {
        let first = !context.branches[index].sawProvisional
        context.branches[index].sawProvisional = true
        if case .wanted = context.branches[index].cancel {
            sendCancel(&context, id, branch: index)
        }
        let status = message.statusCode
        if context.method == .invite {
            if context.isForking { rememberEarlyTag(&context, branch: index) }
            learnProvisional(context, index, first: first, dialogs: &dialogs)
            // By a script's time, any answer ends the wait for the first one.
            let counts = status > 100 || first && context.times.first != nil
            if counts, case .none = context.branches[index].cancel {
                stopGrace(&context)
                startTimerC(&context, branch: index, id)
            }
        }
        guard status > 100, context.lastStatus < 200 else { return }
        let bytes = responseWithoutVia(via, context, branch: index)
        sendUpstream(bytes, status, &context, id, outline: writtenOutline)
    }

    /// An answer has reached an heir, so the dead node's address is here: it waits as the owner would have.
    private mutating func stopGrace(_ context: inout ResponseContext) {
        guard context.kind == .heir else { return }
        wheel.cancel(context.contextTimer)
        context.contextTimer = .none
    }

    /// Its early dialogs end with a branch, and only with it (§16.7: what others answer says nothing of them).
    private mutating func rememberEarlyTag(_ context: inout ResponseContext, branch index: Int) {
        let tag = message.copy(message.toTag)
        guard message.statusCode > 100, !tag.isEmpty, !context.branches[index].earlyTags.contains(tag) else { return }
        guard context.branches[index].earlyTags.count < ClientBranch.earlyTagLimit else {
            counters.earlyTagsLeftOut += 1
            return
        }
        context.branches[index].earlyTags.append(tag)
    }

    private mutating func receiveSuccess(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ asReceived: Via, dialogs: inout DialogTable
    ) {
        let via = completeSession(context.sessionSeconds) ?? asReceived
        let status = message.statusCode
        let isInvite = context.method == .invite
        let isFirst = !context.branches[index].isAnswered
        context.branches[index].final = status
        context.branches[index].answeredAt = context.branches[index].answeredAt ?? now
        close(&context)
        if isFirst, context.branches[index].health != nil {
            noteEnd(of: context.branches[index], .answered)
        }
        if isInvite {
            stopGrace(&context)
            if isFirst {
                cancelOthers(&context, id, but: index, because: .elsewhere)
            }
            if holdsAnswer(of: message.toTag, context) || isOverdueCopy(context, dialogs: dialogs) {
                counters.retransmissionsAbsorbed += 1  // Held for its commit; one copy is enough.
                return
            }
        }
        if isInvite, awaitsRecord(context, dialogs: dialogs) { return }
        if isInvite, context.isInitial, !mayStillAnswer(context), let did = context.did,
            let record = dialogs.record(did),
            isRefused(context.cSeq, context.pass, record)
        {
            refuseLateAnswer(did, home: record.home, .ofCall(.interrupted), dialogs: &dialogs)
            return
        }
        // The caller must have the other answer from here: an INVITE without a final answer would wait for ever.
        let isAnswered = context.lastStatus / 100 == 2 || !context.held.isEmpty
        if isInvite, isAnswered, context.isInitial, context.pass.isFirst, let did = context.did,
            isLateAnswer(did, dialogs: dialogs)
        {
            endLateAnswer(did, dialogs: &dialogs)
            return
        }
        let bytes = responseWithoutVia(via, context, branch: index)
        let outline = writtenOutline
        let fact = learnSuccessAsFits(&context, index, answer: bytes, dialogs: &dialogs)
        if fact == .refused,
            !confirmsUnrecorded(&context, id, dialogs: &dialogs)
        {
            return
        }
        // A further copy too, and the 2xx of a pass that the first pass sees: who taught it may still wait for its
        // commit.
        let isFurther = fact == .nothing && isInvite && context.isInitial
        let isHeld =
            neighbours.commits && (fact == .moves || isFurther && context.did.map { dialogs.contains($0) } ?? false)
        let isAwaited = isHeld && !mutated("commit-off") && (context.isInitial || !mutated("refresh-commit-off"))
        guard isAwaited, context.held.count < ResponseContext.heldLimit else {
            counters.holdsRefused += isHeld ? 1 : 0
            sendUpstream(bytes, status, &context, id, outline: outline)
            return
        }
        counters.heldResponses += 1
        context.held.append(
            HeldResponse(
                bytes: bytes, outline: outline, toTag: message.copy(message.toTag), status: status, heldAt: now))
        let purpose: CommitToken.Purpose =
            !context.isInitial ? .refresh : context.kind == .heir ? .inheritance : .confirmation
        effects.items.append(.commit(CommitToken(context: id, purpose: purpose)))
    }

    /// A 2xx with this To tag of the message at hand is held already.
    private func holdsAnswer(of toTag: ByteRange, _ context: ResponseContext) -> Bool {
        for index in context.held.indices {
            let held = context.held[index].toTag
            if Text.same(message.bytes, toTag, held, ByteRange(held)) { return true }
        }
        return false
    }

    /// Whether a 2xx can go upstream: nobody has given the INVITE another final answer, here or as an heir.
    private func mayStillAnswer(_ context: ResponseContext) -> Bool {
        guard case .invite(let transaction) = context.server else { return false }
        return transaction.phase == .proceeding || transaction.phase == .accepted
    }

    /// The record of an answered dialog has got lost here: it is fetched, and the callee's next copy of its 2xx, T1
    /// later, finds it again (`WaitingRoom.letPass`).
    private mutating func awaitsRecord(_ context: ResponseContext, dialogs: DialogTable) -> Bool {
        guard let did = context.did, !context.isUnrecorded else { return false }
        return awaitsRecord(did, dialogs: dialogs)
    }

    /// The peers' word on a commit, or the timeout's. What was queued behind a 2xx that has gone is handled then.
    package mutating func committed(_ token: CommitToken, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let id = resolve(token.context, generationMask: CommitToken.generationMask), var context = take(id) else {
            return
        }
        commit(&context, id, token.purpose, dialogs: dialogs)
        finish(consume context, id)
    }

    private mutating func commit(
        _ context: inout ResponseContext, _ id: SlotID, _ purpose: CommitToken.Purpose, dialogs: DialogTable
    ) {
        switch purpose {
        case .trying:
            sendTrying(&context, id)
            adoptionCommitted(&context)
        case .registration, .request: break  // The node's.
        case .inheritance where context.kind == .resending: inheritedAnswerCommitted(context, id, dialogs: dialogs)
        case .confirmation, .refresh, .inheritance:
            guard !context.held.isEmpty else { return }
            let response = context.held.removeFirst()
            commitWaits.note(now - response.heldAt)
            // A dead node's, and its heir has told the caller otherwise meanwhile: the callee's next copy is refused.
            let isForDead = context.kind == .passing || context.kind == .heir && context.isInitial
            if isForDead, response.status < 300, let did = context.did, hasFailed(did, dialogs: dialogs) {
                counters.strayResponses += 1
            } else {
                sendUpstream(response.bytes, response.status, &context, id, outline: response.outline)
            }
            if let did = context.did, hasAdopted(did) { reviewsDue.append(did) }
            if context.held.isEmpty {
                released += context.queued
                context.queued = []
            }
        }
    }

    private func hasFailed(_ did: DialogID, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, _ in view.state == .deleted && view.flags.contains(.failed) } ?? false
    }

    // MARK: Upstream

    /// The response of a branch as it goes upstream.
    mutating func responseWithoutVia(_ via: Via, _ context: ResponseContext, branch index: Int) -> [UInt8] {
        let source = index < context.branches.count ? context.branches[index].target : .none
        let bytes = responseWithoutVia(via, from: source, to: context.sender)
        // A further copy of a dead node's INVITE came here: its sender has given up the one that the callee answers.
        guard context.kind == .heir, context.serverKey != nil else { return bytes }
        writtenOutline = nil
        return readdress(bytes, as: context.request) ?? bytes
    }

    /// The response without our Via (§16.7 step 3).
    mutating func responseWithoutVia(_ via: Via, from source: Endpoint, to upstream: Endpoint) -> [UInt8] {
        editor.begin()
        editor.removeTopmost(via)
        Self.withholdIdentity(identityDoubt(from: source, to: upstream), in: message, with: &editor)
        return editedMessage()
    }

    /// Sends a response through the server transaction.
    mutating func sendUpstream(
        _ bytes: [UInt8], _ status: Int, _ context: inout ResponseContext, _ id: SlotID, outline: MessageOutline? = nil
    ) {
        actions.removeAll(keepingCapacity: true)
        let isAcceptedInvite: Bool
        switch context.server {
        case .invite(var transaction):
            let phase = transaction.phase
            if phase == .completed || phase == .confirmed || phase == .terminated { return }
            // Answered by way of another node: what the other branches say is nobody's any more.
            if transaction.phase == .accepted, status >= 300 { return }
            transaction.respond(statusCode: status, actions: &actions)
            context.server = .invite(transaction)
            isAcceptedInvite = transaction.phase == .accepted
        case .nonInvite(var transaction):
            if transaction.phase == .completed || transaction.phase == .terminated { return }
            transaction.respond(statusCode: status, actions: &actions)
            context.server = .nonInvite(transaction)
            isAcceptedInvite = false
        case .none:
            // A loser's 2xx at an heir whose caller has another one: a proxy passes every 2xx on (§16.7 step 5).
            if context.kind == .heir || context.kind == .passing, status / 100 == 2 {
                answer(bytes, context)
            }
            return
        }
        noteAnswer(status, context)
        context.lastStatus = max(context.lastStatus, status)
        let token = context.kind == .heir ? upstreamToken(context, id) : 0
        answer(bytes, context, token: token, outline: outline)
        actions.removeAll { $0 == .send }
        if isAcceptedInvite {  // Its retransmissions come from the callee; nothing of it is needed any more.
            context.lastResponse = []
            if context.kind != .heir { context.request = [] }
            for index in context.branches.indices where context.branches[index].isAnswered {
                context.branches[index].sent = []
            }
        } else {
            context.lastResponse = bytes
            if status >= 200, context.method != .invite {
                context.request = []
                for index in context.branches.indices { context.branches[index].sent = [] }
            }
        }
        performServer(&context, id)
    }

    /// Answers upstream ourselves, from the request as received.
    mutating func respond(
        _ status: Int, reason: [UInt8] = [], _ context: inout ResponseContext, _ id: SlotID,
        extra: (inout ByteWriter) -> Void = { _ in }
    ) {
        guard let bytes = responseOfOurs(status, reason: reason, context.request, extra: extra) else { return }
        sendUpstream(bytes, status, &context, id)
    }

    /// What this node itself answers to a request.
    mutating func responseOfOurs(
        _ status: Int, reason: [UInt8] = [], _ request: [UInt8], extra: (inout ByteWriter) -> Void = { _ in }
    ) -> [UInt8]? {
        guard !request.isEmpty, loadStored(request) else { return nil }
        let toTag = status > 100 && stored.toTag.isEmpty ? ownToTagText(stored) : []
        scratch.removeAll()
        let reason = reason.isEmpty && status == settings.earlyEndCode ? settings.earlyEndReason : reason
        ResponseWriter.write(
            status, reason: reason, to: stored, toTag: toTag, received: nil, extra: extra, into: &scratch)
        return scratch.copy()
    }
}
