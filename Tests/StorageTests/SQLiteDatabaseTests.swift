// What the file has after each call, as another program reads it.

import Dialogs
import Foundation
import GRDB
import Node
import Storage
import Testing

@Suite("Records in an SQLite file")
struct SQLiteDatabaseTests {
    /// A file of its own, and the database in it.
    private struct Place: ~Copyable {
        let folder: URL
        var file: String { folder.appending(path: "dialogs.db").path }

        init() throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "storage-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: folder) }
    }

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

    @Test func `what was written comes back byte for byte, older by what has passed`() throws {
        let place = try Place()
        let now: Int64 = 1_800_000_000_000
        do {
            let database = try SQLiteDatabase(file: place.file)
            #expect(try database.knownUntil() == 0)
            try database.write(Self.batch(1, (1...5).map { Self.record($0) }), by: "n1", at: now)
        }
        let database = try SQLiteDatabase(file: place.file)
        #expect(try database.knownUntil() == now)
        let first = try database.records(after: nil, limit: 3, since: now, now: now + 7_000)
        #expect(first == (1...3).map { Self.record($0, age: 8_000, remaining: 53_000) })
        let rest = try database.records(after: first.last?.did, limit: 3, since: now, now: now)
        #expect(rest == (4...5).map { Self.record($0) })
        #expect(
            try database.record(DialogID(rawValue: 4), now: now - 1)?.ageMilliseconds == 1_000, "no clock goes back")
        #expect(try database.record(DialogID(rawValue: 6), now: now) == nil)
    }

    @Test func `a row is written over and goes, and one without a deadline has none`() throws {
        let place = try Place()
        let database = try SQLiteDatabase(file: place.file)
        try database.write(Self.batch(1, [Self.record(1), Self.record(2)]), by: "n1", at: 1_000)
        var changed = Self.record(1, age: 2_000, remaining: nil)
        changed.record = []
        try database.write(Self.batch(2, [changed], removed: [2, 3]), by: "n2", at: 2_000)
        #expect(try database.records(after: nil, limit: 10, since: 0, now: 2_000) == [changed])
    }

    @Test func `rows of a writer that has not known all for long are held back, found by name, and due at their end`()
        throws
    {
        let place = try Place()
        let database = try SQLiteDatabase(file: place.file)
        try database.write(Self.batch(1, [Self.record(1), Self.record(2, remaining: nil)]), by: "old", at: 1_000)
        var late = Self.batch(2, [Self.record(3)])
        late.lagMilliseconds = 5_000
        try database.write(late, by: "new", at: 100_000)
        #expect(try database.knownUntil() == 95_000)
        #expect(try database.records(after: nil, limit: 10, since: 95_000, now: 0).map(\.did.rawValue) == [3])
        #expect(try database.holdBack(since: 95_000) == 2)
        #expect(try database.holdBack(since: 95_000) == 2, "asked again, nothing changes")
        #expect(try database.due(limit: 10, now: 60_999).records.isEmpty)
        #expect(try database.due(limit: 10, now: 61_000).records.map(\.did.rawValue) == [1])
        #expect(try database.record(DialogID(rawValue: 2), now: 0) != nil)
        // Whoever writes it believes it again.
        try database.write(Self.batch(3, [Self.record(1)]), by: "new", at: 100_000)
        #expect(try database.due(limit: 10, now: .max).heldBack == 1)
        try database.empty()
        #expect(try database.records(after: nil, limit: 10, since: 0, now: 0).isEmpty)
        #expect(try database.due(limit: 10, now: 0).heldBack == 1, "what is held back stays")
    }

    @Test func `what is no database, or one of another version, is told in one sentence`() throws {
        let place = try Place()
        try Data(repeating: 65, count: 8_192).write(to: URL(filePath: place.file))
        #expect(throws: StorageError("file is not a database")) { try SQLiteDatabase(file: place.file) }
        #expect(throws: StorageError.self) { try SQLiteDatabase(file: place.folder.path + "/none/dialogs.db") }
    }

    @Test func `a file that another program has locked fails after a second, and is written when it is free`() throws {
        let place = try Place()
        let one = try SQLiteDatabase(file: place.file)
        try DatabaseQueue(path: place.file).write { _ in
            #expect(throws: StorageError("database is locked")) {
                try one.write(Self.batch(1, [Self.record(1)]), by: "n1", at: 0)
            }
            let read = try one.records(after: nil, limit: 1, since: 0, now: 0)
            #expect(read.isEmpty, "it can still be read")
        }
        try one.write(Self.batch(2, [Self.record(1)]), by: "n1", at: 0)
        #expect(try one.records(after: nil, limit: 1, since: 0, now: 0) == [Self.record(1)])
    }
}
