// Forking a request (RFC 3261 §16.5 to §16.8): which branches there are, and what the end of one means for the rest.
//
//     target set ──▶ group of now ──▶ up to 8 branches at once ──▶ a final answer of one
//          ▲                                                         │ 2xx, 6xx   the others are cancelled, none begins
//          │                                                         │ 503, silence, transport error   next address
//          └──────── all of the group have failed ◀──────────────────┘ 3xx, 4xx, 5xx   as it is
//
// A branch is written from the template, the request as it would leave with the old Request-URI, without our Via and
// Record-Route, which depend on the branch. A request with one known address has no template and no targets, and costs
// what it did before there was forking.
//
// Invariants: the shares of Max-Breadth of all branches that run add up to no more than the request's (RFC 5393); no
// branch begins after a 2xx, a 6xx or a CANCEL (§16.7 steps 5 and 10, §16.10); each branch has its own
// Via branch, its own timer C and its own entry among the record's pendings, so an heir can cancel each; a final
// answer goes upstream only when nothing is running or waiting.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// The first branch of a request with one address.
    mutating func beginBranch(
        _ context: inout ResponseContext, _ plan: inout RequestPlan, _ id: SlotID, dialogs: inout DialogTable
    ) {
        let branch = firstBranch(plan, id)
        var sent = forwardedRequest(plan, branch: branch)
        var datagram: [UInt8] = []
        if outgrowsUDP(sent, to: plan.nextHop, isTransportOpen: plan.isTransportOpen) {
            datagram = sent
            plan.nextHop.transport = .tcp
            sent = forwardedRequest(plan, branch: branch)
        }
        var client = ClientBranch(
            client: clientTransaction(message.method, plan.nextHop), sent: sent, target: plan.nextHop,
            listener: listener(for: plan, toward: plan.nextHop))
        client.health = plan.health
        client.flow = plan.flow
        client.memberFlow = plan.memberFlow
        client.datagram = datagram
        client.outline = datagram.isEmpty ? writtenOutline : nil
        context.branches.append(client)
        let isRecorded = learnRequest(context, plan, branch: branch, dialogs: &dialogs)
        guard isRecorded || goesOnUnrecorded(&context, id) else { return }
        start(&context, branch: 0, id)
    }

    /// Keeps a target set, and begins its first group.
    mutating func beginFork(
        _ context: inout ResponseContext, _ plan: RequestPlan, _ id: SlotID, dialogs: inout DialogTable
    ) {
        let branch = firstBranch(plan, id)
        context.template = forwardedRequest(plan, branch: nil)
        context.loop = loopHash(plan)
        context.targets = plan.targets
        context.breadth = plan.breadth
        let isRecorded = learnRequest(context, plan, branch: branch, dialogs: &dialogs)
        guard isRecorded || goesOnUnrecorded(&context, id) else { return }
        continueFork(&context, id, dialogs: &dialogs)
    }

    /// Whether the failure of a branch says nothing of the request yet: a script may add targets.
    private func isOneOfSeveral(_ targets: Int) -> Bool { targets > 1 || scriptPoints.contains(.final) }

    private func firstBranch(_ plan: RequestPlan, _ id: SlotID) -> Branch {
        .transaction(
            Branch.Token(
                member: settings.memberTag, slot: id, did: plan.did ?? DialogID(rawValue: 0), loop: loopHash(plan),
                isOneOfSeveral: isOneOfSeveral(plan.targets.count)))
    }

    /// Begins what may begin now; when nothing is left, the best answer goes upstream.
    mutating func continueFork(_ context: inout ResponseContext, _ id: SlotID, dialogs: inout DialogTable) {
        while !context.isClosed {
            let running = context.targets.filter { $0.state == .running || $0.state == .resolving }
            guard running.count < ForkTarget.parallelLimit,
                let next = context.targets.indices.filter({ context.targets[$0].state == .waiting })
                    .min(by: { (context.targets[$0].group, $0) < (context.targets[$1].group, $1) }),
                running.allSatisfy({ $0.group == context.targets[next].group }),
                let share = share(context, running, group: context.targets[next].group)
            else { break }
            context.targets[next].breadth = share
            begin(&context, target: next, id, dialogs: &dialogs)
        }
        chooseBest(&context, id, dialogs: &dialogs)
    }

    /// What the next branch of a group gets of the request's Max-Breadth, beside those that run: an equal part of what
    /// is left for all that may begin now. `nil` when nothing is left: the others are tried when one of these has ended
    /// (RFC 5393 §5.3.3).
    private func share(_ context: ResponseContext, _ running: [ForkTarget], group: Int) -> Int? {
        let left = context.breadth - running.reduce(0) { $0 + $1.breadth }
        let waiting = context.targets.count { $0.state == .waiting && $0.group == group }
        let branches = min(waiting, ForkTarget.parallelLimit - running.count, left)
        return MaxBreadth.share(of: left, branch: 0, of: branches)
    }

    /// A target's turn has come.
    private mutating func begin(
        _ context: inout ResponseContext, target place: Int, _ id: SlotID, dialogs: inout DialogTable
    ) {
        if context.targets[place].candidates.isEmpty, let name = context.targets[place].name {
            context.targets[place].state = .resolving
            if !ask(for: name, .target(id, place)) {
                counters.overloaded += 1
                fail(&context, target: place, 503)
            }
        } else if !beginCandidate(&context, target: place, id, dialogs: &dialogs) {
            fail(&context, target: place, context.targets[place].failure ?? 502)
        }
    }

    private func fail(_ context: inout ResponseContext, target place: Int, _ status: Int) {
        context.targets[place].state = .ended
        context.targets[place].failure = status
    }

    /// Sends the request to the next address of a target.
    /// - Returns: False when there is none, or there were enough branches.
    private mutating func beginCandidate(
        _ context: inout ResponseContext, target place: Int, _ id: SlotID, dialogs: inout DialogTable
    ) -> Bool {
        let target = context.targets[place]
        let number = context.branches.count
        guard target.next < min(target.candidates.count, ForkTarget.candidateLimit) else { return false }
        guard number < ClientBranch.limit else {
            counters.branchesRefused += 1
            return false
        }
        var endpoint = target.candidates[target.next]
        let token = Branch.Token(
            member: settings.memberTag, slot: id, branch: UInt8(number), did: context.did ?? DialogID(rawValue: 0),
            loop: context.loop, isOneOfSeveral: isOneOfSeveral(context.targets.count))
        guard var sent = branchRequest(context, target, token, endpoint) else { return false }
        var datagram: [UInt8] = []
        if outgrowsUDP(sent, to: endpoint, isTransportOpen: target.isTransportOpen) {
            datagram = sent
            endpoint.transport = .tcp
            sent = branchRequest(context, target, token, endpoint) ?? sent
        }
        context.targets[place].next += 1
        context.targets[place].state = .running
        var branch = ClientBranch(
            client: clientTransaction(context.method, endpoint), sent: sent, target: endpoint,
            listener: listener(for: context, toward: endpoint))
        branch.datagram = datagram
        branch.outline = datagram.isEmpty ? writtenOutline : nil
        branch.serverName = serverName(target.name?.host ?? [], endpoint)
        branch.number = UInt8(number)
        branch.place = Int16(place)
        branch.health = target.health
        branch.flow = target.flow
        branch.memberFlow = target.memberFlow
        context.branches.append(branch)
        if !askAboutBranch(&context, id, branch: number) {
            learnBranch(context, number, dialogs: &dialogs)
            start(&context, branch: number, id)
        }
        if number > 0 { counters.branchesAdded += 1 }
        return true
    }

    /// The template with the Request-URI of one target, its share of Max-Breadth, its Via and its Record-Route.
    private mutating func branchRequest(
        _ context: ResponseContext, _ target: ForkTarget, _ token: Branch.Token, _ endpoint: Endpoint
    ) -> [UInt8]? {
        guard loadStored(context.template) else { return nil }
        let requestURI = target.requestURI
        let did = context.recordsRoute ? context.did : nil
        let recorded = did.map { RecordedRoute(did: $0, parameters: context.recordParameters) }
        let standing = did.flatMap { standingRecordRoute($0, in: stored) }
        let uri =
            requestURI.isEmpty
            ? try? URI(stored.bytes, stored.requestURI) : try? URI(requestURI, ByteRange(requestURI))
        let listener = listener(for: context, toward: endpoint)
        editor.begin()
        if !requestURI.isEmpty { editor.replace(stored.requestURI) { $0.put(requestURI) } }
        if let field = stored.first(.maxBreadth) {
            editor.replace(field.value) { $0.putDecimal(UInt64(target.breadth)) }
        }
        editor.insert(at: stored.firstLineEnd) { [settings] writer in
            settings.writeTop(
                .transaction(token), recorded, from: context.near, to: listener,
                secure: uri?.scheme == .sips, above: standing, into: &writer)
            if let fact = target.memberFlow { Self.writeRoute(to: fact.flow, at: endpoint, into: &writer) }
            if !target.routes.isEmpty {
                writer.put("Route: ")
                writer.put(target.routes)
                writer.put("\r\n")
            }
        }
        if context.recordsSubscription {
            let upstream = (context.listener, flowFact(context.flow, ofSender: stored))
            insertSubscriptionRoutes(
                at: stored.firstLineEnd, from: upstream, to: (listener, nil), secure: uri?.scheme == .sips)
        }
        Self.withholdIdentity(identityDoubt(from: nil, to: endpoint), in: stored, with: &editor)
        scratch.removeAll()
        editor.write(stored, into: &scratch)
        writtenOutline = nil
        if let outline = outlineOfCopy(stored) { writtenOutline = editor.moved(outline, callID: stored.callID) }
        return scratch.copy()
    }

    // MARK: The end of a branch

    /// How a branch ended.
    package enum BranchEnd: Sendable {
        /// A final answer that says something of the request.
        case answered
        /// 503, silence from the beginning, or a transport error: another address may do better (RFC 3263 §4.3).
        case failed
    }

    /// A branch has its final status, but for 2xx: the rest of the fork follows from it.
    mutating func branchEnded(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ end: BranchEnd, dialogs: inout DialogTable
    ) {
        wheel.cancel(context.branches[index].timerC)
        context.branches[index].timerC = .none
        if context.kind == .relayed, end == .failed, relaysOn(&context, id, dialogs: &dialogs) { return }
        if context.branches[index].health != nil { noteEnd(of: context.branches[index], end) }
        if askAboutFailure(&context, id, branch: index, end) { return }
        follow(&context, id, branch: index, end, isTakenOn: false, dialogs: &dialogs)
    }

    /// What follows from the end of a branch.
    /// - Parameter isTakenOn: A script has other targets for it, so it ends nothing but itself.
    mutating func follow(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, _ end: BranchEnd, isTakenOn: Bool,
        dialogs: inout DialogTable
    ) {
        let isLoser = context.kind == .heir && context.lastStatus / 100 == 2
        if context.method == .invite, context.isForking || isLoser {
            learnFailureOfBranch(context, index, dialogs: &dialogs)
        }
        if let status = context.branches[index].final, status >= 600, !isTakenOn {
            context.isClosed = true
            let cause = CancelCause.declined(status)
            cancelOthers(&context, id, but: index, because: cause)
        }
        guard let place = context.branches[index].place.map({ Int($0) }) else {
            chooseBest(&context, id, dialogs: &dialogs)
            return
        }
        context.targets[place].state = .ended
        // A request other than INVITE that has waited for 64·T1 is over for its sender (RFC 4320).
        let isLate = context.method != .invite && now - context.startedAt >= settings.timers.t1 * 64
        if isLate { context.isClosed = true }
        if end == .failed, !context.isClosed,
            beginCandidate(&context, target: place, id, dialogs: &dialogs)
        {
            context.branches[index].isSuperseded = true
            counters.failovers += 1
        }
        continueFork(&context, id, dialogs: &dialogs)
    }

    /// No branch begins any more.
    func close(_ context: inout ResponseContext) {
        context.isClosed = true
        for place in context.targets.indices where context.targets[place].state == .resolving {
            context.targets[place].state = .ended
        }
    }

    /// Addresses for a target came, or there are none.
    mutating func targetResolved(_ id: SlotID, _ place: Int, _ endpoints: [Endpoint], dialogs: inout DialogTable) {
        guard var context = take(id) else { return }
        if context.targets.indices.contains(place), context.targets[place].state == .resolving {
            context.targets[place].candidates = endpoints
            context.targets[place].state = .ended
            if !beginCandidate(&context, target: place, id, dialogs: &dialogs) {
                context.targets[place].failure = 502
                if let name = context.targets[place].name {
                    effects.items.append(.note(.unresolvable(uri: name.host)))
                }
            }
            continueFork(&context, id, dialogs: &dialogs)
        }
        finish(consume context, id)
    }
}
