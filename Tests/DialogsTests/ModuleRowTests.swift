// A dialog as Kamailio's module has it in a database: each column's meaning, and what has no row.

import Dialogs
import Primitives
import Testing

@Suite("A record as a row of Kamailio's module")
struct ModuleRowTests {
    static let did = DialogID(rawValue: 0x1234_5678_9abc_def0)
    static let times = ModuleProjection.Times(born: 1_700_000_000_000, ends: 1_700_000_063_500)

    static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func link(_ name: String, _ value: String? = nil) -> Record.Stamped {
        stamped(ProfileLink(name: text(name), value: value.map(text)).key, value: [])
    }

    static func stamped(_ key: [UInt8], value: [UInt8]?) -> Record.Stamped {
        var entry = Record.Stamped()
        (entry.key, entry.counter, entry.node, entry.value) = (key, 1, [0, 0, 0, 1], value)
        return entry
    }

    /// An answered call of a record with everything that a row tells.
    static func record() -> Record {
        var record = Record()
        record.callID = text("a84b4c76e66710@pc33.example.org")
        record.fromTag = text("alice")
        record.state = .confirmed
        record.inviteCSeq = 6
        record.from = text("\"Alice\" <sip:alice@example.org;user=phone>;tag=alice")
        record.to = text("Bob <sip:bob@example.org>")
        record.requestURI = text("sip:bob@192.0.2.9")
        var home = Record.Home()
        (home.name, home.boot, home.sentBy) = (text("n1"), 1, text("192.0.2.1:5060"))
        record.home = home
        record.caller.cseq = 7
        record.caller.contact = text("sip:alice@192.0.2.7:5080")
        record.caller.routes = text("<sip:edge.example.org;lr>")
        record.caller.endpoint = text("192.0.2.7:5080;transport=tcp")
        var out = Record.Out()
        (out.toTag, out.state) = (text("bob"), .confirmed)
        out.side.contact = text("sip:bob@192.0.2.9")
        out.side.endpoint = text("192.0.2.9:5060")
        out.side.sentBy = text("192.0.2.2:5070")
        record.outs = [out]
        record.times.answeredMilliseconds = 3_400
        record.attributes = [
            stamped([2], value: []), stamped([31], value: []), stamped(text("timeout-noreset"), value: [1]),
            stamped(text("toroute"), value: text("late")),
        ]
        record.variables = [
            stamped(text("tenant"), value: text("blue")), stamped(text("removed"), value: nil),
            stamped(text("a"), value: text("")),
        ]
        record.profiles = [link("calls"), link("caller", "a\"b\\c"), link("gone")]
        record.profiles[2].value = nil
        return record
    }

    static func projection(_ change: (inout Record) -> Void = { _ in }) throws -> ModuleProjection {
        var record = record()
        change(&record)
        return ModuleProjection(did, canonical(record), times, size: 4_096)
    }

    /// As it stands in a table.
    static func canonical(_ record: Record) -> [UInt8] {
        var table = makeTable()
        _ = try? table.learn(did, record.encoded(), age: .zero)
        return table.bytes(did) ?? []
    }

    @Test func `every column has what the module means by it`() throws {
        guard case .row(let row, let cut) = try Self.projection() else {
            Issue.record("no row")
            return
        }
        var expected = ModuleRow(
            key: ModuleRow.Key(
                entry: ModuleRow.entry(of: Self.text("a84b4c76e66710@pc33.example.org"), size: 4_096),
                identifier: 0x1234_5678, callID: "a84b4c76e66710@pc33.example.org"))
        expected.caller.uri = "sip:alice@example.org;user=phone"
        expected.caller.tag = "alice"
        expected.caller.cSeq = "7"
        expected.caller.routes = "<sip:edge.example.org;lr>"
        expected.caller.contact = "sip:alice@192.0.2.7:5080"
        expected.caller.socket = "tcp:192.0.2.1:5060"
        expected.callee.uri = "sip:bob@example.org"
        expected.callee.tag = "bob"
        expected.callee.cSeq = "0"
        expected.callee.contact = "sip:bob@192.0.2.9"
        expected.callee.socket = "udp:192.0.2.2:5070"
        expected.inviteCSeq = "6"
        expected.state = 4
        expected.startTime = 1_700_000_003
        expected.timeout = 1_700_000_063
        expected.scriptFlags = -2_147_483_644
        expected.flags = [.endsWithBye, .keepsDeadline]
        expected.timeoutRoute = "late"
        expected.requestURI = "sip:bob@192.0.2.9"
        expected.extra = #"{"profiles":[{"name":"caller","value":"a\"b\\c"},{"name":"calls"}]}"#
        expected.variables = [.init(name: "a", value: ""), .init(name: "tenant", value: "blue")]
        #expect(row == expected)
        #expect(cut == 0)
    }

