// What a node may do in one turn, looked at as it does it and not by what comes of it: whoever is up holds what the
// members held (R11), whoever grants is fit and knows of nothing better in reach (R1), nobody takes itself for the only
// one left while the others are there (R13). Most mistakes of these kinds do no harm by chance, because another
// mechanism mends them a moment later.

internal import Dialogs
internal import Node
internal import Primitives

/// Where a node stood before and after a turn.
struct TurnMark: Equatable {
    /// Grants given, and questions asked, since its start.
    var grants: UInt64
    var asks: UInt64
    var epoch: UInt64
    var isFit: Bool
    var isJoining: Bool
}

/// A node's own word for an end, to itself or to another.
struct GivenGrant {
    var process: ProcessID
    var at: Nanoseconds
}

extension World {
    /// How long ago something must have been known to count as known everywhere in reach: a lost frame shows with the
    /// next heartbeat, and what it held is asked for at once.
    static let spreadTime = Nanoseconds.milliseconds(700)
    /// After a cut or a stop replicas are compared.
    static let comparingTime = Nanoseconds.milliseconds(2_500)

    func judgeTurn(_ host: Host, from before: TurnMark) {
        guard let node = host.node else { return }
        let after = NodeInspection.mark(of: node)
        guard after != before else { return }
        if before.isJoining != after.isJoining { host.servingSince = after.isJoining ? .max : now }
        if before.isJoining, !after.isJoining { checkJoined(host, node) }
        if !before.isFit, after.isFit {
            host.fitSince = now
            host.heardWhenFit = NodeInspection.heard(by: node, at: host.instant(now))
        }
        if after.grants != before.grants || after.asks != before.asks {
            noteGrants(host, node, isFit: before.isFit || after.isFit, toOthers: after.grants != before.grants)
        }
        if after.epoch != before.epoch { checkAlone(host, node) }
    }

    /// Nothing between two hosts has been wrong for so long, and the second has run all the time.
    func isInReach(_ other: Host, of host: Host, for span: Nanoseconds) -> Bool {
        other !== host && other.isRunning && links.areConnected(host.index, other.index)
            && checks.lastUncut < now - span && other.resumedAt < now - span && other.startedAt < now - span
    }

    /// Frames are lost in this run, or may have been until a moment ago.
    var losesFrames: Bool {
        plan.faults.contains(.loss) || !isHealed && plan.bus.lossPerMille > 0
    }

    // MARK: Joining

    /// R11: who is up has compared with every member that it hears, so it has what each of those had as it began.
    private func checkJoined(_ host: Host, _ node: RunningNode) {
        guard !host.isWitness else { return }
        let standing = NodeInspection.standing(of: node)
        for other in nodes where isInReach(other, of: host, for: now - host.startedAt + .milliseconds(500)) {
            guard let theirs = other.node, other.servingSince < host.startedAt, standing.view.contains(other.name)
            else {
                continue
            }
            ran("R11")
            for call in truth {
                guard let did = call.did, let seen = call.firstSeen[other.process], seen < host.startedAt,
                    call.recordLostAt < host.startedAt,
                    let known = NodeInspection.record(did, theirs, other), known.state != .deleted,
                    NodeInspection.dialogState(did, node) == nil
                else { continue }
                violate(
                    "R11", call: call.index, node: host.index,
                    "is up and lacks the record that \(other.name) has had since \(seen.inMilliseconds)")
            }
        }
    }

    // MARK: Granting

    private func noteGrants(_ host: Host, _ node: RunningNode, isFit: Bool, toOthers: Bool) {
        let time = host.instant(now)
        for call in truth {
            guard let did = call.did, let isBehind = NodeInspection.isWordBehind(did, node, at: time) else { continue }
            call.grants.append(GivenGrant(process: host.process, at: now))
            ran("R1")
            if toOthers, !isFit {
                violate("R1", call: call.index, node: host.index, "grants an end and is not fit")
            }
            if isBehind {
                violate("R1", call: call.index, node: host.index, "grants an end at a deadline that its record has not")
            }
            checkKnowledge(call, did, host, node)
            if !toOthers { checkRefused(call, did, host, node) }
        }
    }

    /// Whoever grants must know what was committed before, where somebody in reach does: itself, to begin with.
    private func checkKnowledge(_ call: CallTruth, _ did: UInt64, _ host: Host, _ node: RunningNode) {
        // Whom a cut keeps from who committed it has that from the others, within a comparison or two.
        guard links.isWhole, !call.isEnding, call.askedAt == nil, !plan.hasTimers, !losesFrames,
            now - call.committedAt > World.spreadTime, now - call.recordLostAt > .seconds(3),
            let own = NodeInspection.record(did, node, host), own.state != .deleted,
            own.deadline + .seconds(1) < call.committedDeadline
        else { return }
        // Who had no quorum holds back until it has compared with all that it hears. What else it lacks after a cut
        // comes within a comparison.
        let isNewlyFit = host.fitSince > now - World.comparingTime
        guard isNewlyFit || max(host.resumedAt, host.startedAt) < now - World.comparingTime else { return }
        let knowing = call.deadlineKnowers.filter { process in
            let other = hosts[process.host]
            guard other.process == process, let theirs = other.node, NodeInspection.isServing(theirs) else {
                return false
            }
            guard isNewlyFit else { return isInReach(other, of: host, for: World.comparingTime) }
            return host.heardWhenFit.contains(other.name) && call.committedAt < host.fitSince - World.spreadTime
                && isInReach(other, of: host, for: 0)
        }
        guard let first = knowing.first else { return }
        violate(
            "R1", call: call.index, node: host.index,
            "grants an end \((call.committedDeadline - own.deadline).inMilliseconds) ms early, which "
                + "\(hosts[first.host].name) in reach knows better since \(call.committedAt.inMilliseconds)")
    }

