// Calls that a Kamailio has left in its tables: the cluster has them from its beginning, and ends them.

import Dialogs
import Node
import Primitives
import SIP
import Testing

@Suite("Calls of a Kamailio are taken over")
struct TakeoverTests {
    private static let callID = "left@192.0.2.7"

    /// A call of ClusterBench's phones, so many seconds after the bench's wall clock began.
    private static func row(_ identifier: Int64 = 7, _ change: (inout ModuleRow) -> Void = { _ in }) -> ModuleRow {
        let callID = identifier == 7 ? callID : "\(identifier)-\(callID)"
        var row = ModuleRow(
            key: .init(
                entry: ModuleRow.entry(of: Array(callID.utf8), size: 4_096), identifier: identifier, callID: callID))
        row.caller.uri = "sip:alice@example.org"
        row.caller.tag = "ta"
        row.caller.cSeq = "5"
        row.caller.contact = "sip:alice@\(ClusterBench.caller)"
        row.callee.uri = "sip:bob@example.org"
        row.callee.tag = "tb"
        row.callee.cSeq = "0"
        row.callee.contact = "sip:bob@\(ClusterBench.callee)"
        row.state = 4
        row.startTime = 1_000_000_000 - 10
        row.timeout = 1_000_000_000 + 60
        row.links = [
            ProfileLink(name: Array("calls".utf8)), ProfileLink(name: Array("caller".utf8), value: Array("alice".utf8)),
            ProfileLink(name: Array("unknown".utf8)),
        ]
        row.variables = [.init(name: "tenant", value: "blue")]
        change(&row)
        return row
    }

    private static func bench(
        _ rows: [ModuleRow], isShared: Bool = false, mode: StorageSettings.Mode = .realtime,
        module: StorageSettings.Module = .dialog
    ) -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.storage.url = "sqlite:///somewhere"
            settings.storage.mode = mode
            settings.storage.isShared = isShared
            settings.storage.module = module
            settings.storage.fetchRows = 2
            settings.dialogs.profilesNoValue = ["calls"]
            settings.dialogs.profilesWithValue = ["caller"]
        }
        bench.disks[0].moduleRows = rows
        for index in bench.nodes.indices { bench.kill(index) }
        for index in bench.nodes.indices { bench.start(index) }
        bench.advance(milliseconds: 3_000)
        return bench
    }

    private static func metric(_ name: String, _ bench: ClusterBench) -> Int64 {
        bench.nodes[0]?.metrics(now: bench.now).first { $0.name == "understudy_storage_\(name)_total" }?.value ?? 0
    }

    @Test(arguments: [false, true])
    func `they are on every node with the time that they had left, and are stored like any other`(
        isShared: Bool
    ) throws {
        let bench = Self.bench([Self.row(), Self.row(8), Self.row(9)], isShared: isShared)
        #expect(StorageTests.held(bench) == [3, 3, 3])
        for node in bench.nodes {
            let dialog = try #require(
                node?.dialogs(DialogQuery(), now: bench.now).dialogs.first { $0.callID == Self.callID })
            let end = BenchDisk.wall(bench.now) + (dialog.remainingMilliseconds ?? 0)
            #expect(abs(end - 1_000_000_060_000) <= 1_000)
            #expect(dialog.variables == [StampedReport(key: "tenant", value: "blue")])
            #expect(dialog.profiles.map(\.key) == ["caller", "calls"] && dialog.state == "confirmed")
            #expect(DialogID(hex: dialog.did)?.moduleIdentifier == 7)
        }
        #expect(bench.disks[0].rows.count == 3)
        #expect(bench.events.allSatisfy { $0.event.kind != .start }, "their start was told by who began them")
    }

    @Test func `those of ims_dialog are, too, each callee of them`() throws {
        let row = Self.row { row in
            var desk = row.callee
            (desk.tag, row.links) = ("td", [])
            row.others = [desk]
        }
        let bench = Self.bench([row], module: .imsDialog)
        #expect(StorageTests.held(bench) == [1, 1, 1])
        let dialog = try #require(bench.nodes[2]?.dialogs(DialogQuery(), now: bench.now).dialogs.first)
        #expect(dialog.outs.map(\.toTag).sorted() == ["tb", "td"] && dialog.profiles.isEmpty)
    }

    @Test(arguments: ["ta", "tb"])
    func `a BYE that has Kamailio's did is relayed, and ends it`(from tag: String) {
        var bench = Self.bench([Self.row()])
        let isCaller = tag == "ta"
        let (from, to) =
            isCaller ? (ClusterBench.caller, ClusterBench.callee) : (ClusterBench.callee, ClusterBench.caller)
        let target = isCaller ? "bob" : "alice"
        let count = bench.sent.count
        bench.receive(
            """
            BYE sip:\(target)@\(to) SIP/2.0\r
            Via: SIP/2.0/UDP \(from);branch=z9hG4bKbye\(tag);rport\r
            Route: <sip:\(ClusterBench.address(1).text);lr;ftag=ta;did=dfe.2462>\r
            From: <sip:x@example.org>;tag=\(tag)\r
            To: <sip:y@example.org>;tag=\(isCaller ? "tb" : "ta")\r
            Call-ID: \(Self.callID)\r
            CSeq: 9 BYE\r
            Max-Forwards: 70\r
            Content-Length: 0\r
            \r

            """, from: from, at: 1)
        bench.advance(milliseconds: 200)
        let bye = bench.sent[count...].first { $0.text.hasPrefix("BYE") }
        #expect(bye?.to == to && bye?.header("Route") == nil)
        bench.advance(milliseconds: 1_000)
        #expect(StorageTests.held(bench) == [0, 0, 0])
    }

    @Test func `one whose time is up gets a BYE on both sides`() {
        var bench = Self.bench([Self.row { $0.timeout = 1_000_000_010 }])
        #expect(StorageTests.held(bench) == [1, 1, 1])
        bench.advance(milliseconds: 12_000)
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            #expect(Set(StorageTests.byes(bench, to: phone).map { $0.header("Via")! }).count == 1)
        }
        #expect(StorageTests.held(bench) == [0, 0, 0])
    }

    @Test func `what is known is not taken again, be it live or over`() {
        var bench = Self.bench([Self.row(), Self.row(8)])
        StorageTests.restart(&bench, after: 1_000)
        bench.advance(milliseconds: 3_000)
        #expect(StorageTests.held(bench) == [2, 2, 2])
        #expect(Self.metric("module_taken", bench) == 0 && Self.metric("loaded", bench) == 2)
    }

    @Test func `odd rows are refused and counted, and the log tells of the first`() {
        let bench = Self.bench([
            Self.row { $0.caller.contact = "nowhere" }, Self.row(8), Self.row(9) { $0.state = 2 },
            Self.row(10) { $0.key.entry ^= 1 },
        ])
        #expect(StorageTests.held(bench) == [1, 1, 1])
        #expect(Self.metric("module_refused", bench) == 3 && Self.metric("module_taken", bench) == 1)
        let told = bench.notes.filter { $0.node == 0 && $0.note.message.hasPrefix("a row of Kamailio's tables") }
        #expect(told.count == 1)
        #expect(bench.notes.contains { $0.node == 0 && $0.note.message.hasPrefix("calls were taken over") })
    }

    @Test func `without the module's tables nobody reads them`() {
        var bench = StorageTests.bench()
        for index in bench.disks.indices { bench.disks[index].moduleRows = [Self.row()] }
        StorageTests.restart(&bench, after: 1_000)
        bench.advance(milliseconds: 3_000)
        #expect(StorageTests.held(bench) == [0, 0, 0])
    }
}
