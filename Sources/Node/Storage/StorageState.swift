// StorageState decides when a node reads from its storage and writes to it (R5; Storage in the catalog).
//
//   off                                        no `storage.db_url`, or mode 0
//   opening ──it is there──▶ waiting
//   waiting ──founded──▶ reading ──last page──▶ holding back ──▶ (taking over) ──▶ (emptying, mode 3) ──▶ keeping
//      └──joined────────────────────────────────────▲  shared: ──────────────────────────────────────────▲
//
// Founded: the first view that this node is shown has it as a member, so nobody was up before, and what is on disks is
// all there is. Of several disks the newest counts, and those that were written until a horizon before: a row that only
// an older one has may be of a call that has ended since, whose tombstone everybody has forgotten. Joined: the members
// know better than a disk. What is not believed is held back: not live and not counted, until a request names it, or
// its deadline has passed, when its BYEs do no harm. Taking over: with a module's tables, what stands in them and is
// not among the records that were read is of a Kamailio that was there before.
//
// Nothing is written before all this is done. What cannot be done is tried again, later and later, `retryLongest` at
// most, for as long as the process runs.

import Dialogs
import Primitives

struct StorageState: Sendable {
    enum Phase: Equatable, Sendable {
        case off, opening, waiting
        case reading(after: DialogID?)
        case holdingBack
        case takingOver(after: Int64)
        case emptying, keeping
    }

    /// How far behind the newest a disk may be: as long as a tombstone is kept, and so stands in the newer one.
    static let horizonMilliseconds: Int64 = 60_000
    /// Records that change one after another share a batch, and so do an answer and its ACK. With the batch before it,
    /// which may just have gone, and its own way to the disk a change is there within 20 ms.
    static let linger: Duration = .milliseconds(8)
    /// How often a storage to which nothing is written is told that it knows all.
    static let stampInterval: Duration = .seconds(10)
    static let dueInterval: Duration = .seconds(1)
    /// Before a row that is held back may come to life at its end, others have been asked for what they know of it.
    static let dueDelay: Duration = .seconds(5)
    /// Rows that wait for what the others know of them; one more stays held back, and is found again.
    static let releaseLimit = 1_024
    static let retryShortest: Duration = .milliseconds(100)
    static let retryLongest: Duration = .seconds(5)

    struct Counters: Equatable, Sendable {
        var batches: UInt64 = 0
        var recordsWritten: UInt64 = 0
        var rowsRemoved: UInt64 = 0
        var failures: UInt64 = 0
        var loaded: UInt64 = 0
        /// Of these, the ones whose deadline had passed.
        var expired: UInt64 = 0
        /// Rows held back that came to life: asked for, or at their end.
        var released: UInt64 = 0
        /// Rows that no record could be made of.
        var unreadable: UInt64 = 0
        /// Texts that were too long for a column of the module's tables, and dialogs without a row there for that.
        var moduleCut: UInt64 = 0
        var moduleLeftOut: UInt64 = 0
        /// Calls that came from them, and rows that no dialog could be made of.
        var moduleTaken: UInt64 = 0
        var moduleRefused: UInt64 = 0
    }

    private struct Releasing: Sendable {
        var record: StoredRecord
        /// When it was read.
        var since: Instant
    }

    private(set) var phase = Phase.off
    /// Asked with each change of a record: one comparison.
    private(set) var isOn = false
    private(set) var settings = StorageSettings()
    /// Until when the storage knows all, Unix milliseconds, as it was found; 0 for an empty one.
    private(set) var knownUntil: Int64 = 0
    /// The first view came before the storage did.
    private var decision: (isFounder: Bool, newest: Int64)?
    var ledger = RecordLedger()
    var counters = Counters()
    private(set) var heldBack = 0
    /// Everything goes now: the node leaves.
    private(set) var isFlushing = false
    /// What is being loaded is not to be written again.
    var isLoading = false
    /// Rows that were held back, and come to life unless a member knows better: each is asked first.
    private var releasing: [DialogID: Releasing] = [:]

