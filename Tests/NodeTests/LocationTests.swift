// The laws of the join of contacts on generated entries, what leaves when, and that a version which knows dialogs only
// refuses such a record for good.

import Dialogs
import Primitives
import Testing

@Suite("Contacts as records")
struct LocationTests {
    private static let hash = KeyedHash(key0: 1, key1: 2)

    private static func entry(
        _ key: String, _ callID: String, cSeq: UInt32, counter: UInt64, tag: UInt32 = 1, isGone: Bool = false,
        until: Int64, kept: Int64 = 0
    ) -> StoredBinding {
        var binding = Binding()
        (binding.key, binding.callID, binding.cSeq) = (Array(key.utf8), Array(callID.utf8), cSeq)
        (binding.stamp, binding.isGone) = (Stamp(counter: counter, tag: tag), isGone)
        binding.contact = Array("sip:\(key)".utf8)
        let ends = Instant.zero.advanced(milliseconds: until)
        return StoredBinding(binding, expiresAt: ends, keptUntil: Instant.zero.advanced(milliseconds: kept))
    }

    private static func record(_ entries: [StoredBinding]) -> LocationRecord {
        var record = LocationRecord(aor: Array("bob@example.org".utf8))
        for entry in entries { record.add(entry) }
        return record
    }

    private static func joined(_ left: LocationRecord, _ right: LocationRecord) throws -> LocationRecord {
        var left = left
        _ = try left.join(right)
        return left
    }

    private static func generated(_ random: inout SplitMix) -> LocationRecord {
        let count = 1 + Int(random.next() % 4)
        return record(
            (0..<count).map { _ in
                entry(
                    ["k0", "k1", "*"][Int(random.next() % 3)], "c\(random.next() % 2)", cSeq: UInt32(random.next() % 3),
                    counter: random.next() % 3, tag: UInt32(random.next() % 2), isGone: random.next() % 2 == 0,
                    until: Int64(random.next() % 3) * 1_000, kept: Int64(random.next() % 4) * 1_000)
            })
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `joining is commutative, associative and idempotent`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        for _ in 0..<200 {
            let (a, b, c) = (Self.generated(&random), Self.generated(&random), Self.generated(&random))
            let ab = try Self.joined(a, b)
            try #require(try Self.joined(b, a) == ab)
            try #require(try Self.joined(ab, c) == Self.joined(a, Self.joined(b, c)))
            try #require(try Self.joined(ab, ab) == ab && Self.joined(ab, b) == ab)
        }
    }

    @Test func `an end that was known too late is a correction, which is told again once`() throws {
        var table = LocationTable(buckets: 8, hash: Self.hash, limit: 10, origin: .zero)
        let late = Self.record([Self.entry("k", "c", cSeq: 1, counter: 1, until: 8_000, kept: 9_000)])
        let right = Self.record([Self.entry("k", "c", cSeq: 1, counter: 1, until: 6_500, kept: 7_500)])
        let near = Self.record([Self.entry("k", "c", cSeq: 1, counter: 1, until: 6_450, kept: 7_450)])
        #expect(try table.learn(late, now: .zero) == .created)
        #expect(try table.learn(right, now: .zero) == .corrected)
        #expect(try table.learn(right, now: .zero) == .unchanged)
        #expect(try table.learn(near, now: .zero) == .unchanged, "what two nodes may differ by")
        #expect(try table.learn(late, now: .zero) == .unchanged, "the earlier end stays")
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `tables that hear the same in any order agree in their digests`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let records = (0..<12).map { _ in Self.generated(&random) }
        var digests: Set<UInt64> = []
        for _ in 0..<6 {
            var table = LocationTable(buckets: 8, hash: Self.hash, limit: 10, origin: .zero)
            for record in (records + records.prefix(4)).shuffled(using: &random) {
                var bytes = ByteWriter()
                record.write(into: &bytes, now: .zero)
                let id = table.id(of: record.aor)
                _ = try table.learn(id, facts: RawSpan(_elements: bytes.bytes.span), ageMilliseconds: 0, now: .zero)
            }
            digests.insert(table.rootDigest)
            #expect(table.digest(bucket: Int(table.id(of: records[0].aor) % 8)) == table.rootDigest)
        }
        #expect(digests.count == 1)
    }

