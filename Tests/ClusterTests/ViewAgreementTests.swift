// The agreement about the next view, driven without a network: heartbeats are values handed from one machine to
// another.

import Primitives
import Testing

@testable import Cluster

@Suite("Agreement about the next view (R3)")
struct ViewAgreementTests {
    static func member(_ index: Int) -> MemberID { MemberID(name: "n\(index)", boot: 1) }

    /// A handful of acceptors that hear each other as the test says.
    struct Table {
        var machines: [ViewAgreement]
        var now = Instant.zero

        init(_ count: Int) {
            let view = View(epoch: 1, members: (1...count).map(ViewAgreementTests.member))
            machines = (1...count).map { index in
                var machine = ViewAgreement(localMember: ViewAgreementTests.member(index))
                machine.adopt(view)
                return machine
            }
        }

        func shown(_ index: Int) -> ViewAgreement.Shown {
            let machine = machines[index]
            return .init(
                member: ViewAgreementTests.member(index + 1), promised: machine.promised, accepted: machine.accepted,
                value: machine.value)
        }

        mutating func hear(_ index: Int, from other: Int) { _ = machines[index].hear(shown(other)) }

        mutating func step(_ index: Int, hearing others: [Int], wants: [MemberID]?, gone: Int = 0) -> [MemberID]? {
            let situation = ViewAgreement.Situation(
                shown: others.map(shown), heardMembers: others.count, goneSeats: gone, wanted: wants,
                rank: others.count { $0 < index }, now: now)
            return machines[index].step(situation).decided
        }
    }

    @Test func `a majority promises, accepts, and each member finds the decision by itself`() {
        var table = Table(3)
        let wanted = [Self.member(1), Self.member(2)]
        expect { table.step(0, hearing: [1], wants: wanted) == nil }
        #expect(table.machines[0].promised == Ballot(round: 1, name: "n1"))
        table.hear(1, from: 0)
        expect { table.step(0, hearing: [1], wants: wanted) == nil }
        #expect(table.machines[0].value == wanted)
        table.hear(1, from: 0)
        expect { table.step(1, hearing: [0], wants: wanted) == wanted }
        expect { table.step(0, hearing: [1], wants: wanted) == wanted }
    }

    @Test func `a minority decides nothing, however long it tries`() {
        var table = Table(5)
        for _ in 0..<50 {
            table.now = table.now.advanced(milliseconds: 500)
            expect { table.step(0, hearing: [1], wants: [Self.member(1), Self.member(2)]) == nil }
            table.hear(1, from: 0)
        }
    }

    @Test func `a later ballot takes over the value that a quorum may have accepted`() {
        var table = Table(3)
        let first = [Self.member(1), Self.member(2)]
        _ = table.step(0, hearing: [1], wants: first)
        table.hear(1, from: 0)
        _ = table.step(0, hearing: [1], wants: first)
        table.hear(1, from: 0)
        // n1 and n2 accepted, n1 dies; n3 wants something else and must finish what was begun.
        let other = [Self.member(2), Self.member(3)]
        for _ in 0..<6 {
            table.now = table.now.advanced(milliseconds: 700)
            let decided = table.step(2, hearing: [1], wants: other)
            if let decided {
                #expect(decided == first)
                return
            }
            table.hear(1, from: 2)
        }
        Issue.record("nothing was decided")
    }

    @Test func `who is not first waits, and takes over when nothing happens`() {
        var table = Table(3)
        let wanted = [Self.member(2), Self.member(3)]
        expect { table.step(1, hearing: [0, 2], wants: wanted) == nil }
        #expect(table.machines[1].promised.round == 0)
        table.now = table.now.advanced(milliseconds: 401)
        _ = table.step(1, hearing: [0, 2], wants: wanted)
        #expect(table.machines[1].promised == Ballot(round: 1, name: "n2"))
    }

    @Test func `seats that can never vote again help the rest only when all of it is asked`() {
        var table = Table(4)
        let wanted = [Self.member(1), Self.member(2)]
        _ = table.step(0, hearing: [1], wants: wanted, gone: 1)
        // n2 is heard but has not promised: no value yet.
        _ = table.step(0, hearing: [1], wants: wanted, gone: 1)
        #expect(table.machines[0].accepted.round == 0)
        table.hear(1, from: 0)
        _ = table.step(0, hearing: [1], wants: wanted, gone: 1)
        #expect(table.machines[0].accepted.round == 1)
        table.hear(1, from: 0)
        expect { table.step(0, hearing: [1], wants: wanted, gone: 0) == nil }
        expect { table.step(0, hearing: [1], wants: wanted, gone: 1) == wanted }
    }

