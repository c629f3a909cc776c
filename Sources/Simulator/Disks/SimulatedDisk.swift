// SimulatedDisk is a database of one host: it does what `RecordDatabase` promises, and outlives the host's processes.
// What was asked of it and not done when a process is killed is not done.

internal import Dialogs
internal import Node
internal import Primitives

struct SimulatedDisk {
    struct Row {
        var record: StoredRecord
        /// Unix milliseconds, by the clock of who wrote it.
        var savedAt: Int64
        var writer: String
        var isHeldBack = false

        var state: DialogState { RecordView(record.record, ByteRange(record.record)).state }
        /// Unix milliseconds; `nil` without one.
        var deadline: Int64? { record.remainingMilliseconds.map { savedAt &+ $0 } }

        /// As it is read.
        func aged(_ now: Int64) -> StoredRecord {
            var aged = record
            let passed = max(0, now - savedAt)
            aged.ageMilliseconds += passed
            aged.remainingMilliseconds = record.remainingMilliseconds.map { $0 - passed }
            aged.isAhead = savedAt > now
            return aged
        }
    }

    private(set) var rows: [DialogID: Row] = [:]
    /// Until when each writer had written all that it knew.
    private var writers: [String: Int64] = [:]

    func knownUntil(before start: Int64 = .max) -> Int64 { writers.values.filter { $0 < start }.max() ?? 0 }

    /// In the order of their dids.
    private var sorted: [Row] { rows.values.sorted { $0.record.did < $1.record.did } }

    mutating func perform(_ action: StorageAction, by writer: String, at now: Int64) -> StorageOutcome {
        switch action {
        case .open: return .opened(knownUntil: knownUntil())
        case .write(let batch):
            for record in batch.records { rows[record.did] = Row(record: record, savedAt: now, writer: writer) }
            for did in batch.removed { rows[did] = nil }
            writers[writer] = now - batch.lagMilliseconds
            return .written(batch.number)
        case .read(let last, let limit, let since):
            let found = sorted.filter { row in
                !row.isHeldBack && isBelieved(row, since) && last.map { row.record.did > $0 } ?? true
            }.prefix(limit)
            return .read(found.map { $0.aged(now) }, isLast: found.count < limit)
        case .holdBack(let since):
            for row in sorted where !isBelieved(row, since) { rows[row.record.did]?.isHeldBack = true }
            return .heldBack(heldBack)
        case .readModule:
            var page = ModulePage()
            page.isLast = true
            return .moduleRows(page)
        case .readDue(let limit):
            let due = sorted.filter { $0.isHeldBack && $0.aged(now).remainingMilliseconds ?? 1 <= 0 }
            return .due(due.prefix(limit).map { $0.aged(now) }, heldBack: heldBack)
        case .find(let did): return .found(rows[did].map { $0.aged(now) })
        case .empty:
            rows = rows.filter(\.value.isHeldBack)
            return .emptied
        }
    }

    private var heldBack: Int { rows.values.count(where: \.isHeldBack) }

    private func isBelieved(_ row: Row, _ since: Int64) -> Bool { writers[row.writer] ?? .min >= since }

    /// Nobody has written to it for so long.
    mutating func age(milliseconds: Int64) { writers = writers.mapValues { $0 - milliseconds } }

    /// What is over is forgotten, as it is a horizon after its end.
    mutating func forgetWhatIsOver() { rows = rows.filter { $0.value.state != .deleted } }
}
