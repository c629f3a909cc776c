// Membership as one step, taken when something was heard or a moment has come: who is dead, which view is wanted,
// whether we are up, have quorum, are fit.
//
//   verdicts ──▶ bootstrap · lone survivor · agreement ──▶ view ──▶ state ──▶ quorum ──▶ fit ──▶ ranking

internal import Primitives

extension Cluster {
    mutating func evaluate(_ store: some ReplicatedRecords, now: Instant, out: inout ClusterActions) {
        isMembershipStale = false
        judgePeers(now, &out)
        fetchTails(now)
        forgetPeers(now)
        if settings.peers.isEmpty && !settings.findsPeers && view.epoch == 0 && state == .joining {
            adopt(View(epoch: 1, members: [localMember]), now: now, out: &out)
        }
        bootstrap(now, &out)
        surviveAlone(now, &out)
        agree(now, &out)
        progressJoin(now, &out)
        judgeQuorum(now, &out)
        judgeComparisons(now, &out)
        judgeFitness(now, &out)
        evaluateAt = nextEvaluation(now)
    }

    /// The next view stands; from here on a complete comparison with each of its members begins (R11, R17).
    mutating func adopt(_ next: View, now: Instant, out: inout ClusterActions) {
        agreement.adopt(next)
        epochBegan = now
        isHeartbeatUrgent = true
        isMembershipStale = true
        counters.viewChanges += 1
        out.append(.viewChanged)
        out.append(.note(.viewChanged(epoch: next.epoch, names: next.members.map(\.name))))
        // What the same frame grants us was granted to a member; we are none from here on.
        if !next.contains(localMember) { isFit = false }
        if !next.contains(localMember), state.isServing {
            joinBegan = now
            out.append(.note(.excluded(epoch: next.epoch)))
            change(to: .joining, out: &out)
        }
        if state == .joining { readyEpoch = 0 }
        if let known = next.boot(of: localMember.name) { raiseBoot(above: known, out: &out) }
        for index in peers.indices
        where next.contains(peers[index].id) && comparesWith(index) && !mutated("view-compares-not") {
            peers[index].want(sync: .complete)
        }
        settleWaits(&out)
    }

    // MARK: Verdicts

    private mutating func judgePeers(_ now: Instant, _ out: inout ClusterActions) {
        var changed = false
        for index in peers.indices {
            let verdict = peers[index].verdict(now, settings)
            guard verdict != peers[index].verdict else { continue }
            let wasDead = peers[index].verdict.isDead
            peers[index].verdict = verdict
            changed = true
            switch verdict {
            case .silent: out.append(.note(.peerSilent(peers[index].id)))
            case .refused: out.append(.note(.peerGone(peers[index].id)))
            case .left: out.append(.note(.peerLeft(peers[index].id)))
            case .heard, .unknown: out.append(.note(.peerHeard(peers[index].id)))
            }
            if verdict.isDead && !wasDead { peers[index].downSince = now }
            if !verdict.isDead { peers[index].downSince = nil }
            if verdict != .heard { askOthersForAges(insteadOf: index) }
        }
        if !unaskedAges.isEmpty { placeAges() }
        if changed {
            isHeartbeatUrgent = true
            out.append(.fitChanged)  // Who is live is asked with every message.
            settleWaits(&out)
        }
    }

    /// Records whose age a peer told wrong, and which it cannot be asked for any more, are asked of another: a deadline
    /// that is seconds late here would keep a refresh from moving it.
    mutating func askOthersForAges(insteadOf index: Int) {
        let misaged = peers[index].takeMisaged()
        let kept = min(misaged.count, Peer.agedLimit - unaskedAges.count)
        unaskedAges += misaged.prefix(kept)
        counters.agesLeftOut += UInt64(misaged.count - kept)
    }

    /// As soon as somebody is there to be asked: who joins may have no ages but ours.
    private mutating func placeAges() {
        guard let other = peers.indices.first(where: { isServing($0) && peers[$0].index != nil }) else { return }
        peers[other].takeOver(misaged: unaskedAges)
        unaskedAges = []
    }

