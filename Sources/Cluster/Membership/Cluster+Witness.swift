// A witness is a member that votes and keeps no records: the third voice of two nodes, so that the one that is left has
// a majority with it, and of two that cannot hear each other exactly one goes on (R3).
//
//   two nodes and a witness            who goes on
//   a node dies, or is cut off         the other, with the witness; at once on proof, else after the suspicion time
//   the witness dies, or is cut off    both nodes, as two (`surviveAlone` on proof only: three are configured)
//   the nodes hear it, not each other  the one that the witness accepts first; the other is outside and joins again
//   nobody hears anybody               nobody acts for others; calls go on
//
// It has a seat in the view, promises and accepts, and counts for the quorum. It knows how far each stream has come and
// tells so, as every member does. It never grants, acknowledges, compares, fetches, acts or is ranked: commits and
// grants are counted among those members that hold records (`holders`). Of a member that was never heard nobody knows
// that it is a witness; it counts as a holder until then, which only asks for more grants and more acknowledgements.
//
// A joiner that hears the witness and none of the nodes is not complete: it would come up with what it had before.

internal import Primitives

extension Cluster {
    /// The members of the view that hold records, as far as is known.
    var holders: [MemberID] { view.members.filter { !isWitness($0) } }

    package var isWitness: Bool { settings.isWitness }

    /// How many members of the view hold records: a commit and a grant must meet in one of them (R9).
    package var holderCount: Int { max(1, seatsOfHolders) }

    /// Counted where they are: each commit asks.
    var seatsOfHolders: Int { view.members.count { !isWitness($0) } }

    func isWitness(_ member: MemberID) -> Bool {
        if member == localMember { return settings.isWitness }
        return position(of: member).map { peers[$0].heartbeat.isWitness } ?? false
    }

    /// Replicas are compared between those that have one.
    func comparesWith(_ at: Int) -> Bool { !settings.isWitness && !peers[at].heartbeat.isWitness }

    func isComparable(_ at: Int) -> Bool { peers[at].verdict == .heard && comparesWith(at) && isInView(at) }

    /// How many members take this one for dead, we among them. A witness that hears it, and us, breaks the tie: where
    /// at least half of the record holders have lost it, they and it cannot go on in one view, and the witness accepts
    /// the first that asks.
    func voices(against member: MemberID) -> Int {
        var (complaints, ties, losers) = (1, 0, settings.isWitness ? 0 : 1)
        for at in peers.indices where isHeardMember(at) {
            let opinion = peers[at].heartbeat.opinion(of: member.name)
            let isComplaint = opinion.map { $0.member == member && $0.verdict.isDead } ?? false
            if isComplaint { complaints += 1 }
            if isComplaint, !peers[at].heartbeat.isWitness { losers += 1 }
            if !isComplaint, peers[at].heartbeat.isWitness { ties += 1 }
        }
        guard ties > 0, !settings.isWitness, !isWitness(member), 2 * losers >= seatsOfHolders else { return complaints }
        return complaints + ties
    }

    /// A witness has nothing to compare: it is ready as soon as it hears a member, and up once it is in the view.
    mutating func progressWitness(_ out: inout ClusterActions) {
        tell(ready: heardCount == 0 ? 0 : view.epoch)
        guard isMember else { return }
        change(to: .up, out: &out)
    }

    mutating func tell(ready epoch: UInt64) {
        guard epoch != readyEpoch else { return }
        readyEpoch = epoch
        isHeartbeatUrgent = true
    }
}