    @Test func `a seat that is gone may have voted before, with a member that is only cut off`() {
        var table = Table(3)
        // n1 and n3 decide that n2, cut off, is out; then n1 dies. n2 hears of its death, and of nothing else.
        let first = [Self.member(1), Self.member(3)]
        _ = table.step(0, hearing: [2], wants: first)
        table.hear(2, from: 0)
        _ = table.step(0, hearing: [2], wants: first)
        table.hear(2, from: 0)
        expect { table.step(2, hearing: [0], wants: first) == first }
        for _ in 0..<20 {
            table.now = table.now.advanced(milliseconds: 500)
            expect { table.step(1, hearing: [], wants: [Self.member(2)], gone: 1) == nil }
        }
    }

    @Test func `when all others are gone, who is left decides alone`() {
        var table = Table(3)
        let wanted = [Self.member(2)]
        _ = table.step(1, hearing: [], wants: wanted, gone: 2)
        for _ in 0..<4 {
            table.now = table.now.advanced(milliseconds: 500)
            if table.step(1, hearing: [], wants: wanted, gone: 2) == wanted { return }
        }
        Issue.record("nothing was decided")
    }

    @Test func `random interleavings never decide two values in one epoch`() {
        for seed in 0..<300 as Range<UInt64> {
            var random = SplitMix(seed: seed)
            var table = Table(5)
            var decisions: Set<[MemberID]> = []
            for _ in 0..<400 {
                table.now = table.now.advanced(milliseconds: Int64(random.next() % 200))
                let index = Int(random.next() % 5)
                let heard = (0..<5).filter { $0 != index && random.chance(0.7) }
                for other in heard { table.hear(index, from: other) }
                let wanted = [Self.member(index + 1)]
                if let value = table.step(index, hearing: heard, wants: wanted) { decisions.insert(value) }
            }
            #expect(decisions.count <= 1, "seed \(seed)")
        }
    }

    @Test func `of two views of one epoch the lower names stand`() {
        let low = View(epoch: 4, members: [Self.member(1)])
        let high = View(epoch: 4, members: [Self.member(2), Self.member(3)])
        #expect(high.yields(to: low))
        #expect(!low.yields(to: high))
        #expect(!low.yields(to: low))
        #expect(!high.yields(to: View(epoch: 3, members: low.members)))
    }
}

@Suite("Failure detection")
struct FailureDetectorTests {
    let settings = ClusterSettings(nodeName: "n1")

    private func at(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    @Test func `a steady peer is probed after two heartbeats of silence and suspected after the floor`() {
        var detector = FailureDetector(now: at(0))
        for beat in 0...20 as ClosedRange<Int64> {
            _ = detector.heard(sent: at(beat * 100), isHeartbeat: true, now: at(beat * 100), settings: settings)
        }
        expect { !detector.shouldProbe(at(2_199), settings) }
        #expect(detector.nextDeadline(at(2_100), settings) == at(2_200))
        expect { detector.shouldProbe(at(2_200), settings) }
        expect { !detector.shouldProbe(at(2_299), settings) }
        expect { detector.shouldProbe(at(2_300), settings) }
        #expect(!detector.isSilent(at(2_400), settings))
        #expect(detector.isSilent(at(2_401), settings))
    }

    @Test func `jitter raises the suspicion up to the ceiling, and fades`() {
        var detector = FailureDetector(now: at(0))
        var now: Int64 = 0
        func beat(after gap: Int64) {
            now += gap
            _ = detector.heard(sent: at(now), isHeartbeat: true, now: at(now), settings: settings)
        }
        beat(after: 0)
        beat(after: 300)
        #expect(detector.suspicion(settings) == .milliseconds(800))
        beat(after: 60_000)
        #expect(detector.suspicion(settings) == .seconds(2))
        for _ in 0..<400 { beat(after: 100) }
        #expect(detector.suspicion(settings) < .milliseconds(402))
    }

    @Test func `proof of death stands against late frames and falls to newer ones`() {
        var detector = FailureDetector(now: at(0))
        detector.refused(now: at(1_000))
        expect { !detector.heard(sent: at(990), isHeartbeat: true, now: at(1_100), settings: settings) }
        #expect(detector.refusedAt == at(1_000))
        expect { detector.heard(sent: at(1_010), isHeartbeat: true, now: at(1_100), settings: settings) }
        #expect(detector.refusedAt == nil)
    }
}
