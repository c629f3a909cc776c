// RecordView and Record read the same things of the same bytes.

import Dialogs
import Primitives
import Testing

@Suite("Reading records")
struct RecordViewTests {
    @Test(arguments: 41...44 as ClosedRange<UInt64>)
    func `a record that was decoded and encoded again is the same record`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        generator.unknownNumbers = []
        generator.states = 0...4
        for _ in 0..<150 {
            let bytes = try joined(generator.facts(), generator.facts())
            let record = try Record(RawSpan(_elements: bytes.span))
            try #require(try record.encoded() == bytes)
        }
    }

    @Test func `a view finds each part in a buffer that holds other things too`() throws {
        var facts = FactsWriter()
        facts.put(RecordField.callID, Array("c".utf8))
        facts.message(RecordField.home) {
            $0.put(HomeField.name, Array("n1".utf8))
            $0.putFixed(HomeField.boot, 77)
            $0.put(HomeField.sentBy, Array("10.0.0.1:5060".utf8))
        }
        for (tag, state) in [("a", 2), ("b", 4), ("d", 5)] as [(String, UInt64)] {
            facts.message(RecordField.outs) {
                $0.put(OutField.toTag, Array(tag.utf8))
                $0.put(OutField.state, state)
                $0.message(OutField.side) { side in
                    side.message(SideField.target) { $0.put(TargetField.contact, Array("sip:\(tag)".utf8)) }
                }
            }
        }
        facts.message(RecordField.pendings) {
            $0.put(PendingField.branch, Array("z9".utf8))
            $0.put(PendingField.cseq, 3)
            $0.put(PendingField.progress, PendingProgress.provisional | PendingProgress.cancelSeen)
        }
        facts.message(RecordField.profiles) { $0.put(StampedField.key, Array("p".utf8)) }
        let record = try joined(facts.bytes)
        let buffer = Array("before".utf8) + record + Array("after".utf8)
        let view = RecordView(buffer, ByteRange(start: 6, end: 6 + record.count))
        let home = view.homeParts(in: buffer)
        #expect(Text.string(buffer, home.name) == "n1" && home.boot == 77)
        #expect(Text.string(buffer, home.sentBy) == "10.0.0.1:5060")
        #expect(view.outCount == 3 && view.pendingCount == 1)
        let main = try #require(view.mainOut(in: buffer))
        #expect(Text.string(buffer, main.side.contact) == "sip:b" && main.state == .confirmed)
        let tag = Token("d")
        #expect(view.out(toTag: tag.bytes, tag.range, in: buffer)?.state == .deleted)
        let branch = Token("z9")
        let pending = try #require(view.pending(branch: branch.bytes, branch.range, in: buffer))
        #expect(pending.cseq == 3 && pending.progress == 5 && pending.leg == .caller)
        var keys: [String] = []
        view.forEachProfile(in: buffer) { keys.append(Text.string(buffer, $0.key) + ($0.value == nil ? "-" : "+")) }
        #expect(keys == ["p-"])
    }
}
