// What survivors do for transactions whose owner is dead (S1-2, S1-3, S2-10, S2-11). A pending transaction has its own
// actor: its owner while that lives, else the fit member that ranks first for (did, branch). `review` looks at one
// record and does what is this node's part; it may be called at any time and as often as one likes.
//
//   record                          heir does
//   ringing, moved address held     waits for the answer, which reaches the holder of the address
//   ringing, otherwise              CANCEL, then BYE to each early dialog and one ACK, then 480 (487 if cancelled)
//   upstream 2xx without ACK                 sends the 2xx again at T1, doubling to T2, for 64·T1; then the dialog's
//   deadline is now re-INVITE without answer        500 with Retry-After: 1 upstream, CANCEL downstream: the call lives
//
// For a transaction of its own, the same look finds what others learned: cancelled elsewhere, answered elsewhere,
// ended.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    package mutating func review(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        review(did, dialogs: &dialogs)
        replayQueued(dialogs: &dialogs)
    }

    mutating func review(_ did: DialogID, dialogs: inout DialogTable) {
        guard let state = dialogs.state(did) else { return }
        reviewOwn(did, state, dialogs: &dialogs)
        guard state != .deleted, let record = dialogs.record(did) else { return }
        for pending in record.pendings {
            guard let token = token(of: pending), isDead(token) else { continue }
            guard neighbours.isHeir(did, of: token.slot) else {
                if pending.progress.contains(.unheard), !pending.progress.contains(.final) {
                    cancelUnheard(did, record, pending, token, dialogs: &dialogs)
                }
                continue
            }
            inherit(did, record, pending, token, dialogs: &dialogs)
        }
        if !record.adoptions.isEmpty { inheritAdoptions(did, record, dialogs: &dialogs) }
    }

    /// Whether a record has a pending transaction whose owner is dead: a cheap look before `review`.
    package mutating func hasOrphan(_ did: DialogID, now: Instant, dialogs: DialogTable) -> Bool {
        self.now = now
        guard dialogs.isPending(did) else { return false }
        return dialogs.view(did) { view, bytes in hasOrphan(view, bytes) } ?? false
    }

    private mutating func hasOrphan(_ view: RecordView, _ bytes: [UInt8]) -> Bool {
        let (mark, own, former) = (settings.mark, settings.memberTag, settings.formerTags)
        var found = false
        view.forEachBranching(withAdoptions: true, in: bytes) { pending in
            guard !found, let owner = Branch.member(bytes, pending.branch, mark: mark) else { return }
            found = owner != own && !former.contains(owner) && neighbours.isDead(owner, now: now)
        }
        return found
    }

    /// What a record that a peer has changed asks of this node.
    package struct Demands: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// `review`: it has a pending transaction whose owner is dead.
        package static let review = Self(rawValue: 1)
        /// `learnSpent`: every callee that answered has ended, and the record does not say so: their BYEs passed
        /// several nodes at once, or came before the fact of the 2xx.
        package static let spent = Self(rawValue: 2)
        /// `learnSettled`: the caller's INVITE was acknowledged before it was known here how its branches ended, and
        /// now they have.
        package static let settled = Self(rawValue: 4)
        /// `shortenDeadline`: an operator ended the call while it rang, and its answer crossed that: the call is up,
        /// and no deadline says that it is to end.
        package static let end = Self(rawValue: 8)
    }

    /// One cheap look at a record for all that it may demand.
    package mutating func demands(of did: DialogID, now: Instant, dialogs: DialogTable) -> Demands {
        self.now = now
        return dialogs.look(did) { known, view, bytes in
            var demands: Demands = known.isPending && hasOrphan(view, bytes) ? .review : []
            guard known.state == .confirmedNotAcknowledged || known.state == .confirmed else { return demands }
            let outs = view.outStates(in: bytes)
            if outs.hasEnded, !outs.hasLive { demands.insert(.spent) }
            if known.state == .confirmed, known.isPending, view.settledCaller < view.inviteCSeq,
                outs.acknowledged >= view.inviteCSeq, !Self.hasOpenPending(view, bytes, view.inviteCSeq)
            {
                demands.insert(.settled)
            }
            if known.flags.contains(.endedByOperator), !(view.deadline?.isExplicitEnd ?? false) {
                demands.insert(.end)
            }
            return demands
        } ?? []
    }

    /// Strangers own transactions here: who is to look at all records again when they have had their grace asks once.
    package mutating func hasMetStranger() -> Bool { neighbours.unknownOwners.takeMet() }

    /// Whether a transaction of this node would want to know of new facts about the dialog.
    package mutating func hasContext(_ did: DialogID) -> Bool { inviteContext(of: did, where: { _ in true }) != nil }

    /// How long an owner may stay unheard of before it counts as dead.
    package static let strangerGrace = UnknownOwners.grace

    func token(of pending: Record.Pending) -> Branch.Token? {
        guard case .transaction(let token) = Branch(pending.branch, ByteRange(pending.branch), mark: settings.mark)
        else { return nil }
        return token
    }

    // MARK: Our own transactions

    private mutating func reviewOwn(_ did: DialogID, _ state: DialogState, dialogs: inout DialogTable) {
        var seen: [SlotID] = []
        while let id = inviteContext(of: did, where: { _ in true }, except: seen), seen.count < 64 {
            seen.append(id)
            guard var context = take(id) else { continue }
            switch context.kind {
            case .forwarded, .heir:
                reviewForwarded(&context, id, did, state, dialogs: &dialogs)
            case .adopted: reviewAdopted(&context, id, did, state, dialogs: &dialogs)
            case .resending:
                if isSettled(context, did, state, dialogs: dialogs) {
                    discard(context, id)
                    continue
                }
            case .passing, .relayed: break
            }
            finish(consume context, id)
        }
    }

    func isSettled(_ context: ResponseContext, _ did: DialogID, _ state: DialogState, dialogs: DialogTable)
        -> Bool
    {
        if state == .deleted { return true }
        return dialogs.view(did) { view, stored in
            // A later INVITE that failed settles those before it in the record, and says nothing of the first one's
            // ACK.
            context.isInitial
                ? Self.isAcknowledged(view, stored, context.cSeq)
                : (context.leg == .caller ? view.settledCaller : view.settledCallee) >= context.cSeq
        } ?? true
    }

    /// What other nodes learned of a transaction of ours (S1-2e).
    private mutating func reviewForwarded(
        _ context: inout ResponseContext, _ id: SlotID, _ did: DialogID, _ state: DialogState,
        dialogs: inout DialogTable
    ) {
        guard let record = dialogs.record(did) else { return }
        let progress = record.pendings.reduce(into: PendingProgress()) { known, pending in
            guard pending.cseq == context.cSeq, pending.leg == context.leg, pending.pass == context.pass else { return }
            known.formUnion(pending.progress)
        }
        guard context.lastStatus < 200, context.held.isEmpty,
            context.branches.contains(where: { $0.final == nil }) || !context.targets.isEmpty && !context.isClosed
        else { return }
        let answered =
            context.isInitial || !context.pass.isFirst
            ? state == .deleted || hasAnswered(context, record) : isSettled(context, did, state, dialogs: dialogs)
        let isOfPass = context.kind == .heir && !context.pass.isFirst
        if answered, context.isInitial, state == .deleted, context.kind == .forwarded || isOfPass {
            // An heir has ended the call and told the caller; what rings here is ours to cancel. The server that a
            // further pass came from still waits for its answer.
            if context.pass.isFirst || isOfPass { leaveToRecord(&context) }
            context.cancelled = true
            let cause = causeOfEnd(record.flags)
            cancelAll(&context, id, because: cause, dialogs: &dialogs)
            return
        }
        if answered, context.isForking, context.isInitial {
            // One of the branches was answered by way of another node: the others are ours to cancel (§16.7 step 10).
            answeredElsewhere(&context, id)
            cancelAll(&context, id, because: .elsewhere, dialogs: &dialogs)
            return
        }
        if answered {
            close(&context)
            facts.begin()
            for index in context.branches.indices where context.branches[index].final == nil {
                pendingFact(context, index) { $0.mark(.final) }
                context.branches[index].final = 487
                terminateClient(&context, index)
            }
            learn(did, dialogs: &dialogs)
            wheel.cancel(context.contextTimer)
            answeredElsewhere(&context, id)
            return
        }
        let cancelled =
            context.isInitial && context.pass.isFirst
            ? record.flags.contains(.cancelled)
            : progress.contains(.cancelled)
        guard cancelled, !context.cancelled else { return }
        let own = record.pendings.filter {
            $0.cseq == context.cSeq && $0.leg == context.leg && $0.pass == context.pass
        }
        noteCancelled(&context, record.flags, own)
        if context.kind == .heir {
            continueAsHeir(&context, id, dialogs: &dialogs)
        } else {
            cancelAll(&context, id, because: context.cause, dialogs: &dialogs)
        }
    }

    /// Another node has sent the 2xx on. Should that be lost, only the callee's next copy mends it, and this node,
    /// which has the transaction, is where that copy comes: it is passed on as after a 2xx of its own (RFC 6026 §7.1).
    private mutating func answeredElsewhere(_ context: inout ResponseContext, _ id: SlotID) {
        guard context.isInitial, context.kind == .forwarded, case .invite(var transaction) = context.server else {
            return leaveToRecord(&context)
        }
        actions.removeAll(keepingCapacity: true)
        transaction.respond(statusCode: 200, actions: &actions)
        context.server = .invite(transaction)
        context.lastStatus = max(context.lastStatus, 200)
        context.lastResponse = []
        actions.removeAll { $0 == .send }
        performServer(&context, id)
    }

    func abandonServer(_ context: inout ResponseContext) {
        switch context.server {
        case .invite(var transaction):
            transaction.abandon()
            context.server = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.abandon()
            context.server = .nonInvite(transaction)
        case .none: break
        }
    }

    // MARK: A dead node's transaction

    private mutating func inherit(
        _ did: DialogID, _ record: Record, _ pending: Record.Pending, _ token: Branch.Token, dialogs: inout DialogTable
    ) {
        let known = inviteContext(of: did) {
            ($0.kind == .heir || $0.resending?.isForAdopted == false) && $0.cSeq == pending.cseq
                && $0.leg == pending.leg && $0.pass == pending.pass
        }
        let isInitial = pending.leg == .caller && pending.cseq == record.inviteCSeq
        let answers = isInitial && pending.pass.isFirst ? record.outs.map(\.answer) : [pending.answer]
        let answer = answers.first { !$0.isEmpty } ?? []
        // A later INVITE that failed, and stands here for a branch of the first one (`keepsBranches`).
        if !isInitial, pending.progress.contains(.final), answer.isEmpty { return }
        if let known {
            // A 2xx came by another node while this one was waiting or cancelling.
            guard !answer.isEmpty, var context = take(known) else { return }
            if context.kind == .heir, context.lastStatus < 200, context.held.isEmpty {
                if context.serverKey == nil {
                    discard(context, known)
                } else {
                    standDown(&context)
                    put(consume context, known)
                }
                if isInitial {
                    cancelLosers(did, record, pending, token, dialogs: &dialogs)
                }
                startResending(did, record, pending, answer)
                return
            }
            put(consume context, known)
            return
        }
        if isInitial, record.outs.contains(where: { $0.acked >= pending.cseq }) {
            // The caller has its answer and has said so: what is open is one branch too many.
            cancelLosers(did, record, pending, token, dialogs: &dialogs)
        } else if !answer.isEmpty {
            // Its BYEs are due: a caller that had no 2xx by now must not be given one after them.
            if let deadline = dialogs.deadline(did), deadline <= now { return }
            if isInitial { cancelLosers(did, record, pending, token, dialogs: &dialogs) }
            startResending(did, record, pending, answer)
        } else if let id = makeHeir(did, record, pending), var context = take(id) {
            counters.takeoverEarly += 1
            effects.items.append(.note(.tookOverEarly(callID: record.callID)))
            // Who acts asks first: a peer may know an answer that has not reached this node.
            effects.items.append(.question(did))
            let asks = neighbours.hasAnybodyToAsk && !mutated("heir-asks-not")
            context.awaitAnswers(asks)
            let asking = asks ? Self.recordWait : .zero
            let wait = max(asking, isInitial && !context.cancelled ? patience(with: token.member) : .zero)
            if wait > .zero {
                context.contextTimer = wheel.schedule(
                    TimerToken(context: id, machine: .grace, timer: .a).rawValue, at: now.advanced(by: wait))
            } else {
                continueAsHeir(&context, id, dialogs: &dialogs)
            }
            finish(consume context, id)
        }
    }

    /// How long an heir waits for an answer that the dead node's address may still bring: until timer C while a live
    /// member holds it, for the grace while it may still be moving, else not at all.
    private func patience(with owner: UInt32) -> Duration {
        switch settings.earlyTakeover {
        case .wait: return settings.timerC
        case .cancel: return .zero
        case .auto:
            guard let peer = neighbours.peer(owner), peer.movesAddress else { return .zero }
            return peer.holdsMovedAddress ? settings.timerC : settings.earlyGrace
        }
    }

    /// A context as the dead owner had it, from the record.
    mutating func makeHeir(_ did: DialogID, _ record: Record, _ pending: Record.Pending) -> SlotID? {
        let siblings = branches(of: pending, in: record)
        guard let whole = siblings.first(where: { !$0.source.isEmpty }),
            let source = Endpoint(fact: whole.source), let id = newContext()
        else { return nil }
        var context = ResponseContext()
        let token = token(of: pending)
        context.role = .heir(Heir(owner: token?.member ?? 0, slot: token?.slot ?? Branch.stateless))
        context.did = did
        context.leg = pending.leg
        context.cSeq = pending.cseq
        context.isInitial = pending.leg == .caller && pending.cseq == record.inviteCSeq
        context.pass = pending.pass
        context.refreshes = !context.isInitial
        context.upstream = source
        context.listener = egressListener(source)
        context.startedAt = now
        context.server = .invite(startedInviteServer(reliable: source.transport.isReliable))
        context.request = inheritedInvite(record, whole, vias: whole.vias)
        context.sessionSeconds = siblings.map(\.sessionSeconds).max() ?? 0
        if pending.pass.isFirst && record.flags.contains(.cancelled)
            || siblings.contains(where: { $0.progress.contains(.cancelled) })
        {
            noteCancelled(&context, record.flags, siblings)
        }
        context.branches = siblings.compactMap { inheritedBranch(record, $0) }
        dialogTable.insert(hash: did.rawValue, value: id.index)
        put(context, id)
        return id
    }

    /// The branches of the request that a pending is one of: same request, same transaction of the dead owner, in the
    /// order of their numbers. The first one has what they share.
    func branches(of pending: Record.Pending, in record: Record) -> [Record.Pending] {
        guard let own = token(of: pending) else { return [] }
        return record.pendings.filter { other in
            guard other.leg == pending.leg, other.cseq == pending.cseq, let token = token(of: other) else {
                return false
            }
            return token.member == own.member && token.slot == own.slot
        }
    }

    /// A branch as the dead owner had it; `nil` for one that has ended, or that was never sent.
    private mutating func inheritedBranch(_ record: Record, _ pending: Record.Pending) -> ClientBranch? {
        guard !pending.progress.contains(.final), let token = token(of: pending),
            let target = Endpoint(fact: pending.target)
        else { return nil }
        var via = ByteWriter()
        via.put("Via: ")
        via.put(pending.via)
        via.put("\r\n")
        var transaction = InviteClientTransaction(timers: settings.timers, reliable: target.transport.isReliable)
        actions.removeAll(keepingCapacity: true)
        transaction.start(actions: &actions)  // Nothing is sent: no target ever gets a second INVITE.
        let sawProvisional = pending.progress.contains(.provisional) || Self.rings(pending, in: record)
        if sawProvisional { transaction.receive(statusCode: 180, actions: &actions) }
        var branch = ClientBranch(
            client: .invite(transaction),
            sent: inheritedInvite(record, pending, vias: via.bytes, shift: pending.shift), target: target,
            listener: egressListener(target))
        branch.number = token.branch
        branch.sawProvisional = sawProvisional
        let bytes = pending.target
        if let start = bytes.firstIndex(of: UInt8(ascii: ";")),
            let name = Parameters.value("name", in: bytes, ByteRange(start: start, end: bytes.count))
        {
            branch.serverName = Array(bytes[name.range])
        }
        return branch
    }

    /// The target of a branch is known to ring although the fact of its provisional died with the owner: what the owner
    /// sent up came by another node, which has its Contact.
    private static func rings(_ pending: Record.Pending, in record: Record) -> Bool {
        pending.leg == .caller && pending.cseq == record.inviteCSeq && !pending.requestURI.isEmpty
            && record.outs.contains { $0.side.contact == pending.requestURI }
    }

    /// The dead owner had an answer, and had no time to cancel the other branches (§16.7 step 10).
    mutating func cancelLosers(
        _ did: DialogID, _ record: Record, _ pending: Record.Pending, _ token: Branch.Token, dialogs: inout DialogTable
    ) {
        guard branches(of: pending, in: record).contains(where: { !$0.progress.contains(.final) }),
            let id = makeHeir(did, record, pending), var context = take(id)
        else { return }
        context.server = .none  // The caller has its answer from whoever sends it again.
        context.lastStatus = 200
        cancelAll(&context, id, because: .elsewhere, dialogs: &dialogs)
        finish(consume context, id)
    }

    /// The dialog is about to end, and its tombstone keeps no branches. Those of a live owner are its own to cancel,
    /// when it hears of the end; those that a dead one left open have nobody else by then, whoever their heir would
    /// be. What has a transaction here is looked at when the end is written.
    mutating func cancelOrphans(_ did: DialogID, but own: SpiralPass? = nil, dialogs: inout DialogTable) {
        // A pass of this node's may ring on that the record knows nothing of any more: the ACK has settled it by way of
        // another node, which had not heard of it.
        let hasOpen = inviteContext(of: did) {
            ($0.kind == .forwarded || $0.kind == .heir) && $0.lastStatus < 200
        }
        if hasOpen != nil {
            reviewsDue.append(did)
        }
        // Most calls have nothing open by then, and their record need not be decoded to see that.
        guard dialogs.isPending(did), let record = dialogs.record(did),
            record.state != .deleted
        else { return }
        keepLastRecord(did, record)
        var seen: [SlotID] = []
        for pending in record.pendings where !pending.progress.contains(.final) && pending.pass != own {
            guard let token = token(of: pending), !settings.isOwn(token.member), !seen.contains(token.slot),
                neighbours.peer(token.member)?.isLive != true
            else { continue }
            seen.append(token.slot)
            let heir = inviteContext(of: did) {
                $0.kind == .heir && $0.cSeq == pending.cseq && $0.leg == pending.leg && $0.pass == pending.pass
            }
            if heir == nil { cancelLosers(did, record, pending, token, dialogs: &dialogs) }
        }
    }

    /// The INVITE as it was received or sent, as far as answers, CANCEL and ACK need it.
    func inheritedInvite(
        _ record: Record, _ pending: Record.Pending, vias: [UInt8], shift: UInt32 = 0
    ) -> [UInt8] {
        let isInitial = pending.leg == .caller && pending.cseq == record.inviteCSeq
        let confirmed = record.outs.first { ($0.state ?? .unconfirmed) >= .confirmedNotAcknowledged }?.to ?? record.to
        let callee = isInitial ? record.to : confirmed
        var writer = ByteWriter(capacity: 1_024)
        writer.put("INVITE ")
        writer.put(pending.requestURI)
        writer.put(" SIP/2.0\r\n")
        writer.put(vias)
        if !pending.routes.isEmpty {
            writer.put("Route: ")
            writer.put(pending.routes)
            writer.put("\r\n")
        }
        writer.put("Max-Forwards: ")
        writer.putDecimal(UInt64(settings.maxForwards))
        writer.put("\r\nFrom: ")
        writer.put(pending.leg == .caller ? record.from : callee)
        writer.put("\r\nTo: ")
        writer.put(pending.leg == .caller ? callee : record.from)
        writer.put("\r\nCall-ID: ")
        writer.put(record.callID)
        writer.put("\r\nCSeq: ")
        writer.putDecimal(UInt64(pending.cseq) + UInt64(shift))
        writer.put(" INVITE\r\nContent-Length: 0\r\n\r\n")
        return writer.bytes
    }
}
