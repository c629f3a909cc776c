// What operators see of the storage.

import Dialogs
import Primitives

/// `storage` of `understudy status`; without storage there is none.
package struct StorageReport: Equatable, Sendable {
    /// `opening`, `waiting` for a view, `loading`, `keeping`.
    package var state = ""
    /// `storage.db_mode`
    package var mode = 0
    /// Records that are not stored as they stand.
    package var lagRecords = 0
    /// Since when the oldest of them is not.
    package var lagMilliseconds: Int64 = 0
    /// The last attempt failed.
    package var isFailing = false
    /// Rows that are neither live nor counted: only an older storage had them (R5).
    package var heldBack = 0
    /// Records that came from it at the start.
    package var loaded: UInt64 = 0

    package init() {}
}

extension Node {
    func storageReport(now: Instant) -> StorageReport? {
        guard storage.isOn else { return nil }
        var report = StorageReport()
        report.state =
            switch storage.phase {
            case .opening: "opening"
            case .off, .waiting: "waiting"
            case .reading, .holdingBack, .takingOver, .emptying: "loading"
            case .keeping: "keeping"
            }
        report.mode = settings.storage.mode.rawValue
        report.lagRecords = storage.ledger.count
        report.lagMilliseconds = storageLag(now: now)
        report.isFailing = storage.isFailing
        report.heldBack = storage.heldBack
        report.loaded = storage.counters.loaded
        return report
    }

    private func storageLag(now: Instant) -> Int64 {
        storage.ledger.oldestUnwritten.map { max(0, now.milliseconds(since: $0)) } ?? 0
    }

    func storageMetrics(now: Instant) -> [MetricReport] {
        let counters = storage.counters
        return [
            gauge("storage_lag_records", "Records that are not stored as they stand", storage.ledger.count),
            gauge("storage_lag_seconds", "Since when the oldest of them is not", Int(storageLag(now: now) / 1_000)),
            gauge("storage_failing", "1 while the last attempt to write or read failed", storage.isFailing ? 1 : 0),
            gauge(
                "storage_held_back", "Rows that only an older storage had: neither live nor counted",
                storage.heldBack),
            counter("storage_batches", "Transactions written", counters.batches),
            counter("storage_records_written", "Records written", counters.recordsWritten),
            counter("storage_rows_removed", "Rows of dialogs that are over, deleted", counters.rowsRemoved),
            counter("storage_failures", "Attempts to write or read that failed", counters.failures),
            counter("storage_loaded", "Records that came from the storage at the start", counters.loaded),
            counter("storage_expired", "Of these, dialogs whose time had passed", counters.expired),
            counter(
                "storage_released", "Rows held back that a request asked for, or whose time was up",
                counters.released),
            counter("storage_unreadable", "Rows that no record could be made of", counters.unreadable),
            counter(
                "storage_module_cut", "Texts that were too long for their column of a module's tables",
                counters.moduleCut),
            counter(
                "storage_module_left_out", "Writes of dialogs whose identity does not fit a module's tables",
                counters.moduleLeftOut),
            counter("storage_module_taken", "Calls taken over from a module's tables", counters.moduleTaken),
            counter(
                "storage_module_refused", "Rows of a module's tables that no dialog could be made of",
                counters.moduleRefused),
        ]
    }
}
