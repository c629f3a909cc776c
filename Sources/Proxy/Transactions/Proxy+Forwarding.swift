// Forwarding a request (RFC 3261 §16.6): the copy with its Via, Record-Route, Max-Forwards and Routes is written in one
// pass over the received bytes, and kept as it was sent for retransmissions, CANCEL and ACK.

import Dialogs
import Primitives
import SIP

extension Proxy {
    mutating func forward(_ asRouted: RequestPlan, dialogs: inout DialogTable) {
        var plan = asRouted
        lacksDialog = plan.isInDialog && !plan.isKnown
        guard let id = plan.transaction ?? openTransaction(&plan), var context = take(id) else {
            if !plan.isInDialog {
                refuse(Refusal(503, retryAfter: 10), plan)
            } else {
                forwardStatelessly(plan)
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
            beginBranch(&context, plan, id, dialogs: &dialogs)
        } else {
            beginFork(&context, plan, id, dialogs: &dialogs)
        }
        if isInvite { startTrying(&context, id) }
        counters.forwarded += 1
        finish(context, id)
    }

    /// Makes the server transaction of the request at hand.
    /// - Returns: `nil` when there is no room, which is counted.
    mutating func openTransaction(_ plan: inout RequestPlan) -> SlotID? {
        guard let id = newContext() else { return nil }
        plan.transaction = id
        var context = ResponseContext()
        context.method = message.method
        context.upstream = plan.upstream
        context.listener = plan.listener
        context.flow = plan.arrivalFlow
        context.relay = plan.relay
        context.startedAt = now
        let key = serverKey(plan, method: message.method)
        context.serverKey = key
        context.request = completedRequest(plan)
        let isInvite = message.method == .invite
        if isInvite { refusals.remove(key) }
        let isReliable = plan.upstream.transport.isReliable
        context.server =
            isInvite
            ? .invite(startedInviteServer(reliable: isReliable))
            : .nonInvite(startedNonInviteServer(reliable: isReliable))
        serverTable.insert(hash: key, value: id.index)
        put(context, id)
        return id
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
    private mutating func startTrying(_ context: inout ResponseContext, _ id: SlotID) {
        if neighbours.commits, context.did != nil {
            effects.items.append(.commit(CommitToken(context: id, purpose: .trying)))
        } else {
            sendTrying(&context, id)
        }
    }

    mutating func sendTrying(_ context: inout ResponseContext, _ id: SlotID) {
        guard context.lastStatus == 0, case .invite = context.server else { return }
        respond(100, &context, id)
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
        editor.begin()
        if plan.nextHopIsStrict {
            editor.replace(message.requestURI) { [message, routes] in
                $0.put(message.bytes, URI.withoutHeaders(message.bytes, routes[plan.consumedRoutes].uri))
            }
        } else if !plan.requestURI.isEmpty {
            editor.replace(message.requestURI) { $0.put(plan.requestURI) }
        }
        if let branch {
            let did = plan.recordsRoute ? plan.did : nil
            let recorded = did.map { RecordedRoute(did: $0, parameters: plan.recordParameters) }
            let standing = did.flatMap { standingRecordRoute($0, in: message) }
            let isSecure = recorded != nil && isSecure(plan)
            let listener = listener(for: plan, toward: plan.nextHop)
            editor.insert(at: message.firstLineEnd) { [settings] writer in
                settings.writeTop(
                    branch, recorded, from: plan.near, to: listener, secure: isSecure, above: standing,
                    into: &writer)
                if let fact = plan.memberFlow { Self.writeRoute(to: fact.flow, at: plan.nextHop, into: &writer) }
            }
        }
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
        let doubt = identityDoubt(from: plan.source, to: branch == nil ? nil : plan.nextHop)
        Self.withholdIdentity(doubt, in: message, with: &editor)
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
            editor.insert(at: message.headersEnd) { [message] writer in
                writer.put("Route: <")
                writer.put(message.bytes, message.requestURI)
                writer.put(">\r\n")
            }
        }
        return editedMessage()
    }

    /// The message at hand with the edits that were collected.
    mutating func editedMessage() -> [UInt8] {
        scratch.removeAll()
        editor.write(message, into: &scratch)
        writtenOutline = outline.flatMap { editor.moved($0) }
        return scratch.copy()
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
            editor.insert(at: message.headersEnd) { [settings] writer in
                writer.put("Max-Forwards: ")
                writer.putDecimal(UInt64(settings.maxForwards))
                writer.put("\r\n")
            }
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
    mutating func forwardStatelessly(_ plan: RequestPlan) {
        let token = Branch.Token(
            member: settings.memberTag, slot: Branch.stateless, did: plan.did ?? DialogID(rawValue: 0),
            loop: loopHash(plan) ^ UInt32(truncatingIfNeeded: serverKey(plan, method: message.method)))
        counters.forwarded += 1
        lacksDialog = !plan.isKnown
        if let name = plan.targets.first?.name {
            let sent = forwardedRequest(plan, branch: .transaction(token))
            let near = plan.routeListener ?? plan.near
            if !ask(for: name, .stateless(sent, near)) { counters.dropped += 1 }
            return
        }
        var plan = plan
        if let target = plan.targets.first, let hop = target.candidates.first {
            plan.nextHop = hop
            if !target.requestURI.isEmpty { plan.requestURI = target.requestURI }
            (plan.flow, plan.memberFlow) = (target.flow, target.memberFlow)
        }
        let sent = forwardedRequest(plan, branch: .transaction(token))
        let listener = listener(for: plan, toward: plan.nextHop)
        effects.queue.send(sent, to: plan.nextHop, from: listener, flow: plan.flow, outline: writtenOutline)
    }

    // MARK: What the machines ask for

    /// Carries out what a client transaction asked for in `actions`, but for `deliver`, `timedOut` and `acknowledge`,
    /// which the caller looks for.
    mutating func performClient(_ context: inout ResponseContext, branch index: Int, _ id: SlotID) {
        for action in actions {
            switch action {
            case .send:
                let branch = context.branches[index]
                let token = SendToken(context: id, branch: index).rawValue
                effects.queue.send(
                    branch.sent, to: branch.target, from: branch.listener, flow: branch.flow, token: token,
                    serverName: branch.serverName, outline: branch.outline)
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
