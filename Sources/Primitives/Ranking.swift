// Ranking says in which order the fit members act: for a dialog, its home first, for an INVITE that is under way, its
// owner; then by rendezvous hash of what is acted for and the member's name. It is a pure function of that and of who
// is fit, so a million dialogs change hands without a message (R12), and a member that comes or goes moves only what it
// ranks first for.

public struct Ranking: Sendable {
    /// A rank counts no further than this where each one waits longer, or 64 nodes would wait half a minute (R12).
    public static var waitLimit: Int { 3 }

    struct Candidate: Sendable {
        var name: String
        var hash: UInt64
    }

    /// The fit members, sorted by name.
    private(set) var candidates: [Candidate] = []
    private let hash: KeyedHash

    public init(hash: KeyedHash) { self.hash = hash }

    public mutating func set(_ names: [String]) {
        guard names != candidates.map(\.name) else { return }
        candidates = names.map { name in
            var stream = hash.begin()
            let bytes = Array(name.utf8)
            stream.combine(RawSpan(_elements: bytes.span))
            return Candidate(name: name, hash: stream.finish())
        }
    }

    public var isEmpty: Bool { candidates.isEmpty }

    /// Whether a member is fit to act.
    public func contains(_ name: String) -> Bool { candidates.contains { $0.name == name } }

    /// What an INVITE of a dialog is ranked by: it need not have the same heir as the dialog.
    public static func key(_ did: UInt64, transaction: UInt64) -> UInt64 { SplitMix.mix(did) ^ transaction }

    /// How many fit members act before `name`; `nil` when it is not fit itself.
    public func rank(of name: String, for key: UInt64, first: String?) -> Int? {
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
    public func best(for key: UInt64, first: String?) -> String? {
        if let first, contains(first) { return first }
        return candidates.max { (weight($0, key), $0.name) < (weight($1, key), $1.name) }?.name
    }

    private func weight(_ candidate: Candidate, _ key: UInt64) -> UInt64 { SplitMix.mix(candidate.hash ^ key) }
}
