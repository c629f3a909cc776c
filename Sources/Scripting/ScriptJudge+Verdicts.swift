// What a run has decided, as the node takes it: an answer, a message as it was changed, targets.

internal import Primitives
internal import Proxy
internal import Routes
internal import SIP

extension ScriptJudge {
    /// What goes on may bring its dialog a time.
    func takeTimeout(_ outcome: ScriptOutcome) {
        switch (outcome, engine.host.run.plan.verdict) {
        case (.ended, .relayed), (.ended, .forwarded), (.exited, .relayed), (.exited, .forwarded):
            engine.host.run.takeTimeoutFromAVP()
        default: return
        }
    }

    /// What a run has decided about its question; `nil` where it has put it aside.
    static func verdict(_ question: ScriptQuestion, _ run: inout RouteRun) throws(RouteFault) -> ScriptVerdict? {
        if run.plan.isSuspended, run.plan.verdict == .ended { return nil }
        switch question.point {
        case .request:
            var verdict = try requestVerdict(question, &run)
            verdict.awaitsCommit = run.plan.hasRegistered
            return .request(verdict)
        case .branch, .response, .local, .acknowledgement:
            return .message(run.plan.isDropped ? .drop : .goOn(try run.changedMessage()))
        case .branchFailure, .final:
            switch run.plan.verdict {
            case .replied(let status, let reason, _):
                return .final(.answer(status: status, reason: reason, lines: run.plan.replyLines))
            case .relayed, .forwarded:
                let bytes = try run.changedMessage()
                return .final(.retry(targets(&run, always: true), bytes: bytes, times: times(run.plan)))
            case .ended, .dropped: return .final(.best)
            }
        }
    }

    private static func requestVerdict(
        _ question: ScriptQuestion, _ run: inout RouteRun
    ) throws(RouteFault) -> RequestVerdict {
        switch run.plan.verdict {
        case .replied(let status, let reason, _):
            return RequestVerdict(.answer(status: status, reason: reason, lines: run.plan.replyLines))
        case .relayed, .forwarded:
            let recorded: Bool? = question.isInDialog && !run.plan.recordsRoute ? nil : run.plan.recordsRoute
            let bytes = try run.changedMessage()
            let targets = targets(&run, always: false)
            var verdict = RequestVerdict(
                targets.isEmpty ? .route : .relay(targets), bytes: bytes, recordsRoute: recorded)
            verdict.changes = run.plan.dialogs.ofTheComing
            verdict.lifetimeMilliseconds =
                run.plan.dialogs.lifetimes.first { $0.did == nil }.map {
                    UInt64($0.seconds) * 1_000
                } ?? 0
            verdict.tracksDialog = run.tracksDialog
            verdict.recordParameters = run.plan.recordParameters
            verdict.times = times(run.plan)
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
    private static func targets(_ run: inout RouteRun, always: Bool) -> [ForkTarget] {
        var targets: [ForkTarget] = []
        let (isDirect, hasBranches) = (run.plan.destination.isEmpty, !run.plan.branches.isEmpty)
        // Where `lookup_to_dset` has left a Request-URI that is ours, it is the branches that are meant.
        let isOurs = isDirect && hasBranches && run.isOursByRequestURI
        if !run.plan.contact.isEmpty {
            targets.append(target(run.plan.requestURI, contact: run.plan.contact))
        } else if !isOurs, always || !isDirect || hasBranches {
            if let target = target(run.plan.requestURI, run.nextHopURI) { targets.append(target) }
        }
        for branch in run.plan.branches {
            guard branch.contact.isEmpty else {
                targets.append(target(branch.uri, contact: branch.contact))
                continue
            }
            let whither = branch.destination.isEmpty ? branch.uri : branch.destination
            if let target = target(branch.uri, whither) { targets.append(target) }
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
