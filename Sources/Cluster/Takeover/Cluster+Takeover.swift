// Who acts for a dialog, and asking before acting (R1).
//
// A witness holds no record and is not asked: the majority is one of those members that hold records.
//
// Grants and refusals are published, so they share frames; an answer names the asker and the deadline that it is about.
// Only a member that is up answers, and only to a member of its view; it grants only when it is fit. An asker counts
// grants of its own view, its own among them, none older than half the intent's life: whoever granted will not take a
// refresh for that long.

internal import Primitives

extension Cluster {
    /// How many fit members act for the dialog before us; `nil` when we are not fit.
    package func rank(did: UInt64, home: String?) -> Int? {
        guard isFit else { return nil }
        return ranking.rank(of: localMember.name, for: did, first: home)
    }

    /// Who acts for the dialog now, as this node sees it.
    package func actor(did: UInt64, home: String?) -> String? { ranking.best(for: did, first: home) }

    /// Publishes a question, with our own answer to it.
    mutating func raise(
        _ intent: Intent, store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) {
        guard state.isServing, isMember else { return }
        switch store.consider(intent, now: now) {
        case .grant: _ = asks.grant(IntentAnswer(to: intent, from: localMember), by: localMember, at: now)
        case .refuse:
            if asks.close(intent.did) { out.append(.refused(did: intent.did)) }
            return
        case .silent: break
        }
        if conclude(intent.did, now: now, out: &out) { return }
        counters.asks += 1
        if !outbound.append(.intent, now: now, { intent.write(into: &$0) }) { counters.unsentEntries += 1 }
    }

    mutating func askAgain(store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions) {
        guard let next = asks.nextDeadline, next <= now else { return }
        for intent in asks.due(now, interval: settings.askInterval) {
            raise(intent, store: &store, now: now, out: &out)
        }
    }

    /// A peer asks; we answer what our record says, or nothing.
    mutating func answer(
        _ intent: Intent, from asker: MemberID, store: inout some ReplicatedRecords, now: Instant
    ) {
        guard state.isServing && isMember && view.contains(asker) || mutated("grant-of-joiner") else { return }
        let answer = IntentAnswer(to: intent, from: asker)
        switch store.consider(intent, now: now) {
        case .silent: return
        case .grant:
            // Who has just heard the others again may not know yet what they committed without it (R9).
            guard isFit || mutated("grant-unfit") || mutated("grant-of-joiner") else { return }
            counters.grantsGiven += 1
            if !outbound.append(.grant, now: now, { answer.write(into: &$0) }) { counters.unsentEntries += 1 }
        case .refuse:
            counters.refusalsGiven += 1
            scratch.removeAll()
            guard let age = store.write(intent.did, into: &scratch, now: now) else { return }
            let sent = outbound.append(.refuse, now: now) { [scratch] writer in
                answer.write(into: &writer, age: age, record: RawSpan(_elements: scratch.bytes.span))
            }
            guard !sent else { return }
            // Its record fits no frame: the asker fetches what we know better.
            counters.unsentEntries += 1
            if !outbound.append(.refuse, now: now, { answer.write(into: &$0) }) { counters.unsentEntries += 1 }
        }
    }

    mutating func granted(
        _ answer: IntentAnswer, by member: MemberID, at sent: Instant, now: Instant, out: inout ClusterActions
    ) {
        guard answer.asker == localMember, view.contains(member) || mutated("grant-of-joiner") else { return }
        guard asks.grant(answer, by: member, at: min(sent, now)) else { return }
        _ = conclude(answer.did, now: now, out: &out)
    }

    private mutating func conclude(_ did: UInt64, now: Instant, out: inout ClusterActions) -> Bool {
        let since = now.advanced(by: .zero - settings.intentLife / 2)
        guard isMember, isFit, asks.isGranted(did, by: holders, since: since), asks.close(did) else { return false }
        out.append(.granted(did: did))
        return true
    }
}
