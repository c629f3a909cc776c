// FrozenDialogs remembers the dialogs whose end has been granted: for `intent-life` a refresh of such a dialog is
// answered 481, since whoever asked may be sending its BYE now (rule R1).
//
// Limit: 65 536 at once; beyond it the oldest is let go early, and a refresh may then cross a BYE as it does without
// us.

package import Dialogs
package import Primitives

package struct FrozenDialogs: Sendable {
    package static let limit = 65_536
    private var until: [DialogID: Instant] = [:]
    private var order = HeadQueue<DialogID>()
    /// Dialogs let go before their time.
    package private(set) var evicted: UInt64 = 0

    package init() {}

    package var count: Int { until.count }

    package mutating func insert(_ did: DialogID, until end: Instant, now: Instant) {
        while let first = order.first, let end = until[first], end <= now || until.count >= Self.limit {
            if end > now { evicted += 1 }
            until[first] = nil
            order.popFirst()
        }
        while let first = order.first, until[first] == nil { order.popFirst() }
        if until.updateValue(end, forKey: did) == nil { order.append(did) }
    }

    package mutating func remove(_ did: DialogID) {
        until[did] = nil
    }

    package func contains(_ did: DialogID, now: Instant) -> Bool {
        guard !until.isEmpty, let end = until[did] else { return false }
        return now < end
    }
}
