// ModuleStore is what both kinds of database need to keep the tables of Kamailio's module `dialog`: how they are
// called, what stands in which column, and what a batch of records does to them.
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
    /// Columns of a row of dialogs, as `values` has them: the first three are its key.
    let columns: [String]
    /// Columns of a row of variables.
    let variableColumns: [String]

    package init(_ tables: ModuleTables, size: Int) {
        (self.tables, self.size) = (tables, size)
        let named: [ModuleColumn] = [
            .entry, .identifier, .callID, .fromURI, .fromTag, .toURI, .toTag, .fromCSeq, .toCSeq, .fromRoutes,
            .toRoutes, .fromContact, .toContact, .fromSocket, .toSocket, .timeoutRoute, .state, .startTime, .timeout,
            .scriptFlags,
        ]
        let fixed = ["iflags", "req_uri", "xdata"]
        columns = (named.map(tables.name) + fixed).map(Self.quoted)
        let ofVariables: [ModuleColumn] = [.variableEntry, .variableIdentifier, .variableName, .variableValue]
        variableColumns = ofVariables.map(tables.name).map(Self.quoted)
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

    // MARK: Columns

    enum Value: Equatable, Sendable {
        case number(Int64)
        case text(String?)
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

    static func values(_ variable: ModuleRow.Variable, of key: ModuleRow.Key) -> [Value] {
        [.number(key.entry), .number(key.identifier), .text(variable.name), .text(variable.value)]
    }

    /// Variables of one dialog that are read: more than a record takes.
    static let variablesOfOne = 256

    /// A row as it was found, column by column; `nil` where a number or a text is none that it cannot be without.
    static func row(number: (Int) -> Int64?, text: (Int) -> String?) -> ModuleRow? {
        guard let entry = number(0), let identifier = number(1), let callID = text(2), let state = number(16),
            let startTime = number(17), let timeout = number(18)
        else { return nil }
        func some(_ column: Int) -> String { text(column) ?? "" }
        var row = ModuleRow(key: ModuleRow.Key(entry: entry, identifier: identifier, callID: callID))
        (row.caller.uri, row.caller.tag, row.callee.uri, row.callee.tag) = (some(3), some(4), some(5), some(6))
        (row.caller.cSeq, row.callee.cSeq, row.caller.routes, row.callee.routes) = (some(7), some(8), some(9), some(10))
        (row.caller.contact, row.callee.contact) = (some(11), some(12))
        (row.caller.socket, row.callee.socket) = (some(13), some(14))
        row.timeoutRoute = text(15)
        (row.state, row.startTime, row.timeout) = (state, startTime, timeout)
        row.scriptFlags = number(19) ?? 0
        row.flags = ModuleRow.Flags(rawValue: number(20) ?? 0)
        row.requestURI = some(21)
        row.extra = text(22)
        return row
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
