// The tables of Kamailio's module in PostgreSQL: of a batch one statement for what goes, and one each for rows that are
// there, rows that are new, and what belongs to them, in the transaction of the records. A row of
// dialogs that is there is changed and not made anew, since the numbers of Kamailio's own tables end at 2³¹; what
// belongs to it is made anew where it differs. Callees stand in their order, the main one first, by those numbers:
// where one of several is made anew, all of that dialog are.

import Dialogs
package import Node

extension PostgresDatabase {
    static func check(_ module: ModuleStore, _ connection: PostgresConnection) throws(StorageError) {
        for table in module.tables {
            let sql = "SELECT table_version FROM version WHERE table_name = $1"
            let found = try connection.run(sql, [table.name]).first?.first ?? nil
            guard let number = found.flatMap({ Int($0) }), table.versions.contains(number) else {
                throw StorageError.version(of: table.name, found, needed: table.versions)
            }
            _ = try connection.run("SELECT \(list(table.columns)) FROM \(table.sql) LIMIT 0", [])
        }
    }

    private static func list(_ columns: [String]) -> String { columns.joined(separator: ", ") }

    /// `d.a = n.c0 AND d.b = n.c1`.
    private static func same(_ columns: some Sequence<String>, _ alias: String, _ other: String) -> String {
        columns.enumerated().map { "\(alias).\($1) = \(other).c\($0)" }.joined(separator: " AND ")
    }

    static func apply(
        _ changes: ModuleStore.Changes, _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) {
        try delete(changes.gone, module, connection)
        guard !changes.rows.isEmpty else { return }
        let table = module.dialogs
        for details in module.details { try disown(changes.rows, details, module, connection) }
        let rows = Batch(table.columns, changes.rows.map(module.values))
        let same = Self.same(table.columns[..<ModuleStore.keyCount], "d", "n")
        let changed = table.columns.enumerated().dropFirst(ModuleStore.keyCount).map { "\($1) = n.c\($0)" }
        _ = try connection.run(
            "UPDATE \(table.sql) AS d SET \(list(changed)) FROM \(rows.source) WHERE \(same)", rows.arrays)
        _ = try connection.run(
            """
            INSERT INTO \(table.sql) (\(list(table.columns))) SELECT n.* FROM \(rows.source)
            WHERE NOT EXISTS (SELECT 1 FROM \(table.sql) AS d WHERE \(same))
            """, rows.arrays)
        for details in module.details { try write(changes.rows, details, module, connection) }
    }

    /// Those that are as they were stay.
    private static func write(
        _ rows: [ModuleStore.Written], _ details: ModuleStore.Details, _ module: ModuleStore,
        _ connection: PostgresConnection
    ) throws(StorageError) {
        let table = details.table
        if details.kind == .callees { try clearUnordered(rows, details, module, connection) }
        let values = rows.flatMap { module.rows($0, of: details) }
        let all = Batch(table.columns, values, empty: module.emptyRow(of: details))
        let same = Self.same(table.columns, "v", "n")
        let owners = Batch(
            details.ownerColumns, rows.map { module.owner($0.identity, of: details) }, after: table.columns.count)
        _ = try connection.run(
            """
            DELETE FROM \(table.sql) AS v USING \(owners.source("k"))
            WHERE \(Self.same(details.ownerColumns, "v", "k"))
              AND NOT EXISTS (SELECT 1 FROM \(all.source) WHERE \(same))
            """, all.arrays + owners.arrays)
        guard !values.isEmpty else { return }
        _ = try connection.run(
            """
            INSERT INTO \(table.sql) (\(list(table.columns))) SELECT \(all.names) FROM \(all.numbered)
            WHERE NOT EXISTS (SELECT 1 FROM \(table.sql) AS v WHERE \(same)) ORDER BY n.number
            """, all.arrays)
    }

    /// Of dialogs with several such rows, those go that do not stand as they are to.
    private static func clearUnordered(
        _ rows: [ModuleStore.Written], _ details: ModuleStore.Details, _ module: ModuleStore,
        _ connection: PostgresConnection
    ) throws(StorageError) {
        var wanted: [[String?]: [[String?]]] = [:]
        for written in rows {
            let several = module.rows(written, of: details).map { $0.map(\.asText) }
            if several.count > 1 { wanted[module.owner(written.identity, of: details).map(\.asText)] = several }
        }
        guard !wanted.isEmpty else { return }
        let found = try Self.rows(Array(wanted.keys), details, module, connection)
        let stale = wanted.filter { found[$0.key, default: []] != $0.value }.map(\.key)
        guard !stale.isEmpty else { return }
        let owners = owners(stale, details, module)
        _ = try connection.run(
            """
            DELETE FROM \(details.table.sql) AS v USING \(owners.source)
            WHERE \(same(details.ownerColumns, "v", "n"))
            """, owners.arrays)
    }

