// OverdueEnds is the pace at which dialogs are ended whose time passed while this node could end none: it was not up,
// its peers told it of them after it had lost its disk, or it heard no majority.
//
// Each member asks for its own, one in `pace` times the members, so that the cluster ends two hundred a second. What
// counts is when the last one was asked for, not moments set before: a process that stood still would find them all
// gone by.

package import Primitives

package struct OverdueEnds: Sendable {
    /// From one dialog's end to the next one's, over the cluster.
    package static let pace: Duration = .milliseconds(5)
    /// How much of a delay is made up for.
    static let slack: Duration = .milliseconds(50)

    /// The live members that ask, this node with them.
    private var members = 1
    /// When another dialog may have its turn.
    private var next = Instant.zero
    /// The first moment that no dialog waits for.
    private var free = Instant.zero

    package init() {}

    private var gap: Duration { Self.pace * members }

    package mutating func share(among members: Int) { self.members = max(members, 1) }

    /// This node may end dialogs from now on: nobody waits for anything.
    package mutating func begin() { (next, free) = (.zero, .zero) }

    /// A dialog asks whether it is its turn.
    /// - Returns: `nil` where it is, or when it is to ask again.
    package mutating func wait(now: Instant) -> Instant? {
        if now >= next {
            next = max(next, now.advanced(by: .zero - Self.slack)).advanced(by: gap)
            return nil
        }
        let slot = max(free, next)
        free = slot.advanced(by: gap)
        return slot
    }
}