    @Test func `of one Call-ID the later CSeq stays, over several the later stamp is looked at`() throws {
        let old = Self.entry("k", "c1", cSeq: 5, counter: 9, until: 60_000)
        let record = Self.record([old, Self.entry("k", "c1", cSeq: 4, counter: 10, until: 60_000)])
        #expect(record.entries.count == 1 && record.contacts[0].cSeq == 5)
        let both = try Self.joined(record, Self.record([Self.entry("k", "c2", cSeq: 1, counter: 11, until: 60_000)]))
        #expect(both.entries.count == 2 && both.contacts.map(\.callID) == [Array("c2".utf8)])
    }

    @Test func `what takes back everything covers what was not known, and nothing that came after it`() throws {
        let sweep = Self.record([
            Self.entry("*", "c1", cSeq: 4, counter: 10, isGone: true, until: 0, kept: 60_000)
        ])
        let others = Self.record([
            Self.entry("a", "c1", cSeq: 3, counter: 20, until: 60_000),  // Of the same Call-ID, before.
            Self.entry("b", "c1", cSeq: 5, counter: 2, until: 60_000),
            Self.entry("c", "c2", cSeq: 9, counter: 9, until: 60_000),  // Of another one, stamped before.
            Self.entry("d", "c2", cSeq: 1, counter: 11, until: 60_000),
        ])
        for record in [try Self.joined(sweep, others), try Self.joined(others, sweep)] {
            #expect(record.live(at: .zero).map(\.key) == [Array("b".utf8), Array("d".utf8)])
            #expect(record.entries.count == 5)
        }
    }

    @Test func `a contact that was taken back before it was registered is told as soon as any other`() throws {
        var table = LocationTable(buckets: 4, hash: Self.hash, limit: 10, origin: .zero)
        table.tellsExpired = true
        let record = Self.record([
            Self.entry("a", "c1", cSeq: 1, counter: 1, isGone: true, until: 0, kept: 7_200_000),
            Self.entry("a", "c2", cSeq: 1, counter: 2, until: 60_000, kept: 7_200_000),
        ])
        _ = try table.learn(record, now: .zero)
        table.advance(to: Instant.zero.advanced(milliseconds: 65_000))
        #expect(table.takeExpired().isEmpty, "a renewal may be on its way")
        table.advance(to: Instant.zero.advanced(milliseconds: 75_000))
        #expect(table.takeExpired().map(\.contact.callID) == [Array("c2".utf8)])
        table.advance(to: Instant.zero.advanced(milliseconds: 8_000_000))
        #expect(table.takeExpired().isEmpty && table.count == 0, "once")
    }

    @Test func `a contact whose time is over is told some seconds later, what was taken back never`() throws {
        var table = LocationTable(buckets: 4, hash: Self.hash, limit: 10, origin: .zero)
        let record = Self.record([
            Self.entry("a", "c1", cSeq: 1, counter: 1, until: 10_000),
            Self.entry("a", "c2", cSeq: 1, counter: 2, until: 30_000),
            Self.entry("b", "c1", cSeq: 1, counter: 3, isGone: true, until: 10_000),
        ])
        _ = try table.learn(record, now: .zero)
        table.advance(to: Instant.zero.advanced(milliseconds: 25_000))
        #expect(table.takeExpired().isEmpty, "nobody wants to know")
        table.tellsExpired = true
        table.advance(to: Instant.zero.advanced(milliseconds: 45_000))
        #expect(table.takeExpired().map(\.contact.callID) == [Array("c2".utf8)])
        #expect(table.takeExpired().isEmpty && table.counters.untold == 0)
    }

    @Test func `of more contacts that end in one turn than are told the rest is counted`() throws {
        let count = LocationTable.expiredLimit + 3
        var table = LocationTable(buckets: 4, hash: Self.hash, limit: count, origin: .zero)
        table.tellsExpired = true
        for number in 0..<count {
            var record = LocationRecord(aor: Array("user\(number)".utf8))
            record.add(Self.entry("k", "c1", cSeq: 1, counter: 1, until: 1_000))
            _ = try table.learn(record, now: .zero)
        }
        table.advance(to: Instant.zero.advanced(milliseconds: 60_000))
        #expect(table.takeExpired().count == LocationTable.expiredLimit && table.counters.untold == 3)
        #expect(table.count == 0)
    }

