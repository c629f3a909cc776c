// Response processing: RFC 3261 §16.7 with RFC 6026 (accepted state), and the rules for a cluster: an answer for a live
// member's transaction is passed to that member once (S1-2a); a 2xx that confirms a dialog or moves its deadline is
// held until its facts are committed, and what follows it from that callee waits behind it (S2-12).

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    mutating func receiveResponse(
        from source: Endpoint, on listener: ListenerID, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        guard let via = try? message.topmostVia(), let cSeq = try? message.cSeq() else {
            counters.malformed += 1
            return
        }
        switch Branch(message.bytes, via.branch, mark: settings.mark) {
        case .foreign: counters.strayResponses += 1
        case .generated(let hash):
            receiveGeneratedResponse(hash, from: source, now: now, dialogs: &dialogs, effects: &effects)
        case .transaction(let token) where token.member == settings.memberTag:
            receiveOwnResponse(token, via, cSeq, from: source, now: now, dialogs: &dialogs, effects: &effects)
        case .transaction(let token):
            if let peer = peer(token.member), peer.isLive, let endpoint = peer.endpoint {
                guard !isPeerAddress(source) else {  // Passing on happens once.
                    counters.strayResponses += 1
                    return
                }
                counters.passedToOwner += 1
                effects.queue.send(message.bytes, to: endpoint, from: egressListener(endpoint))
            } else {
                receiveHeirResponse(token, via, cSeq, from: source, now: now, dialogs: &dialogs, effects: &effects)
            }
        }
    }

    private mutating func receiveOwnResponse(
        _ token: Branch.Token, _ via: Via, _ cSeq: CSeq, from source: Endpoint, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        guard contexts.contains(token.slot), var context = take(token.slot) else {
            // Its context is gone: a 2xx repeated after 64·T1, or one for a call that an heir has ended meanwhile.
            counters.strayResponses += 1
            if cSeq.method == .invite, 200..<300 ~= message.statusCode {
                receiveHeirResponse(token, via, cSeq, from: source, now: now, dialogs: &dialogs, effects: &effects)
            }
            return
        }
        if context.method != cSeq.method, cSeq.method != .cancel {
            put(context, token.slot)
            counters.strayResponses += 1
            return
        }
        receive(&context, token.slot, branch: 0, cSeq, via, now: now, dialogs: &dialogs, effects: &effects)
        finish(context, token.slot)
    }

    /// Puts a context back, or forgets it when every machine of it has ended.
    mutating func finish(_ context: ResponseContext, _ id: SlotID) {
        if isOver(context) { discard(context, id) } else { put(context, id) }
    }

    private func isOver(_ context: ResponseContext) -> Bool {
        guard context.held.isEmpty else { return false }
        switch context.server {
        case .invite(let transaction): if transaction.phase != .terminated { return false }
        case .nonInvite(let transaction): if transaction.phase != .terminated { return false }
        case .none: break
        }
        if case .resending = context.kind { return false }
        for branch in context.branches {
            switch branch.client {
            case .invite(let transaction): if transaction.phase != .terminated { return false }
            case .nonInvite(let transaction): if transaction.phase != .terminated { return false }
            }
            if case .sent(let transaction) = branch.cancel, transaction.phase != .terminated { return false }
        }
        return true
    }

    /// One response to a branch of a context.
    mutating func receive(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ cSeq: CSeq, _ via: Via, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        guard index < context.branches.count else { return }
        if cSeq.method == .cancel, context.method != .cancel {
            receiveCancelResponse(&context, id, branch: index, now: now, dialogs: &dialogs, effects: &effects)
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
        let delivers = actions.contains(.deliver)
        if actions.contains(.acknowledge) { acknowledge(context.branches[index], effects: &effects) }
        performClient(&context, branch: index, id, now: now, effects: &effects)
        guard delivers else { return }
        if status < 200 {
            receiveProvisional(&context, id, branch: index, via, now: now, dialogs: &dialogs, effects: &effects)
        } else if status < 300 {
            receiveSuccess(&context, id, branch: index, via, now: now, dialogs: &dialogs, effects: &effects)
        } else {
            context.branches[index].final = status
            context.branches[index].response = message.snapshot()
            if context.method == .invite {
                learnFailureOfBranch(context, now: now, dialogs: &dialogs, effects: &effects)
            }
            chooseBest(&context, id, now: now, dialogs: &dialogs, effects: &effects)
        }
    }

    /// ACK for a non-2xx, made by the proxy (§17.1.1.3).
    private mutating func acknowledge(_ branch: ClientBranch, effects: inout ProxyEffects) {
        guard loadStored(branch.sent) else { return }
        effects.queue.send(to: branch.target, from: branch.listener, flow: branch.flow) { [stored, message] writer in
            AckWriter.write(invite: stored, response: message, into: &writer)
        }
    }

    private mutating func receiveProvisional(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ via: Via, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        let first = !context.branches[index].sawProvisional
        context.branches[index].sawProvisional = true
        if case .wanted = context.branches[index].cancel {
            sendCancel(&context, id, branch: index, now: now, effects: &effects)
        }
        let status = message.statusCode
        if context.method == .invite {
            learnProvisional(context, first: first, now: now, dialogs: &dialogs, effects: &effects)
            if status > 100 {
                wheel.cancel(context.contextTimer)
                context.contextTimer = wheel.schedule(
                    TimerToken(context: id, machine: .timerC, timer: .c).rawValue,
                    at: now.advanced(by: settings.timerC))
            }
        }
        guard status > 100, context.lastStatus < 200 else { return }
        sendUpstream(responseWithoutVia(via), status, &context, id, now: now, effects: &effects)
    }

    private mutating func receiveSuccess(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ via: Via, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        let status = message.statusCode
        let toTag = Array(message.bytes[message.toTag.range])
        let isInvite = context.method == .invite
        let isFirst = context.branches[index].final == 0
        context.branches[index].final = status
        if isInvite {
            wheel.cancel(context.contextTimer)
            context.contextTimer = .none
            if isFirst { cancelOthers(&context, id, but: index, now: now, effects: &effects) }
            if context.held.contains(where: { $0.toTag == toTag }) {
                counters.retransmissionsAbsorbed += 1  // Held for its commit; one copy is enough.
                return
            }
        }
        if isInvite, awaitsRecord(&context, dialogs: dialogs, effects: &effects) { return }
        let bytes = responseWithoutVia(via)
        let moved = learnSuccess(context, answer: bytes, now: now, dialogs: &dialogs, effects: &effects)
        guard moved, commits, context.held.count < ResponseContext.heldLimit else {
            sendUpstream(bytes, status, &context, id, now: now, effects: &effects)
            return
        }
        counters.heldResponses += 1
        context.held.append(HeldResponse(bytes: bytes, toTag: toTag, status: status))
        let purpose: CommitToken.Purpose = context.isInitial ? .confirmation : .refresh
        effects.items.append(.commit(CommitToken(context: id, purpose: purpose)))
    }

    /// The record of an answered dialog has got lost here: it is fetched, and the callee's next copy of its 2xx, T1
    /// later, finds it again. Twice at most; then the answer goes on without a record.
    private func awaitsRecord(
        _ context: inout ResponseContext, dialogs: DialogTable, effects: inout ProxyEffects
    ) -> Bool {
        guard commits, let did = context.did, !dialogs.contains(did), context.fetches < 2 else { return false }
        context.fetches += 1
        effects.items.append(.wanted(did))
        return true
    }

    /// The peers' word on a commit, or the timeout's.
    package mutating func committed(_ token: CommitToken, now: Instant, effects: inout ProxyEffects) {
        guard let id = resolve(token.context, generationMask: 0x3fff_ffff), var context = take(id) else { return }
        switch token.purpose {
        case .trying: sendTrying(&context, id, now: now, effects: &effects)
        case .confirmation, .refresh:
            guard !context.held.isEmpty else { break }
            let response = context.held.removeFirst()
            sendUpstream(response.bytes, response.status, &context, id, now: now, effects: &effects)
            if context.held.isEmpty {
                released += context.queued
                context.queued = []
            }
        }
        finish(context, id)
    }

    /// Requests wait to be handled again: call `resume` when true.
    package var hasReleasedRequests: Bool { !released.isEmpty }

    /// Handles what was queued behind a 2xx that has gone.
    package mutating func resume(now: Instant, dialogs: inout DialogTable, effects: inout ProxyEffects) {
        replayQueued(now: now, dialogs: &dialogs, effects: &effects)
    }

    // MARK: Upstream

    /// The response without our Via (§16.7 step 3).
    mutating func responseWithoutVia(_ via: Via) -> [UInt8] {
        editor.begin()
        editor.removeTopmost(via)
        scratch.removeAll()
        editor.write(message, into: &scratch)
        return scratch.copy()
    }

    /// Sends a response through the server transaction.
    mutating func sendUpstream(
        _ bytes: [UInt8], _ status: Int, _ context: inout ResponseContext, _ id: SlotID, now: Instant,
        effects: inout ProxyEffects
    ) {
        actions.removeAll(keepingCapacity: true)
        let isAcceptedInvite: Bool
        switch context.server {
        case .invite(var transaction):
            if [.completed, .confirmed, .terminated].contains(transaction.phase) { return }
            transaction.respond(statusCode: status, actions: &actions)
            context.server = .invite(transaction)
            isAcceptedInvite = transaction.phase == .accepted
        case .nonInvite(var transaction):
            if transaction.phase == .completed || transaction.phase == .terminated { return }
            transaction.respond(statusCode: status, actions: &actions)
            context.server = .nonInvite(transaction)
            isAcceptedInvite = false
        case .none: return
        }
        context.lastStatus = max(context.lastStatus, status)
        effects.queue.send(bytes, to: context.upstream, from: context.listener, flow: context.flow)
        actions.removeAll { $0 == .send }
        if isAcceptedInvite {  // Its retransmissions come from the callee; nothing of it is needed any more.
            context.lastResponse = []
            context.request = []
            for index in context.branches.indices where context.branches[index].final >= 200 {
                context.branches[index].sent = []
            }
        } else {
            context.lastResponse = bytes
            if status >= 200, context.method != .invite {
                context.request = []
                for index in context.branches.indices { context.branches[index].sent = [] }
            }
        }
        performServer(&context, id, now: now, effects: &effects)
    }

    /// Answers upstream ourselves, from the request as received.
    mutating func respond(
        _ status: Int, _ context: inout ResponseContext, _ id: SlotID, now: Instant, effects: inout ProxyEffects,
        extra: (inout ByteWriter) -> Void = { _ in }
    ) {
        guard !context.request.isEmpty, loadStored(context.request) else { return }
        let toTag = status > 100 && stored.toTag.isEmpty ? ownToTagText(stored) : []
        scratch.removeAll()
        let reason = status == settings.earlyEndCode ? settings.earlyEndReason : []
        ResponseWriter.write(
            status, reason: reason, to: stored, toTag: toTag, received: nil, extra: extra, into: &scratch)
        sendUpstream(scratch.copy(), status, &context, id, now: now, effects: &effects)
    }

    /// When every branch has ended without a 2xx: the best of them goes upstream (§16.7 steps 4 to 8).
    mutating func chooseBest(
        _ context: inout ResponseContext, _ id: SlotID, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        guard context.branches.allSatisfy({ $0.final != 0 }),
            !context.branches.contains(where: { 200..<300 ~= $0.final })
        else { return }
        wheel.cancel(context.contextTimer)
        let best = context.branches.indices.min { rankOf(context.branches[$0]) < rankOf(context.branches[$1]) } ?? 0
        let (status, response) = (context.branches[best].final, context.branches[best].response)
        if context.method == .invite { learnFailure(context, now: now, dialogs: &dialogs, effects: &effects) }
        if context.afterTheEnd, context.method == .bye, status == 481 || status == 408 {
            respond(200, &context, id, now: now, effects: &effects)  // S1-9: the dialog is over for both.
        } else if context.endCode != 0 {
            respond(context.endCode, &context, id, now: now, effects: &effects)
        } else if status == 503 {
            respond(500, &context, id, now: now, effects: &effects)  // §16.7 step 6: ours is not overloaded.
        } else if response.isEmpty {
            // Silence: 408 for an INVITE, nothing for the rest (RFC 4320 §4.1).
            if context.method == .invite {
                respond(context.cancelled ? 487 : 408, &context, id, now: now, effects: &effects)
            }
        } else if loadMessage(response), let via = try? message.topmostVia() {
            sendUpstream(responseWithoutVia(via), status, &context, id, now: now, effects: &effects)
        }
    }

    /// Smaller is better: 6xx, then the lowest class, then what says most (§16.7 step 6).
    private func rankOf(_ branch: ClientBranch) -> Int {
        let status = branch.final
        if status >= 600 { return 0 }
        let preferred = [401, 407, 415, 420, 484].contains(status)
        return status / 100 * 10 + (preferred ? 0 : status == 408 ? 9 : 5)
    }
}