    /// What a dead process said last, and another has of it, is fetched at once, also where no view follows: should
    /// that one die as well, nobody would have it (R17).
    private mutating func fetchTails(_ now: Instant) {
        guard !settings.isWitness else { return }
        for dead in peers.indices where peers[dead].verdict.isDead {
            guard let since = peers[dead].downSince, now < since.advanced(by: Self.tailTime),
                let known = peers[dead].stream.position
            else { continue }
            for index in peers.indices where isServing(index) && peers[index].session == nil {
                let opinion = peers[index].heartbeat.opinion(of: peers[dead].name)
                guard let opinion, opinion.member == peers[dead].id, opinion.position > known else { continue }
                peers[index].want(sync: .complete)
            }
        }
    }

    private static let tailTime = Duration.seconds(2)

    private mutating func forgetPeers(_ now: Instant) {
        let (view, patience) = (view, settings.forgetAfter)
        peers.removeAll { peer in
            guard let since = peer.downSince, view.boot(of: peer.name) == nil else { return false }
            return now > since.advanced(by: patience)
        }
    }

    /// Peers that are silent are probed; called with each `advance`.
    mutating func probe(_ now: Instant, _ out: inout ClusterActions) {
        for index in peers.indices {
            guard let lane = peers[index].index, peers[index].heartbeat.state != .left else { continue }
            if peers[index].detector.shouldProbe(now, settings) { out.append(.probe(peer: lane)) }
        }
    }

    // MARK: Forming views

    /// Without a member in sight the joiners themselves form a view: all known peers at once, or a majority after a
    /// while. The lowest name forms it, when everyone in it hears it and nobody lower. Who looks for peers and finds
    /// none but itself waits the while too, because they may only be late.
    private mutating func bootstrap(_ now: Instant, _ out: inout ClusterActions) {
        let isMemberless =
            state == .joining && !isMember
            && !peers.indices.contains { hears($0) && peers[$0].heartbeat.view.contains(peers[$0].id) }
        guard isMemberless else { return memberlessSince = now }
        let heard = peers.filter { $0.verdict == .heard && $0.hasHeartbeat }
        let present = heard.filter { $0.heartbeat.state == .joining }
        let configured = 1 + lanes.count(where: \.isInUse)
        let isOverdue = now >= memberlessSince.advanced(by: settings.bootstrapAfter)
        let isMajority = 2 * (present.count + 1) > configured
        let isLoneOfTwo = configured == 2 && settings.quorum == .auto && !settings.isWitness
        let isLone = !settings.isWitness && settings.findsPeers && arePeersFound && isOverdue
        let isEnough = present.count + 1 >= configured || isOverdue && (isMajority || isLoneOfTwo)
        guard configured > 1 ? isEnough : isLone else { return }
        let agrees = present.allSatisfy { peer in
            guard localMember.name < peer.name, let own = peer.heartbeat.opinion(of: localMember.name) else {
                return false
            }
            return own.member == localMember && own.verdict == .heard
                && peer.heartbeat.opinions.allSatisfy { $0.member.name >= localMember.name || $0.verdict != .heard }
        }
        guard agrees else { return }
        let epoch = max(view.epoch, heard.map(\.heartbeat.view.epoch).max() ?? 0) + 1
        adopt(View(epoch: epoch, members: (present.map(\.id) + [localMember]).sorted()), now: now, out: &out)
    }

    /// The last of a view of two goes on alone: on proof of death, or, of two configured nodes, on silence after a
    /// grace (R3).
    private mutating func surviveAlone(_ now: Instant, _ out: inout ClusterActions) {
        guard settings.quorum == .auto, state.isServing, isMember, view.members.count == 2, now >= holdUntil,
            let other = view.members.first(where: { $0 != localMember }), let at = place(of: other.name)
        else { return }
        let verdict = peers[at].verdict
        let proof = peers[at].boot > other.boot || verdict == .refused || verdict == .left
        let isOneOfTwo =
            lanes.count(where: \.isInUse) == 1 && !settings.isWitness || mutated("silence-is-proof")
        let patience = peers[at].detector.suspicion(settings) + settings.loneGrace
        let silence = isOneOfTwo && verdict == .silent && now > peers[at].detector.lastHeard.advanced(by: patience)
        guard proof || silence else { return }
        out.append(.note(.formedAlone(epoch: view.epoch + 1, proof: proof)))
        adopt(View(epoch: view.epoch + 1, members: [localMember]), now: now, out: &out)
    }

