// What comparing replicas costs, and what it finds for that: gated, because a pair compares all the time.

import Cluster
import Primitives
import Testing

@Suite("The cost of comparing replicas")
struct ComparingCostTests {
    static let buckets = 16_384

    /// Two nodes with a large table, and what their repair sockets carry.
    private func pair(_ seed: UInt64) -> (Net, () -> Int) {
        let net = Net(2, seed: seed)
        for process in net.processes { process.store = ToyStore(buckets: Self.buckets) }
        #expect(net.start())
        net.run(milliseconds: 3_000)
        final class Count { var bytes = 0 }
        let count = Count()
        net.onRequest = { count.bytes += $1.count }
        net.onReply = { reply in
            count.bytes += reply.count
            return reply
        }
        return (net, { count.bytes })
    }

    /// 300 dialogs a second, a fact of each a second later.
    private func load(_ net: Net, seconds: Int, from first: UInt64) {
        for tick in 0..<UInt64(seconds * 300) {
            net.put(Int(tick % 2), (first + tick) &* 7_919, 5)
            if tick >= 300 { net.put(Int(tick % 2), (first + tick - 300) &* 7_919, 6) }
            net.run(milliseconds: tick % 3 == 0 ? 4 : 3)
        }
    }

    @Test func `a pair that is equal, or busy with 300 dialogs a second, spends less than 5 KB/s`() {
        let (net, bytes) = pair(1)
        let atRest = bytes()
        net.run(milliseconds: 10_000)
        #expect(bytes() - atRest < 10 * 1_000, "\(bytes() - atRest)")
        let before = bytes()
        load(net, seconds: 10, from: 1)
        let each = (bytes() - before) / 10
        print("comparing: \(each) bytes a second and pair under 300 dialogs/s, \((before - atRest) / 10) at rest")
        #expect(each < 5_000 && each > 100)
    }

    @Test func `what no stream has is found by a busy pair within a round, and by one that rests within seconds`() {
        let (net, _) = pair(2)
        load(net, seconds: 2, from: 1)
        net.run(milliseconds: 3_000)
        let lost = 50 &* 7_919 as UInt64
        net.processes[1].store.lose(lost)
        #expect(net.run(limit: 4_000) { net.processes[1].store.values[lost] != nil })
        net.processes[1].store.lose(lost)
        // A round is 86 stretches, one of them in about a second of each node.
        var number: UInt64 = 100_000
        var found = false
        for _ in 0..<1_200 where !found {
            for index in 0..<2 {
                number += 1
                net.put(index, number &* 7_919, 5)
            }
            net.run(milliseconds: 100)
            found = net.processes[1].store.values[lost] != nil
        }
        #expect(found)
    }
}
