// The look at every node, four times a second: who holds which record, whether anything that was deleted lives again
// (number 6), whether a record is lost while somebody who had it lives (number 1), whether the nodes could act at all.

internal import Dialogs
internal import Node

extension World {
    static let sampleInterval = Nanoseconds.milliseconds(250)
    /// How long a record that was gone everywhere may live again before the news of its end is joined to it.
    static let risingLimit = Nanoseconds.seconds(2)
    /// How long a record that one node was made to lose may be nobody else's: replicas are compared once a second, and
    /// what has changed within the last second is left out.
    static let mendingTime = Nanoseconds.seconds(3)

    /// Some node takes calls now.
    var isAnyTaking: Bool {
        nodes.contains { host in
            host.isRunning && host.node.map { NodeInspection.takesCalls($0) } == true
        }
    }

    func sample() {
        schedule(.sample, after: World.sampleInterval)
        if !couldAct { checks.uncalm.append(now) }
        if !disturbances.isQuiet { checks.troubled.append(now) }
        if !isAnyTaking { checks.takerless.append(now) }
        for call in truth where call.did != nil {
            look(at: call)
            lookAtSpread(call)
            lookAtAges(call)
        }
        lookAtWrites()
        lookAtOutage()
        lookAtRegistrations()
        if let point = checks.settlePoint { settle(point) }
    }

    /// The nodes that run have what they need to act for the dead: quorum, in one piece.
    private var couldAct: Bool {
        guard disturbances.isQuiet else { return false }
        let up = nodes.filter { host in
            host.isRunning && host.node.map { NodeInspection.hasQuorum($0) } == true
        }
        return !up.isEmpty && nodes.allSatisfy { host in !host.isRunning || up.contains { $0 === host } }
    }

    private func look(at call: CallTruth) {
        guard let did = call.did else { return }
        var isLive = false
        var isDeleted = false
        for host in hosts {
            guard let node = host.node else { continue }
            let known = NodeInspection.record(did, node, host)
            let sight: CheckState.Sight = known.map { $0.state == .deleted ? .deleted : .live } ?? .absent
            isLive = isLive || sight == .live
            isDeleted = isDeleted || sight == .deleted
            let before = checks.sight(of: call.index, host.process, calls: truth.count, now: sight)
            if sink != nil { logRecord(call, host, known) }
            if before == .deleted && sight == .live {
                violate("6", call: call.index, node: host.index, "a deleted record lives again")
            }
            if sight == .absent, before != .absent { checkForgotten(call, host, wasOver: before == .deleted) }
            if sight == .deleted, before != .deleted {
                call.endKnowers.append(host.process)
                // Which record is the call's shows with its first INVITE to a phone, and it may be over by then.
                let since = call.isLookedAt ? now : call.plan.start
                let place = CheckState.Place(process: host.process, call: call.index)
                checks.buriedAt[place] = since
                // A peer that heard of the end later may give it back: it was kept for its time then.
                checks.firstBuriedAt[place] = checks.firstBuriedAt[place] ?? since
                call.endKnownAt = call.endKnownAt ?? now
            }
            if known != nil, call.firstSeen[host.process] == nil { call.firstSeen[host.process] = now }
            note(call, host, known)
        }
        call.isLookedAt = true
        if call.isForked { look(atForked: call) }
        if call.plan.hunt != nil { look(atAttempt: call) }
        if call.plan.spiral != nil { look(atSpiral: call) }
        if call.askedAt != nil { look(atAskedEnd: call) }
        if isDeleted { ran("6") }
        if call.confirmedAt != nil, !call.isEnding, now < call.committedDeadline { ran("1") }
        rises(call, isLive: isLive, isDeleted: isDeleted)
        if !isLive && !isDeleted { lost(call) }
    }

    /// Who knows of which dialog, early or confirmed.
    private func note(_ call: CallTruth, _ host: Host, _ known: KnownRecord?) {
        guard let did = call.did, let known, known.state != .deleted, let node = host.node else { return }
        if call.plan.spiral != nil { notePasses(call, host, did, node) }
        if known.state == .confirmed { call.ackKnownAt = call.ackKnownAt ?? now }
        for place in call.dialogs.indices {
            let state =
                call.isForked
                ? NodeInspection.state(of: did, with: callees(of: call.index)[place].tag, node) : known.state
            guard let state, state >= .early, state != .deleted else { continue }
            if !call.dialogs[place].earlyHolders.contains(host.process) {
                call.dialogs[place].earlyHolders.append(host.process)
            }
            guard state >= .confirmedNotAcknowledged else { continue }
            if !call.dialogs[place].holders.contains(host.process) { call.dialogs[place].holders.append(host.process) }
            if hasServingPeer(host) { call.dialogs[place].sharedLooks += 1 }
        }
    }

