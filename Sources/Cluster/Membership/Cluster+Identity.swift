// Who a frame is from: names, boots and salts (R14).
//
// - An unknown name becomes a peer. A newer boot of a known name replaces the old process, unless that one is heard
//   right now.
// - A lower boot than the one known is not read; every heartbeat tells what is known, so its sender learns the number
//   and, while it joins, takes a higher one.
// - A view that has our name with a higher boot tells it as well: those who knew that process may all be gone.
// - Our own name with another salt is a second process with our name: the one with the lower boot goes on.

internal import Primitives

extension Cluster {
    /// The peer that sent this, `nil` when it is not to be read.
    mutating func identify(_ header: FrameHeader, now: Instant, out: inout ClusterActions) -> Int? {
        let sender = header.sender
        if sender.name == localMember.name {
            meetNamesake(header, out: &out)
            return nil
        }
        guard let at = peers.firstIndex(where: { $0.name == sender.name }) else {
            return admitPeer(header, now: now, out: &out)
        }
        let known = peers[at]
        if sender.boot == known.boot {
            guard header.salt == known.salt else {
                counters.duplicateName += 1
                noteOnce("duplicate \(sender.name)", .duplicateName(boot: sender.boot), &out)
                return nil
            }
            return at
        }
        if sender.boot < known.boot {
            counters.lowerBoot += 1
            noteOnce("lower \(sender.name) \(sender.boot)", .bootRefused(sender, known: known.boot), &out)
            return nil
        }
        let quiet = known.detector.lastHeard.advanced(by: Peer.challengeSilence) <= now
        guard quiet || known.detector.refusedAt != nil || known.heartbeat.state == .left else {
            counters.duplicateName += 1
            return nil
        }
        askOthersForAges(insteadOf: at)
        var peer = Peer(sender, salt: header.salt, now: now)
        peer.index = known.index
        if mutated("boot-in-stream") { peer.stream = known.stream }
        peers[at] = peer
        welcome(at, out: &out)
        return at
    }

    private mutating func admitPeer(_ header: FrameHeader, now: Instant, out: inout ClusterActions) -> Int? {
        if peers.count >= settings.memberLimit - 1 {
            let gone = peers.indices.filter { peers[$0].downSince != nil && view.boot(of: peers[$0].name) == nil }
            guard let oldest = gone.min(by: { (peers[$0].downSince ?? now) < (peers[$1].downSince ?? now) }) else {
                counters.tooManyMembers += 1
                noteOnce("too many", .tooManyMembers, &out)
                return nil
            }
            peers.remove(at: oldest)
        }
        var peer = Peer(header.sender, salt: header.salt, now: now)
        peer.index = lanes.firstIndex { $0.member?.name == peer.name }
        let at = peers.firstIndex { $0.name > peer.name } ?? peers.count
        peers.insert(peer, at: at)
        welcome(at, out: &out)
        return at
    }

    private mutating func welcome(_ at: Int, out: inout ClusterActions) {
        // Whoever is up follows a new process from its first fact; a joiner learns where to begin.
        if state.isServing, !settings.isWitness { peers[at].stream.begin() }
        isMembershipStale = true
        isHeartbeatUrgent = true
        out.append(.note(.peerHeard(peers[at].id)))
    }

    private mutating func meetNamesake(_ header: FrameHeader, out: inout ClusterActions) {
        guard header.salt != salt else { return counters.ownFrames += 1 }
        counters.duplicateName += 1
        noteOnce("namesake \(header.sender.boot)", .duplicateName(boot: header.sender.boot), &out)
        let theirs = (header.sender.boot, header.salt.high, header.salt.low)
        if theirs < (localMember.boot, salt.high, salt.low) { out.append(.exit(2)) }
    }

    /// What a peer's heartbeat says about the processes of our name.
    mutating func hearOfNamesakes(_ opinion: Opinion, now: Instant, out: inout ClusterActions) {
        guard opinion.member.boot != localMember.boot else {
            namesakeSince = nil
            return
        }
        if opinion.verdict == .heard {
            // For a moment after a quick restart this is only our predecessor.
            let since = namesakeSince ?? now
            namesakeSince = since
            guard now > since.advanced(by: .seconds(3)) else { return }
            noteOnce("namesake", .duplicateName(boot: opinion.member.boot), &out)
            out.append(.exit(2))
        } else {
            raiseBoot(above: opinion.member.boot, out: &out)
        }
    }

    /// How much higher than the next one a raised boot is at most.
    static let bootLeap = 65_536

    /// A process of our name had a boot at least as high: while we join we take a higher one. Without it a view that
    /// names the old process could never let us in. How much higher is drawn: who tells of the highest boot may not
    /// know the last process, which was raised likewise, and two processes with one boot would share a stream.
    mutating func raiseBoot(above known: UInt64, out: inout ClusterActions) {
        guard known > localMember.boot, state == .joining, !isMember, !mutated("boot-not-raised") else { return }
        let raised = known &+ 1 &+ UInt64(random.next(below: Self.bootLeap))
        guard raised > known else { return }  // It came over the network.
        out.append(.note(.bootRaised(from: localMember.boot, to: raised)))
        localMember.boot = raised
        let view = agreement.view
        agreement = ViewAgreement(localMember: localMember)
        agreement.adopt(view)
        // Who has read frames of the lower boot takes the higher for a new process, and compares digests with it.
        outbound.restart()
        waits.abandon { out.append(.committed(token: $0, acknowledged: false)) }
        chase = Chase()
        for index in peers.indices { peers[index].acknowledged = 0 }
        isHeartbeatUrgent = true
        out.append(.rebooted(localMember.boot))
    }
}
