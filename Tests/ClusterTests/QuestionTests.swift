// What heirs ask their peers before they end a transaction of a dead node's, and the last words of the dead (R17).

import Primitives
import Testing

@testable import Cluster

@Suite("Questions of heirs, and last words (R17)")
struct QuestionTests {
    private func question(_ net: Net, _ index: Int, _ did: UInt64) {
        let now = net.now
        net.act(index) { cluster, store, out in cluster.question(did, store: store, now: now, out: &out) }
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `who asks has joined what every peer knows before it is told that they have answered`(seed: UInt64) {
        let net = Net(4, seed: seed)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        // One peer knows more, and nobody was told.
        net.processes[2].store.raise(1, to: 9)
        question(net, 1, 1)
        #expect(net.processes[1].questioned.isEmpty)
        #expect(net.run(limit: 300) { !net.processes[1].questioned.isEmpty })
        #expect(net.processes[1].store.values[1] == 9)
        net.run(milliseconds: 3_000)
        #expect(net.processes[1].questioned == [1], "a question ends once")
    }

    @Test func `a peer whose repair socket is held answers all the same`() {
        let net = Net(3, seed: 2)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        net.processes[2].store.raise(1, to: 9)
        // Every request hangs for as long as one may.
        net.onReply = { _ in [] }
        for did in 100..<110 as Range<UInt64> { net.act(1) { cluster, _, _ in cluster.fetch(did) } }
        question(net, 1, 1)
        #expect(net.run(limit: 100) { net.processes[1].questioned == [1] })
        #expect(net.processes[1].store.values[1] == 9)
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `a peer that is heard is waited for, lost frames and all; one that falls silent is not`(seed: UInt64) {
        let net = Net(3, seed: seed)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        net.loss = 0.5
        for did in [1, 2] as [UInt64] {
            net.processes[2].store.raise(did, to: 9)
            question(net, 1, did)
        }
        #expect(net.run(limit: 2_100) { net.processes[1].questioned.count == 2 })
        net.loss = 0
        net.run(milliseconds: 3_000)
        net.pause(2)
        question(net, 1, 1)
        net.run(milliseconds: 100)
        #expect(net.processes[1].questioned.count == 2)
        #expect(net.run(limit: 2_500) { net.processes[1].questioned.count == 3 })
    }

    @Test func `a record that fits no frame is fetched before the question ends`() {
        let net = Net(3, seed: 4)
        for process in net.processes { process.store.padding = 40_000 }
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        net.processes[2].store.raise(1, to: 9)
        question(net, 1, 1)
        #expect(net.run(limit: 1_500) { net.processes[1].questioned == [1] })
        #expect(net.processes[1].store.values[1] == 9)
    }

    @Test func `alone, or without anybody who answers, a question ends at once`() {
        let net = Net(1, seed: 5)
        #expect(net.start())
        question(net, 0, 1)
        #expect(net.processes[0].questioned == [1])
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `what one survivor has of a dead member's last words the others get, also where no view follows`(seed: UInt64)
    {
        let net = Net(4, seed: seed)
        #expect(net.start())
        net.run(milliseconds: 500)
        net.cut = [[0, 2]]
        net.put(0, 7, 5)
        net.run(milliseconds: 20)
        net.put(3, 8, 5)
        #expect(net.processes[1].store.values[7] == 5 && net.processes[2].store.values[7] == nil)
        // Half of the members at once: the rest agrees on nothing.
        net.crash(0)
        net.crash(3)
        net.cut = []
        #expect(net.run(limit: 900) { net.processes[2].store.values[7] == 5 })
        #expect(net.processes[2].cluster.view.members.count == 4)
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `what a peer learns of a process that the asker does not hear it tells the asker, unasked`(seed: UInt64) {
        let net = Net(4, seed: seed)
        net.allowsTwins = true
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        net.cut = [[0, 3], [3, 0]]
        net.run(milliseconds: 1_500)
        question(net, 3, 1)
        #expect(net.run(limit: 300) { !net.processes[3].questioned.isEmpty })
        net.put(0, 1, 9)
        #expect(net.run(limit: 20) { net.processes[3].store.values[1] == 9 }, "not with the next comparison")
        #expect(net.processes[1].cluster.counters.askersTold + net.processes[2].cluster.counters.askersTold > 0)
        net.run(milliseconds: 500)
        #expect(net.processes[3].questioned == [1], "a question ends once")
    }

    @Test func `what the asker hears by itself, and what comes long afterwards, it is not told again`() {
        let net = Net(4, seed: 7)
        net.allowsTwins = true
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        question(net, 3, 1)
        net.run(milliseconds: 100)
        net.put(0, 1, 6)
        net.run(milliseconds: 100)
        func told() -> UInt64 { net.processes.reduce(0) { $0 + $1.cluster.counters.askersTold } }
        #expect(told() == 0 && net.processes[3].store.values[1] == 6)
        net.cut = [[0, 3], [3, 0]]
        net.run(milliseconds: 10_500)
        net.put(0, 1, 7)
        net.run(milliseconds: 2_000)
        #expect(told() == 0)
    }
}
