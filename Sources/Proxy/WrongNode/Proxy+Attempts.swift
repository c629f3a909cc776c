// Whose INVITE is it? (R16) A record stands for one transaction, named by Call-ID, From tag, CSeq and the topmost Via
// as received. So copies of one INVITE are one dialog on whichever node, and each target that a proxy above tries has a
// record of its own.
//
//     INVITE ─┬ its did is known ──────────────▶ repeated: the live owner's; of a dead one, adopted (S1-2b)
//             ├ tried again: a live record of its Call-ID, From tag and CSeq, unanswered, not cancelled, with a
//             │ pending to which routing would send this one as well ─▶ adopted, be its owner live or dead
//             └ else ──────────────────────────▶ a further attempt: a dialog of its own
//
// Who tries again has given the other transaction up (a balancer that fails over; a phone, RFC 3263 §4.3), so an answer
// by the first copy's Via is dropped there. An adopted INVITE has a server transaction, no branch, and is answered
// through its own Vias with what the record says: 100, 180 while it rings, the 2xx, the status of the failure. The Vias
// are a fact, so that this does not end with the node (`Proxy+Adoptions`).
//
// Left by nature: two copies on two nodes within the replication lag; a copy that overtakes the fact of the failure.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// What names the INVITE at hand, or the INVITE that the CANCEL or ACK at hand is for.
    func inviteIdentity(_ plan: RequestPlan) -> InviteIdentity {
        InviteIdentity(
            message.bytes, callID: message.callID, fromTag: message.fromTag, cSeq: plan.cSeq.number,
            branch: plan.via.branch, sentBy: plan.via.sentBy, requestURI: message.requestURI)
    }

    /// The records of all attempts of the request at hand: same Call-ID, From tag and CSeq.
    mutating func attempts(_ plan: RequestPlan, dialogs: DialogTable) -> [DialogID] {
        let found = dialogs.attempts(
            callID: message.bytes, message.callID, fromTag: message.bytes, message.fromTag,
            inviteCSeq: plan.cSeq.number)
        if found.isCut { counters.attemptsCut += 1 }
        return found.dids
    }

    /// The call that an INVITE tries again whose sender gave another transaction up; `nil` for a further attempt.
    mutating func attemptTriedAgain(_ plan: RequestPlan, dialogs: DialogTable) -> DialogID? {
        let known = attempts(plan, dialogs: dialogs)
        guard !known.isEmpty else { return nil }
        let loop = loopHash(plan)
        return known.first { did in
            dialogs.view(did) { view, stored in
                guard view.state < .confirmed, !view.flags.contains(.cancelled) else { return false }
                var fits = false
                view.forEachPending(in: stored) { pending in
                    guard pending.leg == .caller, pending.pass.isFirst,
                        case .transaction(let token) = Branch(stored, pending.branch, mark: settings.mark)
                    else { return }
                    fits = fits || token.loop == loop
                }
                return fits
            } ?? false
        }
    }

    /// An INVITE whose dialog is here already: a live owner's goes to the owner, a dead owner's is adopted (S1-2b).
    func decideRepeated(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Decision {
        guard let record = dialogs.record(did), let state = record.state else { return .drop(.ofAnotherNode) }
        if state == .deleted {
            // Its final answer may have died with its owner; if a live one still repeats it, this is one more of the
            // same kind.
            return record.flags.contains(.failed) ? .refuse(refusalOfFailed(record)) : .drop(.ofAnotherNode)
        }
        guard
            let pending = record.pendings.first(where: {
                $0.leg == .caller && $0.cseq == record.inviteCSeq && $0.pass == plan.pass
            }), let token = token(of: pending)
        else { return .drop(.ofAnotherNode) }
        if settings.isOwn(token.member) { return .repeatAnswer(did, .caller) }
        // The owner says again what it said last: its 100 may have been lost, and a caller that hears nothing gives up
        // while its callee rings.
        if let owner = neighbours.peer(token.member), owner.isLive { return .pass(to: owner) }
        return .adopt(did)
    }

    /// Another copy of an INVITE of ours, by a balancer that sent it to another node first: what was last said upstream
    /// is said again.
    mutating func repeatLastResponse(_ did: DialogID, _ plan: RequestPlan, _ leg: Leg) {
        counters.foreignAbsorbed += 1
        let mine = inviteContext(of: did) {
            $0.kind == .forwarded && $0.cSeq == plan.cSeq.number && $0.leg == leg && $0.pass == plan.pass
        }
        guard let mine, var context = take(mine) else { return }
        if case .invite(var transaction) = context.server {
            actions.removeAll(keepingCapacity: true)
            transaction.receiveRetransmission(actions: &actions)
            context.server = .invite(transaction)
            performServer(&context, mine)
        }
        put(consume context, mine)
    }

    // MARK: Adoption

    /// Keeps a server transaction for an INVITE whose branches are another's: a dead node's, or those of a transaction
    /// that its sender gave up.
    mutating func adopt(_ plan: RequestPlan, _ did: DialogID, dialogs: inout DialogTable) {
        counters.foreignAbsorbed += 1
        let request = completedRequest(plan)
        let key = serverKey(plan, method: .invite)
        let heir = inviteContext(of: did) {
            $0.kind == .heir && $0.lastStatus < 200 && $0.isInitial && $0.pass == plan.pass
        }
        if let heir, var context = take(heir) {
            counters.adopted += 1
            context.request = request
            context.upstream = plan.upstream
            context.listener = plan.listener
            context.flow = plan.arrivalFlow
            context.relay = plan.relay
            if let old = context.serverKey { _ = serverTable.remove(hash: old, value: heir.index) }
            context.serverKey = key
            serverTable.insert(hash: key, value: heir.index)
            beginAdoption(&context, heir, did, plan.sender, dialogs: &dialogs)
            put(context, heir)
            return
        }
        guard let id = newContext() else {
            refuse(Refusal(503, retryAfter: 10), plan)
            return
        }
        counters.adopted += 1
        adoptedCount += 1
        var context = ResponseContext()
        context.role = .adopted
        context.did = did
        context.cSeq = plan.cSeq.number
        context.isInitial = true
        context.pass = plan.pass
        context.upstream = plan.upstream
        context.listener = plan.listener
        context.flow = plan.arrivalFlow
        context.relay = plan.relay
        context.startedAt = now
        context.server = .invite(startedInviteServer(reliable: plan.upstream.transport.isReliable))
        context.request = request
        context.serverKey = key
        serverTable.insert(hash: key, value: id.index)
        dialogTable.insert(hash: did.rawValue, value: id.index)
        beginAdoption(&context, id, did, plan.sender, dialogs: &dialogs)
        put(context, id)
        review(did, dialogs: &dialogs)
    }

    /// An INVITE that was adopted waits for facts of this dialog.
    mutating func hasAdopted(_ did: DialogID) -> Bool {
        adoptedCount > 0 && inviteContext(of: did) { $0.kind == .adopted && $0.lastStatus < 200 } != nil
    }

    /// An adopted INVITE is answered as the record says, through its own Via stack.
    mutating func reviewAdopted(
        _ context: inout ResponseContext, _ id: SlotID, _ did: DialogID, _ state: DialogState,
        dialogs: inout DialogTable
    ) {
        // A 2xx that this node holds for its commit is nobody's yet.
        guard context.lastStatus < 200, inviteContext(of: did, where: { !$0.held.isEmpty }) == nil,
            let record = dialogs.record(did)
        else { return }
        if state == .deleted {
            respond(statusOfFailure(record), &context, id) { [settings] writer in
                Self.writeRetry(record, settings, into: &writer)
            }
            return
        }
        if takesBack(&context, id, record, dialogs: &dialogs) { return }
        let own = record.pendings.filter { $0.cseq == context.cSeq && $0.leg == .caller && $0.pass == context.pass }
        let answer =
            context.pass.isFirst
            ? record.outs.first { !$0.answer.isEmpty }?.answer : own.first { !$0.answer.isEmpty }?.answer
        if let answer, !isOverdue(did, dialogs: dialogs), let readdressed = readdress(answer, as: context.request) {
            sendUpstream(readdressed, 200, &context, id)
            // The callee's copies go by the Vias of the other owner, which are the same.
            if !context.isLeftToOther { startRepeating(context, did, readdressed) }
        } else if state == .confirmed, context.pass.isFirst {
            abandonServer(&context)  // Its sender has had its 2xx from another node, and has said so.
        } else if !context.pass.isFirst, !own.isEmpty, own.allSatisfy({ $0.progress.contains(.final) }) {
            respond(settings.earlyEndCode, &context, id)
        } else if context.lastStatus < 180, !context.awaitsCommit,
            let ringing = record.outs.first(where: { $0.state == .early })
        {
            ring(ringing, &context, id)
        }
    }

    /// 180 with the tag of a callee that rings.
    private mutating func ring(_ out: Record.Out, _ context: inout ResponseContext, _ id: SlotID) {
        guard !context.request.isEmpty, loadStored(context.request) else { return }
        scratch.removeAll()
        ResponseWriter.write(
            180, reason: [], to: stored, toTag: out.toTag, received: nil, extra: { _ in }, into: &scratch)
        sendUpstream(scratch.copy(), 180, &context, id)
    }

    /// The response with the Via stack of another copy of its request.
    mutating func readdress(_ response: [UInt8], as request: [UInt8]) -> [UInt8]? {
        guard loadStored(request) else { return nil }
        var stack = ByteWriter()
        stored.forEach(.via) { stack.put(stored.bytes, $0.line) }
        guard loadStored(response) else { return nil }
        editor.begin()
        stored.forEach(.via) { editor.remove($0.line) }
        editor.insert(at: stored.firstLineEnd) { $0.put(stack.bytes) }
        scratch.removeAll()
        editor.write(stored, into: &scratch)
        return scratch.copy()
    }

    // MARK: The failure of a call, from its tombstone

    /// What a further copy of a failed INVITE is answered.
    private func refusalOfFailed(_ record: Record) -> Refusal {
        let retry = Self.needsHeaders(Int(record.failure)) ? 1 : 0
        return Refusal(statusOfFailure(record), .ofAnotherNode, retryAfter: retry)
    }

    /// The status that a failed INVITE had. A redirection, a challenge and what else lives by its headers cannot be
    /// said again without them: who asks gets 500, and asks anew.
    private func statusOfFailure(_ record: Record) -> Int {
        if record.failure == 0 { return record.flags.contains(.cancelled) ? 487 : settings.earlyEndCode }
        return Self.needsHeaders(Int(record.failure)) ? 500 : Int(record.failure)
    }

    private static func writeRetry(_ record: Record, _ settings: ProxySettings, into writer: inout ByteWriter) {
        if needsHeaders(Int(record.failure)) { writer.put("Retry-After: 1\r\n") }
    }

    private static func needsHeaders(_ status: Int) -> Bool {
        switch status {
        case 300..<400, 401, 405, 407, 415, 420, 421, 422, 423, 494: true
        default: false
        }
    }
}
