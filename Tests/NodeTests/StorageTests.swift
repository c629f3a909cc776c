// What a cluster keeps when all of its nodes end at once, and what it believes of it afterwards (R5).

import Dialogs
import Node
import Primitives
import SIP
import Testing

@Suite("Storage: a cluster that lost every node comes back")
struct StorageTests {
    static func bench(
        nodes: Int = 3, mode: StorageSettings.Mode = .realtime, _ change: @escaping (inout Settings) -> Void = { _ in }
    ) -> ClusterBench {
        var bench = ClusterBench(nodes: nodes) { settings in
            settings.dialogs.defaultTimeout = .seconds(60)
            settings.storage.url = "sqlite:///somewhere"
            settings.storage.mode = mode
            change(&settings)
        }
        bench.advance(milliseconds: 2_000)
        return bench
    }

    static func killAll(_ bench: inout ClusterBench) { for index in bench.nodes.indices { bench.kill(index) } }

    /// All at once, `downtime` after they were killed.
    static func restart(_ bench: inout ClusterBench, after downtime: Int64) {
        killAll(&bench)
        bench.advance(milliseconds: downtime)
        for index in bench.nodes.indices { bench.start(index) }
    }

    static func held(_ bench: ClusterBench) -> [Int] {
        bench.nodes.map { $0?.status(now: bench.now).dialogs.held ?? -1 }
    }

    static func remaining(_ bench: ClusterBench) -> [Int64] {
        bench.nodes.map {
            ($0?.dialogs(DialogQuery(), now: bench.now).dialogs.first?.remainingMilliseconds ?? nil) ?? -1
        }
    }

    static func byes(_ bench: ClusterBench, to phone: String) -> [ClusterBench.Sent] {
        bench.sent.filter { $0.to == phone && $0.text.hasPrefix("BYE") }
    }

