// Forwarding a request (RFC 3261 §16.6): the copy with its Via, Record-Route, Max-Forwards and Routes is written in one
// pass over the received bytes, and kept as it was sent for retransmissions, CANCEL and ACK.

import Dialogs
import Primitives
import SIP

extension Proxy {
    mutating func forward(_ plan: inout RequestPlan, dialogs: inout DialogTable) {
        lacksDialog = plan.isInDialog && !plan.isKnown
        let isAsReceived = plan.transaction == nil  // A script may have changed what it was asked about.
        guard let id = plan.transaction ?? openTransaction(&plan), var context = take(id) else {
            if !plan.isInDialog {
                refuse(Refusal(503, retryAfter: 10), plan)
            } else {
                forwardStatelessly(&plan)
            }
            return
        }
        if !watched.isEmpty { noteRequest(plan) }
        plan.session = sessionChange()
        describe(&context, plan)
        let isInvite = message.method == .invite
        if isInvite, let did = plan.did { dialogTable.insert(hash: did.rawValue, value: id.index) }
        if plan.targets.isEmpty, !scriptPoints.isDisjoint(with: [.branch, .final]) { plan.makeTarget() }
        if plan.targets.isEmpty {
            beginBranch(&context, &plan, id, dialogs: &dialogs)
        } else {
            beginFork(&context, plan, id, dialogs: &dialogs)
        }
        if isInvite { startTrying(&context, id, plan, isAsReceived: isAsReceived) }
        counters.forwarded += 1
        finish(consume context, id)
    }

    /// Makes the server transaction of the request at hand.
    /// - Returns: `nil` when there is no room, which is counted.
    mutating func openTransaction(_ plan: inout RequestPlan) -> SlotID? {
        guard let id = newContext() else { return nil }
        plan.transaction = id
        let key = serverKey(plan, method: message.method)
        if message.method == .invite { refusals.remove(key) }
        serverTable.insert(hash: key, value: id.index)
        put(serverSide(of: plan, key), id)
        return id
    }

    /// A context that has its request, and no branch.
    private mutating func serverSide(of plan: RequestPlan, _ key: UInt64) -> ResponseContext {
        var context = ResponseContext()
        context.method = message.method
        context.upstream = plan.upstream
        context.listener = plan.listener
        context.flow = plan.arrivalFlow
        context.relay = plan.relay
        context.startedAt = now
        context.serverKey = key
        context.request = completedRequest(plan)
        let isReliable = plan.upstream.transport.isReliable
        context.server =
            message.method == .invite
            ? .invite(startedInviteServer(reliable: isReliable))
            : .nonInvite(startedNonInviteServer(reliable: isReliable))
        return context
    }

    /// What the branches of a request and their answers need to know of it.
    private func describe(_ context: inout ResponseContext, _ plan: RequestPlan) {
        context.sessionSeconds = plan.session.promised
        context.times = plan.times
        context.did = plan.did
        context.leg = plan.leg
        context.cSeq = plan.cSeq.number
        context.isInitial = plan.createsDialog || (!plan.isInDialog && message.method == .invite)
        context.isKnown = plan.isKnown
        context.refreshes =
            plan.isInDialog && Self.refreshing(message.method) && !isKeepAlive(plan) && !isOfCluster(plan)
        context.shift = plan.isMoved ? 0 : plan.shift
        context.afterTheEnd = plan.afterTheEnd
        context.recordsSubscription = makesSubscription(plan)
        context.pass = plan.pass
        context.recordsRoute = plan.recordsRoute
        context.recordParameters = plan.recordParameters
        context.endsOnAnswer = endsDialog(plan) && returnsHere(plan)
        context.routeListener = plan.routeListener
    }

    /// Methods whose 2xx refreshes the dialog (RFC 3261 §12.2, RFC 3311; INFO, NOTIFY and the rest show that both
    /// live).
    static func refreshing(_ method: Method) -> Bool {
        switch method {
        case .bye, .cancel, .ack, .prack: false
        default: true
        }
    }

