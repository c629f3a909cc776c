// Faults that choose their moment: a node dies as it sends a 2xx or a first BYE, and comes back or does not; a frame is
// lost, and nothing else. What happens between a message and the death of who sent it is a hundredth of a second wide,
// and chance alone hardly ever strikes there.

extension CheckState {
    func snipes(_ host: Host, _ truth: CallTruth, _ world: World, perMille: Int) -> Fate {
        if world.plan.faults.contains(.marksman) { return marksman(host, world) }
        guard world.plan.faults.contains(.sniper), world.now < Plan.heal - .seconds(3) else { return .go }
        guard world.hosts.allSatisfy({ $0.isAlive }) else { return .go }
        // By a source of their own: what the others draw does not depend on whether there are hunts.
        let isStruck =
            truth.plan.isPlain
            ? world.faultRandom.chance(perMille: perMille) : world.partyRandom.chance(perMille: perMille)
        guard isStruck else { return .go }
        snipes += 1
        coverage?.count(.fault(FaultKind.sniper.rawValue))
        world.schedule(.fault(.start(host: host.index)), after: .seconds(4))
        return world.faultRandom.chance(perMille: 500) ? .dieBefore : .dieAfter
    }

    /// Those that are left must be a majority of all, and quiet for a while: each death is judged by itself.
    private func marksman(_ host: Host, _ world: World) -> Fate {
        let gone = world.hosts.count { $0.isGone }
        guard 2 * (gone + 1) < world.hosts.count, world.now < Plan.heal - .seconds(3),
            world.disturbances.isQuiet(for: .seconds(3), at: world.now),
            world.hosts.allSatisfy({ $0.isAlive || $0.isGone }),
            world.faultRandom.chance(perMille: 100)
        else { return .go }
        snipes += 1
        coverage?.count(.fault(FaultKind.marksman.rawValue))
        host.isGone = true
        return world.faultRandom.chance(perMille: 500) ? .dieBefore : .dieAfter
    }

    /// A 2xx is sent on without its commit, and single frames are all that is ever lost: what a peer did not get is to
    /// be sent again within the commit's time, where the ways are short enough for that.
    func checkDropped(_ host: Host, _ truth: CallTruth, _ world: World) {
        let way = world.plan.bus.latency + world.plan.bus.jitter
        guard world.plan.faults == [.drop], world.plan.bus.lossPerMille == 0, way < .milliseconds(5),
            world.disturbances.isQuiet(for: .seconds(2), at: world.now),
            host.node.map({ NodeInspection.standing(of: $0).livePeers > 0 }) == true
        else { return }
        world.violate(
            "commit", call: truth.index, node: host.index,
            "the 2xx leaves without its commit, and no more than single frames are lost")
    }
}

extension World {
    /// One in thirty, while there are faults.
    func isDropped() -> Bool {
        guard plan.faults.contains(.drop), !isHealed, now > Plan.firstCall else { return false }
        guard faultRandom.chance(perMille: 33) else { return false }
        checks.coverage?.count(.fault(FaultKind.drop.rawValue))
        return true
    }
}
