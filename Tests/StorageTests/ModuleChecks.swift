// What every kind of database does with the tables of Kamailio's module, as another program finds them.

import Dialogs
import Node
import Storage
import Testing

enum ModuleChecks {
    struct Place {
        /// A further connection; tables are made where they are not there.
        var open: (ModuleStore?) throws -> any RecordDatabase
        /// What another program is told.
        var rows: (String) throws -> [[String]]
    }

    typealias Check = @Sendable (_ place: Place) throws -> Void

    static let all: [(name: String, check: Check)] = [
        ("rows follow", rowsFollow), ("texts are written as they are", textsAreWritten),
        ("what is not believed has no row", heldBackIsWithdrawn), ("they may be younger", mayBeYounger),
        ("what others wrote is read", othersAreRead), ("other names", otherNames), ("versions", versions),
    ]

    /// Those of ims_dialog, too.
    static let every = all + ImsDialogChecks.all

    static let module = ModuleStore(ModuleTables(), size: 4_096)
    static let dialogs = "SELECT hash_entry, hash_id, callid, state, timeout FROM dialog ORDER BY callid"
    static let variables = "SELECT hash_id, dialog_key, dialog_value FROM dialog_vars ORDER BY hash_id, dialog_key"
    /// A row that a Kamailio has written.
    static let foreign = """
        INSERT INTO dialog (hash_entry, hash_id, callid, from_uri, from_tag, to_uri, to_tag, caller_cseq, callee_cseq,
            caller_contact, callee_contact, caller_sock, callee_sock, state, start_time, req_uri)
        VALUES (1, 2, 'foreign', '', '', '', '', '', '', '', '', '', '', 4, 0, '')
        """

    static func record(
        _ number: UInt64, _ variables: [String: String] = [:], state: DialogState = .confirmed
    ) throws -> StoredRecord {
        var record = Record()
        record.callID = Array("call-\(number)".utf8)
        record.fromTag = Array("alice".utf8)
        record.state = state
        var out = Record.Out()
        (out.toTag, out.state) = (Array("bob".utf8), state)
        record.outs = [out]
        record.variables = variables.map { name, value in
            var entry = Record.Stamped()
            (entry.key, entry.counter, entry.value) = (Array(name.utf8), 1, Array(value.utf8))
            return entry
        }
        return StoredRecord(
            did: DialogID(rawValue: number << 32), record: try record.encoded(), ageMilliseconds: 1_000,
            remainingMilliseconds: 60_000)
    }

    static func entry(_ number: Int) -> String {
        String(ModuleRow.entry(of: Array("call-\(number)".utf8), size: 4_096))
    }

    @Sendable
    private static func rowsFollow(_ place: Place) throws {
        let database = try place.open(module)
        _ = try place.rows(foreign)
        let untouched = ["1", "2", "foreign", "4", "0"]
        try database.write(
            DatabaseChecks.batch(1, [record(1, ["a": "1", "b": "2"]), record(2), record(3, state: .early)]), by: "n1",
            at: 1_000_000)
        func row(_ number: Int, _ state: Int, _ timeout: Int) -> [String] {
            [entry(number), "\(number)", "call-\(number)", "\(state)", "\(timeout)"]
        }
        #expect(try place.rows(dialogs) == [row(1, 4, 1_060), row(2, 4, 1_060), row(3, 2, 1_060), untouched])
        #expect(try place.rows(variables) == [["1", "a", "1"], ["1", "b", "2"]])
        // Changed, over, and gone without a word.
        try database.write(
            DatabaseChecks.batch(2, [record(1, ["b": "3"]), record(2, state: .deleted)], removed: [3 << 32]), by: "n1",
            at: 2_000_000)
        #expect(try place.rows(dialogs) == [row(1, 4, 2_060), untouched])
        #expect(try place.rows(variables) == [["1", "b", "3"]])
        try database.write(DatabaseChecks.batch(3, [], removed: [1 << 32, 9]), by: "n1", at: 3_000_000)
        #expect(try place.rows(dialogs) == [untouched])
        #expect(try place.rows(variables).isEmpty)
        try database.empty()
        #expect(try place.rows(dialogs).isEmpty, "as the module does in mode 3")
    }

