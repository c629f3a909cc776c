// FlatTable against a Dictionary, Slab with its limit and its stale names.

import Primitives
import Testing

@Suite("Tables")
struct TableTests {
    /// Few distinct hashes and long runs, so that deletion has to shift over the end of the array.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `a flat table holds what a dictionary holds, whatever is deleted`(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var table = FlatTable(minimumCapacity: 0)
        var model: [UInt64: [UInt32]] = [:]
        var entries = 0
        for step in 0..<4_000 {
            let hash = UInt64.random(in: 0..<(seed.isMultiple(of: 2) ? 40 : 4_000), using: &random) << (seed * 5)
            let value = UInt32.random(in: 0..<8, using: &random)
            if Bool.random(using: &random) || step < 100 {
                table.insert(hash: hash, value: value)
                model[hash, default: []].append(value)
                entries += 1
            } else {
                let found = model[hash]?.firstIndex(of: value)
                if let found {
                    model[hash]?.remove(at: found)
                    entries -= 1
                }
                #expect(table.remove(hash: hash, value: value) == (found != nil))
            }
            #expect(table.count == entries)
        }
        for (hash, values) in model {
            var held: [UInt32] = []
            table.forEach(hash: hash) { held.append($0) }
            #expect(held.sorted() == values.sorted())
        }
    }

    @Test func `the caller picks among equal hashes by the key`() {
        var table = FlatTable(minimumCapacity: 4)
        for value in 0..<5 as Range<UInt32> { table.insert(hash: 77, value: value) }
        #expect(table.first(hash: 77) { $0 == 3 } == 3)
        #expect(table.first(hash: 77) { _ in false } == nil)
        #expect(table.first(hash: 78) { _ in true } == nil)
        table.removeAll()
        #expect(table.count == 0 && table.first(hash: 77) { _ in true } == nil)
    }

    @Test func `a slab refuses at its limit and reuses what was freed`() throws {
        var slab = Slab<String>(limit: 2)
        let (a, b) = (slab.insert("a"), slab.insert("b"))
        let (first, second) = (try #require(a), try #require(b))
        #expect(slab.insert("c") == nil && slab.count == 2)
        #expect(slab.remove(first) == "a")
        let c = slab.insert("c")
        let third = try #require(c)
        #expect(third.index == first.index && third != first)
        #expect(slab[first] == nil && !slab.contains(first) && slab.remove(first) == nil)
        #expect(slab.update(first) { $0 += "!" } == nil)
        #expect(slab.update(third) { $0 += "!" } != nil)
        #expect(slab[third] == "c!" && slab[second] == "b")
        #expect(slab.read(third) { $0.utf8.count } == 2)
        #expect(slab.id(at: 0) == third && slab.id(at: 2) == nil)
        #expect(!slab.contains(SlotID(index: 9, generation: 1)))
        var visited: [SlotID] = []
        slab.forEachID { visited.append($0) }
        #expect(visited == [third, second])
    }

    @Test func `what a slab has lent nobody finds, and its slot stays taken`() throws {
        var slab = Slab<String>(limit: 2)
        let inserted = slab.insert("a")
        let first = try #require(inserted)
        #expect(slab.lend(first) == "a" && slab.lend(first) == nil && slab.count == 1)
        #expect(!slab.contains(first) && slab[first] == nil && slab.id(at: 0) == nil && slab.remove(first) == nil)
        #expect(slab.update(first) { $0 += "!" } == nil && slab.read(first) { $0 } == nil)
        slab.giveBack("b", SlotID(index: 0, generation: 7))
        #expect(slab[first] == nil, "a stale name brings nothing back")
        slab.giveBack("b", first)
        #expect(slab[first] == "b")
        slab.giveBack("c", first)
        #expect(slab[first] == "b", "what is not lent is not brought back")

        let reserved = slab.reserve()
        let second = try #require(reserved)
        #expect(slab.count == 2 && slab[second] == nil && slab.reserve() == nil && slab.insert("x") == nil)
        slab.removeLent(first)
        #expect(slab.count == 2, "it is here")
        slab.removeLent(second)
        slab.removeLent(second)
        #expect(slab.count == 1)
        let again = slab.insert("d")
        let third = try #require(again)
        #expect(third.index == second.index && third != second)
        slab.giveBack("e", second)
        #expect(slab[third] == "d")
    }
}
