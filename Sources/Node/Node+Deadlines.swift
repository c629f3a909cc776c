// Deadline decides, when a dialog's time is up, whether this node ends it (Architecture, "Three ideas").
//
//     armed ──deadline + settle + rank × stagger──▶ asking ──majority grants──▶ BYEs ──every leg ended──▶ tombstone
//       ▲                                             │
//       └── refused: somebody knew better; or nothing for intent-life: looked at again ──┘
//
// A deadline that passed before this node became fit counts from then, and has its turn (OverdueEnds); one that had
// passed when its record came counts from then. Invariants: the wait is never restarted by a change of view, it is
// computed again; nobody acts on a timeout; who continues after a crash uses the bytes of the intent it heard.

import Cluster
import Dialogs
import Primitives
import Proxy

extension Node {
    /// How soon a node that may not act looks again.
    static let lookAgain = Duration.milliseconds(200)

    private var settle: Duration { mutated("settle-zero") ? .zero : settings.takeover.settle }

    /// A record has changed: its deadline may have moved, and its phones may have to be asked from now on, or no more.
    mutating func noteChange(_ did: DialogID, now: Instant) {
        armDeadline(did)
        proxy.watch(did, now: now, dialogs: store.dialogs)
        noteLife(did, now: now)
        if store.dialogs.hasAsked { noteRequests(did, now: now) }
        noteForStorage(did, now: now)
    }

    /// Asks the phones of the dialogs whose moment has come, if they are this node's to act for.
    mutating func fireKeepAlives(now: Instant) {
        guard let next = proxy.keepAlives.next, next <= now else { return }
        dueDialogs.removeAll(keepingCapacity: true)
        proxy.takeDueKeepAlives(now: now, into: &dueDialogs)
        for did in dueDialogs {
            let isActor = cluster.rank(did: did.rawValue, home: homeName(did)) == 0
            proxy.keepAlive(did, isActor: isActor, now: now, dialogs: &store.dialogs)
        }
    }

    /// Arms the dialog's timer by its deadline; the settle time lets a refresh in flight be joined first (R1).
    mutating func armDeadline(_ did: DialogID) {
        guard let known = store.dialogs.glance(did), known.state != .deleted, let deadline = known.deadline else {
            store.dialogs.setTimer(did, at: nil)
            return
        }
        let moment = min(deadline, acknowledgementDue(known) ?? deadline)
        store.dialogs.setTimer(did, at: moment.advanced(by: settle))
    }

    /// A record that comes when its time is up comes to all at one moment: each has its turn from then.
    mutating func awaitTurn(_ did: DialogID, now: Instant) {
        guard let due = store.dialogs.deadline(did), due <= now,
            let rank = cluster.rank(did: did.rawValue, home: homeName(did))
        else { return }
        let wait = settle + settings.takeover.stagger * min(rank, Ranking.waitLimit)
        store.dialogs.setTimer(did, at: now.advanced(by: wait))
    }

    /// When an answered dialog without its ACK is to be ended; `nil` unless `noack_timeout` says so (S1-5).
    private func acknowledgementDue(_ known: DialogTable.Glance) -> Instant? {
        guard known.state == .confirmedNotAcknowledged, settings.dialogs.noAckTimeout > .zero else { return nil }
        return known.changedAt.advanced(by: settings.dialogs.noAckTimeout)
    }

    mutating func fireDeadlines(now: Instant) {
        guard let next = store.dialogs.nextTimer, next <= now else { return }
        dueDialogs.removeAll(keepingCapacity: true)
        store.dialogs.due(now: now, into: &dueDialogs)
        for did in dueDialogs { deadlineDue(did, now: now) }
    }

    private mutating func deadlineDue(_ did: DialogID, now: Instant) {
        guard let known = store.dialogs.glance(did), known.state != .deleted, let due = known.deadline else { return }
        guard let rank = cluster.rank(did: did.rawValue, home: homeName(did)) else {
            store.dialogs.setTimer(did, at: now.advanced(by: Self.lookAgain))
            return
        }
        let wait = settle + settings.takeover.stagger * (mutated("rank-zero") ? 0 : min(rank, Ranking.waitLimit))
        // Who was not fit when the time was up gives the others a moment to hear that it is now, and to be first.
        let moment = max(due, fitSince).advanced(by: wait)
        if let end = acknowledgementDue(known), end < due {
            if now < end.advanced(by: wait) {
                store.dialogs.setTimer(did, at: end.advanced(by: wait))
            } else {
                proxy.shortenDeadline(
                    did, flags: [], isAsked: false, now: now, dialogs: &store.dialogs)
            }
            return
        }
        if now < moment {
            store.dialogs.setTimer(did, at: moment)
            return
        }
        if known.state < .confirmedNotAcknowledged {
            expireEarly(did, now: now)
            return
        }
        askToEnd(did, rank: rank, due: due, now: now)
    }

