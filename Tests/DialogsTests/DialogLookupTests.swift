// Finding dialogs by what requests say (RFC 3261 §12.2.2), with a did that may lie.

import Dialogs
import Primitives
import Testing

@Suite("Finding a dialog, RFC 3261 §12")
struct DialogLookupTests {
    @Test func `a did is the same on every node with the key, and another for each part`() {
        let (left, right) = (makeTable(), makeTable(buckets: 4))
        let did = left.did("c", from: "f")
        #expect(right.did("c", from: "f") == did)
        #expect(
            Set([did, left.did("c", from: "f", cseq: 2), left.did("cf", from: ""), left.did("f", from: "c")]).count == 4
        )
        #expect(left.did("c", from: "f", branch: "z9hG4bKb") != did && left.did("c", from: "f", sentBy: "h") != did)
        #expect(left.did("c", from: "f", uri: "sip:c@h") == did, "the branch names the transaction")
        #expect(left.did("c", from: "f", branch: "1", uri: "sip:c@h") != left.did("c", from: "f", branch: "1"))
        #expect(left.did("c", from: "f", branch: "1") == left.did("c", from: "f", branch: "2"), "no magic cookie")
        #expect((0..<200).allSatisfy { left.did("c\($0)", from: "f").rawValue >> 63 == 0 }, "other kinds' bit")
        #expect(DialogID(hex: did.hex) == did && did.hex.utf8.count == 16)
        #expect(DialogID(hex: "") == nil && DialogID(hex: "xyz") == nil && DialogID(hex: "00000000000000001") == nil)
    }

    @Test func `both sides are found by their tags`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        _ = try table.learn(did, invite("c", from: "f"))
        _ = try table.learn(did, patch(state: .confirmed, to: "t1"))
        _ = try table.learn(did, patch(state: .confirmed, to: "t2"))
        for tag in ["t1", "t2"] {
            #expect(try #require(table.find("c", from: "f", to: tag)) == (did, .caller))
            #expect(try #require(table.find("c", from: tag, to: "f")) == (did, .callee))
        }
        #expect(table.find("c", from: "f", to: "t3") == nil)
        #expect(table.find("c", from: "t1", to: "t2") == nil)
        #expect(table.find("d", from: "f", to: "t1") == nil)
        #expect(table.matches(did, "c", from: "t2", to: "f") == .callee)
        #expect(table.matches(did, "d", from: "t2", to: "f") == nil)
        #expect(table.matches(DialogID(rawValue: 1), "c", from: "t2", to: "f") == nil)
    }

    @Test func `without a To-tag a request belongs to an unconfirmed or early dialog`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        _ = try table.learn(did, invite("c", from: "f"))
        #expect(try #require(table.find("c", from: "f", to: "")) == (did, .caller))
        _ = try table.learn(did, patch(state: .early, to: "t"))
        #expect(try #require(table.find("c", from: "f", to: "")) == (did, .caller))
        #expect(table.find("c", from: "g", to: "") == nil)
        _ = try table.learn(did, patch(state: .confirmedNotAcknowledged, to: "t"))
        #expect(table.find("c", from: "f", to: "") == nil)
    }

    @Test func `attempts of one INVITE are found together, the living first, sixteen at most, R16`() throws {
        var table = makeTable()
        let count = DialogTable.attemptLimit
        let dids = (0..<count).map { table.did("c", from: "f", branch: "z9hG4bK\($0)") }
        for (index, did) in dids.enumerated() { _ = try table.learn(did, invite("c", from: "f"), at: Int64(index)) }
        _ = try table.learn(table.did("c", from: "f", cseq: 2), invite("c", from: "f", cseq: 2))
        _ = try table.learn(table.did("c", from: "g"), invite("c", from: "g"))
        _ = try table.learn(dids[count - 1], patch(state: .deleted))
        func attempts() -> (dids: [DialogID], isCut: Bool) {
            let (callID, tag) = (Token("c"), Token("f"))
            return table.attempts(
                callID: callID.bytes, callID.range, fromTag: tag.bytes, tag.range, inviteCSeq: 1)
        }
        #expect(attempts().dids == dids.dropLast().reversed() + [dids[count - 1]] && !attempts().isCut)
        _ = try table.learn(table.did("c", from: "f", branch: "z9hG4bKmore"), invite("c", from: "f"))
        #expect(attempts().dids.count == count && attempts().isCut)
    }

    @Test func `the youngest live dialog comes first, a tombstone last, R16`() throws {
        var table = makeTable()
        let dids = (1...3).map { table.did("c", from: "f", cseq: $0) }
        for (index, did) in dids.enumerated() {
            let put = invite("c", from: "f", cseq: UInt64(index + 1)) + patch(state: .confirmed, to: "t")
            _ = try table.learn(did, put, at: Int64(index))
        }
        #expect(table.find("c", from: "f", to: "t")?.0 == dids[2])
        _ = try table.learn(dids[2], patch(state: .deleted))
        #expect(table.find("c", from: "f", to: "t")?.0 == dids[1])
        table.remove(dids[1])
        #expect(table.find("c", from: "f", to: "t")?.0 == dids[0])
        table.remove(dids[0])
        // The tombstone still answers for retransmissions, to both sides.
        #expect(try #require(table.find("c", from: "t", to: "f")) == (dids[2], .callee))
        #expect(table.find("c", from: "f", to: "") == nil)
    }

    @Test func `a call to oneself belongs to the side that is recorded as the caller's`() throws {
        var table = makeTable()
        let did = table.did("c", from: "same")
        _ = try table.learn(did, invite("c", from: "same") + patch(state: .confirmed, to: "same"))
        #expect(table.matches(did, "c", from: "same", to: "same") == .caller)
    }
}
