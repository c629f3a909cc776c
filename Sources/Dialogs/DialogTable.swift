// DialogTable holds all records that this node knows: those it is home of and the replicas alike; nothing in it depends
// on whose they are. Facts come in through `learn`, whoever learned them.
//
//     did ──FlatTable──┐
//                      ├──▶ slot: fixed part (Entry) ──▶ blob: the record, byte for byte as it is replicated
//     Call-ID ─────────┘         │
//                                └── birth, last change, timer, neighbours in its bucket
//
// The age of a dialog is not in the record: `birth` is a local instant, made from the age that came with a put, and the
// earlier one wins; a deadline is birth + at_ms. So replicas hold equal bytes, and no two clocks are compared.
//
// Invariants: `stateCounts` sum up to `count`; `profiles` has each link of each live record once; a bucket's digest is
// the wrapping sum of the keyed hashes of (did, bytes) of its live records, so it depends neither on order nor on time;
// every slot is in both indices and in its bucket's list; a live record that is not hashed is in `unhashed` once.
// Limit: `limit` records, tombstones included; at it a new record is refused, typed and counted.

public import Primitives

public struct DialogTable: Sendable {
    private let passing = ByAddress()
    /// What came of a call of `learn`.
    public struct Learned: Equatable, Sendable {
        public enum Outcome: Equatable, Sendable {
            case created, changed
            /// The facts were all known; nothing was touched.
            case unchanged
            /// A patch to a record that is not here: ask for it.
            case unknownRecord
            /// Call-ID or From-tag are another dialog's; counted, not joined.
            case mismatch
        }

        public var outcome: Outcome
        public var before: DialogState?
        /// The state now; `before`, or unconfirmed, when nothing was joined.
        public var after: DialogState
        public var deadlineChanged: Bool
        /// The dialog is older than was known here, by more than `birthTolerance`: an age was told wrong, by a frame
        /// that had waited, and whoever has it from here has it wrong as well.
        public var isOlder: Bool
        /// Another node has begun the same dialog later, and does not know how old it is: what it writes of the
        /// deadline is too early until it is told.
        public var isBegunAgain = false
        /// The later deadline that stood here before, where a shortening has taken its place.
        public var overruled: RecordView.Deadline?
        /// The deadline that was written here while the dialog seemed younger than it is, as it should have been.
        public var misdated: RecordView.Deadline?

        public init(
            outcome: Outcome, before: DialogState?, after: DialogState, deadlineChanged: Bool, isOlder: Bool = false
        ) {
            self.outcome = outcome
            self.before = before
            self.after = after
            self.deadlineChanged = deadlineChanged
            self.isOlder = isOlder
        }
    }

    /// Events that an operator may want to see.
    public struct Counters: Equatable, Sendable {
        public var mismatches = 0
        public var unknownRecords = 0
        public var refusedAtLimit = 0
        public var malformed = 0
        /// Facts that would have made a record larger than it may be.
        public var full = 0
        /// Facts of a peer of which a 2xx was left out for that.
        public var answersLeftOut = 0
    }

    struct Entry: Sendable {
        var did: DialogID
        var birth: Instant
        var changedAt: Instant
        /// Keyed hash of (did, bytes): the record's share of its bucket's digest while it lives. Good while `isHashed`.
        var contentHash: UInt64 = 0
        var isHashed = false
        /// Milliseconds from birth; `.max` without a deadline.
        var deadline: UInt64
        var blob: BlobID
        var timer: TimerID
        var previousInBucket: UInt32
        var nextInBucket: UInt32
        var state: DialogState
        var hasPendings: Bool
        /// What this node has written of the deadline last, by what it held for the dialog's age.
        var promise = Promise()
        /// The record has links to profiles, or had some.
        var hasLinks: Bool
        /// This node is its home.
        var isOwn = false
        var flags: RecordFlags
    }

    /// The moment until which the phones were told that a call goes on, which a birth that turns out to be another one
    /// must not move; and in which generation, for how long each refresh. It stands here, too, where the record already
    /// had a later deadline: a later one of milliseconds since birth, which is an earlier moment once the birth is
    /// known.
    struct Promise: Sendable {
        /// 0 without a promise: what is written of a ringing call is none.
        var generation: UInt32 = 0
        /// Saturated: of a longer lifetime the record's is taken.
        var lifetimeMilliseconds: UInt32 = 0
        var until = Instant.zero

