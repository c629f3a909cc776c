// The cluster's view of the records: opaque bytes under a did, joined by rules it does not know. The node implements it
// over its dialog table; tests use a toy join-semilattice.

package import Primitives

/// What became of facts handed to the store.
package enum JoinOutcome: Sendable {
    /// They are in the record now, and changed it (or made it).
    case applied
    /// They are in the record, which held them already.
    case unchanged
    /// A patch for which there is no record.
    case unknown
    /// Never to be joined: malformed, too large, or of another dialog.
    case refused
}

/// A peer's answer to an intent (R1).
package enum Consideration: Sendable {
    case grant
    /// We know better: a later deadline, a tombstone, an earlier intent.
    case refuse
    /// No record here.
    case silent
}

/// The question "may I end this dialog?", opaque but for what names the deadline it saw.
package struct Intent: Equatable, Sendable {
    package var did: UInt64
    package var generation: UInt32
    /// Since the dialog's birth.
    package var deadlineMilliseconds: UInt64
    /// The inputs of the bytes to be sent: legs, Request-URIs, Routes, targets. At most 30 KiB.
    package var payload: [UInt8]

    package init(did: UInt64, generation: UInt32, deadlineMilliseconds: UInt64, payload: [UInt8]) {
        self.did = did
        self.generation = generation
        self.deadlineMilliseconds = deadlineMilliseconds
        self.payload = payload
    }
}

package protocol ReplicatedRecords {
    /// Joins facts into the record of `did`. `ageMilliseconds` is the dialog's age when the facts are a whole record (a
    /// put), `nil` when they are a patch.
    mutating func join(_ did: UInt64, _ record: RawSpan, ageMilliseconds: Int64?, now: Instant) -> JoinOutcome
    /// Appends the record as it stands and answers its age in milliseconds; `nil`, and nothing appended, without a
    /// record.
    func write(_ did: UInt64, into writer: inout ByteWriter, now: Instant) -> Int64?
    /// The record ended. Asked after each join that changed it.
    func isTombstone(_ did: UInt64) -> Bool
    /// Drops a tombstone that every member has; a record that is not (or no longer) a tombstone stays.
    mutating func forget(_ did: UInt64)
    /// Whether an intent of a peer (or our own) may go ahead.
    mutating func consider(_ intent: Intent, now: Instant) -> Consideration

    /// Digests are about to be asked for: what they take is done once for all of them.
    mutating func settleDigests()
    var bucketCount: Int { get }
    /// Order-independent digest of the live records of a bucket; 0 when there are none.
    func digest(bucket: Int) -> UInt64
    /// The same of several buckets, from 0 to `bucketCount` − 1, in order.
    func digests(of buckets: Range<Int>) -> [UInt64]
    /// The digests of all buckets combined.
    var rootDigest: UInt64 { get }
    var liveCount: Int { get }
    /// All records of the bucket, tombstones included, sorted.
    func dids(inBucket bucket: Int) -> [UInt64]
    /// When a record of the bucket changed last.
    func youngest(bucket: Int) -> Instant
}

extension ReplicatedRecords {
    package mutating func settleDigests() {}
    package func digests(of buckets: Range<Int>) -> [UInt64] { buckets.map { digest(bucket: $0) } }
}
