// An adopted INVITE (`Proxy+Attempts`) is answered through the Via stack of its own copy, which nobody else has seen.
// So that stack is a fact of the record, under a branch of the node that answers; and its sender is told to wait when a
// peer has that fact, as a first copy's is (S1-4).
//
//   adopted ──fact──▶ a peer has it, or the commit timeout ──▶ 100, 180 … the final answer
//                        │ the node dies
//                        ▼ heir, by rank of (did, its transaction): adopts the copy from the record, under a branch of
//                          its own, and goes on as the record says
//
// Limits: `RecordLimits.adoptions` of one call, dead nodes' among them; a copy beyond them is answered all the same,
// and its answers end with the node that it came to (counted as any fact that a record refuses). A failed call keeps
// none of them in its tombstone: who wrote that answers for those that died with it (`LastRecords`).

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Makes the Vias of a copy a fact, and its sender wait until that is known.
    mutating func beginAdoption(
        _ context: inout ResponseContext, _ id: SlotID, _ did: DialogID, _ sender: Endpoint,
        dialogs: inout DialogTable
    ) {
        let isKnown = learnAdoption(context, id, did, sender, dialogs: &dialogs)
        if isKnown, neighbours.commits, context.lastStatus < 100 {
            context.awaitsCommit = true
            effects.items.append(.commit(CommitToken(context: id, purpose: .trying)))
        } else {
            respond(100, &context, id)
        }
    }

    /// A peer knows the copy's Vias, or has been waited for.
    mutating func adoptionCommitted(_ context: inout ResponseContext) {
        guard context.awaitsCommit else { return }
        context.awaitsCommit = false
        if let did = context.did { reviewsDue.append(did) }
    }

    /// - Returns: Whether it is in the record here.
    @discardableResult
    mutating func learnAdoption(
        _ context: ResponseContext, _ id: SlotID, _ did: DialogID, _ sender: Endpoint, dialogs: inout DialogTable
    ) -> Bool {
        guard let state = dialogs.state(did), state < .confirmed, loadStored(context.request) else { return false }
        let branch = Branch.transaction(
            Branch.Token(member: settings.memberTag, slot: id, did: did, loop: 0))
        let (stored, pass) = (stored, context.pass)
        facts.begin()
        facts.adoption(cSeq: context.cSeq, branch: { [mark = settings.mark] in branch.write(mark: mark, into: &$0) }) {
            adoption in
            adoption.put(.vias) { writer in
                stored.forEach(.via) { writer.put(stored.bytes, $0.line) }
            }
            adoption.put(.source) { sender.writeFact(into: &$0) }
            adoption.pass(pass)
        }
        return learn(did, room: .early, dialogs: &dialogs) != nil
    }

    /// Goes on with the copies that dead nodes were answering.
    mutating func inheritAdoptions(_ did: DialogID, _ record: Record, dialogs: inout DialogTable) {
        guard let state = record.state, state < .confirmed else { return }
        for adoption in record.adoptions {
            guard let token = token(of: adoption), isDead(token), neighbours.isHeir(did, of: token.slot),
                let id = adoptFromRecord(adoption, did, record), let context = contexts.read(id, { $0 })
            else { continue }
            counters.adopted += 1
            learnAdoption(context, id, did, context.upstream, dialogs: &dialogs)
            reviewsDue.append(did)
        }
    }

    /// A context for a copy of a call's INVITE, as a dead node had it; `nil` where there is one, and without room.
    mutating func adoptFromRecord(_ adoption: Record.Pending, _ did: DialogID, _ record: Record) -> SlotID? {
        var invite = adoption
        invite.requestURI = record.requestURI
        let request = inheritedInvite(record, invite, vias: adoption.vias)
        guard let source = Endpoint(fact: adoption.source), loadStored(request), let via = try? stored.topmostVia()
        else { return nil }
        let key = serverKey(.invite, via, in: stored.bytes)
        guard serverContext(key) == nil, let id = newContext() else { return nil }
        var context = ResponseContext()
        context.role = .adopted
        context.did = did
        context.cSeq = adoption.cseq
        context.isInitial = true
        context.pass = adoption.pass
        context.upstream = source
        context.listener = egressListener(source)
        context.startedAt = now
        context.server = .invite(startedInviteServer(reliable: source.transport.isReliable))
        context.request = request
        context.serverKey = key
        adoptedCount += 1
        serverTable.insert(hash: key, value: id.index)
        dialogTable.insert(hash: did.rawValue, value: id.index)
        put(context, id)
        return id
    }
}
