// A witness makes two nodes three: who goes on when one of the three dies or is cut off, in every way there is (R3),
// and what a witness never does.

import Cluster
import Primitives
import Testing

@Suite("Two nodes and a witness (R3)")
struct WitnessTests {
    /// n1 and n2 are nodes, n3 is the witness.
    static func net(_ seed: UInt64, nodes: Int = 2) -> Net {
        Net(nodes + 1, seed: seed) { settings in settings.isWitness = settings.nodeName == "n\(nodes + 1)" }
    }

    private func cut(_ net: Net, _ pairs: [(Int, Int)]) {
        net.cut = Set(pairs.map { [$0.0, $0.1] })
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `the three form a view, and the witness is up, never fit, and empty`(seed: UInt64) {
        let net = Self.net(seed)
        #expect(net.start())
        for number in 1...20 { net.put(Int(number % 2), UInt64(number), 5) }
        net.run(milliseconds: 3_000)
        let witness = net.processes[2]
        #expect(witness.cluster.state == .up && !witness.cluster.isFit)
        #expect(witness.store.entries.isEmpty && witness.cluster.counters.requestsOut > 0)
        #expect(net.storesAgree && net.processes[0].store.live.count == 20)
        #expect(net.processes[0].cluster.holderCount == 2 && net.processes[0].cluster.view.members.count == 3)
        // It tells how far it has heard the streams, and claims nothing of them.
        let told = witness.cluster.members(now: net.now).filter { !$0.isSelf }
        #expect(told.allSatisfy { $0.applied == 0 })
        #expect(net.violations.isEmpty)
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `a commit is the other node's word, never the witness's`(seed: UInt64) {
        let net = Self.net(seed)
        #expect(net.start())
        net.run(milliseconds: 300)
        let sequence = net.put(0, 1, 5)
        net.waiting[9] = (did: 1, value: 5, peers: 1)
        net.wait(0, for: sequence, token: 9)
        net.run(milliseconds: 200)
        #expect(net.processes[0].committed.map(\.acknowledged) == [true])
        net.pause(1)
        let second = net.put(0, 2, 5)
        net.wait(0, for: second, token: 10)
        net.run(milliseconds: 200)
        #expect(net.processes[0].committed.map(\.acknowledged) == [true, false])
    }

    @Test(arguments: [true, false], 0..<5 as Range<UInt64>)
    func `a node dies or is cut off: the other acts with the witness, and the lost one does not`(
        dies: Bool, seed: UInt64
    ) {
        for victim in [0, 1] {
            let net = Self.net(seed)
            #expect(net.start())
            net.put(0, 1, 5)
            net.put(1, 2, 5)
            net.run(milliseconds: 500)
            if dies { net.crash(victim) } else { net.partition([victim]) }
            let other = 1 - victim
            #expect(net.run(limit: 2_000) { net.processes[other].cluster.view.members.count == 2 })
            net.run(milliseconds: 500)
            #expect(net.processes[other].cluster.isFit && net.processes[other].cluster.holderCount == 1)
            net.asked[8 + UInt64(other)] = 5
            net.ask(other, 1, deadline: 5)
            net.run(milliseconds: 300)
            #expect(net.processes[other].granted == [1])
            if !dies {
                net.ask(victim, 2, deadline: 5)
                net.run(milliseconds: 70_000)
                #expect(net.processes[victim].granted.isEmpty && !net.processes[victim].cluster.isFit)
            }
            net.heal()
            #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree })
            #expect(net.violations.isEmpty, "\(net.violations)")
        }
    }

    @Test(arguments: [true, false])
    func `the witness dies or is cut off: both nodes go on, and the last of them on proof only`(dies: Bool) {
        let net = Self.net(3)
        #expect(net.start())
        net.put(0, 1, 5)
        if dies { net.crash(2) } else { net.partition([2]) }
        #expect(net.run(limit: 2_000) { [0, 1].allSatisfy { net.processes[$0].cluster.view.members.count == 2 } })
        net.run(milliseconds: 500)
        net.asked[8] = 5
        net.ask(0, 1, deadline: 5)
        net.run(milliseconds: 300)
        #expect(net.processes[0].granted == [1])
        // Now a partition between the two: neither has a majority, for as long as it lasts.
        net.partition([0])
        net.run(milliseconds: 70_000)
        #expect([0, 1].allSatisfy { !net.processes[$0].cluster.isFit })
        net.heal()
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree })
        // And a death, which is proven.
        if dies { net.crash(2) } else { net.partition([2]) }
        #expect(net.run(limit: 2_000) { [0, 1].allSatisfy { net.processes[$0].cluster.view.members.count == 2 } })
        net.crash(1)
        #expect(net.run(limit: 2_000) { net.processes[0].cluster.isFit && net.processes[0].cluster.holderCount == 1 })
        #expect(net.violations.isEmpty, "\(net.violations)")
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `of two nodes that hear the witness and not each other one goes on`(seed: UInt64) {
        let net = Self.net(seed)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        cut(net, [(0, 1), (1, 0)])
        #expect(net.run(limit: 4_000) { net.processes[2].cluster.view.members.count == 2 })
        net.run(milliseconds: 10_000)
        let fit = [0, 1].filter { net.processes[$0].cluster.isFit }
        #expect(fit.count == 1)
        // The other waits outside: it must not come up with what it had, nor push the first out.
        #expect(net.processes[1 - (fit.first ?? 0)].cluster.state == .joining)
        #expect(net.processes[2].cluster.view.epoch == 2)
        if let winner = fit.first {
            net.put(winner, 3, 7)
            net.asked[8 + UInt64(winner)] = 5
            net.ask(winner, 1, deadline: 5)
            net.run(milliseconds: 300)
            #expect(net.processes[winner].granted == [1])
        }
        net.heal()
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree })
        #expect(net.processes[0].store.live[3] == 7 && net.violations.isEmpty, "\(net.violations)")
    }

    /// Each of the six ways between the three may work or not: 64 networks.
    @Test(arguments: 0..<64)
    func `whatever is cut, no two nodes are fit in different views, and all heals`(ways: Int) {
        let net = Self.net(UInt64(ways))
        #expect(net.start())
        net.put(0, 1, 5)
        net.put(1, 2, 6)
        net.run(milliseconds: 500)
        let all = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
        cut(net, all.indices.filter { ways & 1 << $0 != 0 }.map { all[$0] })
        for _ in 0..<60 {
            net.run(milliseconds: 200)
            let fit = [0, 1].filter { net.processes[$0].cluster.isFit }
            let views = Set(fit.map { net.processes[$0].cluster.view.epoch })
            // Who has just been excluded may not know for a suspicion time; it has no grants but its own of two.
            #expect(views.count <= 1 || fit.contains { net.processes[$0].cluster.holderCount == 2 })
        }
        net.heal()
        #expect(net.run(limit: 8_000) { net.allUp && net.viewsAgree && net.storesAgree })
        #expect(net.violations.isEmpty, "\(net.violations)")
    }

    @Test func `a restarted node joins again, and a restarted witness too`() {
        let net = Self.net(5)
        #expect(net.start())
        for number in 1...30 { net.put(0, UInt64(number), 5) }
        net.run(milliseconds: 500)
        for victim in [2, 1, 2, 0] {
            net.crash(victim)
            net.run(milliseconds: 1_500)
            net.restart(victim)
            #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree })
        }
        #expect(net.processes[0].store.live.count == 30 && net.processes[1].store.live.count == 30)
        #expect(net.violations.isEmpty)
    }

    @Test func `a node and the witness serve without the other after the bootstrap time, the witness alone never`() {
        let net = Net(3, seed: 8) { settings in
            settings.isWitness = settings.nodeName == "n3"
            settings.bootstrapAfter = .seconds(2)
        }
        net.crash(1)
        #expect(net.run(limit: 4_000) { net.processes[0].cluster.isFit })
        #expect(net.processes[0].cluster.view.members.count == 2)
        let lone = Net(2, seed: 8) { settings in
            settings.isWitness = settings.nodeName == "n2"
            settings.bootstrapAfter = .seconds(1)
        }
        lone.crash(0)
        lone.run(milliseconds: 10_000)
        #expect(lone.processes[1].cluster.view.epoch == 0)
    }

    @Test func `tombstones are forgotten without the witness's word, also while it is down`() {
        let net = Self.net(9)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 300)
        net.put(0, 1, ToyStore.tombstone)
        net.run(milliseconds: 80_000)
        #expect([0, 1].allSatisfy { net.processes[$0].store.forgotten == [1] })
        net.put(1, 2, 5)
        net.run(milliseconds: 300)
        net.put(1, 2, ToyStore.tombstone)
        net.crash(2)
        net.run(milliseconds: 80_000)
        #expect([0, 1].allSatisfy { net.processes[$0].store.forgotten == [1, 2] })
    }

    @Test(arguments: 0..<5 as Range<UInt64>)
    func `with three nodes and a witness a majority of the nodes that are left grants`(seed: UInt64) {
        let net = Self.net(seed, nodes: 3)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 300)
        net.partition([0])
        #expect(net.run(limit: 2_000) { [1, 2].allSatisfy { net.processes[$0].cluster.view.members.count == 3 } })
        net.run(milliseconds: 500)
        net.asked[9] = 5
        net.ask(1, 1, deadline: 5)
        net.run(milliseconds: 300)
        #expect(net.processes[1].granted == [1] && net.processes[2].store.grants[1] == 5)
        #expect(net.violations.isEmpty)
    }
}