    private mutating func agree(_ now: Instant, _ out: inout ClusterActions) {
        guard isMember, state != .left, now >= holdUntil else { return }
        var shown: [ViewAgreement.Shown] = []
        for at in peers.indices where isHeardMember(at) && peers[at].heartbeat.view == agreement.view {
            shown.append(.init(of: peers[at].id, peers[at].heartbeat))
        }
        let situation = ViewAgreement.Situation(
            shown: shown, heardMembers: heardCount, goneSeats: agreement.view.members.count { isGone($0) },
            wanted: wantedView(), rank: ownRank, now: now)
        let step = agreement.step(situation)
        if step.changed { isHeartbeatUrgent = true }
        guard let members = step.decided else { return }
        adopt(View(epoch: view.epoch + 1, members: members), now: now, out: &out)
    }

    /// Our place among the members of the view that we hear.
    private var ownRank: Int { peers.indices.count { isHeardMember($0) && peers[$0].name < localMember.name } }

    /// Its process proved that it will never vote again.
    private func isGone(_ member: MemberID) -> Bool {
        guard let at = place(of: member.name) else { return false }
        let isOver = peers[at].verdict == .left || peers[at].verdict == .refused
        return peers[at].boot > member.boot || (peers[at].boot == member.boot && isOver)
    }

    /// The members we would agree to, `nil` when they are those of the view.
    private func wantedView() -> [MemberID]? {
        let seats = agreement.view.members.count
        let isMajorityHere = 2 * (heardCount + 1) > seats
        let ready = peers.indices.filter { at in
            peers[at].verdict == .heard && peers[at].heartbeat.state == .joining
                && peers[at].heartbeat.ready == agreement.view.epoch && !isInView(at)
        }
        var wanted = agreement.view.members.filter { member in
            guard member != localMember, let at = place(of: member.name) else { return true }
            if peers[at].boot > member.boot { return !isMajorityHere && !ready.contains(at) }
            if peers[at].verdict == .left { return false }
            guard peers[at].verdict.isDead else { return true }
            return 2 * voices(against: member) <= seats && !mutated("view-minority")
        }
        wanted += ready.map { peers[$0].id }.filter { joiner in !wanted.contains { $0.name == joiner.name } }
        wanted.sort()
        return wanted == agreement.view.members ? nil : wanted
    }

    // MARK: Our own standing

    /// A joiner compares itself with every live member, is taken into the view, and is up (R11).
    private mutating func progressJoin(_ now: Instant, _ out: inout ClusterActions) {
        guard state == .joining, view.epoch > 0 else { return }
        guard !settings.isWitness else { return progressWitness(&out) }
        var isComplete = true
        var (compared, unheard) = (0, 0)
        for member in view.members where member != localMember && !isWitness(member) {
            guard let at = position(of: member), hears(at) else {
                let isDead = peers.indices.contains { other in
                    guard isHeardMember(other) else { return false }
                    let opinion = peers[other].heartbeat.opinion(of: member.name)
                    return opinion.map { $0.member != member || $0.verdict.isDead } ?? false
                }
                let isOverdue = now > joinBegan.advanced(by: settings.suspicionCeiling)
                if !isDead && !isOverdue { isComplete = false }
                if !isDead { unheard += 1 }
                continue
            }
            guard peers[at].comparedAt.map({ $0 < joinBegan }) ?? true else {
                compared += 1
                continue
            }
            if mutated("join-blind") || compared > 0 && mutated("join-one") { continue }
            isComplete = false
            if peers[at].session == nil { peers[at].want(sync: .complete) }
        }
        let hearsWitness = peers.indices.contains { isHeardMember($0) && peers[$0].heartbeat.isWitness }
        if compared == 0, unheard > 0, hearsWitness { isComplete = false }
        tell(ready: isComplete && heardCount > 0 ? view.epoch : 0)
        guard isComplete, isMember else { return }
        for index in peers.indices { peers[index].stream.begin() }
        change(to: isDrainWanted ? .draining : .up, out: &out)
    }

