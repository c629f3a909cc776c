// The module's statistics: `active_dialogs`, `early_dialogs`, `processed_dialogs`, `expired_dialogs`, `failed_dialogs`.
// A node's table holds the dialogs of the whole cluster, so it tells the cluster's numbers by itself, and this node's,
// which are of the dialogs that it is the home of. What has gone is counted from the start of the process on.

import Dialogs
import Proxy

package struct DialogStatistics: Equatable, Sendable {
    /// Answered dialogs.
    package var active = 0
    package var early = 0
    package var processed: UInt64 = 0
    package var expired: UInt64 = 0
    package var failed: UInt64 = 0

    /// By the module's names, in its order.
    package var named: [(name: String, value: UInt64)] {
        [
            ("active_dialogs", UInt64(active)), ("early_dialogs", UInt64(early)), ("processed_dialogs", processed),
            ("expired_dialogs", expired), ("failed_dialogs", failed),
        ]
    }

    package init() {}
}

extension Node {
    package func statistics(ofThisNode isOwn: Bool = false) -> DialogStatistics {
        let dialogs = store.dialogs
        func count(_ state: DialogState) -> Int { isOwn ? dialogs.ownCount(in: state) : dialogs.count(in: state) }
        var statistics = DialogStatistics()
        statistics.active = count(.confirmedNotAcknowledged) + count(.confirmed)
        statistics.early = count(.early)
        let totals = isOwn ? dialogs.ownTotals : dialogs.totals
        statistics.processed = totals.processed
        statistics.expired = totals.expired
        statistics.failed = totals.failed
        return statistics
    }
}

extension Node {
    func dialogMetrics() -> [MetricReport] {
        let (all, own) = (statistics(), statistics(ofThisNode: true))
        return [
            gauge("dialogs_active", "Answered dialogs of the cluster", all.active),
            gauge("dialogs_own_active", "Of these, the ones that this node is the home of", own.active),
            counter("dialogs_processed", "Dialogs of the cluster that this node has heard of", all.processed),
            counter("dialogs_own_processed", "Of these, the ones that this node is the home of", own.processed),
            counter("dialogs_expired", "Dialogs of the cluster that ended because their time was up", all.expired),
            counter("dialogs_own_expired", "Of these, the ones that this node is the home of", own.expired),
            counter("dialogs_failed", "Dialogs of the cluster whose INVITE failed", all.failed),
            counter("dialogs_own_failed", "Of these, the ones that this node is the home of", own.failed),
            counter("dialog_changes", "Writes of variables, profiles and flags on this node", counters.changesWritten),
            counter(
                "dialog_facts_left_out", "Variables and profiles of routes that did not fit",
                proxy.counters.dialogFactsLeftOut),
            counter("dialog_events", "Events of dialogs' lives that this node told", counters.eventsTold),
            counter("dialog_events_unmarked", "Of these, not marked as told", counters.eventsUnmarked),
            counter("dialog_events_lost", "Ends that nobody told before their record was forgotten", store.untold),
            counter(
                "dialog_changes_refused", "Of these, refused: the record takes no more", counters.changesRefused),
        ]
    }
}
