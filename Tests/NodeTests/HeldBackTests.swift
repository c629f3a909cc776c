// Rows that only an older disk has are asked about before they come to life (R5).

import Dialogs
import Node
import Primitives
import Testing

@Suite("Storage: a row that is held back is asked about before it comes to life")
struct HeldBackTests {
    /// Of three nodes one has a call that the newer disk of another does not know; all are up again.
    static func bench(lifetime: Duration, outage: Int64, _ change: @escaping (inout Settings) -> Void = { _ in })
        -> ClusterBench
    {
        var bench = StorageTests.bench {
            $0.dialogs.defaultTimeout = lifetime
            change(&$0)
        }
        bench.call(through: 0)
        StorageTests.killAll(&bench)
        bench.disks[0] = BenchDisk()
        bench.disks[0].writers["n1"] = BenchDisk.wall(bench.now) + outage - 1_000
        bench.disks[1] = BenchDisk()
        StorageTests.restart(&bench, after: outage)
        return bench
    }

    @Test func `its time is up: the members say first what they know`() throws {
        var bench = Self.bench(lifetime: .seconds(60), outage: 201_000)
        bench.bus.delay = 20
        bench.advance(milliseconds: 4_000)
        let before = bench.disks[2].actions
        while bench.disks[2].actions == before { bench.advance(milliseconds: 1) }
        let asked = bench.now
        #expect(StorageTests.held(bench) == [0, 0, 0])
        while StorageTests.held(bench)[2] == 0 {
            bench.advance(milliseconds: 1)
            try #require(bench.now.milliseconds(since: asked) < 2_000)
        }
        #expect(bench.now.milliseconds(since: asked) >= 40, "there and back")
        bench.advance(milliseconds: 5_000)
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            #expect(Set(StorageTests.byes(bench, to: phone).map { $0.header("Via")! }).count == 1)
        }
        #expect(StorageTests.held(bench) == [0, 0, 0])
    }

    @Test func `a request that comes before the members have told of the end does not bring the call back`() throws {
        var bench = StorageTests.bench { $0.dialogs.defaultTimeout = .seconds(1_000) }
        bench.call(through: 0)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        bench.kill(2)
        bench.advance(milliseconds: 1_000)
        _ = bench.end(through: 0)
        bench.advance(milliseconds: 100_000)
        bench.bus.delay = 20
        let route = "Route: \(invite.header("Record-Route")!)\r\nContact: <sip:alice@10.0.9.1>\r\n"
        // At each moment of its start.
        for wait in stride(from: 0, to: 400, by: 10) as StrideTo<Int64> {
            bench.start(2)
            bench.advance(milliseconds: wait)
            let count = bench.sent.count
            bench.receive(
                ClusterBench.request(
                    "UPDATE", "z9hG4bKu\(wait)", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 2 + Int(wait), extra: route),
                from: ClusterBench.caller, at: 2)
            for _ in 0..<50 {
                bench.advance(milliseconds: 10)
                try #require(StorageTests.held(bench) == [0, 0, 0], "\(wait) ms after its start")
            }
            #expect(
                !bench.sent[count...].contains { $0.text.hasPrefix("BYE") }, "\(wait) ms after its start")
            bench.kill(2)
            bench.disks[2].rows = bench.disks[2].rows.mapValues { row in
                var row = row
                row.isHeldBack = false
                return row
            }
            bench.advance(milliseconds: 3_000)
        }
    }

    @Test func `nobody can read it and its time is up: it goes, and is counted once`() {
        var bench = StorageTests.bench { $0.dialogs.defaultTimeout = .seconds(60) }
        bench.call(through: 0)
        StorageTests.killAll(&bench)
        bench.disks[0] = BenchDisk()
        bench.disks[0].writers["n1"] = BenchDisk.wall(bench.now) + 200_000
        bench.disks[1] = BenchDisk()
        for did in bench.disks[2].rows.keys { bench.disks[2].rows[did]?.record.record = [0xff, 0xff] }
        StorageTests.restart(&bench, after: 201_000)
        bench.advance(milliseconds: 20_000)
        #expect(bench.disks[2].rows.isEmpty)
        #expect(bench.metric("storage_unreadable") == 1)
    }

    @Test func `of rows at the limit the rest waits on the disk, and has its turn`() throws {
        let rows = 1_300
        var bench = StorageTests.bench {
            $0.dialogs.defaultTimeout = .seconds(60)
            $0.storage.fetchRows = 2_000
        }
        bench.call(through: 0)
        StorageTests.killAll(&bench)
        let call = try #require(bench.disks[2].rows.values.first)
        for number in 1..<rows {
            var (row, record) = (call, try Record(RawSpan(_elements: call.record.record.span)))
            record.callID = Array("c\(number)".utf8)
            (row.record.did, row.record.record) = (DialogID(rawValue: UInt64(number)), try record.encoded())
            bench.disks[2].rows[row.record.did] = row
        }
        bench.disks[0] = BenchDisk()
        bench.disks[0].writers["n1"] = BenchDisk.wall(bench.now) + 200_000
        bench.disks[1] = BenchDisk()
        StorageTests.restart(&bench, after: 201_000)
        bench.bus.delay = 20
        bench.advance(milliseconds: 4_000)
        while bench.metric("storage_released") == 0 { bench.advance(milliseconds: 1) }
        #expect(bench.metric("storage_released") <= 1_024)
        bench.advance(milliseconds: 3_000)
        #expect(bench.metric("storage_released") == Int64(rows))
        bench.advance(milliseconds: 30_000)
        #expect(StorageTests.held(bench) == [0, 0, 0])
    }
}

