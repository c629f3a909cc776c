// What the file has after each call, as another connection reads it, and what is SQLite's own.

import Dialogs
import Foundation
import GRDB
import Node
import Storage
import Testing

@Suite("Records in an SQLite file")
struct SQLiteDatabaseTests {
    /// A folder of its own, with the database's file in it.
    private struct Place: ~Copyable {
        let folder: URL
        var file: String { folder.appending(path: "dialogs.db").path }

        init() throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "storage-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: folder) }
    }

    @Test func `the shipped tables have SQLite's types, and records stand in the order they came in`() throws {
        let place = try Place()
        _ = try SQLiteDatabase(file: place.file, module: ModuleChecks.module)
        try DatabaseQueue(path: place.file).read { database in
            func types(_ table: String) throws -> Set<String> {
                Set(try String.fetchAll(database, sql: "SELECT type FROM pragma_table_info('\(table)')"))
            }
            #expect(try types("understudy_record") == ["BIGINT", "INTEGER", "BLOB", "TEXT"])
            #expect(try types("understudy_node") == ["BIGINT", "TEXT"])
            #expect(try types("dialog").filter { !$0.hasPrefix("VARCHAR") } == ["INTEGER"])
            let keys = try String.fetchAll(
                database, sql: "SELECT sql FROM sqlite_master WHERE sql LIKE '%INTEGER PRIMARY KEY%' ORDER BY name")
            #expect(keys.count == 2, "dialog, dialog_vars: \(keys)")
        }
        let database = try SQLiteDatabase(file: place.file)
        for (number, did) in [3, 1, 2].enumerated() as EnumeratedSequence<[UInt64]> {
            var batch = StorageBatch(number: UInt64(number + 1))
            batch.records = [StoredRecord(did: DialogID(rawValue: did), record: [1], ageMilliseconds: 0)]
            try database.write(batch, by: "n1", at: 0)
        }
        let order = try DatabaseQueue(path: place.file).read {
            try Int64.fetchAll($0, sql: "SELECT did FROM understudy_record ORDER BY rowid")
        }
        #expect(order == [3, 1, 2])
        #expect(try database.records(after: nil, limit: 2, since: 0, now: 0).map(\.did.rawValue) == [1, 2])
    }

    @Test(arguments: DatabaseChecks.all.map(\.name))
    func `what was written comes back byte for byte, older by what has passed`(name: String) throws {
        let place = try Place()
        let check = try #require(DatabaseChecks.all.first { $0.name == name }).check
        try check(SQLiteDatabase(file: place.file), SQLiteDatabase(file: place.file))
    }

    @Test(arguments: ModuleChecks.every.map(\.name))
    func `the tables of Kamailio's module follow the records`(name: String) throws {
        let place = try Place()
        let file = place.file
        let check = try #require(ModuleChecks.every.first { $0.name == name }).check
        try check(
            ModuleChecks.Place(
                open: { try SQLiteDatabase(file: file, module: $0) },
                rows: { sql in
                    try DatabaseQueue(path: file).write { database in
                        try Row.fetchAll(database, sql: sql).map { row in
                            row.databaseValues.map { value in
                                Int64.fromDatabaseValue(value).map(String.init) ?? String.fromDatabaseValue(value) ?? ""
                            }
                        }
                    }
                }))
    }

