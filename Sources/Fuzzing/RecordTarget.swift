// Records and patches as a hostile member may send them: the join's laws (DialogsTests has them for well-formed facts)
// must hold for every byte string that the join does not refuse, and the table's sums must agree with its records.
//
//   input: two bytes, where the rest is cut into a, b and c (in 256ths)

import Dialogs
import Primitives

enum RecordTarget {
    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let (first, second) = (Int(input.byte()), Int(input.byte()))
        let rest = Array(input.rest)
        let cuts = [first, second].map { rest.count * $0 / 256 }.sorted()
        let (a, b, c) = (Array(rest[..<cuts[0]]), Array(rest[cuts[0]..<cuts[1]]), Array(rest[cuts[1]...]))
        laws(a, b, c)
        view(a)
        table(a, b, c)
    }

    private static func join(_ a: [UInt8], _ b: [UInt8], isCanonical: Bool = false) -> [UInt8]? {
        var (join, out) = (RecordJoin(), ByteWriter())
        out.put("kept")
        let aSpan = RawSpan(_elements: a.span), bSpan = RawSpan(_elements: b.span)
        do throws(RecordError) {
            try join.join(aSpan, bSpan, isCanonical: isCanonical, into: &out)
        } catch {
            precondition(out.bytes == Array("kept".utf8), "a refusal leaves the output as it was")
            return nil
        }
        let joined = Array(out.bytes.dropFirst(4))
        precondition(joined.count <= RecordLimits.bytes, "a record stays within its bound")
        return joined
    }

    private static func laws(_ a: [UInt8], _ b: [UInt8], _ c: [UInt8]) {
        guard let ab = join(a, b) else {
            precondition(join(b, a) == nil, "a refusal does not depend on the order")
            return
        }
        // Alone, one of them may be refused for parts that the other has made superfluous.
        if let canonicalA = join(a, []), let canonicalB = join(b, []) {
            precondition(join(canonicalA, canonicalB) == ab, "canonical first")
            precondition(join(canonicalA, b, isCanonical: true) == ab, "untouched fields are copied")
        }
        precondition(join(b, a) == ab, "commutative")
        precondition(join(ab, ab) == ab && join(ab, a) == ab && join(ab, b, isCanonical: true) == ab, "idempotent")
        if let left = join(ab, c), let bc = join(b, c), let right = join(a, bc) {
            precondition(left == right, "associative")
        }
    }

    /// Reading, strictly and leniently: the view never leaves its bytes, and what is decoded is encoded the same.
    private static func view(_ bytes: [UInt8]) {
        let view = RecordView(bytes, ByteRange(bytes))
        for range in [view.callID, view.fromTag, view.home, view.from, view.to, view.requestURI, view.caller.routes] {
            precondition(Int(range.end) <= bytes.count, "a view must not leave its record")
        }
        var visited = 0
        view.forEachOut(in: bytes) { _ in visited += 1 }
        view.forEachPending(in: bytes) { _ in visited += 1 }
        view.forEachVariable(in: bytes) { _ in visited += 1 }
        view.forEachProfile(in: bytes) { _ in visited += 1 }
        precondition(visited <= bytes.count, "no entry without bytes")
        _ = view.homeParts(in: bytes)
        _ = view.mainOut(in: bytes)
        guard let record = try? Record(RawSpan(_elements: bytes.span)), let encoded = try? record.encoded() else {
            return
        }
        guard let again = try? Record(RawSpan(_elements: encoded.span)) else {
            preconditionFailure("what was encoded must be readable")
        }
        // A part that held nothing but fields of a later version is gone the first time, and only then.
        precondition((try? again.encoded()) == encoded, "a record of this version is encoded as itself")
    }

    private static func table(_ a: [UInt8], _ b: [UInt8], _ c: [UInt8]) {
        let hash = KeyedHash(key0: 3, key1: 4)
        var table = DialogTable(buckets: 4, hash: hash, limit: 2)
        let dids = [DialogID(rawValue: 1), DialogID(rawValue: 5)]
        for (step, facts) in [a, b, c, a, c].enumerated() {
            let did = dids[step / 3]
            let now = Instant(nanoseconds: Int64(step) * 1_000_000)
            let before = table.bytes(did)
            let learned = try? table.learn(
                did, facts: RawSpan(_elements: facts.span), age: step == 0 ? .seconds(1) : nil, now: now)
            if learned?.outcome != .created, learned?.outcome != .changed {
                precondition(table.bytes(did) == before, "nothing is touched unless something is said to be")
            }
            check(table, dids)
        }
        for did in dids {
            table.remove(did)
            check(table, dids)
        }
        precondition(table.count == 0 && table.rootDigest == 0, "an empty table has no digest")
    }

    private static func check(_ table: DialogTable, _ dids: [DialogID]) {
        var (counted, digest): (Int, UInt64) = (0, 0)
        for state: DialogState in [.unconfirmed, .early, .confirmedNotAcknowledged, .confirmed, .deleted] {
            counted += table.count(in: state)
        }
        precondition(counted == table.count, "the counts of all states sum up")
        precondition(table.count == dids.filter { table.contains($0) }.count, "and are the records")
        for bucket in 0..<4 { digest &+= table.digest(bucket: bucket) }
        precondition(digest == table.rootDigest, "the root is the sum of the buckets")
    }
}
