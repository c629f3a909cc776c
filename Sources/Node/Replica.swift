// Replica is the node's records as the cluster sees them: opaque bytes that are joined, compared and handed out. It
// also keeps the intents that were heard, and the list of dialogs that peers have changed, which the node looks at
// after each batch.
//
// Contacts (`LocationTable`) are records of a second kind in the same streams and buckets; the top bit of a number says
// which it is.
//
// Limits: `ims_dialog` dialogs by `dialogs.limit`, contacts by `registrar.limit`; those of `HeardIntents`.

import Cluster
import Dialogs
import Primitives

struct Replica: ReplicatedRecords {
    private let passing = ByAddress()
    var dialogs: DialogTable
    var locations: LocationTable
    /// Every member keeps contacts: they are compared. While one does not, they travel by the streams alone, else that
    /// one would be sent them again and again.
    var comparesLocations = true
    private(set) var intents = HeardIntents()
    /// Changed by peers since the node last looked, in order; few of them twice.
    var touched: [DialogID] = []
    /// Records whose age was known wrong here, or is known wrong where they came from: it is told again, or whoever has
    /// it from here keeps it wrong.
    var older: [DialogID] = []
    /// Deadlines written here by an age that has shown to be wrong, as they should have been.
    var misdated: [(did: DialogID, deadline: RecordView.Deadline)] = []
    /// Deadlines of ours that a peer's shortening has overruled.
    var overruled: [(did: DialogID, deadline: RecordView.Deadline)] = []
    /// Questions heard here about deadlines in whose place a peer's later one has come.
    var voided: [Intent] = []
    /// Records that came for the first time.
    var arrived: [DialogID] = []
    /// Tombstones forgotten whose end nobody has told.
    private(set) var untold: UInt64 = 0
    /// Records that are no more, if a program wants to know.
    var forgotten: [DialogID] = []
    var tellsForgotten = false
    /// The same, for the storage.
    var removed: [DialogID] = []
    var tellsRemoved = false
    /// Dialogs whose end was granted here.
    var granted: [DialogID] = []

    init(dialogs: DialogTable, locations: LocationTable) {
        self.dialogs = dialogs
        self.locations = locations
    }

    mutating func join(
        _ did: UInt64, _ record: RawSpan, ageMilliseconds: Int64?, now: Instant
    ) -> JoinOutcome {
        if LocationTable.isLocation(did) { return joinLocation(did, record, ageMilliseconds ?? 0, now: now) }
        let id = DialogID(rawValue: did)
        let learned: DialogTable.Learned
        do {
            learned = try dialogs.learn(
                id, facts: record, age: ageMilliseconds.map { .milliseconds($0) }, isPeers: true, now: now)
        } catch {
            return .refused
        }
        if learned.isOlder || learned.isBegunAgain, learned.after != .deleted { older.append(id) }
        if let deadline = learned.misdated, learned.after != .deleted { misdated.append((id, deadline)) }
        if let deadline = learned.overruled, learned.after != .deleted { overruled.append((id, deadline)) }
        switch learned.outcome {
        case .created:
            touch(id)
            arrived.append(id)
            return .applied
        case .changed:
            touch(id)
            if learned.deadlineChanged || learned.after == .deleted { voidIntent(id, learned.after) }
            return .applied
        case .unchanged:
            if learned.deadlineChanged { touch(id) }
            return .unchanged
        case .unknownRecord: return .unknown
        case .mismatch:
            return .refused
        }
    }

    /// A frame tells of the beginning of a call, or of its answer, by several facts that are a few others apart.
    private mutating func touch(_ did: DialogID) {
        var index = touched.count
        let end = max(0, index - 16)
        while index > end {
            index -= 1
            if touched[index] == did { return }
        }
        touched.append(did)
    }

    private mutating func joinLocation(_ id: UInt64, _ record: RawSpan, _ age: Int64, now: Instant) -> JoinOutcome {
        do throws(RecordError) {
            switch try locations.learn(id, facts: record, ageMilliseconds: age, now: now) {
            case .created, .changed: return .applied
            case .unchanged: return .unchanged
            case .corrected:
                older.append(DialogID(rawValue: id))
                return .unchanged
            case .mismatch: return .refused
            }
        } catch {
            return .refused  // Counted by the table.
        }
    }

