// An outage ends every process at once, and starts them again from their disks, of which one may be lost, or be an old
// copy. It is drawn by a source of chance of its own, and only where it is asked for: no other plan is another for it.

internal import Primitives

/// What happens to a disk while everything is down.
enum DiskTrouble: Equatable, Sendable {
    case none
    case lost(Int)
    /// A copy from before takes its place, from which nobody has heard for two minutes.
    /// - Parameter outlivesEnds: The others have forgotten what is over: what only this one has is held back (R5).
    case old(Int, outlivesEnds: Bool)
}

struct OutagePlan: Equatable, Sendable {
    /// When the copy is made that may take a disk's place.
    var copied: Nanoseconds
    var struck: Nanoseconds
    /// Until the first process is started again.
    var downtime: Nanoseconds
    var trouble: DiskTrouble

    /// How old such a copy is: beyond the horizon within which disks are believed.
    static let copyAgeMilliseconds: Int64 = 120_000

    static func draw(_ seed: UInt64, nodes: Int) -> OutagePlan {
        var random = SplitMix(seed: seed ^ 0x4469_736B_734F_7574)
        let struck = Plan.firstCall + random.between(.seconds(4), .seconds(14))
        let host = random.below(nodes)
        let old = random.chance(perMille: 500)
        let trouble: DiskTrouble = random.pick([.none, .lost(host), .old(host, outlivesEnds: old)])
        let copied = struck - random.between(.seconds(1), .seconds(4))
        let downtime: Nanoseconds = random.pick([.milliseconds(200), .seconds(1), .seconds(4), .seconds(8)])
        return OutagePlan(
            copied: copied, struck: struck, downtime: downtime,
            // A cluster of one has nothing else.
            trouble: nodes == 1 ? .none : trouble)
    }
}
