// How long a dialog lives: its deadline, which a confirmation sets, refreshes move and ends bring near (R2b).
//
//   generation     0            1 … 2³¹−1                                    2³¹ and above
//                  ringing      confirmed; one more for each shortening      somebody asked for the end
//                               and for each session timer given up
//
// Of two deadlines the one with the higher generation counts, else the later. So a refresh, which stays in the
// generation it finds, never loses against an older one, on whichever node; a shortening takes the next generation, or
// the deadline before it would win. An end that an operator asked for is above all of that: what refreshes the dialog
// meanwhile writes nothing, and what another node wrote at the same moment does not void it. An end that follows from
// what the cluster has seen or missed (a keep-alive that failed, an ACK that never came) is a shortening: a refresh
// that comes all the same proves it wrong.
//
// A shortening that meets a refresh which came after it, on a node that had not heard of the shortening, does not void
// that one: who knows the refresh writes it again in the generation of the shortening (`repeatRefresh`).
//
// A session timer (RFC 4028) is agreed on with every answer anew. While there is one, the dialog's own lifetime is kept
// beside it, and a 2xx to INVITE or UPDATE without Session-Expires gives it back.

package import Dialogs
package import Primitives
import SIP

/// What a 2xx says of the session's end.
enum SessionWord: Equatable {
    /// Nothing: it is no answer to an INVITE or UPDATE.
    case none
    /// The session ends so many milliseconds after it, unless it is refreshed.
    case expires(UInt64)
    /// The session does not expire (RFC 4028 §7.2, §8.2).
    case endless
}

extension Proxy {
    /// What a 2xx to this method says (RFC 4028 §8.2). A day is enough, or the configured lifetime where that is
    /// longer: a record must not outlive its phones because one of them wrote a large number. What cannot be read is
    /// absent.
    func sessionWord(_ method: Method) -> SessionWord {
        guard method == .invite || method == .update else { return .none }
        guard let agreed = (try? message.sessionExpires()) ?? nil, agreed.seconds > 0 else { return .endless }
        let limit = max(86_400_000, settings.lifetime.wholeMilliseconds)
        return .expires(min(UInt64(agreed.seconds) * 1_000, UInt64(limit)))
    }

    /// The deadline after a confirmation or a refresh. A confirmation opens generation 1, so that the early timeout,
    /// which may be the later one, no longer counts.
    /// - Parameters:
    ///   - calleeTag: Names the dialog-out that the 2xx is of, in the message at hand.
    ///   - answeredAt: When the first copy of the 2xx came here.
    /// - Returns: Whether the dialog lives on for it.
    @discardableResult
    mutating func writeDeadline(
        _ did: DialogID, _ word: SessionWord, calleeTag: ByteRange, answeredAt: Instant? = nil, dialogs: DialogTable
    ) -> Bool {
        let (known, isKept) =
            dialogs.view(did) { view, stored in
                (view.deadline, view.property(.keepsDeadline, in: stored) ?? settings.keepsDeadline)
            } ?? (nil, false)
        if let known, known.isExplicitEnd || isKept && known.generation > 0 { return false }
        if isEndAsked(did, dialogs: dialogs) {
            facts.deadline(ended(known, isAsked: true, did, dialogs: dialogs))
            return false
        }
        let own = ownLifetime(known)
        var next = RecordView.Deadline()
        switch word {
        case .none:
            next.lifetimeMilliseconds = Self.bounded(known?.lifetimeMilliseconds ?? 0)
            if next.lifetimeMilliseconds == 0 { next.lifetimeMilliseconds = own }
            next.ordinaryMilliseconds = known?.ordinaryMilliseconds ?? 0
        case .expires(let milliseconds):
            next.lifetimeMilliseconds = milliseconds
            next.ordinaryMilliseconds = own
        case .endless: next.lifetimeMilliseconds = own
        }
        next.atMilliseconds = age(did, dialogs: dialogs) + next.lifetimeMilliseconds
        next.generation = max(1, known?.generation ?? 0)
        if let known, known.generation > 0 {
            switch word {
            case .none: break
            case .expires where next.atMilliseconds < known.atMilliseconds:
                // Another callee has answered as well, whose session this one says nothing of.
                if hasOtherAnswer(did, calleeTag, dialogs: dialogs) { return false }
                if isRepetition(did, calleeTag: calleeTag, firstAt: answeredAt, dialogs: dialogs) { return false }
                next.generation = known.nextGeneration
            case .expires: break
            case .endless where known.ordinaryMilliseconds > 0:
                if isRepetition(did, calleeTag: calleeTag, firstAt: answeredAt, dialogs: dialogs) { return false }
                next.generation = known.nextGeneration
            case .endless: break
            }
        }
        facts.deadline(next)
        return true
    }