        init() {}

        init(_ facts: RawSpan, _ range: ByteRange, birth: Instant) {
            let deadline = RecordView.deadline(facts, range)
            guard !deadline.isExplicitEnd, deadline.atMilliseconds < Self.thirtyYears else { return }
            generation = deadline.generation
            lifetimeMilliseconds = UInt32(clamping: deadline.lifetimeMilliseconds)
            until = birth.advanced(milliseconds: Int64(deadline.atMilliseconds))
        }

        /// What is longer than about that never ends.
        private static let thirtyYears: UInt64 = 1_000_000_000_000
    }

    static let none: UInt32 = .max
    /// Births agree no better than frames are quick.
    static let birthTolerance = Duration.milliseconds(100)

    let hash: KeyedHash
    var entries: Slab<Entry>
    var blobs = BlobStore()
    var byDID = FlatTable(minimumCapacity: 1_024)
    var byCallID = FlatTable(minimumCapacity: 1_024)
    var wheel: TimerWheel
    var buckets: [Bucket]
    var joiner = RecordJoin()
    var scratch = ByteWriter(capacity: 2_048)
    var woken: [UInt64] = []
    var stateCounts: [Int] = Array(repeating: 0, count: 6)
    /// The same of those that this node is the home of.
    var ownStateCounts: [Int] = Array(repeating: 0, count: 6)
    /// The node that this table is in, as homes have it.
    private let ownName: [UInt8]
    /// What has come and gone, of all dialogs that this table has held, and of its node's.
    public private(set) var totals = DialogTotals()
    public private(set) var ownTotals = DialogTotals()
    /// Answered here, and ended by peers that had not heard of the answer, as they stood here before: until the node
    /// looks, which it does after each batch of frames.
    private var unpaid: [(did: DialogID, record: Record)] = []
    /// How many live dialogs each profile has.
    var profiles: ProfileIndex

    /// Live records that have changed since their hashes were taken.
    var unhashed: [SlotID] = []

    struct Bucket: Sendable {
        var digest: UInt64 = 0
        var firstSlot = DialogTable.none
        var changedAt = Instant(nanoseconds: .min)
    }

    public private(set) var counters = Counters()
    /// A record that is or was here has `RecordFlags.asked`: until then nobody need look for moved CSeqs.
    public private(set) var hasAsked = false
    /// Sum of all buckets' digests, less what is in `unhashed`.
    var hashedDigest: UInt64 = 0

    /// - Parameters:
    ///   - buckets: `ims_dialog.hash_size`, the same in all nodes of a cluster, else their digests do not compare.
    ///   - hash: Under the cluster's key, for the same reason.
    ///   - limit: Records at most, tombstones included.
    ///   - origin: Not after the first `now` that the table is going to see.
    ///   - node: Whose table it is, as the homes of records have it.
    public init(buckets: Int, hash: KeyedHash, limit: Int, origin: Instant = .zero, node: [UInt8] = []) {
        self.hash = hash
        ownName = node
        profiles = ProfileIndex(hash: hash)
        self.buckets = Array(repeating: Bucket(), count: max(buckets, 1))
        entries = Slab(limit: limit)
        wheel = TimerWheel(origin: origin)
    }

    /// The did of the dialog that an INVITE creates; never 0.
    public func did(of invite: InviteIdentity) -> DialogID {
        var stream = hash.begin()
        stream.combine(invite.bytes, invite.callID)
        stream.combine(invite.bytes, invite.fromTag)
        stream.combine(UInt64(invite.cSeq))
        stream.combine(invite.bytes, invite.sentBy)
        stream.combine(invite.bytes, invite.distinction)
        return DialogID(rawValue: max(1, stream.finish() & ~(1 << 63)))
    }

