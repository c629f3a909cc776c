// TimerWheel keeps the timers of a node: 4 wheels of 256 slots, ticks of 10 ms, lists threaded through one array of
// nodes.
//
//     level 0   256 slots of 10 ms          the ticks of the current 2.56 s
//     level 1   256 slots of 2.56 s         the rest of the current 11 min
//     level 2   256 slots of 11 min         the rest of the current 47 h
//     level 3   256 slots of 47 h           the rest of the current 497 days
//     overflow  one list                    everything later
//
// A timer lies at the level of the highest byte in which its tick differs from the current one. When time enters a
// block, the block's list is dealt out one level down, before anything can be put there directly: hence timers of one
// tick fire in the order of their scheduling, without sorting. A bitmap for each level lets time jump over empty slots.
//
// Invariants: no timer fires early (its tick is rounded up); each fires in the first `advance` that reaches its tick;
// at every level the slot of the current tick is empty. Scheduling and cancelling take constant time.
// Bound: the owners'; each keeps a fixed number of timers a record. Not attempted: resolution below a tick; a timer for
// the past waits for the next tick, so a handler that schedules "now" again and again cannot starve the node.

/// The name of a scheduled timer. It stays harmless after the timer has fired or was cancelled.
public struct TimerID: Hashable, Sendable {
    fileprivate var index: UInt32
    fileprivate var generation: UInt32

    /// No timer; cancelling it does nothing.
    public static let none = TimerID(index: .max, generation: 0)
}

public struct TimerWheel: Sendable {
    private struct Node {
        var token: UInt64
        var tick: Int64
        var previous: UInt32
        var next: UInt32
        var generation: UInt32
        /// Index into `heads`, or `free`.
        var list: UInt32
    }

    private static let none: UInt32 = .max
    private static let free: UInt32 = .max
    private static let overflow = 1024
    /// Nanoseconds in a tick.
    private static let tickLength: Int64 = 10_000_000

    private let origin: Instant
    private var current: Int64 = 0
    private var nodes: [Node] = []
    private var firstFree = TimerWheel.none
    private var heads: [UInt32]
    private var tails: [UInt32]
    private var occupied: [UInt64]
    public private(set) var count = 0
    /// What `earliest` finds: it is asked for more often than timers are set.
    private var nextTick: Int64?

    public init(origin: Instant) {
        self.origin = origin
        heads = Array(repeating: Self.none, count: Self.overflow + 1)
        tails = heads
        occupied = Array(repeating: 0, count: 16)
    }

    /// Schedules a wake-up that reports `token`.
    public mutating func schedule(_ token: UInt64, at instant: Instant) -> TimerID {
        let node = Node(
            token: token, tick: max(tick(notBefore: instant), current + 1), previous: Self.none, next: Self.none,
            generation: 0, list: Self.free)
        let index: UInt32
        if firstFree != Self.none {
            index = firstFree
            firstFree = nodes[Int(index)].next
            let generation = nodes[Int(index)].generation
            nodes[Int(index)] = node
            nodes[Int(index)].generation = generation
        } else {
            index = UInt32(nodes.count)
            nodes.append(node)
        }
        count += 1
        link(index)
        nextTick = min(nextTick ?? .max, wakeUp(for: nodes[Int(index)]))
        return TimerID(index: index, generation: nodes[Int(index)].generation)
    }

    /// Takes a timer back; does nothing when it has fired or was cancelled before.
    public mutating func cancel(_ id: TimerID) {
        guard id.index < nodes.count else { return }
        let node = nodes[Int(id.index)]
        guard node.generation == id.generation, node.list != Self.free else { return }
        unlink(id.index)
        release(id.index)
        if wakeUp(for: node) == nextTick { nextTick = earliest() }
    }

    /// Appends the tokens of all timers that are due, in the order of their ticks, then of their scheduling.
    ///
    /// A `now` before an earlier one is ignored: time does not run backwards.
    public mutating func advance(to now: Instant, due: inout [UInt64]) {
        let target = tick(reachedBy: now)
        while let tick = nextTick, tick <= target {
            current = tick
            enterBlocks()
            fire(&due)
            nextTick = earliest()
        }
        current = max(current, target)
    }

    /// No timer is due before it: sleep until then, `advance`, and look again. `nil` when there is no timer.
    ///
    /// It lies after the last `advance`. For timers of later blocks it is the block's start, so a timer that is far
    /// away costs up to four wake-ups.
    public var next: Instant? {
        guard let tick = nextTick else { return nil }
        let (nanoseconds, overflow) = tick.multipliedReportingOverflow(by: Self.tickLength)
        return overflow ? .distantFuture : origin.advanced(nanoseconds: nanoseconds)
    }