    private var since: Int64 = 0
    private var isAsked = false
    /// A file that another program has locked can be read and not written: what becomes of the one says nothing of the
    /// other.
    private var reads = Attempts()
    private var writes = Attempts()
    private var nextFlush = Instant.zero
    /// When the flush of mode 2 began that is under way: it ends with what waited then.
    private var flushBegan: Instant?
    private var nextStamp = Instant.zero
    private var nextDue = Instant.zero
    private var hasToldRefusal = false

    var isFailing: Bool { reads.failuresInRow > 0 || writes.failuresInRow > 0 }
    /// Rows may be there that no record is made of yet, and there is somebody to ask about them: before the first view
    /// nobody is heard.
    var mayKnowMore: Bool {
        switch phase {
        case .off, .opening, .waiting: false
        case .reading, .holdingBack, .takingOver, .emptying: true
        case .keeping: heldBack > 0
        }
    }

    /// - Parameter knownUntil: `nil` while the storage is not there.
    mutating func begin(_ settings: StorageSettings, knownUntil: Int64?, now: Instant) {
        guard settings.isOn else { return }
        isOn = true
        self.settings = settings
        self.knownUntil = knownUntil ?? 0
        phase = knownUntil == nil ? .opening : .waiting
        nextFlush = now.advanced(by: settings.updatePeriod)
    }

    // MARK: The start

    /// The first view: `newest` is until when the best of its members' disks knows all.
    mutating func decide(isFounder: Bool, newest: Int64) {
        if phase == .opening, decision == nil { decision = (isFounder, newest) }
        guard phase == .waiting else { return }
        if isFounder {
            since = max(knownUntil, newest) - Self.horizonMilliseconds
            phase = .reading(after: nil)
        } else if settings.isShared {
            phase = .keeping
        } else {
            since = .max
            phase = .holdingBack
        }
    }

    /// It is there.
    mutating func opened(knownUntil: Int64) {
        guard phase == .opening else { return }
        done()
        self.knownUntil = knownUntil
        phase = .waiting
        if let decision { decide(isFounder: decision.isFounder, newest: decision.newest) }
    }

    /// A page has come.
    mutating func read(after last: DialogID?, isLast: Bool) {
        guard case .reading = phase else { return }
        done()
        phase = isLast ? .holdingBack : .reading(after: last)
    }

    mutating func held(_ count: Int, now: Instant) {
        guard phase == .holdingBack else { return }
        done()
        heldBack = count
        nextDue = now.advanced(by: Self.dueDelay)
        let isFounder = since != .max
        phase = isFounder && settings.module != .none ? .takingOver(after: 0) : afterTakeover
    }

    /// A page of a module's rows has come.
    mutating func tookOver(last: Int64?, isLast: Bool) {
        guard case .takingOver = phase else { return }
        done()
        if !isLast, let last { phase = .takingOver(after: last) } else { phase = afterTakeover }
    }

    private var afterTakeover: Phase { settings.mode == .shutdown && since != .max ? .emptying : .keeping }

    /// Only of the first one the log tells.
    mutating func tellsRefusal() -> Bool {
        defer { hasToldRefusal = true }
        return !hasToldRefusal
    }

    mutating func emptied() {
        guard phase == .emptying else { return }
        done()
        phase = .keeping
    }

    mutating func due(heldBack count: Int) {
        done()
        heldBack = count
    }

    /// A row that was held back is asked for, or at its end.
    /// - Returns: Whether the others are to be asked of it now.
    mutating func hold(_ record: StoredRecord, now: Instant) -> Bool {
        guard releasing[record.did] == nil, releasing.count < Self.releaseLimit else { return false }
        releasing[record.did] = Releasing(record: record, since: now)
        return true
    }

    /// All who are heard have said what they know of it, or nothing.
    mutating func takeHeld(_ did: DialogID, now: Instant) -> StoredRecord? {
        guard let held = releasing.removeValue(forKey: did) else { return nil }
        var record = held.record
        let waited = max(0, now.milliseconds(since: held.since))
        record.ageMilliseconds += waited
        record.remainingMilliseconds = record.remainingMilliseconds.map { $0 - waited }
        return record
    }

    private mutating func done() {
        isAsked = false
        reads.failuresInRow = 0
    }

    /// What was asked besides writing could not be done.
    mutating func failed(now: Instant) {
        isAsked = false
        counters.failures += 1
        reads.failed(now: now)
    }

