// What a cluster machine works with: plain values that the node maps from its validated settings. Bounds live here too,
// so that a test can make them small enough to reach.

/// When a survivor may act without a majority (R3).
package enum QuorumRule: Sendable {
    /// A majority; the last of two on proof of death at once, of two configured nodes also on silence after a grace.
    case auto
    /// A majority, always.
    case majority
}

package struct ClusterSettings: Sendable {
    /// How long tombstones are kept at least, where nobody says otherwise.
    package static let standardHorizon = Duration.seconds(60)

    /// Cluster name; frames of another one are never applied.
    package var name = "understudy"
    /// This node's name, 1 to 32 bytes.
    package var nodeName: String
    /// The peers' bus addresses as configured; a peer's index is its position here. At most `laneLimit`.
    package var peers: [String] = []
    /// Peers are found while the node runs, `Cluster.addPeer`: an empty list does not mean that there are none.
    package var findsPeers = false
    /// This process votes and keeps nothing: a third vote for two nodes (`Cluster+Witness`).
    package var isWitness = false
    package var heartbeat: Duration = .milliseconds(100)
    /// Silence after which a member is suspected: the floor; measured jitter raises it up to the ceiling.
    package var suspicion: Duration = .milliseconds(400)
    package var suspicionCeiling: Duration = .seconds(2)
    package var quorum = QuorumRule.auto
    /// A majority without any member waits so long for the rest before it forms the first view.
    package var bootstrapAfter: Duration = .seconds(30)
    /// With `auto` and two configured nodes: how much longer than the suspicion a silent peer is waited for.
    package var loneGrace: Duration = .seconds(60)
    /// How long a fact may wait for company in its frame.
    package var linger: Duration = .milliseconds(5)
    /// A granted intent is final for so long; grants older than half of it do not count.
    package var intentLife: Duration = .milliseconds(1_500)
    /// How often an ungranted intent is asked again.
    package var askInterval: Duration = .milliseconds(100)
    /// Tombstones are kept at least so long; frames older than half of it are treated as a gap.
    package var horizon = standardHorizon
    /// Inquiries must carry a code: the cluster has a key.
    package var requiresCodes = false
    /// A member that is down longer holds back no tombstone, and leaves the list of members.
    package var forgetAfter: Duration = .seconds(3_600)
    /// Mean time between two digest comparisons.
    package var compareInterval: Duration = .seconds(1)
    /// Buckets that changed later than this ago are left out of a periodic comparison.
    package var compareGrace: Duration = .seconds(1)
    /// While facts come in, so many buckets are compared at a time, a different stretch each: 1.5 KiB.
    package var compareSlice = 192
    /// A request without an answer is given up after so long, if the shell did not do so before.
    package var requestTimeout: Duration = .seconds(2)

    /// Sequences that can be asked for again; a peer further behind compares its replica instead. A power of two.
    package var ringCapacity = 65_536
    /// Commit waits at once; one more is answered at once, uncommitted.
    package var waitLimit = 65_536
    /// Open questions at once; one more is not asked, and counted.
    package var askLimit = 65_536
    /// Patches without a record, over all peers.
    package var parkedLimit = 4_096
    /// Tombstones tracked; at the limit the oldest is forgotten early, and counted.
    package var tombstoneLimit = 1_048_576
    /// Processes known by name, dead ones included.
    package var memberLimit = 64

    package init(nodeName: String) { self.nodeName = nodeName }

    /// Peers known by their addresses, those that are dead and not given up included.
    package static let laneLimit = 63
    /// Names longer than this make a frame malformed.
    package static let nameLimit = 64
}
