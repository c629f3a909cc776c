// Messages that belong to another node's transaction (S1-2): an INVITE repeated to the wrong node, a CANCEL or ACK that
// landed elsewhere, an answer for a member that is dead.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Gives the message at hand to the live member that it belongs to. Once: what comes from a member goes no further.
    mutating func pass(to owner: PeerContact, from source: Endpoint, effects: inout ProxyEffects) {
        guard let endpoint = owner.endpoint, !isPeerAddress(source) else { return }
        counters.passedToOwner += 1
        effects.queue.send(message.bytes, to: endpoint, from: egressListener(endpoint))
    }

    /// A re-INVITE that some node has sent on already (S1-2b): no target gets a second one. A live owner says again
    /// what it said last; for a dead one its sender is told to try once more (S2-10). One that has come back through a
    /// server is another pass.
    /// - Returns: Whether it is a repetition, and has been dealt with.
    mutating func isRepeatedReInvite(
        _ did: DialogID, _ plan: RequestPlan, now: Instant, dialogs: DialogTable, effects: inout ProxyEffects
    ) -> Bool {
        let known = dialogs.view(did) { view, stored -> Branch.Token? in
            var found: RecordView.Pending?
            view.forEachPending(in: stored) { pending in
                guard found == nil, pending.leg == plan.leg, pending.cseq == plan.cSeq.number,
                    pending.pass == plan.pass
                else { return }
                found = pending
            }
            guard let found, case .transaction(let token) = Branch(stored, found.branch, mark: settings.mark)
            else { return nil }
            return token
        }
        guard let token = known ?? nil else { return false }
        counters.foreignAbsorbed += 1
        if token.member == settings.memberTag {
            repeatLastResponse(did, plan, plan.leg, now: now, effects: &effects)
            return true
        }
        guard let owner = peer(token.member), owner.isLive else {
            reject(500, plan, effects: &effects) { $0.put("Retry-After: 1\r\n") }
            return true
        }
        pass(to: owner, from: plan.source, effects: &effects)
        return true
    }

    // MARK: CANCEL and ACK

    /// Turns a CANCEL for another node's INVITE into the fact `cancelled` (S1-2c). One that is answered already is not
    /// changed by it (RFC 3261 §9.2).
    mutating func learnForeignCancel(
        _ did: DialogID, _ spiral: SpiralPass, _ plan: RequestPlan, now: Instant, dialogs: inout DialogTable,
        effects: inout ProxyEffects
    ) {
        guard let record = dialogs.record(did), record.state != .deleted else { return }
        let own = record.pendings.first { $0.leg == plan.leg && $0.cseq == plan.cSeq.number && $0.pass == spiral }
        guard let own else { return }
        let isInitial = own.cseq == record.inviteCSeq && plan.leg == .caller && spiral.isFirst
        let reason = reasonLines()
        facts.begin()
        if isInitial { facts.put(RecordField.flags, RecordFlag.cancelled) }
        writeCancelled(own, progress: isInitial ? 0 : Progress.cancelled, reason: reason)
        learn(did, now: now, dialogs: &dialogs, effects: &effects)
    }

    /// The owner gets the CANCEL itself, too: the fact may be long in coming where the bus is cut and SIP is not.
    /// - Returns: False when it is not live.
    mutating func passToOwner(
        of did: DialogID, _ spiral: SpiralPass, _ plan: RequestPlan, dialogs: DialogTable, effects: inout ProxyEffects
    ) -> Bool {
        let pendings =
            dialogs.record(did)?.pendings.filter { $0.cseq == plan.cSeq.number && $0.pass == spiral } ?? []
        for pending in pendings {
            guard let token = token(of: pending), let owner = peer(token.member), owner.isLive, owner.endpoint != nil
            else { continue }
            pass(to: owner, from: plan.source, effects: &effects)
            return true
        }
        return false
    }

    /// Gives every live member a copy of a message that only its unknown owner can use: an ACK for a final answer of
    /// the cluster's, an answer to a request that the cluster made.
    mutating func passToPeers(from source: Endpoint, effects: inout ProxyEffects) {
        guard source != .none else { return }
        for peer in peers where peer.isLive { pass(to: peer, from: source, effects: &effects) }
    }

    /// The same for a request that its owner is to answer itself: with its topmost Via completed, which says where its
    /// sender is.
    /// - Returns: False when there is no live member to pass it to.
    mutating func passToPeers(completing plan: RequestPlan, effects: inout ProxyEffects) -> Bool {
        let endpoints = peers.filter(\.isLive).compactMap(\.endpoint)
        guard !endpoints.isEmpty, !isPeerAddress(plan.source) else { return false }
        editor.begin()
        completeVia(plan)
        scratch.removeAll()
        editor.write(message, into: &scratch)
        for endpoint in endpoints {
            counters.passedToOwner += 1
            effects.queue.send(scratch.bytes, to: endpoint, from: egressListener(endpoint))
        }
        return true
    }

    /// Whether an ACK belongs to a re-INVITE that was refused: the record remembers the last one of each side.
    func isOfRejected(_ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        guard let did = plan.did, plan.isKnown else { return false }
        let known =
            dialogs.view(did) { view, _ in
                plan.leg == .caller ? view.rejectedCaller : view.rejectedCallee
            } ?? 0
        return known != 0 && known == rejection(cSeq: plan.cSeq.number, branch: plan.via.branch, in: message.bytes)
    }

    // MARK: Answers for the dead

    /// An answer whose Via names a member that is not live: its address moved here, or it comes by rport to an heir.
    mutating func receiveHeirResponse(
        _ token: Branch.Token, _ via: Via, _ cSeq: CSeq, from source: Endpoint, now: Instant,
        dialogs: inout DialogTable, effects: inout ProxyEffects
    ) {
        let did = token.did
        let spiral = passOfResponse()
        if cSeq.method == .invite || cSeq.method == .cancel, did.rawValue != 0, let record = dialogs.record(did),
            isInherited(token, via, cSeq, spiral, record, from: source, now: now, dialogs: &dialogs, effects: &effects)
        {
            return
        }
        if cSeq.method == .invite, 200..<300 ~= message.statusCode, did.rawValue != 0,
            awaitsRecord(did, now: now, dialogs: dialogs, effects: &effects)
        {
            return
        }
        // The failure of one branch of several says nothing of the others: without the record it is no answer. Its
        // phone repeats it.
        if cSeq.method == .invite, message.statusCode >= 300, token.branch > 0 || token.isOneOfSeveral {
            counters.strayResponses += 1
            return
        }
        if 200..<300 ~= message.statusCode, Self.refreshing(cSeq.method) {
            let isConfirmation = isAnswerOfCall(did, cSeq, dialogs: dialogs)
            let learned =
                learnPassingConfirmation(did, cSeq, via, spiral, now: now, dialogs: &dialogs, effects: &effects)
                || learnPassingSuccess(did, cSeq, now: now, dialogs: &dialogs, effects: &effects)
            // Each copy: what an earlier one taught may not have reached anybody yet.
            if commits, isConfirmation || learned {
                let purpose: CommitToken.Purpose = isConfirmation ? .inheritance : .refresh
                if holdPassing(did, via, purpose, from: source, now: now, effects: &effects) { return }
            }
        }
        forwardResponseStatelessly(via, from: source, effects: &effects)
    }

    /// An answer to a dead node's INVITE or CANCEL whose record is here.
    /// - Returns: Whether it has been dealt with.
    private mutating func isInherited(
        _ token: Branch.Token, _ via: Via, _ cSeq: CSeq, _ spiral: SpiralPass, _ record: Record,
        from source: Endpoint, now: Instant, dialogs: inout DialogTable, effects: inout ProxyEffects
    ) -> Bool {
        let did = token.did
        let isSuccess = cSeq.method == .invite && 200..<300 ~= message.statusCode
        if isSuccess, isRefused(cSeq.number, spiral, record) {
            let endsDialog = cSeq.number == record.inviteCSeq
            refuseLateAnswer(did, home: record.home, endsDialog: endsDialog, now: now, effects: &effects)
            return true
        }
        if isSuccess, cSeq.number == record.inviteCSeq, spiral.isFirst, isLateAnswer(did, dialogs: dialogs) {
            endLateAnswer(did, now: now, dialogs: &dialogs, effects: &effects)
            return true
        }
        var heir = inviteContext(of: did) {
            $0.kind == .heir && $0.cSeq == cSeq.number && $0.owner == token.member && $0.ownerSlot == token.slot
                && $0.branches.contains { $0.number == token.branch && $0.generated == 0 }
        }
        if heir == nil, cSeq.method == .invite, message.statusCode >= 300, spiral.isFirst,
            isDecided(cSeq.number, record)
        {
            failLate(did, via, record, from: source, now: now, dialogs: &dialogs, effects: &effects)
            return true
        }
        if heir == nil, cSeq.method == .invite, record.state != .deleted,
            let pending = record.pendings.first(where: {
                Text.same($0.branch, ByteRange($0.branch), message.bytes, via.branch)
                    && $0.progress & Progress.final == 0
            })
        {
            heir = makeHeir(did, record, pending, now: now, effects: &effects)
        }
        if let heir, var context = take(heir) {
            if let branch = context.branches.firstIndex(where: { $0.number == token.branch }) {
                receive(&context, heir, branch: branch, cSeq, via, now: now, dialogs: &dialogs, effects: &effects)
            }
            finish(context, heir)
            return true
        }
        if cSeq.method == .cancel { passToPeers(from: source, effects: &effects) }
        return cSeq.method == .cancel
    }

    /// Whether the cluster has given the INVITE with this CSeq a final answer other than 2xx.
    func isRefused(_ cSeq: UInt32, _ spiral: SpiralPass, _ record: Record) -> Bool {
        let isInitial = cSeq == record.inviteCSeq
        if record.state == .deleted { return !isInitial || record.flags & RecordFlag.failed != 0 }
        return !isInitial && spiral.isFirst && max(record.rejectedCaller, record.rejectedCallee) >> 32 == UInt64(cSeq)
    }

    /// A dead node's INVITE is answered, and its record is not here: it is fetched, and the callee's next copy of the
    /// 2xx finds it (R2). Twice at most for a dialog; then the answer goes on without.
    private mutating func awaitsRecord(
        _ did: DialogID, now: Instant, dialogs: DialogTable, effects: inout ProxyEffects
    ) -> Bool {
        guard commits, !dialogs.contains(did) else { return false }
        let wait = waitingRoom.letPass(did, now: now)
        counters.awaitedForgotten += wait.hasForgotten ? 1 : 0
        if wait.mayWait { effects.items.append(.wanted(did)) }
        return wait.mayWait
    }

    /// Sends a response on by the Via below ours (§16.11): nothing of its transaction is here.
    mutating func forwardResponseStatelessly(_ via: Via, from source: Endpoint, effects: inout ProxyEffects) {
        guard let endpoint = endpointBelow() else {
            counters.strayResponses += 1
            return
        }
        let bytes = responseWithoutVia(via, from: source, to: endpoint)
        effects.queue.send(bytes, to: endpoint, from: egressListener(endpoint))
    }

    private func isAnswerOfCall(_ did: DialogID, _ cSeq: CSeq, dialogs: DialogTable) -> Bool {
        guard cSeq.method == .invite, dialogs.state(did) != .deleted else { return false }
        return dialogs.view(did) { view, _ in view.inviteCSeq == cSeq.number } ?? false
    }

    /// Holds the 2xx at hand, which confirms a dialog or moves a deadline, until that is committed (R9): whoever asked
    /// must not take for granted what only this node knows.
    /// - Returns: False when there is no room; then it goes on uncommitted, and is counted.
    private mutating func holdPassing(
        _ did: DialogID, _ via: Via, _ purpose: CommitToken.Purpose, from source: Endpoint, now: Instant,
        effects: inout ProxyEffects
    ) -> Bool {
        guard let endpoint = endpointBelow() else { return false }
        guard let id = newContext(&effects) else { return false }
        var context = ResponseContext()
        context.kind = .passing
        context.did = did
        context.upstream = endpoint
        context.listener = egressListener(endpoint)
        let bytes = responseWithoutVia(via, from: source, to: endpoint)
        context.held = [HeldResponse(bytes: bytes, toTag: [], status: message.statusCode, heldAt: now)]
        counters.heldResponses += 1
        put(context, id)
        effects.items.append(.commit(CommitToken(context: id, purpose: purpose)))
        return true
    }

    /// Where the Via below ours says that an answer goes.
    private mutating func endpointBelow() -> Endpoint? {
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        guard vias.count > 1 else { return nil }
        let next = vias[1]
        let host = next.received.isEmpty ? next.host : next.received
        guard let address = Address(bytes: message.bytes, range: host) else { return nil }
        // Over the connection that is there to that port, or a new one to it: its flow is not known here.
        let transport = settings.speaks(next.transport) ? next.transport : .udp
        return Endpoint(
            address: address, port: next.rport ?? next.port ?? transport.defaultPort, transport: transport)
    }
}
