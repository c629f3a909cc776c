// What a commit does not wait for: the peer whose frame was lost while another's word was enough.

import Primitives
import Testing

@testable import Cluster

@Suite("What a commit leaves behind is chased")
struct ChaseTests {
    @Test func `a fact that only one of two peers has got is pushed to the other before any heartbeat`() {
        let net = Net(3, seed: 5)
        #expect(net.start())
        net.run(milliseconds: 300)
        for round in 1...20 as ClosedRange<UInt64> {
            net.run(milliseconds: 200)
            net.cut = [[0, 2]]
            let sequence = net.put(0, round, 5)
            net.wait(0, for: sequence, token: round)
            net.run(milliseconds: 1)
            net.cut = []
            #expect(net.run(limit: 40) { net.processes[2].store.values[round] == 5 }, "round \(round)")
        }
        #expect(net.processes[0].committed.allSatisfy { $0.acknowledged })
        #expect(net.processes[0].cluster.counters.pushes <= 20)
    }

    @Test func `what is chased ends with its acknowledgement, and the latest commit since follows`() {
        var chase = Chase()
        let at = { Instant.zero.advanced(milliseconds: $0) }
        chase.begin(5, due: at(10))
        chase.begin(7, due: at(12))
        chase.begin(9, due: at(14))
        #expect(chase.due == at(10))
        chase.settle(4)
        #expect(chase.due == at(10))
        chase.settle(6)
        #expect(chase.due == at(14))
        expect { chase.take(at(13)) == nil }
        expect { chase.take(at(14)) == 9 }
        #expect(!chase.isOn && chase.due == .distantFuture)
        chase.begin(9, due: at(20))
        #expect(!chase.isOn)
        chase.begin(11, due: at(20))
        chase.settle(11)
        #expect(!chase.isOn)
        expect { chase.take(at(30)) == nil }
    }
}