    /// When the wheel has to look at a timer: its tick, or the beginning of the block that it waits for.
    private func wakeUp(for node: Node) -> Int64 {
        guard node.list < Self.overflow else { return ((current >> 32) + 1) << 32 }
        let shift = Int64(node.list >> 8) * 8
        return (node.tick >> shift) << shift
    }

    private func earliest() -> Int64? {
        guard count > 0 else { return nil }
        for level in 0..<4 {
            let shift = Int64(level * 8)
            if let slot = firstOccupied(level, after: Int(current >> shift & 255)) {
                return ((current >> (shift + 8)) << 8 | Int64(slot)) << shift
            }
        }
        return ((current >> 32) + 1) << 32
    }

    /// Deals the lists of all blocks that begin at the current tick, the longest first.
    private mutating func enterBlocks() {
        guard current & 255 == 0 else { return }
        if current & 0xffff_ffff == 0 { deal(Self.overflow) }
        for level in [3, 2, 1] where current & (1 << Int64(level * 8) - 1) == 0 {
            deal(level * 256 + Int(current >> Int64(level * 8) & 255))
        }
    }

    private mutating func deal(_ list: Int) {
        var index = heads[list]
        heads[list] = Self.none
        tails[list] = Self.none
        setOccupied(list, false)
        while index != Self.none {
            let next = nodes[Int(index)].next
            link(index)
            index = next
        }
    }

    private mutating func fire(_ due: inout [UInt64]) {
        let list = Int(current & 255)
        while heads[list] != Self.none {
            let index = heads[list]
            due.append(nodes[Int(index)].token)
            unlink(index)
            release(index)
        }
    }

    private mutating func link(_ index: UInt32) {
        let tick = nodes[Int(index)].tick
        let difference = UInt64(bitPattern: tick ^ current)
        let list: Int
        if difference >> 32 != 0 {
            list = Self.overflow
        } else {
            let level = difference < 256 ? 0 : (63 - difference.leadingZeroBitCount) >> 3
            list = level * 256 + Int(tick >> Int64(level * 8) & 255)
        }
        let last = tails[list]
        nodes[Int(index)].previous = last
        nodes[Int(index)].next = Self.none
        nodes[Int(index)].list = UInt32(list)
        tails[list] = index
        if last == Self.none {
            heads[list] = index
            setOccupied(list, true)
        } else {
            nodes[Int(last)].next = index
        }
    }

    private mutating func unlink(_ index: UInt32) {
        let node = nodes[Int(index)]
        let list = Int(node.list)
        if node.previous == Self.none { heads[list] = node.next } else { nodes[Int(node.previous)].next = node.next }
        if node.next == Self.none {
            tails[list] = node.previous
        } else {
            nodes[Int(node.next)].previous = node.previous
        }
        if heads[list] == Self.none { setOccupied(list, false) }
    }

    private mutating func release(_ index: UInt32) {
        nodes[Int(index)].list = Self.free
        nodes[Int(index)].generation &+= 1
        nodes[Int(index)].next = firstFree
        firstFree = index
        count -= 1
    }

    private mutating func setOccupied(_ list: Int, _ isOccupied: Bool) {
        guard list < Self.overflow else { return }
        let bit: UInt64 = 1 << UInt64(list & 63)
        if isOccupied { occupied[list >> 6] |= bit } else { occupied[list >> 6] &= ~bit }
    }

    private func firstOccupied(_ level: Int, after slot: Int) -> Int? {
        guard slot < 255 else { return nil }
        var word = (slot + 1) >> 6
        var bits = occupied[level * 4 + word] & (UInt64.max << UInt64((slot + 1) & 63))
        while bits == 0 {
            word += 1
            if word == 4 { return nil }
            bits = occupied[level * 4 + word]
        }
        return word * 64 + bits.trailingZeroBitCount
    }

    private func tick(notBefore instant: Instant) -> Int64 {
        let elapsed = max(instant.nanoseconds(since: origin), 0)
        return elapsed / Self.tickLength + (elapsed % Self.tickLength == 0 ? 0 : 1)
    }

    private func tick(reachedBy instant: Instant) -> Int64 {
        max(instant.nanoseconds(since: origin), 0) / Self.tickLength
    }
}
