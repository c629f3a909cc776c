// What the cluster wants done, in the caller's reusable buffer. Ranges are in `arena` and stay valid until `removeAll`.
//
// Order: a `committed` comes after every fact that it speaks of was acknowledged; a `granted` after the last grant it
// needs. Frames leave only from `advance`, which the shell calls after each batch of events.

package import Primitives

package struct ClusterActions: Sendable {
    package var arena = ByteWriter()
    package var items: [ClusterAction] = []

    package init() {}

    package mutating func removeAll() {
        arena.removeAll()
        items.removeAll(keepingCapacity: true)
    }

    mutating func append(_ action: ClusterAction) { items.append(action) }
}

package enum ClusterAction: Equatable, Sendable {
    /// Send a frame to every peer.
    case publish(ByteRange)
    /// Ask a peer. Exactly one `receive(reply:)` with this id is expected, with `nil` for "no answer".
    case request(peer: Int, id: UInt64, ByteRange)
    case reply(token: UInt64, ByteRange)
    /// Find out whether anybody listens on the peer's bus port.
    case probe(peer: Int)
    /// Make the connections to a peer anew.
    case recycle(peer: Int)
    /// A wait is over. `acknowledged`: as many members as asked for have it in their records.
    case committed(token: UInt64, acknowledged: Bool)
    case granted(did: UInt64)
    /// Somebody knows better; what they know has been joined.
    case refused(did: UInt64)
    /// Everybody that is heard has said what it knows of a dialog, or will not; it has been joined.
    case questioned(did: UInt64)
    case viewChanged
    case stateChanged(MemberState)
    /// From this moment this node may act for others, or may not.
    case fitChanged
    /// A peer knew a higher boot of our name: this is ours from now on (R14).
    case rebooted(UInt64)
    /// A member asks something for an operator; the shell hands its answer to `answer`, late or never at worst.
    case inquiry(InquiryID, [UInt8])
    /// What became of one of our own.
    case inquired(token: UInt64, InquiryOutcome)
    case note(ClusterNote)
    /// End the process with this code.
    case exit(Int32)
}
