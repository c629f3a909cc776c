// How soon what one node has is everywhere, where little is wrong: single frames that are lost (`drop`), or nodes that
// are killed as they send a 2xx and do not return (`marksman`). There each mechanism that spreads facts has to do it in
// its own time, and cannot leave it to the next: a gap in a stream is asked for when it shows, long before replicas are
// compared; what a dead node had told one only, the others have when they have agreed that it is dead (R17).

internal import Dialogs
internal import Node
internal import SIP

/// The furthest state that a call has on any node, and since when.
struct SpreadMark {
    var state = DialogState.unconfirmed
    var since: Nanoseconds = .max
}

extension World {
    /// How long a node may lack what another has; `nil` where more is wrong than this check can tell apart.
    private var spreadBound: Nanoseconds? {
        let way = plan.bus.latency + plan.bus.jitter
        guard plan.bus.lossPerMille == 0, disturbances.isQuiet, hosts.allSatisfy({ $0.isRunning || $0.isGone }) else {
            return nil
        }
        if plan.faults == [.drop], way < .milliseconds(8) {
            return disturbances.isQuiet(for: .seconds(3), at: now) ? .milliseconds(750) : nil
        }
        guard plan.faults == [.marksman] else { return nil }
        return .milliseconds(500) + 8 * way
    }

    /// At each look: does every node have what one has had for long enough?
    func lookAtSpread(_ call: CallTruth) {
        guard let did = call.did else { return }
        var states: [(host: Host, state: DialogState?)] = []
        for host in nodes where host.isRunning {
            guard let node = host.node, NodeInspection.isServing(node) else { return call.spread = SpreadMark() }
            states.append((host, NodeInspection.dialogState(did, node)))
        }
        let furthest = states.compactMap(\.state).max() ?? .unconfirmed
        if furthest != call.spread.state || call.spread.since == .max {
            call.spread = SpreadMark(state: furthest, since: now)
        }
        guard let bound = spreadBound else { return }
        // Members agree on a death when their suspicion time is over and a probe was refused.
        let since = max(call.spread.since, checks.lastDeath + .milliseconds(600))
        guard now - since > bound, now - since <= bound + World.sampleInterval, furthest != .deleted else { return }
        ran("5s")
        for (host, state) in states where (state ?? .unconfirmed) < furthest {
            violate(
                "5s", call: call.index, node: host.index,
                "has it as \(state.map { "\($0)" } ?? "nothing"), \((now - call.spread.since).inMilliseconds) ms after "
                    + "another has it as \(furthest)")
        }
    }

    /// How far apart replicas of one deadline may be: what a frame took longer than the quickest is taken off, so what
    /// is left is how much quicker the quickest may have been than any.
    static let agePrecision = Nanoseconds.milliseconds(300)

    /// A record's age comes with it, and what it took on its way is added: replicas agree on when its time is up.
    func lookAtAges(_ call: CallTruth) {
        guard let did = call.did, disturbances.isQuiet(for: .seconds(3), at: now), !losesFrames else { return }
        var known: [(host: Host, stamp: UInt64, deadline: Nanoseconds)] = []
        for host in nodes where host.isRunning && host.servingSince < now - .seconds(3) {
            guard let node = host.node, let record = NodeInspection.record(did, node, host), record.state != .deleted,
                record.deadline > .min
            else { continue }
            known.append((host, NodeInspection.stamp(did, node), record.deadline))
        }
        guard let first = known.first else { return }
        ran("age")
        for other in known.dropFirst() where other.stamp == first.stamp {
            let apart = abs(other.deadline - first.deadline)
            guard apart > World.agePrecision else { continue }
            violate(
                "age", call: call.index, node: other.host.index,
                "has its deadline \(apart.inMilliseconds) ms away from where \(first.host.name) has it")
        }
    }

    /// Who has the ACK as a fact has the lifetime that the 2xx gave, too: the ACK says it again.
    func lookAtAcknowledged(_ host: Host) {
        guard plan.faults.contains(.drop), let node = host.node else { return }
        for call in truth {
            guard let did = call.did, call.confirmedAt != nil, !call.isEnding, call.askedAt == nil, call.byes.isEmpty,
                !plan.hasTimers, !call.isForked, call.plan.isPlain,
                let known = NodeInspection.record(did, node, host), known.state == .confirmed
            else { continue }
            ran("S1-5")
            guard NodeInspection.generation(did, node) == 0 else { continue }
            violate(
                "S1-5", call: call.index, node: host.index,
                "has the ACK, and the deadline that it had before: \(known.deadline.inMilliseconds)")
        }
    }
}
