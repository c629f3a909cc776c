// The laws of the join on generated records (Architecture, "Three ideas"; R2, R2b, R8, R16), and each rule by an
// example.

import Dialogs
import Primitives
import Testing

@Suite("Joining records")
struct RecordJoinTests {
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `joining is commutative, associative and idempotent`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        // Half of the runs without tombstones, which would hide most of the record.
        if seed.isMultiple(of: 2) { generator.states = 0...4 }
        for round in 0..<80 {
            let (a, b, c) = (generator.facts(), generator.facts(), generator.facts())
            let ab = try joined(a, b)
            try #require(try joined(b, a) == ab, "commutative, round \(round)")
            try #require(try joined(ab, c) == joined(a, joined(b, c)), "associative, round \(round)")
            try #require(try joined(ab, ab) == ab, "idempotent, round \(round)")
            try #require(try joined(ab, a, b) == ab, "absorbing, round \(round)")
            try #require(try joined(joined(a), joined(b)) == ab, "canonical first, round \(round)")
            // All in one byte string is the same as one after the other.
            try #require(try joined(b + a) == ab, "concatenation, round \(round)")
        }
    }

    @Test(arguments: 11...14 as ClosedRange<UInt64>)
    func `copying the untouched fields of a canonical record changes nothing`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        if seed.isMultiple(of: 2) { generator.states = 0...4 }
        var join = RecordJoin()
        for _ in 0..<150 {
            let (canonical, patch) = (try joined(generator.facts(), generator.facts()), generator.facts())
            var out = ByteWriter()
            out.put("kept")
            try join.join(
                RawSpan(_elements: canonical.span), RawSpan(_elements: patch.span), isCanonical: true, into: &out)
            let expected = try joined(canonical, patch)
            try #require(Array(out.bytes.dropFirst(4)) == expected)
        }
    }

    @Test(arguments: 21...24 as ClosedRange<UInt64>)
    func `a put and its patches converge in any order, lost and sent again`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        for _ in 0..<15 {
            let facts = (0..<6).map { _ in generator.facts() }
            var expected: [UInt8] = []
            for fact in facts { expected = try joined(expected, fact) }
            for _ in 0..<4 {
                var record: [UInt8] = []
                for fact in (facts + facts.prefix(3)).shuffled(using: &generator.random) {
                    record = try joined(record, fact)
                }
                #expect(record == expected)
            }
        }
    }

    private func record(_ change: (inout Record) -> Void) throws -> [UInt8] {
        var record = Record()
        change(&record)
        return try record.encoded()
    }

    private func decoded(_ bytes: [UInt8]) throws -> Record {
        try Record(RawSpan(_elements: bytes.span))
    }

    @Test func `a later deadline wins whoever set it, an explicit shortening wins over that, R2b`() throws {
        func deadline(_ generation: UInt32, _ at: UInt64) throws -> [UInt8] {
            try record {
                var deadline = RecordView.Deadline()
                deadline.generation = generation
                deadline.atMilliseconds = at
                $0.deadline = deadline
            }
        }
        let later = try decoded(joined(deadline(0, 35_229), deadline(0, 34_635)))
        #expect(later.deadline?.atMilliseconds == 35_229)
        let shortened = try decoded(joined(deadline(1, 20_000), deadline(0, 35_229)))
        #expect(shortened.deadline?.atMilliseconds == 20_000)
    }

    @Test func `an end that was asked for wins over every other deadline, whatever is beside it`() throws {
        func deadline(_ generation: UInt32, _ at: UInt64, ordinary: UInt64 = 0) throws -> [UInt8] {
            try record {
                var deadline = RecordView.Deadline()
                deadline.generation = generation
                deadline.atMilliseconds = at
                deadline.ordinaryMilliseconds = ordinary
                $0.deadline = deadline
            }
        }
        var asked = RecordView.Deadline()
        asked.generation = asked.nextGeneration | RecordView.Deadline.explicitEnd
        #expect(asked.isExplicitEnd)
        for generation: UInt32 in [0, 2, (1 << 31) - 1] {
            let other = try deadline(generation, 86_400_000, ordinary: 43_200_000)
            let end = try deadline(asked.generation, 1_000)
            for joined in try [joined(other, end), joined(end, other)] {
                #expect(try decoded(joined).deadline?.atMilliseconds == 1_000)
            }
        }
        var last = RecordView.Deadline()
        last.generation = RecordView.Deadline.explicitEnd - 1
        #expect(!last.isExplicitEnd && last.nextGeneration == last.generation)
    }

    @Test func `what a caller was promised and why it gave up stand with its INVITE, and go with it`() throws {
        func pending(_ change: (inout Record.Pending) -> Void) throws -> [UInt8] {
            try record {
                var pending = Record.Pending()
                pending.branch = Array("b".utf8)
                pending.cseq = 2
                change(&pending)
                $0.pendings = [pending]
            }
        }
        let reason = Array("Reason: SIP\r\n".utf8)
        let whole = try joined(pending { $0.sessionSeconds = 300 }, pending { $0.reason = reason })
        let found = try decoded(whole).pendings
        #expect(found.map(\.sessionSeconds) == [300] && found.map(\.reason) == [reason])
        #expect(try decoded(joined(whole, record { $0.settledCaller = 2 })).pendings.isEmpty)
    }

    @Test func `a contact follows the CSeq of the request that carried it, the first CSeq is the least`() throws {
        func side(_ cseq: UInt32, _ contact: String) throws -> [UInt8] {
            try record {
                $0.caller.cseq = cseq
                $0.caller.firstCSeq = cseq
                $0.caller.targetCSeq = cseq
                $0.caller.contact = Array(contact.utf8)
            }
        }
        let caller = try decoded(joined(side(7, "sip:new@b"), side(3, "sip:old@zzz"))).caller
        #expect(caller.cseq == 7 && caller.firstCSeq == 3 && caller.targetCSeq == 7)
        #expect(caller.contact == Array("sip:new@b".utf8))
    }

    @Test func `a removed variable stays removed until a later stamp sets it, R18`() throws {
        func variable(_ counter: UInt64, _ value: String?) throws -> [UInt8] {
            try record {
                var stamped = Record.Stamped()
                stamped.key = Array("k".utf8)
                stamped.counter = counter
                stamped.node = Array("n1".utf8)
                stamped.value = value.map { Array($0.utf8) }
                $0.variables = [stamped]
            }
        }
        #expect(try decoded(joined(variable(2, nil), variable(1, "old"))).variables.map(\.value) == [nil])
        #expect(try decoded(joined(variable(2, nil), variable(3, ""))).variables.map(\.value) == [[]])
    }

    @Test func `a tombstone keeps who it was, how it ended, its dialog-outs' states and the shifts, R16`() throws {
        let tombstone = try decoded(
            joined(
                record {
                    $0.callID = Array("c".utf8)
                    $0.fromTag = Array("f".utf8)
                    $0.inviteCSeq = 1
                    $0.from = Array("<sip:a@b>".utf8)
                    $0.caller.cseq = 4
                    $0.caller.shift = 4_096
                    $0.settledCaller = 1
                    var out = Record.Out()
                    out.toTag = Array("t".utf8)
                    out.state = .confirmed
                    out.acked = 1
                    out.side.cseq = 7
                    out.side.shift = 8_192
                    $0.outs = [out]
                },
                record {
                    $0.state = .deleted
                    $0.flags = [.byeFromCaller, .toldEnd]
                }))
        var expected = Record()
        expected.callID = Array("c".utf8)
        expected.fromTag = Array("f".utf8)
        expected.inviteCSeq = 1
        expected.state = .deleted
        expected.flags = [.byeFromCaller, .toldEnd]
        var out = Record.Out()
        out.toTag = Array("t".utf8)
        out.state = .confirmed
        out.side.shift = 8_192
        expected.outs = [out]
        expected.caller.shift = 4_096
        #expect(tombstone == expected)
    }

    @Test func `of two passes that tell of one side the deeper one counts, unless the CSeq is higher`() throws {
        func facts(_ cseq: UInt32, _ pass: SpiralPass, _ contact: String) -> [UInt8] {
            var facts = FactsWriter()
            facts.out(Array("t".utf8)) { out in
                out.side { side in
                    side.target(cSeq: cseq, pass: pass) { $0.put(.contact, Array(contact.utf8)) }
                }
            }
            return facts.bytes
        }
        let (first, second, deep) = (SpiralPass.first, SpiralPass(depth: 1, hash: .max), SpiralPass(depth: 2, hash: 0))
        let all = [facts(1, first, "z"), facts(1, second, "y"), facts(1, deep, "a")]
        for (left, right) in [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)] {
            let bytes = try joined(all[left], all[right])
            let record = try Record(RawSpan(_elements: bytes.span))
            #expect(record.outs[0].side.contact == Array(["z", "y", "a"][max(left, right)].utf8))
        }
        let last = try joined(all[2], facts(2, first, "b"))
        let later = try Record(RawSpan(_elements: last.span))
        #expect(later.outs[0].side.contact == Array("b".utf8) && later.outs[0].side.pass == .first)
    }

    @Test func `a tombstone keeps the status of the failure`() throws {
        var facts = FactsWriter()
        facts.put(.callID, Array("c".utf8))
        facts.reach(.deleted)
        facts.fail(status: 486)
        let bytes = try joined(facts.bytes, facts.bytes)
        let record = try Record(RawSpan(_elements: bytes.span))
        #expect(record.failure == 486 && record.state == .deleted)
    }

    @Test func `settled INVITEs leave no pending and no answer behind, and none comes back late`() throws {
        let late = try record {
            var pending = Record.Pending()
            pending.branch = Array("z9hG4bK1".utf8)
            pending.cseq = 5
            pending.vias = Array("Via: x\r\n".utf8)
            $0.pendings = [pending]
            var other = pending
            other.leg = .callee
            $0.pendings.append(other)
            var out = Record.Out()
            out.toTag = Array("t".utf8)
            out.answer = Array("SIP/2.0 200 OK\r\n\r\n".utf8)
            $0.outs = [out]
        }
        let settled = try record {
            $0.inviteCSeq = 5
            $0.settledCaller = 5
        }
        let result = try decoded(joined(settled, late))
        #expect(result.pendings.map(\.leg) == [.callee])
        #expect(result.outs.map(\.answer) == [[]])
    }
}