    /// Sends the request of a branch for the first time.
    mutating func start(_ context: inout ResponseContext, branch index: Int, _ id: SlotID) {
        actions.removeAll(keepingCapacity: true)
        switch context.branches[index].client {
        case .invite(var transaction):
            transaction.start(actions: &actions)
            context.branches[index].client = .invite(transaction)
            startTimerC(&context, branch: index, id)
        case .nonInvite(var transaction):
            transaction.start(actions: &actions)
            context.branches[index].client = .nonInvite(transaction)
        }
        performClient(&context, branch: index, id)
    }

    /// Timer C of a branch, from the beginning (§16.6 step 11), or what a script has said in its place.
    mutating func startTimerC(_ context: inout ResponseContext, branch index: Int, _ id: SlotID) {
        wheel.cancel(context.branches[index].timerC)
        context.branches[index].timerC = wheel.schedule(
            TimerToken(context: id, branch: index, machine: .timerC, timer: .c).rawValue,
            at: now.advanced(by: time(of: context.branches[index], context.times)))
    }

    private func time(of branch: ClientBranch, _ times: AnswerTimes) -> Duration {
        (branch.sawProvisional ? times.final : times.first) ?? settings.timerC
    }

    /// 100 Trying: when a peer has the record, or at once where there is nobody to wait for (S1-4).
    /// - Parameter isAsReceived: The message at hand is the request as it came.
    private mutating func startTrying(
        _ context: inout ResponseContext, _ id: SlotID, _ plan: RequestPlan, isAsReceived: Bool
    ) {
        if neighbours.commits, context.did != nil {
            if isAsReceived {
                let received = plan.addsReceived ? (plan.source, forceRport: plan.forcesRport) : nil
                scratch.removeAll()
                ResponseWriter.write(100, to: message, toTag: [], received: received, into: &scratch)
                context.trying = scratch.copy()
            }
            effects.items.append(.commit(CommitToken(context: id, purpose: .trying)))
        } else {
            sendTrying(&context, id)
        }
    }

    mutating func sendTrying(_ context: inout ResponseContext, _ id: SlotID) {
        let ready = context.trying
        context.trying = []
        guard context.lastStatus == 0, case .invite = context.server else { return }
        guard !ready.isEmpty else { return respond(100, &context, id) }
        // Of the same call as the request that was sent on, and all head.
        var outline = context.branches.isEmpty ? nil : context.branches[0].outline
        outline?.head = Int32(truncatingIfNeeded: ready.count)
        outline?.isDescription = false
        sendUpstream(ready, 100, &context, id, outline: outline)
    }

    // MARK: The copies

    /// The request with its topmost Via completed: what answers are made from.
    mutating func completedRequest(_ plan: RequestPlan) -> [UInt8] {
        guard plan.addsReceived else { return message.snapshot() }
        editor.begin()
        completeVia(plan)
        return editedMessage()
    }

    /// The request as it leaves (§16.6 steps 1 to 8); without a branch it is a template, which lacks our Via and
    /// Record-Route.
    mutating func forwardedRequest(_ plan: RequestPlan, branch: Branch?) -> [UInt8] {
        writeForwarded(plan, branch: branch)
        return scratch.copy()
    }

    /// The same, left in `scratch`.
    private mutating func writeForwarded(_ plan: RequestPlan, branch: Branch?) {
        editor.begin()
        if plan.nextHopIsStrict {
            let start = editor.fills.count
            editor.fills.put(message.bytes, URI.withoutHeaders(message.bytes, routes[plan.consumedRoutes].uri))
            editor.replace(message.requestURI, since: start)
        } else if !plan.requestURI.isEmpty {
            editor.replace(message.requestURI) { $0.put(plan.requestURI) }
        }
        if let branch { insertTop(plan, branch) }
        if branch != nil, makesSubscription(plan) { insertSubscriptionRoutes(plan) }
        if !plan.addedRoutes.isEmpty {
            editor.insert(at: message.headersEnd) { writer in
                writer.put("Route: ")
                writer.put(plan.addedRoutes)
                writer.put("\r\n")
            }
        }
        if plan.addsPath { insertPath(plan) }
        edit(plan.session)
        if plan.shift != 0 { moveCSeq(plan) }
        if !settings.trusted.isEmpty { withholdIdentity(plan, isSent: branch != nil) }
        if !settings.realms.isEmpty { consumeCredentials() }
        completeVia(plan)
        editor.removeLeading(plan.consumedRoutes + (plan.nextHopIsStrict ? 1 : 0), of: routes)
        decrementMaxForwards()
        if message.first(.maxBreadth) == nil {  // What is there is passed on; a fork deals it out (`branchRequest`).
            editor.insert(at: message.headersEnd) { writer in
                writer.put("Max-Breadth: ")
                writer.putDecimal(UInt64(MaxBreadth.assumed))
                writer.put("\r\n")
            }
        }
        if plan.nextHopIsStrict {  // The old Request-URI becomes the last Route (§16.6 step 6).
            let start = editor.fills.count
            editor.fills.put("Route: <")
            editor.fills.put(message.bytes, message.requestURI)
            editor.fills.put(">\r\n")
            editor.insert(at: message.headersEnd, since: start)
        }
        writeEdited()
    }