    /// Whoever asks about a deadline that somebody in reach knows to be over is told so with the refusal, and asks no
    /// more.
    private func checkRefused(_ call: CallTruth, _ did: UInt64, _ host: Host, _ node: RunningNode) {
        let knows = call.deadlineKnowers.contains { process in
            let other = hosts[process.host]
            return other.process == process && isInReach(other, of: host, for: .milliseconds(300))
                && other.servingSince < now - .seconds(1) && NodeInspection.standing(of: node).view.contains(other.name)
        }
        guard !losesFrames, !call.isEnding, call.askedAt == nil, !plan.hasTimers, knows,
            now - call.recordLostAt > .seconds(3), let own = NodeInspection.record(did, node, host),
            own.deadline + .seconds(1) < call.committedDeadline
        else { return call.askedBehind[host.process] = nil }
        // A question about a deadline that it has learned since is another one.
        let last = call.askedBehind[host.process].flatMap { $0.deadline == own.deadline ? $0.since : nil }
        let since = last ?? now
        call.askedBehind[host.process] = (since, own.deadline)
        guard now - since > .milliseconds(250) else { return }
        violate(
            "R1", call: call.index, node: host.index,
            "asks for an end since \(since.inMilliseconds) that somebody in reach knows to be too early")
    }

    /// R1: who acts has the word of more than half of its view's nodes, its own among them, none of it old.
    func checkVoices(_ host: Host, _ call: CallTruth, _ bye: GeneratedBye) {
        guard bye.place == call.kept, call.confirmedAt != nil, !call.isEnding, call.failure == nil,
            call.cancelledAt == nil, !call.wasRefused, !call.wasEndedApart, !call.isForked, call.plan.isPlain,
            let node = host.node
        else { return }
        let members = NodeInspection.standing(of: node).view.filter { name in nodes.contains { $0.name == name } }
        // Half of an intent's life, and what a frame takes.
        let oldest = now - .milliseconds(750) - .milliseconds(100) - 2 * (plan.bus.latency + plan.bus.jitter)
        // An heir that ends a ringing call asks nobody for a word: it had asked what they know.
        guard let did = call.did, let given = NodeInspection.lastWord(did, node), host.virtualTime(given) >= oldest
        else {
            return looksAway("R1", "an end that is not by its time")
        }
        let voices = members.filter { name in
            name == host.name || call.grants.contains { $0.at >= oldest && hosts[$0.process.host].name == name }
        }
        ran("R1")
        // What moves the deadline may be on its way as the time is up: it is let come in for 150 ms.
        if call.askedAt == nil, !plan.hasTimers, plan.calls[call.index].forgets == nil,
            let own = NodeInspection.record(did, node, host), own.deadline + .milliseconds(149) > now
        {
            violate(
                "R1", call: call.index, node: host.index,
                "ends it \((now - own.deadline).inMilliseconds) ms after its deadline, with no time to settle")
        }
        guard 2 * voices.count <= members.count else { return }
        violate(
            "R1", call: call.index, node: host.index,
            "ends it with the word of \(voices) only, of its view \(members)")
    }

    // MARK: Being alone, and asleep

    /// R13: who was stopped for longer than a suspicion knows that it was, and holds back until it is answered.
    func checkAwake(_ host: Host, _ wasFit: Bool) {
        guard wasFit, let node = host.node, now - host.pausedSince > .milliseconds(600) else { return }
        let standing = NodeInspection.standing(of: node)
        guard standing.view != [host.name] else { return }
        ran("R13")
        guard NodeInspection.mark(of: node).isFit else { return }
        violate(
            "R13", node: host.index,
            "was stopped for \((now - host.pausedSince).inMilliseconds) ms and is fit as if it had not been")
    }

    /// R13: nobody takes itself for the only one left while another is there and has been all the time.
    private func checkAlone(_ host: Host, _ node: RunningNode) {
        guard !losesFrames else { return }
        let standing = NodeInspection.standing(of: node)
        guard standing.view == [host.name], standing.epoch > 1 else { return }
        ran("R13")
        for other in hosts where isInReach(other, of: host, for: .seconds(2)) {
            guard let theirs = other.node, NodeInspection.isServing(theirs) || other.isWitness else { continue }
            violate("R13", node: host.index, "takes itself for the only one left, and \(other.name) is there")
            return
        }
    }
}