    @Test(arguments: [false, true])
    func `every call is there with its remaining time, and ends at its moment with one BYE a side`(isShared: Bool) {
        var bench = Self.bench { $0.storage.isShared = isShared }
        bench.call(through: 0)
        let end = bench.now.advanced(milliseconds: Self.remaining(bench)[0])
        Self.restart(&bench, after: 20_000)
        bench.advance(milliseconds: 2_000)
        #expect(Self.held(bench) == [1, 1, 1])
        for remaining in Self.remaining(bench) {
            #expect(abs(bench.now.advanced(milliseconds: remaining).milliseconds(since: end)) <= 50)
        }
        bench.advance(milliseconds: end.milliseconds(since: bench.now) - 100)
        #expect(Self.byes(bench, to: ClusterBench.caller).isEmpty)
        bench.advance(milliseconds: 1_000)
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            #expect(Set(Self.byes(bench, to: phone).map { $0.header("Via")! }).count == 1)
        }
        #expect(Self.held(bench) == [0, 0, 0])
        bench.advance(milliseconds: 120_000)
        #expect(bench.disks.allSatisfy { $0.rows.isEmpty }, "tombstones' rows go with them")
    }

    @Test func `a call whose time passed meanwhile is ended once the members are up`() {
        var bench = Self.bench()
        bench.call(through: 1)
        Self.restart(&bench, after: 300_000)
        bench.advance(milliseconds: 5_000)
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            #expect(Set(Self.byes(bench, to: phone).map { $0.header("Via")! }).count == 1)
        }
        #expect(Self.held(bench) == [0, 0, 0])
        #expect(
            bench.nodes[0]?.metrics(now: bench.now).first { $0.name == "understudy_storage_expired_total" }?.value == 1)
    }

    @Test(arguments: [false, true])
    func `calls whose time passed meanwhile are ended one after the other, from when a node may act`(
        hasLostDisk: Bool
    ) throws {
        var bench = Self.bench()
        bench.call(through: 1)
        Self.killAll(&bench)
        for disk in bench.disks.indices {
            let call = try #require(bench.disks[disk].rows.values.first)
            for number in 1...40 as ClosedRange<UInt64> {
                var (row, record) = (call, try Record(RawSpan(_elements: call.record.record.span)))
                record.callID = Array("c\(number)".utf8)
                (row.record.did, row.record.record) = (DialogID(rawValue: number), try record.encoded())
                bench.disks[disk].rows[row.record.did] = row
            }
        }
        // Their home is told of them by its peers then.
        if hasLostDisk { bench.disks[1] = BenchDisk() }
        Self.restart(&bench, after: 300_000)
        bench.advance(milliseconds: 10_000)
        let calls = Dictionary(grouping: Self.byes(bench, to: ClusterBench.caller)) { $0.header("Call-ID") ?? "" }
        let moments = calls.values.compactMap { $0.map(\.at).min() }.sorted()
        #expect(moments.count == 41)
        let (first, last) = (try #require(moments.first), try #require(moments.last))
        let span = last.milliseconds(since: first)
        // Their home asks for all of them, one in 15 ms.
        #expect((180...1_500).contains(span), "two hundred a second at most, and no slower than that takes: \(span) ms")
    }

    @Test func `of several disks one is enough`() {
        for lost in 0..<3 {
            var bench = Self.bench()
            bench.call(through: 0)
            Self.killAll(&bench)
            for disk in 0..<3 where disk != lost { bench.disks[disk] = BenchDisk() }
            Self.restart(&bench, after: 1_000)
            bench.advance(milliseconds: 5_000)
            #expect(Self.held(bench) == [1, 1, 1], "only disk \(lost) is left")
        }
    }

    @Test func `pages of rows are read until there are no more`() {
        for rows in 1...5 {
            var bench = Self.bench(nodes: 1) { $0.storage.fetchRows = rows }
            bench.call(through: 0)
            Self.killAll(&bench)
            let call = bench.disks[0].rows.values.first!
            // More of the same, under other numbers: what a page's end falls on is all that matters.
            for number in 1...4 {
                var row = call
                row.record.did = DialogID(rawValue: UInt64(number))
                bench.disks[0].rows[row.record.did] = row
            }
            Self.restart(&bench, after: 1_000)
            bench.advance(milliseconds: 2_000)
            #expect(Self.held(bench) == [5], "\(rows) a page")
        }
    }

    @Test func `what ended is over, also where another disk has it live`() {
        var bench = Self.bench()
        bench.call(through: 0)
        bench.disks[2].isDead = true
        _ = bench.end(through: 0)
        bench.advance(milliseconds: 2_000)
        #expect(Self.held(bench) == [0, 0, 0])
        #expect(bench.disks[2].live.count == 1)
        bench.disks[2].isDead = false
        Self.killAll(&bench)
        Self.restart(&bench, after: 1_000)
        bench.advance(milliseconds: 5_000)
        #expect(Self.held(bench) == [0, 0, 0])
    }

    @Test func `rows that only a disk beyond the horizon has are neither live nor counted, R5`() {
        var bench = Self.bench {
            $0.dialogs.defaultTimeout = .seconds(1_000)
            // Else the tombstone would wait for the member that is down.
            $0.cluster.forgetAfter = .seconds(60)
        }
        bench.call(through: 0)
        bench.kill(2)
        bench.advance(milliseconds: 1_000)
        _ = bench.end(through: 0)
        bench.advance(milliseconds: 200_000)
        let byes = Self.byes(bench, to: ClusterBench.caller).count
        #expect(bench.disks[2].live.count == 1 && bench.disks[0].rows.isEmpty)
        Self.restart(&bench, after: 1_000)
        bench.advance(milliseconds: 5_000)
        #expect(Self.held(bench) == [0, 0, 0])
        #expect(bench.nodes[2]?.status(now: bench.now).storage?.heldBack == 1)
        #expect(bench.nodes[0]?.status(now: bench.now).storage?.heldBack == 0)
        // At its deadline it gets its BYEs, since nobody knows that it has had them.
        bench.advance(milliseconds: 800_000)
        #expect(Self.byes(bench, to: ClusterBench.caller).count > byes)
        #expect(Self.held(bench) == [0, 0, 0])
    }

    @Test func `what is held back and whose time passed meanwhile waits five seconds, so that others can tell it`() {
        var bench = Self.bench { $0.dialogs.defaultTimeout = .seconds(60) }
        bench.call(through: 0)
        Self.killAll(&bench)
        // Another disk has known more for a long time, and has not got the call.
        bench.disks[0] = BenchDisk()
        bench.disks[0].writers["n1"] = BenchDisk.wall(bench.now) + 200_000
        bench.disks[1] = BenchDisk()
        Self.restart(&bench, after: 201_000)
        let began = bench.now
        bench.advance(milliseconds: 4_900)
        #expect(bench.nodes[2]?.status(now: bench.now).storage?.heldBack == 1)
        #expect(Self.byes(bench, to: ClusterBench.caller).isEmpty)
        bench.advance(milliseconds: 5_000)
        let bye = Self.byes(bench, to: ClusterBench.caller).first
        #expect((bye?.at ?? began).milliseconds(since: began) >= 5_000, "nobody else has it: its phones are told")
        #expect(bench.nodes[2]?.status(now: bench.now).storage?.heldBack == 0)
    }

    @Test func `who joins a cluster that is up believes its members and not its disk`() {
        var bench = Self.bench { $0.dialogs.defaultTimeout = .seconds(1_000) }
        bench.call(through: 0)
        bench.kill(2)
        bench.advance(milliseconds: 1_000)
        _ = bench.end(through: 0)
        bench.advance(milliseconds: 100_000)
        bench.start(2)
        bench.advance(milliseconds: 5_000)
        #expect(Self.held(bench) == [0, 0, 0])
        #expect(bench.nodes[2]?.status(now: bench.now).storage?.heldBack == 0, "they have told it")
    }

    @Test func `a request within a call that is held back brings it back`() {
        var bench = Self.bench { $0.dialogs.defaultTimeout = .seconds(1_000) }
        bench.call(through: 0)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        Self.killAll(&bench)
        // Another disk has known more for a long time, and has not got the call.
        bench.disks[0] = BenchDisk()
        bench.disks[0].writers["n1"] = BenchDisk.wall(bench.now) + 200_000
        bench.disks[1] = BenchDisk()
        Self.restart(&bench, after: 201_000)
        bench.advance(milliseconds: 5_000)
        #expect(Self.held(bench) == [0, 0, 0])
        let route = "Route: \(invite.header("Record-Route")!)\r\nContact: <sip:alice@10.0.9.1>\r\n"
        let count = bench.sent.count
        bench.receive(
            ClusterBench.request("UPDATE", "z9hG4bKu", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 2, extra: route),
            from: ClusterBench.caller, at: 2)
        bench.advance(milliseconds: 1_000)
        #expect(bench.sent[count...].contains { $0.text.hasPrefix("UPDATE") && $0.to == ClusterBench.callee })
        #expect(Self.held(bench) == [1, 1, 1])
    }
}

