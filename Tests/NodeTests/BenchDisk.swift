// BenchDisk is a database in the memory of a test: it does what `RecordDatabase` promises, at once, and fails when it
// is told to.

import Dialogs
import Node
import Primitives

struct BenchDisk {
    struct Row: Equatable {
        var record: StoredRecord
        var savedAt: Int64
        var writer: String
        var isHeldBack = false
    }

    var rows: [DialogID: Row] = [:]
    /// Until when each writer had written all that it knew.
    var writers: [String: Int64] = [:]
    /// What a Kamailio has left in its tables, by its rows' numbers.
    var moduleRows: [ModuleRow] = []
    /// Whatever is asked fails.
    var isDead = false
    /// The action of this number fails, counted from 1; it may have been done all the same.
    var failing = 0
    var failsAfterwards = false
    /// By how much its host's clock has been set, milliseconds.
    var set: Int64 = 0
    private(set) var actions = 0

    var knownUntil: Int64 { writers.values.max() ?? 0 }
    var live: [Row] { rows.values.filter { !$0.isHeldBack } }

    mutating func perform(_ action: StorageAction, by writer: String, now: Instant) -> StorageOutcome {
        actions += 1
        let failure = "no disk"
        if isDead || actions == failing, !failsAfterwards || isDead { return Self.failed(action, failure) }
        let outcome = done(action, writer, Self.wall(now) + set)
        return actions == failing ? Self.failed(action, failure) : outcome
    }

    static func wall(_ now: Instant) -> Int64 { 1_000_000_000_000 + now.milliseconds(since: .zero) }

    private static func failed(_ action: StorageAction, _ why: String) -> StorageOutcome {
        switch action {
        case .write(let batch): .notWritten(batch.number, why: why)
        case .find: .notFound(why: why)
        case .open, .read, .holdBack, .readModule, .readDue, .empty: .failed(why: why)
        }
    }

    private mutating func done(_ action: StorageAction, _ writer: String, _ now: Int64) -> StorageOutcome {
        switch action {
        case .open: return .opened(knownUntil: knownUntil)
        case .write(let batch):
            for record in batch.records { rows[record.did] = Row(record: record, savedAt: now, writer: writer) }
            for did in batch.removed { rows[did] = nil }
            writers[writer] = now - batch.lagMilliseconds
            return .written(batch.number)
        case .read(let last, let limit, let since):
            let found = rows.values.filter { row in
                !row.isHeldBack && isBelieved(row, since) && (last.map { row.record.did > $0 } ?? true)
            }
            let page = found.sorted { $0.record.did < $1.record.did }.prefix(limit)
            return .read(page.map { Self.aged($0, now) }, isLast: page.count < limit)
        case .holdBack(let since):
            for did in rows.keys where !isBelieved(rows[did]!, since) { rows[did]?.isHeldBack = true }
            return .heldBack(heldBack.count)
        case .readModule(let last, let limit):
            var page = ModulePage()
            page.rows = Array(moduleRows.dropFirst(Int(last)).prefix(limit))
            page.last = last + Int64(page.rows.count)
            page.isLast = page.rows.count < limit
            page.readAt = now
            return .moduleRows(page)
        case .readDue(let limit):
            let due = heldBack.map { Self.aged($0, now) }.filter { $0.remainingMilliseconds ?? 1 <= 0 }
            return .due(Array(due.sorted { $0.did < $1.did }.prefix(limit)), heldBack: heldBack.count)
        case .find(let did): return .found(rows[did].map { Self.aged($0, now) })
        case .empty:
            rows = rows.filter(\.value.isHeldBack)
            return .emptied
        }
    }

    var heldBack: [Row] { rows.values.filter(\.isHeldBack) }

    private func isBelieved(_ row: Row, _ since: Int64) -> Bool { writers[row.writer] ?? .min >= since }

    private static func aged(_ row: Row, _ now: Int64) -> StoredRecord {
        var record = row.record
        let passed = max(0, now - row.savedAt)
        record.ageMilliseconds += passed
        record.remainingMilliseconds = record.remainingMilliseconds.map { $0 - passed }
        record.isAhead = row.savedAt > now
        return record
    }
}
