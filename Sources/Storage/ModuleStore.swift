// ModuleStore is what both kinds of database need to keep the tables of Kamailio's module `dialog`: how they are called,
// what stands in which column, and what a batch of records does to them.
//
// They are written in the transaction of the records that they follow from, so they are never ahead of them nor behind.

import Dialogs
package import Node

package struct ModuleStore: Sendable {
    /// What their versions may be; ims_dialog demands another one of the variables than its schema has.
    static let versions: [(of: any KeyPath<ModuleTables, String> & Sendable, known: [Int])] = [
        (\.dialogs, [7]), (\.variables, [1, 7]),
    ]

    let tables: ModuleTables
    /// `ims_dialog.hash_size`, which is the module's `hash_size`.
    let size: Int

    package init(_ tables: ModuleTables, size: Int) {
        (self.tables, self.size) = (tables, size)
    }

    /// `nil` where no module's tables are kept.
    package init?(_ settings: Settings) {
        guard settings.storage.module == .dialog else { return nil }
        self.init(settings.storage.tables, size: settings.dialogs.hashSize)
    }

    /// A name as SQL has it, whatever its letters.
    static func quoted(_ name: String) -> String { "\"\(name)\"" }

    var dialogs: String { Self.quoted(tables.dialogs) }
    var variables: String { Self.quoted(tables.variables) }

    func name(_ column: ModuleColumn) -> String { Self.quoted(tables.name(column)) }

    // MARK: Columns

    enum Value: Equatable, Sendable {
        case number(Int64)
        case text(String?)
    }

    /// Columns of a row of dialogs: the first three are its key.
    var columns: [String] {
        let named: [ModuleColumn] = [
            .entry, .identifier, .callID, .fromURI, .fromTag, .toURI, .toTag, .fromCSeq, .toCSeq, .fromRoutes,
            .toRoutes, .fromContact, .toContact, .fromSocket, .toSocket, .timeoutRoute, .state, .startTime, .timeout,
            .scriptFlags,
        ]
        return named.map(name) + ["iflags", "req_uri", "xdata"].map(Self.quoted)
    }

    static let keyCount = 3

    /// Its values, in that order.
    static func values(_ row: ModuleRow) -> [Value] {
        func some(_ text: String) -> Value { .text(text.isEmpty ? nil : text) }
        return values(row.key) + [
            .text(row.caller.uri), .text(row.caller.tag), .text(row.callee.uri), .text(row.callee.tag),
            .text(row.caller.cSeq), .text(row.callee.cSeq), some(row.caller.routes), some(row.callee.routes),
            .text(row.caller.contact), .text(row.callee.contact), .text(row.caller.socket), .text(row.callee.socket),
            .text(row.timeoutRoute), .number(row.state), .number(row.startTime), .number(row.timeout),
            .number(row.scriptFlags), .number(row.flags.rawValue), .text(row.requestURI), .text(row.extra),
        ]
    }

    static func values(_ key: ModuleRow.Key) -> [Value] {
        [.number(key.entry), .number(key.identifier), .text(key.callID)]
    }

    /// Columns of a row of variables.
    var variableColumns: [String] {
        [.variableEntry, .variableIdentifier, .variableName, .variableValue].map(name)
    }

    static func values(_ variable: ModuleRow.Variable, of key: ModuleRow.Key) -> [Value] {
        [.number(key.entry), .number(key.identifier), .text(variable.name), .text(variable.value)]
    }

    // MARK: What records do to them

    struct Changes: Equatable, Sendable {
        var rows: [ModuleRow] = []
        var gone: [ModuleRow.Key] = []
        var loss = ModuleLoss()

        var isEmpty: Bool { rows.isEmpty && gone.isEmpty }
    }

    /// - Parameters:
    ///   - records: As they are written.
    ///   - removed: Records as they stand in the table whose rows go.
    ///   - now: When the batch was made, Unix milliseconds.
    func changes(_ records: [StoredRecord], removed: [StoredRecord] = [], at now: Int64) -> Changes {
        var changes = Changes()
        for record in records {
            switch projection(record, at: now) {
            case .row(let row, let cut):
                changes.rows.append(row)
                changes.loss.cut += cut
            case .none(let key): changes.gone.append(key)
            case .tooLong(let key):
                changes.gone.append(key)
                changes.loss.leftOut += 1
            case .unreadable: break
            }
        }
        changes.gone += removed.compactMap { projection($0, at: now).key }
        return changes
    }

    private func projection(_ record: StoredRecord, at now: Int64) -> ModuleProjection {
        let times = ModuleProjection.Times(
            born: now &- record.ageMilliseconds, ends: record.remainingMilliseconds.map { now &+ $0 })
        return ModuleProjection(record.did, record.record, times, size: size)
    }
}
