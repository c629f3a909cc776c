// ProfileIndex knows how many live dialogs each profile has, by value and in all, without a walk over them: the table
// counts a record's links in when they are joined, and out when they are removed, when the dialog ends and when the
// record is forgotten. Every node has every replica, so every node's sizes are the cluster's.
//
//     link        name             of a profile without values     ─▶ count of hash(name)
//                 name NUL value   of one with                     ─▶ count of hash(name NUL value) and of hash(name)
//
// A link is an entry of a set: a dialog that is put into a profile twice is in it once. One that is in it under two
// values counts twice in all, once for each.
//
// Invariants: no count is below 1, what falls to 0 is taken out; texts are not kept, only keyed hashes of 64 bits, so
// that nobody can choose two values that meet. Limit: the links of all records, `RecordLimits.stamped` each.

internal import Primitives

struct ProfileIndex: Sendable {
    private let hash: KeyedHash
    private var counts: [UInt64: Int] = [:]

    init(hash: KeyedHash) { self.hash = hash }

    /// Profiles and values that have dialogs.
    var count: Int { counts.count }

    /// - Parameter link: Of one of its values, or of the profile without any: then the links of all values.
    func size(_ link: [UInt8]) -> Int { counts[key(link, ByteRange(link))] ?? 0 }

    mutating func add(_ bytes: [UInt8], _ link: ByteRange, by sign: Int) {
        change(key(bytes, link), by: sign)
        if let end = ProfileLink.endOfName(bytes, link) {
            change(key(bytes, ByteRange(start: Int(link.start), end: end)), by: sign)
        }
    }

    private mutating func change(_ key: UInt64, by sign: Int) {
        let size = (counts[key] ?? 0) + sign
        precondition(size >= 0, "a link must be counted in before it is counted out: \(size)")
        counts[key] = size == 0 ? nil : size
    }

    private func key(_ bytes: [UInt8], _ range: ByteRange) -> UInt64 {
        hash.hash(RawSpan(_elements: bytes.span).extracting(range.range))
    }
}

/// A dialog's membership in a profile, as the key of its entry in the record: the name, and behind a NUL the value.
public struct ProfileLink: Hashable, Sendable {
    /// Of `[A-Za-z0-9_]`.
    public var name: [UInt8]
    /// `nil` in a profile without values.
    public var value: [UInt8]?

    public init(name: [UInt8], value: [UInt8]? = nil) {
        self.name = name
        self.value = value
    }

    public init(key: [UInt8]) {
        let end = key.firstIndex(of: 0)
        name = Array(key[..<(end ?? key.count)])
        value = end.map { Array(key[($0 + 1)...]) }
    }

    public var key: [UInt8] { value.map { name + [0] + $0 } ?? name }

    /// Where the value begins, less the NUL before it; `nil` without one.
    static func endOfName(_ bytes: [UInt8], _ link: ByteRange) -> Int? {
        var index = Int(link.start)
        while index < Int(link.end) {
            if bytes[index] == 0 { return index }
            index += 1
        }
        return nil
    }
}

extension DialogTable {
    /// Live dialogs with this link; for a name alone, the links of all its values.
    public func size(ofProfile link: ProfileLink) -> Int { profiles.size(link.key) }

    /// A link too many, for the test of who checks that.
    public mutating func miscount(_ link: ProfileLink) { profiles.add(link.key, ByteRange(link.key), by: 1) }

    /// Counts a record's links in or out, as it stands in the store.
    mutating func countLinks(of entry: Entry, by sign: Int) {
        guard entry.hasLinks, entry.state != .deleted, sign > 0 || !mutated("profile-not-decremented") else { return }
        let stored = blobs.location(entry.blob)
        let view = RecordView(stored.bytes, stored.range)
        view.forEachProfile(in: stored.bytes) { link in
            if link.value != nil { profiles.add(stored.bytes, link.key, by: sign) }
        }
    }
}
