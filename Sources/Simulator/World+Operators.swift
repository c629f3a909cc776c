// Somebody asks for the end of a call while its phones talk, at whichever node (`understudy dialogs end`), and the
// check that goes with it: such an end is final, whatever refreshes come after it on other nodes (`op`).

internal import Dialogs
internal import Node

extension World {
    func operatorEnds(_ call: Int) {
        let truth = truth[call]
        let candidates = nodes.filter { $0.isRunning && !$0.isPaused }
        guard let did = truth.did, truth.confirmedAt != nil, !truth.isEnding, !candidates.isEmpty else { return }
        let host = endRandom.pick(candidates)
        var report = EndReport.unknown
        drive(host) { node, time, out in
            report = node.endDialog(did: DialogID(rawValue: did).hex, now: time, into: &out)
        }
        log("\(host.name) is asked to end it: \(report)", call: call)
        guard report == .ending else { return }
        truth.askedAt = truth.askedAt ?? now
    }

    /// Who knows of the wish: a node that took it may die or be cut off before it has told anybody.
    func look(atAskedEnd call: CallTruth) {
        guard let did = call.did, call.askedAt != nil, call.askedKnowers.count < 2 else { return }
        for host in hosts where !call.askedKnowers.contains(host.process) {
            guard let node = host.node, NodeInspection.isExplicitEnd(did, node) else { continue }
            call.askedKnowers.append(host.process)
        }
        if call.askedKnowers.count >= 2 { call.askedSpreadAt = now }
    }

    /// From when two nodes know of the wish the call has no other deadline, whatever its phones do.
    func judgeAskedEnd(_ call: CallTruth) {
        guard let spread = call.askedSpreadAt, !call.isEnding || !call.byes.isEmpty else { return }
        ran("op")
        let bound =
            Nanoseconds.milliseconds(400 + 4 * 100 + 150 + 2 * 1_500 + 1_000) + .milliseconds(500) * Int64(plan.nodes)
        for leg in [Role.caller, .callee] where !phone(leg, of: call.index).hasVanished(at: now) {
            let end = call.endedAt[leg]?.at
            let start = max(spread, checks.lastUncalm(before: end ?? now))
            if let end, end <= start + bound { continue }
            untold(
                "op", call, knewAlive(call.askedKnowers),
                "its end was known by \(spread.inMilliseconds), the \(leg.name)'s came at \(end?.inMilliseconds ?? 0)")
        }
    }

    /// Makes the checkers believe that an end was asked for that no node knows of; only a test does.
    package func tamper(pretendingAskedEndOf call: Int) {
        let processes = hosts.filter(\.isRunning).map(\.process)
        truth[call].askedAt = now
        truth[call].askedKnowers = processes
        truth[call].askedSpreadAt = now
    }
}