    /// Cuts what its sender may not say, or its receiver not hear; a template goes nowhere yet.
    private mutating func withholdIdentity(_ plan: RequestPlan, isSent: Bool) {
        let target = isSent ? plan.nextHop : nil
        let doubt = identityDoubt(from: plan.source, to: target)
        Self.withholdIdentity(doubt, in: message, with: &editor)
    }

    /// What stands above a request with one branch: our Via, the Record-Routes, the Route to a member's connection.
    private mutating func insertTop(_ plan: RequestPlan, _ branch: Branch) {
        var recorded: RecordedRoute?
        var standing: [UInt8]?
        var isSecure = false
        if plan.recordsRoute, let did = plan.did {
            recorded = RecordedRoute(did: did, parameters: plan.recordParameters)
            standing = standingRecordRoute(did)
            isSecure = self.isSecure(plan)
        }
        let listener = listener(for: plan, toward: plan.nextHop)
        let start = editor.fills.count
        settings.writeTop(
            branch, recorded, from: plan.near, to: listener, secure: isSecure, above: standing, into: &editor.fills)
        if let fact = plan.memberFlow { Self.writeRoute(to: fact.flow, at: plan.nextHop, into: &editor.fills) }
        editor.insert(at: message.firstLineEnd, since: start)
    }

    /// The message at hand with the edits that were collected.
    mutating func editedMessage() -> [UInt8] {
        writeEdited()
        return scratch.copy()
    }

    /// The same, left in `scratch`.
    private mutating func writeEdited() {
        scratch.removeAll()
        editor.write(message, into: &scratch)
        writtenOutline = nil
        if let outline { writtenOutline = editor.moved(outline, callID: message.callID) }
    }

    static func writeVia(
        _ settings: ProxySettings, _ branch: Branch, _ listener: ListenerID, into writer: inout ByteWriter
    ) {
        writer.put("SIP/2.0/")
        settings.writeSentBy(listener, into: &writer)
        writer.put(";branch=")
        branch.write(mark: settings.mark, into: &writer)
        writer.put(";rport")
    }

    private mutating func decrementMaxForwards() {
        if let field = message.first(.maxForwards), let hops = try? message.maxForwards() {
            editor.replace(field.value) { $0.putDecimal(UInt64(max(0, hops - 1))) }
        } else {
            let start = editor.fills.count
            editor.fills.put("Max-Forwards: ")
            editor.fills.putDecimal(UInt64(settings.maxForwards))
            editor.fills.put("\r\n")
            editor.insert(at: message.headersEnd, since: start)
        }
    }

    /// The Route value that the next hop gets, for whoever must repeat it (CANCEL of an heir).
    func writeRoutesLeft(_ plan: RequestPlan, into writer: inout ByteWriter) {
        let first = plan.consumedRoutes + (plan.nextHopIsStrict ? 1 : 0)
        for index in first..<max(first, routes.count) {
            if index > first { writer.put(", ") }
            writer.put(message.bytes, routes[index].element)
        }
        writer.put(plan.addedRoutes)
    }

