// What a run has decided, as the node takes it: an answer, a message as it was changed, targets.

internal import Primitives
internal import Proxy
internal import Routes
internal import SIP

extension ScriptJudge {
    /// What the run at hand has decided about its question.
    func verdict(_ question: ScriptQuestion) throws(RouteFault) -> ScriptVerdict {
        let plan = engine.host.run.plan
        switch question.point {
        case .request:
            var verdict = try requestVerdict(question, plan)
            verdict.awaitsCommit = plan.hasRegistered
            return .request(verdict)
        case .branch, .response, .local:
            if plan.isDropped { return .message(.drop) }
            return .message(.goOn(try engine.host.run.changedMessage()))
        case .branchFailure, .final:
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
            verdict.tracksDialog = engine.host.run.tracksDialog
            verdict.recordParameters = plan.recordParameters
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
