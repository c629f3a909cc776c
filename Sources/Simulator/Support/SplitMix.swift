// SplitMix is the simulator's only source of chance: everything a run does follows from the state it starts with.
//
// The generator is splitmix64 (Steele, Lea, Flood 2014): one addition and three mixes a draw, and any 64-bit seed is a
// good one, so seeds 1, 2, 3, … give unrelated runs. The draws below avoid floating-point library functions, whose last
// bit differs between machines; a seed must replay anywhere.

package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A generator of its own for one part of the run, so that a draw more there moves nothing elsewhere.
    package mutating func fork() -> SplitMix {
        SplitMix(seed: next())
    }

    /// A number in 0 ..< `bound`; 0 when the bound is not positive.
    package mutating func below(_ bound: Int) -> Int {
        guard bound > 0 else { return 0 }
        return Int(next() % UInt64(bound))
    }

    /// A number in the closed range.
    package mutating func between(_ low: Int64, _ high: Int64) -> Int64 {
        guard high > low else { return low }
        return low + Int64(next() % UInt64(high - low + 1))
    }

    /// True with the probability `perMille` ÷ 1000.
    package mutating func chance(perMille: Int) -> Bool {
        perMille > 0 && below(1000) < perMille
    }

    /// One element; the collection must not be empty.
    package mutating func pick<Element>(_ elements: [Element]) -> Element {
        precondition(!elements.isEmpty, "nothing to pick from")
        return elements[below(elements.count)]
    }

    /// `count` different elements in a drawn order, all of them when there are fewer.
    package mutating func sample<Element>(_ elements: [Element], _ count: Int) -> [Element] {
        var rest = elements
        var drawn: [Element] = []
        while !rest.isEmpty && drawn.count < count {
            drawn.append(rest.remove(at: below(rest.count)))
        }
        return drawn
    }
}
