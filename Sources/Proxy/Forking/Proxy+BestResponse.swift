// The answer that goes upstream when no branch has a 2xx (RFC 3261 §16.7 steps 6 to 8), with what RFC 4320 says of
// requests other than INVITE.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Challenges of other branches that are added to the one chosen, in bytes.
    static let challengeLimit = 16_384

    /// When every branch has ended without a 2xx, and no target is left: the best answer goes upstream (§16.7 steps 4
    /// to 8).
    mutating func chooseBest(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        for branch in context.branches where branch.final == nil || branch.isAnswered || branch.isFailureAsked {
            return
        }
        for target in context.targets
        where !context.isClosed && (target.state == .waiting || target.state == .resolving) { return }
        wheel.cancel(context.contextTimer)
        context.contextTimer = .none
        let (status, best) = bestResult(context)
        if leavesToOther(&context, status: status, dialogs: &dialogs) { return }
        if askAboutFinal(&context, id, status: status, branch: best) { return }
        if context.method == .invite {
            let told = context.endCode ?? (status == 503 ? 500 : status)
            learnFailure(context, status: told, dialogs: &dialogs)
        } else if context.method == .bye, status == 500, let best {
            endRefused(context, best, dialogs: &dialogs)
        }
        let response = best.map { context.branches[$0].response } ?? []
        if context.afterTheEnd, context.method == .bye, status == 481 || status == 408 {
            respond(200, &context, id)  // S1-9: the dialog is over for both.
        } else if let code = context.endCode {
            respond(code, &context, id)
        } else if status == 408, context.method != .invite {
            endInSilence(&context, id)
        } else if context.cancelled, response.isEmpty {
            respond(487, &context, id)
        } else if status == 503 {
            respond(500, &context, id)  // §16.7 step 6: ours is not overloaded.
        } else if response.isEmpty {
            respond(status, &context, id)
        } else if loadMessage(response), let via = try? message.topmostVia() {
            let bytes = responseWithChallenges(via, status, context, branch: best ?? 0)
            sendUpstream(bytes, status, &context, id)
        }
    }

    /// Status, and branch if it has one, of the best result.
    private func bestResult(_ context: ResponseContext) -> (status: Int, branch: Int?) {
        var best = (rank: Int.max, status: context.cancelled ? 487 : 408, branch: Int?.none)
        for index in context.branches.indices where !context.branches[index].isSuperseded {
            guard let status = context.branches[index].final else { continue }
            let rank = Self.rank(status, isCancelled: context.cancelled)
            if rank < best.rank { best = (rank, status, index) }
        }
        for target in context.targets {
            guard let status = target.failure else { continue }
            let rank = Self.rank(status, isCancelled: context.cancelled)
            if rank < best.rank { best = (rank, status, nil) }
        }
        return (best.status, best.branch)
    }

    /// Smaller is better: 6xx, then the lowest class, then what says most (§16.7 step 6). 487 is what a CANCEL asks
    /// for; when it was the proxy that cancelled it says nothing, and silence says least.
    static func rank(_ status: Int, isCancelled: Bool) -> Int {
        if status >= 600 { return 0 }
        let within: Int =
            switch status {
            case 401, 407, 415, 420, 484: 1
            case 487: isCancelled ? 0 : 7
            case 408: 9
            case 503: 9
            default: 5
            }
        return status / 100 * 10 + within
    }

    /// The response in `message` without our Via; a 401 or 407 has the challenges of all others, too (§16.7 step 7).
    private mutating func responseWithChallenges(
        _ via: Via, _ status: Int, _ context: ResponseContext, branch chosen: Int
    ) -> [UInt8] {
        guard status == 401 || status == 407, context.branches.count > 1 else {
            return responseWithoutVia(via, context, branch: chosen)
        }
        var lines = ByteWriter()
        for index in context.branches.indices where index != chosen && !context.branches[index].isSuperseded {
            let branch = context.branches[index]
            guard branch.final == 401 || branch.final == 407, loadStored(branch.response) else { continue }
            for field in stored.headers where field.name == .wwwAuthenticate || field.name == .proxyAuthenticate {
                guard lines.count + field.line.count <= Self.challengeLimit else {
                    counters.challengesLeftOut += 1
                    continue
                }
                lines.put(stored.bytes, field.line)
            }
        }
        editor.begin()
        editor.removeTopmost(via)
        let doubt = identityDoubt(from: context.branches[chosen].target, to: context.sender)
        Self.withholdIdentity(doubt, in: message, with: &editor)
        editor.insert(at: message.headersEnd) { $0.put(lines.bytes) }
        scratch.removeAll()
        editor.write(message, into: &scratch)
        return scratch.copy()
    }

    /// No 408 for a request other than INVITE: its sender has given up, or is about to (RFC 4320 §4.2). Until then its
    /// repetitions are absorbed.
    private mutating func endInSilence(_ context: inout ResponseContext, _ id: SlotID) {
        let end = context.startedAt.advanced(by: settings.timers.t1 * 64)
        if now >= end {
            endSilence(&context)
        } else {
            context.contextTimer = wheel.schedule(TimerToken(context: id, machine: .silence).rawValue, at: end)
        }
    }

    mutating func endSilence(_ context: inout ResponseContext) {
        context.contextTimer = .none
        if context.lastStatus < 200 { abandonServer(&context) }
    }
}