    @Sendable
    private static func textsAreWritten(_ place: Place) throws {
        let database = try place.open(module)
        let odd = #"it's "quoted", {braced}, \escaped; DROP TABLE dialog; é"#
        let loss = try database.write(
            DatabaseChecks.batch(
                1, [record(1, ["odd": odd, "long": String(repeating: "x", count: 600), "null": "NULL", "empty": ""])]),
            by: "n1", at: 0)
        #expect(loss.cut == 1 && loss.leftOut == 0)
        let found = try place.rows(variables)
        #expect(
            found == [
                ["1", "empty", ""], ["1", "long", String(repeating: "x", count: 512)], ["1", "null", "NULL"],
                ["1", "odd", odd],
            ])
        // Again, as it is.
        try database.write(DatabaseChecks.batch(2, [record(1, ["odd": odd])]), by: "n1", at: 0)
        #expect(try place.rows(variables) == [["1", "odd", odd]])
    }

    @Sendable
    private static func heldBackIsWithdrawn(_ place: Place) throws {
        let database = try place.open(module)
        _ = try place.rows(foreign)
        try database.write(DatabaseChecks.batch(1, [record(1, ["a": "1"])]), by: "old", at: 1_000)
        try database.write(DatabaseChecks.batch(2, [record(2)]), by: "new", at: 100_000)
        #expect(try database.holdBack(since: 50_000) == 1)
        #expect(try place.rows(dialogs).map { $0[2] } == ["call-2", "foreign"])
        #expect(try place.rows(variables).isEmpty)
    }

    @Sendable
    private static func mayBeYounger(_ place: Place) throws {
        try place.open(nil).write(DatabaseChecks.batch(1, [record(1), record(2)]), by: "n1", at: 0)
        let database = try place.open(module)
        #expect(try place.rows(dialogs).isEmpty)
        #expect(try database.records(after: nil, limit: 10, since: 0, now: 0).count == 2)
        #expect(try place.rows(dialogs).map { $0[2] } == ["call-1", "call-2"])
        #expect(try database.records(after: nil, limit: 10, since: 0, now: 0).count == 2)
        #expect(try place.rows(dialogs).count == 2)
    }

    @Sendable
    private static func othersAreRead(_ place: Place) throws {
        let database = try place.open(module)
        try database.write(DatabaseChecks.batch(1, [record(1, ["a": "1", "b": "2"]), record(2)]), by: "n1", at: 0)
        _ = try place.rows(foreign)
        _ = try place.rows(
            "INSERT INTO dialog_vars (hash_entry, hash_id, dialog_key, dialog_value) VALUES (1, 2, 'k', 'v')")
        // What others write in the place of nothing.
        _ = try place.rows("UPDATE dialog SET xdata = '' WHERE callid = 'foreign'")
        _ = try place.rows(
            "INSERT INTO dialog_vars (hash_entry, hash_id, dialog_key, dialog_value) VALUES (1, 2, '', 'nameless')")
        let first = try database.moduleRows(after: 0, limit: 2, now: 5)
        #expect(first.rows.map(\.key.callID) == ["call-1", "call-2"] && !first.isLast && first.readAt == 5)
        #expect(first.rows[0].variables == [.init(name: "a", value: "1"), .init(name: "b", value: "2")])
        #expect(first.rows[0].state == 4 && first.rows[0].timeout == 60 && first.rows[0].caller.tag == "alice")
        let rest = try database.moduleRows(after: try #require(first.last), limit: 2, now: 5)
        #expect(rest.rows.map(\.key) == [.init(entry: 1, identifier: 2, callID: "foreign")] && rest.isLast)
        #expect(rest.rows.first?.variables == [.init(name: "k", value: "v")] && rest.rows.first?.extra == nil)
        #expect(try database.moduleRows(after: try #require(rest.last), limit: 2, now: 5).rows.isEmpty)
        let none = try place.open(nil).moduleRows(after: 0, limit: 2, now: 5)
        #expect(none.rows.isEmpty && none.isLast)
    }

    @Sendable
    private static func otherNames(_ place: Place) throws {
        var tables = ModuleTables()
        (tables.dialogs, tables.variables) = ("calls", "Things")
        tables.columns = [.callID: "call", .variableName: "Name"]
        let module = ModuleStore(tables, size: 4_096)
        let missing = StorageError("table calls has no version; this program needs 7")
        #expect(throws: missing) { _ = try place.open(module) }
        _ = try place.open(Self.module)
        for sql in [
            "ALTER TABLE dialog RENAME COLUMN callid TO call", "ALTER TABLE dialog RENAME TO calls",
            "ALTER TABLE dialog_vars RENAME COLUMN dialog_key TO \"Name\"",
            "ALTER TABLE dialog_vars RENAME TO \"Things\"",
            "INSERT INTO version (table_name, table_version) VALUES ('calls', 7), ('Things', 7)",
        ] { _ = try place.rows(sql) }
        let database = try place.open(module)
        try database.write(DatabaseChecks.batch(1, [record(1, ["a": "b"])]), by: "n1", at: 0)
        #expect(try place.rows("SELECT call FROM calls") == [["call-1"]])
        #expect(try place.rows("SELECT \"Name\" FROM \"Things\"") == [["a"]])
        tables.columns[.state] = "mood"
        #expect(throws: StorageError.self) { _ = try place.open(ModuleStore(tables, size: 4_096)) }
    }

    @Sendable
    private static func versions(_ place: Place) throws {
        _ = try place.open(module)
        for (table, version, sentence) in [
            ("dialog", 6, "table dialog is of version 6; this program needs 7"),
            ("dialog_vars", 2, "table dialog_vars is of version 2; this program needs 1 or 7"),
        ] {
            let known = try place.rows("SELECT table_version FROM version WHERE table_name = '\(table)'")[0][0]
            _ = try place.rows("UPDATE version SET table_version = \(version) WHERE table_name = '\(table)'")
            #expect(throws: StorageError(sentence)) { _ = try place.open(module) }
            _ = try place.rows("UPDATE version SET table_version = \(known) WHERE table_name = '\(table)'")
        }
        _ = try place.rows("UPDATE version SET table_version = 7 WHERE table_name = 'dialog_vars'")
        _ = try place.open(module)
        // Without the module's tables nobody asks for their versions.
        _ = try place.rows("UPDATE version SET table_version = 6 WHERE table_name = 'dialog'")
        _ = try place.open(nil)
    }
}
