// Telling of life events (`LifeEvent`): what is due by the record, whose turn it is, and the flag afterwards.

import Cluster
import Dialogs
package import Primitives
package import Proxy

/// When this node looks at dialogs whose events nobody has told yet.
struct TellingTimes: Sendable {
    private var wheel: TimerWheel
    private var timers: [DialogID: TimerID] = [:]

    init(origin: Instant) { wheel = TimerWheel(origin: origin) }

    var next: Instant? { timers.isEmpty ? nil : wheel.next }

    mutating func schedule(_ did: DialogID, at moment: Instant) {
        if let timer = timers[did] { wheel.cancel(timer) }
        timers[did] = wheel.schedule(did.rawValue, at: moment)
    }

    mutating func cancel(_ did: DialogID) {
        if let timer = timers.removeValue(forKey: did) { wheel.cancel(timer) }
    }

    mutating func takeDue(now: Instant, into dids: inout [DialogID]) {
        var tokens: [UInt64] = []
        wheel.advance(to: now, due: &tokens)
        for token in tokens {
            let did = DialogID(rawValue: token)
            timers[did] = nil
            dids.append(did)
        }
    }
}

/// What was told of a dialog, and not confirmed.
struct Telling: Sendable {
    /// Dialogs that may wait at once; beyond it nothing is told until others are confirmed.
    static let limit = 65_536
    /// What nobody has confirmed by then is told again.
    static let patience: Duration = .seconds(10)

    var flags: RecordFlags = []
    var until = Instant.zero
}

extension LifeEvent.Kind {
    /// The fact that it was told.
    var flag: RecordFlags {
        switch self {
        case .start: .toldStart
        case .timeout: .toldTimeout
        case .end, .failed: .toldEnd
        }
    }
}

extension Node {
    /// A record has changed: what it shows may have to be told. Without `dialogs.events` that is one comparison.
    mutating func noteLife(_ did: DialogID, now: Instant) {
        guard settings.dialogs.tellsEvents else { return }
        tellLife(did, now: now)
    }

    mutating func tellDueLife(now: Instant) {
        guard let next = tellingTimes.next, next <= now else { return }
        var dids: [DialogID] = []
        tellingTimes.takeDue(now: now, into: &dids)
        for did in dids { tellLife(did, now: now) }
    }

    private mutating func tellLife(_ did: DialogID, now: Instant) {
        guard let changed = store.dialogs.changedAt(did), var due = dueEvents(did), !due.isEmpty else {
            unconfirmed[did] = nil
            return tellingTimes.cancel(did)
        }
        if let telling = unconfirmed[did], now < telling.until {
            due.removeAll { telling.flags.contains($0.flag) }
            if due.isEmpty { return tellingTimes.schedule(did, at: telling.until) }
        }
        guard let rank = cluster.rank(did: did.rawValue, home: homeName(did)) else {
            return tellingTimes.schedule(did, at: now.advanced(by: Self.lookAgain))
        }
        let waits = rank > 0 || due.contains(.end) || due.contains(.failed)
        let wait = settings.takeover.settle + settings.takeover.stagger * min(rank, Ranking.waitLimit)
        let moment = waits ? max(changed, rank > 0 ? fitSince : changed).advanced(by: wait) : now
        guard now >= moment else { return tellingTimes.schedule(did, at: moment) }
        guard awaitsConfirmation else {
            tellingTimes.cancel(did)
            tell(due, of: did, now: now)
            if mutated("told-not-joined") {
                unconfirmed[did] = Telling(flags: RecordFlags(due.map(\.flag)), until: .distantFuture)
                return
            }
            return mark(did, RecordFlags(due.map(\.flag)), now: now)
        }
        guard unconfirmed[did] != nil || unconfirmed.count < Telling.limit else {
            counters.eventsPutOff += 1
            return tellingTimes.schedule(did, at: now.advanced(by: Self.lookAgain))
        }
        var telling = unconfirmed[did] ?? Telling()
        for kind in due where telling.flags.contains(kind.flag) { counters.eventsRepeated += 1 }
        telling.flags.formUnion(RecordFlags(due.map(\.flag)))
        telling.until = now.advanced(by: Telling.patience)
        unconfirmed[did] = telling
        tellingTimes.schedule(did, at: telling.until)
        tell(due, of: did, now: now)
    }

