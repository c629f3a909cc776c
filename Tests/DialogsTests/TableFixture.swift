// A table and the facts of a call, for the tests of the table.

import Dialogs
import Primitives

let testHash = KeyedHash(key0: 0x0123_4567_89ab_cdef, key1: 0xfedc_ba98_7654_3210)

func makeTable(buckets: Int = 16, limit: Int = 100) -> DialogTable {
    DialogTable(buckets: buckets, hash: testHash, limit: limit)
}

/// Bytes and their whole range, as the table's look-ups take them.
struct Token {
    var bytes: [UInt8]
    var range: ByteRange

    init(_ text: String) {
        // Something in front, so that a range that is ignored shows.
        bytes = Array("xx\(text)y".utf8)
        range = ByteRange(start: 2, end: bytes.count - 1)
    }
}

extension DialogTable {
    func did(
        _ callID: String, from tag: String, cseq: UInt32 = 1, branch: String = "z9hG4bKa", sentBy: String = "h:5060",
        uri: String = "sip:b@h"
    ) -> DialogID {
        var bytes: [UInt8] = []
        func put(_ text: String) -> ByteRange {
            bytes += [0x2f] + Array(text.utf8)
            return ByteRange(start: bytes.count - text.utf8.count, end: bytes.count)
        }
        let ranges = [callID, tag, branch, sentBy, uri].map(put)
        return did(
            of: InviteIdentity(
                bytes, callID: ranges[0], fromTag: ranges[1], cSeq: cseq, branch: ranges[2], sentBy: ranges[3],
                requestURI: ranges[4]))
    }

    func find(_ callID: String, from: String, to: String) -> (DialogID, Leg)? {
        let (callID, from, to) = (Token(callID), Token(from), Token(to))
        return find(
            callID: callID.bytes, callID.range, fromTag: from.bytes, from.range, toTag: to.bytes, to.range)
    }

    func matches(_ did: DialogID, _ callID: String, from: String, to: String) -> Leg? {
        let (callID, from, to) = (Token(callID), Token(from), Token(to))
        return matches(
            did, callID: callID.bytes, callID.range, fromTag: from.bytes, from.range, toTag: to.bytes, to.range)
    }

    mutating func learn(
        _ did: DialogID, _ facts: [UInt8], age: Duration? = nil, isPeers: Bool = false, at milliseconds: Int64 = 0
    ) throws(RecordError) -> Learned {
        try learn(
            did, facts: RawSpan(_elements: facts.span), age: age, isPeers: isPeers,
            now: Instant.zero.advanced(milliseconds: milliseconds))
    }
}

/// A put as the home makes it from an INVITE.
func invite(_ callID: String, from tag: String, cseq: UInt64 = 1, extra: Int = 0) -> [UInt8] {
    var facts = FactsWriter()
    facts.put(.callID, Array(callID.utf8))
    facts.put(.fromTag, Array(tag.utf8))
    facts.put(.inviteCSeq, cseq)
    facts.reach(.unconfirmed)
    facts.put(.from, Array(repeating: UInt8(ascii: "f"), count: extra))
    return facts.bytes
}

func patch(
    state: DialogState, to tag: String? = nil, deadline: UInt64? = nil, generation: UInt64? = nil
) -> [UInt8] {
    var facts = FactsWriter()
    facts.reach(state)
    if let tag {
        facts.out(Array(tag.utf8)) { $0.reach(state) }
    }
    if let deadline {
        facts.message(.deadline) { (fields: inout FieldWriter<DeadlineField>) in
            if let generation { fields.put(.generation, generation) }
            fields.put(.atMilliseconds, deadline)
        }
    }
    return facts.bytes
}
