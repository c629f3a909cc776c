// Refusals remembers for 64·T1 the INVITEs that this node has refused within dialogs without keeping a transaction
// (RFC 3261 §8.2.7). Outside of a dialog the To tag of the refusal says whose ACK it is; within one that tag is the
// phone's, and the ACK goes by the dialog's Routes like that of a 2xx. Only its branch is the INVITE's (§17.1.1.3).
//
// Keyed as server transactions are. The record has the last refusal of each side as well, for other nodes, and for this
// one after a restart.
//
// Limit: 4096 at once; beyond it the oldest is let go early and counted, and its ACK is told by the record only.

import Primitives

struct Refusals: Sendable {
    static let limit = 4_096

    private var until: [UInt64: Instant] = [:]
    private var order = HeadQueue<(key: UInt64, until: Instant)>()

    var count: Int { until.count }

    /// - Returns: How many were let go before their time.
    mutating func insert(_ key: UInt64, until end: Instant, now: Instant) -> Int {
        var letGo = 0
        while let first = order.first, first.until <= now || until.count >= Self.limit {
            order.popFirst()
            guard until[first.key] == first.until else { continue }  // It was refused again since, or forgotten.
            until[first.key] = nil
            if first.until > now { letGo += 1 }
        }
        guard until.updateValue(end, forKey: key) != end else { return letGo }
        order.append((key: key, until: end))
        return letGo
    }

    /// The same request came again, and was not refused this time.
    mutating func remove(_ key: UInt64) {
        if !until.isEmpty { until[key] = nil }
    }

    func contains(_ key: UInt64, now: Instant) -> Bool {
        guard !until.isEmpty, let end = until[key] else { return false }
        return now < end
    }
}
