// The short way of the join beside the long one: the same bytes, the same errors, the same of what the table mirrors.

import Dialogs
import Primitives
import Testing

@Suite("Joining facts in order")
struct OrderedJoinTests {
    private enum Outcome: Equatable {
        case joined([UInt8])
        case refused(RecordError)
    }

    private func outcome(_ body: (inout ByteWriter) throws(RecordError) -> Void) -> Outcome {
        var out = ByteWriter()
        do throws(RecordError) {
            try body(&out)
            return .joined(out.bytes)
        } catch {
            return .refused(error)
        }
    }

    /// Both ways; a record is not empty, so the second is the long one.
    private func compare(_ record: [UInt8], _ facts: [UInt8], _ join: inout RecordJoin) -> (Outcome, Outcome) {
        let short = outcome { out throws(RecordError) in
            try join.join(
                RawSpan(_elements: record.span), RawSpan(_elements: facts.span), isCanonical: true, into: &out)
        }
        let long = outcome { out throws(RecordError) in
            try RecordJoin.join(RawSpan(_elements: record.span), RawSpan(_elements: facts.span), into: &out)
        }
        return (short, long)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `facts in order are joined the short way as the long way would`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        if seed.isMultiple(of: 2) { generator.states = 0...4 }
        var join = RecordJoin()
        var ordered = 0
        for round in 0..<200 {
            let record = try joined(generator.facts(), generator.facts())
            let facts = try joined(generator.facts())
            guard !record.isEmpty else { continue }
            let (short, long) = compare(record, facts, &join)
            ordered += join.wasOrdered ? 1 : 0
            try #require(short == long, "round \(round)")
        }
        #expect(ordered > 60, "so many of 200 went the short way")
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `facts with a wrong byte are joined, or refused, as the long way would`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        if seed.isMultiple(of: 2) { generator.states = 0...4 }
        var join = RecordJoin()
        var (ordered, refused) = (0, 0)
        for round in 0..<300 {
            let record = try joined(generator.facts(), generator.facts())
            var facts = try joined(generator.facts())
            guard !record.isEmpty, !facts.isEmpty else { continue }
            let place = Int.random(in: 0..<facts.count, using: &generator.random)
            facts[place] = UInt8.random(in: 0...255, using: &generator.random)
            let (short, long) = compare(record, facts, &join)
            ordered += join.wasOrdered ? 1 : 0
            if case .refused = long { refused += 1 }
            try #require(short == long, "round \(round)")
        }
        #expect(ordered > 30 && refused > 30, "\(ordered) went the short way, \(refused) were refused")
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `a table mirrors of a record what it holds, whichever way it came`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        if seed.isMultiple(of: 2) { generator.states = 0...4 }
        for _ in 0..<60 {
            var table = DialogTable(buckets: 4, hash: KeyedHash(key0: 1, key1: 2), limit: 4)
            let did = DialogID(rawValue: 7)
            var begin = FactsWriter()
            begin.put(.callID, Array("c".utf8))
            begin.put(.fromTag, Array("f".utf8))
            _ = try table.learn(did, facts: RawSpan(_elements: begin.bytes.span), age: .zero, now: .zero)
            for _ in 0..<3 {
                let facts = try joined(generator.facts())
                // Most are another dialog's: what names it is left out.
                var record = try Record(RawSpan(_elements: facts.span))
                (record.callID, record.fromTag) = ([], [])
                let patch = try record.encoded()
                _ = try table.learn(did, facts: RawSpan(_elements: patch.span), age: nil, now: .zero)
            }
            let found = table.look(did) { glance, view, bytes in
                (
                    glance.state == view.state, glance.flags == view.flags,
                    glance.isPending == (view.pendingCount > 0 && view.state != .deleted)
                )
            }
            let (state, flags, pendings) = try #require(found)
            #expect(state && flags && pendings)
        }
    }

    @Test func `what a tombstone and a settled INVITE no longer have is dropped the short way`() throws {
        func record(_ change: (inout Record) -> Void) throws -> [UInt8] {
            var record = Record()
            record.callID = Array("c".utf8)
            record.from = Array("<sip:a@b>".utf8)
            record.caller.cseq = 4
            record.caller.shift = 4_096
            var pending = Record.Pending()
            pending.branch = Array("z9hG4bK1".utf8)
            pending.cseq = 5
            record.pendings = [pending]
            var out = Record.Out()
            out.toTag = Array("t".utf8)
            out.answer = Array(repeating: 65, count: 300)
            out.side.contact = Array("sip:x".utf8)
            record.outs = [out]
            change(&record)
            return try record.encoded()
        }
        var join = RecordJoin()
        let live = try record { _ in }
        var ends: [[UInt8]] = []
        var facts = FactsWriter()
        facts.settle(.caller, cSeq: 5)
        ends.append(facts.bytes)
        facts.begin()
        facts.reach(.deleted)
        ends.append(facts.bytes)
        facts.raise(.toldEnd)
        ends.append(facts.bytes)
        for end in ends {
            let (short, long) = compare(live, end, &join)
            #expect(join.wasOrdered && short == long)
        }
    }
}
