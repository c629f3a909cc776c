// The table: what learning does to counts, digests, births and deadlines, at its limit, and over many lives of its
// slots.

import Dialogs
import Primitives
import Testing

@Suite("Dialog table")
struct DialogTableTests {
    @Test func `a put creates, a patch changes, what is known changes nothing`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        let created = try table.learn(did, invite("c", from: "f"), at: 10)
        #expect(
            created == .init(outcome: .created, before: nil, after: .unconfirmed, deadlineChanged: false))
        let changed = try table.learn(did, patch(state: .confirmed, to: "t", deadline: 5_000), at: 20)
        #expect(
            changed == .init(outcome: .changed, before: .unconfirmed, after: .confirmed, deadlineChanged: true))
        let same = try table.learn(did, patch(state: .early, to: "t"), at: 30)
        #expect(same == .init(outcome: .unchanged, before: .confirmed, after: .confirmed, deadlineChanged: false))
        #expect(table.changedAt(did) == Instant.zero.advanced(milliseconds: 20))
        #expect(table.deadline(did) == Instant.zero.advanced(milliseconds: 5_010))
        #expect(table.state(did) == .confirmed && table.count(in: .confirmed) == 1 && table.live == 1)
        #expect(table.record(did)?.callID == Array("c".utf8))
        #expect(table.view(did) { view, bytes in Text.string(bytes, view.callID) } == "c")
    }

    @Test func `a patch to a record that is not here is asked for, not kept, R2`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        #expect(try table.learn(did, patch(state: .early)).outcome == .unknownRecord)
        #expect(table.count == 0 && !table.contains(did) && table.counters.unknownRecords == 1)
    }

    @Test func `facts about another dialog's Call-ID or tag are counted and not joined, R16`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        _ = try table.learn(did, invite("c", from: "f"))
        let before = table.bytes(did)
        #expect(try table.learn(did, invite("zz", from: "f")).outcome == .mismatch)
        #expect(try table.learn(did, invite("c", from: "zz")).outcome == .mismatch)
        #expect(table.bytes(did) == before && table.counters.mismatches == 2)
        #expect(throws: RecordError.truncated) { try table.learn(did, [0x0a, 0x09]) }
        #expect(table.bytes(did) == before && table.counters.malformed == 1)
    }

    @Test func `the earlier birth wins, so no copy makes a dialog younger, R8`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        let put = invite("c", from: "f") + patch(state: .confirmed, deadline: 1_000)
        _ = try table.learn(did, put, age: .milliseconds(300), at: 500)
        #expect(table.birth(did) == Instant.zero.advanced(milliseconds: 200))
        let younger = try table.learn(did, put, age: .milliseconds(100), at: 600)
        #expect(younger.outcome == .unchanged && !younger.deadlineChanged)
        let older = try table.learn(did, put, age: .milliseconds(650), at: 700)
        #expect(older.outcome == .unchanged && older.deadlineChanged)
        #expect(older.isOlder, "by 150 ms: whoever has it from here has it wrong, too")
        #expect(!(try table.learn(did, put, age: .milliseconds(850), at: 801).isOlder), "no more than frames take")
        #expect(table.deadline(did) == Instant.zero.advanced(milliseconds: 951))
        #expect(table.age(did, now: Instant.zero.advanced(milliseconds: 60)) == .milliseconds(109))
        #expect(table.changedAt(did) == Instant.zero.advanced(milliseconds: 500))
        // An age that a peer invents neither traps nor makes a dialog of the future.
        _ = try table.learn(did, put, age: .seconds(Int64.max), at: 800)
        _ = try table.learn(did, put, age: .seconds(-5), at: 800)
        #expect(table.birth(did) == Instant(nanoseconds: .min + 800_000_000))
    }

    @Test func `a deadline that was written by too small an age is told as the moment that it was, R8`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        let put = invite("c", from: "f")
        _ = try table.learn(did, put, age: .zero, at: 1_000)
        _ = try table.learn(did, patch(state: .confirmed, deadline: 5_000, generation: 1), at: 1_100)
        // A peer has known the dialog for half a second longer.
        let older = try table.learn(did, put, age: .milliseconds(700), isPeers: true, at: 1_200)
        #expect(older.isOlder && older.misdated?.atMilliseconds == 5_500)
        #expect(table.deadline(did) == Instant.zero.advanced(milliseconds: 5_500), "half a second too early")
        // What a peer wrote counts from the true birth.
        var replica = makeTable()
        let known = put + patch(state: .confirmed, deadline: 5_000, generation: 1)
        for age in [0, 700] as [Int64] {
            let learned = try replica.learn(did, known, age: .milliseconds(age), isPeers: true, at: 1_200)
            #expect(learned.misdated == nil)
        }
    }

    @Test func `a promise that a record had no need of, by too small an age, is kept when the age is known, R8`() throws
    {
        var table = makeTable()
        let did = table.did("c", from: "f")
        let known = invite("c", from: "f") + patch(state: .confirmed, deadline: 8_000, generation: 1)
        _ = try table.learn(did, known, age: .zero, isPeers: true, at: 1_000)
        // Four seconds from now on, which is less than the record says, if the dialog is as young as it seems.
        let lesser = patch(state: .confirmed, deadline: 4_100, generation: 1)
        #expect(try table.learn(did, lesser, at: 1_100).outcome == .unchanged)
        let older = try table.learn(did, known, age: .milliseconds(7_200), isPeers: true, at: 1_200)
        #expect(older.isOlder && older.misdated?.atMilliseconds == 11_100, "the moment that the phones were told")
        #expect(table.deadline(did) == Instant.zero.advanced(milliseconds: 2_000), "and not this one")
    }

    @Test func `a record that another home began later is told how old its dialog is`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        func put(_ home: String) -> [UInt8] {
            var facts = FactsWriter()
            facts.home(name: Array(home.utf8), boot: 1, sentBy: [])
            return invite("c", from: "f") + facts.bytes
        }
        func learn(_ home: String, age: Int64) throws -> DialogTable.Learned {
            try table.learn(did, put(home), age: .milliseconds(age), isPeers: true, at: 1_000)
        }
        #expect(!(try learn("n1", age: 500).isBegunAgain))
        #expect(!(try learn("n1", age: 0).isBegunAgain), "a frame that has waited tells this as well")
        #expect(!(try learn("n2", age: 450).isBegunAgain), "no more than frames take")
        #expect(try learn("n2", age: 100).isBegunAgain)
    }

    @Test func `a record that was answered here and never made elsewhere is kept aside for whoever pays its end, R15`()
        throws
    {
        func end(_ flags: RecordFlags) -> [UInt8] {
            var facts = FactsWriter()
            facts.reach(.deleted)
            facts.raise(flags)
            return facts.bytes
        }
        let rows: [(state: DialogState, flags: RecordFlags, isPeers: Bool, isOwed: Bool)] = [
            (.confirmed, .failed, true, true), (.confirmedNotAcknowledged, [.failed, .cancelled], true, true),
            // Nobody has said anything: the caller may have hung up with one of two callees.
            (.confirmed, [], true, false),
            (.early, .failed, true, false), (.confirmed, .failed, false, false), (.confirmed, .timedOut, true, false),
            (.confirmed, .byeFromCaller, true, false), (.confirmed, .endedByOperator, true, false),
            (.confirmed, .cancelled, true, false),
        ]
        for row in rows {
            var table = makeTable()
            let did = table.did("c", from: "f")
            _ = try table.learn(did, invite("c", from: "f"))
            _ = try table.learn(did, patch(state: row.state, to: "t"))
            _ = try table.learn(did, end(row.flags), isPeers: row.isPeers)
            _ = try table.learn(did, end(row.flags), isPeers: row.isPeers)
            let unpaid = table.takeUnpaid()
            #expect(unpaid.map(\.did) == (row.isOwed ? [did] : []), "\(row)")
            #expect(unpaid.first.map { $0.record.outs.map(\.state) } == (row.isOwed ? [row.state] : nil), "\(row)")
            #expect(table.takeUnpaid().isEmpty)
        }
    }

    @Test func `of 2xx that do not fit beside each other every replica keeps the same`() throws {
        func answer(_ tag: String, _ size: Int) -> [UInt8] {
            var facts = FactsWriter()
            facts.out(Array(tag.utf8)) { out in
                out.reach(.confirmedNotAcknowledged)
                out.put(.answer, [UInt8](repeating: 0x61, count: size))
            }
            return facts.bytes
        }
        let answers = [answer("t1", 57_000), answer("t2", 57_000), answer("t3", 9_000)]
        var records: [[UInt8]] = []
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            var table = makeTable()
            let did = table.did("c", from: "f")
            _ = try table.learn(did, invite("c", from: "f"))
            for index in order {
                let learned = try table.learn(did, answers[index], isPeers: true)
                #expect(learned.outcome == .changed, "what a peer has acknowledged is here")
            }
            // As peers join what differs.
            for index in order {
                _ = try table.learn(did, answers[index], isPeers: true)
            }
            let record = try #require(table.record(did))
            #expect(record.outs.map(\.state) == Array(repeating: .confirmedNotAcknowledged, count: 3))
            #expect(record.outs.map(\.answer.count) == [57_000, 0, 9_000])
            #expect(table.counters.answersLeftOut > 0 && table.counters.full == 0)
            records.append(table.bytes(did)!)
        }
        #expect(Set(records).count == 1)
    }

    @Test func `at the limit a new record is refused and the old ones go on`() throws {
        var table = makeTable(limit: 3)
        for index in 0..<3 {
            _ = try table.learn(table.did("c\(index)", from: "f"), invite("c\(index)", from: "f"))
        }
        let fourth = table.did("c3", from: "f")
        #expect(throws: RecordError.tableFull(limit: 3)) { try table.learn(fourth, invite("c3", from: "f")) }
        #expect(table.count == 3 && table.counters.refusedAtLimit == 1 && !table.contains(fourth))
        let first = table.did("c0", from: "f")
        #expect(try table.learn(first, patch(state: .early)).outcome == .changed)
        table.remove(first)
        #expect(try table.learn(fourth, invite("c3", from: "f")).outcome == .created)
    }

    @Test func `digests depend on what is known of live records, not on order, time or tombstones`() throws {
        var (left, right) = (makeTable(), makeTable())
        let calls = (0..<20).map { "call\($0)" }
        for call in calls { _ = try left.learn(left.did(call, from: "f"), invite(call, from: "f"), at: 5) }
        for call in calls.reversed() { _ = try right.learn(right.did(call, from: "f"), invite(call, from: "f"), at: 9) }
        #expect(left.rootDigest == right.rootDigest && left.rootDigest != 0)
        let did = left.did("call7", from: "f")
        _ = try left.learn(did, patch(state: .early, to: "t"))
        let bucket = left.bucket(of: did)
        #expect(left.rootDigest != right.rootDigest && left.digest(bucket: bucket) != right.digest(bucket: bucket))
        _ = try right.learn(did, patch(state: .early, to: "t"))
        #expect((0..<16).allSatisfy { left.digest(bucket: $0) == right.digest(bucket: $0) })
        // One has the tombstone, the other has forgotten it.
        _ = try left.learn(did, patch(state: .deleted))
        right.remove(did)
        #expect(left.rootDigest == right.rootDigest && left.live == right.live && left.count == right.count + 1)
        #expect(left.dids(inBucket: bucket).contains(did) && !right.dids(inBucket: bucket).contains(did))
        #expect(left.digest(bucket: -1) == 0 && left.dids(inBucket: 16) == [])
    }

    @Test func `buckets list their dids in order, and the cursor visits every record once`() throws {
        var table = makeTable(buckets: 4)
        var dids: [DialogID] = []
        for index in 0..<60 {
            let did = table.did("c\(index)", from: "f")
            _ = try table.learn(did, invite("c\(index)", from: "f"))
            dids.append(did)
        }
        for did in dids.prefix(30) where did.rawValue.isMultiple(of: 3) { table.remove(did) }
        dids.removeAll { !table.contains($0) }
        let listed = (0..<4).map { table.dids(inBucket: $0) }
        #expect(listed.allSatisfy { $0 == $0.sorted() } && listed.flatMap(\.self).sorted() == dids.sorted())
        var visited: [DialogID] = []
        var cursor: UInt32?
        while let next = table.next(after: cursor) {
            visited.append(next.did)
            #expect(table.slot(next.did) == next.slot)
            cursor = next.slot
        }
        #expect(visited.sorted() == dids.sorted())
    }

    @Test func `a dialog has one wake-up, and none after it is gone`() throws {
        var table = makeTable()
        let dids = (0..<4).map { table.did("c\($0)", from: "f") }
        for (index, did) in dids.enumerated() {
            _ = try table.learn(did, invite("c\(index)", from: "f"))
            table.setTimer(did, at: Instant.zero.advanced(milliseconds: 100))
        }
        table.setTimer(dids[0], at: Instant.zero.advanced(milliseconds: 50))
        table.setTimer(dids[1], at: nil)
        table.remove(dids[2])
        #expect(table.nextTimer == Instant.zero.advanced(milliseconds: 50))
        var due: [DialogID] = []
        table.due(now: Instant.zero.advanced(milliseconds: 200), into: &due)
        #expect(due == [dids[0], dids[3]])
        table.due(now: Instant.zero.advanced(milliseconds: 900), into: &due)
        #expect(due.count == 2 && table.nextTimer == nil)
        table.setTimer(dids[2], at: .zero)
        #expect(table.nextTimer == nil)
    }

    @Test func `thousands of calls leave nothing behind: counts, digests, memory`() throws {
        var table = makeTable(limit: 300)
        var random = SplitMix(seed: 5)
        var alive: [String] = []
        var peak = 0
        for round in 0..<2_500 {
            let call = "call-\(round)@host"
            let did = table.did(call, from: "f")
            let extra = Int.random(in: 0...1_500, using: &random)
            _ = try table.learn(did, invite(call, from: "f", extra: extra), at: Int64(round))
            _ = try table.learn(did, patch(state: .early, to: "t"), at: Int64(round))
            _ = try table.learn(did, patch(state: .confirmed, to: "t", deadline: 99), at: Int64(round))
            table.setTimer(did, at: Instant.zero.advanced(milliseconds: Int64(round) + 5_000))
            alive.append(call)
            if alive.count == 200 {
                let gone = alive.remove(at: Int.random(in: 0..<200, using: &random))
                let did = table.did(gone, from: "f")
                _ = try table.learn(did, patch(state: .deleted), at: Int64(round))
                table.remove(did)
            }
            if round == 1_000 { peak = table.blobByteCount }
        }
        #expect(table.count == 199 && table.count(in: .confirmed) == 199)
        #expect(table.blobByteCount < peak + peak / 2)
        for call in alive { table.remove(table.did(call, from: "f")) }
        #expect(table.count == 0 && table.live == 0 && table.rootDigest == 0 && table.blobByteCount == 0)
        #expect(DialogState.allCases.allSatisfy { table.count(in: $0) == 0 })
        #expect((0..<16).allSatisfy { table.digest(bucket: $0) == 0 && table.dids(inBucket: $0).isEmpty })
        #expect(table.nextTimer == nil && table.next(after: nil) == nil)
    }
}
