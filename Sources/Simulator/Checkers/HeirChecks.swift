// Who goes on with what, looked at as it is done: a copy of an INVITE reaches the node that has it (S1-2), a refresh
// waits for its record (R2), one heir takes a dead node's call over, and refuses none that a member in reach knows as
// answered (S1-4). What comes of a mistake of these kinds is mostly mended by a repetition a moment later.

internal import Dialogs
internal import Node
internal import Primitives
internal import SIP

/// What a node has to do with a packet before this turn is over.
enum Duty {
    /// Give it to the member that has the transaction, and make no branch of its own.
    case pass(to: Host, call: Int)
    /// Not send it on: it waits for its record.
    case wait(call: Int, for: Host)
    /// Not send it on: the node has granted the end of its dialog.
    case refuse(call: Int)
}

extension World {
    /// What is expected of a node that reads this packet; `nil` for most.
    func duty(of host: Host, with packet: Packet) -> Duty? {
        switch packet.sender {
        case .phone, .balancer: break
        case .node, .server, .user: return nil
        }
        let bytes = packet.bytes
        guard !bytes.starts(with: "SIP/2.0".utf8), let node = host.node, NodeInspection.isServing(node),
            let number = call(of: bytes)
        else { return nil }
        let call = truth[number]
        if hasGranted(host, node, call), isRefresh(bytes) { return .refuse(call: call.index) }
        guard call.plan.isPlain, !call.isForked, call.triedAgainAt == nil, call.cancelledAt == nil, !call.isEnding,
            call.byes.isEmpty, call.askedAt == nil, call.failure == nil, !call.wasRefused, let did = call.did
        else { return nil }
        let isWithin = bytes.header("To")?.parameter("tag") != nil
        return isWithin ? dutyWithin(host, node, call, did, bytes) : dutyAtFirst(host, node, call, did, bytes)
    }

    private func dutyAtFirst(
        _ host: Host, _ node: RunningNode, _ call: CallTruth, _ did: UInt64, _ bytes: [UInt8]
    ) -> Duty? {
        guard bytes.starts(with: "INVITE ".utf8), let branch = bytes.header("Via")?.parameter("branch"),
            call.transactions.contains(branch), call.transactions.count == 1, call.answers.isEmpty,
            !losesFrames, let owner = call.inviteOwner, owner != host.process, hosts[owner.host].process == owner,
            isInReach(hosts[owner.host], of: host, for: .seconds(1)),
            let seen = call.firstSeen[host.process], seen < now - .milliseconds(500),
            let known = NodeInspection.record(did, node, host), known.state <= .early
        else { return nil }
        ran("S1-2")
        return .pass(to: hosts[owner.host], call: call.index)
    }

    private func isRefresh(_ bytes: [UInt8]) -> Bool {
        (bytes.starts(with: "INVITE ".utf8) || bytes.starts(with: "UPDATE ".utf8))
            && bytes.header("To")?.parameter("tag") != nil && bytes.header("Route")?.contains(";did=") == true
    }

    /// R1: for the life of an intent, 1.5 s, its word is final, unless what it said it about stands no more.
    private func hasGranted(_ host: Host, _ node: RunningNode, _ call: CallTruth) -> Bool {
        guard let did = call.did, call.plan.isPlain, !call.isForked,
            let given = call.grants.last(where: { $0.process == host.process })
        else { return false }
        return now - given.at < .milliseconds(1_400)
            && NodeInspection.isWordBehind(did, node, at: host.instant(given.at)) == false
            && NodeInspection.isWordStanding(did, node)
    }

    private func dutyWithin(
        _ host: Host, _ node: RunningNode, _ call: CallTruth, _ did: UInt64, _ bytes: [UInt8]
    ) -> Duty? {
        guard isRefresh(bytes), bytes.contains(text: ";did=\(DialogID(rawValue: did).hex)"), call.confirmedAt != nil,
            !losesFrames, NodeInspection.record(did, node, host) == nil
        else { return nil }
        for other in nodes where isInReach(other, of: host, for: .seconds(1)) {
            guard let theirs = other.node, NodeInspection.isServing(theirs),
                let known = NodeInspection.record(did, theirs, other), known.state != .deleted,
                NodeInspection.standing(of: node).view.contains(other.name)
            else { continue }
            return .wait(call: call.index, for: other)
        }
        return nil
    }