    /// The question whether this node may end the dialog.
    private mutating func askToEnd(_ did: DialogID, rank: Int, due: Instant, now: Instant) {
        guard let deadline = store.dialogs.view(did, { view, _ in view.deadline }) ?? nil else { return }
        let life = settings.takeover.intentLife
        // BYEs under way here: the question is repeated, so that no other node takes this one for dead.
        let isEnding = proxy.isEnding(did) && !mutated("question-not-repeated")
        let heard = store.intent(did, generation: deadline.generation, milliseconds: deadline.atMilliseconds)
        // Whoever asked may have died: then the next in rank goes on, and each further one a stagger later.
        if let heard, !isEnding, !cluster.isAsking(did.rawValue) {
            let over = heard.heardAt.advanced(by: life + settings.takeover.stagger * min(rank, Ranking.waitLimit))
            guard now >= over else { return store.dialogs.setTimer(did, at: over) }
        }
        if heard == nil {
            if due < fitSince {
                // What is asked for before anybody can grant it would be granted at one moment.
                guard endsCanBeGranted else { return store.dialogs.setTimer(did, at: now.advanced(by: Self.lookAgain)) }
                if let turn = overdue.wait(now: now) { return store.dialogs.setTimer(did, at: turn) }
            }
            proxy.fixByeCSeqs(did, now: now, dialogs: &store.dialogs)
        }
        let first = mutated("own-inputs") ? nil : heard
        let payload = first?.intent.payload ?? proxy.endingPayload(did, dialogs: store.dialogs) ?? [0]
        let intent = Intent(
            did: did.rawValue, generation: deadline.generation, deadlineMilliseconds: deadline.atMilliseconds,
            payload: payload)
        counters.intentsAsked += 1
        if rank > 0, !isEnding { counters.takeovers += 1 }
        store.dialogs.setTimer(did, at: now.advanced(by: life / 2))
        trace.keep(.asked, did, now: now)
        cluster.ask(intent, store: &store, now: now, out: &clusterActions)
    }

    /// A majority has granted: the BYEs go out, unless the deadline has moved since the question.
    mutating func endGranted(_ did: DialogID, now: Instant) {
        guard let state = store.dialogs.state(did), state != .deleted,
            let deadline = store.dialogs.view(did, { view, _ in view.deadline }) ?? nil,
            let heard = store.intent(did, generation: deadline.generation, milliseconds: deadline.atMilliseconds)
        else { return }
        // The frame that brought the grant may have told, too, that the others went on without this node (R1).
        guard cluster.isFit else { return store.dialogs.setTimer(did, at: now.advanced(by: Self.lookAgain)) }
        counters.intentsGranted += 1
        trace.keep(.granted, did, now: now)
        proxy.end(did, payload: heard.intent.payload, dialogs: &store.dialogs, now: now)
    }

    /// A majority has granted, and what brought the last word has brought another view, too: of that one the words may
    /// be no majority.
    mutating func askOnceMore(_ did: DialogID, now: Instant) {
        guard let deadline = store.dialogs.view(did, { view, _ in view.deadline }) ?? nil,
            let heard = store.intent(did, generation: deadline.generation, milliseconds: deadline.atMilliseconds)
        else { return }
        cluster.ask(heard.intent, store: &store, now: now, out: &clusterActions)
    }

    /// Later deadlines have come in the place of those that this node has asked about. Where its BYEs are out that is
    /// too late: one phone has ended, or is about to, and whoever goes on when this node dies must not leave the other
    /// one in the call until then. So the end is one that no refresh voids from now on, with the bytes of the first
    /// question. It was granted by who had not heard of the refresh, and committed by who had not granted.
    mutating func keepEnds(now: Instant) {
        for intent in store.voided {
            let did = DialogID(rawValue: intent.did)
            guard proxy.isEnding(did) else { continue }
            if let deadline = store.dialogs.deadline(did), deadline > now {
                proxy.shortenDeadline(did, flags: [], isAsked: true, now: now, dialogs: &store.dialogs)
            }
            store.takeUp(intent, now: now)
        }
        store.voided.removeAll(keepingCapacity: true)
    }

    /// Every leg has answered: the record becomes a tombstone.
    mutating func endLegs(_ did: DialogID, unanswered: Bool, now: Instant) {
        cluster.cancel(did.rawValue)
        store.forgetIntent(did)
        trace.keep(.ended, did, now: now)
        proxy.bury(did, unanswered: unanswered, now: now, dialogs: &store.dialogs)
    }

    /// A ringing call that nobody answers for `early_timeout`: its owner, or heir, cancels it. Were that to fail too,
    /// the record ends after another transaction's lifetime in which nothing has changed.
    private mutating func expireEarly(_ did: DialogID, now: Instant) {
        if proxy.cancelEarly(did, flags: .timedOut, now: now, dialogs: &store.dialogs) {
            proxy.review(did, now: now, dialogs: &store.dialogs)
        }
        let end = (store.dialogs.changedAt(did) ?? now).advanced(by: settings.sip.t1 * 64 + .seconds(3))
        if now < end {
            store.dialogs.setTimer(did, at: end)
        } else {
            proxy.bury(did, now: now, dialogs: &store.dialogs)
        }
    }

    func homeName(_ did: DialogID) -> String? {
        store.dialogs.view(did) { view, bytes in
            view.home.isEmpty ? nil : String(decoding: bytes[view.homeParts(in: bytes).name.range], as: UTF8.self)
        } ?? nil
    }
}
