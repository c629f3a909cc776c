// A draining node takes no new dialog: an INVITE that would make one goes to a live member that is not draining, and
// that member's answers come back through here, since this may be the only way to whoever sent it (a connection, a
// balancer that takes answers from the node that it asked only).
//
//     INVITE ─▶ relayed ──▶ member ──answers──▶ upstream, as they come      until a final one: then the node may end
//                 │ ▲          │
//                 │ └ silent for 3·T1, or unsendable: the next member       the did finds what the first one began
//                 └── the member dies ─┬ its record is here ──▶ `adopted`: answered from the record (R16)
//                                      └ it is not: the next member
//
// Hop by hop it is a transaction on each side: the sender's repetitions are answered here, the INVITE is repeated to
// the member, CANCEL and the ACK of a failure are made here. But it is no hop of SIP: no Via, no Record-Route, and
// Max-Forwards stays (`Relay`). So its client side is found by the sender's Via (`relayKey`), not by a branch of ours.
//
// What is here goes on: requests within dialogs, repetitions, CANCELs, ACKs, what rings; further copies of an INVITE
// that a record knows. Requests other than INVITE are served as ever: they make no dialog, and are over in 64·T1. A
// further pass of a spiral is relayed like a first one: it would ring here just as long.
// Never relayed: what comes from a member, so that two draining nodes do not pass a call to and fro. Without a member
// to take it the INVITE gets 503 with Retry-After; an emergency call is served here after all.
//
// Tried and dropped: our Via on top, as for a connection of another member's. It reads as a pass of a spiral, changes
// the did, and makes heirs answer to a node that is about to end.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Whether the INVITE at hand is relayed, since this node drains, and to whom.
    func decideRelay(_ plan: RequestPlan) -> Decision {
        guard neighbours.isDraining, message.method == .invite, plan.relay == nil, plan.namedFlow == .none,
            !neighbours.isPeerAddress(plan.source)
        else { return .proceed }
        if let member = takerOfCalls(serverKey(plan, method: .invite), attempt: 0) { return .relay(to: member) }
        return plan.isEmergency ? .proceed : .refuse(503, .nobodyTakesCalls, retryAfter: 10)
    }

    /// Relays the INVITE at hand to a member.
    mutating func relay(_ plan: RequestPlan, to member: Endpoint) {
        let key = serverKey(plan, method: .invite)
        guard let id = newContext() else {
            refuse(Refusal(503, retryAfter: 10), plan)
            return
        }
        counters.relayed += 1
        relayCount += 1
        var context = ResponseContext()
        let relaying = Relaying(key: relayKey(plan.via, plan.cSeq), did: plan.did)
        context.role = .relayed(relaying)
        context.cSeq = plan.cSeq.number
        context.upstream = plan.upstream
        context.listener = plan.listener
        context.flow = plan.arrivalFlow
        context.startedAt = now
        context.serverKey = key
        context.request = completedRequest(plan)
        refusals.remove(key)
        context.server = .invite(startedInviteServer(reliable: plan.upstream.transport.isReliable))
        serverTable.insert(hash: key, value: id.index)
        dialogTable.insert(hash: relaying.key, value: id.index)
        beginRelay(&context, id, to: member)
        finish(context, id)
    }

    /// The members that take calls, each as likely as the others; a transaction's choice stays while they do.
    private func takerOfCalls(_ key: UInt64, attempt: Int) -> Endpoint? {
        let takers = neighbours.takersOfCalls
        guard attempt < takers.count else { return nil }
        return takers[Int((key >> 1) % UInt64(takers.count) + UInt64(attempt)) % takers.count]
    }

    /// What names a relayed INVITE in its answers: all that a response has of its request.
    private func relayKey(_ via: Via, _ cSeq: CSeq) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x7265_6c61_7900)
        stream.combine(message.bytes, message.callID)
        stream.combine(message.bytes, message.fromTag)
        stream.combine(UInt64(cSeq.number))
        stream.combine(message.bytes, via.branch)
        stream.combine(message.bytes, via.sentBy)
        return stream.finish() | 1
    }

    private mutating func beginRelay(_ context: inout ResponseContext, _ id: SlotID, to member: Endpoint) {
        guard loadStored(context.request) else { return }
        let mark = RelayMark(listener: context.listener, flow: context.flow)
        editor.begin()
        editor.insert(at: stored.firstLineEnd) { mark.writeRoute(to: member, into: &$0) }
        scratch.removeAll()
        editor.write(stored, into: &scratch)
        context.branches = [
            ClientBranch(
                client: clientTransaction(.invite, member), sent: scratch.copy(), target: member,
                listener: egressListener(member))
        ]
        actions.removeAll(keepingCapacity: true)
        if case .invite(var transaction) = context.branches[0].client {
            transaction.start(actions: &actions)
            context.branches[0].client = .invite(transaction)
        }
        // No timer C: the member has one.
        performClient(&context, branch: 0, id)
        wheel.cancel(context.contextTimer)
        context.contextTimer = wheel.schedule(
            TimerToken(context: id, machine: .relay).rawValue, at: now.advanced(by: settings.timers.t1 * 3))
    }

    // MARK: Answers

    /// An answer whose topmost Via is not ours, from a member: to an INVITE that was relayed to it, or to the CANCEL.
    /// - Returns: Whether it is that.
    mutating func receiveRelayed(_ via: Via, _ cSeq: CSeq, from source: Endpoint, dialogs: inout DialogTable) -> Bool {
        guard let member = neighbours.peer(at: source) else { return false }
        guard let id = relayContext(relayKey(via, cSeq)), var context = take(id) else {
            // This process has no part in it any more, or is another than the one that had. There may still be a way.
            guard let sender = endpointOfTopmostVia(via), !neighbours.isPeerAddress(sender) else { return false }
            counters.relayedAnswersStray += 1
            effects.queue.send(message.bytes, to: sender, from: egressListener(sender))
            return true
        }
        if let endpoint = member.endpoint { context.branches[0].target = endpoint }
        if cSeq.method == .cancel {
            receiveCancelResponse(&context, id, branch: 0, dialogs: &dialogs)
        } else {
            receiveRelayed(&context, id)
        }
        finish(consume context, id)
        return true
    }

    private func relayContext(_ key: UInt64) -> SlotID? {
        guard relayCount > 0 else { return nil }
        let index = dialogTable.first(hash: key) { index in
            guard let id = contexts.id(at: index) else { return false }
            return contexts.read(id) { $0.relaying?.key == key } ?? false
        }
        return index.flatMap { contexts.id(at: $0) }
    }

    private func endpointOfTopmostVia(_ via: Via) -> Endpoint? {
        let host = via.received.isEmpty ? via.host : via.received
        guard settings.speaks(via.transport), let address = Address(bytes: message.bytes, range: host) else {
            return nil
        }
        let port = via.rport ?? via.port ?? via.transport.defaultPort
        return Endpoint(address: address, port: port, transport: via.transport)
    }

    private mutating func receiveRelayed(_ context: inout ResponseContext, _ id: SlotID) {
        guard case .invite(var transaction) = context.branches[0].client else { return }
        let status = message.statusCode
        actions.removeAll(keepingCapacity: true)
        transaction.receive(statusCode: status, actions: &actions)
        context.branches[0].client = .invite(transaction)
        let delivers = actions.contains(.deliver)
        if actions.contains(.acknowledge) { acknowledge(context.branches[0]) }
        performClient(&context, branch: 0, id)
        guard delivers else { return }
        wheel.cancel(context.contextTimer)
        context.contextTimer = .none
        context.branches[0].sawProvisional = true
        if status >= 200 {
            context.branches[0].final = status
            wheel.cancel(context.branches[0].timerC)
            context.branches[0].timerC = .none
        } else if case .wanted = context.branches[0].cancel {
            sendCancel(&context, id, branch: 0)
        }
        if status == 100 {
            sendTrying(&context, id)
        } else if context.lastStatus < 200 || status / 100 == 2 {
            sendUpstream(message.snapshot(), status, &context, id)
        }
    }

    // MARK: Another member

    /// The member says nothing, or cannot be reached. What it may have said to whoever asked it directly is in the
    /// record; without one the next member gets the INVITE.
    /// - Returns: False when there is none that has not been tried.
    mutating func relaysOn(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) -> Bool {
        adoptsRelayed(&context, id, dialogs: &dialogs) || relaysAnew(&context, id)
    }

    /// Should the first one have begun the call, the record says so at the next.
    private mutating func relaysAnew(_ context: inout ResponseContext, _ id: SlotID) -> Bool {
        guard !context.cancelled, context.lastStatus < 200, var relaying = context.relaying else { return false }
        relaying.attempts &+= 1
        context.role = .relayed(relaying)
        guard let key = context.serverKey, let member = takerOfCalls(key, attempt: Int(relaying.attempts)) else {
            return false
        }
        counters.relayedAnew += 1
        terminateClient(&context, 0)
        beginRelay(&context, id, to: member)
        return true
    }

    /// No member has answered by way of this node. One that lives may have answered the sender itself, to a copy that
    /// came to it: then the record is here. Else nothing is known, and a 408 would end what that one has begun.
    mutating func relayTimedOut(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        context.branches[0].final = 408
        if relaysOn(&context, id, dialogs: &dialogs) { return }
        let target = context.branches[0].target
        if neighbours.peers.contains(where: { $0.isLive && $0.endpoint == target }) {
            counters.dropped += 1
            abandonServer(&context)
        } else {
            respond(408, &context, id)
        }
    }

    /// Members have come or gone: what was relayed to one that is gone is answered from its record, or relayed to
    /// another member.
    package mutating func reviewRelays(now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard relayCount > 0 else { return }
        let live = neighbours.peers.filter(\.isLive).compactMap(\.endpoint)
        var orphans: [SlotID] = []
        contexts.forEachID { id in
            let isOrphan = contexts.read(id) { context in
                context.kind == .relayed && context.lastStatus < 200
                    && !context.branches.contains { live.contains($0.target) }
            }
            if isOrphan ?? false { orphans.append(id) }
        }
        for id in orphans {
            guard var context = take(id) else { continue }
            if !adoptsRelayed(&context, id, dialogs: &dialogs) {
                if context.cancelled {
                    terminateClient(&context, 0)
                    respond(487, &context, id)
                } else {
                    goOn(&context, id)
                }
            }
            finish(consume context, id)
        }
    }

    /// Relays an INVITE to a member that lives, or refuses it for want of one.
    private mutating func goOn(_ context: inout ResponseContext, _ id: SlotID) {
        terminateClient(&context, 0)
        if let relaying = context.relaying { context.role = .relayed(Relaying(key: relaying.key, did: relaying.did)) }
        guard let key = context.serverKey, let member = takerOfCalls(key, attempt: 0) else {
            counters.relaysRefused += 1
            respond(503, &context, id) { $0.put("Retry-After: 10\r\n") }
            return
        }
        counters.relayedAnew += 1
        beginRelay(&context, id, to: member)
    }

    /// The call's record is here: the INVITE is answered from it from now on, through this node's own transaction.
    private mutating func adoptsRelayed(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable)
        -> Bool
    {
        guard loadMessage(context.request), let via = try? message.topmostVia(), let cSeq = try? message.cSeq() else {
            return false
        }
        var plan = RequestPlan(
            source: context.upstream, listener: context.listener, upstream: context.upstream, addsReceived: false,
            cSeq: cSeq, via: via)
        consumeRoutes(&plan, dialogs: dialogs)
        let passage = passedBefore(plan)
        plan.pass = passage?.pass ?? .first
        let own = passage == nil ? dialogs.did(of: inviteIdentity(plan)) : passage?.did
        guard let did = own.flatMap({ dialogs.contains($0) ? $0 : nil }) ?? attemptTriedAgain(plan, dialogs: dialogs)
        else {
            guard passage == nil, wasAcknowledged(plan, dialogs: dialogs) else { return false }
            counters.dropped += 1
            endRelay(&context, id)
            context.role = .forwarded
            abandonServer(&context)
            return true
        }
        endRelay(&context, id)
        counters.adopted += 1
        context.role = .adopted
        adoptedCount += 1
        context.did = did
        context.isInitial = true
        context.pass = plan.pass
        dialogTable.insert(hash: did.rawValue, value: id.index)
        if own != did { learnAdoption(context, id, did, context.upstream, dialogs: &dialogs) }
        if context.cancelled {
            learnForeignCancel(did, plan.pass, plan, dialogs: &dialogs)
        }
        reviewsDue.append(did)
        return true
    }

    /// The call that this INVITE tried again has been acknowledged: whoever answered it forgot the INVITE with the ACK,
    /// and the next member would take it for another call.
    private mutating func wasAcknowledged(_ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        attempts(plan, dialogs: dialogs).contains { did in
            dialogs.view(did) { view, stored in
                view.state == .confirmed && Text.same(stored, view.requestURI, message.bytes, message.requestURI)
            } ?? false
        }
    }

    /// Nothing is expected of a member any more.
    private mutating func endRelay(_ context: inout ResponseContext, _ id: SlotID) {
        terminateClient(&context, 0)
        cancelTimers(context.branches[0].cancelTimers)
        wheel.cancel(context.contextTimer)
        context.contextTimer = .none
        context.branches = []
        forgetRelay(context, id)
    }

    /// Takes an INVITE out of the table of those that are relayed.
    mutating func forgetRelay(_ context: ResponseContext, _ id: SlotID) {
        guard let relaying = context.relaying else { return }
        _ = dialogTable.remove(hash: relaying.key, value: id.index)
        relayCount -= 1
    }
}
