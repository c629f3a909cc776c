// Static routing (RFC 3261 §16.5: a target set from configuration): which route a request takes, and in which order the
// targets of its set are tried. The choice is a function of the request, of how often the set was chosen from, and of
// which targets are down; chance enters by the keyed hash only, so a run can be replayed.
//
// The order is drawn over all targets and those that are down are left out afterwards: when one goes down, only its own
// share moves elsewhere. If all are down all are tried, since a guess is better than a refusal.

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
            if condition.known == .other {
                let end = Int(field.line.start) + condition.name.count
                let name = ByteRange(start: Int(field.line.start), end: min(end, Int(field.line.end)))
                guard Text.sameIgnoringCase(bytes, name, condition.name, ByteRange(condition.name)),
                    bytes[end] == UInt8(ascii: ":") || bytes[end] == UInt8(ascii: " ") || bytes[end] == 9
                else { return false }
            }
            return condition.matches(bytes, field.value)
        }
    }

    /// Sends a request where a route says.
    mutating func follow(_ route: StaticRoute, _ plan: inout RequestPlan) -> Decision {
        let path = usePath(route.path, &plan)
        guard path.isProceed else { return path }
        let set = settings.targetSets[route.set]
        let order = order(of: set, at: route.set)
        if order.count == 1 {
            let target = set.targets[order[0].position]
            if target.namesUser { plan.requestURI = target.uri }
            plan.health = firstTarget + Int32(setStates[route.set].first + order[0].position)
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
            result.health = firstTarget + Int32(setStates[route.set].first + element.position)
            result.isTransportOpen = target.isTransportOpen
            return result
        }
        return .proceed
    }

    /// The targets of a set in the order in which they are tried, with the group of each.
    private mutating func order(of set: TargetSet, at index: Int) -> [(position: Int, group: Int)] {
        let all = Array(set.targets.indices.prefix(ForkTarget.limit))
        setStates[index].choices &+= 1
        let order: [Int] =
            switch set.policy {
            case .failover, .parallel: all.sorted { (-set.targets[$0].q, $0) < (-set.targets[$1].q, $1) }
            case .roundRobin: rotated(all, by: setStates[index].choices &- 1)
            case .weight: drawn(all, set, seed: seed(index, setStates[index].choices))
            case .hash: drawn(all, set, seed: seedOfCall())
            }
        let isProbed = set.probeInterval > .zero
        let first = setStates[index].first
        var usable = order.filter { targetStates[first + $0].isUsable(isProbed: isProbed, now: now) }
        if usable.isEmpty {
            counters.allTargetsDown += 1
            usable = order
        }
        return usable.enumerated().map { rank, position in
            (position, set.policy == .parallel ? 1_000 - set.targets[position].q : rank)
        }
    }

    private func rotated(_ all: [Int], by turns: UInt64) -> [Int] {
        let start = Int(turns % UInt64(max(1, all.count)))
        return Array(all[start...] + all[..<start])
    }

    /// Draws one after another without putting back, each with the chance of its weight.
    private func drawn(_ all: [Int], _ set: TargetSet, seed: UInt64) -> [Int] {
        var left = all
        var order: [Int] = []
        while !left.isEmpty {
            var stream = hash.begin()
            stream.combine(seed)
            stream.combine(UInt64(order.count))
            let total = left.reduce(0) { $0 + max(1, set.targets[$1].weight) }
            var draw = Int(stream.finish() % UInt64(total))
            let place = left.firstIndex { position in
                draw -= max(1, set.targets[position].weight)
                return draw < 0
            }
            order.append(left.remove(at: place ?? 0))
        }
        return order
    }

    private func seed(_ index: Int, _ choice: UInt64) -> UInt64 {
        var stream = hash.begin()
        stream.combine(UInt64(settings.memberTag) << 32 | UInt64(index))
        stream.combine(choice)
        return stream.finish()
    }

    private func seedOfCall() -> UInt64 {
        var stream = hash.begin()
        stream.combine(message.bytes, message.callID)
        return stream.finish()
    }

    // MARK: What requests say of a target

    /// How a branch to a target of a route ended.
    mutating func noteEnd(of branch: ClientBranch, _ end: BranchEnd) {
        guard let health = branch.health else { return }
        let index = Int(health) - Int(firstTarget)
        guard targetStates.indices.contains(index) else { return }
        targetStates[index].requests &+= 1
        switch end {
        case .answered: note(index, isUp: true)
        case .failed where branch.response.isEmpty:
            targetStates[index].silences &+= 1
            note(index, isUp: false)
        case .failed: break  // 503: it is there, and overloaded.
        }
    }

    mutating func note(_ index: Int, isUp: Bool) {
        let set = settings.targetSets[targetStates[index].set]
        switch targetStates[index].note(isUp: isUp, upAfter: set.upAfter, downAfter: set.downAfter, now: now) {
        case .none: break
        case .up: counters.targetsCameUp += 1
        case .down: counters.targetsWentDown += 1
        }
    }

    /// Every target of every set, for operators.
    package func targets(now: Instant) -> [TargetStatus] {
        targetStates.map { state in
            let set = settings.targetSets[state.set]
            return TargetStatus(
                set: set.name, uri: set.targets[state.position].uri, policy: set.policy, isUp: state.isUp,
                isProbed: set.probeInterval > .zero, changedMilliseconds: now.milliseconds(since: state.changedAt),
                streak: state.isUp ? state.failures : state.answers, probes: state.probes, requests: state.requests,
                silences: state.silences)
        }
    }
}
