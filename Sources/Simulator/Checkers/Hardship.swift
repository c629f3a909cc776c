// How hard a run was: what was done to its nodes and networks. A milder plan would turn every seed green and say
// nothing, so a test compares the mean of some seeds with what it was.

package struct Hardship: Equatable, Sendable {
    /// Strikes of the plan.
    package var faults = 0
    /// Processes killed, by whatever kind of fault.
    package var kills = 0
    /// Partitions, one-way cuts and pairs.
    package var cuts = 0
    /// Nodes stopped for a while.
    package var pauses = 0
    /// Frames that a peer never got although it was there, those kept for a healed connection left out.
    package var lostFrames = 0
    /// Datagrams lost on their way.
    package var lostDatagrams = 0

    package init() {}

    mutating func add(_ other: Hardship) {
        faults += other.faults
        kills += other.kills
        cuts += other.cuts
        pauses += other.pauses
        lostFrames += other.lostFrames
        lostDatagrams += other.lostDatagrams
    }

    /// For a person.
    var line: String {
        "\(faults) faults, \(kills) kills, \(cuts) cuts, \(pauses) pauses, \(lostFrames) frames and \(lostDatagrams) "
            + "datagrams lost"
    }
}
