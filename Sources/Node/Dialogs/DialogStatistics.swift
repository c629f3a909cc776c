// The module's statistics: `active_dialogs`, `early_dialogs`, `processed_dialogs`, `expired_dialogs`, `failed_dialogs`.
// A node's table holds the dialogs of the whole cluster, so it tells the cluster's numbers by itself, and this node's,
// which are of the dialogs that it is the home of. What has gone is counted from the start of the process on.

import Dialogs

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
