// Static routing (RFC 3261 §16.5: a target set from configuration): which route a request takes, and what its branches
// say of the targets. In which order these are tried is the board's (`TargetBoard`).

package import Primitives
import SIP

extension Proxy {
    /// Whether a request without To tag meets every condition of a route.
    func matches(_ route: StaticRoute, _ plan: RequestPlan) -> Bool {
        let bytes = message.bytes
        if !route.methods.isEmpty,
            !route.methods.contains(where: { Text.same(bytes, message.methodText, $0, ByteRange($0)) })
        {
            return false
        }
        if !route.sources.isEmpty, !route.sources.contains(where: { $0.contains(plan.source.address) }) {
            return false
        }
        if let pattern = route.requestURI, !pattern(bytes, message.requestURI) { return false }
        return route.headers.allSatisfy { hasHeader($0, from: plan.source) }
    }

    private func hasHeader(_ condition: StaticRoute.HeaderCondition, from source: Endpoint) -> Bool {
        let bytes = message.bytes
        // What will be removed because nobody vouches for it is not believed here either (RFC 3325 §5).
        if condition.known == .assertedIdentity, !settings.trusted.isEmpty, !isTrusted(source) { return false }
        return message.headers.contains { field in
            guard field.name == condition.known else { return false }
            let isNamed =
                condition.known != .other
                || Text.sameIgnoringCase(bytes, message.nameText(of: field), condition.name, ByteRange(condition.name))
            return isNamed && condition.matches(bytes, field.value)
        }
    }

    /// Sends a request where a route says.
    mutating func follow(_ route: StaticRoute, _ plan: inout RequestPlan) -> Decision {
        let path = usePath(route.path, &plan)
        guard path.isProceed else { return path }
        let set = board.sets[route.set]
        // What leads back to the cluster is never sent to, whatever a route says (S1-5). One that names a user may be a
        // name for another of this cluster's routes.
        let order = order(ofSet: route.set).filter { choice in
            let target = set.targets[choice.position]
            return target.namesUser || !(target.endpoint.map(isOwn) ?? false)
        }
        guard !order.isEmpty else { return .refuse(483, .routeToOurselves) }
        if order.count == 1 {
            let target = set.targets[order[0].position]
            if target.namesUser { plan.requestURI = target.uri }
            plan.health = board.number(ofSet: route.set, order[0].position)
            guard let hop = settings.egress ?? target.endpoint else {
                return target.name.map { lookUp($0, &plan) } ?? .refuse(502)
            }
            plan.nextHop = hop
            plan.isTransportOpen = target.isTransportOpen
            return .proceed
        }
        plan.targets = order.map { element in
            let target = set.targets[element.position]
            let hop = settings.egress ?? target.endpoint
            var result = ForkTarget(
                requestURI: target.namesUser ? target.uri : [], group: element.group,
                candidates: hop.map { [$0] } ?? [], name: hop == nil ? target.name : nil)
            result.health = board.number(ofSet: route.set, element.position)
            result.isTransportOpen = target.isTransportOpen
            return result
        }
        return .proceed
    }

    private mutating func order(ofSet set: Int) -> [(position: Int, group: Int)] {
        var stream = hash.begin()
        stream.combine(message.bytes, message.callID)
        let draw = TargetDraw(hash: hash, member: settings.memberTag, call: stream.finish())
        let order = board.order(ofSet: set, draw, now: now)
        if order.allDown { counters.allTargetsDown += 1 }
        return order.targets
    }

    // MARK: What requests say of a target

    /// How a branch to a target of a route ended.
    mutating func noteEnd(of branch: ClientBranch, _ end: BranchEnd) {
        guard let number = branch.health else { return }
        count(board.noteBranch(number, end, isSilent: branch.response.isEmpty, now: now))
    }

    mutating func count(_ change: TargetState.Change) {
        switch change {
        case .none: break
        case .up: counters.targetsCameUp += 1
        case .down: counters.targetsWentDown += 1
        }
    }

    /// Every target of every set, for operators.
    package func targets(now: Instant) -> [TargetStatus] { board.statuses(now: now) }
}
