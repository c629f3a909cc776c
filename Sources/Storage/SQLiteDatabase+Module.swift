// The tables of Kamailio's module in an SQLite file, within the transaction of what changes them.

import Dialogs
import Foundation
import GRDB
package import Node

extension SQLiteDatabase {
    /// The module's tables are there, of a known version, with the columns that they are said to have.
    static func check(_ module: ModuleStore, _ database: Database) throws {
        for (path, known) in ModuleStore.versions {
            let table = module.tables[keyPath: path]
            let sql = "SELECT table_version FROM version WHERE table_name = ?"
            let found = try Int.fetchOne(database, sql: sql, arguments: [table])
            guard let found, known.contains(found) else {
                throw StorageError.version(of: table, found.map(String.init), needed: known)
            }
        }
        _ = try Row.fetchAll(database, sql: "SELECT \(list(module.columns)) FROM \(module.dialogs) LIMIT 0")
        _ = try Row.fetchAll(database, sql: "SELECT \(list(module.variableColumns)) FROM \(module.variables) LIMIT 0")
    }

    private static func list(_ columns: [String]) -> String { columns.joined(separator: ", ") }

    static func apply(_ changes: ModuleStore.Changes, _ module: ModuleStore, _ database: Database) throws {
        for key in changes.gone { try delete(key, module, database) }
        for row in changes.rows { try write(row, module, database) }
    }

    private static func write(_ row: ModuleRow, _ module: ModuleStore, _ database: Database) throws {
        let (columns, values) = (module.columns, ModuleStore.values(row).map(\.databaseValue))
        let (key, rest) = (columns[..<ModuleStore.keyCount], columns[ModuleStore.keyCount...])
        let update = try database.cachedStatement(
            sql: """
                UPDATE \(module.dialogs) SET \(rest.map { "\($0) = ?" }.joined(separator: ", "))
                WHERE \(key.map { "\($0) = ?" }.joined(separator: " AND "))
                """)
        try update.execute(
            arguments: StatementArguments(values[ModuleStore.keyCount...] + values[..<ModuleStore.keyCount]))
        if database.changesCount == 0 {
            let marks = Array(repeating: "?", count: columns.count)
            let insert = try database.cachedStatement(
                sql: "INSERT INTO \(module.dialogs) (\(list(columns))) VALUES (\(list(marks)))")
            try insert.execute(arguments: StatementArguments(values))
        }
        try write(row.variables, of: row.key, module, database)
    }

    /// Those that are as they were stay.
    private static func write(
        _ variables: [ModuleRow.Variable], of key: ModuleRow.Key, _ module: ModuleStore, _ database: Database
    ) throws {
        let columns = module.variableColumns
        let select = try database.cachedStatement(
            sql: """
                SELECT \(columns[2]), \(columns[3]) FROM \(module.variables)
                WHERE \(columns[0]) = ? AND \(columns[1]) = ? ORDER BY 1, 2
                """)
        let numbers: StatementArguments = [key.entry, key.identifier]
        let known = try Row.fetchAll(select, arguments: numbers).map { row in
            ModuleRow.Variable(
                name: String.fromDatabaseValue(row[0] as DatabaseValue) ?? "",
                value: String.fromDatabaseValue(row[1] as DatabaseValue) ?? "")
        }
        guard known.sorted() != variables else { return }
        let delete = try database.cachedStatement(
            sql: "DELETE FROM \(module.variables) WHERE \(columns[0]) = ? AND \(columns[1]) = ?")
        try delete.execute(arguments: numbers)
        let insert = try database.cachedStatement(
            sql: "INSERT INTO \(module.variables) (\(list(columns))) VALUES (?, ?, ?, ?)")
        for variable in variables {
            try insert.execute(
                arguments: StatementArguments(ModuleStore.values(variable, of: key).map(\.databaseValue)))
        }
    }

    private static func delete(_ key: ModuleRow.Key, _ module: ModuleStore, _ database: Database) throws {
        let columns = module.columns
        let dialog = try database.cachedStatement(
            sql: """
                DELETE FROM \(module.dialogs) WHERE \(columns[0]) = ? AND \(columns[1]) = ? AND \(columns[2]) = ?
                """)
        try dialog.execute(arguments: [key.entry, key.identifier, key.callID])
        // Variables have no Call-ID: those of another dialog with the same numbers stay.
        let names = module.variableColumns
        let variables = try database.cachedStatement(
            sql: """
                DELETE FROM \(module.variables) WHERE \(names[0]) = ?1 AND \(names[1]) = ?2 AND NOT EXISTS (
                    SELECT 1 FROM \(module.dialogs) WHERE \(columns[0]) = ?1 AND \(columns[1]) = ?2)
                """)
        try variables.execute(arguments: [key.entry, key.identifier])
    }

    package func moduleRows(after last: Int64, limit: Int, now: Int64) throws(StorageError) -> ModulePage {
        var page = ModulePage()
        page.readAt = now
        guard let module else {
            page.isLast = true
            return page
        }
        let found: [(number: Int64, row: ModuleRow?)] = try reading { database in
            let columns = Self.list(module.columns.map { "\(module.dialogs).\($0)" })
            let sql = "SELECT \(columns), id FROM \(module.dialogs) WHERE id > ? ORDER BY id LIMIT ?"
            return try Row.fetchAll(database, sql: sql, arguments: [last, limit]).map { row in
                var read = ModuleStore.row(
                    number: { Int64.fromDatabaseValue(row[$0] as DatabaseValue) },
                    text: { String.fromDatabaseValue(row[$0] as DatabaseValue) })
                if let key = read?.key { read?.variables = try Self.variables(of: key, module, database) }
                return (row[module.columns.count], read)
            }
        }
        page.rows = found.compactMap(\.row)
        page.unreadable = found.count - page.rows.count
        page.last = found.last?.number
        page.isLast = found.count < limit
        return page
    }

    private static func variables(
        of key: ModuleRow.Key, _ module: ModuleStore, _ database: Database
    ) throws -> [ModuleRow.Variable] {
        let columns = module.variableColumns
        let select = try database.cachedStatement(
            sql: """
                SELECT \(columns[2]), \(columns[3]) FROM \(module.variables)
                WHERE \(columns[0]) = ? AND \(columns[1]) = ? LIMIT \(ModuleStore.variablesOfOne)
                """)
        return try Row.fetchAll(select, arguments: [key.entry, key.identifier]).compactMap { row in
            guard let name = String.fromDatabaseValue(row[0] as DatabaseValue),
                let value = String.fromDatabaseValue(row[1] as DatabaseValue)
            else { return nil }
            return ModuleRow.Variable(name: name, value: value)
        }.sorted()
    }

    /// Everything goes, as it does when the module itself has read what it keeps in mode 3.
    static func empty(_ module: ModuleStore, _ database: Database) throws {
        try database.execute(sql: "DELETE FROM \(module.dialogs)")
        try database.execute(sql: "DELETE FROM \(module.variables)")
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
