// The machines of the streams, each by itself and at its bounds.

import Primitives
import Testing

@testable import Cluster

@Suite("Streams")
struct StreamTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    @Test func `a position moves over what is joined and names what is missing`() {
        var stream = InboundStream()
        stream.begin()
        expect { stream.apply(1...3) }
        expect { stream.apply(7...8) }
        expect { stream.apply(5...5) }
        #expect(stream.position == 3)
        #expect(stream.missing(limit: 9) == [4...4, 6...6])
        #expect(stream.missing(limit: 1) == [4...4])
        stream.know(10)
        #expect(stream.missing(limit: 9) == [4...4, 6...6, 9...10])
        expect { stream.apply(4...6) }
        #expect(stream.position == 8)
        #expect(stream.ranges.isEmpty)
        #expect(stream.isBehind)
        stream.reach(12)
        #expect(stream.position == 12 && !stream.isBehind)
    }

    @Test func `a joiner asks for nothing before the position it has learnt (R6)`() {
        var stream = InboundStream()
        expect { stream.apply(100...110) }
        #expect(stream.missing(limit: 9).isEmpty)
        stream.reach(105)
        #expect(stream.position == 110)
        stream.hear(500)
        #expect(!stream.isBehind)
        #expect(stream.highest == 500)
    }

    @Test func `ranges equal a set of numbers under any order of arrival`() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SplitMix(seed: seed)
            var stream = InboundStream()
            stream.begin()
            var model: Set<UInt64> = []
            for _ in 0..<60 {
                let first = 1 + random.next() % 80
                let last = first + random.next() % 4
                expect { stream.apply(first...last) }
                model.formUnion(first...last)
            }
            let position = (1...200).first { !model.contains($0) }.map { $0 - 1 } ?? 0
            #expect(stream.position == position)
            for number in 1...90 as ClosedRange<UInt64> { #expect(stream.contains(number) == model.contains(number)) }
            let missing = stream.missing(limit: 100).flatMap { Array($0) }
            #expect(missing == (position + 1..<max(position + 1, model.max()!)).filter { !model.contains($0) })
        }
    }

    @Test func `one range more than the limit is not noted`() {
        var stream = InboundStream()
        stream.begin()
        for index in 1...UInt64(InboundStream.rangeLimit) { expect { stream.apply(index * 2...index * 2) } }
        expect { !stream.apply(10_000...10_000) }
        #expect(stream.ranges.count == InboundStream.rangeLimit)
        expect { stream.apply(3...3) }
    }

    @Test func `a quiet moment sends at once, a busy one waits for company`() {
        var stream = OutboundStream(capacity: 64, linger: .milliseconds(5), now: at(0))
        _ = stream.publish(.patch, did: 1, now: at(100)) { $0.put(1) }
        #expect(stream.flushAt == at(100))
        stream.flush(now: at(100)) { _ in }
        _ = stream.publish(.patch, did: 1, now: at(101)) { $0.put(1) }
        #expect(stream.flushAt == at(105))
        #expect(!stream.isDue(at(104)))
        var bodies: [(UInt64, UInt16)] = []
        stream.flush(now: at(105)) { bodies.append(($0.first, $0.count)) }
        #expect(bodies.map(\.0) == [2] && bodies.map(\.1) == [1])
    }

    @Test func `frames end at 16 KiB, number their facts in a row, and never pass 32 KiB`() {
        var stream = OutboundStream(capacity: 1_024, linger: .milliseconds(5), now: at(0))
        let record = [UInt8](repeating: 7, count: 6_000)
        for did in 1...20 as ClosedRange<UInt64> {
            expect { stream.publish(.put, did: did, now: at(1)) { $0.put(record) }.isSent }
        }
        var next: UInt64 = 1
        stream.flush(now: at(1)) { body in
            #expect(body.bytes.count <= OutboundStream.flushSize)
            #expect(body.first == next)
            next += UInt64(body.count)
        }
        #expect(next == 21)
        // Too large for any frame: numbered, not sent; the next fact begins a new frame.
        expect { !stream.publish(.put, did: 1, now: at(2)) { $0.put([UInt8](repeating: 1, count: 40_000)) }.isSent }
        expect { stream.publish(.put, did: 2, now: at(2)) { $0.put(1) }.sequence == 22 }
        var firsts: [UInt64] = []
        stream.flush(now: at(2)) { firsts.append($0.first) }
        #expect(firsts == [22])
    }

    @Test func `a burst beyond what may wait is numbered and left to repair`() {
        var stream = OutboundStream(capacity: 64, linger: .milliseconds(5), now: at(0))
        let record = [UInt8](repeating: 7, count: 16_000)
        var unsent = 0
        for did in 1...1_200 as ClosedRange<UInt64>
        where !stream.publish(.put, did: did, now: at(1), { $0.put(record) }).isSent {
            unsent += 1
        }
        #expect(stream.last == 1_200)
        var frames = 0
        stream.flush(now: at(1)) { _ in frames += 1 }
        #expect(frames <= OutboundStream.sealedLimit + 1)
        #expect(frames + unsent == 1_200)
    }

    @Test func `the ring remembers the last dids and no more`() {
        var stream = OutboundStream(capacity: 4, linger: .zero, now: at(0))
        for did in 11...16 as ClosedRange<UInt64> { _ = stream.publish(.patch, did: did, now: at(0)) { $0.put(1) } }
        #expect((0...7).map { stream.did(of: $0) } == [nil, nil, nil, 13, 14, 15, 16, nil])
    }

    @Test func `a wait is pushed at a quarter and at half, and ends once (R10)`() {
        var waits = CommitWaits(limit: 8)
        waits.insert(.init(sequence: 5, peers: 1, enough: 1, token: 50, began: at(0), timeout: .milliseconds(40)))
        var events: [CommitWaits.Event] = []
        #expect(waits.nextDeadline == at(10))
        for time in [9, 10, 15, 20, 30] as [Int64] { waits.advance(at(time)) { events.append($0) } }
        #expect(events == [.push(sequence: 5), .push(sequence: 5)])
        waits.advance(at(40)) { events.append($0) }
        #expect(events.last == .timedOut(sequence: 5, token: 50, enough: 1))
        #expect(waits.count == 0)
        waits.advance(at(99)) { events.append($0) }
        #expect(events.count == 3)
    }

    @Test func `as many as asked for must have acknowledged, or everyone whose word counts`() {
        var waits = CommitWaits(limit: 8)
        waits.insert(.init(sequence: 5, peers: 2, enough: 2, token: 50, began: at(0), timeout: .milliseconds(40)))
        waits.insert(.init(sequence: 6, peers: 1, enough: 1, token: 60, began: at(0), timeout: .milliseconds(40)))
        var done: [UInt64: Bool] = [:]
        waits.settle(acknowledged: [6, 4]) { done[$0] = $1 }
        #expect(done == [60: true])
        waits.settle(acknowledged: [6]) { done[$0] = $1 }
        #expect(done == [60: true, 50: false])
        // All are waited for, one is enough: with fewer there than were asked for, who is there decides.
        waits.insert(.init(sequence: 7, peers: 3, enough: 1, token: 70, began: at(0), timeout: .milliseconds(40)))
        waits.settle(acknowledged: [7, 7, 6]) { done[$0] = $1 }
        #expect(done[70] == nil)
        waits.settle(acknowledged: [7, 7]) { done[$0] = $1 }
        #expect(done[70] == true)
        for index in 0..<8 as Range<UInt64> {
            waits.insert(.init(sequence: index, peers: 1, enough: 1, token: index, began: at(0), timeout: .zero))
        }
        #expect(waits.isFull)
    }

    @Test func `a patch waits two seconds for its record, and no more than the limit do`() {
        var parked = ParkedPatches(limit: 2)
        let from = MemberID(name: "n2", boot: 1)
        func patch(_ did: UInt64) -> ParkedPatches.Patch {
            .init(did: did, from: from, sequence: did, bytes: [], since: at(0))
        }
        expect { parked.park(patch(1)) && parked.park(patch(2)) && !parked.park(patch(3)) }
        expect { parked.take(1).map(\.sequence) == [1] }
        expect { parked.take(1).isEmpty }
        expect { parked.expire(at(1_999)) == 0 }
        expect { parked.expire(at(2_000)) == 1 }
    }

    @Test func `the time on the way is what a frame took longer than the quickest (R8)`() {
        var offset = ClockOffset()
        expect { offset.transit(clock: 1_000, now: at(5_000)) == 0 }
        expect { offset.transit(clock: 1_100, now: at(5_130)) == 30 }
        expect { offset.transit(clock: 1_200, now: at(5_195)) == 0 }
        expect { offset.transit(clock: 1_300, now: at(15_300)) == 10_005 }
        // A clock that drifts is followed within two minutes.
        expect { offset.transit(clock: 70_000, now: at(74_200)) == 205 }
        expect { offset.transit(clock: 140_000, now: at(144_200)) == 0 }
    }
}

