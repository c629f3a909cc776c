// A row that a Kamailio has left becomes a record, and that record the same row again.

import Dialogs
import Primitives
import Testing

@Suite("A row of Kamailio's module as a record")
struct ModuleTakeoverTests {
    private static let now: Int64 = 1_700_000_100
    private static let size = 4_096

    /// As Kamailio 5.6.3 writes a call of its own.
    static func row(_ change: (inout ModuleRow) -> Void = { _ in }) -> ModuleRow {
        let callID = "c1@192.0.2.7"
        var row = ModuleRow(
            key: .init(entry: ModuleRow.entry(of: Array(callID.utf8), size: size), identifier: 9_794, callID: callID))
        row.caller.uri = "sip:alice@example.org"
        row.caller.tag = "ta"
        row.caller.cSeq = "5"
        row.caller.contact = "sip:alice@192.0.2.7:5080"
        row.caller.socket = "udp:192.0.2.1:5060"
        row.callee.uri = "sip:bob@example.org"
        row.callee.tag = "tb"
        row.callee.cSeq = "0"
        row.callee.contact = "sip:bob@192.0.2.9:5070"
        row.callee.routes = "<sip:edge.example.org;lr>,<sip:192.0.2.30;lr>"
        row.callee.socket = "udp:192.0.2.1:5060"
        row.inviteCSeq = "5"
        row.state = 4
        row.startTime = 1_700_000_000
        row.timeout = 1_700_000_160
        row.scriptFlags = -2_147_483_640
        row.flags = [.keepAliveToCallee, .keepsDeadline]
        row.timeoutRoute = "late"
        row.requestURI = "sip:bob@192.0.2.9:5070"
        row.extra = #"{"profiles":[{"name":"caller","value":"al\"ice","puid":"p-1","expires":3},{"name":"calls"}]}"#
        row.links = [link("caller", "al\"ice"), link("calls")]
        row.variables = [.init(name: "a", value: ""), .init(name: "tenant", value: "blue")]
        change(&row)
        return row
    }

    private static func link(_ name: String, _ value: String? = nil) -> ProfileLink {
        ProfileLink(name: Array(name.utf8), value: value.map { Array($0.utf8) })
    }

    static func takeover(_ row: ModuleRow, takes: (ProfileLink) -> Bool = { _ in true }) throws -> ModuleTakeover {
        var home = Record.Home()
        (home.name, home.boot, home.sentBy) = (Array("n1".utf8), 1, Array("192.0.2.1:5060".utf8))
        let table = makeTable(buckets: size)
        return try row.takeover(table.did(ofModule: row), home: home, size: size, now: now, takes: takes)
    }

    @Test func `it has what the row has, and its time is that which was left`() throws {
        let taken = try Self.takeover(Self.row())
        #expect(taken.ageMilliseconds == 100_000)
        let record = try Record(RawSpan(_elements: taken.record.span))
        #expect(record.state == .confirmed && record.flags == .toldStart)
        #expect(record.deadline?.atMilliseconds == 160_000 && record.deadline?.lifetimeMilliseconds == 160_000)
        #expect(record.caller.cseq == 5 && record.caller.firstCSeq == 5 && record.outs.first?.side.cseq == 0)
        #expect(record.from == Array("<sip:alice@example.org>;tag=ta".utf8))
        #expect(record.outs.map(\.toTag) == [Array("tb".utf8)])
    }

    @Test func `the record has the same row again`() throws {
        let row = Self.row()
        let taken = try Self.takeover(row)
        let times = ModuleProjection.Times(born: 1_700_000_000_000, ends: 1_700_000_160_000)
        guard case .row(var again, let cut) = ModuleProjection(taken.did, taken.record, times, size: Self.size) else {
            Issue.record("no row")
            return
        }
        #expect(cut == 0 && again.flags == row.flags.union(.endsWithBye))
        // The module's own marks are gone, and what a name stands for is not known yet; nobody has read this one.
        #expect(again.extra == #"{"profiles":[{"name":"caller","value":"al\"ice"},{"name":"calls"}]}"#)
        #expect(again.callee.socket == "")
        (again.flags, again.extra, again.callee.socket) = (row.flags, row.extra, row.callee.socket)
        again.links = row.links
        #expect(again == row)
    }

