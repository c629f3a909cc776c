// Checks of what the cluster promises of its own bookkeeping: that enough peers know a deadline when the 2xx that makes
// it leaves (`R9`), and that what is over is forgotten in time (number 8), but not before (`R5`).

internal import Dialogs
internal import SIP

extension CheckState {
    /// Replicas agree on a record's birth, and so on its deadline, to less than this. A refresh moves a deadline by
    /// more.
    static let refreshTolerance = Nanoseconds.seconds(1)

    /// The 2xx to a refresh leaves and counts as committed. Whoever ends the dialog must ask one that knows: as many
    /// peers as that takes have the deadline that it makes.
    func checkRefresh(
        _ host: Host, _ truth: CallTruth, _ found: AnswerName, until deadline: Nanoseconds, _ world: World
    ) {
        guard deadline > truth.committedDeadline + CheckState.refreshTolerance, truth.askedAt == nil, !truth.isEnding,
            truth.byes.isEmpty, !truth.wasRefused, !world.plan.hasTimers
        else { return looksAway("R9", "nothing moves, or an end") }
        guard let standing = host.node.map({ NodeInspection.standing(of: $0) }), standing.livePeers > 0 else { return }
        // A peer may have had it, and died, or was made to lose it, since it acknowledged.
        let isJustLost = world.now - truth.recordLostAt < .milliseconds(500)
        let justDied = isJustLost || ends.values.contains { world.now - $0 < .milliseconds(500) }
        let knowing = knowers(of: truth, world) { known in
            known.state == .deleted || known.deadline >= deadline - CheckState.refreshTolerance
        }
        ran("R9")
        let others = knowing.filter { $0.host != host.index }.count
        let members = standing.view.count { name in world.nodes.contains { $0.name == name } }
        let wanted = max(1, members - members / 2 - 1)
        guard others < wanted, !justDied else { return }
        let text =
            "the 2xx to the \(found.asker.name)'s \(found.method) leaves, counted as committed; \(others) of \(wanted) "
            + "peers have its deadline"
        // Sent on before the node was up, a request is passed and not timed: its 2xx goes on at once, too.
        if world.now - host.startedAt < .seconds(2) {
            world.excuse("R9", call: truth.index, "\(host.name): \(text); its node has just started")
        } else {
            world.violate("R9", call: truth.index, node: host.index, text)
        }
    }
}

extension World {
    /// R5: a record goes as a tombstone, and that not before its horizon, nor before every member has it.
    func checkForgotten(_ call: CallTruth, _ host: Host, wasOver: Bool) {
        ran("R5")
        let horizon = plan.options.tight ? World.tightHorizon : Nanoseconds.seconds(60)
        let age = now - (checks.firstBuriedAt[.init(process: host.process, call: call.index)] ?? now)
        guard wasOver, age >= horizon - World.sampleInterval else {
            return violate(
                "R5", call: call.index, node: host.index,
                wasOver
                    ? "forgets its tombstone after \(age.inMilliseconds) ms"
                    : "has lost its record, without a tombstone")
        }
        guard let node = host.node else { return }
        let members = NodeInspection.standing(of: node).view
        for other in nodes where other !== host && members.contains(other.name) {
            guard let did = call.did, let theirs = other.node, let state = NodeInspection.dialogState(did, theirs),
                state != .deleted
            else { continue }
            violate(
                "R5", call: call.index, node: host.index,
                "forgets its tombstone, and \(other.name), which is a member, has the record as live")
        }
    }

    /// How much later than the horizon a tombstone may go: members tell each other what they have once a second.
    static let buryingBound = Nanoseconds.seconds(10)

    /// Number 8: with all members there, nothing that is over is kept for ever.
    func checkTombstones(_ host: Host) {
        guard plan.options.tight, !hosts.contains(where: \.isGone), let node = host.node else { return }
        for call in truth {
            guard let did = call.did, let known = NodeInspection.record(did, node, host), known.state == .deleted,
                let since = checks.buriedAt[.init(process: host.process, call: call.index)]
            else { continue }
            let age = now - max(since, Plan.heal)
            guard age > World.tightHorizon + World.buryingBound else { continue }
            violate(
                "8", call: call.index, node: host.index,
                "has the tombstone for \(age.inMilliseconds) ms after it could go")
            return
        }
    }
}
