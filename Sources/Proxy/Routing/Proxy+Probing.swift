// Probing: each target of a set with `probe-interval-s` is asked OPTIONS, again and again, by a context of its own that
// never ends. A probe that has no answer when the next is due has failed, so a dead target is down after `down-after`
// intervals; transaction timers only repeat it meanwhile.
//
// Probes of one set are spread over the interval, so that many targets do not get them at once.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Makes the table of targets, and begins to probe.
    mutating func placeTargets() {
        for (index, set) in settings.targetSets.enumerated() {
            setStates.append((first: targetStates.count, choices: 0))
            for position in set.targets.indices {
                targetStates.append(TargetState(set: index, position: position, changedAt: now))
                guard set.probeInterval > .zero else { continue }
                let offset = set.probeInterval / set.targets.count * position
                startProbing(targetStates.count - 1, at: now.advanced(by: offset))
            }
        }
    }

    /// The position of a probe's target: its context ends before the table is another.
    private func position(of context: ResponseContext) -> Int { Int(context.health - firstTarget) }

    private mutating func startProbing(_ index: Int, at moment: Instant) {
        guard let id = contexts.insert(.blank) else { return }
        probes.append(id)
        var context = ResponseContext()
        context.kind = .probe
        context.method = .options
        context.health = firstTarget + Int32(index)
        context.startedAt = now
        context.contextTimer = wheel.schedule(TimerToken(context: id, machine: .probe).rawValue, at: moment)
        put(context, id)
    }

    /// The next OPTIONS is due; one that has no answer yet has failed.
    mutating func sendProbe(_ context: inout ResponseContext, _ id: SlotID) {
        if let last = context.branches.first, last.final == nil { endProbe(&context, isUp: false) }
        let state = targetStates[position(of: context)]
        let set = settings.targetSets[state.set]
        context.contextTimer = wheel.schedule(
            TimerToken(context: id, machine: .probe).rawValue, at: now.advanced(by: set.probeInterval))
        let target = set.targets[state.position]
        if let endpoint = settings.egress ?? target.endpoint {
            begin(&context, id, target, endpoint)
        } else if let name = target.name {
            if !ask(for: name, .probe(id)) { counters.overloaded += 1 }
        }
    }

    /// The address of a target that is probed came, or there is none: then it cannot be reached.
    mutating func probeResolved(_ id: SlotID, _ endpoint: Endpoint?, of host: [UInt8]) {
        guard var context = take(id) else { return }
        let state = targetStates[position(of: context)]
        if let endpoint {
            let target = settings.targetSets[state.set].targets[state.position]
            begin(&context, id, target, endpoint, of: host)
        } else {
            note(position(of: context), isUp: false)
        }
        put(context, id)
    }

    private mutating func begin(
        _ context: inout ResponseContext, _ id: SlotID, _ target: TargetSet.Target, _ endpoint: Endpoint,
        of host: [UInt8] = []
    ) {
        for branch in context.branches { cancelTimers(branch.timers) }
        context.cSeq = context.cSeq % 0x7fff_ffff + 1
        let number = UInt8(truncatingIfNeeded: context.cSeq)
        let token = Branch.Token(
            member: settings.memberTag, slot: id, branch: number, did: DialogID(rawValue: 0), loop: context.cSeq)
        var branch = ClientBranch(
            client: clientTransaction(.options, endpoint),
            sent: probeRequest(
                target.uri, token, egressListener(endpoint), callID: UInt64(context.health), cSeq: context.cSeq),
            target: endpoint, listener: egressListener(endpoint))
        branch.number = number
        branch.serverName = serverName(host, endpoint)
        context.branches = [branch]
        counters.probes += 1
        targetStates[position(of: context)].probes &+= 1
        start(&context, branch: 0, id)
    }

    private func probeRequest(
        _ uri: [UInt8], _ token: Branch.Token, _ listener: ListenerID, callID: UInt64, cSeq: UInt32
    ) -> [UInt8] {
        let sentBy = settings.name(listener).sentBy
        var writer = ByteWriter(capacity: 512)
        writer.put("OPTIONS ")
        writer.put(uri)
        writer.put(" SIP/2.0\r\nVia: ")
        Self.writeVia(settings, .transaction(token), listener, into: &writer)
        writer.put("\r\nMax-Forwards: ")
        writer.putDecimal(UInt64(settings.maxForwards))
        writer.put("\r\nFrom: <sip:")
        writer.put(sentBy)
        writer.put(">;tag=probe\r\nTo: <")
        writer.put(uri)
        writer.put(">\r\nCall-ID: probe-")
        writer.putHex(UInt64(settings.memberTag), digits: 8)
        writer.put("-")
        writer.putDecimal(callID)
        writer.put("@")
        writer.put(sentBy)
        writer.put("\r\nCSeq: ")
        writer.putDecimal(UInt64(cSeq))
        writer.put(" OPTIONS\r\nContent-Length: 0\r\n\r\n")
        return writer.bytes
    }

    mutating func receiveProbeResponse(_ context: inout ResponseContext, _ token: Branch.Token) {
        guard context.branches.first?.number == token.branch, token.loop == context.cSeq,
            case .nonInvite(var transaction) = context.branches[0].client
        else {
            counters.strayResponses += 1
            return
        }
        actions.removeAll(keepingCapacity: true)
        transaction.receive(statusCode: message.statusCode, actions: &actions)
        context.branches[0].client = .nonInvite(transaction)
        performClient(&context, branch: 0, token.slot)
        guard message.statusCode >= 200, context.branches[0].final == nil else { return }
        context.branches[0].final = message.statusCode
        endProbe(&context, isUp: message.statusCode != 408 && message.statusCode != 503)
    }

    mutating func endProbe(_ context: inout ResponseContext, isUp: Bool) {
        if context.branches[0].final == nil { context.branches[0].final = 408 }
        note(position(of: context), isUp: isUp)
    }
}