    /// After the turn: was it done?
    func judge(_ duty: Duty, _ host: Host) {
        let (datagrams, arena) = (outbox.datagrams, outbox.arena)
        func sent(_ method: String, to place: Endpoint) -> Bool {
            datagrams.contains { $0.to == place && arena[$0.range.range].starts(with: method.utf8) }
        }
        // What goes to another member is passed to whoever has its transaction.
        func sentOn(_ methods: String...) -> Bool {
            datagrams.contains { datagram in
                if case .node = parties[datagram.to] { return false }
                return methods.contains { arena[datagram.range.range].starts(with: $0.utf8) }
            }
        }
        switch duty {
        case .pass(let owner, let call):
            guard !sent("INVITE ", to: owner.address) else { return }
            let what = sentOn("INVITE ") ? "makes a branch of its own of" : "does not pass on"
            violate("S1-2", call: call, node: host.index, "\(what) a copy of an INVITE that \(owner.name) has")
        case .refuse(let call):
            ran("R1")
            guard sentOn("INVITE ", "UPDATE ") else { return }
            violate("R1", call: call, node: host.index, "takes a refresh and has granted the end of its dialog")
        case .wait(let call, let other):
            ran("R2")
            guard sentOn("INVITE ", "UPDATE ") else { return }
            violate(
                "R2", call: call, node: host.index,
                "sends a refresh on without its record, which \(other.name) in reach has")
        }
    }

    // MARK: Heirs

    /// A node has said that it goes on with a call for a dead one.
    func tookOver(_ host: Host, _ call: CallTruth) {
        defer { call.heirs.append(GivenGrant(process: host.process, at: now)) }
        guard call.confirmedAt == nil, call.plan.isPlain, !call.isForked, call.triedAgainAt == nil,
            isHealed || plan.bus.lossPerMille == 0, !plan.faults.contains(.loss)
        else { return }
        ran("S1-4")
        for heir in call.heirs where heir.process != host.process && checks.isAlive(heir.process) {
            let other = hosts[heir.process.host]
            // Whoever has started since may be the better heir.
            let isSame = hosts.allSatisfy { $0.startedAt < heir.at - .seconds(2) }
            guard isSame, checks.lastDeath < heir.at, isInReach(other, of: host, for: now - heir.at + .seconds(2)),
                max(disturbances.lastCut, disturbances.lastHealed) < heir.at - .seconds(2)
            else { continue }
            violate(
                "S1-4", call: call.index, node: host.index,
                "goes on with it for a dead node, and so does \(other.name), which is there")
        }
    }

    /// The caller is refused. Whoever does that for another has asked every member that it hears.
    func checkRefusal(_ host: Host, _ call: CallTruth) {
        guard call.plan.isPlain, !call.isForked, call.cancelledAt == nil, call.triedAgainAt == nil, !call.isEnding,
            call.byes.isEmpty, call.askedAt == nil, let did = call.did,
            let answer = call.answers.first(where: { $0.asker == .caller && $0.method == .invite }),
            answer.reachedAt < now - .milliseconds(300),
            // An INVITE by another branch is a further attempt, and its failure is the callee's word for it (R16).
            call.transactions.count == 1 || call.heirs.contains(where: { $0.process == host.process }),
            // What it has said is repeated until its ACK comes, whatever it hears meanwhile (RFC 3261 §17.2.1).
            call.refusers.count(where: { $0 == host.process }) <= 1
        else { return }
        ran("S1-4")
        for other in nodes where isInReach(other, of: host, for: .milliseconds(500)) {
            guard let theirs = other.node, NodeInspection.isServing(theirs),
                let known = NodeInspection.record(did, theirs, other), known.state >= .confirmedNotAcknowledged,
                known.state != .deleted
            else { continue }
            violate(
                "S1-4", call: call.index, node: host.index,
                "refuses it, and \(other.name) in reach has known for long that it was answered")
            return
        }
    }
}