    /// Numbers that `core_hash` of Kamailio 5.6.3 gives; the acceptance case asks Kamailio itself.
    @Test func `the entry is Kamailio's hash of the Call-ID`() {
        let known: [([UInt8], Int64)] = [
            ([], 0), (Self.text("a"), 109), (Self.text("abcd"), 1_048),
            (Self.text("a84b4c76e66710@pc33.example.org"), 439), (Self.text("éxyz") + [0xFF, 0xFE], 1_096),
        ]
        for (callID, entry) in known { #expect(ModuleRow.entry(of: callID, size: 4_096) == entry) }
    }

    @Test func `what rings without an answer, or is over, has no row`() throws {
        for state in [DialogState.unconfirmed, .deleted] {
            let projection = try Self.projection { record in
                record.state = state
                if state == .unconfirmed { record.outs = [] }
            }
            guard case .none(let key) = projection else {
                Issue.record("\(state): \(projection)")
                continue
            }
            #expect(key.identifier == 0x1234_5678 && key.callID.hasPrefix("a84b"))
        }
        #expect(ModuleProjection(Self.did, [], Self.times, size: 16) == .unreadable)
        #expect(ModuleProjection(Self.did, [255, 255, 1], Self.times, size: 16) == .unreadable)
    }

    @Test func `what only a display depends on is cut, and what phones go by is not`() throws {
        let long = String(repeating: "x", count: 600)
        let projection = try Self.projection { record in
            record.variables = [Self.stamped(Self.text("long"), value: Self.text(long))]
            record.from = Self.text("<sip:\(long)@example.org>;tag=alice")
            record.profiles = (0..<40).map { Self.link("caller", "number-\($0)") }
        }
        guard case .row(let row, let cut) = projection else {
            Issue.record("\(projection)")
            return
        }
        #expect(row.variables.first?.value.count == 512 && row.caller.uri.count == 255)
        let extra = try #require(row.extra)
        #expect(extra.count <= 512 && extra.count > 450 && extra.hasSuffix("}]}"))
        let links = extra.split(separator: "\"name\"").count - 1
        #expect(cut == 2 + 40 - links)
        let tag = try Self.projection { $0.fromTag = Self.text(String(repeating: "t", count: 129)) }
        guard case .tooLong = tag else {
            Issue.record("\(tag)")
            return
        }
    }

    @Test func `of a forked call ims_dialog has each callee that is as far, and who does not fit is left out`() throws {
        var record = Self.record()
        let long = String(repeating: "x", count: 300)
        for (tag, state, contact) in [
            ("desk", DialogState.confirmed, "sip:desk@192.0.2.9"), ("rang", .early, "sip:rang@192.0.2.9"),
            ("gone", .deleted, "sip:gone@192.0.2.9"), ("long", .confirmed, "sip:\(long)@192.0.2.9"),
        ] {
            var out = Record.Out()
            (out.toTag, out.state) = (Self.text(tag), state)
            out.side.contact = Self.text(contact)
            record.outs.append(out)
        }
        func row(_ allCallees: Bool) throws -> (ModuleRow, cut: Int)? {
            let projection = ModuleProjection(
                Self.did, Self.canonical(record), Self.times, size: 4_096, allCallees: allCallees)
            guard case .row(let row, let cut) = projection else { return nil }
            return (row, cut)
        }
        let (main, cut) = try #require(try row(false))
        #expect(main.others.isEmpty && cut == 0)
        let (all, cutOfAll) = try #require(try row(true))
        #expect(([all.callee] + all.others).map(\.tag).sorted() == ["bob", "desk"] && cutOfAll == 1)
        #expect(all.others.first?.uri == "sip:bob@example.org")
    }

    @Test func `no text breaks a statement: NUL and what is not UTF-8 are marked, and widths are characters`() throws {
        let projection = try Self.projection { record in
            record.variables = [
                Self.stamped([0x61], value: [0x62, 0, 0xFF, 0x63]),
                Self.stamped([0x62], value: Self.text(String(repeating: "é", count: 512))),
            ]
            record.profiles = [Self.link("caller", "a\u{1}\0é")]
        }
        guard case .row(let row, let cut) = projection else {
            Issue.record("\(projection)")
            return
        }
        #expect(row.variables[0].value == "b\u{FFFD}\u{FFFD}c" && row.variables[1].value.count == 512 && cut == 0)
        #expect(row.extra == "{\"profiles\":[{\"name\":\"caller\",\"value\":\"a\\u0001\u{FFFD}é\"}]}")
    }
}
