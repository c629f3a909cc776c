// InboundStream follows what one process publishes: up to where every fact is in our records, which later facts are
// too, and what is missing in between.
//
//      1 ─────────── position        range        range       known
//      ●●●●●●●●●●●●●●●●●●● ○ ○ ○ ●●●●●●●●● ○ ●●●●●●●●● ○ ○ ○ ○ ○
//                             └── missing ──┴───────────┘
//
// Position is `nil` until it is learnt: a joiner takes it from a comparison of replicas and asks for nothing before it
// (R6); who is up starts a new process's stream at 0. A patch whose record is missing counts as missing itself, so it
// is asked for like a gap, and the answer, the record as it stands, ends it (R10).
//
// Invariants: ranges are sorted, disjoint, not adjacent, and all above position + 1; known is at least the highest of
// them. Limit: 256 ranges. What would make one more is joined but not noted; it is asked for again later (counted).

internal import Primitives

struct InboundStream: Sendable {
    private(set) var position: UInt64?
    private(set) var ranges: [ClosedRange<UInt64>] = []
    /// The highest sequence that the process itself has shown: what is missing below it is a gap.
    private(set) var known: UInt64 = 0
    /// The highest sequence that others told of. Ours may still be on its way, so it makes no gap.
    private(set) var hearsay: UInt64 = 0
    /// The position last told to the others.
    var told: UInt64 = 0

    static let rangeLimit = 256

    init() {}

    /// Starts at 0 unless the position is known already.
    mutating func begin() { if position == nil { set(0) } }

    /// A comparison of replicas covered everything up to here.
    mutating func reach(_ covered: UInt64) {
        know(covered)
        if position.map({ covered > $0 }) ?? true { set(covered) }
    }

    mutating func know(_ sequence: UInt64) { known = max(known, sequence) }
    mutating func hear(_ sequence: UInt64) { hearsay = max(hearsay, sequence) }

    /// No fact of a higher sequence has reached us by any way.
    var highest: UInt64 { max(known, hearsay) }

    /// These facts are in our records.
    ///
    /// - Returns: `false` when there were too many gaps to note it.
    mutating func apply(_ range: ClosedRange<UInt64>) -> Bool {
        know(range.upperBound)
        if let position {
            guard range.upperBound > position else { return true }
            if range.lowerBound <= position + 1 {
                set(range.upperBound)
                return true
            }
        }
        return insert(range)
    }

    var isBehind: Bool { (position.map { $0 < known } ?? false) && !mutated("repair-off") }

    /// What to ask for, lowest first.
    func missing(limit: Int) -> [ClosedRange<UInt64>] {
        guard let position, position < known else { return [] }
        var gaps: [ClosedRange<UInt64>] = []
        var next = position + 1
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
            if gaps.count == limit { return gaps }
        }
        if next <= known { gaps.append(next...known) }
        return gaps
    }

    func contains(_ sequence: UInt64) -> Bool {
        if let position, sequence <= position { return true }
        return ranges.contains { $0.contains(sequence) }
    }

    private mutating func set(_ new: UInt64) {
        var reached = new
        var absorbed = 0
        for range in ranges {
            guard range.lowerBound <= reached + 1 else { break }
            reached = max(reached, range.upperBound)
            absorbed += 1
        }
        ranges.removeFirst(absorbed)
        position = reached
        known = max(known, reached)
    }

    private mutating func insert(_ range: ClosedRange<UInt64>) -> Bool {
        // Nearly always the last: frames come in order.
        var low = ranges.count
        while low > 0, ranges[low - 1].upperBound + 1 >= range.lowerBound { low -= 1 }
        var high = low
        var merged = range
        while high < ranges.count, ranges[high].lowerBound <= merged.upperBound + 1 {
            merged = min(merged.lowerBound, ranges[high].lowerBound)...max(merged.upperBound, ranges[high].upperBound)
            high += 1
        }
        if low == high, ranges.count >= Self.rangeLimit { return false }
        ranges.replaceSubrange(low..<high, with: CollectionOfOne(merged))
        return true
    }
}