    func write(_ did: UInt64, into writer: inout ByteWriter, now: Instant) -> Int64? {
        if LocationTable.isLocation(did) {
            guard let record = locations.record(did) else { return nil }
            record.write(into: &writer, now: now)
            return 0
        }
        let id = DialogID(rawValue: did)
        guard dialogs.write(id, into: &writer) else { return nil }
        return max(0, dialogs.age(id, now: now)?.wholeMilliseconds ?? 0)
    }

    func isTombstone(_ did: UInt64) -> Bool { dialogs.state(DialogID(rawValue: did)) == .deleted }

    mutating func forget(_ did: UInt64) {
        guard let known = dialogs.glance(DialogID(rawValue: did)), known.state == .deleted else { return }
        if !known.flags.contains(.toldEnd) { untold += 1 }
        dialogs.remove(DialogID(rawValue: did))
        if tellsForgotten { forgotten.append(DialogID(rawValue: did)) }
        if tellsRemoved { removed.append(DialogID(rawValue: did)) }
        forgetIntent(DialogID(rawValue: did))
    }

    mutating func settleDigests() { dialogs.settleDigests() }

    var bucketCount: Int { dialogs.bucketCount }
    var rootDigest: UInt64 { dialogs.rootDigest &+ (comparesLocations ? locations.rootDigest : 0) }
    var liveCount: Int { dialogs.live }

    func digest(bucket: Int) -> UInt64 {
        dialogs.digest(bucket: bucket) &+ (comparesLocations ? locations.digest(bucket: bucket) : 0)
    }

    func digests(of buckets: Range<Int>) -> [UInt64] {
        let digests = dialogs.digests(of: buckets)
        guard comparesLocations else { return digests }
        return zip(buckets, digests).map { $1 &+ locations.digest(bucket: $0) }
    }

    func youngest(bucket: Int) -> Instant {
        let youngest = dialogs.youngest(bucket: bucket)
        return comparesLocations ? max(youngest, locations.youngest(bucket: bucket)) : youngest
    }

    /// Those of locations are the larger ones.
    func dids(inBucket bucket: Int) -> [UInt64] {
        dialogs.dids(inBucket: bucket).map(\.rawValue) + (comparesLocations ? locations.ids(inBucket: bucket) : [])
    }

    // MARK: Intents

    /// Whether this node grants an intent: not when it knows better, not without the record (R1).
    mutating func consider(_ intent: Intent, now: Instant) -> Consideration {
        let did = DialogID(rawValue: intent.did)
        guard let state = dialogs.state(did) else { return .silent }
        if state == .deleted { return .refuse }
        let known = dialogs.view(did) { view, _ in view.deadline } ?? nil
        let stamp = (known?.generation ?? 0, known?.atMilliseconds ?? 0)
        let asked = (intent.generation, intent.deadlineMilliseconds)
        if stamp > asked, !mutated("refuse-never") { return .refuse }
        if stamp < asked, !mutated("grant-behind") { return .silent }  // The record here is behind.
        intents.hear(intent, did, now: now)
        granted.append(did)
        return .grant
    }

    mutating func forgetIntent(_ did: DialogID) { intents.forget(did) }

    private mutating func voidIntent(_ did: DialogID, _ state: DialogState?) {
        guard intents.count > 0, let heard = intents[did] else { return }  // Mostly there is none.
        if state != .deleted { voided.append(heard.intent) }
        intents.forget(did)
    }

    /// A question that goes on about the deadline that the dialog has now, with the bytes that it had.
    mutating func takeUp(_ intent: Intent, now: Instant) {
        let did = DialogID(rawValue: intent.did)
        guard let known = dialogs.view(did, { view, _ in view.deadline }) ?? nil else { return }
        var again = intent
        (again.generation, again.deadlineMilliseconds) = (known.generation, known.atMilliseconds)
        intents.hear(again, did, now: now)
    }

    /// The intent heard for this very deadline.
    func intent(_ did: DialogID, generation: UInt32, milliseconds: UInt64) -> HeardIntents.Heard? {
        intents.find(did, generation: generation, milliseconds: milliseconds)
    }
}
