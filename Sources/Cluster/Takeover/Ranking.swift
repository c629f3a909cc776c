// Ranking says in which order the fit members act for a dialog: home first, then by rendezvous hash of (did, member).
// It is a pure function of (did, who is fit), so a million dialogs change hands without a message (R12), and a
// member that comes or goes moves only the dialogs that it ranks first for.

internal import Primitives

struct Ranking: Sendable {
    struct Candidate: Sendable {
        var name: String
        var hash: UInt64
    }

    /// The fit members, sorted by name.
    private(set) var candidates: [Candidate] = []
    private let hash: KeyedHash

    init(hash: KeyedHash) { self.hash = hash }

    mutating func set(_ names: [String]) {
        guard names != candidates.map(\.name) else { return }
        candidates = names.map { name in
            var stream = hash.begin()
            let bytes = Array(name.utf8)
            stream.combine(RawSpan(_elements: bytes.span))
            return Candidate(name: name, hash: stream.finish())
        }
    }

    /// How many fit members act before `name`; `nil` when it is not fit itself.
    func rank(of name: String, for key: UInt64, first: String?) -> Int? {
        guard let own = candidates.first(where: { $0.name == name }) else { return nil }
        if name == first { return 0 }
        let score = weight(own, key)
        return candidates.count { other in
            guard other.name != name else { return false }
            if other.name == first { return true }
            let otherScore = weight(other, key)
            return (otherScore, other.name) > (score, name)
        }
    }

    /// Who acts first.
    func best(for key: UInt64, first: String?) -> String? {
        if let first, candidates.contains(where: { $0.name == first }) { return first }
        return candidates.max { (weight($0, key), $0.name) < (weight($1, key), $1.name) }?.name
    }

    private func weight(_ candidate: Candidate, _ key: UInt64) -> UInt64 { SplitMix.mix(candidate.hash ^ key) }
}
