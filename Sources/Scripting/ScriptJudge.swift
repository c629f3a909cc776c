// ScriptJudge answers what a node asks its script (`ScriptQuestion`): it runs the routes that are meant at that point
// and makes a verdict of what they have decided.
//
//     request   ksr_request_route
//     branch    the route that t_on_branch armed
//     response  ksr_reply_route, then the one that t_on_reply armed, which sees what the first has changed
//     final     the one that t_on_failure armed; it must be armed again for the next round
//
// What a script keeps for a transaction (flags, values, armed routes) is kept here under the transaction's number; it
// is forgotten when as many others have begun since.
//
// A route that fails decides nothing: its request gets 500, a branch and a response go on as they are, and after a
// failure route the best response goes up. A request that cannot be read here gets 400: it is never passed on unseen.
// Another script may take the place of the one that serves (`adopt`): from the next question on. What was armed and
// kept for transactions stays, by name; what waits ends in the script where it began.
//
// A run that waits answers later: `next` says when. What a run wants done to records stands in `acts` (`ScriptDriver`).
//
// Limit: 65 536 transactions.

package import Dialogs
package import Primitives
package import Proxy
package import Routes
package import SIP

package final class ScriptJudge {
    package static let transactionLimit = 65_536

    /// A question with its answer.
    package struct Answer: Sendable {
        package var question: ScriptQuestion
        package var verdict: ScriptVerdict
    }

    private struct Waiting {
        var question: ScriptQuestion
        var token: UInt64
        var until: Instant
        var engine: ScriptEngine
    }

    /// The one that serves; while a run of another goes on, that one.
    private(set) var engine: ScriptEngine
    /// By `ListenerID`.
    private let sockets: [Endpoint]
    private var states: [UInt64: RouteState] = [:]
    /// In the order of their beginning.
    private var order: [UInt64] = []
    private var head = 0
    private var waiting: [Waiting] = []
    /// A request that was put aside, with what its run had decided, and since when.
    private struct Suspended {
        var question: ScriptQuestion
        var plan: RoutePlan
        var since: Instant
    }

    private var suspended: [UInt64: Suspended] = [:]
    /// Verdicts on them, which other runs have led to; whoever asked takes them.
    package var late: [Answer] = []
    /// What failed and what the routes wrote, for the log; whoever asked takes it.
    package var notes: [RouteNote] = []
    package var failures: [ScriptError] = []
    /// What one run wants done to records.
    package struct Acts: Sendable {
        /// `nil` for what was no question's: an event's.
        package var question: ScriptQuestion?
        package var dialogs: DialogDraft
        package var registrations: [LocationRecord]
        /// Of the REGISTERs that it saved.
        package var statuses: [Int]
    }

    /// What runs want done, in their order; whoever asked carries it out before the verdict.
    package var acts: [Acts] = []
    /// Questions whose registrations were not taken, and that have had no verdict yet.
    var lost: Set<UInt64> = []
    private var continuations: [RoutePlan.Continuation] = []

    /// - Throws: for a script that has no `ksr_request_route`: nothing would say where requests go.
    package init(_ engine: ScriptEngine, sockets: [Endpoint]) throws(ScriptError) {
        try Self.check(engine)
        self.engine = engine
        self.sockets = sockets
    }

    private static func check(_ engine: ScriptEngine) throws(ScriptError) {
        guard engine.has(requestRoute) else {
            throw ScriptError(
                kind: .error, file: engine.fileName, line: 0,
                text: "there is no function ksr_request_route: nothing would say where requests go")
        }
    }

    /// Serves with another script from now on.
    /// - Throws: as `init`; then the one from before serves on.
    package func adopt(_ next: ScriptEngine) throws(ScriptError) {
        try Self.check(next)
        next.inherit(from: engine)
        engine = next
    }

    /// Which script serves.
    package var version: String { engine.version }
    package var fileName: String { engine.fileName }

    /// How long runs take, by the route; counted where there is a clock.
    package private(set) var times: [RouteKind: Histogram] = [:]
    package var clock: (() -> Instant)?

    package var counters: ScriptEngine.Counters { engine.counters }
    package var memory: Int { engine.memory }
    package var transactionCount: Int { states.count }

    /// When a run that waits goes on.
    package var next: Instant? { waiting.map(\.until).min() }

    // MARK: Questions

    /// - Returns: The verdict; `nil` when the run waits.
    package func judge(_ question: ScriptQuestion, _ time: RouteTime) -> ScriptVerdict? {
        let verdict = ask(question, time)
        goOnWithSuspended(time)
        return verdict
    }

    private func ask(_ question: ScriptQuestion, _ time: RouteTime) -> ScriptVerdict? {
        guard begin(question, time) else { return Self.indifferent(question) }
        switch question.point {
        case .request:
            return finish(run(Self.requestRoute), question)
        case .branch:
            return finish(run(engine.host.run.state.branchRoute), question)
        case .response: return response(question, time)
        case .final:
            let route = engine.host.run.state.failureRoute
            engine.host.run.state.failureRoute = []
            return finish(run(route), question)
        }
    }

    /// Runs a route of the point at hand, and counts how long it takes.
    private func run(_ route: [UInt8]) -> ScriptOutcome {
        let kind = engine.host.run.point.kind
        return measured(kind) { engine.start(route) }
    }

    private func measured(_ kind: RouteKind, _ body: () -> ScriptOutcome) -> ScriptOutcome {
        guard let clock else { return body() }
        let begun = clock()
        let outcome = body()
        times[kind, default: Histogram()].note(clock() - begun)
        return outcome
    }

    /// Verdicts of runs whose time to go on has come.
    package func resume(_ time: RouteTime) -> [Answer] {
        var due: [Waiting] = []
        waiting.removeAll { entry in
            if entry.until <= time.now { due.append(entry) }
            return entry.until <= time.now
        }
        let answers = due.compactMap { entry in
            let serving = engine
            if entry.engine !== serving { use(entry.engine) }
            defer { if engine !== serving { use(serving) } }
            let outcome = measured(Self.kind(of: entry.question.point)) { engine.resume(entry.token, time: time) }
            return finish(outcome, entry.question).map { Answer(question: entry.question, verdict: $0) }
        }
        goOnWithSuspended(time)
        return answers
    }

    // MARK: Suspended requests

    /// Runs the routes that runs have asked for; one of them may ask for further ones.
    private func goOnWithSuspended(_ time: RouteTime) {
        var gone: Set<UInt64> = []
        while !continuations.isEmpty {
            let next = continuations.removeFirst()
            guard gone.insert(next.transaction).inserted else {
                // Two that suspend and continue each other would never end. It waits, and gets its 500.
                engine.host.run.suspended.insert(next.transaction)
                let text = "a request that was suspended goes on once in a turn"
                failures.append(ScriptError(kind: .error, file: engine.fileName, line: 0, text: text))
                continue
            }
            guard let entry = suspended.removeValue(forKey: next.transaction), begin(entry.question, time) else {
                continue
            }
            engine.host.run.plan = entry.plan
            guard let verdict = finish(run(next.route), entry.question) else { continue }
            late.append(Answer(question: entry.question, verdict: verdict))
        }
    }

    private func suspend(_ question: ScriptQuestion) {
        let now = engine.host.run.time.now
        forgetLate(now)
        var plan = engine.host.run.plan
        plan.isSuspended = false
        suspended[question.transaction] = Suspended(question: question, plan: plan, since: now)
        engine.host.run.suspended.insert(question.transaction)
    }

    private func forgetLate(_ now: Instant) {
        for (number, entry) in suspended where now - entry.since > Self.patience { forget(number) }
    }

    private func forget(_ number: UInt64) {
        if let entry = suspended.removeValue(forKey: number) { lost.remove(entry.question.token) }
        engine.host.run.suspended.remove(number)
    }

    /// 64·T1: what is suspended for longer has got its 500.
    private static let patience = Duration.seconds(32)

    private func use(_ other: ScriptEngine) {
        engine.exchangeLoan(with: other)
        engine = other
    }

    private static let requestRoute = Array("ksr_request_route".utf8)
    private static let replyRoute = Array("ksr_reply_route".utf8)
    private var hasReplyRoute: Bool { engine.host.run.routeNames.contains(Self.replyRoute) }

    /// What is said where there is nothing to run.
    private static func indifferent(_ question: ScriptQuestion) -> ScriptVerdict {
        switch question.point {
        case .request: .request(RequestVerdict(.answer(status: 400, reason: [], lines: [])))
        case .branch, .response: .message(.goOn([]))
        case .final: .final(.best)
        }
    }

    /// Puts the message of a question before the engine.
    /// - Returns: `false` when no route is to be run.
    private func begin(_ question: ScriptQuestion, _ time: RouteTime) -> Bool {
        if suspended.count >= SuspendedRequests.limit { forgetLate(time.now) }
        let state = states[question.transaction] ?? RouteState()
        switch question.point {
        case .request: break
        case .branch where state.branchRoute.isEmpty: return false
        case .response where state.onreplyRoute.isEmpty && !hasReplyRoute: return false
        case .final where state.failureRoute.isEmpty: return false
        case .branch, .response, .final: break
        }
        var message = Message()
        do throws(SIPParseError) {
            try message.load(RawSpan(_elements: question.bytes.span))
            try message.identify()
        } catch {
            return false
        }
        engine.host.run.begin(message, at: point(question), state: state, time: time)
        return true
    }

    private func point(_ question: ScriptQuestion) -> RoutePoint {
        let listener = Int(question.listener.rawValue)
        let socket = sockets.indices.contains(listener) ? sockets[listener] : sockets.first ?? question.source
        let kind = Self.kind(of: question.point)
        var (branch, status) = (0, 0)
        switch question.point {
        case .request: break
        case .branch(let number), .response(let number): branch = number
        case .final(let best): status = best
        }
        var point = RoutePoint(kind: kind, source: question.source, socket: socket)
        point.branch = branch
        point.status = status
        point.isReceivedResponse = kind == .onreply || status != 408
        point.hasTransaction = kind != .request
        point.did = question.did
        point.transaction = question.transaction
        point.beginsDialog = kind == .request && question.did != nil && !question.isInDialog
        return point
    }

    private static func kind(of point: ScriptQuestion.Point) -> RouteKind {
        switch point {
        case .request: .request
        case .branch: .branch
        case .response: .onreply
        case .final: .failure
        }
    }

    // MARK: Responses

    private func response(_ question: ScriptQuestion, _ time: RouteTime) -> ScriptVerdict? {
        var changed: [UInt8] = []
        if hasReplyRoute {
            engine.host.run.point.kind = .reply
            guard let verdict = finish(run(Self.replyRoute), question) else { return nil }
            guard case .message(.goOn(let bytes)) = verdict else { return verdict }
            changed = bytes
        }
        let state = states[question.transaction] ?? RouteState()
        guard !state.onreplyRoute.isEmpty else { return .message(.goOn(changed)) }
        var next = question
        if !changed.isEmpty { next.bytes = changed }
        guard begin(next, time), let verdict = finish(run(state.onreplyRoute), next) else {
            return .message(.goOn(changed))
        }
        if case .message(.goOn(let bytes)) = verdict, bytes.isEmpty { return .message(.goOn(changed)) }
        return verdict
    }

    // MARK: Verdicts

    // MARK: Events

    /// Calls a function of the script about a dialog; what it says of the message is nobody's.
    func tell(_ event: [UInt8], about did: DialogID, with message: Message, to callback: [UInt8], _ time: RouteTime) {
        let socket = sockets.first ?? Endpoint(address: Address(ipv4: 0), port: 5_060)
        var point = RoutePoint(kind: .event, source: socket, socket: socket)
        point.did = did
        engine.host.run.begin(message, at: point, state: RouteState(), time: time)
        engine.host.run.plan.dialogs.current = did
        let outcome = measured(.event) { engine.start(callback, argument: event) }
        collect(nil)
        switch outcome {
        case .ended, .exited: break
        case .failed(let error): failures.append(error)
        case .absent:
            let text = "there is no function \(callback.shown) for \(event.shown)"
            failures.append(ScriptError(kind: .error, file: engine.fileName, line: 0, text: text))
        case .waiting(let token, _):
            engine.drop(token)
            let text = "a function for events cannot wait"
            failures.append(ScriptError(kind: .error, file: engine.fileName, line: 0, text: text))
        }
        goOnWithSuspended(time)
    }

    /// Takes what a run has left for others to do.
    private func collect(_ question: ScriptQuestion?) {
        notes += engine.host.run.notes
        engine.host.run.notes.removeAll(keepingCapacity: true)
        let wanted = engine.host.run.plan.dialogs.takeActs()
        let (registrations, statuses) = engine.host.run.plan.takeRegistrations()
        if !wanted.isIdle || !statuses.isEmpty || !registrations.isEmpty {
            acts.append(
                Acts(question: question, dialogs: wanted, registrations: registrations, statuses: statuses))
        }
        continuations += engine.host.run.plan.continuations
        engine.host.run.plan.continuations.removeAll()
    }

    private func finish(_ outcome: ScriptOutcome, _ question: ScriptQuestion) -> ScriptVerdict? {
        collect(question)
        switch outcome {
        case .ended, .exited: break
        case .absent:
            let text = "the script has no function for this"
            return failed(ScriptError(kind: .error, file: "", line: 0, text: text), question)
        case .failed(let error): return failed(error, question)
        case .waiting(let token, let milliseconds):
            let until = engine.host.run.time.now.advanced(milliseconds: Int64(milliseconds))
            waiting.append(Waiting(question: question, token: token, until: until, engine: engine))
            return nil
        }
        keep(engine.host.run.state, question)
        if engine.host.run.plan.isSuspended, engine.host.run.plan.verdict == .ended {
            suspend(question)
            return nil
        }
        do throws(RouteFault) {
            return try verdict(question)
        } catch {
            return failed(ScriptError(kind: .error, file: "", line: 0, text: error.text), question)
        }
    }

    private func failed(_ error: ScriptError, _ question: ScriptQuestion) -> ScriptVerdict {
        failures.append(error)
        guard case .request = question.point else { return Self.indifferent(question) }
        return .request(RequestVerdict(.answer(status: 500, reason: [], lines: [])))
    }

    private func keep(_ state: RouteState, _ question: ScriptQuestion) {
        guard question.transaction != 0 else { return }
        if states.updateValue(state, forKey: question.transaction) == nil { order.append(question.transaction) }
        while states.count > Self.transactionLimit {
            states[order[head]] = nil
            head += 1
        }
        if head > 1_024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }

    private func verdict(_ question: ScriptQuestion) throws(RouteFault) -> ScriptVerdict {
        let plan = engine.host.run.plan
        switch question.point {
        case .request:
            var verdict = try requestVerdict(question, plan)
            verdict.awaitsCommit = plan.hasRegistered
            return .request(verdict)
        case .branch, .response:
            if plan.isDropped { return .message(.drop) }
            return .message(.goOn(try engine.host.run.changedMessage()))
        case .final:
            switch plan.verdict {
            case .replied(let status, let reason, _):
                return .final(.answer(status: status, reason: reason, lines: plan.replyLines))
            case .relayed, .forwarded:
                let bytes = try engine.host.run.changedMessage()
                return .final(.retry(targets(plan, always: true), bytes: bytes, times: Self.times(plan)))
            case .ended, .dropped: return .final(.best)
            }
        }
    }

    private func requestVerdict(_ question: ScriptQuestion, _ plan: RoutePlan) throws(RouteFault) -> RequestVerdict {
        switch plan.verdict {
        case .replied(let status, let reason, _):
            return RequestVerdict(.answer(status: status, reason: reason, lines: plan.replyLines))
        case .relayed, .forwarded:
            let recorded: Bool? = question.isInDialog && !plan.recordsRoute ? nil : plan.recordsRoute
            let bytes = try engine.host.run.changedMessage()
            let targets = targets(plan, always: false)
            var verdict = RequestVerdict(
                targets.isEmpty ? .route : .relay(targets), bytes: bytes, recordsRoute: recorded)
            verdict.changes = plan.dialogs.ofTheComing
            verdict.lifetimeMilliseconds =
                plan.dialogs.lifetimes.first { $0.did == nil }.map {
                    UInt64($0.seconds) * 1_000
                } ?? 0
            verdict.tracksDialog = plan.dialogs.isManaged
            verdict.times = Self.times(plan)
            return verdict
        case .ended, .dropped: return RequestVerdict(.drop)
        }
    }

    private static func times(_ plan: RoutePlan) -> AnswerTimes {
        var times = AnswerTimes()
        times.first = plan.firstAnswerTime.map { .milliseconds($0) }
        times.final = plan.finalAnswerTime.map { .milliseconds($0) }
        return times
    }

    /// Where a request goes that does not go by its Request-URI alone: a destination, contacts, or branches.
    private func targets(_ plan: RoutePlan, always: Bool) -> [ForkTarget] {
        var targets: [ForkTarget] = []
        // Where `lookup_to_dset` has left a Request-URI that is ours, it is the branches that are meant.
        let isOurs =
            plan.destination.isEmpty && !plan.branches.isEmpty
            && engine.host.run.isOurs(uri: engine.host.run.requestURI)
        if !plan.contact.isEmpty {
            targets.append(Self.target(plan.requestURI, contact: plan.contact))
        } else if !isOurs, always || !plan.destination.isEmpty || !plan.branches.isEmpty {
            let whither = plan.destination.isEmpty ? engine.host.run.requestURI : plan.destination
            if let target = Self.target(plan.requestURI, whither) { targets.append(target) }
        }
        for branch in plan.branches {
            guard branch.contact.isEmpty else {
                targets.append(Self.target(branch.uri, contact: branch.contact))
                continue
            }
            let whither = branch.destination.isEmpty ? branch.uri : branch.destination
            if let target = Self.target(branch.uri, whither) { targets.append(target) }
        }
        return targets
    }

    private static func target(_ requestURI: [UInt8], contact: [UInt8]) -> ForkTarget {
        var target = ForkTarget(requestURI: requestURI, group: 0, candidates: [])
        target.contact = contact
        return target
    }

    private static func target(_ requestURI: [UInt8], _ whither: [UInt8]) -> ForkTarget? {
        guard let uri = try? URI(whither, ByteRange(whither)), !uri.host.isEmpty else { return nil }
        let transport = uri.transport(in: whither)
        if let address = Address(bytes: whither, range: uri.host) {
            let known = transport ?? (uri.scheme == .sips ? .tls : .udp)
            let endpoint = Endpoint(address: address, port: uri.effectivePort(in: whither), transport: known)
            return ForkTarget(requestURI: requestURI, group: 0, candidates: [endpoint])
        }
        var host = whither[uri.host.range].map(Text.lowercased)
        if host.last == 0x2E { host.removeLast() }
        let name = ResolutionTarget(isSecure: uri.scheme == .sips, host: host, port: uri.port, transport: transport)
        return ForkTarget(requestURI: requestURI, group: 0, candidates: [], name: name)
    }
}