    @Test func `what was taken back stays away, though a stale copy comes, and leaves by its time`() throws {
        var table = LocationTable(buckets: 4, hash: Self.hash, limit: 10, origin: .zero)
        let there = Self.record([Self.entry("k", "c1", cSeq: 1, counter: 1, until: 60_000, kept: 60_000)])
        let gone = Self.record([
            Self.entry("k", "c2", cSeq: 1, counter: 2, isGone: true, until: 1_000, kept: 60_000)
        ])
        _ = try table.learn(there, now: .zero)
        _ = try table.learn(gone, now: .zero)
        func live(_ milliseconds: Int64) -> Int? {
            table.record(of: there.aor)?.live(at: Instant.zero.advanced(milliseconds: milliseconds)).count
        }
        #expect(live(2_000) == 0)
        table.advance(to: Instant.zero.advanced(milliseconds: 80_000))
        _ = try table.learn(there, now: Instant.zero.advanced(milliseconds: 65_000))
        #expect(live(65_000) == 0)
        // A copy that is late by far more than clocks can differ is not taken.
        table.advance(to: Instant.zero.advanced(milliseconds: 101_000))
        #expect(table.count == 0 && table.rootDigest == 0 && table.nextTimer == nil)
        var bytes = ByteWriter()
        there.write(into: &bytes, now: .zero)
        _ = try table.learn(
            table.id(of: there.aor), facts: RawSpan(_elements: bytes.bytes.span), ageMilliseconds: 101_000,
            now: Instant.zero.advanced(milliseconds: 101_000))
        #expect(table.count == 0)
    }

    @Test func `times travel as what is left of them, and the earlier of two stays`() throws {
        let record = Self.record([Self.entry("k", "c", cSeq: 1, counter: 1, until: 60_000)])
        var bytes = ByteWriter()
        record.write(into: &bytes, now: Instant.zero.advanced(milliseconds: 10_000))
        let there = Instant.zero.advanced(milliseconds: 5_000_000)
        let read = try LocationRecord(RawSpan(_elements: bytes.bytes.span), ageMilliseconds: 2_000, now: there)
        #expect(read.entries[0].expiresAt == there.advanced(milliseconds: 48_000))
        let late = try LocationRecord(RawSpan(_elements: bytes.bytes.span), ageMilliseconds: 0, now: there)
        #expect(try Self.joined(late, read) == read && Self.joined(read, late) == read)
    }

    @Test func `a table of dialogs refuses such a record, and does not ask for it again`() throws {
        let record = Self.record([Self.entry("k", "c", cSeq: 1, counter: 1, until: 60_000)])
        var bytes = ByteWriter()
        record.write(into: &bytes, now: .zero)
        var table = DialogTable(buckets: 4, hash: Self.hash, limit: 10)
        let written = bytes.bytes
        #expect(throws: RecordError.self) {
            try table.learn(
                DialogID(rawValue: 1 << 63 | 5), facts: RawSpan(_elements: written.span), age: .zero, isPeers: true,
                now: .zero)
        }
        #expect(table.count == 0)
    }

    @Test func `what is malformed, too much or another address's is refused`() throws {
        var table = LocationTable(buckets: 4, hash: Self.hash, limit: 1, origin: .zero)
        var record = LocationRecord(aor: Array("a".utf8))
        record.add(Self.entry("k", "c", cSeq: 1, counter: 1, until: 1_000))
        _ = try table.learn(record, now: .zero)
        var other = LocationRecord(aor: Array("b".utf8))
        other.add(Self.entry("k", "c", cSeq: 1, counter: 1, until: 1_000))
        #expect(throws: RecordError.tableFull(limit: 1)) { try table.learn(other, now: .zero) }
        var bytes = ByteWriter()
        record.write(into: &bytes, now: .zero)
        let written = bytes.bytes
        let foreign = table.id(of: other.aor)
        #expect(throws: RecordError.self) {
            try table.learn(foreign, facts: RawSpan(_elements: written.span), ageMilliseconds: 0, now: .zero)
        }
        #expect(throws: RecordError.self) {
            try LocationRecord(
                RawSpan(_elements: written.span).extracting(0..<written.count - 1), ageMilliseconds: 0, now: .zero)
        }
        var many = LocationRecord(aor: Array("a".utf8))
        for index in 0...LocationRecord.entryLimit {
            many.add(Self.entry("k\(index)", "c", cSeq: 1, counter: 1, until: 1_000))
        }
        #expect(throws: RecordError.self) { try table.learn(many, now: .zero) }
        #expect(table.entryCount == 1 && table.counters.refusedAtLimit == 2 && table.counters.malformed == 1)
    }
}
