// What every kind of database does with the tables of ims_dialog, as another program finds them.

import Dialogs
import Node
import Storage
import Testing

enum ImsDialogChecks {
    static let all: [(name: String, check: ModuleChecks.Check)] = [
        ("ims_dialog: rows follow", rowsFollow), ("ims_dialog: a callee is a row", calleesAreRows),
        ("ims_dialog: callees keep their order", calleesKeepOrder),
        ("ims_dialog: what was written is read", isReadBack), ("ims_dialog: what others wrote is read", othersAreRead),
        ("ims_dialog: a dialog taken over has one did", isTakenOver), ("ims_dialog: versions", versions),
    ]

    static let module = ModuleStore(imsDialogOf: 4_096)
    static let dialogs = """
        SELECT hash_entry, hash_id, callid, did, state, timeout, caller_original_cseq, toroute_index FROM dialog_in
        ORDER BY callid
        """
    static let callees = """
        SELECT did, hash_entry, hash_id, to_tag, callee_cseq, callee_route_set FROM dialog_out ORDER BY did, to_tag
        """

    /// `core_hash` of a To-tag in 4096 entries.
    static func entry(ofTag tag: String) -> String { String(ModuleRow.entry(of: Array(tag.utf8), size: 4_096)) }

    static func did(_ number: UInt64) -> String { DialogID(rawValue: number << 32).hex }

    /// As ModuleChecks has it, whole enough for a takeover, with callees of those tags.
    /// - Parameter asking: Whose CSeq is 90.
    static func record(
        _ number: UInt64, _ tags: [String] = ["bob"], _ variables: [String: String] = [:],
        state: DialogState = .confirmed, asking: String? = nil
    ) throws -> StoredRecord {
        var stored = try ModuleChecks.record(number, variables, state: state)
        var record = try Record(RawSpan(_elements: stored.record.span))
        record.from = Array("<sip:alice@example.org>;tag=alice".utf8)
        record.to = Array("<sip:bob@example.org>".utf8)
        record.requestURI = Array("sip:bob@192.0.2.9".utf8)
        record.inviteCSeq = 7
        (record.caller.cseq, record.caller.contact) = (9, Array("sip:alice@192.0.2.7".utf8))
        record.outs = tags.enumerated().map { index, tag in
            var out = Record.Out()
            (out.toTag, out.state) = (Array(tag.utf8), state)
            out.side.contact = Array("sip:\(tag)@192.0.2.9".utf8)
            out.side.cseq = tag == asking ? 90 : UInt32(index + 1)
            if index == 1 { out.side.routes = Array("<sip:edge.example.org;lr>".utf8) }
            return out
        }
        stored.record = try record.encoded()
        return stored
    }

    @Sendable
    private static func rowsFollow(_ place: ModuleChecks.Place) throws {
        let database = try place.open(module)
        try database.write(
            DatabaseChecks.batch(
                1,
                [
                    record(1, ["bob"], ["a": "1"]), record(2, state: .confirmedNotAcknowledged),
                    record(3, state: .early),
                ]), by: "n1", at: 1_000_000)
        func row(_ number: Int, _ state: Int, _ timeout: Int) -> [String] {
            [
                ModuleChecks.entry(number), "\(number)", "call-\(number)", did(UInt64(number)), "\(state)",
                "\(timeout)", "7", "0",
            ]
        }
        // The module's own numbers of states.
        #expect(try place.rows(dialogs) == [row(1, 4, 1_060), row(2, 5, 1_060), row(3, 2, 1_060)])
        #expect(try place.rows(callees).count == 3)
        #expect(try place.rows(ModuleChecks.variables) == [["1", "a", "1"]])
        try database.write(
            DatabaseChecks.batch(2, [record(1), record(2, state: .deleted)], removed: [3 << 32]), by: "n1",
            at: 2_000_000)
        #expect(try place.rows(dialogs) == [row(1, 4, 2_060)])
        #expect(try place.rows(callees) == [[did(1), entry(ofTag: "bob"), "1", "bob", "1", ""]])
        #expect(try place.rows(ModuleChecks.variables).isEmpty)
        try database.empty()
        #expect(try place.rows(dialogs).isEmpty && place.rows(callees).isEmpty, "as the module does in mode 3")
    }