@Suite("Storage: clocks that are set while all nodes are away")
struct StorageClockTests {
    private static func bench() -> ClusterBench {
        var bench = StorageTests.bench { $0.dialogs.defaultTimeout = .seconds(7_200) }
        bench.call(through: 0)
        return bench
    }

    @Test func `set back, calls have the time that they had`() {
        var bench = Self.bench()
        let before = StorageTests.remaining(bench)[0]
        for disk in 0..<3 { bench.disks[disk].set = -3_600_000 }
        StorageTests.restart(&bench, after: 20_000)
        bench.advance(milliseconds: 2_000)
        #expect(StorageTests.held(bench) == [1, 1, 1])
        for remaining in StorageTests.remaining(bench) { #expect((before - 2_100...before).contains(remaining)) }
        // The rows are of now again: an outage counts as long as it is.
        StorageTests.restart(&bench, after: 20_000)
        bench.advance(milliseconds: 2_000)
        for remaining in StorageTests.remaining(bench) {
            #expect((before - 24_200...before - 20_000).contains(remaining))
        }
        #expect(StorageTests.byes(bench, to: ClusterBench.caller).isEmpty)
    }

    @Test func `set forward, calls have as much less, and those that had no more are ended`() {
        var bench = Self.bench()
        let before = StorageTests.remaining(bench)[0]
        for disk in 0..<3 { bench.disks[disk].set = 3_600_000 }
        StorageTests.restart(&bench, after: 20_000)
        bench.advance(milliseconds: 2_000)
        for remaining in StorageTests.remaining(bench) {
            #expect((before - 3_622_100...before - 3_620_000).contains(remaining))
        }
        for disk in 0..<3 { bench.disks[disk].set = 2 * 3_600_000 }
        StorageTests.restart(&bench, after: 20_000)
        bench.advance(milliseconds: 5_000)
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            #expect(Set(StorageTests.byes(bench, to: phone).map { $0.header("Via")! }).count == 1)
        }
        #expect(StorageTests.held(bench) == [0, 0, 0])
    }

    @Test func `one host's clock is set: nothing is lost, and nobody is ended before the others' time`() {
        for set in [-3_600_000, 600_000] as [Int64] {
            var bench = Self.bench()
            let before = StorageTests.remaining(bench)[0]
            bench.disks[1].set = set
            StorageTests.restart(&bench, after: 20_000)
            bench.advance(milliseconds: 5_000)
            #expect(StorageTests.held(bench) == [1, 1, 1], "\(set)")
            #expect(StorageTests.byes(bench, to: ClusterBench.caller).isEmpty)
            #expect(StorageTests.remaining(bench).allSatisfy { $0 <= before && $0 >= before - 630_000 }, "\(set)")
        }
    }
}