@Suite("Tombstones, questions, ranks")
struct LedgerTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    @Test func `a tombstone goes when a mark taken after it has passed, and the horizon is over (R5)`() {
        var ledger = TombstoneLedger(limit: 10, now: at(0))
        func advance(_ time: Int64, passes: Bool) -> [UInt64] {
            ledger.advance(
                at(time), horizon: .seconds(60), mark: { .init(at: at(time), epoch: 1, streams: []) },
                passes: { _ in passes })
        }
        expect { ledger.insert(1, now: at(100)) == nil }
        expect { advance(2_000, passes: false) == [] }
        expect { ledger.insert(2, now: at(3_000)) == nil }
        expect { advance(70_000, passes: false) == [] }
        // Both marks pass; the second one covers the second tombstone.
        expect { advance(72_000, passes: true) == [1, 2] }
        #expect(ledger.count == 0)
    }

    @Test func `at its limit the oldest goes early, and marks stop at theirs`() {
        var ledger = TombstoneLedger(limit: 2, now: at(0))
        expect { ledger.insert(1, now: at(0)) == nil }
        expect { ledger.insert(2, now: at(0)) == nil }
        expect { ledger.insert(3, now: at(0)) == 1 }
        #expect(ledger.count == 2)
        var marks = 0
        for round in 1...200 as ClosedRange<Int64> {
            _ = ledger.advance(
                at(round * 2_000), horizon: .seconds(60),
                mark: {
                    marks += 1
                    return .init(at: at(round * 2_000), epoch: 1, streams: [])
                }, passes: { _ in false })
        }
        #expect(marks == TombstoneLedger.markLimit)
    }

    @Test func `grants count while they are fresh, from members of the view, one each (R1)`() {
        var table = AskTable(limit: 1)
        let members = (1...3).map { MemberID(name: "n\($0)", boot: 1) }
        let view = View(epoch: 1, members: members)
        let intent = Intent(did: 7, generation: 0, deadlineMilliseconds: 5, payload: [])
        let answer = IntentAnswer(to: intent, from: members[0])
        expect { table.open(intent, again: at(100)) }
        expect { !table.open(Intent(did: 8, generation: 0, deadlineMilliseconds: 5, payload: []), again: at(100)) }
        expect { table.grant(answer, by: members[0], at: at(0)) }
        expect { table.grant(answer, by: members[0], at: at(1)) }
        expect { table.grant(answer, by: MemberID(name: "n9", boot: 1), at: at(1)) }
        #expect(!table.isGranted(7, by: view.members, since: at(0)))
        expect { table.grant(answer, by: members[1], at: at(2)) }
        #expect(table.isGranted(7, by: view.members, since: at(0)))
        #expect(!table.isGranted(7, by: view.members, since: at(2)))
        var other = answer
        other.deadlineMilliseconds = 6
        expect { !table.grant(other, by: members[2], at: at(3)) }
        expect { table.due(at(100), interval: .milliseconds(100)) == [intent] }
        #expect(table.nextDeadline == at(200))
        expect { table.close(7) && !table.close(7) }
        expect { table.due(at(300), interval: .milliseconds(100)).isEmpty }
    }
}