    @Test func `each callee of a forked call is a side of it, under its own address`() throws {
        let taken = try Self.takeover(
            Self.row { row in
                var desk = row.callee
                (desk.tag, desk.uri) = ("td", "sip:desk@example.org")
                (desk.contact, desk.routes) = ("sip:desk@192.0.2.10", "")
                row.others = [desk, row.callee]
            })
        let record = try Record(RawSpan(_elements: taken.record.span))
        #expect(Set(record.outs.map(\.toTag)) == [Array("tb".utf8), Array("td".utf8)] && record.outs.count == 2)
        let desk = try #require(record.outs.first { $0.toTag == Array("td".utf8) })
        #expect(desk.to == Array("<sip:desk@example.org>".utf8) && desk.state == .confirmed)
        #expect(desk.side.contact == Array("sip:desk@192.0.2.10".utf8) && desk.side.routes.isEmpty)
        #expect(throws: ModuleRowError.badContact) {
            try Self.takeover(
                Self.row { row in
                    row.others = [row.callee]
                    row.others[0].contact = ""
                })
        }
    }

    @Test func `every node makes the same of it, under Kamailio's numbers`() throws {
        let table = makeTable(buckets: Self.size)
        let did = table.did(ofModule: Self.row())
        #expect(did.moduleIdentifier == 9_794 && Int64(table.bucket(of: did)) == Self.row().key.entry)
        #expect(did == makeTable(buckets: Self.size).did(ofModule: Self.row()))
        let other = Self.row { $0.caller.tag = "tc" }
        #expect(table.did(ofModule: other) != did, "two dialogs with the same numbers")
        let one = try Self.takeover(Self.row())
        #expect(try one == Self.takeover(Self.row()))
    }

    @Test func `only profiles of the configuration are taken`() throws {
        let taken = try Self.takeover(Self.row()) { $0.value == nil }
        let record = try Record(RawSpan(_elements: taken.record.span))
        #expect(record.profiles.map(\.key) == [Array("calls".utf8)])
    }

    @Test func `a clock that is behind makes no dialog younger than born`() throws {
        let taken = try Self.takeover(Self.row { ($0.startTime, $0.timeout) = (Self.now + 50, Self.now + 60) })
        let record = try Record(RawSpan(_elements: taken.record.span))
        #expect(taken.ageMilliseconds == 0 && record.deadline?.atMilliseconds == 60_000)
        let over = try Self.takeover(Self.row { ($0.startTime, $0.timeout) = (Self.now - 50, 7) })
        #expect(try Record(RawSpan(_elements: over.record.span)).deadline?.atMilliseconds == 1, "it ends at once")
    }

    static let odd: [(name: String, error: ModuleRowError, change: @Sendable (inout ModuleRow) -> Void)] = [
        ("early", .notAnswered, { $0.state = 2 }), ("over", .notAnswered, { $0.state = 5 }),
        ("state", .notAnswered, { $0.state = 260 }), ("no Call-ID", .noCallID, { $0.key.callID = "" }),
        ("no tag", .noFromTag, { $0.caller.tag = "" }), ("no callee", .noCallee, { $0.callee = .init() }),
        ("entry", .wrongEntry, { $0.key.entry += 1 }),
        ("number", .wrongIdentifier, { $0.key.identifier = -1 }),
        ("large number", .wrongIdentifier, { $0.key.identifier = 1 << 31 }),
        ("start", .badTime, { $0.startTime = -1 }), ("end", .badTime, { $0.timeout = .max }),
        ("from", .badURI, { $0.caller.uri = "alice" }), ("to", .badURI, { $0.callee.uri = "" }),
        ("request", .badURI, { $0.requestURI = "sip:" }), ("tag", .badURI, { $0.callee.tag = "a b" }),
        ("contact", .badContact, { $0.caller.contact = "" }),
        ("line", .badContact, { $0.callee.contact = "sip:bob@192.0.2.9\r\nX: y" }),
        ("routes", .badRoutes, { $0.callee.routes = "<sip:edge" }), ("CSeq", .badCSeq, { $0.caller.cSeq = "x" }),
        ("large CSeq", .badCSeq, { $0.callee.cSeq = "2147483648" }), ("xdata", .badExtra, { $0.links = nil }),
        (
            "variables", .tooLarge,
            { row in
                row.variables = (0..<300).map { .init(name: "v\($0)", value: "") }
            }
        ),
        (
            "a variable", .tooLarge,
            { row in
                row.variables = [.init(name: "v", value: String(repeating: "x", count: 5_000))]
            }
        ),
    ]

    @Test(arguments: odd.map(\.name))
    func `a row that cannot be is refused, with why`(name: String) throws {
        let (_, error, change) = try #require(Self.odd.first { $0.name == name })
        #expect(throws: error) { try Self.takeover(Self.row(change)) }
        #expect(!error.description.isEmpty)
    }
}
