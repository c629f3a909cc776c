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
        facts.put(.callID, Array("c".utf8))
        facts.home(name: Array("n1".utf8), boot: 77, sentBy: Array("10.0.0.1:5060".utf8))
        for (tag, state) in [("a", .early), ("b", .confirmed), ("d", .deleted)] as [(String, DialogState)] {
            facts.out(Array(tag.utf8)) { out in
                out.reach(state)
                out.side { side in
                    side.target { $0.put(.contact, Array("sip:\(tag)".utf8)) }
                }
            }
        }
        let branch = Token("z9")
        facts.pending(.caller, cSeq: 3, branch.bytes, branch.range) { $0.mark([.provisional, .cancelled]) }
        facts.message(.profiles) { (profile: inout FieldWriter<StampedField>) in profile.put(.key, Array("p".utf8)) }
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
        let pending = try #require(view.pending(branch: branch.bytes, branch.range, in: buffer))
        #expect(pending.cseq == 3 && pending.progress == [.provisional, .cancelled] && pending.leg == .caller)
        var keys: [String] = []
        view.forEachProfile(in: buffer) { keys.append(Text.string(buffer, $0.key) + ($0.value == nil ? "-" : "+")) }
        #expect(keys == ["p-"])
    }
}
