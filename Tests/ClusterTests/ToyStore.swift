// A record store for the tests: a record is one number under maximum, and a tombstone above every number. It is a
// join-semilattice like the real one, small enough to compare whole.
//
// Wire form: 1 byte kind (1 put, 2 patch), 8 bytes value, little-endian. A patch needs a record; a put makes one.

import Cluster
import Primitives

struct ToyStore: ReplicatedRecords {
    struct Entry: Equatable {
        var value: UInt64
        var birth: Instant
        var changed: Instant
    }

    static let tombstone = UInt64.max
    private(set) var entries: [UInt64: Entry] = [:]
    private(set) var rootDigest: UInt64 = 0
    private var digests: [UInt64]
    private var latest: [Instant]
    let buckets: Int
    var forgotten: [UInt64] = []
    var padding = 0
    /// The latest deadline granted for a did, for the checks.
    var grants: [UInt64: UInt64] = [:]

    init(buckets: Int = 64) {
        self.buckets = buckets
        digests = Array(repeating: 0, count: buckets)
        latest = Array(repeating: .zero, count: buckets)
    }

    /// Puts an entry in place of the one before, or takes it away, as a fault would: nobody is told.
    mutating func set(_ did: UInt64, _ entry: Entry?) {
        let bucket = Int(did % UInt64(buckets))
        let before = entries[did].map { Self.digest(did, $0) } ?? 0
        let after = entry.map { Self.digest(did, $0) } ?? 0
        entries[did] = entry
        digests[bucket] = digests[bucket] &- before &+ after
        rootDigest = rootDigest &- before &+ after
        if let entry { latest[bucket] = max(latest[bucket], entry.changed) }
    }

    mutating func lose(_ did: UInt64) { set(did, nil) }

    mutating func raise(_ did: UInt64, to value: UInt64) {
        guard var entry = entries[did] else { return }
        entry.value = value
        set(did, entry)
    }

    var bucketCount: Int { buckets }
    var liveCount: Int { entries.values.count { $0.value != Self.tombstone } }

    mutating func join(_ did: UInt64, _ record: RawSpan, ageMilliseconds: Int64?, now: Instant) -> JoinOutcome {
        guard record.byteCount >= 9 else { return .refused }
        let value = record.word(at: 1)
        guard var entry = entries[did] else {
            guard let age = ageMilliseconds else { return .unknown }
            set(did, Entry(value: value, birth: now.advanced(milliseconds: -age), changed: now))
            return .applied
        }
        if let age = ageMilliseconds { entry.birth = min(entry.birth, now.advanced(milliseconds: -age)) }
        let isNews = value > entry.value
        entry.value = max(entry.value, value)
        if isNews { entry.changed = now }
        set(did, entry)
        return isNews ? .applied : .unchanged
    }

    func write(_ did: UInt64, into writer: inout ByteWriter, now: Instant) -> Int64? {
        guard let entry = entries[did] else { return nil }
        writer.put(Self.bytes(1, entry.value, padding: padding))
        return now.milliseconds(since: entry.birth)
    }

    static func bytes(_ kind: UInt8, _ value: UInt64, padding: Int = 0) -> [UInt8] {
        var bytes = [kind]
        for shift in stride(from: UInt64(0), through: 56, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
        return bytes + [UInt8](repeating: 0, count: padding)
    }

    func isTombstone(_ did: UInt64) -> Bool { entries[did]?.value == Self.tombstone }

    mutating func forget(_ did: UInt64) {
        guard isTombstone(did) else { return }
        lose(did)
        forgotten.append(did)
    }

    /// The deadline of a toy record is its value: an intent that names an older one is refused.
    mutating func consider(_ intent: Intent, now: Instant) -> Consideration {
        guard let entry = entries[intent.did] else { return .silent }
        if entry.value > intent.deadlineMilliseconds { return .refuse }
        grants[intent.did] = max(grants[intent.did] ?? 0, intent.deadlineMilliseconds)
        return .grant
    }

    func digest(bucket: Int) -> UInt64 { digests[bucket] }

    private static func digest(_ did: UInt64, _ entry: Entry) -> UInt64 {
        guard entry.value != tombstone else { return 0 }
        var mixed = (did &* 0x9e37_79b9_7f4a_7c15) ^ entry.value
        mixed = (mixed ^ mixed >> 31) &* 0xbf58_476d_1ce4_e5b9
        return mixed ^ mixed >> 29
    }

    func dids(inBucket bucket: Int) -> [UInt64] { entries.keys.filter { Int($0 % UInt64(buckets)) == bucket }.sorted() }

    func youngest(bucket: Int) -> Instant { latest[bucket] }

    /// Values by did, tombstones as such.
    var values: [UInt64: UInt64] { entries.mapValues(\.value) }
    var live: [UInt64: UInt64] { values.filter { $0.value != Self.tombstone } }
}