    /// A batch could not be written.
    mutating func failedToWrite(now: Instant) {
        counters.failures += 1
        writes.failed(now: now)
    }

    /// A batch is written.
    /// - Returns: Whether the ones before had failed.
    mutating func succeeded(now: Instant) -> Bool {
        let hadFailed = writes.failuresInRow > 0
        writes.failuresInRow = 0
        nextStamp = now.advanced(by: Self.stampInterval)
        if let began = flushBegan, (ledger.oldest ?? .distantFuture) > began {
            flushBegan = nil
            nextFlush = now.advanced(by: settings.updatePeriod)
        }
        return hadFailed
    }

    // MARK: What is due

    /// What the storage is to do besides writing.
    mutating func nextAction(now: Instant) -> StorageAction? {
        guard actionDue <= now else { return nil }
        isAsked = true
        switch phase {
        case .opening: return .open
        case .reading(let last): return .read(after: last, limit: settings.fetchRows, since: since)
        case .holdingBack: return .holdBack(since: since)
        case .takingOver(let last): return .readModule(after: last, limit: settings.fetchRows)
        case .emptying: return .empty
        case .keeping:
            nextDue = now.advanced(by: Self.dueInterval)
            return .readDue(limit: settings.fetchRows)
        case .off, .waiting: preconditionFailure("nothing is due in \(phase)")
        }
    }

    private var actionDue: Instant {
        switch phase {
        case .off, .waiting: .distantFuture
        case .opening, .reading, .holdingBack, .takingOver, .emptying: isAsked ? .distantFuture : reads.retryAt
        case .keeping: isAsked || heldBack == 0 ? .distantFuture : max(nextDue, reads.retryAt)
        }
    }

    /// A batch is to be made now.
    mutating func isBatchDue(now: Instant) -> Bool {
        guard batchDue <= now else { return false }
        if settings.mode == .delayed, ledger.waiting > 0, now >= nextFlush { flushBegan = flushBegan ?? now }
        return true
    }

    private var batchDue: Instant {
        guard phase == .keeping, !ledger.isOut else { return .distantFuture }
        // The storage learns how far it is behind, though nothing is to be written.
        let stamp = settings.mode == .shutdown && !isFlushing ? .distantFuture : nextStamp
        guard ledger.waiting > 0, let oldest = ledger.oldest else { return max(stamp, writes.retryAt) }
        let due: Instant =
            switch settings.mode {
            case .none: .distantFuture
            case _ where isFlushing || flushBegan != nil: .zero
            case .realtime: ledger.waiting >= RecordLedger.batch ? .zero : oldest.advanced(by: Self.linger)
            case .delayed: nextFlush
            case .shutdown: .distantFuture
            }
        return max(min(due, stamp), writes.retryAt)
    }

    /// A batch goes even if nothing is in it.
    func isStampDue(now: Instant) -> Bool { nextStamp <= now }

    /// Whether a batch that is due takes records, or only tells how far behind the storage is.
    func takesRecords(now: Instant) -> Bool {
        switch settings.mode {
        case .none: false
        case .realtime: true
        case .delayed: isFlushing || flushBegan != nil
        case .shutdown: isFlushing
        }
    }

    var nextDeadline: Instant { isOn ? min(actionDue, batchDue) : .distantFuture }

    // MARK: The end

    mutating func flush() {
        guard isOn else { return }
        isFlushing = true
        nextStamp = .zero
    }

    /// Nothing is left to be written.
    var isFlushed: Bool {
        switch phase {
        case .off, .opening, .waiting: true
        case .reading, .holdingBack, .takingOver, .emptying: false
        case .keeping: ledger.count == 0 && nextStamp > .zero
        }
    }
}

/// Attempts of one kind, the failed ones later and later.
private struct Attempts: Sendable {
    var failuresInRow = 0
    private(set) var retryAt = Instant.zero

    mutating func failed(now: Instant) {
        let wait = StorageState.retryShortest * (1 << min(failuresInRow, 8))
        retryAt = now.advanced(by: min(wait, StorageState.retryLongest))
        failuresInRow += 1
    }
}
