// Digests, by which replicas are compared. A bucket's covers its live records only, since tombstones leave each node at
// its own time.
//
// A record changes four or five times within the second in which a call begins, and its digest is told ten times a
// second: so it is hashed when somebody is about to be told, not when it changes. What is answered is right at any
// time; `settleDigests` before many questions saves each of them a look at what is not hashed.
//
// Limit: `unhashedLimit` records wait; one more, and all are hashed.

internal import Primitives

extension DialogTable {
    private static let unhashedLimit = 4_096

    /// Sum of all buckets' digests.
    public var rootDigest: UInt64 { hashedDigest &+ unhashedShare { _ in true } }

    /// - Parameter bucket: From 0 to `bucketCount` − 1; 0 is answered for any other.
    public func digest(bucket: Int) -> UInt64 {
        guard buckets.indices.contains(bucket) else { return 0 }
        return buckets[bucket].digest &+ unhashedShare { self.bucket(of: $0) == bucket }
    }

    /// The same of several buckets, in order.
    public func digests(of range: Range<Int>) -> [UInt64] {
        var digests = range.map { buckets.indices.contains($0) ? buckets[$0].digest : 0 }
        forEachUnhashed { entry in
            let bucket = bucket(of: entry.did)
            if range.contains(bucket) { digests[bucket - range.lowerBound] &+= contentHash(of: entry) }
        }
        return digests
    }

    /// The digests of all buckets.
    public var digests: [UInt64] { digests(of: 0..<bucketCount) }

    /// Keyed hash of a record's did and bytes: equal on two nodes exactly when the records are.
    public func contentDigest(_ did: DialogID) -> UInt64? {
        entry(did).map { $0.isHashed ? $0.contentHash : contentHash(of: $0) }
    }

    /// Hashes what has changed.
    public mutating func settleDigests() {
        guard !unhashed.isEmpty else { return }
        var ids: [SlotID] = []
        swap(&ids, &unhashed)
        for id in ids {
            guard let entry = entries[id], entry.state != .deleted else { continue }
            let share = contentHash(of: entry)
            _ = entries.update(id) { ($0.contentHash, $0.isHashed) = (share, true) }
            buckets[bucket(of: entry.did)].digest &+= share
            hashedDigest &+= share
        }
        ids.removeAll(keepingCapacity: true)
        swap(&ids, &unhashed)
    }

    /// A record was made or has changed, and was hashed before that.
    mutating func noteUnhashed(_ id: SlotID, _ entry: Entry) {
        guard entry.state != .deleted else { return }
        if unhashed.count >= Self.unhashedLimit { settleDigests() }
        unhashed.append(id)
    }

    private func unhashedShare(_ isMeant: (DialogID) -> Bool) -> UInt64 {
        var share: UInt64 = 0
        forEachUnhashed { if isMeant($0.did) { share &+= contentHash(of: $0) } }
        return share
    }

    private func forEachUnhashed(_ body: (Entry) -> Void) {
        for id in unhashed {
            // One that has ended or gone since has no share.
            if let entry = entries[id], entry.state != .deleted { body(entry) }
        }
    }

    private func contentHash(of entry: Entry) -> UInt64 {
        let stored = blobs.location(entry.blob)
        var stream = hash.begin()
        stream.combine(entry.did.rawValue)
        stream.combine(stored.bytes, stored.range)
        return stream.finish()
    }
}
