// The points at which two routes are run, one after the other: a response, and a branch. Either may wait.

internal import Proxy
internal import Routes
internal import SIP

extension ScriptJudge {
    static let replyRoute = Array("ksr_reply_route".utf8)
    static let onsendRoute = Array("ksr_onsend_route".utf8)

    func response(_ question: ScriptQuestion, _ time: RouteTime) -> ScriptVerdict? {
        guard engine.hasReplyRoute, begin(question, time) else { return onreply(question, [], time) }
        engine.host.run.point.kind = .reply
        return finish(run(Self.replyRoute), question, .onreply).flatMap { goOn($0, question, .onreply, time) }
    }

    func branch(_ question: ScriptQuestion, _ number: Int, _ time: RouteTime) -> ScriptVerdict? {
        let armed = states[question.transaction]?.branchRoute ?? []
        guard !armed.isEmpty, begin(question, time) else {
            return goOn(.message(.goOn([])), question, .onsend, time)
        }
        return finish(run(armed), question, .onsend).flatMap { goOn($0, question, .onsend, time) }
    }

    /// The second route of a point, when the first has ended and has let the message go on.
    func goOn(
        _ verdict: ScriptVerdict, _ question: ScriptQuestion, _ stage: Stage, _ time: RouteTime
    ) -> ScriptVerdict? {
        guard case .message(.goOn(let changed)) = verdict else { return verdict }
        let isThere = changed.isEmpty && engine.host.run.plan.appliedMessage.isEmpty
        switch stage {
        case .last: return verdict
        case .onreply: return onreply(question, changed, isThere: isThere, time)
        case .onsend:
            armFailure(of: question)
            return onsend(question, changed, time)
        }
    }

    private func onreply(
        _ question: ScriptQuestion, _ changed: [UInt8], isThere: Bool = false, _ time: RouteTime
    ) -> ScriptVerdict? {
        let route = states[question.transaction]?.onreplyRoute ?? []
        var next = question
        if !changed.isEmpty { (next.bytes, next.number) = (changed, 0) }
        guard !route.isEmpty, begin(next, isThere: isThere, time) else { return .message(.goOn(changed)) }
        guard let verdict = finish(run(route), next) else { return nil }
        if case .message(.goOn(let bytes)) = verdict, bytes.isEmpty { return .message(.goOn(changed)) }
        return verdict
    }

    /// What leaves is written: the route can stop it, and no more.
    func onsend(_ question: ScriptQuestion, _ changed: [UInt8], _ time: RouteTime) -> ScriptVerdict {
        var next = question
        if !changed.isEmpty { (next.bytes, next.number) = (changed, 0) }
        guard engine.hasOnsendRoute, begin(next, time) else { return .message(.goOn(changed)) }
        engine.host.run.point.kind = .onsend
        guard runAtOnce(Self.onsendRoute, argument: nil) else { return .message(.goOn(changed)) }
        keep(engine.host.run.state, question)
        if engine.host.run.plan.isDropped { return .message(.drop) }
        if !engine.host.run.plan.edits.isEmpty { fail("ksr_onsend_route cannot change what is written already") }
        return .message(.goOn(changed))
    }

    /// A branch fails with the route that was armed when it began.
    private func armFailure(of question: ScriptQuestion) {
        guard case .branch(let number) = question.point, let route = states[question.transaction]?.branchFailureRoute,
            !route.isEmpty
        else { return }
        states[question.transaction]?.branchFailureRoutes[number] = route
    }
}