    /// Forwards without keeping anything: an ACK for a 2xx (§16.6 step 10), or under overload.
    mutating func forwardStatelessly(_ plan: inout RequestPlan) {
        let token = Branch.Token(
            member: settings.memberTag, slot: Branch.stateless, did: plan.did ?? DialogID(rawValue: 0),
            loop: loopHash(plan) ^ UInt32(truncatingIfNeeded: serverKey(plan, method: message.method)))
        counters.forwarded += 1
        lacksDialog = !plan.isKnown
        if let name = plan.targets.first?.name {
            let sent = forwardedRequest(plan, branch: .transaction(token))
            let near = plan.routeListener ?? plan.near
            if !ask(for: name, .stateless(sent, near, questionOfAcknowledgement(plan))) { counters.dropped += 1 }
            return
        }
        if let target = plan.targets.first, let hop = target.candidates.first {
            plan.nextHop = hop
            if !target.requestURI.isEmpty { plan.requestURI = target.requestURI }
            (plan.flow, plan.memberFlow) = (target.flow, target.memberFlow)
        }
        writeForwarded(plan, branch: .transaction(token))
        let listener = listener(for: plan, toward: plan.nextHop)
        if let question = questionOfAcknowledgement(plan) {
            var leaving = LeavingAcknowledgement(bytes: scratch.copy(), target: plan.nextHop, listener: listener)
            (leaving.flow, leaving.outline) = (plan.flow, writtenOutline)
            return send(leaving, asking: question)
        }
        effects.queue.send(scratch.bytes, to: plan.nextHop, from: listener, flow: plan.flow, outline: writtenOutline)
    }

    // MARK: What the machines ask for

    /// Carries out what a client transaction asked for in `actions`, but for `deliver`, `timedOut` and `acknowledge`,
    /// which the caller looks for.
    mutating func performClient(_ context: inout ResponseContext, branch index: Int, _ id: SlotID) {
        for action in actions {
            switch action {
            case .send:
                send(context, branch: index, token: SendToken(context: id, branch: index).rawValue)
            case .start(let timer, let delay):
                let token = TimerToken(context: id, branch: index, machine: .client, timer: timer)
                wheel.cancel(context.branches[index].timers[timer])
                context.branches[index].timers[timer] = wheel.schedule(token.rawValue, at: now.advanced(by: delay))
            case .stop(let timer):
                wheel.cancel(context.branches[index].timers[timer])
                context.branches[index].timers[timer] = .none
            case .deliver, .acknowledge, .timedOut, .transportFailed, .terminated: break
            }
        }
    }

    private mutating func send(_ context: ResponseContext, branch index: Int, token: UInt64) {
        effects.queue.send(
            context.branches[index].sent, to: context.branches[index].target, from: context.branches[index].listener,
            flow: context.branches[index].flow, token: token, serverName: context.branches[index].serverName,
            outline: context.branches[index].outline)
    }

    /// Carries out what the server transaction asked for in `actions`.
    mutating func performServer(_ context: inout ResponseContext, _ id: SlotID) {
        for action in actions {
            switch action {
            case .send:
                if context.lastResponse.isEmpty { continue }
                counters.retransmissionsSent += 1
                answer(context.lastResponse, context)
            case .start(let timer, let delay):
                if timer == .h, context.serverKey == nil { expectAcknowledgement(&context, id) }
                let token = TimerToken(context: id, machine: .server, timer: timer)
                wheel.cancel(context.timers[timer])
                context.timers[timer] = wheel.schedule(token.rawValue, at: now.advanced(by: delay))
            case .stop(let timer):
                wheel.cancel(context.timers[timer])
                context.timers[timer] = .none
            case .deliver, .acknowledge, .timedOut, .transportFailed, .terminated: break
            }
        }
    }
}

// MARK: Server transactions

extension Proxy {
    /// A server transaction that has its request (RFC 3261 §17.2.1).
    mutating func startedInviteServer(reliable: Bool) -> InviteServerTransaction {
        var transaction = InviteServerTransaction(timers: settings.timers, reliable: reliable)
        actions.removeAll(keepingCapacity: true)
        transaction.start(actions: &actions)
        return transaction
    }

    mutating func startedNonInviteServer(reliable: Bool) -> NonInviteServerTransaction {
        var transaction = NonInviteServerTransaction(timers: settings.timers, reliable: reliable)
        actions.removeAll(keepingCapacity: true)
        transaction.start(actions: &actions)
        return transaction
    }
}
