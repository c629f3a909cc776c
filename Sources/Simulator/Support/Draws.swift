// What the simulator draws of SplitMix, its only source of chance: everything a run does follows from the state it
// starts with.
//
// Any 64-bit seed is a good one, so seeds 1, 2, 3, … give unrelated runs. The draws below avoid floating-point library
// functions, whose last bit differs between machines; a seed must replay anywhere.

package import Primitives

extension SplitMix {
    /// A generator of its own for one part of the run, so that a draw more there moves nothing elsewhere.
    package mutating func fork() -> SplitMix {
        SplitMix(seed: next())
    }

    /// A number in 0 ..< `bound`; 0 when the bound is not positive.
    package mutating func below(_ bound: Int) -> Int {
        bound > 0 ? next(below: bound) : 0
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
