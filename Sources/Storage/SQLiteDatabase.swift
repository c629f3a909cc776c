// SQLiteDatabase keeps records in one file, by GRDB: one connection, a write-ahead log, so that a transaction is one
// write without a wait for the disk, which a second connection does (`SQLiteCheckpoints`). What was written is there
// after the end of the process, however it ends; after a power cut the last transactions may be missing, and nothing is
// broken.
//
// Another process that holds the file's lock is waited for a second; then the attempt has failed, and the service
// tries again.

package import Dialogs
import Foundation
import GRDB
package import Node

package final class SQLiteDatabase: RecordDatabase {
    private static let busySeconds: Double = 1
    /// What the tables must be.
    private static let versions = [("understudy_node", 1), ("understudy_record", 1)]

    private let queue: DatabaseQueue
    private let checkpoints: SQLiteCheckpoints
    let module: ModuleStore?

    /// Opens the file, and makes it and its tables where they are not there.
    /// - Parameter module: The module whose tables are kept beside ours; those with names of their own must be there.
    package init(file: String, module: ModuleStore? = nil) throws(StorageError) {
        self.module = module
        var configuration = Configuration()
        configuration.busyMode = .timeout(Self.busySeconds)
        configuration.label = "storage"
        configuration.journalMode = .wal
        configuration.prepareDatabase { database in
            // The log is moved into the file by `SQLiteCheckpoints`, and not by a batch that happens to make it long.
            // 16 MiB of pages: those of the calls that are up.
            try database.execute(
                sql: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384")
        }
        do {
            queue = try DatabaseQueue(path: file, configuration: configuration)
            let schema = Self.schema(ShippedSchema.records) + (module?.schema(sqlite: true) ?? "")
            try queue.write { try $0.execute(sql: schema) }
            checkpoints = try SQLiteCheckpoints(file: file, configuration)
        } catch {
            throw Self.told(error)
        }
        try check()
    }

    package func check() throws(StorageError) {
        try reading { database in
            for (table, version) in Self.versions {
                let sql = "SELECT table_version FROM version WHERE table_name = ?"
                let found = try Int.fetchOne(database, sql: sql, arguments: [table])
                guard found == version else {
                    throw StorageError.version(of: table, found.map(String.init), needed: [version])
                }
            }
            if let module { try Self.check(module, database) }
        }
    }

    /// A shipped schema, which has PostgreSQL's types, with SQLite's. `INTEGER PRIMARY KEY` is a row's number there, so
    /// a did is none: rows stand in the order in which they were written, and a batch has those of one moment, on a few
    /// pages. By their dids each would be on a page of its own.
    static func schema(_ shipped: String) -> String {
        [("BIGSERIAL", "INTEGER"), ("BYTEA", "BLOB")].reduce(shipped) { schema, types in
            schema.replacing(types.0, with: types.1)
        }
    }

    private static func told(_ error: any Error) -> StorageError {
        switch error {
        case let error as StorageError: error
        case let error as DatabaseError: StorageError("\(error.message ?? "SQLite says \(error.resultCode)")")
        default: StorageError("\(error)")
        }
    }

    func reading<R>(_ body: (Database) throws -> R) throws(StorageError) -> R {
        do { return try queue.read(body) } catch { throw Self.told(error) }
    }

    private func writing<R>(_ body: (Database) throws -> R) throws(StorageError) -> R {
        do { return try queue.write(body) } catch { throw Self.told(error) }
    }

    package func knownUntil(before start: Int64) throws(StorageError) -> Int64 {
        try reading { database in
            let sql = "SELECT max(known_until_ms) FROM understudy_node WHERE known_until_ms < ?"
            return try Int64.fetchOne(database, sql: sql, arguments: [start]) ?? 0
        }
    }

    @discardableResult
    package func write(
        _ batch: StorageBatch, by writer: String, at now: Int64
    ) throws(StorageError) -> ModuleLoss {
        let loss = try writing { database in
            let loss = try project(batch, at: now, database)
            let insert = try database.cachedStatement(
                sql: """
                    INSERT INTO understudy_record (did, record, age_ms, saved_ms, deadline_ms, writer, held_back)
                    VALUES (?, ?, ?, ?, ?, ?, 0)
                    ON CONFLICT (did) DO UPDATE SET
                        record = excluded.record, age_ms = excluded.age_ms, saved_ms = excluded.saved_ms,
                        deadline_ms = excluded.deadline_ms, writer = excluded.writer, held_back = 0
                    """)
            for record in batch.records {
                try insert.execute(arguments: [
                    Int64(bitPattern: record.did.rawValue), Data(record.record), record.ageMilliseconds, now,
                    record.remainingMilliseconds.map { now &+ $0 }, writer,
                ])
            }
            let delete = try database.cachedStatement(sql: "DELETE FROM understudy_record WHERE did = ?")
            for did in batch.removed { try delete.execute(arguments: [Int64(bitPattern: did.rawValue)]) }
            let stamp = try database.cachedStatement(
                sql: """
                    INSERT INTO understudy_node (name, known_until_ms) VALUES (?, ?)
                    ON CONFLICT (name) DO UPDATE SET known_until_ms = excluded.known_until_ms
                    """)
            try stamp.execute(arguments: [writer, now &- batch.lagMilliseconds])
            return loss
        }
        if checkpoints.wrote(batch.records.count + batch.removed.count) {
            // What the batch was to do is done, whatever becomes of the log.
            do { try queue.writeWithoutTransaction { _ = try $0.checkpoint(.passive) } } catch { return loss }
        }
        return loss
    }

    /// What a batch does to the module's tables, before the records that go are gone.
    private func project(_ batch: StorageBatch, at now: Int64, _ database: Database) throws -> ModuleLoss {
        guard let module else { return ModuleLoss() }
        let removed = try batch.removed.compactMap { try Self.stored($0, now: now, database) }
        let changes = module.changes(batch.records, removed: removed, at: now)
        try Self.apply(changes, module, database)
        return changes.loss
    }

    private static let columns = "SELECT did, record, age_ms, saved_ms, deadline_ms FROM understudy_record"
    private static let believed = "writer IN (SELECT name FROM understudy_node WHERE known_until_ms >= ?)"

    /// A row that holds what none of this program's does has an empty record: nobody can read that, and it is counted.
    private static func stored(_ row: Row, now: Int64) -> StoredRecord {
        func number(_ column: String) -> Int64? { Int64.fromDatabaseValue(row[column] as DatabaseValue) }
        let (age, saved, deadline) = (number("age_ms"), number("saved_ms"), number("deadline_ms"))
        let isDeadline = deadline != nil || (row["deadline_ms"] as DatabaseValue).isNull
        let isWhole = age != nil && saved != nil && isDeadline
        let record = isWhole ? Data.fromDatabaseValue(row["record"] as DatabaseValue) : nil
        return StoredRecord(
            did: row["did"], record: record.map { [UInt8]($0) } ?? [], age: age ?? 0, saved: saved ?? now,
            deadline: deadline, now: now)
    }

    package func records(
        after did: DialogID?, limit: Int, since: Int64, now: Int64
    ) throws(StorageError) -> [StoredRecord] {
        let records: [StoredRecord] = try reading { database in
            let sql = "\(Self.columns) WHERE held_back = 0 AND did > ? AND \(Self.believed) ORDER BY did LIMIT ?"
            let start = did.map { Int64(bitPattern: $0.rawValue) } ?? .min
            return try Row.fetchAll(database, sql: sql, arguments: [start, since, limit]).map {
                Self.stored($0, now: now)
            }
        }
        // The module's tables may be younger than these rows.
        if let module {
            try writing { try Self.apply(module.changes(records, at: now), module, $0) }
        }
        return records
    }

    package func holdBack(since: Int64) throws(StorageError) -> Int {
        try writing { database in
            if let module {
                // What is not believed the module is not told of.
                let rows = try Row.fetchCursor(
                    database, sql: "\(Self.columns) WHERE held_back = 0 AND NOT \(Self.believed)", arguments: [since])
                while let row = try rows.next() {
                    let gone = module.changes([], removed: [Self.stored(row, now: 0)], at: 0)
                    try Self.apply(gone, module, database)
                }
            }
            try database.execute(
                sql: "UPDATE understudy_record SET held_back = 1 WHERE held_back = 0 AND NOT \(Self.believed)",
                arguments: [since])
            return try Self.heldBack(database)
        }
    }

    private static func heldBack(_ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "SELECT count(*) FROM understudy_record WHERE held_back = 1") ?? 0
    }

    package func due(limit: Int, now: Int64) throws(StorageError) -> (records: [StoredRecord], heldBack: Int) {
        try reading { database in
            let sql = "\(Self.columns) WHERE held_back = 1 AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?"
            let rows = try Row.fetchAll(database, sql: sql, arguments: [now, limit])
            return (rows.map { Self.stored($0, now: now) }, try Self.heldBack(database))
        }
    }

    package func record(_ did: DialogID, now: Int64) throws(StorageError) -> StoredRecord? {
        try reading { try Self.stored(did, now: now, $0) }
    }

    private static func stored(_ did: DialogID, now: Int64, _ database: Database) throws -> StoredRecord? {
        let row = try Row.fetchOne(
            database, sql: "\(columns) WHERE did = ?", arguments: [Int64(bitPattern: did.rawValue)])
        return row.map { stored($0, now: now) }
    }

    package func empty() throws(StorageError) {
        try writing { database in
            try database.execute(sql: "DELETE FROM understudy_record WHERE held_back = 0")
            if let module { try Self.empty(module, database) }
        }
    }
}
