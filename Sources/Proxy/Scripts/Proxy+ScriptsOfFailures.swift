// Two points of scripts that are not on a request's straight way: a branch that has failed, and a request that the
// cluster makes itself (`ScriptPoint`).
//
// A branch that is asked about has ended, but nothing follows from it yet: no other address is tried, no 6xx ends the
// others, no best response is chosen. Targets that the script adds are tried beside those that still run; after a 6xx
// they are tried in its place.

import Dialogs
import Primitives
import SIP

extension Proxy {
    // MARK: Branches that failed

    /// Asks about a branch that has its final status.
    /// - Returns: Whether what follows from it waits.
    mutating func askAboutFailure(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ end: BranchEnd
    ) -> Bool {
        guard scriptPoints.contains(.branchFailure), context.kind == .forwarded, !context.cancelled,
            context.endCode == nil, context.lastStatus < 200, context.held.isEmpty,
            let status = context.branches[index].final, status >= 300, context.branches[index].place != nil
        else { return false }
        guard let token = scripts.keep(.branchFailure(id, index, end), now: now) else {
            counters.scriptsRefused += 1
            return false
        }
        context.branches[index].isFailureAsked = true
        ask(
            token, .branchFailure(index, status: status), context.template, context, id,
            reply: context.branches[index].response)
        return true
    }

    mutating func goOn(
        _ id: SlotID, failed index: Int, _ end: BranchEnd, _ verdict: FinalVerdict, dialogs: inout DialogTable
    ) {
        guard var context = take(id) else { return }
        if context.branches.indices.contains(index), context.branches[index].isFailureAsked {
            context.branches[index].isFailureAsked = false
            var isTakenOn = false
            if case .retry(let targets, let bytes, let times) = verdict, !context.cancelled, !context.isClosed,
                let place = context.branches[index].place
            {
                context.times = times
                add(targets, bytes, to: &context, group: context.targets[Int(place)].group)
                isTakenOn = true
            }
            follow(&context, id, branch: index, end, isTakenOn: isTakenOn, dialogs: &dialogs)
        }
        finish(consume context, id)
    }

    // MARK: Requests of the cluster's

    /// Asks about a request that is to be sent for the first time.
    /// - Returns: False when it is to be sent as it is.
    mutating func askAboutOwn(_ request: OwnRequest, _ index: Int, _ id: SlotID) -> Bool {
        guard scriptPoints.contains(.local) else { return false }
        guard let token = scripts.keep(.local(id, index), now: now) else {
            counters.scriptsRefused += 1
            return false
        }
        let part = request.parts[index]
        let own =
            settings.listeners.indices.contains(Int(part.listener.rawValue))
            ? settings.listeners[Int(part.listener.rawValue)] : .none
        var question = ScriptQuestion(
            token: token, point: .local, bytes: part.sent, source: own, listener: part.listener, flow: .none,
            did: request.did, isInDialog: request.did != nil, transaction: 0)
        question.target = part.target
        effects.items.append(.ask(question))
        return true
    }

    mutating func goOn(_ id: SlotID, own index: Int, _ verdict: MessageVerdict, dialogs: inout DialogTable) {
        guard var request = ownRequests.take(id) else { return }
        if request.parts.indices.contains(index), request.parts[index].final == nil {
            switch verdict {
            case .drop: end(&request, index, .unsent, dialogs: &dialogs)
            case .goOn(let bytes):
                if isChange(bytes, of: request.parts[index].sent) { request.parts[index].sent = bytes }
                send(&request, index, id)
            }
        }
        finish(request, id)
    }
}
