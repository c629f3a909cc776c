// The bounds of the cluster's lists and messages, those that no other test goes to.

import Primitives
import Testing

@testable import Cluster

@Suite("Bounds of the cluster")
struct BoundTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    private func written(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        body(&writer)
        return writer.bytes
    }

    @Test func `a peer is asked for so many records and ages, and given so many pushes, and no more`() {
        var peer = Peer(MemberID(name: "n2", boot: 1), salt: Salt(high: 1, low: 2), now: at(0))
        for number in 0..<UInt64(FetchRequest.limit) { expect { peer.want(did: number) } }
        expect { peer.want(did: 7) }  // It is wanted already.
        expect { !peer.want(did: 9_999) }
        for number in 0..<UInt64(Peer.pushLimit) { expect { peer.want(push: number) } }
        expect { peer.want(push: 7) }
        expect { !peer.want(push: 9_999) }
        for number in 0..<UInt64(Peer.agedLimit) { expect { peer.noteAge(of: number) } }
        expect { !peer.noteAge(of: 9_999) }
        peer.distrustAges()
        expect { peer.noteAge(of: 1) }
        #expect(peer.misaged.count == Peer.agedLimit)
    }

    @Test func `the ages that a peer told are asked of another when it is gone, unless its clock was known`() {
        for (roundTrip, isKnown) in [(nil, false), (100, true), (101, false)] as [(Int64?, Bool)] {
            var peer = Peer(MemberID(name: "n2", boot: 1), salt: Salt(high: 1, low: 2), now: at(0))
            expect { peer.noteAge(of: 1) && peer.noteAge(of: 2) }
            if let roundTrip { peer.noteRoundTrip(.milliseconds(roundTrip)) }
            expect { peer.noteAge(of: 3) }
            #expect(peer.takeMisaged() == (isKnown ? [] : [1, 2, 3]))
            #expect(peer.takeMisaged().isEmpty, "once")
        }
    }

    @Test func `what an answer that ended at its bound has left out is asked for again, ages as ages`() {
        var peer = Peer(MemberID(name: "n2", boot: 1), salt: Salt(high: 1, low: 2), now: at(0))
        for did in [1, 2, 3, 4] as [UInt64] { expect { peer.noteAge(of: did) } }
        peer.distrustAges()
        peer.wantMisaged()
        expect { peer.want(did: 9) }
        expect { peer.takeAsked() == [1, 2, 3, 4, 9] }
        peer.noteAnswered(2)  // 1 is known to it no more, or it would have come before.
        peer.endAsking(answeredBy: peer.id, isCut: true)
        #expect(peer.misaged == [3, 4] && peer.wants.dids == [9])
        peer.wantMisaged()
        expect { peer.takeAsked() == [9] }
        peer.endAsking(answeredBy: peer.id, isCut: false)
        peer.wantMisaged()
        expect { peer.takeAsked() == [3, 4] }
        peer.endAsking(answeredBy: peer.id, isCut: false)
        #expect(peer.misaged.isEmpty && peer.wants.dids.isEmpty, "a whole answer says all that is known")
    }

    @Test func `ages are asked for again when another process of the peer's name has answered, or nobody`() {
        let id = MemberID(name: "n2", boot: 1)
        for answerer in [nil, MemberID(name: "n2", boot: 2), id] {
            var peer = Peer(id, salt: Salt(high: 1, low: 2), now: at(0))
            expect { peer.noteAge(of: 1) }
            peer.distrustAges()
            peer.wantMisaged()
            expect { peer.takeAsked() == [1] }
            peer.endAsking(answeredBy: answerer)
            #expect(peer.takeMisaged() == (answerer == id ? [] : [1]))
        }
    }

    @Test func `questions at the limit are not asked, and no more than 256 are asked again in a turn`() {
        var table = AskTable(limit: 600)
        func intent(_ did: UInt64) -> Intent { Intent(did: did, generation: 0, deadlineMilliseconds: 5, payload: []) }
        for did in 0..<600 as Range<UInt64> { expect { table.open(intent(did), again: at(100)) } }
        expect { !table.open(intent(600), again: at(100)) }
        expect { table.open(intent(0), again: at(100)) }  // In place of its first.
        expect { table.due(at(100), interval: .milliseconds(100)).count == AgainQueue.turnLimit }
        expect { table.due(at(100), interval: .milliseconds(100)).count == AgainQueue.turnLimit }
    }

    @Test func `questions of heirs at the limit end at once, and no more than 256 are asked again in a turn`() {
        var table = QuestionTable(limit: 600)
        for did in 0..<600 as Range<UInt64> { _ = table.ask(did, now: at(0), again: at(100)) }
        #expect(table.isFull)
        _ = table.ask(0, now: at(0), again: at(100))  // In place of its first.
        #expect(table.count == 600)
        expect { table.due(at(100), interval: .milliseconds(100)).count == AgainQueue.turnLimit }
        expect { table.due(at(100), interval: .milliseconds(100)).count == AgainQueue.turnLimit }
        let net = Net(2, seed: 1) { $0.askLimit = 1 }
        expect { net.start() }
        let now = net.now
        for did in [1, 2] as [UInt64] {
            net.act(0) { cluster, store, out in cluster.question(did, store: store, now: now, out: &out) }
        }
        #expect(net.processes[0].questioned == [2] && net.processes[0].cluster.counters.questionsRefused == 1)
    }

    @Test func `of dialogs that heirs asked about the first is forgotten at the limit, counted, each in its time`() {
        var asked = AskedDialogs(limit: 3)
        let heir = MemberID(name: "n1", boot: 1)
        func note(_ did: UInt64, by member: MemberID, at time: Int64) -> Bool {
            asked.note(Question(did: did, number: did, digest: 0), by: member, now: at(time))
        }
        for did in 1...3 as ClosedRange<UInt64> { expect { note(did, by: heir, at: 0) } }
        expect { note(1, by: heir, at: 1) }  // Once more is not one more.
        expect { !note(4, by: heir, at: 2) && asked.count == 3 && !asked.contains(1) }
        for other in 0..<UInt64(AskedDialogs.askerLimit) {
            expect { note(4, by: MemberID(name: "n2", boot: other), at: 3) }
        }
        asked.changed(4, unheardBy: [heir] + (0..<9).map { MemberID(name: "n2", boot: $0) })
        asked.changed(9, unheardBy: [heir])
        expect { asked.takeDue().map(\.askers.count) == [AskedDialogs.askerLimit] && !asked.hasDue }
        asked.expire(at(5_001))
        #expect(asked.count == 1, "the one that was asked about again since")
        asked.expire(at(10_003))
        #expect(asked.isEmpty)
        let net = Net(2, seed: 1) { $0.askLimit = 1 }
        expect { net.start() }
        for did in [1, 2] as [UInt64] {
            let now = net.now
            net.act(0) { cluster, store, out in cluster.question(did, store: store, now: now, out: &out) }
            net.run(milliseconds: 300)
        }
        #expect(net.processes[1].cluster.counters.questionsForgotten == 1)
    }

    @Test func `no more than 256 tombstones are forgotten in a turn, the rest soon after`() {
        var ledger = TombstoneLedger(limit: 1_000, now: at(0))
        for did in 0..<600 as Range<UInt64> { expect { ledger.insert(did, now: at(0)) == nil } }
        func advance(_ time: Int64) -> Int {
            ledger.advance(
                at(time), horizon: .seconds(60), mark: { .init(at: at(1), epoch: 1, streams: []) },
                passes: { _ in true }
            ).count
        }
        expect { advance(61_000) == TombstoneLedger.turnLimit }
        #expect(ledger.nextDeadline == at(61_010))
        expect { advance(61_010) == TombstoneLedger.turnLimit }
        expect { advance(61_020) == 600 - 2 * TombstoneLedger.turnLimit }
    }

    @Test func `a list on the wire is read up to its limit, and one entry more makes it malformed`() throws {
        let position = Position(member: MemberID(name: "n1", boot: 1), position: 1, known: 1)
        for (count, isRead) in [(Position.limit, true), (Position.limit + 1, false)] {
            let bytes = written { Position.write(Array(repeating: position, count: count), into: &$0) }
            #expect(((try? Position.readAll(bytes, bytes.indices)) != nil) == isRead)
        }
        for (count, isRead) in [(RepairRequest.rangeLimit, true), (RepairRequest.rangeLimit + 1, false)] {
            let bytes = written {
                RepairRequest(boot: 1, ranges: Array(repeating: 1...2, count: count)).write(into: &$0)
            }
            #expect(((try? RepairRequest(bytes, bytes.indices)) != nil) == isRead)
        }
        for (count, isRead) in [(FetchRequest.limit, true), (FetchRequest.limit + 1, false)] {
            let bytes = written { FetchRequest.write(Array(repeating: 1, count: count), into: &$0) }
            #expect(((try? FetchRequest.read(bytes, bytes.indices)) != nil) == isRead)
        }
        for (count, isRead) in [(SyncRequest.bucketLimit, true), (SyncRequest.bucketLimit + 1, false)] {
            var request = SyncRequest()
            request.digests = Array(repeating: 1, count: count)
            request.skipped = Array(repeating: false, count: count)
            let bytes = written { request.write(into: &$0) }
            #expect(((try? SyncRequest(bytes, bytes.indices)) != nil) == isRead)
        }
        for (count, isRead) in [(Heartbeat.limit, true), (Heartbeat.limit + 1, false)] {
            var beat = Heartbeat()
            beat.addresses = Array(repeating: "10.0.0.1:5060", count: count)
            let bytes = written { beat.write(into: &$0) }
            #expect(((try? Heartbeat(bytes, bytes.indices)) != nil) == isRead)
        }
    }

    @Test func `a record, an intent or a name on the wire is as long as its limit, and no longer`() {
        for (count, isRead) in [(RecordItem.recordLimit, true), (RecordItem.recordLimit + 1, false)] {
            let record = [UInt8](repeating: 1, count: count)
            let bytes = written {
                RecordItem.write(did: 1, age: 1, record: RawSpan(_elements: record.span), into: &$0)
            }
            #expect(((try? RecordItem(bytes, bytes.indices)) != nil) == isRead)
        }
        for (count, isRead) in [(Intent.payloadLimit, true), (Intent.payloadLimit + 1, false)] {
            let payload = [UInt8](repeating: 1, count: count)
            let intent = Intent(did: 1, generation: 1, deadlineMilliseconds: 1, payload: payload)
            let bytes = written { intent.write(into: &$0) }
            #expect(((try? Intent(bytes, bytes.indices)) != nil) == isRead)
        }
        for (count, isRead) in [(ClusterSettings.nameLimit, true), (ClusterSettings.nameLimit + 1, false)] {
            var header = WireTests.header
            header.sender.name = String(repeating: "n", count: count)
            let bytes = written { header.write(into: &$0) }
            var reader = WireReader(bytes)
            #expect(((try? FrameHeader.read(&reader)) != nil) == isRead)
        }
    }

    @Test func `processes beyond the limit are not admitted, counted and noted once`() {
        let net = Net(2, seed: 31) { $0.memberLimit = 2 }
        #expect(net.start())
        let stranger = FrameHeader(
            mark: net.processes[0].cluster.mark, sender: MemberID(name: "n9", boot: 1), clock: 1,
            salt: Salt(high: 9, low: 9), lane: .published, first: 1, count: 0)
        let bytes = written { stranger.write(into: &$0) }
        for _ in 0..<2 {
            net.act(0) { [now = net.now] cluster, store, out in
                cluster.receive(frame: RawSpan(_elements: bytes.span), store: &store, now: now, out: &out)
            }
        }
        #expect(net.processes[0].cluster.counters.tooManyMembers == 2)
        #expect(net.processes[0].notes.count { $0 == .tooManyMembers } == 1)
        #expect(net.processes[0].cluster.members(now: net.now).count == 2)
    }

    @Test func `at its limit a commit is answered at once, uncommitted and counted`() {
        let net = Net(2, seed: 32) { $0.waitLimit = 1 }
        #expect(net.start())
        net.run(milliseconds: 30)
        net.partition([0])
        let sequence = net.put(0, 1, 1)
        net.wait(0, for: sequence, token: 1)
        net.wait(0, for: sequence, token: 2)
        #expect(net.processes[0].committed.map(\.token) == [2])
        #expect(net.processes[0].committed.allSatisfy { !$0.acknowledged })
        #expect(net.processes[0].cluster.counters.waitsRefused == 1)
    }
}