    /// A row that another program has written may know the dialog by another did: what belongs to that one goes.
    private static func disown(
        _ rows: [ModuleStore.Written], _ details: ModuleStore.Details, _ module: ModuleStore,
        _ connection: PostgresConnection
    ) throws(StorageError) {
        guard let (own, named) = details.name(in: module) else { return }
        let key = Array(module.dialogs.columns[..<ModuleStore.keyCount])
        let keys = Batch(
            key + [named],
            rows.map { ModuleStore.values($0.row.key) + module.owner($0.identity, of: details) })
        _ = try connection.run(
            """
            DELETE FROM \(details.table.sql) AS v USING \(module.dialogs.sql) AS d, \(keys.source)
            WHERE \(same(key, "d", "n")) AND d.\(named) <> n.c\(key.count) AND v.\(own) = d.\(named)
            """, keys.arrays)
    }

    static func delete(
        _ gone: [ModuleStore.Identity], _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) {
        guard !gone.isEmpty else { return }
        let table = module.dialogs
        let key = Array(table.columns[..<ModuleStore.keyCount])
        let keys = Batch(key, gone.map { ModuleStore.values($0.key) })
        _ = try connection.run(
            "DELETE FROM \(table.sql) AS d USING \(keys.source) WHERE \(same(key, "d", "n"))", keys.arrays)
        // Variables have no Call-ID: those of another dialog with the same numbers stay.
        for details in module.details {
            let owners = Batch(details.ownerColumns, gone.map { module.owner($0, of: details) })
            _ = try connection.run(
                """
                DELETE FROM \(details.table.sql) AS v USING \(owners.source)
                WHERE \(same(details.ownerColumns, "v", "n")) AND NOT EXISTS (
                    SELECT 1 FROM \(table.sql) AS d WHERE \(same(details.owner.map { table.columns[$0] }, "d", "n")))
                """, owners.arrays)
        }
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
        let table = module.dialogs
        let found = try connection.run(
            """
            SELECT \(list(table.columns)), id FROM \(table.sql) WHERE id > $1::bigint ORDER BY id LIMIT \(limit)
            """, [String(last)])
        var page = ModulePage()
        var read: [(row: ModuleRow, texts: [String?])] = found.compactMap { texts in
            module.row(number: { texts[$0].flatMap { Int64($0) } }, text: { texts[$0] }).map { ($0, texts) }
        }
        page.unreadable = found.count - read.count
        page.last = found.last.flatMap { $0[table.columns.count] }.flatMap { Int64($0) }
        page.isLast = found.count < limit || page.last == nil
        for details in module.details where !read.isEmpty {
            let rows = try Self.rows(
                read.map { read in details.owner.map { read.texts[$0] } }, details, module, connection)
            for index in read.indices {
                let owner = details.owner.map { read[index].texts[$0] }
                module.add(rows[owner, default: []], of: details, to: &read[index].row)
            }
        }
        page.rows = read.map(\.row)
        return page
    }

    private static func owners(
        _ owners: [[String?]], _ details: ModuleStore.Details, _ module: ModuleStore
    ) -> Batch {
        let isNumber = module.emptyRow(of: details).map(\.isNumber)
        return Batch(
            details.ownerColumns,
            owners.map { texts in
                zip(texts, isNumber).map { text, isNumber in
                    isNumber ? .number(text.flatMap { Int64($0) } ?? 0) : .text(text)
                }
            })
    }

    /// What belongs to those dialogs, in order, by the texts of its first columns.
    private static func rows(
        _ owners: [[String?]], _ details: ModuleStore.Details, _ module: ModuleStore, _ connection: PostgresConnection
    ) throws(StorageError) -> [[String?]: [[String?]]] {
        let (columns, keys) = (details.ownerColumns, Self.owners(owners, details, module))
        let found = try connection.run(
            """
            SELECT \(list(details.table.columns)) FROM \(details.table.sql)
            WHERE (\(list(columns))) IN (SELECT * FROM \(keys.source)) ORDER BY id
            LIMIT \(owners.count * ModuleStore.detailLimit)
            """, keys.arrays)
        return Dictionary(grouping: found) { Array($0[..<columns.count]) }
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
            types = kinds.map { $0.isNumber ? "integer[]" : "text[]" }
            arrays = kinds.indices.map { column in
                "{\(rows.map { Self.literal($0[column]) }.joined(separator: ","))}"
            }
        }

        /// With columns c0, c1 and so on.
        var source: String { source("n") }

        func source(_ alias: String) -> String { "unnest(\(parameters)) AS \(alias) (\(names))" }

        /// With a column `number` behind the others: in which order they were given.
        var numbered: String { "unnest(\(parameters)) WITH ORDINALITY AS n (\(names), number)" }

        var names: String { types.indices.map { "c\($0)" }.joined(separator: ", ") }

        private var parameters: String {
            types.enumerated().map { "$\($0 + first)::\($1)" }.joined(separator: ", ")
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
