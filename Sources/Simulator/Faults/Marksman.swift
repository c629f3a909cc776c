// Faults that choose their moment: a node dies as it sends a 2xx or a first BYE, and comes back or does not; a frame is
// lost, and nothing else. What happens between a message and the death of who sent it is a hundredth of a second wide,
// and chance alone hardly ever strikes there.

internal import Dialogs

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

// MARK: Around one message

extension World {
    /// `severed`: a node has just got a 2xx, and is cut off with it; those who are left go on for it, or are about to.
    func sever(_ host: Host) {
        guard plan.faults.contains(.severed), now < Plan.heal - .seconds(8), hosts.count > 2,
            disturbances.isQuiet(for: .seconds(2), at: now), hosts.allSatisfy(\.isRunning),
            faultRandom.chance(perMille: 300)
        else { return }
        var side = [host.index]
        let others = hosts.indices.filter { $0 != host.index }
        if hosts.count > 3 { side.append(faultRandom.pick(others)) }
        let pairs = side.flatMap { one in
            others.filter { !side.contains($0) }.flatMap { [(one, $0), ($0, one)] }
        }
        checks.coverage?.count(.fault(FaultKind.severed.rawValue))
        cut(
            pairs,
            length: faultRandom.pick([
                .milliseconds(450), .milliseconds(550), .milliseconds(650), .milliseconds(800), .seconds(1),
                .seconds(6),
            ]))
    }

    /// `deaf`: a callee's copy of the 2xx that a node died with.
    func isUnheard(_ packet: Packet) -> Bool {
        guard plan.faults.contains(.deaf), case .phone = packet.sender, packet.bytes.starts(with: "SIP/2.0 2".utf8),
            let call = call(of: packet.bytes), truth[call].isDeaf, truth[call].confirmedAt == nil
        else { return false }
        checks.coverage?.count(.fault(FaultKind.deaf.rawValue))
        return true
    }

    /// `astray`: a phone's request with the number of another call in its Routes.
    func strays(_ packet: Packet) -> Packet {
        guard plan.faults.contains(.astray), !isHealed, case .phone = packet.sender,
            !packet.bytes.starts(with: "SIP/2.0".utf8), let call = call(of: packet.bytes), let own = truth[call].did,
            packet.bytes.contains(text: ";did=\(DialogID(rawValue: own).hex)"), partyRandom.chance(perMille: 125)
        else { return packet }
        let others = truth.filter { $0.index != call && $0.did != nil && $0.confirmedAt != nil && !$0.isEnding }
        guard !others.isEmpty, let other = partyRandom.pick(others).did else { return packet }
        checks.coverage?.count(.fault(FaultKind.astray.rawValue))
        var changed = packet
        let text = String(decoding: packet.bytes, as: UTF8.self)
        changed.bytes = Array(
            text.replacing(";did=\(DialogID(rawValue: own).hex)", with: ";did=\(DialogID(rawValue: other).hex)").utf8)
        return changed
    }
}
