// The tables of Kamailio's module in PostgreSQL: of a batch one statement for what goes, and one each for rows that are
// there, rows that are new, and variables, in the transaction of the records. A row that is there is changed and not
// made anew, since the numbers of Kamailio's own tables end at 2³¹.

import Dialogs
package import Node

extension PostgresDatabase {
    static func check(_ module: ModuleStore, _ connection: PostgresConnection) throws(StorageError) {
        for (path, known) in ModuleStore.versions {
            let table = module.tables[keyPath: path]
            let sql = "SELECT table_version FROM version WHERE table_name = $1"
            let found = try connection.run(sql, [table]).first?.first ?? nil
            guard let number = found.flatMap({ Int($0) }), known.contains(number) else {
                throw StorageError.version(of: table, found, needed: known)
            }
        }
        let (columns, names) = (module.columns.joined(separator: ", "), module.variableColumns)
        _ = try connection.run("SELECT \(columns) FROM \(module.dialogs) LIMIT 0", [])
        _ = try connection.run("SELECT \(names.joined(separator: ", ")) FROM \(module.variables) LIMIT 0", [])
    }

    static func apply(
        _ changes: ModuleStore.Changes, _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) {
        try delete(changes.gone, module, connection)
        guard !changes.rows.isEmpty else { return }
        let rows = Batch(module.columns, changes.rows.map { ModuleStore.values($0) })
        let same = "d.\(rows.columns[0]) = n.c0 AND d.\(rows.columns[1]) = n.c1 AND d.\(rows.columns[2]) = n.c2"
        let changed = rows.columns.enumerated().dropFirst(ModuleStore.keyCount).map { "\($1) = n.c\($0)" }
        _ = try connection.run(
            "UPDATE \(module.dialogs) AS d SET \(changed.joined(separator: ", ")) FROM \(rows.source) WHERE \(same)",
            rows.arrays)
        _ = try connection.run(
            """
            INSERT INTO \(module.dialogs) (\(rows.columns.joined(separator: ", "))) SELECT n.* FROM \(rows.source)
            WHERE NOT EXISTS (SELECT 1 FROM \(module.dialogs) AS d WHERE \(same))
            """, rows.arrays)
        try writeVariables(changes.rows, module, connection)
    }

    /// Those that are as they were stay.
    private static func writeVariables(
        _ rows: [ModuleRow], _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) {
        let names = module.variableColumns
        let all = Batch(
            names, rows.flatMap { row in row.variables.map { ModuleStore.values($0, of: row.key) } },
            empty: [.number(0), .number(0), .text(""), .text("")])
        let same = names.enumerated().map { "v.\($1) = n.c\($0)" }.joined(separator: " AND ")
        let numbers = Batch(Array(names[..<2]), rows.map { Array(ModuleStore.values($0.key)[..<2]) }, after: 4)
        _ = try connection.run(
            """
            DELETE FROM \(module.variables) AS v USING \(numbers.source("k"))
            WHERE v.\(names[0]) = k.c0 AND v.\(names[1]) = k.c1
                AND NOT EXISTS (SELECT 1 FROM \(all.source) WHERE \(same))
            """, all.arrays + numbers.arrays)
        guard rows.contains(where: { !$0.variables.isEmpty }) else { return }
        _ = try connection.run(
            """
            INSERT INTO \(module.variables) (\(names.joined(separator: ", "))) SELECT n.* FROM \(all.source)
            WHERE NOT EXISTS (SELECT 1 FROM \(module.variables) AS v WHERE \(same))
            """, all.arrays)
    }