    @Test func `the log is moved into the file by another thread, also while it is written to`() throws {
        let place = try Place()
        let database = try SQLiteDatabase(file: place.file)
        func size(_ file: String) -> Int {
            ((try? FileManager.default.attributesOfItem(atPath: file))?[.size] as? Int) ?? 0
        }
        for number in UInt64(1)...40 {
            let records = (UInt64(1)...256).map { place in
                var record = DatabaseChecks.record(number * 1_000 + place)
                record.record = Array(repeating: UInt8(truncatingIfNeeded: place), count: 1_000)
                return record
            }
            try database.write(DatabaseChecks.batch(number, records), by: "n1", at: 0)
        }
        // 10 MB of records: most of them get there, though nobody closes the file or asks.
        let end = ContinuousClock.now + .seconds(20)
        while size(place.file) < 8_000_000, ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.01) }
        #expect(size(place.file) >= 8_000_000)
        #expect(size(place.file + "-wal") < 80_000_000)
        let other = try SQLiteDatabase(file: place.file)
        #expect(try other.records(after: nil, limit: 20_000, since: 0, now: 0).count == 10_240)
    }

    @Test func `a row of the module that somebody has spoilt is counted, and no other is lost`() throws {
        let place = try Place()
        let one = try SQLiteDatabase(file: place.file, module: ModuleChecks.module)
        try one.write(
            DatabaseChecks.batch(1, try (1...4).map { try ModuleChecks.record($0) }), by: "n1", at: 1_000)
        try DatabaseQueue(path: place.file).write { database in
            for (number, change) in [(1, "state = 'abc'"), (2, "timeout = x'ff'"), (3, "xdata = x'ff'")] {
                try database.execute(sql: "UPDATE dialog SET \(change) WHERE callid = 'call-\(number)'")
            }
        }
        let page = try one.moduleRows(after: 0, limit: 10, now: 0)
        #expect(page.rows.map(\.key.callID) == ["call-3", "call-4"] && page.unreadable == 2 && page.isLast)
    }

    @Test func `what is no database, or one of another version, is told in one sentence`() throws {
        let place = try Place()
        try Data(repeating: 65, count: 8_192).write(to: URL(filePath: place.file))
        #expect(throws: StorageError("file is not a database")) { try SQLiteDatabase(file: place.file) }
        #expect(throws: StorageError.self) { try SQLiteDatabase(file: place.folder.path + "/none/dialogs.db") }
        let other = place.folder.appending(path: "other.db").path
        _ = try SQLiteDatabase(file: other)
        try DatabaseQueue(path: other).write {
            try $0.execute(sql: "UPDATE version SET table_version = 2 WHERE table_name = 'understudy_record'")
        }
        let sentence = "table understudy_record is of version 2; this program needs 1"
        #expect(throws: StorageError(sentence)) { try SQLiteDatabase(file: other) }
    }

    @Test func `a row that somebody has spoilt is told without a record, and no other is lost`() throws {
        let place = try Place()
        let one = try SQLiteDatabase(file: place.file)
        var batch = StorageBatch(number: 1)
        batch.records = (1...4).map { DatabaseChecks.record(UInt64($0)) }
        try one.write(batch, by: "n1", at: 1_000)
        try DatabaseQueue(path: place.file).write { database in
            for (did, change) in [(1, "age_ms = 'abc'"), (2, "deadline_ms = 'x'"), (3, "saved_ms = 'y'")] {
                try database.execute(sql: "UPDATE understudy_record SET \(change) WHERE did = \(did)")
            }
        }
        let rows = try one.records(after: nil, limit: 10, since: 0, now: 2_000)
        #expect(rows.map(\.did.rawValue) == [1, 2, 3, 4])
        #expect(rows.map(\.record.isEmpty) == [true, true, true, false])
    }

    @Test func `a file that another program has locked fails after a second, and is written when it is free`() throws {
        let place = try Place()
        let one = try SQLiteDatabase(file: place.file)
        try DatabaseQueue(path: place.file).write { _ in
            #expect(throws: StorageError("database is locked")) {
                try one.write(DatabaseChecks.batch(1, [DatabaseChecks.record(1)]), by: "n1", at: 0)
            }
            let read = try one.records(after: nil, limit: 1, since: 0, now: 0)
            #expect(read.isEmpty, "it can still be read")
        }
        try one.write(DatabaseChecks.batch(2, [DatabaseChecks.record(1)]), by: "n1", at: 0)
        #expect(try one.records(after: nil, limit: 1, since: 0, now: 0) == [DatabaseChecks.record(1)])
    }
}
