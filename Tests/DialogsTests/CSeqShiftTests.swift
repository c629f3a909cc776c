// The room that a request of the cluster's has among those of a phone, and the wish for one, as it stands in a record.

import Dialogs
import Primitives
import Testing

@Suite("CSeqs that are moved")
struct CSeqShiftTests {
    @Test(arguments: [0, 1, 7, 2_000_000] as [UInt32], [0, 4_096, 40_960] as [UInt32])
    func `a request is above what was seen, and below what follows, though some of it is not known`(
        known: UInt32, shift: UInt32
    ) throws {
        let place = try #require(CSeqShift.place(known: known, shift: shift))
        #expect(place.shift == shift + CSeqShift.step)
        for unknown in [0, 1, 100, CSeqShift.step - 2] { #expect(place.cSeq > known + unknown + shift) }
        #expect(place.cSeq < known + 1 + place.shift)
        let next = try #require(CSeqShift.place(known: known, shift: place.shift))
        #expect(next.cSeq > place.cSeq)
    }

    @Test func `there is no place at 2³¹ and above`() {
        let last = UInt32(1) << 31 - 2 * CSeqShift.step - 1
        #expect(CSeqShift.place(known: last, shift: 0) != nil)
        #expect(CSeqShift.place(known: last + 1, shift: 0) == nil)
        #expect(CSeqShift.place(known: 1, shift: last) == nil)
        #expect(CSeqShift.place(known: .max, shift: .max) == nil)
    }

    @Test func `a number is found again, also by who knows of a larger shift`() {
        for own in [1, 5, 4_000, 9_000] as [UInt32] {
            for (sent, shift) in [(0, 0), (4_096, 4_096), (4_096, 8_192), (0, 4_096), (0, 12_288)] as [(UInt32, UInt32)]
            {
                #expect(CSeqShift.origin(of: own + sent, known: own, shift: shift) == own, "\(own) \(sent) \(shift)")
            }
        }
        #expect(CSeqShift.origin(of: 3, known: 0, shift: 4_096) == 3)
        #expect(CSeqShift.origin(of: .max, known: .max, shift: .max) >= .max - CSeqShift.step)
    }

    @Test func `an INVITE keeps what it was moved by, while it is pending and when it has had its ACK`() throws {
        var facts = FactsWriter()
        facts.put(.callID, Array("c".utf8))
        facts.invite(cSeq: 1)
        facts.caller { side in
            side.sends(cSeq: 9)
            side.shift(by: 8_192)
        }
        let branch = Array("z9hG4bKx".utf8)
        facts.pending(.caller, cSeq: 9, branch, ByteRange(branch)) { $0.shift(by: 4_096) }
        func shift(_ cSeq: UInt32) throws -> UInt32 {
            let bytes = try joined(facts.bytes)
            let view = RecordView(bytes, ByteRange(bytes))
            return view.inviteShift(.caller, view.caller, cSeq: cSeq, in: bytes)
        }
        #expect(try shift(9) == 4_096)
        #expect(try shift(1) == 0, "the one that made the dialog")
        #expect(try shift(10) == 8_192, "one that is not known here")
        facts.settle(.caller, cSeq: 9)
        #expect(try shift(9) == 0)
        facts.caller { $0.shiftInvite(CSeqShift.mark(cSeq: 9, shift: 4_096)) }
        #expect(try shift(9) == 4_096 && shift(8) == 0)
    }

    @Test func `a wish is read as it was written, and one that has ended keeps its result`() throws {
        var wish = RequestWish(
            method: Array("INFO".utf8), place: .init(cSeq: 4_102, shift: 4_096), askedMilliseconds: 81_234)
        wish.headers = Array("X-A: 1\r\nContent-Type: text/plain\r\n".utf8)
        wish.body = Array("a\r\n\r\nb".utf8)
        #expect(RequestWish(wish.bytes) == wish)
        wish.headers = []
        #expect(RequestWish(wish.bytes) == wish)
        let ended = wish.ended(200)
        #expect(RequestWish(ended.bytes) == ended && !ended.isOpen && ended.bytes.count < 40)
        for length in 0..<wish.bytes.count - wish.body.count {
            let cut = RequestWish(Array(wish.bytes.prefix(length)))
            #expect(cut == nil || cut?.body.isEmpty == true)
        }
        for text in [
            "", "INFO", "INFO 1 2 3 0 0\r\n\r\n", " 1 2 3 0 0 0\r\n\r\n", "INFO 1 2 3 0 200 0\r\nX",
            "I 1 2 x 0 0 0\r\n\r\n",
        ] {
            #expect(RequestWish(Array(text.utf8)) == nil, "\(text)")
        }
    }
}
