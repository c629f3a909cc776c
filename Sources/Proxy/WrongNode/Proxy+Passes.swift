// A request that comes back through the cluster (a spiral, RFC 3261 §16.3 step 4; S2-17): a server behind it, an
// application server or a registrar, sends it on to the next target by way of a node again.
//
//     caller ──▶ n1 ──▶ server ──▶ n2 ──▶ phone           one dialog, two passes (`SpiralPass`)
//
// It is told by the Vias of ours below the topmost, in requests and in answers alike, whatever records are here. Each
// pass has its own pendings, so its own heir; it is record-routed, so that it sees the dialog's requests; the end of a
// pass ends its branch of the server's search and nothing else. What a pass learns of who answers counts for more the
// deeper it is, since that is nearer to the phone: its connection, above all. Only the first pass confirms the dialog,
// sets its deadline, and ends it.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Which pass the request at hand is, and whose dialog, by the Vias of ours that it has; `nil` for one that was not
    /// here before.
    mutating func passedBefore(_ plan: RequestPlan) -> Passage? {
        // Most come from a phone, whose Via is the only one.
        if message.count(of: .via) == 1, plan.via.isOnlyInField, !isOfTransaction(plan.via) { return nil }
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        return passage(vias[...], loop: loopHash(plan))
    }

    private func isOfTransaction(_ via: Via) -> Bool {
        if case .transaction = Branch(message.bytes, via.branch, mark: settings.mark) { true } else { false }
    }

    /// The same for the transaction that the response at hand answers, whose Via is the topmost.
    mutating func passOfResponse() -> SpiralPass {
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        return passage(vias.dropFirst(), loop: 0)?.pass ?? .first
    }

    /// The Vias as they were received for one transaction.
    private func passage(_ received: ArraySlice<Via>, loop: UInt32) -> Passage? {
        guard let topmost = received.first else { return nil }
        var (depth, did, returned) = (0, DialogID?.none, false)
        for via in received {
            guard case .transaction(let token) = Branch(message.bytes, via.branch, mark: settings.mark) else {
                continue
            }
            depth += 1
            if did == nil, token.did.rawValue != 0 { did = token.did }
            returned = returned || token.loop == loop
        }
        guard depth > 0 else { return nil }
        let pass = SpiralPass(depth: depth, hash: passHash(topmost.branch, topmost.sentBy))
        return Passage(pass: pass, did: did, returned: returned)
    }

    /// What names a pass on every node: who sent it, by its Via.
    func passHash(_ branch: ByteRange, _ sentBy: ByteRange) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x7069_7261_6c00)
        stream.combine(message.bytes, branch)
        stream.combine(message.bytes, sentBy)
        return stream.finish()
    }

    /// A further pass of an INVITE: looked up before it is sent on, as a first one is.
    mutating func matchPass(_ passage: Passage, _ plan: inout RequestPlan, dialogs: DialogTable) -> Decision {
        plan.pass = passage.pass
        guard message.method == .invite, let did = passage.did else { return .proceed }
        plan.recordsRoute = true
        guard let state = dialogs.state(did) else {
            plan.did = did
            // It may be faster than the facts of its first pass.
            return mayWait(for: did, plan, dialogs: dialogs) ? .wait(for: .record(did, isWanted: true)) : .proceed
        }
        guard isCall(did, plan, dialogs: dialogs) else {  // A branch can be written by anybody.
            counters.routeHintMismatches += 1
            plan.did = nil
            plan.recordsRoute = false
            return .proceed
        }
        plan.did = did
        if state == .deleted { return .refuse(487) }  // Nobody waits for an answer any more.
        if isPending(did, plan, dialogs: dialogs) { return decideRepeated(did, plan, dialogs: dialogs) }
        plan.isKnown = true
        return .proceed
    }

    /// The INVITE at hand is one of the call that this record is of.
    private func isCall(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, stored in
            view.inviteCSeq == plan.cSeq.number && Text.same(stored, view.callID, message.bytes, message.callID)
                && Text.same(stored, view.fromTag, message.bytes, message.fromTag)
        } ?? false
    }

    private func isPending(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, stored in
            var isKnown = false
            view.forEachPending(in: stored) { pending in
                isKnown = isKnown || pending.pass == plan.pass && pending.cseq == plan.cSeq.number
            }
            return isKnown
        } ?? false
    }

    /// The pass that a CANCEL is for, by its Via, which is its INVITE's (RFC 3261 §9.1): the call, and the pass.
    mutating func passCancelled(_ plan: RequestPlan, dialogs: DialogTable) -> (did: DialogID, pass: SpiralPass)? {
        for did in attempts(plan, dialogs: dialogs) {
            if let pass = furtherPass(of: did, plan, dialogs: dialogs) { return (did, pass) }
        }
        return nil
    }

    /// The same among the pendings of one dialog, for a CANCEL within it.
    func passCancelled(within did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> SpiralPass {
        furtherPass(of: did, plan, dialogs: dialogs) ?? .first
    }

    /// The pass after the first that came by the topmost Via of the request at hand.
    private func furtherPass(of did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> SpiralPass? {
        let hash = UInt32(truncatingIfNeeded: passHash(plan.via.branch, plan.via.sentBy))
        return dialogs.view(did) { view, stored -> SpiralPass? in
            var found: SpiralPass?
            view.forEachPending(in: stored) { pending in
                if !pending.pass.isFirst, pending.pass.hash == hash { found = pending.pass }
            }
            return found
        } ?? nil
    }

    /// The passes of a call that a CANCEL by a renewed branch can be for: those whose INVITE had its Request-URI, and
    /// that have had no final answer. When the call has been answered by one of them the others are open still.
    func openPasses(of did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> [SpiralPass] {
        dialogs.view(did) { view, stored in
            guard view.state != .deleted else { return [] }
            let isFirst =
                view.state < .confirmedNotAcknowledged
                && Text.same(stored, view.requestURI, message.bytes, message.requestURI)
            var found: [SpiralPass] = isFirst ? [.first] : []
            view.forEachPending(in: stored) { pending in
                guard !pending.pass.isFirst, pending.cseq == plan.cSeq.number, !found.contains(pending.pass),
                    !pending.progress.contains(.final),
                    Text.same(stored, pending.requestURI, message.bytes, message.requestURI)
                else { return }
                found.append(pending.pass)
            }
            return found
        } ?? []
    }

    /// A request of the dialog that goes to a server first and comes back here: one of the Routes left is ours.
    func returnsHere(_ plan: RequestPlan) -> Bool {
        routes.dropFirst(plan.consumedRoutes).contains { route in
            guard let uri = try? URI(message.bytes, route.uri) else { return false }
            return isOwn(uri, in: message.bytes)
        }
    }

    /// The same of the message at hand.
    func standingRecordRoute(_ did: DialogID) -> [UInt8]? { standingRecordRoute(did, in: message) }

    /// The topmost Record-Route of a request from its host on, if it is ours and names this dialog.
    func standingRecordRoute(_ did: DialogID, in request: Message) -> [UInt8]? {
        guard request.first(.recordRoute) != nil else { return nil }
        var entries: [NameAddress] = []
        request.nameAddresses(.recordRoute, into: &entries)
        let bytes = request.bytes
        guard let entry = entries.first, let uri = try? URI(bytes, entry.uri), isOwn(uri, in: bytes),
            didHint(uri, in: bytes) == did
        else { return nil }
        return Array(bytes[Int(uri.host.start)..<Int(entry.uri.end)])
    }

    // MARK: Ends

    /// A further pass has failed: its branches are over, and so are the early dialogs that it told of.
    mutating func learnFailureOfPass(_ context: ResponseContext, _ did: DialogID, dialogs: inout DialogTable) {
        facts.begin()
        if context.isInitial {
            // It has not heard of an answer, which is not to say that there is none.
            if context.kind == .heir { facts.raise(.interrupted) }
            for out in dialogs.record(did)?.outs ?? []
            where out.side.pass == context.pass && (out.state ?? .unconfirmed) < .confirmedNotAcknowledged {
                facts.out(out.toTag) { $0.reach(.deleted) }
            }
        }
        for index in context.branches.indices {
            pendingFact(context, index) { $0.mark(.final) }
        }
        settleLast(context, Array(context.branches.indices), dialogs: dialogs)
        learn(did, dialogs: &dialogs)
    }

    /// The answer to a BYE that went to a server first: where the server did not send it on, the dialog ends now.
    mutating func endOnAnswer(_ context: inout ResponseContext, dialogs: inout DialogTable) {
        guard message.statusCode < 300 || message.statusCode == 481, let did = context.did,
            let state = dialogs.state(did), state != .deleted
        else { return }
        context.endsOnAnswer = false
        learnBye(did, context.leg, dialogs: &dialogs)
    }

    /// Whether a callee has answered by way of this pass.
    func hasAnswered(_ context: ResponseContext, _ record: Record) -> Bool {
        if context.pass.isFirst { return (record.state ?? .unconfirmed) >= .confirmedNotAcknowledged }
        // Its pending is dropped when the ACK has settled the call; what it learned of who answered stays.
        let isKnownByCallee =
            context.isInitial
            && record.outs.contains {
                $0.side.pass == context.pass && ($0.state == .confirmedNotAcknowledged || $0.state == .confirmed)
            }
        return isKnownByCallee
            || record.pendings.contains {
                $0.pass == context.pass && $0.cseq == context.cSeq && $0.leg == context.leg && !$0.answer.isEmpty
            }
    }
}

/// What the Vias of ours in a message say.
struct Passage {
    var pass: SpiralPass
    /// Whose dialog the cluster took it for.
    var did: DialogID?
    /// Nothing that routing looks at has changed since it was here: a loop.
    var returned: Bool
}
