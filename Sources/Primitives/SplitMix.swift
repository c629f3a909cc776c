// SplitMix64 (Steele, Lea and Flood, 2014): the only source of chance of the core, the simulator and the tests, seeded
// by who runs them, so that one seed gives one trace. It spreads periodic work so that nodes started together do not
// work in step, and shares load by weight; nothing secret comes from it.

public struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// A number below `bound`, which is positive; the small bias of the remainder does not matter here.
    public mutating func next(below bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// The finalizer: a bijection of 64 bits in which every input bit moves every output bit.
    @inlinable
    public static func mix(_ word: UInt64) -> UInt64 {
        var mixed = word
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