    /// Joins facts into a record.
    ///
    /// Facts with a Call-ID are a put and create the record; without one they are a patch. On an error nothing changes.
    /// - Parameters:
    ///   - age: How old the dialog is, for a put; taken as zero when a put creates a record without it.
    ///   - room: How much of the record the facts may fill; what a peer knows may fill all of it.
    ///   - isPeers: A peer has them in its record: of the 2xx of several callees some may be left out here.
    public mutating func learn(
        _ did: DialogID, facts: RawSpan, age: Duration?, room: RecordRoom = .whole, isPeers: Bool = false, now: Instant
    ) throws(RecordError) -> Learned {
        do throws(RecordError) {
            guard let id = slotID(did) else {
                return try create(did, facts: facts, age: age, room, isPeers: isPeers, now: now)
            }
            return try join(id, facts: facts, age: age, room, isPeers: isPeers, now: now)
        } catch {
            switch error {
            case .tableFull: counters.refusedAtLimit += 1
            case .tooLarge, .tooMany: counters.full += 1
            case .truncated, .malformedVarint, .malformedTag, .wrongWireType, .outOfRange: counters.malformed += 1
            }
            throw error
        }
    }

    private mutating func create(
        _ did: DialogID, facts: RawSpan, age: Duration?, _ room: RecordRoom, isPeers: Bool, now: Instant
    ) throws(RecordError) -> Learned {
        let identity = try RecordIdentity(facts)
        guard !identity.callID.isEmpty else {
            counters.unknownRecords += 1
            return Learned(outcome: .unknownRecord, before: nil, after: .unconfirmed, deadlineChanged: false)
        }
        scratch.removeAll()
        try joiner.join(RawSpan(), facts, isCanonical: false, room: room, into: &scratch)
        guard entries.count < entries.limit else { throw .tableFull(limit: entries.limit) }
        let bytes = scratch.bytes
        let written = RawSpan(_elements: bytes.span)
        let deadline = identity.deadline.isEmpty ? .max : RecordView.deadlineMilliseconds(written)
        var entry = Entry(
            did: did, birth: now.advanced(by: .zero - max(age ?? .zero, .zero)), changedAt: now, deadline: deadline,
            blob: blobs.insert(written), timer: .none, previousInBucket: Self.none, nextInBucket: Self.none,
            state: joiner.state, hasPendings: joiner.hasPendings, hasLinks: identity.hasLinks, flags: joiner.flags)
        if !isPeers, !identity.deadline.isEmpty {
            entry.promise = Promise(facts, identity.deadline, birth: entry.birth)
        }
        entry.isOwn = isOwn(facts, identity.home)
        if joiner.flags.contains(.asked) { hasAsked = true }
        guard let id = entries.insert(entry) else { throw .tableFull(limit: entries.limit) }
        byDID.insert(hash: did.rawValue, value: id.index)
        byCallID.insert(hash: callIDHash(of: entry), value: id.index)
        linkIntoBucket(id.index, did)
        count(entry, by: 1, now: now)
        noteUnhashed(id, entry)
        countLinks(of: entry, by: 1)
        countTotals(entry, was: nil)
        return Learned(
            outcome: .created, before: nil, after: entry.state, deadlineChanged: entry.deadline != .max)
    }

    private mutating func join(
        _ id: SlotID, facts: RawSpan, age: Duration?, _ room: RecordRoom, isPeers: Bool, now: Instant
    ) throws(RecordError) -> Learned {
        guard let old = entries[id] else { preconditionFailure("the did index must name a record: \(id)") }
        let identity = try RecordIdentity(facts)
        guard let isSame = try joinIntoScratch(old.blob, facts, identity, room, isPeers: isPeers) else {
            counters.mismatches += 1
            return Learned(outcome: .mismatch, before: old.state, after: old.state, deadlineChanged: false)
        }
        var entry = old
        entry.hasLinks = old.hasLinks || identity.hasLinks
        if let age { entry.birth = min(old.birth, now.advanced(by: .zero - max(age, .zero))) }
        let isOlder = old.birth - entry.birth > Self.birthTolerance
        let isBegunAgain = isPeers && isBegun(elsewhereAfter: old, facts, age: age, now: now)
        let misdated = isOlder ? misdatedDeadline(of: old, born: entry.birth) : nil
        if !isPeers, !identity.deadline.isEmpty {
            entry.promise = Promise(facts, identity.deadline, birth: entry.birth)
        }
        var learned: Learned
        if isSame {
            let deadlineChanged = entry.birth != old.birth && old.deadline != .max
            _ = entries.update(id) { ($0.birth, $0.promise) = (entry.birth, entry.promise) }
            learned = Learned(
                outcome: .unchanged, before: old.state, after: old.state, deadlineChanged: deadlineChanged)
        } else {
            learned = store(
                id, old: old, entry, tellsDeadline: !identity.deadline.isEmpty, isPeers: isPeers, now: now)
        }
        learned.isOlder = isOlder
        learned.isBegunAgain = isBegunAgain
        learned.misdated = misdated
        return learned
    }

