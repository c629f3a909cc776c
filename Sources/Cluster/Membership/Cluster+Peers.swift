// Peers that come and go while the node runs: found under a name (`cluster.dns`) instead of listed, or listed anew.
//
// An address gets a lane, and the lane's position is the peer for the shell. Who is at the address is learnt as with a
// configured peer, from its frames and answers; names, views and quorum do not depend on lanes. A lane is given up only
// when its address is no longer found and nobody has been there for `forgetAfter`; the next new address gets it.

package import Primitives

extension Cluster {
    /// A new peer's address.
    /// - Returns: Its position, for `request` and `probe`; `nil` when it is known already, or at the limit.
    package mutating func addPeer(_ address: String, now: Instant) -> Int? {
        guard !lanes.contains(where: { $0.address == address && !$0.isVacant }) else { return nil }
        isMembershipStale = true
        let lane = RequestLane(address: address, now: now)
        if let vacant = lanes.firstIndex(where: \.isVacant) {
            lanes[vacant] = lane
            return vacant
        }
        guard lanes.count < ClusterSettings.laneLimit else { return nil }
        lanes.append(lane)
        return lanes.count - 1
    }

    /// The list of peers is complete, as far as anybody knows: without any the node may go on alone after the bootstrap
    /// time.
    package mutating func notePeersFound() {
        arePeersFound = true
        isMembershipStale = true
    }

    /// Addresses by position; `nil` for a position given up.
    package var peerAddresses: [String?] { lanes.map { $0.isVacant ? nil : $0.address } }

    /// Somebody else belongs to the cluster, as far as anybody knows.
    package var hasPeers: Bool { lanes.contains(where: \.isInUse) }

    /// Nobody is at a position, and nobody has been for `forgetAfter`.
    package func isForgotten(peer lane: Int, now: Instant) -> Bool {
        guard let peer = peers.first(where: { $0.index == lane }) else { return true }
        guard let since = peer.downSince, view.boot(of: peer.name) == nil else { return false }
        return now > since.advanced(by: settings.forgetAfter)
    }

    /// Who is heard at an address.
    package func memberHeard(at address: String) -> MemberID? {
        guard let lane = lanes.firstIndex(where: { $0.address == address && !$0.isVacant }) else { return nil }
        return peers.first { $0.index == lane && $0.verdict == .heard }?.id
    }

    /// Gives an address up because an operator took it out of the list. A member that was there and is dead is
    /// forgotten with it, unless the view still has it.
    /// - Returns: Its position.
    package mutating func dropPeer(_ address: String) -> Int? {
        guard let lane = lanes.firstIndex(where: { $0.address == address && !$0.isVacant }) else { return nil }
        let view = view
        peers.removeAll { $0.index == lane && $0.downSince != nil && view.boot(of: $0.name) == nil }
        removePeer(lane)
        return lane
    }

    /// Gives a position up.
    package mutating func removePeer(_ lane: Int) {
        guard lanes.indices.contains(lane) else { return }
        lanes[lane].vacate()
        for index in peers.indices where peers[index].index == lane { peers[index].index = nil }
        isMembershipStale = true
    }
}
