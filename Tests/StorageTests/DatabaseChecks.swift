// What every kind of database must do alike. Each check gets a database that is empty, and another connection to it.

import Dialogs
import Node
import Storage
import Testing

enum DatabaseChecks {
    typealias Check = @Sendable (_ one: any RecordDatabase, _ other: any RecordDatabase) throws -> Void

    static let all: [(name: String, check: Check)] = [
        ("comes back", comesBack), ("is written over", isWrittenOver), ("is held back", isHeldBack),
        ("is large", isLarge),
    ]

    static func record(_ number: UInt64, age: Int64 = 1_000, remaining: Int64? = 60_000) -> StoredRecord {
        StoredRecord(
            did: DialogID(rawValue: number), record: [UInt8(truncatingIfNeeded: number), 0, 255], ageMilliseconds: age,
            remainingMilliseconds: remaining)
    }

    static func batch(_ number: UInt64, _ records: [StoredRecord], removed: [UInt64] = []) -> StorageBatch {
        var batch = StorageBatch(number: number)
        batch.records = records
        batch.removed = removed.map { DialogID(rawValue: $0) }
        return batch
    }

    /// Byte for byte, older by what has passed.
    @Sendable
    private static func comesBack(_ one: any RecordDatabase, _ other: any RecordDatabase) throws {
        let now: Int64 = 1_800_000_000_000
        #expect(try one.knownUntil(before: .max) == 0)
        try one.write(batch(1, (1...5).map { record($0) }), by: "n1", at: now)
        #expect(try other.knownUntil(before: .max) == now)
        #expect(try other.knownUntil(before: now) == 0, "what is written since a start is not of before it")
        let first = try other.records(after: nil, limit: 3, since: now, now: now + 7_000)
        #expect(first == (1...3).map { record($0, age: 8_000, remaining: 53_000) })
        let rest = try other.records(after: first.last?.did, limit: 3, since: now, now: now)
        #expect(rest == (4...5).map { record($0) })
        #expect(try other.record(DialogID(rawValue: 4), now: now - 1)?.ageMilliseconds == 1_000, "no clock goes back")
        #expect(try other.record(DialogID(rawValue: 6), now: now) == nil)
    }

    /// A row goes, and one without a deadline has none.
    @Sendable
    private static func isWrittenOver(_ one: any RecordDatabase, _ other: any RecordDatabase) throws {
        try one.write(batch(1, [record(1), record(2)]), by: "n1", at: 1_000)
        var changed = record(1, age: 2_000, remaining: nil)
        changed.record = []
        try other.write(batch(2, [changed], removed: [2, 3]), by: "n'2\\", at: 2_000)
        #expect(try one.records(after: nil, limit: 10, since: 0, now: 2_000) == [changed])
    }

    /// Rows of a writer that has not known all for long: found by name, and due at their end.
    @Sendable
    private static func isHeldBack(_ one: any RecordDatabase, _ other: any RecordDatabase) throws {
        try one.write(batch(1, [record(1), record(2, remaining: nil)]), by: "old", at: 1_000)
        var late = batch(2, [record(3)])
        late.lagMilliseconds = 5_000
        try one.write(late, by: "new", at: 100_000)
        #expect(try other.knownUntil(before: .max) == 95_000)
        #expect(try other.records(after: nil, limit: 10, since: 95_000, now: 0).map(\.did.rawValue) == [3])
        #expect(try other.holdBack(since: 95_000) == 2)
        #expect(try other.holdBack(since: 95_000) == 2, "asked again, nothing changes")
        #expect(try one.due(limit: 10, now: 60_999).records.isEmpty)
        #expect(try one.due(limit: 10, now: 61_000).records.map(\.did.rawValue) == [1])
        #expect(try one.record(DialogID(rawValue: 2), now: 0) != nil)
        // Whoever writes it believes it again.
        try one.write(batch(3, [record(1)]), by: "new", at: 100_000)
        #expect(try other.due(limit: 10, now: 1_000_000).heldBack == 1)
        try one.empty()
        #expect(try other.records(after: nil, limit: 10, since: 0, now: 0).isEmpty)
        #expect(try other.due(limit: 10, now: 0).heldBack == 1, "what is held back stays")
    }

    /// A whole batch of records as large as they get, in any order of their numbers.
    @Sendable
    private static func isLarge(_ one: any RecordDatabase, _ other: any RecordDatabase) throws {
        let records = (0..<UInt64(RecordLedger.batch)).map { number in
            var record = record(number &* 0x5DEE_CE66_D123_4567 & .max >> 1)
            record.record = (0..<16_384).map { UInt8(truncatingIfNeeded: UInt64($0) &* (number | 1) >> 3) }
            return record
        }
        try one.write(batch(1, records), by: "n1", at: 0)
        try one.write(batch(2, records), by: "n1", at: 0)
        let found = try other.records(after: nil, limit: 1_000, since: 0, now: 0)
        #expect(found == records.sorted { $0.did < $1.did })
    }
}
