// TargetBoard is what this node knows of the targets of all sets: the state of each, how often each set was chosen
// from, and in which order a set is tried. The choice is a function of the request, of how often the set was chosen
// from, and of which targets are down; chance enters by the keyed hash only, so a run can be replayed.
//
// The order is drawn over all targets and those that are down are left out afterwards: when one goes down, only its own
// share moves elsewhere. If all are down all are tried, since a guess is better than a refusal.
//
// A target is known by its number: that of the first one plus its position in the table. Each reload begins with new
// numbers, so a branch from before it, when these were others, knows none.

package import Primitives

package struct TargetBoard: Sendable {
    package private(set) var sets: [TargetSet]
    /// Of all sets, one behind the other.
    private var states: [TargetState] = []
    private var firstNumber: Int32 = 0
    /// Where each set begins in `states`, and how often it was chosen from.
    private var places: [(first: Int, choices: UInt64)] = []

    package init(_ sets: [TargetSet], now: Instant) {
        self.sets = sets
        fill(now: now)
    }

    private mutating func fill(now: Instant) {
        (states, places) = ([], [])
        for (index, set) in sets.enumerated() {
            places.append((first: states.count, choices: 0))
            for position in set.targets.indices {
                states.append(TargetState(set: index, position: position, changedAt: now))
            }
        }
    }

    /// Takes other sets. What is known of a target that stays in its set is kept.
    package mutating func replace(with others: [TargetSet], now: Instant) {
        let (oldSets, oldStates, oldPlaces) = (sets, states, places)
        sets = others
        firstNumber &+= Int32(oldStates.count)
        fill(now: now)
        for (index, set) in sets.enumerated() {
            guard let old = oldSets.firstIndex(where: { $0.name == set.name }) else { continue }
            places[index].choices = oldPlaces[old].choices
            for (position, target) in set.targets.enumerated() {
                guard let before = oldSets[old].targets.firstIndex(where: { $0.uri == target.uri }) else { continue }
                var state = oldStates[oldPlaces[old].first + before]
                (state.set, state.position) = (index, position)
                states[places[index].first + position] = state
            }
        }
    }

    /// The number of a target.
    package func number(ofSet set: Int, _ position: Int) -> Int32 { firstNumber + Int32(places[set].first + position) }

    /// The set and the target that a number names; `nil` for one from before a reload.
    package func target(_ number: Int32) -> (set: TargetSet, target: TargetSet.Target)? {
        guard let index = index(number) else { return nil }
        let set = sets[states[index].set]
        return (set, set.targets[states[index].position])
    }

    private func index(_ number: Int32) -> Int? {
        let index = Int(number) - Int(firstNumber)
        return states.indices.contains(index) ? index : nil
    }

    // MARK: The order

    /// The targets of a set in the order in which they are tried, with the group of each; and whether all were down, so
    /// that all of them are.
    package mutating func order(ofSet set: Int, _ draw: TargetDraw, now: Instant)
        -> (targets: [(position: Int, group: Int)], allDown: Bool)
    {
        let chosen = sets[set]
        let all = Array(chosen.targets.indices.prefix(ForkTarget.limit))
        places[set].choices &+= 1
        let choices = places[set].choices
        let order: [Int] =
            switch chosen.policy {
            case .failover, .parallel: all.sorted { (-chosen.targets[$0].q, $0) < (-chosen.targets[$1].q, $1) }
            case .roundRobin: Self.rotated(all, by: choices &- 1)
            case .weight: Self.drawn(all, chosen, draw.hash, seed: draw.seed(set, choices))
            case .hash: Self.drawn(all, chosen, draw.hash, seed: draw.call)
            }
        let isProbed = chosen.probeInterval > .zero
        let first = places[set].first
        var usable = order.filter { states[first + $0].isUsable(isProbed: isProbed, now: now) }
        let allDown = usable.isEmpty
        if allDown { usable = order }
        let targets = usable.enumerated().map { rank, position in
            (position, chosen.policy == .parallel ? 1_000 - chosen.targets[position].q : rank)
        }
        return (targets, allDown)
    }

    private static func rotated(_ all: [Int], by turns: UInt64) -> [Int] {
        let start = Int(turns % UInt64(max(1, all.count)))
        return Array(all[start...] + all[..<start])
    }

    /// Draws one after another without putting back, each with the chance of its weight.
    private static func drawn(_ all: [Int], _ set: TargetSet, _ hash: KeyedHash, seed: UInt64) -> [Int] {
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

    // MARK: What becomes of requests

    /// A branch to a target has ended.
    package mutating func noteBranch(_ number: Int32, _ end: Proxy.BranchEnd, isSilent: Bool, now: Instant)
        -> TargetState.Change
    {
        guard let index = index(number) else { return .none }
        states[index].requests &+= 1
        switch end {
        case .answered: return note(number, isUp: true, now: now)
        case .failed where isSilent:
            states[index].silences &+= 1
            return note(number, isUp: false, now: now)
        case .failed: return .none  // 503: it is there, and overloaded.
        }
    }

    package mutating func noteProbe(_ number: Int32) {
        if let index = index(number) { states[index].probes &+= 1 }
    }

    package mutating func note(_ number: Int32, isUp: Bool, now: Instant) -> TargetState.Change {
        guard let index = index(number) else { return .none }
        let set = sets[states[index].set]
        return states[index].note(isUp: isUp, upAfter: set.upAfter, downAfter: set.downAfter, now: now)
    }

    /// Every target of every set, for operators.
    package func statuses(now: Instant) -> [TargetStatus] {
        states.map { state in
            let set = sets[state.set]
            return TargetStatus(
                set: set.name, uri: set.targets[state.position].uri, policy: set.policy, isUp: state.isUp,
                isProbed: set.probeInterval > .zero, changedMilliseconds: now.milliseconds(since: state.changedAt),
                streak: state.isUp ? state.failures : state.answers, probes: state.probes, requests: state.requests,
                silences: state.silences)
        }
    }
}

/// What an order is drawn from.
package struct TargetDraw: Sendable {
    var hash: KeyedHash
    /// This process, so that not all nodes draw the same.
    var member: UInt32
    /// A hash of the call: the same on all nodes.
    var call: UInt64

    package init(hash: KeyedHash, member: UInt32, call: UInt64) {
        self.hash = hash
        self.member = member
        self.call = call
    }

    func seed(_ set: Int, _ choice: UInt64) -> UInt64 {
        var stream = hash.begin()
        stream.combine(UInt64(member) << 32 | UInt64(set))
        stream.combine(choice)
        return stream.finish()
    }
}
