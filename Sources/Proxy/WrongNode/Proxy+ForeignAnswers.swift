// Answers to another node's transaction (S1-2a): a live owner gets them; those for a dead one are an heir's, or teach
// what they can and go on by the Via below ours.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// An answer to another member's transaction: a live one gets it (S1-2a), for a dead one this node does its part.
    mutating func receiveForeignAnswer(
        _ token: Branch.Token, _ via: Via, _ cSeq: CSeq, from source: Endpoint, dialogs: inout DialogTable
    ) {
        if let peer = neighbours.peer(token.member), peer.isLive, peer.endpoint != nil {
            if neighbours.isPeerAddress(source) { counters.strayResponses += 1 }  // Passing on happens once.
            pass(to: peer, from: source)
        } else if cSeq.method != .cancel, isForUsAlone(via) {
            counters.strayResponses += 1
        } else {
            receiveAnswerForTheDead(token, via, cSeq, from: source, dialogs: &dialogs)
        }
    }

    /// An answer whose Via names a member that is not live: its address moved here, or it comes by rport to an heir.
    mutating func receiveAnswerForTheDead(
        _ token: Branch.Token, _ asReceived: Via, _ received: CSeq, from source: Endpoint, dialogs: inout DialogTable
    ) {
        let did = token.did
        let moved = moveBack(did, received, dialogs: dialogs)
        let cSeq = moved?.cSeq ?? received
        let via = completeSession(cSeq, of: did, dialogs: dialogs) ?? moved?.via ?? asReceived
        let spiral = passOfResponse()
        if cSeq.method == .invite, 200..<300 ~= message.statusCode, isAnswerOfCall(did, cSeq, dialogs: dialogs),
            isOverdue(did, dialogs: dialogs)
        {
            counters.foreignAbsorbed += 1
            return
        }
        if cSeq.method == .invite || cSeq.method == .cancel, did.rawValue != 0, let record = dialogs.record(did),
            isInherited(token, via, cSeq, spiral, record, from: source, dialogs: &dialogs)
        {
            return
        }
        if cSeq.method == .invite, 200..<300 ~= message.statusCode, did.rawValue != 0,
            awaitsRecord(did, dialogs: dialogs)
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
                learnPassingConfirmation(did, cSeq, via, spiral, dialogs: &dialogs)
                || learnPassingSuccess(did, cSeq, dialogs: &dialogs)
            // Each copy: what an earlier one taught may not have reached anybody yet.
            if neighbours.commits, isConfirmation || learned {
                let purpose: CommitToken.Purpose = isConfirmation ? .inheritance : .refresh
                if holdPassing(did, via, purpose, from: source) { return }
            }
        }
        forwardResponseStatelessly(via, from: source)
    }

    /// An answer to a dead node's INVITE or CANCEL whose record is here.
    /// - Returns: Whether it has been dealt with.
    private mutating func isInherited(
        _ token: Branch.Token, _ via: Via, _ cSeq: CSeq, _ spiral: SpiralPass, _ record: Record, from source: Endpoint,
        dialogs: inout DialogTable
    ) -> Bool {
        let did = token.did
        let isSuccess = cSeq.method == .invite && 200..<300 ~= message.statusCode
        if isSuccess, isRefused(cSeq.number, spiral, record) {
            let answer: LateAnswer = cSeq.number == record.inviteCSeq ? .ofCall(.interrupted) : .ofReInvite
            refuseLateAnswer(did, home: record.home, answer, dialogs: &dialogs)
            return true
        }
        if isSuccess, cSeq.number == record.inviteCSeq, spiral.isFirst, isLateAnswer(did, dialogs: dialogs) {
            endLateAnswer(did, dialogs: &dialogs)
            return true
        }
        var heir = inviteContext(of: did) {
            $0.cSeq == cSeq.number && $0.heir?.owner == token.member && $0.heir?.slot == token.slot
                && $0.branches.contains { $0.number == token.branch }
        }
        if heir == nil, cSeq.method == .invite, message.statusCode >= 300, spiral.isFirst,
            isDecided(cSeq.number, record)
        {
            failLate(did, via, record, from: source, dialogs: &dialogs)
            return true
        }
        if heir == nil, cSeq.method == .invite, record.state != .deleted,
            let pending = record.pendings.first(where: {
                Text.same($0.branch, ByteRange($0.branch), message.bytes, via.branch)
                    && !$0.progress.contains(.final)
            })
        {
            heir = makeHeir(did, record, pending)
        }
        if let heir, var context = take(heir) {
            if let branch = context.branches.firstIndex(where: { $0.number == token.branch }) {
                receive(&context, heir, branch: branch, cSeq, via, dialogs: &dialogs)
            }
            finish(consume context, heir)
            return true
        }
        if cSeq.method == .cancel { passToPeers(from: source) }
        return cSeq.method == .cancel
    }

    /// Whether the cluster has given the INVITE with this CSeq a final answer other than 2xx.
    func isRefused(_ cSeq: UInt32, _ spiral: SpiralPass, _ record: Record) -> Bool {
        let isInitial = cSeq == record.inviteCSeq
        if record.state == .deleted { return !isInitial || record.flags.contains(.failed) }
        guard !isInitial, spiral.isFirst else { return false }
        // No INVITE of a side's before that one waits any more (RFC 3261 §14.1): who still repeats its 2xx has had no
        // ACK, and its sender had a final answer of another kind.
        let isOfCaller = Text.same(record.fromTag, ByteRange(record.fromTag), message.bytes, message.fromTag)
        return UInt64(cSeq) <= (isOfCaller ? record.rejectedCaller : record.rejectedCallee) >> 32
    }

    /// A dead node's INVITE is answered, and its record is not here: it is fetched, and the callee's next copy of the
    /// 2xx finds it (R2). Twice at most for a dialog; then the answer goes on without.
    mutating func awaitsRecord(_ did: DialogID, dialogs: DialogTable) -> Bool {
        guard neighbours.commits, !dialogs.contains(did) else { return false }
        let wait = waitingRoom.letPass(did, now: now)
        counters.awaitedForgotten += wait.hasForgotten ? 1 : 0
        if wait.mayWait { effects.items.append(.wanted(did)) }
        return wait.mayWait
    }

    /// Sends a response on by the Via below ours (§16.11): nothing of its transaction is here.
    mutating func forwardResponseStatelessly(_ via: Via, from source: Endpoint) {
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
        _ did: DialogID, _ via: Via, _ purpose: CommitToken.Purpose, from source: Endpoint
    ) -> Bool {
        guard let endpoint = endpointBelow() else { return false }
        guard let id = newContext() else { return false }
        var context = ResponseContext()
        context.role = .passing
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