@Suite("Storage: when what is written")
struct StorageWritingTests {
    @Test func `mode 1 has each change within 20 ms`() {
        var bench = StorageTests.bench()
        bench.call(through: 0)
        #expect(bench.disks.allSatisfy { $0.live.count == 1 })
        for (disk, node) in zip(bench.disks, bench.nodes) {
            let report = node?.dialogs(DialogQuery(), now: bench.now).dialogs.first
            #expect(Array(disk.rows.keys) == [report.flatMap { DialogID(hex: $0.did) }])
        }
        let before = bench.disks.map { $0.live.first?.record.record }
        _ = bench.end(through: 0)
        bench.advance(milliseconds: 20)
        #expect(zip(before, bench.disks).allSatisfy { $0 != $1.live.first?.record.record })
    }

    @Test func `mode 2 writes every period, and at the end`() {
        var bench = StorageTests.bench(mode: .delayed) { $0.storage.updatePeriod = .seconds(30) }
        bench.call(through: 0)
        bench.advance(milliseconds: 20_000)
        #expect(bench.disks.allSatisfy { $0.rows.isEmpty })
        #expect(bench.nodes[0]?.status(now: bench.now).storage?.lagRecords == 1)
        bench.advance(milliseconds: 10_000)
        #expect(bench.disks.allSatisfy { $0.live.count == 1 })
        #expect(bench.nodes[0]?.status(now: bench.now).storage?.lagRecords == 0)
    }

