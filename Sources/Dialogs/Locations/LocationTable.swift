// LocationTable holds the contacts of every address of record that this node knows, whoever registered them. It stands
// beside `DialogTable`, in the same buckets: a digest of a bucket covers both kinds, and the top bit of a number says
// which it is.
//
//     number = 1 ∥ 63 bits of a keyed hash of the address of record
//
// An address without entries is forgotten without a tombstone: whatever could come back has expired by itself.
//
// Of a contact that ends its node may tell (`tellsExpired`): once, some seconds after its end, by when a renewal that
// reached another node is here.
//
// Invariants: a bucket's digest is the wrapping sum of the keyed hashes of (number, bytes) of its entries; a record has
// a timer for its next end. Limit: `limit` addresses; at it a new one is refused, typed and counted.

package import Primitives

/// A contact whose time is over, with the name of its record (`LocationName`).
package struct ExpiredContact: Equatable, Sendable {
    package var location: [UInt8]
    package var contact: StoredBinding
}

package struct LocationTable: Sendable {
    private let passing = ByAddress()
    package enum Outcome: Equatable, Sendable {
        case created, changed
        /// All was known, times aside.
        case unchanged
        /// The same, and a contact ends earlier than was known here, by more than `ageTolerance`: its age was told
        /// wrong, by a frame that had waited, and whoever has it from here has it wrong as well.
        case corrected
        /// Another address has the same number.
        case mismatch
    }

    package struct Counters: Equatable, Sendable {
        package var refusedAtLimit: UInt64 = 0
        package var malformed: UInt64 = 0
        /// Entries whose time was up.
        package var expired: UInt64 = 0
        /// Contacts that nobody was told of.
        package var untold: UInt64 = 0
    }

    private struct Entry: Sendable {
        var record: LocationRecord
        var share: UInt64
        var timer: TimerID
        /// Of contacts that ended before, somebody was told, or nobody is.
        var toldUntil: Instant
    }

    private struct Bucket: Sendable {
        var digest: UInt64 = 0
        var changedAt = Instant(nanoseconds: .min)
        var ids: [UInt64] = []
    }

    private static let mark: UInt64 = 1 << 63

    private let hash: KeyedHash
    private let limit: Int
    private var entries: [UInt64: Entry] = [:]
    private var buckets: [Bucket]
    private var wheel: TimerWheel
    private var due: [UInt64] = []
    package private(set) var rootDigest: UInt64 = 0
    /// Entries of all records.
    package private(set) var entryCount = 0
    package private(set) var counters = Counters()
    /// Contacts whose time was over, for whoever tells of them (`tellsExpired`) and takes them.
    package private(set) var expired: [ExpiredContact] = []
    package var tellsExpired = false
    /// The most that are told of in one turn; what is beyond is counted (`untold`).
    package static let expiredLimit = 4_096

    package init(buckets: Int, hash: KeyedHash, limit: Int, origin: Instant) {
        self.hash = hash
        self.limit = limit
        self.buckets = Array(repeating: Bucket(), count: max(buckets, 1))
        wheel = TimerWheel(origin: origin)
    }

    /// Whether a number is that of a location.
    package static func isLocation(_ id: UInt64) -> Bool { id & mark != 0 }

    package func id(of aor: [UInt8]) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x6c6f_6361_7469_6f6e)
        stream.combine(aor, ByteRange(aor))
        return stream.finish() | Self.mark
    }

    /// Names one contact of an address, the same on every node: what Kamailio calls its ruid.
    package func uniqueID(of key: [UInt8], in name: [UInt8]) -> [UInt8] {
        var stream = hash.begin()
        stream.combine(id(of: name))
        stream.combine(key, ByteRange(key))
        var text = ByteWriter(capacity: 24)
        text.put("uloc-")
        text.putHex(stream.finish(), digits: 16)
        return text.bytes
    }

    /// Addresses of record.
    package var count: Int { entries.count }

    package func record(_ id: UInt64) -> LocationRecord? { entries[id]?.record }

    package func record(of aor: [UInt8]) -> LocationRecord? {
        guard let record = entries[id(of: aor)]?.record, record.aor == aor else { return nil }
        return record
    }

    // MARK: Learning

    /// Joins what a peer has of an address.
    /// - Parameter ageMilliseconds: How long ago it was sent.
    package mutating func learn(
        _ id: UInt64, facts: RawSpan, ageMilliseconds: Int64, now: Instant
    ) throws(RecordError) -> Outcome {
        let record: LocationRecord
        do {
            record = try LocationRecord(facts, ageMilliseconds: ageMilliseconds, now: now)
        } catch {
            counters.malformed += 1
            throw error
        }
        guard id == self.id(of: record.aor) else {
            counters.malformed += 1
            throw .outOfRange(field: 1)
        }
        return try learn(record, now: now)
    }

    /// Joins entries that were read or made.
    package mutating func learn(_ record: LocationRecord, now: Instant) throws(RecordError) -> Outcome {
        let id = id(of: record.aor)
        guard let known = entries[id] else {
            guard !record.entries.isEmpty else { return .unchanged }
            guard entries.count < limit else {
                counters.refusedAtLimit += 1
                throw .tableFull(limit: limit)
            }
            put(record, id, now: now)
            return .created
        }
        guard known.record.aor == record.aor else { return .mismatch }
        var joined = known.record
        let isChanged: Bool
        do {
            isChanged = try joined.join(record)
        } catch {
            counters.refusedAtLimit += 1
            throw error
        }
        guard isChanged || joined != known.record else { return .unchanged }
        put(joined, id, isNews: isChanged, now: now)
        if isChanged { return .changed }
        let isCorrected = zip(known.record.entries, joined.entries).contains { old, new in
            old.expiresAt - new.expiresAt > Self.ageTolerance
        }
        return isCorrected ? .corrected : .unchanged
    }

    /// By how much two nodes may differ in the end of a contact.
    static let ageTolerance = Duration.milliseconds(100)

    private mutating func put(_ record: LocationRecord, _ id: UInt64, isNews: Bool = true, now: Instant) {
        let bucket = bucket(of: id)
        let old = entries[id]
        if old == nil { buckets[bucket].ids.append(id) }
        wheel.cancel(old?.timer ?? .none)
        let share = share(of: record, id)
        entryCount += record.entries.count - (old?.record.entries.count ?? 0)
        count(bucket, add: share, takeAway: old?.share ?? 0)
        if isNews { buckets[bucket].changedAt = max(buckets[bucket].changedAt, now) }
        let toldUntil = old?.toldUntil ?? now
        entries[id] = Entry(record: record, share: share, timer: .none, toldUntil: toldUntil)
        schedule(id)
    }

    /// Sets its timer for when an entry leaves next, or somebody is to be told of one.
    private mutating func schedule(_ id: UInt64) {
        guard let entry = entries[id] else { return }
        var next = entry.record.nextLeaving
        if tellsExpired {
            for contact in entry.record.contacts where !contact.isGone && contact.toldAt > entry.toldUntil {
                next = min(next ?? contact.toldAt, contact.toldAt)
            }
        }
        wheel.cancel(entry.timer)
        entries[id]?.timer = next.map { wheel.schedule(id, at: $0) } ?? .none
    }

    private mutating func count(_ bucket: Int, add share: UInt64, takeAway old: UInt64) {
        buckets[bucket].digest = buckets[bucket].digest &+ share &- old
        rootDigest = rootDigest &+ share &- old
    }

    private func share(of record: LocationRecord, _ id: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        for entry in record.entries {
            var stream = hash.begin()
            stream.combine(id)
            stream.combine(entry.bytes, ByteRange(entry.bytes))
            sum &+= stream.finish()
        }
        return sum
    }

    // MARK: Time

    /// No entry leaves before it.
    package var nextTimer: Instant? { wheel.next }

    /// Lets go of what has had its time. Its bucket counts as young then, as replicas do not do so in the same moment.
    package mutating func advance(to now: Instant) {
        guard let next = wheel.next, next <= now else { return }
        due.removeAll(keepingCapacity: true)
        wheel.advance(to: now, due: &due)
        for id in due {
            guard let entry = entries[id] else { continue }
            entries[id]?.timer = .none
            if tellsExpired { noteExpired(entry, now: now) }
            entries[id]?.toldUntil = now
            var record = entry.record
            let before = record.entries.count
            guard record.expire(now: now) else {
                schedule(id)
                continue
            }
            counters.expired += UInt64(before - record.entries.count)
            put(record, id, now: now)
            if record.entries.isEmpty { forget(id) }
        }
    }

    /// Contacts whose time is over since the last look, and that nobody had taken back: however long what was said of
    /// them before is kept.
    private mutating func noteExpired(_ entry: Entry, now: Instant) {
        for contact in entry.record.contacts
        where !contact.isGone && contact.toldAt > entry.toldUntil && contact.toldAt <= now {
            guard expired.count < Self.expiredLimit else {
                counters.untold += 1
                continue
            }
            expired.append(ExpiredContact(location: entry.record.aor, contact: contact))
        }
    }

    /// Takes out what `expired` holds.
    package mutating func takeExpired() -> [ExpiredContact] {
        guard !expired.isEmpty else { return [] }
        defer { expired.removeAll(keepingCapacity: true) }
        return expired
    }

    private mutating func forget(_ id: UInt64) {
        let bucket = bucket(of: id)
        entries[id] = nil
        buckets[bucket].ids.removeAll { $0 == id }
    }

    // MARK: Comparing

    private func bucket(of id: UInt64) -> Int { Int(id % UInt64(buckets.count)) }

    package func digest(bucket: Int) -> UInt64 { buckets.indices.contains(bucket) ? buckets[bucket].digest : 0 }

    package func youngest(bucket: Int) -> Instant {
        buckets.indices.contains(bucket) ? buckets[bucket].changedAt : Instant(nanoseconds: .min)
    }

    /// The numbers of a bucket, ascending.
    package func ids(inBucket bucket: Int) -> [UInt64] {
        buckets.indices.contains(bucket) ? buckets[bucket].ids.sorted() : []
    }

    /// Whole buckets from one on, until there are so many addresses.
    /// - Returns: The addresses, and the bucket to go on at; `nil` at the end.
    package func page(from first: Int, limit: Int) -> (records: [LocationRecord], next: Int?) {
        var (found, bucket): ([LocationRecord], Int) = ([], max(0, first))
        while bucket < buckets.count, found.count < limit {
            found += ids(inBucket: bucket).compactMap { entries[$0]?.record }
            bucket += 1
        }
        return (found, bucket < buckets.count ? bucket : nil)
    }
}
