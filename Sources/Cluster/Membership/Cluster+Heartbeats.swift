// Making heartbeats, and taking in what the others' say.

internal import Primitives

extension Cluster {
    func heartbeat(_ store: some ReplicatedRecords, now: Instant) -> Heartbeat {
        var beat = Heartbeat()
        beat.state = state
        beat.isFit = isFit
        beat.view = view
        beat.promised = agreement.promised
        beat.accepted = agreement.accepted
        beat.value = agreement.value
        beat.opinions = peers.prefix(Heartbeat.limit).map { peer in
            Opinion(
                member: peer.id, verdict: peer.verdict, position: peer.stream.position ?? 0,
                known: peer.stream.highest, echo: peer.clock)
        }
        beat.lamport = lamport
        beat.last = outbound.last
        beat.root = store.rootDigest
        beat.live = UInt64(store.liveCount)
        beat.ready = readyEpoch
        beat.compared = comparedEpoch
        beat.hello = hello
        beat.isWitness = settings.isWitness
        beat.addresses = Array(addresses.prefix(Heartbeat.limit))
        return beat
    }

    mutating func absorb(
        _ beat: Heartbeat, from sender: MemberID, clock: UInt64, now: Instant, out: inout ClusterActions
    ) {
        guard let at = position(of: sender), clock >= peers[at].heartbeatClock else { return }
        peers[at].heartbeatClock = clock
        peers[at].hasHeartbeat = true
        // Who said farewell does not come back; a heartbeat that was overtaken must not undo it.
        let hasLeft = peers[at].heartbeat.state == .left
        let wasServing = isServing(at)
        peers[at].heartbeat = beat
        if hasLeft { peers[at].heartbeat.state = .left }
        peers[at].stream.know(beat.last)
        if !mutated("stamp-without-receive") { lamport = max(lamport, beat.lamport) }
        isMembershipStale = true
        for opinion in beat.opinions { hear(opinion, from: sender, now: now, out: &out) }
        hearView(beat, from: sender, out: &out, now: now)
        if wasServing != isServing(at) { settleWaits(&out) }
    }

    private mutating func hear(_ opinion: Opinion, from sender: MemberID, now: Instant, out: inout ClusterActions) {
        if opinion.member.name == localMember.name {
            hearOfNamesakes(opinion, now: now, out: &out)
            guard opinion.member.boot == localMember.boot else { return }
            acknowledge(opinion.position, by: sender, out: &out)
            if let wokeAt, opinion.echo >= wokeAt, view.contains(sender) { self.wokeAt = nil }
        } else if let at = position(of: opinion.member) {
            peers[at].stream.hear(opinion.known)
        }
    }

    mutating func hear(_ positions: [Position], from sender: MemberID, out: inout ClusterActions) {
        for position in positions {
            if position.member == localMember {
                acknowledge(position.position, by: sender, out: &out)
            } else if let at = self.position(of: position.member) {
                peers[at].stream.hear(position.known)
            }
        }
    }

    private mutating func acknowledge(_ position: UInt64, by sender: MemberID, out: inout ClusterActions) {
        guard let at = self.position(of: sender), position <= outbound.last, position > peers[at].acknowledged else {
            return
        }
        peers[at].acknowledged = position
        if peers[at].missedCommits >= 3 { out.append(.note(.peerCountsAgain(sender))) }
        peers[at].missedCommits = 0
        settleWaits(&out)
    }

    private mutating func hearView(_ beat: Heartbeat, from sender: MemberID, out: inout ClusterActions, now: Instant) {
        guard beat.view.epoch > 0 else { return }
        if beat.view.epoch > view.epoch || view.yields(to: beat.view) {
            adopt(beat.view, now: now, out: &out)
        }
        guard beat.view == view else { return }
        if agreement.hear(.init(of: sender, beat)) { isHeartbeatUrgent = true }
    }
}