    /// The put of a record that was made by another home than is known here, and is younger than the dialog.
    private func isBegun(elsewhereAfter entry: Entry, _ facts: RawSpan, age: Duration?, now: Instant) -> Bool {
        guard let age, now.advanced(by: .zero - max(age, .zero)) - entry.birth > Self.birthTolerance else {
            return false
        }
        let (stored, bytes) = (blobs.location(entry.blob), [UInt8](copying: facts))
        let known = RecordView(stored.bytes, stored.range).home
        let told = RecordView(bytes, ByteRange(bytes)).home
        return !told.isEmpty && !Text.same(stored.bytes, known, bytes, told)
    }

    /// Joins a stored record and facts in `scratch`; answers whether all was known, `nil` for another dialog's facts.
    private mutating func joinIntoScratch(
        _ blob: BlobID, _ facts: RawSpan, _ identity: RecordIdentity, _ room: RecordRoom, isPeers: Bool
    ) throws(RecordError) -> Bool? {
        let stored = blobs.location(blob)
        let record = RawSpan(_elements: stored.bytes.span).extracting(stored.range.range)
        guard try identity.agrees(with: stored.bytes, stored.range, facts) else { return nil }
        scratch.removeAll()
        if isPeers {
            let isWhole = try joiner.joinAsFits(record, facts, isCanonical: true, into: &scratch)
            counters.answersLeftOut += isWhole ? 0 : 1
        } else {
            try joiner.join(record, facts, isCanonical: true, room: room, into: &scratch)
        }
        return record.byteCount == scratch.count && record.compared(to: RawSpan(_elements: scratch.bytes.span)) == 0
    }

    /// Puts the joined bytes in `scratch` in the place of the old ones.
    private mutating func store(
        _ id: SlotID, old: Entry, _ changed: Entry, tellsDeadline: Bool, isPeers: Bool, now: Instant
    ) -> Learned {
        var entry = changed
        let bytes = scratch.bytes
        let written = RawSpan(_elements: bytes.span)
        entry.state = joiner.state
        if joiner.state == .deleted {
            entry.deadline = .max
        } else if tellsDeadline {
            entry.deadline = RecordView.deadlineMilliseconds(written)
        }
        entry.hasPendings = joiner.hasPendings
        entry.flags = joiner.flags
        if joiner.flags.contains(.asked) { hasAsked = true }
        entry.changedAt = now
        entry.isHashed = false
        if isPeers, isEndUnsaid(entry, bytes, to: old), let record = record(old.did) {
            unpaid.append((old.did, record))
        }
        let overruled = old.state == .confirmed && entry.deadline < old.deadline ? deadline(of: old) : nil
        countLinks(of: old, by: -1)
        entry.blob = blobs.replace(old.blob, with: written)
        count(old, by: -1, now: now)
        count(entry, by: 1, now: now)
        countLinks(of: entry, by: 1)
        countTotals(entry, was: old.state)
        _ = entries.update(id) { $0 = entry }
        if old.isHashed { noteUnhashed(id, entry) }
        let deadlineChanged = entry.deadline != old.deadline || (entry.birth != old.birth && entry.deadline != .max)
        var learned = Learned(
            outcome: .changed, before: old.state, after: entry.state, deadlineChanged: deadlineChanged)
        learned.overruled = overruled
        return learned
    }