    /// The 2xx at hand is a repetition, of an INVITE whose answer or ACK has passed: it says what was agreed on then,
    /// and not what may have been since. A callee repeats it until the ACK comes, and an UPDATE may be answered before,
    /// of either side. Where the record was not here as the first copy passed, only this node's transaction knows. So
    /// is one of an UPDATE whose sender has begun something else since, or whose first 2xx is known by its number: a
    /// dead node's client may have repeated it, or its sender, which never had that 2xx.
    private func isRepetition(
        _ did: DialogID, calleeTag: ByteRange, firstAt: Instant?, dialogs: DialogTable
    ) -> Bool {
        guard message.toTag != message.fromTag, let cSeq = try? message.cSeq(),
            cSeq.method == .invite || cSeq.method == .update, let branch = try? message.topmostVia().branch
        else { return false }
        let leg = calleeTag == message.toTag ? Leg.caller : .callee
        let age = age(did, dialogs: dialogs)
        let waited = firstAt.map { UInt64(max(0, (now - $0).wholeMilliseconds)) } ?? 0
        return dialogs.view(did) { view, stored in
            if cSeq.number <= (leg == .caller ? view.settledCaller : view.settledCallee) { return true }
            if let known = view.deadline, known.writtenMilliseconds + waited > age + Self.ageMargin { return true }
            let side =
                leg == .caller ? view.caller : view.out(toTag: message.bytes, calleeTag, in: stored)?.side
            if let side, side.cseq > cSeq.number { return true }
            // The number of a request within the dialog is a fact of its 2xx.
            guard cSeq.method == .invite else { return side?.cseq == cSeq.number }
            var isAnswered = false
            view.forEachPending(in: stored) { pending in
                guard pending.leg == leg, pending.cseq == cSeq.number, pending.progress.contains(.final) else {
                    return
                }
                if Text.same(stored, pending.branch, message.bytes, branch) { isAnswered = true }
            }
            return isAnswered
        } ?? false
    }

    /// An ACK came whose 2xx is not known here: the early timeout must not outlive it. What the 2xx says itself is on
    /// its way in generation 1, and this guess, which knows of no session timer, must not outvote it; so it stays in
    /// generation 0 where it is the later one.
    mutating func guessDeadline(_ did: DialogID, dialogs: DialogTable) {
        let known = dialogs.view(did) { view, _ in view.deadline } ?? nil
        var next = RecordView.Deadline()
        next.lifetimeMilliseconds = ownLifetime(known)
        next.atMilliseconds = age(did, dialogs: dialogs) + next.lifetimeMilliseconds
        next.generation = next.atMilliseconds > known?.atMilliseconds ?? 0 ? 0 : 1
        facts.deadline(next)
    }

