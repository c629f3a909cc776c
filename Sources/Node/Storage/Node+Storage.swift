// What the node has to do with its storage: it notes what changes, hands records out in batches when they are due, and
// takes in what was stored when the cluster begins anew. `StorageState` decides when; nothing waits for it.
//
// A dialog is stored from its answer on, as Kamailio does it: what rings when all nodes end at once has no transaction
// to go back to. Its tombstone is stored as well, for as long as it is kept: another disk may have it live.
//
// Contacts are not stored: phones register again.

import Cluster
import Dialogs
package import Primitives
import Proxy

extension Node {
    /// - Parameter knownUntil: Until when the storage knows all, in Unix milliseconds, as it was found; 0 for an empty
    ///   one, `nil` for one that is not there yet.
    package mutating func keepRecords(knownUntil: Int64?, now: Instant) {
        storage.begin(settings.storage, knownUntil: knownUntil, now: now)
        store.tellsRemoved = storage.isOn
        cluster.hello.knownUntil = UInt64(clamping: knownUntil ?? 0)
    }

    /// A record has changed. Without storage that is one comparison.
    mutating func noteForStorage(_ did: DialogID, now: Instant) {
        guard storage.isOn, !storage.isLoading else { return }
        storage.ledger.mark(did, now: now)
    }

    /// Records that are no more.
    private mutating func noteRemoved(now: Instant) {
        guard !store.removed.isEmpty else { return }
        for did in store.removed { storage.ledger.forget(did, now: now) }
        store.removed.removeAll(keepingCapacity: true)
    }

    /// What a dead member's storage may lack is this node's to write from now on.
    mutating func inheritRow(_ did: DialogID, now: Instant) {
        guard storage.isOn, settings.storage.isShared, let home = homeName(did),
            successions.contains(where: { $0.isCounted && $0.member.name == home })
        else { return }
        storage.ledger.mark(did, now: now)
    }

    /// The first view says what is to become of what is stored.
    mutating func decideStorage(now: Instant) {
        guard storage.phase == .waiting || storage.phase == .opening, cluster.view.epoch > 0 else { return }
        let newest = cluster.members(now: now).map { Int64(clamping: $0.hello.knownUntil) }.max() ?? 0
        storage.decide(isFounder: cluster.isMember, newest: newest)
    }

    // MARK: Writing

    mutating func keepStorage(now: Instant, into out: inout Outbox) {
        guard storage.isOn else { return }
        noteRemoved(now: now)
        if let action = storage.nextAction(now: now) { out.storage.append(action) }
        if storage.isBatchDue(now: now), let batch = makeBatch(now: now) { out.storage.append(.write(batch)) }
    }

    /// - Returns: `nil` when all that had changed is worth no row.
    private mutating func makeBatch(now: Instant) -> StorageBatch? {
        var (stored, gone): ([(did: DialogID, since: Instant)], [(did: DialogID, since: Instant)]) = ([], [])
        var records: [StoredRecord] = []
        for entry in storage.takesRecords(now: now) ? storage.ledger.take() : [] {
            guard let state = store.dialogs.state(entry.did) else {
                gone.append(entry)
                continue
            }
            guard isStored(entry.did, state), let record = storedRecord(entry.did, now: now) else { continue }
            stored.append(entry)
            records.append(record)
        }
        guard !stored.isEmpty || !gone.isEmpty || storage.isStampDue(now: now) else { return nil }
        var batch = StorageBatch(number: storage.ledger.handOut(stored: stored, removed: gone))
        batch.records = records
        batch.removed = gone.map(\.did)
        batch.lagMilliseconds = storage.ledger.oldest.map { max(0, now.milliseconds(since: $0)) } ?? 0
        return batch
    }

    /// Whether a record is this node's to write, and worth a row.
    private func isStored(_ did: DialogID, _ state: DialogState) -> Bool {
        if settings.storage.isShared {
            // Who does not know who acts looks at what it is home of.
            let actor = actorName(did) ?? homeName(did)
            guard actor == settings.node.name else { return false }
        }
        if storage.ledger.rows.contains(did) { return true }
        if state == .deleted { return !(store.dialogs.flags(did)?.contains(.failed) ?? true) }
        return state >= .confirmedNotAcknowledged
    }

    private func storedRecord(_ did: DialogID, now: Instant) -> StoredRecord? {
        guard let bytes = store.dialogs.bytes(did), let age = store.dialogs.age(did, now: now) else { return nil }
        let remaining = store.dialogs.deadline(did).map { $0.milliseconds(since: now) }
        return StoredRecord(
            did: did, record: bytes, ageMilliseconds: age.wholeMilliseconds, remainingMilliseconds: remaining)
    }

    /// Everything that is to be stored goes now, since the process is about to end.
    package mutating func flushStorage(now: Instant, into out: inout Outbox) {
        guard storage.isOn else { return }
        // Of a database that others go on with, what this node holds is theirs to write at their end.
        let isAlone = !settings.storage.isShared || cluster.servingPeerCount == 0
        if settings.storage.mode == .shutdown, isAlone {
            var position: UInt32?
            while let (slot, did) = store.dialogs.next(after: position) {
                position = slot
                storage.ledger.mark(did, now: now)
            }
        }
        storage.flush()
        advance(to: now, into: &out)
    }

