// Who acts first, and what a loss changes.

import Primitives
import Testing

@Suite("Ranking of members")
struct RankingTests {
    @Test func `ranks are the same everywhere, home first, and a loss moves only the lost one's dialogs`() {
        let names = ["n1", "n2", "n3", "n4"]
        var ranking = Ranking(hash: KeyedHash(key0: 1, key1: 2))
        ranking.set(names)
        var fewer = ranking
        fewer.set(["n1", "n2", "n4"])
        var first: [String: Int] = [:]
        for key in 0..<4_000 as Range<UInt64> {
            let ranks = names.map { ranking.rank(of: $0, for: key, first: nil)! }
            #expect(Set(ranks) == [0, 1, 2, 3])
            let best = ranking.best(for: key, first: nil)!
            #expect(ranks[names.firstIndex(of: best)!] == 0)
            first[best, default: 0] += 1
            if best != "n3" { #expect(fewer.best(for: key, first: nil) == best) }
            #expect(ranking.rank(of: "n2", for: key, first: "n2") == 0)
        }
        #expect(names.allSatisfy { (800...1_200).contains(first[$0] ?? 0) })
        #expect(fewer.rank(of: "n3", for: 1, first: "n3") == nil)
    }

    @Test func `an INVITE is inherited by one member, and two of a dialog not always by the same`() {
        var ranking = Ranking(hash: KeyedHash(key0: 1, key1: 2))
        ranking.set(["n1", "n2", "n3"])
        let heirs = (0..<300 as Range<UInt64>).map { slot in
            ranking.best(for: Ranking.key(77, transaction: slot << 32 | 1), first: nil) ?? ""
        }
        for name in ["n1", "n2", "n3"] { #expect((60...140).contains(heirs.count { $0 == name })) }
        ranking.set([])
        #expect(ranking.isEmpty && ranking.best(for: 1, first: nil) == nil && !ranking.contains("n1"))
    }
}