    static func delete(
        _ gone: [ModuleRow.Key], _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) {
        guard !gone.isEmpty else { return }
        let (columns, names) = (module.columns, module.variableColumns)
        let keys = Batch(Array(columns[..<ModuleStore.keyCount]), gone.map { ModuleStore.values($0) })
        _ = try connection.run(
            """
            DELETE FROM \(module.dialogs) AS d USING \(keys.source)
            WHERE d.\(columns[0]) = n.c0 AND d.\(columns[1]) = n.c1 AND d.\(columns[2]) = n.c2
            """, keys.arrays)
        // Variables have no Call-ID: those of another dialog with the same numbers stay.
        _ = try connection.run(
            """
            DELETE FROM \(module.variables) AS v USING \(keys.source)
            WHERE v.\(names[0]) = n.c0 AND v.\(names[1]) = n.c1 AND NOT EXISTS (
                SELECT 1 FROM \(module.dialogs) AS d WHERE d.\(columns[0]) = n.c0 AND d.\(columns[1]) = n.c1)
            """, keys.arrays)
    }

    package func moduleRows(after last: Int64, limit: Int, now: Int64) throws(StorageError) -> ModulePage {
        guard let module else {
            var page = ModulePage()
            page.isLast = true
            return page
        }
        var page = try connected { connection throws(StorageError) in
            try Self.modulePage(after: last, limit: limit, module, connection)
        }
        page.readAt = now
        return page
    }

    private static func modulePage(
        after last: Int64, limit: Int, _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) -> ModulePage {
        let columns = module.columns
        let found = try connection.run(
            """
            SELECT \(columns.joined(separator: ", ")), id FROM \(module.dialogs) WHERE id > $1::bigint ORDER BY id
            LIMIT \(limit)
            """, [String(last)])
        var page = ModulePage()
        page.rows = found.compactMap { row in
            ModuleStore.row(number: { row[$0].flatMap { Int64($0) } }, text: { row[$0] })
        }
        page.unreadable = found.count - page.rows.count
        page.last = found.last.flatMap { $0[columns.count] }.flatMap { Int64($0) }
        page.isLast = found.count < limit || page.last == nil
        guard !page.rows.isEmpty else { return page }
        let names = module.variableColumns
        let keys = Batch(Array(names[..<2]), page.rows.map { Array(ModuleStore.values($0.key)[..<2]) })
        let pairs = try connection.run(
            """
            SELECT \(names.joined(separator: ", ")) FROM \(module.variables)
            WHERE (\(names[0]), \(names[1])) IN (SELECT * FROM \(keys.source))
            LIMIT \(page.rows.count * ModuleStore.variablesOfOne)
            """, keys.arrays)
        var variables: [[String?]: [ModuleRow.Variable]] = [:]
        for pair in pairs {
            guard let name = pair[2], let value = pair[3] else { continue }
            variables[Array(pair[..<2]), default: []].append(ModuleRow.Variable(name: name, value: value))
        }
        for index in page.rows.indices {
            let key = page.rows[index].key
            page.rows[index].variables = variables[[String(key.entry), String(key.identifier)], default: []].sorted()
        }
        return page
    }

    /// Rows as the database takes many at once: an array a column.
    private struct Batch {
        let columns: [String]
        /// Of each column, as a literal.
        let arrays: [String?]
        private let types: [String]
        private let first: Int

        /// - Parameters:
        ///   - empty: A row's kinds of values, where there may be none.
        ///   - after: How many parameters stand before.
        init(_ columns: [String], _ rows: [[ModuleStore.Value]], empty: [ModuleStore.Value] = [], after: Int = 0) {
            self.columns = columns
            first = after + 1
            let kinds = rows.first ?? empty
            types = kinds.map { if case .number = $0 { "integer[]" } else { "text[]" } }
            arrays = kinds.indices.map { column in
                "{\(rows.map { Self.literal($0[column]) }.joined(separator: ","))}"
            }
        }

        /// With columns c0, c1 and so on.
        var source: String { source("n") }

        func source(_ alias: String) -> String {
            let parameters = types.enumerated().map { "$\($0 + first)::\($1)" }.joined(separator: ", ")
            let names = types.indices.map { "c\($0)" }.joined(separator: ", ")
            return "unnest(\(parameters)) AS \(alias) (\(names))"
        }

        private static func literal(_ value: ModuleStore.Value) -> String {
            switch value {
            case .number(let number): String(number)
            case .text(nil): "NULL"
            case .text(let text?): "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
            }
        }
    }
}
