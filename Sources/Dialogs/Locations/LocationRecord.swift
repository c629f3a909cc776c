// LocationRecord is what is known of one address of record: its bindings, by (contact, Call-ID).
//
//     Location   1 aor   5 entries: 1 binding, 2 remaining_ms, 3 kept_ms
//
// The key has two parts, because CSeq orders what one Call-ID says, and the stamp what several do: as one order both
// would have cycles, and the join would depend on who comes first. Of one contact that entry is looked at whose stamp
// is the largest (`contacts`); the others only wait for their end.
//
// What takes back every contact of the address, known here or not (`Contact: *`), is an entry of its own (`isSweep`).
// It covers what its Call-ID had said before, and of others what was stamped before it. A version that does not know it
// keeps it as a contact that is gone.
//
// Join: of one key the larger (CSeq, stamp, bytes) stays, of equal ones the earlier times. Nothing is ever taken out by
// a join: what is taken back is an entry that says so, and an entry leaves by its own time. No two clocks are compared:
// times are local instants, and travel as what is left of them. What has passed when it comes is not taken, so nothing
// that has left comes back; and what replaces an entry stays as long as that might be somewhere (`keptUntil`).
//
// To a version that knows dialogs only, these bytes are a record with a malformed field 5, which it refuses for good.
//
// Limits: `entryLimit` entries; a registration is taken while there are no more than `contactLimit` and `byteLimit`.

package import Primitives

package struct LocationRecord: Equatable, Sendable {
    /// What a peer may have in its record, which several wrote at once.
    package static let entryLimit = 256
    /// What is looked at where a registration is taken.
    package static let contactLimit = 60
    package static let byteLimit = 16_384
    /// Bytes of an address of record.
    package static let nameLimit = 512
    /// Longest time that is left of anything: the largest Expires that may be configured, twice.
    static let longest: UInt64 = 2 * 604_800_000

    package let aor: [UInt8]
    /// By key and Call-ID.
    package private(set) var entries: [StoredBinding] = []

    package init(aor: [UInt8]) { self.aor = aor }

    /// Reads what came `age` milliseconds after it was sent.
    package init(_ facts: RawSpan, ageMilliseconds age: Int64, now: Instant) throws(RecordError) {
        var (name, found): ([UInt8], [StoredBinding]) = ([], [])
        var reader = ProtobufReader(0..<facts.byteCount)
        while let field = try reader.next(in: facts) {
            switch field.number {
            case 1 where field.wireType == ProtobufReader.lengthDelimited:
                guard field.payload.count <= Self.nameLimit else { throw .outOfRange(field: 1) }
                name = [UInt8](copying: facts.extracting(field.payload))
            case 5 where field.wireType == ProtobufReader.lengthDelimited:
                guard found.count < Self.entryLimit else { throw .tooMany(field: 5, limit: Self.entryLimit) }
                found.append(try Self.entry(facts, field.payload, ageMilliseconds: age, now: now))
            case 1, 5: throw .wrongWireType(field: field.number)
            default: break
            }
        }
        guard !name.isEmpty else { throw .outOfRange(field: 1) }
        aor = name
        for entry in found where entry.leavesAt > now { add(entry) }
    }

    private static func entry(
        _ facts: RawSpan, _ range: Range<Int>, ageMilliseconds age: Int64, now: Instant
    ) throws(RecordError) -> StoredBinding {
        var (binding, remaining, kept): ([UInt8], UInt64, UInt64) = ([], 0, 0)
        var reader = ProtobufReader(range)
        while let field = try reader.next(in: facts) {
            switch (field.number, field.wireType) {
            case (1, ProtobufReader.lengthDelimited): binding = [UInt8](copying: facts.extracting(field.payload))
            case (2, ProtobufReader.varint): remaining = field.value
            case (3, ProtobufReader.varint): kept = field.value
            case (1...3, _): throw .wrongWireType(field: field.number)
            default: break
            }
        }
        guard remaining <= longest, kept <= longest else { throw .outOfRange(field: 2) }
        let sent = now.advanced(milliseconds: -max(0, age))
        return try StoredBinding(
            bytes: binding, expiresAt: sent.advanced(milliseconds: Int64(remaining)),
            keptUntil: sent.advanced(milliseconds: Int64(kept)))
    }

    /// Joins one entry.
    /// - Returns: Whether more than its times is new.
    @discardableResult
    package mutating func add(_ entry: StoredBinding) -> Bool {
        let place = entries.firstIndex { !StoredBinding.precedes($0, entry) } ?? entries.count
        guard place < entries.count, entries[place].isSameEntry(as: entry) else {
            entries.insert(entry, at: place)
            return true
        }
        if entries[place].bytes == entry.bytes {
            entries[place].expiresAt = min(entries[place].expiresAt, entry.expiresAt)
            entries[place].keptUntil = min(entries[place].keptUntil, entry.keptUntil)
            return false
        }
        guard entries[place].yields(to: entry) else { return false }
        entries[place] = entry
        return true
    }

    /// - Returns: Whether more than its times is new.
    package mutating func join(_ other: LocationRecord) throws(RecordError) -> Bool {
        var joined = self
        var isChanged = false
        for entry in other.entries where joined.add(entry) { isChanged = true }
        guard joined.entries.count <= Self.entryLimit else { throw .tooMany(field: 5, limit: Self.entryLimit) }
        self = joined
        return isChanged
    }

    /// Drops what has had its time.
    /// - Returns: Whether there was any.
    mutating func expire(now: Instant) -> Bool {
        let before = entries.count
        entries.removeAll { $0.leavesAt <= now }
        return entries.count != before
    }

    /// When an entry leaves next.
    var nextLeaving: Instant? { entries.map(\.leavesAt).min() }

    /// Of each contact what was said of it last, taken back or not, in the order of their keys; without what was taken
    /// back with everything else.
    package var contacts: [StoredBinding] {
        var found = lastSaid
        for sweep in entries where sweep.isSweep { found.removeAll { sweep.covers($0) } }
        return found
    }

    private var lastSaid: [StoredBinding] {
        var found: [StoredBinding] = []
        for entry in entries where !entry.isSweep {
            if let last = found.last, last.key == entry.key {
                let isLater = (last.stamp.counter, last.stamp.tag) < (entry.stamp.counter, entry.stamp.tag)
                if isLater { found[found.count - 1] = entry }
            } else {
                found.append(entry)
            }
        }
        return found
    }

    /// The contacts that can be reached now.
    package func live(at now: Instant) -> [StoredBinding] { contacts.filter { $0.isLive(at: now) } }

    /// Until when something of this contact may be somewhere.
    package func lastTrace(of key: [UInt8]) -> Instant? {
        entries.filter { $0.key == key }.map(\.keptUntil).max()
    }

    /// The largest counter of its stamps.
    package var counter: UInt64 { entries.map(\.stamp.counter).max() ?? 0 }

    /// Bytes of all its bindings.
    package var byteCount: Int { entries.reduce(aor.count) { $0 + $1.bytes.count } }

    /// Writes it as it travels, with what is left of its times.
    package func write(into writer: inout ByteWriter, now: Instant) {
        writer.putField(1, bytes: RawSpan(_elements: aor.span))
        for entry in entries {
            let start = writer.beginMessage(5)
            writer.putField(1, bytes: RawSpan(_elements: entry.bytes.span))
            writer.putField(2, varint: UInt64(max(0, entry.expiresAt.milliseconds(since: now))))
            writer.putField(3, varint: UInt64(max(0, entry.keptUntil.milliseconds(since: now))))
            writer.endMessage(start)
        }
    }
}
