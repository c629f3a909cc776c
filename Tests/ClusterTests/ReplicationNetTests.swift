// Streams, commits, repair, asking and tombstones over the small network.

import Cluster
import Primitives
import Testing

@Suite("Replication on a network")
struct ReplicationNetTests {
    @Test func `a commit is answered when a peer has the fact, and only then (R10)`() {
        let net = Net(3, seed: 1)
        #expect(net.start())
        net.run(milliseconds: 200)
        let began = net.now
        let sequence = net.put(0, 1, 1)
        net.wait(0, for: sequence, token: 9)
        #expect(net.processes[0].committed.isEmpty)
        #expect(net.run(limit: 50) { !net.processes[0].committed.isEmpty })
        #expect(net.processes[0].committed.map(\.acknowledged) == [true])
        #expect(net.now.milliseconds(since: began) <= 12)
        #expect(net.processes[1].store.live == [1: 1] || net.processes[2].store.live == [1: 1])
    }

    @Test func `what a commit waits for is pushed when its frame is lost (R10)`() {
        let net = Net(2, seed: 2)
        #expect(net.start())
        net.run(milliseconds: 30)
        net.partition([0], oneWay: true)
        let sequence = net.put(0, 1, 1)
        net.wait(0, for: sequence, token: 1)
        net.run(milliseconds: 2)
        net.cut = []
        #expect(net.run(limit: 50) { !net.processes[0].committed.isEmpty })
        #expect(net.processes[0].committed.map(\.acknowledged) == [true])
        #expect(net.processes[0].cluster.counters.pushes > 0)
    }

    @Test func `a commit that nobody answers times out, and after three the peer counts no more (R10)`() {
        let net = Net(2, seed: 3)
        #expect(net.start())
        net.run(milliseconds: 30)
        net.partition([0])
        for round in 1...3 as ClosedRange<UInt64> {
            let sequence = net.put(0, round, 1)
            net.wait(0, for: sequence, token: round)
            net.run(milliseconds: 60)
        }
        #expect(net.processes[0].committed.map(\.token) == [1, 2, 3])
        #expect(net.processes[0].committed.allSatisfy { !$0.acknowledged })
        #expect(net.processes[0].cluster.counters.commitTimeouts == 3)
        #expect(net.processes[0].cluster.livePeerCount == 0)
        let sequence = net.put(0, 4, 1)
        net.wait(0, for: sequence, token: 4)
        #expect(net.processes[0].committed.count == 4)
        net.heal()
        #expect(net.run(limit: 500) { net.processes[0].cluster.livePeerCount == 1 })
    }

    @Test func `a lost frame is asked for again at once and comes as the record stands now (R6)`() {
        let net = Net(3, seed: 4)
        #expect(net.start())
        net.put(0, 1, 1)
        net.run(milliseconds: 20)
        net.loss = 0.5
        for value in 2...400 as ClosedRange<UInt64> {
            net.put(0, value % 10, value)
            net.run(milliseconds: 3)
        }
        net.loss = 0
        #expect(net.run(limit: 1_000) { net.storesAgree })
        let counters = net.processes[1].cluster.counters
        #expect(counters.gaps > 0 && counters.repairsIn > 0)
        net.run(milliseconds: 200)
        let applied = net.processes[1].cluster.members(now: net.now).first { $0.name == "n1" }?.applied
        #expect(applied == net.processes[0].cluster.lastSequence)
    }

