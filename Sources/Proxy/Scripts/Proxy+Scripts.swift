// Asking a script, and what follows from its verdicts (`ScriptPoint`). A request that is asked about has its server
// transaction already, so copies of it are absorbed and a CANCEL finds it, however long the script takes.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Carries a verdict out, and all that follows; one that nothing waits for any more is ignored.
    package mutating func decide(
        _ token: UInt64, _ verdict: ScriptVerdict, now: Instant, dialogs: inout DialogTable
    ) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let subject = scripts.take(token) else { return }
        carryOut(verdict, subject, dialogs: &dialogs)
    }

    /// Scripts that have said nothing for too long.
    mutating func expireScripts(dialogs: inout DialogTable) {
        for subject in scripts.expire(now: now) {
            counters.scriptsExpired += 1
            switch subject {
            case .request(let waited) where waited.plan.transaction == nil:
                carryOut(.request(RequestVerdict(.route)), subject, dialogs: &dialogs)
            case .request:
                let failure = RequestVerdict(.answer(status: 500, reason: [], lines: []))
                carryOut(.request(failure), subject, dialogs: &dialogs)
            case .branch, .response, .local, .acknowledgement: carryOut(.message(.goOn([])), subject, dialogs: &dialogs)
            case .branchFailure, .final: carryOut(.final(.best), subject, dialogs: &dialogs)
            }
        }
    }

    private mutating func carryOut(
        _ verdict: ScriptVerdict, _ subject: consuming ScriptRoom.Subject, dialogs: inout DialogTable
    ) {
        // One after the other: both as one value would be copied.
        switch subject {
        case .request(let waited):
            if case .request(let verdict) = verdict { return goOn(waited, verdict, dialogs: &dialogs) }
        case .branch(let id, let index):
            if case .message(let verdict) = verdict { return goOn(id, branch: index, verdict, dialogs: &dialogs) }
        case .response(let id, let number):
            if case .message(let verdict) = verdict { return goOn(id, response: number, verdict, dialogs: &dialogs) }
        case .branchFailure(let id, let index, let end):
            if case .final(let verdict) = verdict { return goOn(id, failed: index, end, verdict, dialogs: &dialogs) }
        case .final(let id):
            if case .final(let verdict) = verdict { return goOn(id, verdict, dialogs: &dialogs) }
        case .local(let id, let index):
            if case .message(let verdict) = verdict { return goOn(id, own: index, verdict, dialogs: &dialogs) }
        case .acknowledgement(let leaving):
            if case .message(let verdict) = verdict { return goOn(leaving, verdict) }
        }
        preconditionFailure("a verdict is of the kind that its question asks for")
    }

    mutating func ask(
        _ token: UInt64, _ point: ScriptQuestion.Point, _ bytes: [UInt8], _ context: ResponseContext, _ id: SlotID,
        reply: [UInt8] = []
    ) {
        var question = ScriptQuestion(
            token: token, point: point, bytes: bytes, source: context.sender, listener: context.near,
            flow: context.flow, did: context.did, isInDialog: !context.isInitial, transaction: Self.name(id))
        question.reply = reply
        if case .response = point { question.number = messageNumber }
        if case .branch(let index) = point { question.target = context.branches[index].target }
        effects.items.append(.ask(question))
    }

    /// Whether a script has made a message of one that still is that one: of the same method or kind, call,
    /// transaction. What it has not changed is empty; what does not fit is counted, and the message goes on as it was.
    /// - Parameter number: Of the message that the original is of (`loadMessage`).
    mutating func isChange(_ bytes: [UInt8], of original: [UInt8], number: UInt64 = 0) -> Bool {
        if bytes.isEmpty { return false }
        let isRead = isStored(bytes) || loadStored(bytes) && (try? stored.validate()) != nil
        if isRead, loadMessage(original, number: number), isSameTransaction() { return true }
        counters.scriptsUnreadable += 1
        return false
    }

    private func isSameTransaction() -> Bool {
        func same(_ left: ByteRange, _ right: ByteRange) -> Bool {
            Text.same(message.bytes, left, stored.bytes, right)
        }
        guard message.isRequest == stored.isRequest, message.method == stored.method,
            message.statusCode == stored.statusCode, same(message.callID, stored.callID),
            let (was, cSeq) = try? (message.cSeq(), stored.cSeq()), was.number == cSeq.number,
            was.method == cSeq.method,
            let (top, via) = try? (message.topmostVia(), stored.topmostVia())
        else { return false }
        return same(top.branch, via.branch) && same(top.sentBy, via.sentBy)
    }

    private static func name(_ id: SlotID) -> UInt64 { UInt64(id.generation) << 32 | UInt64(id.index) + 1 }

    // MARK: Requests

    /// Whether the request at hand is for a script to judge: what members pass on has been judged where it came in.
    func isForScript(_ plan: RequestPlan) -> Bool {
        scriptPoints.contains(.request) && !plan.isJudged && !plan.isOfController
            && !neighbours.isPeerAddress(plan.source)
    }

    /// Asks about the request at hand.
    /// - Returns: False when there is no room, and it goes on without a script.
    mutating func askAboutRequest(_ asMatched: RequestPlan, _ awaited: Awaited) -> Bool {
        var plan = asMatched
        plan.isJudged = true
        let request = message.method == .ack ? nil : openTransaction(&plan)
        let waited = WaitingRequest(bytes: message.snapshot(), plan: plan, stage: .route, number: messageNumber)
        guard message.method == .ack || request != nil, let token = scripts.keep(.request(waited), now: now) else {
            counters.scriptsRefused += 1
            if let id = plan.transaction, let context = take(id) { discard(context, id) }
            guard !plan.isInDialog, message.method != .ack else { return false }
            refuse(Refusal(503, retryAfter: 10), plan)
            return true
        }
        var question = ScriptQuestion(
            token: token, point: .request, bytes: waited.bytes, source: plan.source, listener: plan.near,
            flow: plan.arrivalFlow, did: plan.did, isInDialog: plan.isInDialog,
            transaction: plan.transaction.map(Self.name) ?? 0)
        question.number = messageNumber
        if case .registrar = awaited {
            effects.items.append(.locate(question))
        } else {
            effects.items.append(.ask(question))
        }
        return true
    }

    private mutating func goOn(_ waited: WaitingRequest, _ verdict: RequestVerdict, dialogs: inout DialogTable) {
        var plan = waited.plan
        arrivalFlow = plan.arrivalFlow
        if endsCancelled(plan) { return }
        guard isAtHand(waited, as: verdict.bytes), let via = try? message.topmostVia(),
            let cSeq = try? message.cSeq()
        else {
            answerForScript(500, [], [], plan)
            return
        }
        (plan.via, plan.cSeq) = (via, cSeq)
        if plan.isMoved { plan.cSeq.number &-= plan.shift }
        consumeRoutes(&plan, dialogs: dialogs)
        if let recordsRoute = verdict.recordsRoute { plan.recordsRoute = recordsRoute }
        if plan.createsDialog, !(verdict.tracksDialog ?? plan.recordsRoute) {
            plan.createsDialog = false
            plan.did = nil
        }
        plan.scriptChanges = verdict.changes
        plan.scriptLifetime = verdict.lifetimeMilliseconds
        plan.times = verdict.times
        plan.recordParameters = verdict.recordParameters
        switch verdict.fate {
        case .route: run(&plan, from: .route, dialogs: &dialogs)
        case .relay(let targets):
            plan.targets = reachableOrFailing(targets)
            run(&plan, from: .relay, dialogs: &dialogs)
        case .answer(let status, let reason, let lines): answerForScript(status, reason, lines, plan)
        case .drop: dropForScript(plan)
        }
    }

    /// Makes a request that waited the message at hand, as the script has changed it.
    private mutating func isAtHand(_ waited: WaitingRequest, as changed: [UInt8]) -> Bool {
        if changed.isEmpty { return loadMessage(waited.bytes, number: waited.number) }
        guard isChange(changed, of: waited.bytes, number: waited.number) else { return false }
        takeStored()
        return true
    }

    /// The request was cancelled while a script was asked.
    private mutating func endsCancelled(_ plan: RequestPlan) -> Bool {
        guard let id = plan.transaction, var context = take(id) else { return false }
        let isCancelled = context.cancelled
        if isCancelled { respond(487, &context, id) }
        finish(consume context, id)
        return isCancelled
    }

    private mutating func answerForScript(_ status: Int, _ reason: [UInt8], _ lines: [UInt8], _ plan: RequestPlan) {
        guard let id = plan.transaction, var context = take(id) else {
            counters.dropped += 1  // An ACK is never answered.
            return
        }
        counters.rejected += status >= 300 ? 1 : 0
        respond(status, reason: reason, &context, id) { $0.put(lines) }
        finish(consume context, id)
    }

    /// Nobody is told: copies of the request are swallowed until its sender has given up.
    private mutating func dropForScript(_ plan: RequestPlan) {
        counters.dropped += 1
        guard let id = plan.transaction, var context = take(id) else { return }
        let end = context.startedAt.advanced(by: settings.timers.t1 * 64)
        context.contextTimer = wheel.schedule(TimerToken(context: id, machine: .silence).rawValue, at: end)
        finish(consume context, id)
    }

    // MARK: Branches

    /// Asks about a branch that has been written.
    /// - Returns: False when it is to begin as it is.
    mutating func askAboutBranch(_ context: inout ResponseContext, _ id: SlotID, branch index: Int) -> Bool {
        guard scriptPoints.contains(.branch), context.kind == .forwarded else { return false }
        guard let token = scripts.keep(.branch(id, index), now: now) else {
            counters.scriptsRefused += 1
            return false
        }
        context.branches[index].isAsked = true
        ask(token, .branch(index), context.branches[index].sent, context, id)
        return true
    }

    private mutating func goOn(
        _ id: SlotID, branch index: Int, _ verdict: MessageVerdict, dialogs: inout DialogTable
    ) {
        guard var context = take(id) else { return }
        if context.branches.indices.contains(index), context.branches[index].isAsked {
            context.branches[index].isAsked = false
            switch verdict {
            case .drop:
                endUnbegun(&context, id, branch: index, 480, dialogs: &dialogs)
            case .goOn where context.isClosed:
                endUnbegun(&context, id, branch: index, 487, dialogs: &dialogs)
            case .goOn(let bytes):
                if isChange(bytes, of: context.branches[index].sent) {
                    (context.branches[index].sent, context.branches[index].outline) = (bytes, nil)
                    context.branches[index].datagram = []
                }
                learnBranch(context, index, dialogs: &dialogs)
                start(&context, branch: index, id)
            }
        }
        finish(consume context, id)
    }

    /// A branch that was never sent has ended: nobody is asked about its failure.
    private mutating func endUnbegun(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ status: Int, dialogs: inout DialogTable
    ) {
        context.branches[index].final = status
        terminateClient(&context, index)
        if context.branches[index].health != nil { noteEnd(of: context.branches[index], .answered) }
        follow(&context, id, branch: index, .answered, isTakenOn: false, dialogs: &dialogs)
    }

    // MARK: Responses

    /// Asks about the response at hand, unless it is to go on as it is: then behind those that were asked about before.
    /// - Returns: Whether it waits.
    mutating func askAboutResponse(_ context: inout ResponseContext, _ id: SlotID, branch index: Int) -> Bool {
        guard scriptPoints.contains(.response), context.kind == .forwarded else { return false }
        let number = context.responsesAsked &+ 1
        guard context.asked.count < ResponseContext.askedLimit,
            let token = scripts.keep(.response(id, number), now: now)
        else {
            counters.scriptsRefused += 1
            return false
        }
        context.responsesAsked = number
        let bytes = message.snapshot()
        context.asked.append(
            AskedResponse(
                number: number, bytes: bytes, branch: index, flow: arrivalFlow, messageNumber: messageNumber))
        ask(token, .response(index), bytes, context, id)
        return true
    }

    private mutating func goOn(
        _ id: SlotID, response number: UInt64, _ verdict: MessageVerdict, dialogs: inout DialogTable
    ) {
        guard var context = take(id) else { return }
        if let place = context.asked.firstIndex(where: { $0.number == number }) {
            context.asked[place].isJudged = true
            switch verdict {
            case .goOn(let bytes):
                let asked = context.asked[place]
                if isChange(bytes, of: asked.bytes, number: asked.messageNumber) {
                    (context.asked[place].bytes, context.asked[place].messageNumber) = (bytes, 0)
                }
            case .drop: context.asked[place].isDropped = true
            }
            while let first = context.asked.first, first.isJudged {
                context.asked.removeFirst()
                deliver(first, &context, id, dialogs: &dialogs)
            }
        }
        finish(consume context, id)
    }

    private mutating func deliver(
        _ response: AskedResponse, _ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable
    ) {
        guard loadMessage(response.bytes, number: response.messageNumber), let via = try? message.topmostVia() else {
            counters.dropped += 1
            return
        }
        arrivalFlow = response.flow
        if response.isDropped, message.statusCode < 200 {
            counters.dropped += 1
            return
        }
        deliver(&context, id, branch: response.branch, via, dialogs: &dialogs)
    }

    // MARK: The final response

    /// Asks before the best response goes upstream, once a round.
    /// - Returns: Whether it waits.
    mutating func askAboutFinal(
        _ context: inout ResponseContext, _ id: SlotID, status: Int, branch: Int?
    ) -> Bool {
        if context.final == .asked { return true }
        guard scriptPoints.contains(.final), context.kind == .forwarded, context.final == .open, !context.cancelled,
            context.endCode == nil
        else { return false }
        guard let token = scripts.keep(.final(id), now: now) else {
            counters.scriptsRefused += 1
            return false
        }
        context.final = .asked
        let reply = branch.map { context.branches[$0].response } ?? []
        ask(token, .final(status), context.template, context, id, reply: reply)
        return true
    }

    private mutating func goOn(_ id: SlotID, _ verdict: FinalVerdict, dialogs: inout DialogTable) {
        guard var context = take(id) else { return }
        if context.final == .asked, context.lastStatus < 200 {
            context.final = .judged
            switch verdict {
            case .retry(let targets, let bytes, let times) where !context.cancelled:
                context.times = times
                retry(&context, targets, bytes)
                continueFork(&context, id, dialogs: &dialogs)
            case .answer(let status, let reason, let lines) where !context.cancelled:
                if context.method == .invite { learnFailure(context, status: status, dialogs: &dialogs) }
                respond(status, reason: reason, &context, id) { $0.put(lines) }
            case .best, .retry, .answer: chooseBest(&context, id, dialogs: &dialogs)
            }
        }
        finish(consume context, id)
    }

    /// A further round: its targets come after all that were there, and a 6xx of before does not close it. What the
    /// rounds before it came to counts no more, as with Kamailio's `failure_reply_mode` 3.
    private mutating func retry(_ context: inout ResponseContext, _ targets: [ForkTarget], _ bytes: [UInt8]) {
        context.final = .open
        context.isClosed = false
        let last = context.targets.map(\.group).max() ?? -1
        let before = context.targets.count
        add(targets, bytes, to: &context, group: last + 1)
        guard context.targets.count > before else { return }
        for index in context.branches.indices { context.branches[index].isSuperseded = true }
        for index in 0..<before { context.targets[index].failure = nil }
    }

    /// Adds targets of a script's, as many as there is room for: those of its first group to this one.
    mutating func add(
        _ targets: [ForkTarget], _ bytes: [UInt8], to context: inout ResponseContext, group: Int
    ) {
        if isChange(bytes, of: context.template) { context.template = bytes }
        let left = ForkTarget.limit - min(ForkTarget.limit, context.targets.count)
        for target in reachableOrFailing(targets).prefix(left) {
            var later = target
            later.group += group
            context.targets.append(later)
        }
    }
}