    /// A peer's shortening has taken the place of the deadline that was known here. Where that came of a later 2xx,
    /// which the peer had not heard of, it is what the phones have agreed on last, and is written again in the
    /// shortening's generation. The end of a call that was never acknowledged or whose phone is gone stands.
    package mutating func repeatRefresh(
        _ did: DialogID, _ lost: RecordView.Deadline, now: Instant, dialogs: inout DialogTable
    ) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let isEnd =
            dialogs.view(did) { view, _ in
                view.state != .confirmed || view.flags.contains(.endedByKeepAlive)
            } ?? true
        guard !isEnd, let known = dialogs.view(did, { view, _ in view.deadline }) ?? nil, !known.isExplicitEnd,
            lost.generation > 0, lost.generation < known.generation, lost.atMilliseconds > known.atMilliseconds,
            lost.writtenMilliseconds > known.writtenMilliseconds + Self.ageMargin
        else { return }
        var next = lost
        next.generation = known.generation
        facts.begin()
        facts.deadline(next)
        learn(did, dialogs: &dialogs)
    }

    /// A deadline was written here by an age that a peer has corrected since: of two copies of one INVITE each had
    /// begun the dialog, or its record came out of a backlog. Whoever counts from the true birth has it too early. It
    /// is written again, as the moment that it was when the phones were told of it.
    package mutating func correctDeadline(
        _ did: DialogID, _ deadline: RecordView.Deadline, now: Instant, dialogs: inout DialogTable
    ) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let known = dialogs.view(did, { view, _ in view.deadline }) ?? nil,
            known.generation == deadline.generation, known.atMilliseconds < deadline.atMilliseconds
        else { return }
        facts.begin()
        facts.deadline(deadline)
        learn(did, dialogs: &dialogs)
    }

    /// Milliseconds by which two nodes may differ in a dialog's age.
    private static let ageMargin: UInt64 = 100

    /// The dialog lives for so long from now on, or, while it rings, from its answer on; and later refreshes give it as
    /// much. What was agreed on by a session timer counts again with the next answer that says so.
    ///
    /// While it rings, the deadline is that of the ringing; it moves by a millisecond, so that of two lifetimes the one
    /// that was set later stands.
    package mutating func setLifetime(
        _ did: DialogID, milliseconds: UInt64, now: Instant, dialogs: inout DialogTable
    ) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let state = dialogs.state(did), state != .deleted else { return }
        let known = (dialogs.view(did) { view, _ in view.deadline } ?? nil) ?? RecordView.Deadline()
        guard !known.isExplicitEnd else { return }
        var next = known
        next.lifetimeMilliseconds = Self.bounded(milliseconds)
        if state < .confirmedNotAcknowledged {
            next.atMilliseconds += 1
        } else {
            next.ordinaryMilliseconds = 0
            next.atMilliseconds = age(did, dialogs: dialogs) + next.lifetimeMilliseconds
            next.generation = max(1, known.generation)
            if next.atMilliseconds < known.atMilliseconds { next.generation = known.nextGeneration }
        }
        facts.begin()
        facts.deadline(next)
        learn(did, dialogs: &dialogs)
    }

    /// The deadline is now, in the next generation; `isAsked` for: in one that nothing voids. Of an end that was asked
    /// for before, that stands.
    package mutating func shortenDeadline(
        _ did: DialogID, flags: RecordFlags, isAsked: Bool, now: Instant, dialogs: inout DialogTable
    ) {
        self.now = now
        shortenDeadline(did, flags: flags, isAsked: isAsked, dialogs: &dialogs)
        replayQueued(dialogs: &dialogs)
    }

    mutating func shortenDeadline(_ did: DialogID, flags: RecordFlags, isAsked: Bool, dialogs: inout DialogTable) {
        let known = dialogs.view(did) { view, _ in view.deadline } ?? nil
        facts.begin()
        if !(known?.isExplicitEnd ?? false) {
            facts.deadline(ended(known, isAsked: isAsked, did, dialogs: dialogs))
        }
        facts.raise(flags)
        learn(did, dialogs: &dialogs)
    }

    private func ended(_ known: RecordView.Deadline?, isAsked: Bool, _ did: DialogID, dialogs: DialogTable)
        -> RecordView.Deadline
    {
        var next = known ?? RecordView.Deadline()
        next.generation = next.nextGeneration
        if isAsked { next.generation |= RecordView.Deadline.explicitEnd }
        next.atMilliseconds = age(did, dialogs: dialogs)
        return next
    }

    private func isEndAsked(_ did: DialogID, dialogs: DialogTable) -> Bool {
        dialogs.flags(did)?.contains(.endedByOperator) ?? false
    }

    func age(_ did: DialogID, dialogs: DialogTable) -> UInt64 {
        UInt64(max(0, dialogs.age(did, now: now)?.wholeMilliseconds ?? 0))
    }

    /// The lifetime without any session timer: the dialog's own, or, where none was set, the configured one.
    private func ownLifetime(_ known: RecordView.Deadline?) -> UInt64 {
        let set = known.map { $0.ordinaryMilliseconds > 0 ? $0.ordinaryMilliseconds : $0.lifetimeMilliseconds } ?? 0
        return Self.bounded(set == 0 ? UInt64(max(0, settings.lifetime.wholeMilliseconds)) : set)
    }

    /// A lifetime in a record may be a peer's mistake of any size.
    private static func bounded(_ milliseconds: UInt64) -> UInt64 { min(milliseconds, UInt64(Int64.max / 1_000_000)) }

    /// A dialog-out other than this one is in a call.
    private func hasOtherAnswer(_ did: DialogID, _ calleeTag: ByteRange, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, stored in
            var found = false
            view.forEachOut(in: stored) { out in
                guard out.state == .confirmedNotAcknowledged || out.state == .confirmed else { return }
                if !Text.same(stored, out.toTag, message.bytes, calleeTag) { found = true }
            }
            return found
        } ?? false
    }
}
