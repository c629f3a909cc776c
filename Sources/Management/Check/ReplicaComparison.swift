// Are the replicas equal? A pure comparison of what several members hold in some buckets.
//
// Members are asked one after the other in no common instant, so a difference alone proves nothing: a dialog that was
// just made, changed or ended is still on its way. A difference counts only when it has had time to pass: when no
// member changed its record within `settleMilliseconds`, plus what asking took. Until then it is in flight, to be asked
// about again. Tombstones are part of what members list, and equal "gone": one member may have dropped a tombstone
// another still keeps.
//
// Not looked at: which of two records is right. Joining decides that, not an operator.

package import Node

/// What one member holds in the buckets that were asked for.
package struct ReplicaSnapshot: Equatable, Sendable {
    package var member: String
    package var records: [RecordDigest]

    package init(member: String, records: [RecordDigest]) {
        self.member = member
        self.records = records
    }
}

/// A record that is not the same everywhere.
package struct ReplicaDifference: Equatable, Sendable {
    package var did: String
    package var callID: String
    /// Members that have no live record of it while another has, sorted.
    package var missing: [String] = []
    /// Members that hold it live, sorted.
    package var holders: [String] = []
    /// Whether the live records differ from each other.
    package var recordsDiffer = false
    /// The digest of each live record, by member.
    package var digests: [String: UInt64] = [:]
    /// Whether it has had time to pass: a difference for good, until repaired.
    package var isSettled = false

    package init(did: String, callID: String) {
        self.did = did
        self.callID = callID
    }
}

package enum ReplicaComparison {
    /// What is younger than this is in flight.
    package static let settleMilliseconds: Int64 = 2_000

    /// The buckets in which at least two members disagree; `nil` when their tables have different sizes.
    package static func unequalBuckets(_ digests: [DigestReport]) -> [Int]? {
        guard let first = digests.first else { return [] }
        guard digests.allSatisfy({ $0.buckets.count == first.buckets.count }) else { return nil }
        return first.buckets.indices.filter { bucket in
            digests.contains { $0.buckets[bucket] != first.buckets[bucket] }
        }
    }

    /// Every record that is not the same in all snapshots, sorted by did.
    /// - Parameter askingMilliseconds: From the first question to the last answer.
    package static func differences(
        _ snapshots: [ReplicaSnapshot], askingMilliseconds: Int64 = 0
    ) -> [ReplicaDifference] {
        var records: [String: [(member: String, record: RecordDigest)]] = [:]
        for snapshot in snapshots {
            for record in snapshot.records { records[record.did, default: []].append((snapshot.member, record)) }
        }
        let members = snapshots.map(\.member).sorted()
        let settle = settleMilliseconds + max(0, askingMilliseconds)
        return records.keys.sorted().compactMap { did in
            let held = records[did] ?? []
            let live = held.filter { $0.record.state != "deleted" }
            guard let first = live.first else { return nil }
            var difference = ReplicaDifference(did: did, callID: first.record.callID)
            difference.holders = live.map(\.member).sorted()
            difference.digests = Dictionary(live.map { ($0.member, $0.record.digest) }) { first, _ in first }
            difference.missing = members.filter { !difference.holders.contains($0) }
            difference.recordsDiffer = live.contains { $0.record.digest != first.record.digest }
            guard difference.recordsDiffer || !difference.missing.isEmpty else { return nil }
            difference.isSettled = held.allSatisfy { $0.record.changedMilliseconds >= settle }
            return difference
        }
    }

    /// Which parts of a record differ, by the names of `cluster.dialog`; what follows from the moment, the view or the
    /// place is left out, and a difference in none of the shown parts is called `record`.
    package static func differingFields(_ records: [JSONValue]) -> [String] {
        let passing = ["actor", "remaining_s", "age_s", "changed_ms", "bucket", "bytes", "digest"]
        guard let first = records.first, case .object(let members) = first.sorted else { return [] }
        let names = members.map(\.name).filter { name in
            !passing.contains(name) && records.contains { $0[name]?.sorted != first[name]?.sorted }
        }
        return names.isEmpty ? ["record"] : names
    }
}
