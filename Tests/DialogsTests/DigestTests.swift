// Digests are taken when they are asked for: they are the same as if each record had been hashed when it changed.

import Dialogs
import Primitives
import Testing

@Suite("Digests of replicas")
struct DigestTests {
    /// Puts, patches, ends and removals of 64 dialogs over 8 buckets, so many.
    private func play(_ table: inout DialogTable, _ random: inout SplitMix, steps: Int) throws {
        for _ in 0..<steps {
            let did = DialogID(rawValue: UInt64(1 + random.next(below: 64)))
            var facts = FactsWriter()
            switch random.next(below: 8) {
            case 0: table.remove(did)
            case 1: facts.reach(.deleted)
            case 2, 3: facts.raise(RecordFlags(rawValue: 1 << random.next(below: 10)))
            default: facts.reach(.early)
            }
            if !table.contains(did) {
                facts.put(.callID, Array("c\(did.rawValue)".utf8))
                facts.put(.fromTag, Array("f".utf8))
            }
            if !facts.isEmpty { _ = try table.learn(did, facts.bytes) }
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `asked for early, late, or never before, they are the same`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var other = random
        var (asked, quiet) = (makeTable(buckets: 8), makeTable(buckets: 8))
        for round in 0..<60 {
            try play(&asked, &random, steps: 9)
            try play(&quiet, &other, steps: 9)
            asked.settleDigests()
            #expect(asked.rootDigest == quiet.rootDigest, "round \(round)")
            for bucket in 0..<8 { #expect(asked.digest(bucket: bucket) == quiet.digest(bucket: bucket)) }
            #expect(quiet.digests(of: 2..<5) == (2..<5).map { asked.digest(bucket: $0) })
            #expect(asked.digests == quiet.digests && asked.digests.reduce(0, &+) == quiet.rootDigest)
            for number in 1...64 as ClosedRange<UInt64> {
                let did = DialogID(rawValue: number)
                #expect(asked.contentDigest(did) == quiet.contentDigest(did))
            }
        }
        quiet.settleDigests()
        #expect(asked.rootDigest == quiet.rootDigest && asked.rootDigest != 0)
        #expect(asked.digests(of: 7..<10) == [asked.digest(bucket: 7), 0, 0] && asked.digests(of: 99..<99).isEmpty)
    }

    @Test func `more changes than wait for their hashes are hashed all the same`() throws {
        var table = makeTable(buckets: 8, limit: 10_000)
        let numbers = 1...9_000 as ClosedRange<UInt64>
        func facts(_ number: UInt64) -> [UInt8] {
            var facts = FactsWriter()
            facts.put(.callID, Array("c\(number)".utf8))
            facts.put(.fromTag, Array("f".utf8))
            return facts.bytes
        }
        for number in numbers { _ = try table.learn(DialogID(rawValue: number), facts(number)) }
        var sum: UInt64 = 0
        for number in numbers { sum &+= table.contentDigest(DialogID(rawValue: number)) ?? 0 }
        #expect(table.rootDigest == sum && table.digests.reduce(0, &+) == sum)
        for number in numbers { table.remove(DialogID(rawValue: number)) }
        #expect(table.rootDigest == 0 && table.digests == Array(repeating: 0, count: 8))
    }
}