    @Test func `who is further behind than the ring compares its replica (R6)`() {
        let net = Net(3, seed: 5) {
            $0.ringCapacity = 64
            $0.suspicion = .seconds(2)
        }
        #expect(net.start())
        net.partition([2])
        for value in 1...500 as ClosedRange<UInt64> { net.put(0, value, value) }
        net.run(milliseconds: 50)
        net.heal()
        #expect(net.run(limit: 2_000) { net.storesAgree })
        #expect(net.processes[2].cluster.counters.ringOverruns > 0)
        #expect(
            net.run(limit: 1_000) {
                net.processes[2].cluster.members(now: net.now).first { $0.name == "n1" }?.applied == 500
            })
    }

    @Test func `a patch without its record is no acknowledged fact until the record is there (R10)`() {
        let net = Net(3, seed: 6)
        #expect(net.start())
        net.put(0, 5, 1)
        net.run(milliseconds: 300)
        // n2 loses its replica silently; the next patch finds no record there.
        net.processes[1].store.lose(5)
        let sequence = net.put(0, 5, 9)
        net.run(limit: 100) { net.processes[1].cluster.counters.parked > 0 }
        let status = net.processes[1].cluster.members(now: net.now).first { $0.name == "n1" }
        #expect(status?.applied == sequence - 1)
        #expect(net.run(limit: 200) { net.processes[1].store.live[5] == 9 })
        let after = net.processes[1].cluster.members(now: net.now).first { $0.name == "n1" }
        #expect(after?.applied == sequence)
    }

    @Test func `a replica lost silently is found by digests and counted as repaired`() {
        let net = Net(3, seed: 7)
        #expect(net.start())
        for did in 1...20 as ClosedRange<UInt64> { net.put(0, did, did) }
        net.run(milliseconds: 3_000)
        let before = net.processes.map(\.cluster.counters.digestRepaired)
        net.processes[1].store.lose(5)
        #expect(!net.storesAgree)
        #expect(net.run(limit: 5_000) { net.storesAgree })
        #expect(net.processes[1].cluster.counters.digestRepaired == before[1] + 1)
        // By an operator, at once.
        net.processes[2].store.lose(6)
        net.act(2) { cluster, _, _ in cluster.repair() }
        #expect(net.run(limit: 50) { net.storesAgree })
    }

    @Test func `the tail of a dead publisher reaches every survivor at once (R17)`() {
        let net = Net(3, seed: 8) { $0.compareInterval = .seconds(3_600) }
        #expect(net.start())
        net.run(milliseconds: 20)
        net.cut.insert([0, 2])
        net.put(0, 1, 1)
        net.run(milliseconds: 5)
        net.crash(0)
        #expect(net.processes[1].store.live == [1: 1])
        net.cut = []
        #expect(net.run(limit: 1_000) { net.processes[2].store.live == [1: 1] })
    }

    @Test func `fetch brings one record from whoever has it (R2)`() {
        let net = Net(3, seed: 9)
        #expect(net.start())
        net.put(0, 1, 1)
        net.run(milliseconds: 300)
        net.processes[1].store.lose(1)
        net.act(1) { cluster, _, _ in cluster.fetch(1) }
        #expect(net.run(limit: 20) { net.processes[1].store.live == [1: 1] })
    }

    @Test func `nobody acts without grants from a majority of the view (R1)`() {
        let net = Net(3, seed: 10)
        #expect(net.start())
        net.put(0, 1, 100)
        net.run(milliseconds: 300)
        net.ask(0, 1, deadline: 100)
        #expect(net.processes[0].granted.isEmpty)
        #expect(net.run(limit: 20) { net.processes[0].granted == [1] })
        net.partition([0])
        net.run(milliseconds: 100)
        net.ask(0, 1, deadline: 100)
        net.run(milliseconds: 5_000)
        #expect(net.processes[0].granted == [1])
        #expect(net.processes[0].cluster.isAsking(1))
        net.act(0) { cluster, _, _ in cluster.cancel(1) }
        #expect(!net.processes[0].cluster.isAsking(1))
    }

    @Test func `who knows a later deadline refuses, and the asker then knows it too (R1)`() {
        let net = Net(3, seed: 11)
        #expect(net.start())
        net.put(0, 1, 100)
        net.run(milliseconds: 300)
        net.processes[1].store.raise(1, to: 200)
        net.processes[2].store.raise(1, to: 200)
        net.ask(0, 1, deadline: 100)
        #expect(net.run(limit: 50) { net.processes[0].refused == [1] })
        #expect(net.processes[0].store.live == [1: 200])
        #expect(net.processes[0].granted.isEmpty)
    }

    @Test func `a record that no frame takes is pushed at once, and a commit of it is in time`() {
        let net = Net(3, seed: 21)
        #expect(net.start())
        net.run(milliseconds: 200)
        for process in net.processes { process.store.padding = 80_000 }
        let began = net.now
        for did in 1...9 as ClosedRange<UInt64> {
            let sequence = net.put(0, did, 1)
            net.wait(0, for: sequence, token: did)
        }
        #expect(net.run(limit: 50) { net.processes[0].committed.count == 9 })
        #expect(net.processes[0].committed.allSatisfy { $0.acknowledged })
        #expect(net.now.milliseconds(since: began) <= 50)
        #expect(net.processes[0].cluster.counters.unsentEntries == 9)
        #expect(net.run(limit: 500) { net.storesAgree })
    }

    @Test func `who knows better, by a record that no frame takes, refuses all the same, and the asker fetches it`() {
        let net = Net(3, seed: 22)
        #expect(net.start())
        net.put(0, 1, 100)
        net.run(milliseconds: 300)
        for process in net.processes { process.store.padding = 80_000 }
        net.processes[1].store.raise(1, to: 200)
        net.processes[2].store.raise(1, to: 200)
        net.ask(0, 1, deadline: 100)
        #expect(net.run(limit: 50) { net.processes[0].refused == [1] })
        #expect(net.run(limit: 50) { net.processes[0].store.live == [1: 200] })
    }

    @Test func `a lone survivor grants itself at once (R3)`() {
        let net = Net(1, seed: 12)
        #expect(net.start())
        net.put(0, 1, 1)
        net.ask(0, 1, deadline: 1)
        #expect(net.processes[0].granted == [1])
        net.wait(0, for: 1, token: 3)
        #expect(net.processes[0].committed.map(\.acknowledged) == [false])
    }

    @Test func `a tombstone goes after the horizon when every member has it, and nothing rises (R5)`() {
        let net = Net(3, seed: 13) { $0.horizon = .seconds(6) }
        #expect(net.start())
        for did in 1...50 as ClosedRange<UInt64> { net.put(0, did, 1) }
        net.run(milliseconds: 200)
        for did in 1...50 as ClosedRange<UInt64> { net.put(1, did, ToyStore.tombstone) }
        net.run(milliseconds: 5_500)
        #expect(net.processes.allSatisfy { $0.store.entries.count == 50 && $0.store.live.isEmpty })
        #expect(net.run(limit: 6_000) { net.processes.allSatisfy(\.store.entries.isEmpty) })
    }

    @Test func `a member that is down holds tombstones until it is back or forgotten (R5)`() {
        let net = Net(3, seed: 14) {
            $0.horizon = .seconds(4)
            $0.forgetAfter = .seconds(20)
        }
        #expect(net.start())
        net.put(0, 1, 1)
        net.run(milliseconds: 200)
        net.partition([2])
        net.put(0, 1, ToyStore.tombstone)
        net.run(milliseconds: 12_000)
        #expect(net.processes[0].store.isTombstone(1) && net.processes[1].store.isTombstone(1))
        net.heal()
        #expect(net.run(limit: 8_000) { net.processes.allSatisfy(\.store.entries.isEmpty) })
        net.put(0, 2, 1)
        net.run(milliseconds: 200)
        net.crash(2)
        net.put(0, 2, ToyStore.tombstone)
        net.run(milliseconds: 12_000)
        #expect(net.processes[0].store.isTombstone(2))
        #expect(
            net.run(limit: 14_000) { net.processes[0].store.entries.isEmpty && net.processes[1].store.entries.isEmpty })
    }
}