    @Sendable
    private static func calleesAreRows(_ place: ModuleChecks.Place) throws {
        let database = try place.open(module)
        func rows() throws -> [[String]] { try place.rows("SELECT id, to_tag FROM dialog_out ORDER BY to_tag") }
        try database.write(DatabaseChecks.batch(1, [record(1, ["bob", "desk"])]), by: "n1", at: 0)
        let both = try rows()
        #expect(both.map { $0[1] } == ["bob", "desk"])
        #expect(
            try place.rows(callees) == [
                [did(1), entry(ofTag: "bob"), "1", "bob", "1", ""],
                [did(1), entry(ofTag: "desk"), "1", "desk", "2", "<sip:edge.example.org;lr>"],
            ])
        // What is as it was is not written again, and who has hung up goes.
        try database.write(DatabaseChecks.batch(2, [record(1, ["bob", "desk"])]), by: "n1", at: 0)
        #expect(try rows() == both)
        try database.write(DatabaseChecks.batch(3, [record(1, ["bob"])]), by: "n1", at: 0)
        #expect(try rows().map { $0[1] } == ["bob"])
        try database.write(DatabaseChecks.batch(4, [], removed: [1 << 32]), by: "n1", at: 0)
        #expect(try rows().isEmpty)
    }

    /// The first is the main one, whichever of them has changed.
    @Sendable
    private static func calleesKeepOrder(_ place: ModuleChecks.Place) throws {
        let database = try place.open(module)
        let tags = ["bob", "desk", "hall"]
        try database.write(DatabaseChecks.batch(1, [record(1, tags), record(2, tags)]), by: "n1", at: 0)
        for (number, changed) in tags.enumerated() {
            try database.write(
                DatabaseChecks.batch(UInt64(number + 2), [record(1, tags, asking: changed), record(2, tags)]),
                by: "n1", at: 0)
            let rows = try database.moduleRows(after: 0, limit: 2, now: 5).rows
            #expect(
                rows.map { row in ([row.callee] + row.others).map(\.tag) } == [tags, tags], "\(changed) has changed")
            let asked = rows.first.map { row in ([row.callee] + row.others).filter { $0.cSeq == "90" }.map(\.tag) }
            #expect(asked == [changed])
        }
    }

    @Sendable
    private static func isReadBack(_ place: ModuleChecks.Place) throws {
        let database = try place.open(module)
        try database.write(
            DatabaseChecks.batch(
                1, [record(1, ["bob", "desk"], ["b": "2", "a": "1"]), record(2, state: .confirmedNotAcknowledged)]),
            by: "n1", at: 0)
        let page = try database.moduleRows(after: 0, limit: 1, now: 5)
        #expect(page.rows.count == 1 && !page.isLast && page.readAt == 5)
        let row = try #require(page.rows.first)
        #expect(row.key.callID == "call-1" && row.state == 4 && row.timeout == 60 && row.inviteCSeq == "7")
        #expect(row.caller.tag == "alice" && row.caller.cSeq == "9")
        #expect(([row.callee] + row.others).map(\.tag) == ["bob", "desk"])
        #expect(row.others.first?.routes == "<sip:edge.example.org;lr>" && row.others.first?.cSeq == "2")
        #expect(row.variables == [.init(name: "a", value: "1"), .init(name: "b", value: "2")] && row.extra == nil)
        let rest = try database.moduleRows(after: try #require(page.last), limit: 2, now: 5)
        #expect(rest.rows.map(\.key.callID) == ["call-2"] && rest.rows.first?.state == 3 && rest.isLast)
        #expect(rest.rows.first?.others == [])
    }

    /// A row that an ims_dialog has written, with a callee of each of those tags.
    private static func foreign(_ callID: String, _ did: String, _ tags: [String], state: Int = 4) -> [String] {
        let entry = ModuleRow.entry(of: Array(callID.utf8), size: 4_096)
        return [
            """
            INSERT INTO dialog_in (hash_entry, hash_id, did, callid, from_uri, from_tag, caller_original_cseq, req_uri,
                caller_contact, caller_sock, timeout, state, start_time, toroute_index)
            VALUES (\(entry), 2, '\(did)', '\(callID)', 'sip:a@x.org', 'alice', '3', 'sip:b@x.org', 'sip:a@192.0.2.7',
                '', 60, \(state), 0, 0)
            """
        ]
            + tags.map { tag in
                """
                INSERT INTO dialog_out (hash_entry, hash_id, did, to_uri, to_tag, caller_cseq, callee_cseq,
                    callee_contact, callee_sock)
                VALUES (1, 1, '\(did)', 'sip:b@x.org', '\(tag)', '5', '5', 'sip:b@192.0.2.9', '')
                """
            }
    }

    @Sendable
    private static func othersAreRead(_ place: ModuleChecks.Place) throws {
        let database = try place.open(module)
        let sql =
            foreign("a", "17.2a", ["bob", "desk"], state: 7) + foreign("b", "18.2a", [])
            + foreign("c", "19.2a", ["x"], state: 6)
        for statement in sql { _ = try place.rows(statement) }
        let rows = try database.moduleRows(after: 0, limit: 10, now: 0).rows
        #expect(rows.map(\.key.callID) == ["a", "b", "c"] && rows.map(\.state) == [4, 4, 5])
        #expect(rows[0].caller.cSeq == "5" && rows[0].inviteCSeq == "3" && rows[0].callee.routes == "")
        #expect(rows[0].others.map(\.tag) == ["desk"])
        #expect(rows[1].callee == ModuleRow.Side(), "without a callee nobody takes it over")
    }

    @Sendable
    private static func isTakenOver(_ place: ModuleChecks.Place) throws {
        let database = try place.open(module)
        for statement in foreign("call-2", "17.2a", ["bob"]) + foreign("other", "18.2a", ["bob"]) {
            _ = try place.rows(statement)
        }
        try database.write(DatabaseChecks.batch(1, [record(2)]), by: "n1", at: 0)
        let found = try place.rows("SELECT did, callid FROM dialog_in ORDER BY callid")
        #expect(found == [[did(2), "call-2"], ["18.2a", "other"]])
        #expect(try Set(place.rows("SELECT did, callee_cseq FROM dialog_out")) == [[did(2), "1"], ["18.2a", "5"]])
        try database.write(DatabaseChecks.batch(2, [], removed: [2 << 32]), by: "n1", at: 0)
        #expect(try place.rows("SELECT did FROM dialog_out") == [["18.2a"]])
    }

    @Sendable
    private static func versions(_ place: ModuleChecks.Place) throws {
        _ = try place.open(module)
        let known = "SELECT table_version FROM version WHERE table_name = 'dialog_vars'"
        #expect(try place.rows(known) == [["7"]], "as the module demands, whatever Kamailio's schema says")
        for (table, version, sentence) in [
            ("dialog_in", 6, "table dialog_in is of version 6; this program needs 7"),
            ("dialog_out", 1, "table dialog_out is of version 1; this program needs 7"),
            ("dialog_vars", 2, "table dialog_vars is of version 2; this program needs 1 or 7"),
        ] {
            _ = try place.rows("UPDATE version SET table_version = \(version) WHERE table_name = '\(table)'")
            #expect(throws: StorageError(sentence)) { _ = try place.open(module) }
            _ = try place.rows("UPDATE version SET table_version = 7 WHERE table_name = '\(table)'")
        }
        _ = try place.rows("UPDATE version SET table_version = 1 WHERE table_name = 'dialog_vars'")
        _ = try place.open(module)
        _ = try place.rows("ALTER TABLE dialog_out RENAME COLUMN callee_sock TO socket")
        #expect(throws: StorageError.self) { _ = try place.open(module) }
    }
}