    @Test func `mode 2 and 3 write what is left when a node leaves`() {
        for mode in [StorageSettings.Mode.delayed, .shutdown] {
            var bench = StorageTests.bench(mode: mode)
            bench.call(through: 0)
            #expect(bench.disks.allSatisfy { $0.rows.isEmpty })
            for index in 0..<3 { bench.flushStorage(index) }
            bench.advance(milliseconds: 20)
            #expect(bench.disks.allSatisfy { $0.live.count == 1 })
            #expect(bench.nodes.allSatisfy { $0?.isStorageFlushed == true })
            StorageTests.restart(&bench, after: 1_000)
            bench.advance(milliseconds: 3_000)
            #expect(StorageTests.held(bench) == [1, 1, 1])
            #expect(bench.disks.allSatisfy { $0.rows.isEmpty == (mode == .shutdown) }, "\(mode)")
        }
    }

    @Test func `of a shared database the actor writes, and its heir goes on`() {
        var bench = StorageTests.bench { $0.storage.isShared = true }
        bench.call(through: 1)
        #expect(bench.disks[0].rows.values.map(\.writer) == ["n2"])
        bench.kill(1)
        bench.advance(milliseconds: 3_000)
        let heir = bench.nodes[0]?.dialogs(DialogQuery(), now: bench.now).dialogs.first?.actor
        #expect(bench.disks[0].rows.values.map(\.writer) == [heir])
        #expect(bench.disks[1].rows.isEmpty && bench.disks[2].rows.isEmpty)
    }

    @Test func `without storage nothing is asked of it`() {
        var bench = StorageTests.bench { $0.storage.mode = .none }
        bench.call(through: 0)
        bench.advance(milliseconds: 70_000)
        #expect(bench.disks.allSatisfy { $0.actions == 0 })
        #expect(bench.nodes[0]?.status(now: bench.now).storage == nil)
    }

    @Test func `a database that is away delays no call, needs a number for each record, and is told once`() {
        var bench = StorageTests.bench()
        for index in 0..<3 { bench.disks[index].isDead = true }
        bench.call(through: 0)
        #expect(bench.nodes[0]?.status(now: bench.now).dialogs.confirmed == 1)
        bench.advance(milliseconds: 30_000)
        let report = bench.nodes[0]?.status(now: bench.now).storage
        #expect(report?.lagRecords == 1 && report?.isFailing == true && (report?.lagMilliseconds ?? 0) > 29_000)
        let attempts = bench.disks[0].actions
        #expect(attempts < 20, "it is asked less and less often")
        #expect(bench.notes.count { $0.node == 0 && $0.note.message.hasPrefix("the storage does not") } == 1)
        bench.disks[0].isDead = false
        bench.advance(milliseconds: 5_100)
        #expect(bench.disks[0].live.count == 1)
        #expect(bench.nodes[0]?.status(now: bench.now).storage?.isFailing == false)
        #expect(bench.notes.contains { $0.node == 0 && $0.note.message == "the storage is written again" })
    }

    @Test(arguments: [false, true])
    func `whichever action fails, done or not, the rows are the records in the end`(isDone: Bool) {
        for action in 1...40 {
            var bench = StorageTests.bench(nodes: 1)
            bench.disks[0].failing = bench.disks[0].actions + action
            bench.disks[0].failsAfterwards = isDone
            bench.call(through: 0)
            StorageTests.restart(&bench, after: 1_000)
            bench.advance(milliseconds: 2_000)
            #expect(StorageTests.held(bench) == [1], "action \(action)")
            #expect(bench.disks[0].live.count == 1)
            _ = bench.end(through: 0)
            bench.advance(milliseconds: 100_000)
            #expect(StorageTests.held(bench) == [0] && bench.disks[0].rows.isEmpty, "action \(action)")
            if bench.disks[0].actions < bench.disks[0].failing { break }
        }
    }
}

extension ClusterBench {
    mutating func flushStorage(_ index: Int) {
        nodes[index]?.flushStorage(now: now, into: &outs[index])
        deliver()
    }
}
