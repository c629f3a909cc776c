// The tables of Kamailio's module in an SQLite file, within the transaction of what changes them.

import Dialogs
import Foundation
import GRDB
package import Node

extension SQLiteDatabase {
    /// The module's tables are there, of a known version, with the columns that they are said to have.
    static func check(_ module: ModuleStore, _ database: Database) throws {
        for table in module.tables {
            let sql = "SELECT table_version FROM version WHERE table_name = ?"
            let found = try Int.fetchOne(database, sql: sql, arguments: [table.name])
            guard let found, table.versions.contains(found) else {
                throw StorageError.version(of: table.name, found.map(String.init), needed: table.versions)
            }
            _ = try Row.fetchAll(database, sql: "SELECT \(list(table.columns)) FROM \(table.sql) LIMIT 0")
        }
    }

    private static func list(_ columns: [String]) -> String { columns.joined(separator: ", ") }

    /// `a = ? AND b = ?`, or with another word between.
    private static func equal(_ columns: some Sequence<String>, _ word: String = " AND ") -> String {
        columns.map { "\($0) = ?" }.joined(separator: word)
    }

    private static func arguments(_ values: some Sequence<ModuleStore.Value>) -> StatementArguments {
        StatementArguments(values.map(\.databaseValue))
    }

    static func apply(_ changes: ModuleStore.Changes, _ module: ModuleStore, _ database: Database) throws {
        for identity in changes.gone { try delete(identity, module, database) }
        for written in changes.rows { try write(written, module, database) }
    }

    private static func write(_ written: ModuleStore.Written, _ module: ModuleStore, _ database: Database) throws {
        for details in module.details { try disown(written, details, module, database) }
        let (table, values) = (module.dialogs, module.values(written))
        let (key, rest) = (table.columns[..<ModuleStore.keyCount], table.columns[ModuleStore.keyCount...])
        let update = try database.cachedStatement(
            sql: "UPDATE \(table.sql) SET \(equal(rest, ", ")) WHERE \(equal(key))")
        try update.execute(
            arguments: arguments(values[ModuleStore.keyCount...] + values[..<ModuleStore.keyCount]))
        if database.changesCount == 0 { try insert([values], into: table, database) }
        for details in module.details {
            try write(module.rows(written, of: details), written.identity, details, module, database)
        }
    }

    private static func insert(
        _ rows: [[ModuleStore.Value]], into table: ModuleStore.Table, _ database: Database
    ) throws {
        let marks = Array(repeating: "?", count: table.columns.count)
        let insert = try database.cachedStatement(
            sql: "INSERT INTO \(table.sql) (\(list(table.columns))) VALUES (\(list(marks)))")
        for row in rows { try insert.execute(arguments: arguments(row)) }
    }

    /// Those that are as they were, in the order in which they were written, stay.
    private static func write(
        _ rows: [[ModuleStore.Value]], _ identity: ModuleStore.Identity, _ details: ModuleStore.Details,
        _ module: ModuleStore, _ database: Database
    ) throws {
        let (table, owner) = (details.table, arguments(module.owner(identity, of: details)))
        let select = try database.cachedStatement(
            sql: "SELECT \(list(table.columns)) FROM \(table.sql) WHERE \(equal(details.ownerColumns)) ORDER BY id")
        let known = try Row.fetchAll(select, arguments: owner).map { Array($0.databaseValues) }
        guard known != rows.map({ $0.map(\.databaseValue) }) else { return }
        let delete = try database.cachedStatement(
            sql: "DELETE FROM \(table.sql) WHERE \(equal(details.ownerColumns))")
        try delete.execute(arguments: owner)
        try insert(rows, into: table, database)
    }

    /// A row that another program has written may know the dialog by another did: what belongs to that one goes.
    private static func disown(
        _ written: ModuleStore.Written, _ details: ModuleStore.Details, _ module: ModuleStore, _ database: Database
    ) throws {
        guard let (own, named) = details.name(in: module) else { return }
        let delete = try database.cachedStatement(
            sql: """
                DELETE FROM \(details.table.sql) WHERE \(own) IN (
                    SELECT \(named) FROM \(module.dialogs.sql)
                    WHERE \(equal(module.dialogs.columns[..<ModuleStore.keyCount])) AND \(named) <> ?)
                """)
        try delete.execute(
            arguments: arguments(
                ModuleStore.values(written.row.key) + module.owner(written.identity, of: details)))
    }

    private static func delete(_ identity: ModuleStore.Identity, _ module: ModuleStore, _ database: Database) throws {
        let table = module.dialogs
        let dialog = try database.cachedStatement(
            sql: "DELETE FROM \(table.sql) WHERE \(equal(table.columns[..<ModuleStore.keyCount]))")
        try dialog.execute(arguments: arguments(ModuleStore.values(identity.key)))
        // Variables have no Call-ID: those of another dialog with the same numbers stay.
        for details in module.details {
            let owner = module.owner(identity, of: details)
            let rows = try database.cachedStatement(
                sql: """
                    DELETE FROM \(details.table.sql) WHERE \(equal(details.ownerColumns)) AND NOT EXISTS (
                        SELECT 1 FROM \(table.sql) WHERE \(equal(details.owner.map { table.columns[$0] })))
                    """)
            try rows.execute(arguments: arguments(owner + owner))
        }
    }

    package func moduleRows(after last: Int64, limit: Int, now: Int64) throws(StorageError) -> ModulePage {
        var page = ModulePage()
        page.readAt = now
        guard let module else {
            page.isLast = true
            return page
        }
        let table = module.dialogs
        let found: [(number: Int64, row: ModuleRow?)] = try reading { database in
            let columns = Self.list(table.columns.map { "\(table.sql).\($0)" })
            let sql = "SELECT \(columns), id FROM \(table.sql) WHERE id > ? ORDER BY id LIMIT ?"
            return try Row.fetchAll(database, sql: sql, arguments: [last, limit]).map { row in
                var read = module.row(
                    number: { Int64.fromDatabaseValue(row[$0] as DatabaseValue) },
                    text: { String.fromDatabaseValue(row[$0] as DatabaseValue) })
                for details in module.details where read != nil {
                    let owner = details.owner.map { row[$0] as DatabaseValue }
                    let rows = try Self.rows(of: owner, details, database)
                    if var whole = read {
                        module.add(rows, of: details, to: &whole)
                        read = whole
                    }
                }
                return (row[table.columns.count], read)
            }
        }
        page.rows = found.compactMap(\.row)
        page.unreadable = found.count - page.rows.count
        page.last = found.last?.number
        page.isLast = found.count < limit
        return page
    }

    private static func rows(
        of owner: [DatabaseValue], _ details: ModuleStore.Details, _ database: Database
    ) throws -> [[String?]] {
        let select = try database.cachedStatement(
            sql: """
                SELECT \(list(details.table.columns)) FROM \(details.table.sql) WHERE \(equal(details.ownerColumns))
                ORDER BY id LIMIT \(ModuleStore.detailLimit)
                """)
        return try Row.fetchAll(select, arguments: StatementArguments(owner)).map { row in
            row.databaseValues.map { String.fromDatabaseValue($0) }
        }
    }

    /// Everything goes, as it does when the module itself has read what it keeps in mode 3.
    static func empty(_ module: ModuleStore, _ database: Database) throws {
        for table in module.tables { try database.execute(sql: "DELETE FROM \(table.sql)") }
    }
}

extension ModuleStore.Value {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .number(let number): number.databaseValue
        case .text(let text): text?.databaseValue ?? .null
        }
    }
}
