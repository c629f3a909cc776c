// RecencyList keeps slots in the order of their last use: a doubly linked list in two arrays, so that touching, taking
// out and finding the oldest cost the same whatever the count. It owns nothing but the order; the slots are a slab's.

struct RecencyList: Sendable {
    private static let none = UInt32.max
    private struct Links {
        var previous = RecencyList.none
        var next = RecencyList.none
    }

    private var links: [Links] = []
    private(set) var oldest: UInt32?
    private var newest: UInt32?

    /// Adds a slot that is not in the list, as the newest.
    mutating func append(_ slot: UInt32) {
        while links.count <= Int(slot) { links.append(Links()) }
        links[Int(slot)] = Links(previous: newest ?? Self.none, next: Self.none)
        if let newest { links[Int(newest)].next = slot } else { oldest = slot }
        newest = slot
    }

    /// Takes a slot out that is in the list.
    mutating func remove(_ slot: UInt32) {
        let (previous, next) = (links[Int(slot)].previous, links[Int(slot)].next)
        if previous == Self.none { oldest = next == Self.none ? nil : next } else { links[Int(previous)].next = next }
        if next == Self.none {
            newest = previous == Self.none ? nil : previous
        } else {
            links[Int(next)].previous = previous
        }
    }

    /// Makes a slot of the list the newest.
    mutating func touch(_ slot: UInt32) {
        guard newest != slot else { return }
        remove(slot)
        append(slot)
    }
}
