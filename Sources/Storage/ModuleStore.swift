// ModuleStore is what both kinds of database need to keep the tables of one of Kamailio's modules: how they are
// called, what stands in which column, and what a batch of records does to them.
//
//   dialog       dialog, a row a call                                              dialog_vars, a row a variable
//   ims_dialog   dialog_in, a row a call; dialog_out, a row a callee, by the did   dialog_vars
//
// They are written in the transaction of the records that they follow from, so they are never ahead of them nor behind.

package import Dialogs
import Foundation
package import Node

package struct ModuleStore: Sendable {
    struct Table: Sendable {
        /// As the table of versions has it.
        let name: String
        let versions: [Int]
        /// As SQL has them.
        let columns: [String]

        init(_ name: String, versions: [Int], columns: [String]) {
            (self.name, self.versions) = (name, versions)
            self.columns = columns.map(ModuleStore.quoted)
        }

        var sql: String { ModuleStore.quoted(name) }
    }

    /// Rows that belong to one of dialogs. Its first columns say to which, as the owner's columns of these numbers do.
    struct Details: Sendable {
        enum Kind: Sendable { case variables, callees }

        let kind: Kind
        let table: Table
        let owner: [Int]

        var ownerColumns: [String] { Array(table.columns[..<owner.count]) }

        /// The column that names the dialog, here and there, where that is a name which is no part of its key.
        func name(in module: ModuleStore) -> (own: String, dialogs: String)? {
            guard owner.count == 1, let column = owner.first, column >= ModuleStore.keyCount else { return nil }
            return (table.columns[0], module.dialogs.columns[column])
        }
    }

    private enum Module: Sendable { case dialog, imsDialog }

    private let module: Module
    /// `ims_dialog.hash_size`, which is the module's `hash_size`.
    private let size: Int
    private let isStandard: Bool
    /// The first `keyCount` columns are the key of a row.
    let dialogs: Table
    let details: [Details]

    static let keyCount = 3
    /// Of one dialog, rows of one kind that are read: more than a record takes.
    static let detailLimit = 256
    /// What the variables' may be: ims_dialog demands another one than its schema has.
    private static let versionsOfVariables = [1, 7]

    /// The tables of `dialog`.
    package init(_ tables: ModuleTables, size: Int) {
        (module, self.size, isStandard) = (.dialog, size, tables.areStandard)
        let named: [ModuleColumn] = [
            .entry, .identifier, .callID, .fromURI, .fromTag, .toURI, .toTag, .fromCSeq, .toCSeq, .fromRoutes,
            .toRoutes, .fromContact, .toContact, .fromSocket, .toSocket, .timeoutRoute, .state, .startTime, .timeout,
            .scriptFlags,
        ]
        let fixed = ["iflags", "req_uri", "xdata"]
        dialogs = Table(tables.dialogs, versions: [7], columns: named.map(tables.name) + fixed)
        let ofVariables: [ModuleColumn] = [.variableEntry, .variableIdentifier, .variableName, .variableValue]
        let variables = Table(
            tables.variables, versions: Self.versionsOfVariables, columns: ofVariables.map(tables.name))
        details = [Details(kind: .variables, table: variables, owner: [0, 1])]
    }

    /// The tables of `ims_dialog`, whose names are its own.
    package init(imsDialogOf size: Int) {
        (module, self.size, isStandard) = (.imsDialog, size, true)
        dialogs = Table(
            "dialog_in", versions: [7],
            columns: [
                "hash_entry", "hash_id", "callid", "did", "from_uri", "from_tag", "caller_original_cseq", "req_uri",
                "caller_route_set", "caller_contact", "caller_sock", "timeout", "state", "start_time", "sflags",
                "toroute_name", "toroute_index",
            ])
        let callees = Table(
            "dialog_out", versions: [7],
            columns: [
                "did", "hash_entry", "hash_id", "to_uri", "to_tag", "caller_cseq", "callee_cseq", "callee_contact",
                "callee_route_set", "callee_sock",
            ])
        let variables = Table(
            "dialog_vars", versions: Self.versionsOfVariables,
            columns: ["hash_entry", "hash_id", "dialog_key", "dialog_value"])
        details = [
            Details(kind: .callees, table: callees, owner: [3]),
            Details(kind: .variables, table: variables, owner: [0, 1]),
        ]
    }

    /// `nil` where no module's tables are kept.
    package init?(_ settings: Settings) {
        switch settings.storage.module {
        case .none: return nil
        case .dialog: self.init(settings.storage.tables, size: settings.dialogs.hashSize)
        case .imsDialog: self.init(imsDialogOf: settings.dialogs.hashSize)
        }
    }

    /// A name as SQL has it, whatever its letters.
    private static func quoted(_ name: String) -> String { "\"\(name)\"" }

    var tables: [Table] { [dialogs] + details.map(\.table) }

    /// What makes the tables where they are not there; `nil` for tables with names of their own, which must be.
    func schema(sqlite: Bool) -> String? {
        guard isStandard else { return nil }
        switch module {
        case .dialog: return sqlite ? SQLiteDatabase.schema(ShippedSchema.dialog) : ShippedSchema.dialog
        case .imsDialog: return sqlite ? SQLiteDatabase.schema(ShippedSchema.imsDialog) : ShippedSchema.imsDialog
        }
    }

    // MARK: What records do to them

    /// A dialog, and what ims_dialog's tables know it by.
    struct Identity: Equatable, Sendable {
        var key: ModuleRow.Key
        var did: String
    }

    struct Written: Equatable, Sendable {
        var row: ModuleRow
        var did: String

        var identity: Identity { Identity(key: row.key, did: did) }
    }

    struct Changes: Equatable, Sendable {
        var rows: [Written] = []
        var gone: [Identity] = []
        var loss = ModuleLoss()
    }

    /// - Parameters:
    ///   - records: As they are written.
    ///   - removed: Records as they stand in the table whose rows go.
    ///   - now: When the batch was made, Unix milliseconds.
    func changes(_ records: [StoredRecord], removed: [StoredRecord] = [], at now: Int64) -> Changes {
        var changes = Changes()
        for record in records {
            let did = record.did.hex
            switch projection(record, at: now) {
            case .row(let row, let cut):
                changes.rows.append(Written(row: row, did: did))
                changes.loss.cut += cut
            case .none(let key): changes.gone.append(Identity(key: key, did: did))
            case .tooLong(let key):
                changes.gone.append(Identity(key: key, did: did))
                changes.loss.leftOut += 1
            case .unreadable: break
            }
        }
        changes.gone += removed.compactMap { record in
            projection(record, at: now).key.map { Identity(key: $0, did: record.did.hex) }
        }
        return changes
    }

    private func projection(_ record: StoredRecord, at now: Int64) -> ModuleProjection {
        let times = ModuleProjection.Times(
            born: now &- record.ageMilliseconds, ends: record.remainingMilliseconds.map { now &+ $0 })
        return ModuleProjection(record.did, record.record, times, size: size, allCallees: module == .imsDialog)
    }

    // MARK: Columns

    enum Value: Equatable, Sendable {
        case number(Int64)
        case text(String?)

        var isNumber: Bool { if case .number = self { true } else { false } }

        /// As PostgreSQL tells it.
        var asText: String? {
            switch self {
            case .number(let number): String(number)
            case .text(let text): text
            }
        }
    }

    /// Of a row of dialogs, in the order of its columns.
    func values(_ written: Written) -> [Value] {
        func some(_ text: String) -> Value { .text(text.isEmpty ? nil : text) }
        let (row, key) = (written.row, Self.values(written.row.key))
        switch module {
        case .dialog:
            return key + [
                .text(row.caller.uri), .text(row.caller.tag), .text(row.callee.uri), .text(row.callee.tag),
                .text(row.caller.cSeq), .text(row.callee.cSeq), some(row.caller.routes), some(row.callee.routes),
                .text(row.caller.contact), .text(row.callee.contact), .text(row.caller.socket),
                .text(row.callee.socket), .text(row.timeoutRoute), .number(row.state), .number(row.startTime),
                .number(row.timeout), .number(row.scriptFlags), .number(row.flags.rawValue), .text(row.requestURI),
                .text(row.extra),
            ]
        case .imsDialog:
            return key + [
                .text(written.did), .text(row.caller.uri), .text(row.caller.tag), .text(row.inviteCSeq),
                .text(row.requestURI), some(row.caller.routes), .text(row.caller.contact), .text(row.caller.socket),
                .number(row.timeout), .number(Self.imsState(row.state)), .number(row.startTime),
                .number(row.scriptFlags), .text(row.timeoutRoute), .number(0),
            ]
        }
    }

    static func values(_ key: ModuleRow.Key) -> [Value] {
        [.number(key.entry), .number(key.identifier), .text(key.callID)]
    }

    /// By what the rows of a dialog are found among those details.
    func owner(_ identity: Identity, of details: Details) -> [Value] {
        let all = Self.values(identity.key) + [.text(identity.did)]
        return details.owner.map { all[$0] }
    }

    /// Its rows among those details, each in the order of their columns.
    func rows(_ written: Written, of details: Details) -> [[Value]] {
        let (row, owner) = (written.row, owner(written.identity, of: details))
        guard details.kind == .callees else {
            return row.variables.map { owner + [.text($0.name), .text($0.value)] }
        }
        return ([row.callee] + row.others).map { callee in
            // Where the module finds no text for the route set it leaves the callee out: so that is empty, not NULL.
            owner + [
                .number(ModuleRow.entry(of: Array(callee.tag.utf8), size: ModuleRow.calleeEntries)),
                .number(row.key.identifier), .text(callee.uri), .text(callee.tag), .text(row.caller.cSeq),
                .text(callee.cSeq), .text(callee.contact), .text(callee.routes), .text(callee.socket),
            ]
        }
    }

    /// A row that says what kinds of values those have.
    func emptyRow(of details: Details) -> [Value] {
        let key = ModuleRow.Key(entry: 0, identifier: 0, callID: "")
        var row = ModuleRow(key: key)
        row.variables = [ModuleRow.Variable(name: "", value: "")]
        return rows(Written(row: row, did: ""), of: details)[0]
    }

    // MARK: Reading

    /// A row of dialogs as it was found, column by column, without its details; `nil` where a number or a text is none
    /// that it cannot be without.
    func row(number: (Int) -> Int64?, text: (Int) -> String?) -> ModuleRow? {
        switch module {
        case .dialog: Self.dialogRow(number, text)
        case .imsDialog: Self.imsRow(number, text)
        }
    }

    private static func dialogRow(_ number: (Int) -> Int64?, _ text: (Int) -> String?) -> ModuleRow? {
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
        row.extra = text(22).flatMap { $0.isEmpty ? nil : $0 }
        row.links = row.extra.map { links(in: $0) } ?? []
        return row
    }

    /// What `xdata` says: JSON as a Kamailio wrote it, of which the names and values of profiles are taken.
    private struct Extra: Decodable {
        struct Link: Decodable {
            let name: String
            let value: String?
        }

        let profiles: [Link]?
    }

    /// - Returns: `nil` for what is no such object.
    package static func links(in extra: String) -> [ProfileLink]? {
        guard let read = try? JSONDecoder().decode(Extra.self, from: Data(extra.utf8)) else { return nil }
        return (read.profiles ?? []).map { link in
            ProfileLink(name: Array(link.name.utf8), value: link.value.map { Array($0.utf8) })
        }
    }

    private static func imsRow(_ number: (Int) -> Int64?, _ text: (Int) -> String?) -> ModuleRow? {
        guard let entry = number(0), let identifier = number(1), let callID = text(2), text(3) != nil,
            let timeout = number(11), let state = number(12), let startTime = number(13)
        else { return nil }
        func some(_ column: Int) -> String { text(column) ?? "" }
        var row = ModuleRow(key: ModuleRow.Key(entry: entry, identifier: identifier, callID: callID))
        (row.caller.uri, row.caller.tag, row.inviteCSeq, row.requestURI) = (some(4), some(5), some(6), some(7))
        row.caller.cSeq = row.inviteCSeq
        (row.caller.routes, row.caller.contact, row.caller.socket) = (some(8), some(9), some(10))
        (row.timeout, row.startTime) = (timeout, startTime)
        row.state = Self.state(ims: state)
        row.scriptFlags = number(14) ?? 0
        row.timeoutRoute = text(15)
        return row
    }

    /// Gives a row what belongs to it, in the order in which it was written.
    func add(_ rows: [[String?]], of details: Details, to row: inout ModuleRow) {
        guard details.kind == .callees else {
            row.variables = rows.compactMap { texts in
                guard let name = texts[2], !name.isEmpty, let value = texts[3] else { return nil }
                return ModuleRow.Variable(name: name, value: value)
            }.sorted()
            return
        }
        let callees = rows.map { texts in
            var side = ModuleRow.Side()
            (side.uri, side.tag, side.cSeq) = (texts[3] ?? "", texts[4] ?? "", texts[6] ?? "")
            (side.contact, side.routes, side.socket) = (texts[7] ?? "", texts[8] ?? "", texts[9] ?? "")
            return side
        }
        row.callee = callees.first ?? ModuleRow.Side()
        row.others = Array(callees.dropFirst())
        // The caller's is where each callee's is, as it was when that one heard of it last.
        for text in rows.compactMap({ $0[5] }) where Int64(text) ?? 0 > Int64(row.caller.cSeq) ?? 0 {
            row.caller.cSeq = text
        }
    }

    /// ims_dialog has numbers of its own: 4 confirmed, 5 without its ACK, 6 deleted, 7 confirmed by several callees.
    private static func imsState(_ state: Int64) -> Int64 {
        switch state {
        case 3: 5
        case 5: 6
        default: state
        }
    }

    private static func state(ims state: Int64) -> Int64 {
        switch state {
        case 1, 2, 4: state
        case 5: 3
        case 7: 4
        default: 5
        }
    }
}