    /// Another node serves, and the two hear each other.
    private func hasServingPeer(_ host: Host) -> Bool {
        nodes.contains { other in
            guard other !== host, !other.isPaused, let node = other.node else { return false }
            return NodeInspection.isServing(node) && links.areConnected(host.index, other.index)
                && links.areConnected(other.index, host.index)
        }
    }

    private func notePasses(_ call: CallTruth, _ host: Host, _ did: UInt64, _ node: RunningNode) {
        for (place, callee) in callees(of: call.index).enumerated()
        where callee.isRinging && !call.dialogs[place].passHolders.contains(host.process) {
            guard NodeInspection.hasPass(did, to: callee.user, node) else { continue }
            call.dialogs[place].passHolders.append(host.process)
            call.dialogs[place].passSeen[host.process] = now
        }
    }

    /// Each change of what a process has of a call, for the trace.
    private func logRecord(_ call: CallTruth, _ host: Host, _ known: KnownRecord?) {
        var text = known.map { "\($0.state) until \($0.deadline.inMilliseconds)" } ?? "no record"
        if let did = call.did, let node = host.node, known != nil { text += ": " + NodeInspection.summary(did, node) }
        guard (call.logged[host.process] ?? "no record") != text else { return }
        call.logged[host.process] = text
        log("\(host.name) has \(text)", call: call.index)
    }

    private func rises(_ call: CallTruth, isLive: Bool, isDeleted: Bool) {
        if isDeleted && !isLive { checks.isDead.insert(call.index) }
        // A node that was stopped or cut off may have read an old put and not its end yet: what counts is what lasts in
        // calm.
        guard checks.isDead.contains(call.index), isLive, disturbances.isQuiet else {
            checks.risenAt[call.index] = nil
            return
        }
        let since = checks.risenAt[call.index] ?? now
        checks.risenAt[call.index] = since
        guard now - since > World.risingLimit else { return }
        let text = "it was over on every node, and is live again somewhere"
        if call.endKnowers.contains(where: { checks.isAlive($0) }) {
            violate("6", call: call.index, text)
        } else {
            excuse("6", call: call.index, text + "; all who knew its end are dead")
        }
    }

    /// No process has the record of a confirmed call that nobody has ended, not even as a tombstone.
    private func lost(_ call: CallTruth) {
        guard call.confirmedAt != nil, !call.isEnding, call.byes.isEmpty, now < call.committedDeadline else { return }
        let living = call.dialog.holders.filter { checks.isAlive($0) }
        if !living.isEmpty {
            violate("1", call: call.index, "confirmed, and gone from \(living.map { hosts[$0.host].name }) who held it")
        } else {
            excuseLoss(call)
        }
    }

    /// Everyone who held it is dead: by nature, unless there was time to spread it.
    func excuseLoss(_ call: CallTruth) {
        // Who died before the caller had its 2xx, having seen it pass nearer to the callee, lost no call.
        let confirmed = call.confirmedAt ?? 0
        let holders = call.dialog.holders.filter { (checks.ends[$0] ?? .max) > confirmed }
        let deaths = holders.compactMap { checks.ends[$0] }.sorted()
        let names = holders.map { hosts[$0.host].name }
        switch holders.count {
        case 0 where call.dialog.wasRelayed || !call.dialog.confirmHolders.isEmpty:
            excuse("1relay", call: call.index, "its 2xx went through a node that knew nothing, and nobody alive did")
        case 0: violate("1", call: call.index, "its caller has a 2xx, and no process ever held it confirmed")
        case 1 where call.dialog.wasAlone || call.dialog.sharedLooks == 0:
            excuse("1lone", call: call.index, "its node was alone, and died")
        case 1 where call.dialog.wasUncommitted:
            excuse("1t", call: call.index, "its 2xx left after the commit timeout; \(names) died")
        case 1 where call.dialog.confirmHolders.count > 1:
            excuse(
                "1dbl", call: call.index, "\(call.dialog.confirmHolders.count) had it when it was confirmed; all died")
        case 1 where (deaths.last ?? 0) - call.recordLostAt < World.mendingTime:
            excuse("1dbl", call: call.index, "another was made to lose it, and \(names) died before they compared")
        case 1: violate("1", call: call.index, "lost with one death, of \(names)")
        default:
            let gap = (deaths.last ?? 0) - (deaths.first ?? 0)
            excuse("1dbl", call: call.index, "all \(names.count) who held it died, within \(gap.inMilliseconds) ms")
        }
    }
}

extension CheckState {
    /// Notes what a process has of a call now, and answers what it had before.
    func sight(of call: Int, _ process: ProcessID, calls: Int, now: Sight) -> Sight {
        var list = seen[process] ?? Array(repeating: .absent, count: calls)
        let before = list[call]
        list[call] = now
        seen[process] = list
        return before
    }
}

extension CallTruth {
    func forget(_ process: ProcessID) {
        for place in dialogs.indices { dialogs[place].forget(process) }
        deadlineKnowers.removeAll { $0 == process }
        ringKnowers.removeAll { $0 == process }
    }
}
