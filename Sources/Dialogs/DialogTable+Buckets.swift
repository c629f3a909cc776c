// Counts and listings: what makes replicas comparable, and what an operator sees.
//
// A bucket's list links its slots, tombstones included: who compares buckets has to learn of a peer's tombstone too.

public import Primitives

extension DialogTable {
    /// All records, tombstones included.
    public var count: Int { entries.count }

    /// Records that did not end.
    public var live: Int { entries.count - count(in: .deleted) }

    public func count(in state: DialogState) -> Int { stateCounts[Int(state.rawValue)] }

    /// Of those, the ones that this node is the home of.
    public func ownCount(in state: DialogState) -> Int { ownStateCounts[Int(state.rawValue)] }

    /// Bytes that the records' blobs occupy, free blocks of their chunks included.
    public var blobByteCount: Int { blobs.byteCount }

    public var bucketCount: Int { buckets.count }

    public func bucket(of did: DialogID) -> Int {
        Int(did.rawValue % UInt64(buckets.count))
    }

    /// When a record of this bucket changed last; far in the past for one that never held any.
    public func youngest(bucket: Int) -> Instant {
        buckets.indices.contains(bucket) ? buckets[bucket].changedAt : Instant(nanoseconds: .min)
    }

    /// The dids of a bucket, tombstones included, ascending.
    public func dids(inBucket bucket: Int) -> [DialogID] {
        guard buckets.indices.contains(bucket) else { return [] }
        var result: [DialogID] = []
        var slot = buckets[bucket].firstSlot
        while slot != Self.none, let id = entries.id(at: slot), let entry = entries[id] {
            result.append(entry.did)
            slot = entry.nextInBucket
        }
        return result.sorted()
    }

    /// The next record in the order of slots: a cursor over all of them that survives changes between its steps.
    /// - Parameter dead: So many tombstones at most are passed over.
    public func next(after slot: UInt32?, skipping dead: Int = 0) -> (slot: UInt32, did: DialogID)? {
        var index = slot.map { UInt64($0) + 1 } ?? 0
        var left = dead
        while index < UInt64(entries.slotCount) {
            let candidate = UInt32(index)
            index += 1
            guard let id = entries.id(at: candidate) else { continue }
            if left > 0, entries.read(id, { $0.state == .deleted }) ?? false {
                left -= 1
            } else if let did = entries.read(id, { $0.did }) {
                return (candidate, did)
            }
        }
        return nil
    }

    /// Adds or takes away a record's share of the counts and digests.
    mutating func count(_ entry: Entry, by sign: Int, now: Instant) {
        let bucket = bucket(of: entry.did)
        stateCounts[Int(entry.state.rawValue)] += sign
        if entry.isOwn { ownStateCounts[Int(entry.state.rawValue)] += sign }
        buckets[bucket].changedAt = max(buckets[bucket].changedAt, now)
        guard entry.state != .deleted, entry.isHashed else { return }
        let share = sign > 0 ? entry.contentHash : 0 &- entry.contentHash
        buckets[bucket].digest &+= share
        hashedDigest &+= share
    }

    mutating func linkIntoBucket(_ slot: UInt32, _ did: DialogID) {
        let bucket = bucket(of: did)
        let next = buckets[bucket].firstSlot
        setNeighbours(slot, previous: Self.none, next: next)
        if let id = entries.id(at: next) { _ = entries.update(id) { $0.previousInBucket = slot } }
        buckets[bucket].firstSlot = slot
    }

    mutating func unlinkFromBucket(_ entry: Entry) {
        if let id = entries.id(at: entry.previousInBucket) {
            _ = entries.update(id) { $0.nextInBucket = entry.nextInBucket }
        } else {
            buckets[bucket(of: entry.did)].firstSlot = entry.nextInBucket
        }
        if let id = entries.id(at: entry.nextInBucket) {
            _ = entries.update(id) { $0.previousInBucket = entry.previousInBucket }
        }
    }

    private mutating func setNeighbours(_ slot: UInt32, previous: UInt32, next: UInt32) {
        guard let id = entries.id(at: slot) else { return }
        _ = entries.update(id) {
            $0.previousInBucket = previous
            $0.nextInBucket = next
        }
    }
}

extension DialogTable {
    /// No further dialog fits: `dialogs.limit` is reached.
    public var isFull: Bool { entries.count >= entries.limit }

    /// No further dialog fits that leaves so many percent of them free.
    public func isFull(leaving percent: Int) -> Bool {
        entries.count >= entries.limit - entries.limit * percent / 100
    }
}