    /// Whoever was told of an event has it, and will have it after a crash of its own: nobody tells it any more.
    package mutating func confirm(_ event: LifeEvent, now: Instant, into out: inout Outbox) {
        guard let did = DialogID(hex: event.dialog.did), var telling = unconfirmed[did],
            telling.flags.contains(event.kind.flag)
        else { return }  // The record is gone, or another node was faster.
        telling.flags.remove(event.kind.flag)
        unconfirmed[did] = telling.flags.isEmpty ? nil : telling
        begin(&out)
        mark(did, event.kind.flag, now: now)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    /// What the record shows and nobody has told, as far as is known here.
    private func dueEvents(_ did: DialogID) -> [LifeEvent.Kind]? {
        store.dialogs.view(did) { view, bytes in
            var due: [LifeEvent.Kind] = []
            let isOver = view.state == .deleted
            let isAnswered =
                isOver ? view.times(in: bytes).answeredMilliseconds > 0 : view.state >= .confirmedNotAcknowledged
            if isAnswered, !view.flags.contains(.toldStart) { due.append(.start) }
            if isAnswered, view.flags.contains(.timedOut), !view.flags.contains(.toldTimeout) { due.append(.timeout) }
            if isOver, !view.flags.contains(.toldEnd) { due.append(isAnswered ? .end : .failed) }
            // What a tombstone was told to have ended tells nothing more: it has nothing left to tell.
            return view.flags.contains(.toldEnd) ? [] : due
        }
    }

    private mutating func tell(_ due: [LifeEvent.Kind], of did: DialogID, now: Instant) {
        guard let report = dialog(did, now: now) else { return }
        for kind in due {
            let since: UInt64 =
                switch kind {
                case .start: report.answeredMilliseconds
                case .timeout: report.deadlineMilliseconds
                case .end, .failed: report.endedMilliseconds
                }
            let after = since > 0 ? Int64(clamping: since) : report.ageMilliseconds
            lifeEvents.append(
                LifeEvent(
                    kind: kind, dialog: report, node: settings.node.name,
                    unixMilliseconds: Int64(clamping: report.bornUnixMilliseconds) &+ after))
            counters.eventsTold += 1
        }
    }

    /// They were told: a fact.
    private mutating func mark(_ did: DialogID, _ flags: RecordFlags, now: Instant) {
        guard store.dialogs.contains(did) else { return }
        var facts = FactsWriter()
        facts.raise(flags)
        do {
            let learned = try store.dialogs.learn(did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: now)
            guard learned.outcome == .changed else { return }
        } catch {
            return counters.eventsUnmarked += 1
        }
        publish(facts, of: did)
    }

    /// Which kinds of moments programs in this process are told of: they stand in `Outbox.moments`, and those of the
    /// life, with `dialogs.events`, in `Outbox.events`.
    package var watchedMoments: DialogMoments {
        get { proxy.watched }
        set {
            proxy.watched = newValue
            store.tellsForgotten = newValue.contains(.destroyed)
        }
    }

    /// What has happened goes to the programs.
    mutating func tellPrograms(_ out: inout Outbox) {
        out.events += lifeEvents
        lifeEvents.removeAll(keepingCapacity: true)
        out.requests += asked.events
        asked.events.removeAll(keepingCapacity: true)
        out.moments += proxy.moments
        proxy.moments.removeAll(keepingCapacity: true)
        for did in store.forgotten { out.moments.append(DialogMoment(.destroyed, did)) }
        store.forgotten.removeAll(keepingCapacity: true)
    }

    /// Sends a patch that was joined here.
    mutating func publish(_ facts: FactsWriter, of did: DialogID) {
        let start = proxy.effects.arena.count
        proxy.effects.arena.put(facts.bytes)
        proxy.effects.items.append(.patch(did, ByteRange(start: start, end: proxy.effects.arena.count)))
    }
}
