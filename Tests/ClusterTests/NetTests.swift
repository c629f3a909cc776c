// Several clusters on one small network: membership, replication and asking, end to end.

import Cluster
import Primitives
import Testing

@Suite("A cluster on a network")
struct NetTests {
    @Test(arguments: [1, 2, 3, 5])
    func `all configured peers together form the first view and come up (R3)`(count: Int) {
        let net = Net(count, seed: 1)
        #expect(net.start())
        #expect(net.violations.isEmpty)
        #expect(net.processes.allSatisfy { $0.cluster.view.epoch == 1 && $0.cluster.quorum == .held })
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `a killed node leaves the view of every survivor well under a second (R3, proof of death)`(seed: UInt64) {
        let net = Net(3, seed: seed)
        #expect(net.start())
        net.run(milliseconds: Int64(500 + seed * 7))
        let killed = net.now
        net.crash(1)
        #expect(net.run(limit: 1_000) { net.viewsAgree && net.alive.allSatisfy { $0.cluster.isFit } })
        #expect(net.now.milliseconds(since: killed) < 600)
        #expect(net.violations.isEmpty)
    }

    @Test func `five nodes may die one by one down to one (R3)`() {
        let net = Net(5, seed: 3)
        #expect(net.start())
        for victim in [4, 0, 2, 1] {
            net.run(milliseconds: 1_000)
            net.crash(victim)
            #expect(net.run(limit: 3_000) { net.viewsAgree && net.allUp })
        }
        #expect(net.processes[3].cluster.quorum == .held)
    }

    @Test func `half or more at once, and the rest holds; back again, it goes on (R3)`() {
        let net = Net(4, seed: 4)
        #expect(net.start())
        net.put(0, 1, 5)
        net.run(milliseconds: 500)
        for victim in [1, 2, 3] { net.crash(victim) }
        net.run(milliseconds: 3_000)
        #expect(net.processes[0].cluster.quorum == .lost)
        #expect(!net.processes[0].cluster.isFit)
        #expect(net.processes[0].cluster.view.members.count == 4)
        net.restart(1)
        net.restart(2)
        #expect(net.run(limit: 5_000) { [0, 1, 2].allSatisfy { net.processes[$0].cluster.isFit } })
        #expect(net.processes[2].store.live == [1: 5])
    }

    @Test func `with majority the survivor of two holds until the other is back (R3)`() {
        let net = Net(2, seed: 5) { $0.quorum = .majority }
        #expect(net.start())
        net.crash(1)
        net.run(milliseconds: 5_000)
        #expect(net.processes[0].cluster.quorum == .lost)
        net.restart(1)
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree })
    }

    @Test func `with auto the survivor of two acts on proof at once and on silence after a grace (R3)`() {
        let killed = Net(2, seed: 6)
        #expect(killed.start())
        killed.crash(1)
        #expect(
            killed.run(limit: 700) {
                killed.processes[0].cluster.isFit && killed.processes[0].cluster.view.members.count == 1
            })

        let cutOff = Net(2, seed: 7) { $0.loneGrace = .seconds(3) }
        #expect(cutOff.start())
        cutOff.partition([1])
        cutOff.run(milliseconds: 2_500)
        #expect(cutOff.processes[0].cluster.quorum == .lost)
        #expect(cutOff.run(limit: 2_500) { cutOff.processes[0].cluster.isFit })
        cutOff.allowsTwins = true
        cutOff.put(0, 1, 1)
        cutOff.put(1, 2, 2)
        cutOff.heal()
        #expect(cutOff.run(limit: 5_000) { cutOff.allUp && cutOff.viewsAgree && cutOff.storesAgree })
        #expect(cutOff.processes[0].store.live == [1: 1, 2: 2])
    }

    @Test func `a view shrunk to two is not survived on silence (R3)`() {
        let net = Net(3, seed: 8) { $0.loneGrace = .seconds(1) }
        #expect(net.start())
        net.crash(2)
        #expect(net.run(limit: 2_000) { net.viewsAgree && net.allUp })
        net.partition([1])
        net.run(milliseconds: 5_000)
        #expect(net.processes[0].cluster.quorum == .lost)
        #expect(net.processes[1].cluster.quorum == .lost)
        net.heal()
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree })
    }

    @Test func `a minority holds, is excluded, and joins again with its records (R3)`() {
        let net = Net(5, seed: 9)
        #expect(net.start())
        net.partition([3, 4])
        net.run(milliseconds: 3_000)
        #expect(net.processes[3].cluster.quorum == .lost)
        #expect(
            [0, 1, 2].allSatisfy {
                net.processes[$0].cluster.isFit && net.processes[$0].cluster.view.members.count == 3
            })
        net.put(3, 33, 3)
        net.put(0, 1, 1)
        net.heal()
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree })
        #expect(net.processes[4].store.live == [33: 3, 1: 1])
        #expect(net.violations.isEmpty)
    }

    @Test func `who hears the rest and is not heard has no quorum (R11)`() {
        let net = Net(3, seed: 10)
        #expect(net.start())
        net.crash(1)
        net.partition([2], oneWay: true)
        net.run(milliseconds: 3_000)
        // Alone, member 0 can exclude nobody; member 2 still hears it, and hears from it that it is not heard.
        #expect(net.processes[0].cluster.view.members.count >= 2)
        #expect(net.processes[2].cluster.quorum == .lost)
        #expect(!net.processes[2].cluster.isFit)
    }

    @Test func `who is heard one way only is excluded and not fit (R11)`() {
        let net = Net(3, seed: 10)
        #expect(net.start())
        net.partition([2], oneWay: true)
        net.run(milliseconds: 3_000)
        #expect(net.processes[0].cluster.view.members.count == 2)
        #expect(!net.processes[2].cluster.isFit)
        net.heal()
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree })
    }

    @Test func `a restarted node has everything when it is up, by as many chunks as it takes (R11)`() {
        let net = Net(3, seed: 11) { _ in }
        #expect(net.start())
        for process in net.processes { process.store.padding = 2_000 }
        for did in 1...600 as ClosedRange<UInt64> { net.put(Int(did % 3), did, did) }
        #expect(net.run(limit: 3_000) { net.storesAgree })
        net.crash(0)
        net.run(milliseconds: 1_000)
        net.restart(0)
        net.run(limit: 5_000) { net.processes[0].cluster.state == .up }
        #expect(net.processes[0].store.live.count == 600)
        #expect(net.processes[0].cluster.counters.syncChunks >= 6)
        #expect(net.run(limit: 2_000) { net.allUp && net.viewsAgree })
    }

    @Test func `ages survive the way, the repair and the comparison (R8)`() {
        let net = Net(3, seed: 12)
        #expect(net.start())
        let birth = net.now
        net.put(0, 7, 1)
        net.run(milliseconds: 4_000)
        net.crash(2)
        net.run(milliseconds: 1_000)
        net.restart(2)
        net.jitterMilliseconds = 50
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree })
        for process in net.processes {
            #expect(abs(process.store.entries[7]?.birth.milliseconds(since: birth) ?? 9_999) <= 60)
        }
    }

    @Test func `a paused node is not fit until it was heard again, and ends nothing (R13)`() {
        let net = Net(3, seed: 13)
        #expect(net.start())
        net.put(0, 1, 1_000)
        net.run(milliseconds: 500)
        net.pause(0)
        net.run(milliseconds: 10_000)
        net.put(1, 1, 2_000)
        net.run(milliseconds: 500)
        net.resume(0)
        #expect(!net.processes[0].cluster.isFit)
        net.ask(0, 1, deadline: 1_000)
        net.run(milliseconds: 100)
        #expect(net.processes[0].granted.isEmpty)
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree && net.storesAgree })
        net.run(milliseconds: 1_000)
        #expect(net.processes[0].granted.isEmpty)
        #expect(net.processes[0].refused == [1])
        #expect(net.processes[0].cluster.counters.lateLoops == 1)
    }

    @Test func `a node whose clock stepped back takes a higher boot and comes up (R14)`() {
        let net = Net(3, seed: 14)
        #expect(net.start())
        net.crash(1)
        net.run(milliseconds: 1_000)
        net.restart(1, boot: 50)
        #expect(net.run(limit: 5_000) { net.allUp && net.viewsAgree })
        #expect((101...65_636).contains(net.processes[1].cluster.localMember.boot))
    }

    @Test func `a lower boot is told by the view alone, when everybody who knew the old process is gone (R14)`() {
        let net = Net(3, seed: 2_031)
        #expect(net.start())
        net.crash(1)
        net.crash(2)
        net.run(milliseconds: 1_000)
        net.restart(1, boot: 200)
        #expect(net.run(limit: 5_000) { net.processes[1].cluster.view.boot(of: "n2") == 200 })
        net.crash(0)
        net.run(milliseconds: 1_000)
        net.restart(2, boot: 50)
        net.run(milliseconds: 1_000)
        net.restart(0, boot: 300)
        #expect(net.run(limit: 10_000) { net.allUp && net.viewsAgree })
        #expect((101...65_636).contains(net.processes[2].cluster.localMember.boot))
    }

    @Test func `who leaves is out of the view at once, and the last of two goes on (R3)`() {
        let net = Net(2, seed: 15)
        #expect(net.start())
        let now = net.now
        net.act(1) { cluster, _, out in cluster.leave(now: now, out: &out) }
        net.crash(1)
        #expect(net.run(limit: 300) { net.viewsAgree && net.allUp })
        #expect(net.processes[0].cluster.members(now: net.now).contains { $0.name == "n2" && $0.state == .left })
    }
}
