// What a joining node says it waits for, beside what it then does.

import Primitives
import Testing

@testable import Cluster

@Suite("Whom a joining node waits for")
struct WaitingTests {
    @Test func `a majority without a member tells whom it misses, and until when`() {
        let net = Net(3, seed: 1)
        net.crash(2)
        net.run(milliseconds: 10_000)
        let wait = net.processes[0].cluster.joinWait(now: net.now)
        #expect(wait?.unheard.count == 1 && wait?.comparing == [] && wait?.missingForMajority == 0)
        let until = wait?.untilMilliseconds ?? -1
        #expect((19_000...21_000).contains(until), "\(until)")
        #expect((9_000...11_000).contains(wait?.sinceMilliseconds ?? -1))
        // And so it comes.
        net.run(milliseconds: until + 2_000)
        #expect(net.processes[0].cluster.state == .up)
        #expect(net.processes[0].cluster.joinWait(now: net.now) == nil)
    }

    @Test func `a minority tells how many more it needs, and gives no time`() {
        let net = Net(5, seed: 2)
        for victim in [1, 2, 3, 4] { net.crash(victim) }
        net.run(milliseconds: 60_000)
        let wait = net.processes[0].cluster.joinWait(now: net.now)
        #expect(wait?.missingForMajority == 2 && wait?.untilMilliseconds == nil)
        #expect(wait?.unheard.count == 4)
    }

    @Test func `who hears members that are up compares with them`() {
        let net = Net(3, seed: 3)
        #expect(net.start())
        net.crash(1)
        net.run(milliseconds: 2_000)
        net.restart(1)
        var told: [String] = []
        net.run(limit: 5_000) {
            if let wait = net.processes[1].cluster.joinWait(now: net.now), !wait.comparing.isEmpty {
                told = wait.comparing
            }
            return net.allUp
        }
        #expect(
            !told.isEmpty && told.allSatisfy { name in net.processes.contains { $0.cluster.localMember.name == name } })
    }

    @Test func `a heartbeat compares sixteen settings at most`() {
        let many = (0..<20).map { UInt64($0) }
        #expect(Hello(settings: many).settings == Array(many.prefix(16)))
    }

    @Test func `strangers are kept by name, sanitised and bounded`() {
        var cluster = Cluster(
            settings: ClusterSettings(nodeName: "n9"), boot: 1, hello: Hello(), hash: KeyedHash(key0: 1, key1: 2),
            seed: 5,
            now: .zero)
        var store = ToyStore()
        var out = ClusterActions()
        for number in 0..<40 {
            var header = WireTests.header
            header.mark = cluster.mark ^ 1
            header.sender = MemberID(name: "x\(number)\u{1B}", boot: 1)
            var writer = ByteWriter()
            header.write(into: &writer)
            let bytes = writer.bytes
            cluster.receive(
                frame: RawSpan(_elements: bytes.span), store: &store, now: Instant(nanoseconds: 5), out: &out)
        }
        #expect(cluster.strangers.count == 16)
        #expect(cluster.strangers[0].name == "x0?")
        #expect(cluster.counters.foreignCluster == 40)
    }
}
