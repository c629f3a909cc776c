// ScriptJudge answers what a node asks its script (`ScriptQuestion`): it runs the routes that are meant at that point
// and makes a verdict of what they have decided.
//
//     request   ksr_request_route
//     branch    the route that t_on_branch armed, then ksr_onsend_route, which sees what leaves, and whither
//     response  ksr_reply_route, then the one that t_on_reply armed, which sees what the first has changed
//     failure   the one that t_on_branch_failure had armed when the branch began
//     final     the one that t_on_failure armed; it must be armed again for the next round
//     local     the function that `tm.event_callback` names
//     ACK       ksr_onsend_route
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

    /// Which route comes after the one that runs, at the same point.
    enum Stage { case last, onreply, onsend }

    private struct Waiting {
        var question: ScriptQuestion
        var stage: Stage
        var token: UInt64
        var until: Instant
        var engine: ScriptEngine
    }

    /// The one that serves; while a run of another goes on, that one.
    private(set) var engine: ScriptEngine
    /// By `ListenerID`.
    let sockets: [Endpoint]
    /// The function that is told of requests of the cluster's own (`tm.event_callback`); empty without one.
    package var localCallback: [UInt8] = []
    var states: [UInt64: RouteState] = [:]
    /// In the order of their beginning.
    private var order = HeadQueue<UInt64>()
    private var waiting: [Waiting] = []
    /// Runs that wait for a media relay, by the token of its answer.
    private var asking: [UInt64: (wait: Waiting, about: RouteRun.MediaQuestion)] = [:]
    package internal(set) var mediaRelays: MediaRelays
    let hasMediaRelays: Bool
    /// The sockets that media relays are asked from.
    package var mediaListeners = (ipv4: ListenerID(rawValue: 0), ipv6: ListenerID(rawValue: 0))
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
    /// Room for the questions that are being answered (`ScriptDriver`).
    var spareQuestions: [ScriptQuestion] = []

    /// - Throws: for a script that has no `ksr_request_route`: nothing would say where requests go.
    package init(_ engine: ScriptEngine, sockets: [Endpoint]) throws(ScriptError) {
        try Self.check(engine)
        self.engine = engine
        self.sockets = sockets
        mediaRelays = MediaRelays(engine.host.run.settings.mediaRelays)
        hasMediaRelays = !mediaRelays.isEmpty
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

    /// Where there is something to ask: another script may have other points.
    package var points: ScriptPoints {
        var points = ScriptPoints.passing
        if !localCallback.isEmpty { points.insert(.local) }
        if engine.hasOnsendRoute { points.insert(.acknowledgement) }
        return points
    }

    /// Which script serves.
    package var version: String { engine.version }
    package var fileName: String { engine.fileName }

    /// How long runs take, by the route; counted where there is a clock.
    package private(set) var times: [RouteKind: Histogram] = [:]
    package var clock: (() -> Instant)?
    /// The lowest level of a log line that somebody reads, asked before each run.
    package var lowestNote: (() -> RouteNote.Level)?
    /// Told of each question before it is answered; for who looks on.
    package var asks: ((ScriptQuestion) -> Void)?

    package var counters: ScriptEngine.Counters { engine.counters }
    package var memory: Int { engine.memory }
    package var transactionCount: Int { states.count }

    /// When a run that waits goes on, or a media relay has said nothing for too long.
    package var next: Instant? {
        var next = hasMediaRelays ? mediaRelays.next : nil
        for entry in waiting { next = min(next ?? entry.until, entry.until) }
        return next
    }

    // MARK: Questions

    /// - Returns: The verdict; `nil` when the run waits.
    package func judge(_ question: ScriptQuestion, _ time: RouteTime) -> ScriptVerdict? {
        asks?(question)
        let verdict = ask(question, time)
        goOnWithSuspended(time)
        return verdict
    }

    private func ask(_ question: ScriptQuestion, _ time: RouteTime) -> ScriptVerdict? {
        if case .response = question.point { return response(question, time) }
        if case .branch(let number) = question.point { return branch(question, number, time) }
        if case .acknowledgement = question.point { return onsend(question, [], time) }
        guard hasRoute(question), begin(question, time) else { return Self.indifferent(question) }
        switch question.point {
        case .request, .branch, .response, .acknowledgement: return finish(run(Self.requestRoute), question)
        case .branchFailure(let number, _):
            let route = engine.host.run.state.branchFailureRoutes.removeValue(forKey: number)
            // What it adds begins unarmed, or it would be run for that, too.
            engine.host.run.state.branchFailureRoute = []
            return finish(run(route ?? []), question)
        case .final:
            let route = engine.host.run.state.failureRoute
            engine.host.run.state.failureRoute = []
            return finish(run(route), question)
        case .local:
            return runAtOnce(localCallback, argument: [UInt8](copying: "tm:local-request"))
                ? finish(.ended, question) : Self.indifferent(question)
        }
    }

    /// Whether there is something to run.
    private func hasRoute(_ question: ScriptQuestion) -> Bool {
        let state = states[question.transaction]
        return switch question.point {
        case .request, .branch, .response, .acknowledgement: true
        case .branchFailure(let number, _): state?.branchFailureRoutes[number] != nil
        case .final: !(state?.failureRoute ?? []).isEmpty
        case .local: !localCallback.isEmpty
        }
    }

    /// Runs a route of the point at hand, and counts how long it takes.
    func run(_ route: [UInt8]) -> ScriptOutcome {
        let kind = engine.host.run.point.kind
        return measured(kind) { engine.start(route) }
    }

    func measured(_ kind: RouteKind, _ body: () -> ScriptOutcome) -> ScriptOutcome {
        if let lowestNote { engine.host.run.lowestNote = lowestNote() }
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
        var answers = due.compactMap { goOn(with: $0, time) { _ in .integer(1) } }
        mediaRelays.advance(to: time.now)
        answers += answered(time)
        goOnWithSuspended(time)
        return answers
    }

    /// Verdicts of runs that a media relay's datagram lets go on.
    package func receive(media bytes: ArraySlice<UInt8>, from: Endpoint, _ time: RouteTime) -> [Answer] {
        mediaRelays.receive(bytes, from: from, now: time.now)
        let answers = answered(time)
        goOnWithSuspended(time)
        return answers
    }

    private func answered(_ time: RouteTime) -> [Answer] {
        mediaRelays.takeEnded().compactMap { token, outcome in
            guard let (entry, question) = asking.removeValue(forKey: token) else { return nil }
            return goOn(with: entry, time) { $0.goOn(outcome, question) }
        }
    }

    private func goOn(
        with entry: Waiting, _ time: RouteTime, _ answer: (inout RouteRun) -> RouteValue?
    ) -> Answer? {
        let serving = engine
        if entry.engine !== serving { use(entry.engine) }
        defer { if engine !== serving { use(serving) } }
        let outcome = measured(Self.kind(of: entry.question.point)) { engine.resume(entry.token, time: time, answer) }
        let verdict = finish(outcome, entry.question, entry.stage)
            .flatMap { goOn($0, entry.question, entry.stage, time) }
        return verdict.map { Answer(question: entry.question, verdict: Self.whole($0, entry.question)) }
    }

    /// A response that waited in its second route goes on as the first has changed it.
    private static func whole(_ verdict: ScriptVerdict, _ question: ScriptQuestion) -> ScriptVerdict {
        guard case .response = question.point, case .message(.goOn(let bytes)) = verdict, bytes.isEmpty else {
            return verdict
        }
        return .message(.goOn(question.bytes))
    }

    // MARK: Suspended requests

    /// Runs the routes that runs have asked for; one of them may ask for further ones.
    func goOnWithSuspended(_ time: RouteTime) {
        if continuations.isEmpty { return }
        var gone: Set<UInt64> = []
        while !continuations.isEmpty {
            let next = continuations.removeFirst()
            guard gone.insert(next.transaction).inserted else {
                // Two that suspend and continue each other would never end. It waits, and gets its 500.
                engine.host.run.suspended.insert(next.transaction)
                fail("a request that was suspended goes on once in a turn")
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
    /// What is said where there is nothing to run.
    private static func indifferent(_ question: ScriptQuestion) -> ScriptVerdict {
        switch question.point {
        case .request: .request(RequestVerdict(.answer(status: 400, reason: [], lines: [])))
        case .branch, .response, .local, .acknowledgement: .message(.goOn([]))
        case .branchFailure, .final: .final(.best)
        }
    }

    /// Puts the message of a question before the engine.
    /// - Parameter isThere: The run before was on the same message, and has left it as it was.
    /// - Returns: `false` when it cannot be read.
    func begin(_ question: ScriptQuestion, isThere: Bool = false, _ time: RouteTime) -> Bool {
        if suspended.count >= SuspendedRequests.limit { forgetLate(time.now) }
        if hasMediaRelays { engine.host.run.activeMediaRelays = mediaRelays.activeCounts(now: time.now) }
        let state = states[question.transaction] ?? RouteState()
        return begin(question, &engine.host.run, isThere: isThere, state: state, time)
    }

    private func begin(
        _ question: ScriptQuestion, _ run: inout RouteRun, isThere: Bool, state: RouteState, _ time: RouteTime
    ) -> Bool {
        if !isThere {
            let isOurs =
                switch question.point {
                case .request, .response: false
                case .branch, .branchFailure, .final, .local, .acknowledgement: true
                }
            guard run.read(question.bytes, number: question.number, isOurs: isOurs) else { return false }
        }
        run.begin(at: point(question), state: state, time: time)
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
        case .branchFailure(let number, let final): (branch, status) = (number, final)
        case .final(let best): status = best
        case .local, .acknowledgement: break
        }
        var point = RoutePoint(kind: kind, source: question.source, socket: socket)
        point.target = question.target
        point.branch = branch
        point.status = status
        point.reply = question.reply
        point.isReceivedResponse = kind == .onreply || status != 408
        point.hasTransaction = kind != .request && kind != .onsend
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
        case .branchFailure: .branchFailure
        case .final: .failure
        case .local: .event
        case .acknowledgement: .onsend
        }
    }

    // MARK: What a run leaves

    /// Runs a function that may not wait.
    /// - Returns: Whether it has ended, and not failed.
    func runAtOnce(_ name: [UInt8], argument: [UInt8]?) -> Bool {
        let outcome = measured(engine.host.run.point.kind) { engine.start(name, argument: argument) }
        collect(nil)
        switch outcome {
        case .ended, .exited: return true
        case .failed(let error): failures.append(error)
        case .absent: fail("there is no function \(name.shown) for \(argument?.shown ?? "this")")
        case .waiting(let token, _), .asking(let token, _):
            engine.drop(token)
            fail("\(name.shown) cannot wait")
        }
        return false
    }

    func fail(_ text: String) {
        failures.append(ScriptError(kind: .error, file: engine.fileName, line: 0, text: text))
    }

    /// Takes what a run has left for others to do.
    private func collect(_ question: ScriptQuestion?) { collect(question, &engine.host.run) }

    private func collect(_ question: ScriptQuestion?, _ run: inout RouteRun) {
        if !run.notes.isEmpty {
            notes += run.notes
            run.notes.removeAll(keepingCapacity: true)
        }
        if run.plan.hasActs {
            let wanted = run.plan.dialogs.takeActs()
            let (registrations, statuses) = run.plan.takeRegistrations()
            if !wanted.isIdle || !statuses.isEmpty || !registrations.isEmpty {
                acts.append(
                    Acts(question: question, dialogs: wanted, registrations: registrations, statuses: statuses))
            }
        }
        if !run.plan.continuations.isEmpty {
            continuations += run.plan.continuations
            run.plan.continuations.removeAll()
        }
    }

    func finish(
        _ asReturned: ScriptOutcome, _ question: ScriptQuestion, _ stage: Stage = .last
    ) -> ScriptVerdict? {
        var outcome = asReturned
        while case .asking(let token, let about) = outcome {
            let wait = Waiting(
                question: question, stage: stage, token: token, until: .distantFuture, engine: engine)
            let asked = mediaRelays.ask(
                about.request, set: about.request.sets.first ?? 0, now: engine.host.run.time.now,
                using: &engine.host.run.chance)
            if let asked {
                asking[asked] = (wait, about)
                collect(question)
                return nil
            }
            collect(question)
            outcome = engine.resume(token, time: engine.host.run.time) { $0.giveUp(about) }
        }
        if case .request = question.point { takeTimeout(outcome) }
        collect(question)
        switch outcome {
        case .ended, .exited: break
        case .absent:
            let text = "the script has no function for this"
            return failed(ScriptError(kind: .error, file: "", line: 0, text: text), question)
        case .failed(let error): return failed(error, question)
        case .waiting(let token, let milliseconds):
            let until = engine.host.run.time.now.advanced(milliseconds: Int64(milliseconds))
            waiting.append(
                Waiting(question: question, stage: stage, token: token, until: until, engine: engine))
            return nil
        case .asking: return nil  // Handled above.
        }
        keep(engine.host.run.state, question)
        do throws(RouteFault) {
            guard let verdict = try Self.verdict(question, &engine.host.run) else {
                suspend(question)
                return nil
            }
            return verdict
        } catch {
            return failed(ScriptError(kind: .error, file: "", line: 0, text: error.text), question)
        }
    }

    private func failed(_ error: ScriptError, _ question: ScriptQuestion) -> ScriptVerdict {
        failures.append(error)
        guard case .request = question.point else { return Self.indifferent(question) }
        return .request(RequestVerdict(.answer(status: 500, reason: [], lines: [])))
    }

    func keep(_ state: RouteState, _ question: ScriptQuestion) {
        guard question.transaction != 0 else { return }
        guard let before = states.updateValue(state, forKey: question.transaction) else {
            return noteNew(question.transaction)
        }
        // Of branches whose runs waited side by side, each has its own.
        guard !before.branchFailureRoutes.isEmpty else { return }
        states[question.transaction]?.branchFailureRoutes.merge(before.branchFailureRoutes) { mine, _ in mine }
    }

    private func noteNew(_ transaction: UInt64) {
        order.append(transaction)
        while states.count > Self.transactionLimit, let oldest = order.popFirst() { states[oldest] = nil }
    }
}
