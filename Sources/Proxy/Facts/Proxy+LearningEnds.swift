// What ends teach: the failure of a branch or of all, the ACK that settles a 2xx, the CANCEL, a party's BYE.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// A branch of a forked INVITE failed: its early dialogs are over, those of the others go on, and so does one whose
    /// 2xx went by another node while this one waited for an answer.
    mutating func learnFailureOfBranch(_ context: ResponseContext, _ index: Int, dialogs: inout DialogTable) {
        guard let did = context.did, dialogs.contains(did) else { return }
        facts.begin()
        for tag in context.branches[index].earlyTags
        where context.isInitial && !isAnswered(did, tag, dialogs: dialogs) {
            facts.out(tag) { $0.reach(.deleted) }
        }
        pendingFact(context, index) { $0.mark(.final) }
        settleLast(context, [index], dialogs: dialogs)
        learn(did, dialogs: &dialogs)
    }

    /// Where the caller's INVITE was acknowledged while branches of it were open, the end of the last one settles it.
    mutating func settleLast(_ context: ResponseContext, _ ending: [Int], dialogs: DialogTable) {
        guard context.isInitial, let did = context.did,
            dialogs.view(did, { Self.isAcknowledged($0, $1, context.cSeq) }) ?? false
        else { return }
        var own: [[UInt8]] = []
        for index in ending where loadStored(context.branches[index].sent) {
            if let via = try? stored.topmostVia() { own.append(stored.copy(via.branch)) }
        }
        let isLast = dialogs.view(did) { view, bytes in
            !Self.hasOpenPending(view, bytes, context.cSeq) { pending in
                own.contains { Text.same(bytes, pending.branch, $0, ByteRange($0)) }
            }
        }
        if isLast ?? false { facts.settle(.caller, cSeq: context.cSeq) }
    }

    /// A callee's 2xx to the caller's INVITE was acknowledged.
    static func isAcknowledged(_ view: RecordView, _ stored: [UInt8], _ cSeq: UInt32) -> Bool {
        view.outCount > 0 && view.outStates(in: stored).acknowledged >= cSeq
    }

    /// Whether a branch of the caller's INVITE, but for those left out, has had no final answer.
    static func hasOpenPending(
        _ view: RecordView, _ stored: [UInt8], _ cSeq: UInt32, except: (RecordView.Branching) -> Bool = { _ in false }
    ) -> Bool {
        var isOpen = false
        view.forEachBranching(in: stored) { pending in
            guard pending.leg == .caller, pending.cseq == cSeq, !pending.progress.contains(.final) else { return }
            isOpen = isOpen || !except(pending)
        }
        return isOpen
    }

    /// A later INVITE of the caller is over, and a branch of its first one is not: what settles the one in the record
    /// would take the other away, which an heir may have to cancel. The end of that branch settles it (`Demands`),
    /// or the next INVITE does.
    private func keepsBranches(of leg: Leg, _ did: DialogID, dialogs: DialogTable) -> Bool {
        guard leg == .caller else { return false }
        return dialogs.view(did) { view, stored in
            view.settledCaller < view.inviteCSeq && Self.hasOpenPending(view, stored, view.inviteCSeq)
        } ?? false
    }

    private func isAnswered(_ did: DialogID, _ tag: [UInt8], dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, stored in
            (view.out(toTag: tag, ByteRange(tag), in: stored)?.state ?? .unconfirmed) >= .confirmedNotAcknowledged
        } ?? false
    }

    /// The INVITE failed as a whole: the dialog that it would have made ends; one that it was sent in goes on.
    mutating func learnFailure(_ context: ResponseContext, status: Int, dialogs: inout DialogTable) {
        guard let did = context.did, let state = dialogs.state(did), state != .deleted else { return }
        guard context.pass.isFirst else {
            learnFailureOfPass(context, did, dialogs: &dialogs)
            return
        }
        if context.isInitial, state < .confirmedNotAcknowledged {
            cancelOrphans(did, but: .first, dialogs: &dialogs)
        }
        facts.begin()
        if context.isInitial {
            guard state < .confirmedNotAcknowledged else { return }
            oweIfAnswered(did, dialogs: dialogs)
            writeEnd(did, .failed, dialogs: dialogs)
            facts.fail(status: status)
        } else {
            if keepsBranches(of: context.leg, did, dialogs: dialogs) {
                for index in context.branches.indices {
                    pendingFact(context, index) { $0.mark(.final) }
                }
            } else {
                facts.settle(context.leg, cSeq: context.cSeq)
            }
            if loadStored(context.request), let via = try? stored.topmostVia() {
                let calleeTag = stored.copy(context.leg == .caller ? stored.toTag : stored.fromTag)
                writeInviteShift(did, context.leg, cSeq: context.cSeq, calleeTag: calleeTag, dialogs: dialogs)
                let rejected = rejection(cSeq: context.cSeq, branch: via.branch, in: stored.bytes)
                facts.reject(context.leg, mark: rejected)
            }
        }
        learn(did, dialogs: &dialogs)
        payOwedEnds(dialogs: &dialogs)
    }

    /// What names a refused re-INVITE in the record, so that any node knows its ACK, which has the same branch
    /// (§17.1.1.3).
    func rejection(cSeq: UInt32, branch: ByteRange, in bytes: [UInt8]) -> UInt64 {
        var stream = hash.begin()
        stream.combine(bytes, branch)
        return UInt64(cSeq) << 32 | stream.finish() & 0xffff_ffff
    }

    /// The dialog is over. Where nobody tells of ends, its tombstone has nothing to keep for that.
    mutating func writeEnd(_ did: DialogID, _ flags: RecordFlags, dialogs: DialogTable) {
        facts.reach(.deleted)
        facts.raise(settings.tellsEvents ? flags : flags.union(.toldEnd))
        var times = RecordView.Times()
        times.endedMilliseconds = max(1, age(did, dialogs: dialogs))
        facts.times(times)
    }

    /// The first answer has come, as far as is known here.
    mutating func writeAnswered(_ did: DialogID, dialogs: DialogTable) {
        var times = RecordView.Times()
        times.answeredMilliseconds = max(1, age(did, dialogs: dialogs))
        facts.times(times)
    }

    // MARK: BYE

    /// A party's BYE ends the dialog as it passes; of several dialog-outs that live, only its own.
    mutating func learnBye(_ did: DialogID, _ leg: Leg, dialogs: inout DialogTable) {
        if wasMadeHere() { return }
        let calleeTag = leg == .caller ? message.toTag : message.fromTag
        let bytes = message.bytes
        let goesOn = dialogs.view(did) { Self.livesWithout(bytes, calleeTag, $0, $1) } ?? false
        if !goesOn { cancelOrphans(did, dialogs: &dialogs) }
        facts.begin()
        if goesOn {
            facts.out(bytes, calleeTag) { $0.reach(.deleted) }
        } else {
            writeEnd(did, leg == .caller ? .byeFromCaller : .byeFromCallee, dialogs: dialogs)
        }
        learn(did, dialogs: &dialogs)
    }

    /// The BYE at hand is one of the cluster's, and comes by again on its way through a server: whoever made it ends
    /// the dialog when both sides have answered, and its heir has the other side still to tell.
    private mutating func wasMadeHere() -> Bool {
        guard message.count(of: .via) > 1 else { return false }
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        return vias.contains { via in
            if case .generated = Branch(message.bytes, via.branch, mark: settings.mark) { return true }
            return false
        }
    }

    /// Whether the call goes on when the dialog-out with this To tag ends: another callee has answered as well, or,
    /// while nobody has, the INVITE is pending, here or at a server behind that tries one phone after another.
    private static func livesWithout(
        _ tags: [UInt8], _ calleeTag: ByteRange, _ view: RecordView, _ stored: [UInt8]
    ) -> Bool {
        let isAnswered = view.state >= .confirmedNotAcknowledged
        var goesOn = false
        view.forEachOut(in: stored) { out in
            guard let state = out.state, state != .deleted, !isAnswered || state >= .confirmedNotAcknowledged,
                !Text.same(stored, out.toTag, tags, calleeTag)
            else { return }
            goesOn = true
        }
        guard !isAnswered, !goesOn else { return goesOn }
        return hasOpenPending(view, stored, view.inviteCSeq)
    }

    /// The dialog ends with the last of its dialog-outs.
    package mutating func learnSpent(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        cancelOrphans(did, dialogs: &dialogs)
        facts.begin()
        // Whoever missed why the last one ended must know it with the end (R15).
        writeEnd(did, dialogs.flags(did)?.intersection(.interrupted) ?? [], dialogs: dialogs)
        learn(did, dialogs: &dialogs)
    }

    // MARK: ACK and CANCEL

    /// The ACK for a 2xx settles its INVITE: answers, Via stacks and branches are dropped from the record. While a
    /// branch is open, as far as is known here, they stay: should its owner die, an heir has to cancel it.
    mutating func learnAcknowledgement(_ did: DialogID, _ plan: RequestPlan, dialogs: inout DialogTable) {
        guard let state = dialogs.state(did), state != .deleted else { return }
        let bytes = message.bytes
        let calleeTag = plan.leg == .caller ? message.toTag : message.fromTag
        guard let known = dialogs.view(did, { Self.look(at: $0, $1, bytes, calleeTag, plan.cSeq.number) }) else {
            return
        }
        let (isInitial, isBare) = (known.isInitial, known.isBare)
        let (requestURI, to) = (message.requestURI, message.first(.to)?.value)
        facts.begin()
        let confirms = plan.leg == .caller && isInitial
        if confirms { facts.reach(.confirmed) }
        // An ACK is proof of the 2xx: if that is still on its way here, the early timeout must not outlive it.
        if isInitial, !mutated("ack-without-deadline") {
            if let deadline = known.deadline, deadline.generation > 0 {
                facts.deadline(deadline)  // Whoever missed the patch that set it has it with this one.
            } else {
                guessDeadline(did, dialogs: dialogs)
            }
        }
        // An ACK that ignores its route set names us (S3-27).
        var namesUs = true
        if isBare, let uri = message.parsedRequestURI { namesUs = isOwn(uri, in: bytes) }
        var way = ByteWriter()
        if isBare, passedBefore(plan) == nil { writeRoutesLeft(plan, into: &way) }
        if confirms {
            if !known.isOpen { facts.settle(.caller, cSeq: plan.cSeq.number) }
            if state < .confirmedNotAcknowledged { writeAnswered(did, dialogs: dialogs) }
            facts.out(bytes, calleeTag) { out in
                out.reach(.confirmed)
                // The 2xx went by unseen: the ACK names where the callee is, and the way there (RFC 3261 §12.2.1.1);
                // CSeq 0 yields to the 2xx.
                if isBare, !namesUs {
                    out.side { side in
                        side.target { target in
                            target.put(.contact, bytes, requestURI)
                            if !way.isEmpty { target.put(.routes, way.bytes) }
                        }
                    }
                }
                out.acknowledge(cSeq: plan.cSeq.number)
                if isBare, !namesUs, let to { out.put(.to, bytes, to) }
            }
        } else if !keepsBranches(of: plan.leg, did, dialogs: dialogs) {
            facts.settle(plan.leg, cSeq: plan.cSeq.number)
            writeInviteShift(
                did, plan.leg, cSeq: plan.cSeq.number, calleeTag: message.copy(calleeTag), dialogs: dialogs)
        }
        learn(did, dialogs: &dialogs)
        stopResending(did)
    }

    /// What an ACK's facts depend on.
    private struct Acknowledged {
        /// It is of the INVITE that made the dialog.
        var isInitial: Bool
        var deadline: RecordView.Deadline?
        /// Nothing says where its callee is.
        var isBare: Bool
        /// A branch of that INVITE has had no final answer.
        var isOpen: Bool
    }

    private static func look(
        at view: RecordView, _ stored: [UInt8], _ tags: [UInt8], _ calleeTag: ByteRange, _ cSeq: UInt32
    ) -> Acknowledged {
        let out = view.out(toTag: tags, calleeTag, in: stored)
        return Acknowledged(
            isInitial: view.inviteCSeq == cSeq, deadline: view.deadline, isBare: out?.side.contact.isEmpty ?? true,
            isOpen: hasOpenPending(view, stored, cSeq))
    }

    /// All branches of the caller's INVITE have ended.
    package mutating func learnSettled(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        facts.begin()
        facts.settle(.caller, cSeq: dialogs.view(did) { view, _ in view.inviteCSeq } ?? 0)
        learn(did, dialogs: &dialogs)
    }

    mutating func learnCancelled(_ context: ResponseContext, dialogs: inout DialogTable) {
        guard let did = context.did, let state = dialogs.state(did), state != .deleted else { return }
        facts.begin()
        if context.isInitial, context.pass.isFirst {
            guard state < .confirmedNotAcknowledged else { return }
            facts.raise(.cancelled)
        } else {
            for index in context.branches.indices {
                pendingFact(context, index) { $0.mark(.cancelled) }
            }
        }
        learnReason(context)
        learn(did, dialogs: &dialogs)
    }
}