    /// Nothing is left that could be stored.
    package var isStorageFlushed: Bool { storage.isFlushed }

    // MARK: What comes back

    package mutating func receive(storage outcome: StorageOutcome, now: Instant, into out: inout Outbox) {
        begin(&out)
        switch outcome {
        case .opened(let knownUntil):
            cluster.hello.knownUntil = UInt64(clamping: knownUntil)
            storage.opened(knownUntil: knownUntil)
        case .written(let number, let loss): written(number, loss, now: now)
        case .notWritten(let number, let why):
            if storage.ledger.failed(number) { tellFailing(why) { $0.failedToWrite(now: now) } }
        case .read(let records, let isLast):
            let last = records.last?.did
            load(records, now: now)
            storage.read(after: last, isLast: isLast || last == nil)
        case .heldBack(let count):
            storage.held(count, now: now)
            tellLoaded()
        case .moduleRows(let page):
            takeOver(page, now: now)
            storage.tookOver(last: page.last, isLast: page.isLast)
            if storage.phase == .keeping || storage.phase == .emptying { tellTakenOver() }
        case .emptied: storage.emptied()
        case .due(let records, let heldBack):
            storage.due(heldBack: heldBack)
            release(records, now: now)
        case .found(let record):
            // What this node has written itself it does not take for news: it has ended here.
            if let record, !storage.ledger.rows.contains(record.did) { release([record], now: now) }
        case .notFound(_, let count): storage.counters.failures += UInt64(count)
        case .failed(let why): tellFailing(why) { $0.failed(now: now) }
        }
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    private mutating func written(_ number: UInt64, _ loss: ModuleLoss, now: Instant) {
        let (before, rows) = (storage.ledger.count, storage.ledger.rows.count)
        guard storage.ledger.written(number) else { return }
        storage.counters.moduleCut += UInt64(loss.cut)
        storage.counters.moduleLeftOut += UInt64(loss.leftOut)
        storage.counters.batches += 1
        let gone = rows - storage.ledger.rows.count
        storage.counters.rowsRemoved += UInt64(gone)
        storage.counters.recordsWritten += UInt64(before - storage.ledger.count - gone)
        if storage.succeeded(now: now) {
            notesDue.append(
                Note(.notice, "the storage is written again", [("records", String(storage.ledger.count))]))
        }
    }

    private mutating func tellFailing(_ why: String, _ fail: (inout StorageState) -> Void) {
        let hadFailed = storage.isFailing
        fail(&storage)
        guard !hadFailed else { return }
        notesDue.append(
            Note(.warning, "the storage does not do what it is asked; it is asked again", [("why", why)]))
    }

    private mutating func tellLoaded() {
        let counters = storage.counters
        guard counters.loaded > 0 || storage.heldBack > 0 else { return }
        notesDue.append(
            Note(
                .notice, "records were taken from the storage",
                [
                    ("records", String(counters.loaded)), ("expired", String(counters.expired)),
                    ("held-back", String(storage.heldBack)),
                ]))
    }

    /// Rows that are as good as what the members know.
    private mutating func load(_ records: [StoredRecord], now: Instant) {
        for record in records where join(record, now: now) {
            storage.counters.loaded += 1
            storage.ledger.know(record.did)
            // From now on it lies for as long as it does: until then the clock would have to catch up first.
            if record.isAhead { storage.ledger.mark(record.did, now: now) }
        }
        // They need not be written again; what follows from them must.
        storage.isLoading = true
        lookAtTouched(now: now)
        storage.isLoading = false
    }

    /// Rows that were held back, and are asked for or at their end. Whoever is heard says first what it knows: the call
    /// may have ended a moment ago, and its tombstone be with others only.
    private mutating func release(_ records: [StoredRecord], now: Instant) {
        for record in records where !store.dialogs.contains(record.did) {
            guard storage.hold(record, now: now) else { continue }
            cluster.question(record.did.rawValue, store: store, now: now, out: &clusterActions)
        }
    }

    /// The others have said what they know of a dialog: a row of it that none of them knows comes to life, and they
    /// hear of it.
    mutating func releaseHeld(_ did: DialogID, now: Instant) {
        guard let record = storage.takeHeld(did, now: now), !store.dialogs.contains(did) else { return }
        guard join(record, now: now) else {
            // Nobody can read it, and its time is up: it would be found again each second.
            if record.remainingMilliseconds ?? 1 <= 0 { storage.ledger.mark(did, now: now) }
            return
        }
        storage.counters.released += 1
        storage.ledger.know(did)
        storage.ledger.mark(did, now: now)
        proxy.effects.items.append(.put(did))
    }

    /// - Returns: Whether there is a record of it now.
    mutating func join(_ record: StoredRecord, now: Instant) -> Bool {
        let outcome = store.join(
            record.did.rawValue, RawSpan(_elements: record.record.span), ageMilliseconds: record.ageMilliseconds,
            now: now)
        guard outcome == .applied || outcome == .unchanged else {
            storage.counters.unreadable += 1
            return false
        }
        if store.isTombstone(record.did.rawValue) {
            cluster.bury(record.did.rawValue, store: &store, now: now)
        } else if let deadline = store.dialogs.deadline(record.did), deadline <= now {
            storage.counters.expired += 1
        }
        return true
    }
}
