// FlatTable finds the slots of records by a hash of their key: open addressing with linear probing over one array of
// eight-byte buckets. The key itself stays in the record; the caller compares it in the closure of `first`.
//
//     bucket   │ fingerprint, 32 bits, never 0 │ value, 32 bits │        0 = empty
//     home     = the top bits of the fingerprint
//
// Deleting shifts what follows back to where it would have been (no tombstones, no touch of a record), so the table
// never ages. It doubles when three quarters full: one million entries take some 30 ms then, so the owner of a large
// table sizes it in advance. Two entries may have the same hash; their order is fixed by the order of operations, not
// by chance.
//
// Limit: 2³¹ entries; the owner's slab is the real bound. Not attempted: growing step by step, shrinking.

public struct FlatTable: Sendable {
    @usableFromInline var buckets: [UInt64]
    @usableFromInline var mask: Int
    @usableFromInline var shift: UInt64
    @usableFromInline var occupied = 0

    @inlinable public var count: Int { occupied }

    /// - Parameter minimumCapacity: How many entries fit before the table grows for the first time.
    @inlinable
    public init(minimumCapacity: Int) {
        var size = 16
        while size * 3 / 4 < minimumCapacity { size *= 2 }
        buckets = Array(repeating: 0, count: size)
        mask = size - 1
        shift = UInt64(32 - size.trailingZeroBitCount)
    }

    /// Adds an entry; the same (hash, value) may be added twice and must then be removed twice.
    @inlinable
    public mutating func insert(hash: UInt64, value: UInt32) {
        if (count + 1) * 4 > buckets.count * 3 { grow() }
        place(UInt64(Self.fingerprint(hash)) << 32 | UInt64(value))
        occupied += 1
    }

    /// The first entry with this hash that the caller recognises by its key.
    @inlinable
    public func first(hash: UInt64, where isMatch: (UInt32) -> Bool) -> UInt32? {
        let fingerprint = Self.fingerprint(hash)
        var index = home(fingerprint)
        while buckets[index] != 0 {
            let bucket = buckets[index]
            if UInt32(truncatingIfNeeded: bucket >> 32) == fingerprint {
                let value = UInt32(truncatingIfNeeded: bucket)
                if isMatch(value) { return value }
            }
            index = (index &+ 1) & mask
        }
        return nil
    }

    /// Calls `body` with every entry that may have this hash (the 31 bits that are kept agree).
    @inlinable
    public func forEach(hash: UInt64, _ body: (UInt32) -> Void) {
        _ = first(hash: hash) {
            body($0)
            return false
        }
    }

    /// Removes one entry.
    /// - Returns: Whether it was there.
    @discardableResult
    @inlinable
    public mutating func remove(hash: UInt64, value: UInt32) -> Bool {
        let fingerprint = Self.fingerprint(hash)
        let wanted = UInt64(fingerprint) << 32 | UInt64(value)
        var index = home(fingerprint)
        while buckets[index] != wanted {
            if buckets[index] == 0 { return false }
            index = (index &+ 1) & mask
        }
        closeGap(at: index)
        occupied -= 1
        return true
    }

    /// Empties the table and keeps its memory.
    @inlinable
    public mutating func removeAll() {
        for index in buckets.indices { buckets[index] = 0 }
        occupied = 0
    }

    /// Moves back each later entry of the run whose home does not lie behind the gap.
    @inlinable
    mutating func closeGap(at start: Int) {
        var gap = start
        var index = start
        while true {
            index = (index &+ 1) & mask
            let bucket = buckets[index]
            if bucket == 0 { break }
            let distance = (index &- home(UInt32(truncatingIfNeeded: bucket >> 32))) & mask
            if distance >= (index &- gap) & mask {
                buckets[gap] = bucket
                gap = index
            }
        }
        buckets[gap] = 0
    }

    @inlinable
    mutating func place(_ bucket: UInt64) {
        var index = home(UInt32(truncatingIfNeeded: bucket >> 32))
        while buckets[index] != 0 { index = (index &+ 1) & mask }
        buckets[index] = bucket
    }

    @inlinable
    mutating func grow() {
        let old = buckets
        precondition(old.count < 1 << 31, "a flat table must stay below 2³¹ buckets: \(old.count)")
        buckets = Array(repeating: 0, count: old.count * 2)
        mask = buckets.count - 1
        shift -= 1
        for bucket in old where bucket != 0 { place(bucket) }
    }

    @inlinable
    func home(_ fingerprint: UInt32) -> Int {
        Int(truncatingIfNeeded: UInt64(fingerprint) >> shift)
    }

    /// Multiplied once more, so that hashes whose entropy sits in the low bits spread too; never 0, which means empty.
    @inlinable
    static func fingerprint(_ hash: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 32) | 1
    }
}