    /// A peer has ended what was answered here, and no phone was told: the peer's end is that of a call that was never
    /// made, or of a pass of it, since whoever wrote it had not heard of the answer (R15).
    private func isEndUnsaid(_ entry: Entry, _ bytes: [UInt8], to old: Entry) -> Bool {
        guard old.state == .confirmedNotAcknowledged || old.state == .confirmed else { return false }
        if entry.state == .deleted, entry.flags.contains(.failed) { return true }
        // An end without any word may be that of a fork's other callee, with whom the caller has hung up.
        let isTold = !entry.flags.isDisjoint(with: [.byeFromCaller, .byeFromCallee, .timedOut, .endedByOperator])
        guard entry.flags.contains(.interrupted), !isTold else { return false }
        let stored = blobs.location(old.blob)
        guard hasLiveOut(stored.bytes, stored.range) else { return false }
        return entry.state == .deleted || !hasLiveOut(bytes, ByteRange(bytes))
    }

    private func hasLiveOut(_ bytes: [UInt8], _ range: ByteRange) -> Bool {
        var found = false
        RecordView(bytes, range).forEachOut(in: bytes) { out in
            found = found || out.state == .confirmedNotAcknowledged || out.state == .confirmed
        }
        return found
    }

    /// Records whose ends are owed to phones, since this was last asked.
    public mutating func takeUnpaid() -> [(did: DialogID, record: Record)] {
        guard !unpaid.isEmpty else { return [] }
        defer { unpaid = [] }
        return unpaid
    }

    /// What this node has promised of a confirmed dialog, counted from its true birth: the same moment as before.
    private func misdatedDeadline(of entry: Entry, born birth: Instant) -> RecordView.Deadline? {
        let promise = entry.promise
        guard promise.generation > 0, var deadline = deadline(of: entry), deadline.generation == promise.generation,
            promise.until > birth
        else { return nil }
        deadline.atMilliseconds = UInt64(promise.until.milliseconds(since: birth))
        if promise.lifetimeMilliseconds < .max { deadline.lifetimeMilliseconds = UInt64(promise.lifetimeMilliseconds) }
        return deadline
    }

    /// Whether this node is the home that facts name.
    private func isOwn(_ facts: RawSpan, _ home: ByteRange) -> Bool {
        guard !ownName.isEmpty else { return false }
        let name = RecordView.homeParts(facts, home).name
        return facts.extracting(name.range).compared(to: RawSpan(_elements: ownName.span)) == 0
    }

    private mutating func countTotals(_ entry: Entry, was before: DialogState?) {
        guard before == nil || before != entry.state && entry.state == .deleted else { return }
        if before == nil, entry.state == .deleted { return }  // What is over was somebody's before this table was.
        let flags = before == nil ? [] : entry.flags
        totals.count(isNew: before == nil, flags)
        if entry.isOwn { ownTotals.count(isNew: before == nil, flags) }
    }

    private func deadline(of entry: Entry) -> RecordView.Deadline? {
        guard entry.deadline != .max else { return nil }
        let stored = blobs.location(entry.blob)
        return RecordView(stored.bytes, stored.range).deadline
    }

    /// Forgets a record: a tombstone's end, or `fault.forget`.
    /// - Returns: Whether it was there.
    @discardableResult
    public mutating func remove(_ did: DialogID) -> Bool {
        guard let id = slotID(did), let entry = entries[id] else { return false }
        byCallID.remove(hash: callIDHash(of: entry), value: id.index)
        byDID.remove(hash: did.rawValue, value: id.index)
        unlinkFromBucket(entry)
        wheel.cancel(entry.timer)
        // A record that is forgotten does not make its bucket young: a peer that still has it is to be compared at
        // once.
        count(entry, by: -1, now: Instant(nanoseconds: .min))
        countLinks(of: entry, by: -1)
        blobs.remove(entry.blob)
        entries.remove(id)
        return true
    }

    private func callIDHash(of entry: Entry) -> UInt64 {
        let stored = blobs.location(entry.blob)
        // The Call-ID is the first field, of whoever has one.
        var reader = ProtobufReader(stored.range.range)
        let first = reader.nextChecked(in: RawSpan(_elements: stored.bytes.span))
        guard let first, first.number == RecordField.callID.rawValue else { return callIDHash(stored.bytes, .empty) }
        return callIDHash(stored.bytes, RecordView.bytes(first))
    }

    func callIDHash(_ bytes: [UInt8], _ callID: ByteRange) -> UInt64 {
        hash.hash(RawSpan(_elements: bytes.span).extracting(callID.range))
    }
}