    /// How many members of the view we hear, and do not take us for dead: who does hears neither our questions nor what
    /// we do, and is none of those that we act with.
    private var mutualCount: Int {
        peers.indices.count { at in
            guard isHeardMember(at) else { return false }
            guard let opinion = peers[at].heartbeat.opinion(of: localMember.name) else { return true }
            return opinion.member != localMember || !opinion.verdict.isDead
        }
    }

    private mutating func judgeQuorum(_ now: Instant, _ out: inout ClusterActions) {
        let held = isMember && 2 * (mutualCount + 1) > agreement.view.members.count
        guard held != hasQuorum else { return }
        hasQuorum = held
        guard state.isServing else { return }
        out.append(.note(held ? .quorumRegained : .quorumLost))
        if held {
            compareSince = now
            for index in peers.indices where isInView(index) && comparesWith(index) {
                peers[index].want(sync: .complete)
            }
        }
    }

    private mutating func judgeComparisons(_ now: Instant, _ out: inout ClusterActions) {
        let since = max(epochBegan, compareSince ?? epochBegan)
        for index in peers.indices where isComparable(index) {
            // A member may be heard for the first time only after the view came.
            let isCompared = peers[index].comparedAt.map { $0 >= since } ?? false
            if isMember, !isCompared, peers[index].session == nil, !mutated("view-compares-not") {
                peers[index].want(sync: .complete)
            }
        }
        var members: [Int] = []
        for index in peers.indices where isComparable(index) { members.append(index) }
        if isMember, comparedEpoch != view.epoch,
            members.allSatisfy({ (peers[$0].comparedAt ?? .zero) >= epochBegan }),
            members.count + 1 == seatsOfHolders
        {
            comparedEpoch = view.epoch
            out.append(.fitChanged)
        }
        if let since = compareSince {
            let compared = members.count { at in peers[at].comparedAt.map { $0 >= since } ?? false }
            // Who is heard and not compared yet may know a later deadline; it is waited for as long as an answer takes.
            let isPatient = now < since.advanced(by: settings.requestTimeout * 2)
            let isEnough = compared == members.count || !isPatient
            if isEnough, 2 * (compared + 1) > seatsOfHolders { compareSince = nil }
        }
    }

    private mutating func judgeFitness(_ now: Instant, _ out: inout ClusterActions) {
        if wokeAt != nil, agreement.view.members == [localMember] { wokeAt = nil }
        let isAble = state.isServing && isMember && (hasQuorum || mutated("quorum-ignored")) && !settings.isWitness
        let hasCompared = compareSince == nil || mutated("fit-at-once")
        let fit = isAble && now >= holdUntil && wokeAt == nil && hasCompared
        if fit != isFit {
            isFit = fit
            isHeartbeatUrgent = true
            out.append(.fitChanged)
        }
        var names: [String] = []
        for at in peers.indices where peers[at].heartbeat.isFit && isServing(at) && isInView(at) {
            names.append(peers[at].name)
        }
        if isFit { names.append(localMember.name) }
        ranking.set(names.sorted())
    }

    private func nextEvaluation(_ now: Instant) -> Instant {
        var next = now.advanced(by: settings.heartbeat)
        for at in peers.indices {
            let deadline = peers[at].detector.nextDeadline(now, settings)
            if let deadline, deadline > now { next = min(next, deadline) }
        }
        if now < holdUntil { next = min(next, holdUntil) }
        if let deadline = agreement.nextDeadline(rank: ownRank), deadline > now { next = min(next, deadline) }
        return next
    }
}
