// Probing: each target of a set with `probe-interval-s` is asked OPTIONS, again and again, by a request of its own that
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

    /// The position of a probe's target: its request ends before the table is another.
    private func position(of target: Int32) -> Int { Int(target - firstTarget) }

    private mutating func startProbing(_ index: Int, at moment: Instant) {
        var request = OwnRequest(purpose: .probe(firstTarget + Int32(index)), method: .options)
        guard let id = ownRequests.insert(request) else {
            counters.overloaded += 1
            return
        }
        probes.append(id)
        request.timer = wheel.schedule(TimerToken(context: id, machine: .probe).rawValue, at: moment)
        ownRequests.put(request, id)
    }

    /// The next OPTIONS is due; one that has no answer yet has failed.
    mutating func sendProbe(_ request: inout OwnRequest, _ id: SlotID) {
        guard case .probe(let number) = request.purpose else { return }
        if let last = request.parts.first, last.final == nil {
            terminate(&request.parts[0])
            endProbe(number, .silent)
        }
        request.parts = []
        let state = targetStates[position(of: number)]
        let set = settings.targetSets[state.set]
        request.timer = wheel.schedule(
            TimerToken(context: id, machine: .probe).rawValue, at: now.advanced(by: set.probeInterval))
        let target = set.targets[state.position]
        if let endpoint = settings.egress ?? target.endpoint {
            probe(&request, id, target, endpoint)
        } else if let name = target.name {
            if !ask(for: name, .own(id, 0)) { counters.overloaded += 1 }
        }
    }

    /// The address of a target that is probed came, or there is none: then it cannot be reached.
    mutating func probeResolved(
        _ request: inout OwnRequest, _ id: SlotID, _ endpoint: Endpoint?, of host: [UInt8]
    ) {
        guard case .probe(let number) = request.purpose else { return }
        guard let endpoint else {
            note(position(of: number), isUp: false)
            return
        }
        let state = targetStates[position(of: number)]
        probe(&request, id, settings.targetSets[state.set].targets[state.position], endpoint, of: host)
    }

    private mutating func probe(
        _ request: inout OwnRequest, _ id: SlotID, _ target: TargetSet.Target, _ endpoint: Endpoint,
        of host: [UInt8] = []
    ) {
        guard case .probe(let number) = request.purpose else { return }
        for part in request.parts { cancelTimers(part.timers) }
        request.cSeq = request.cSeq % 0x7fff_ffff + 1
        let token = Branch.Token(
            member: settings.memberTag, slot: id, branch: UInt8(truncatingIfNeeded: request.cSeq),
            did: DialogID(rawValue: 0), loop: request.cSeq)
        var part = OwnPart(
            client: ownTransaction(endpoint),
            sent: probeRequest(
                target.uri, token, egressListener(endpoint), callID: UInt64(number), cSeq: request.cSeq),
            target: endpoint, listener: egressListener(endpoint))
        part.number = token.branch
        part.serverName = serverName(host, endpoint)
        request.parts = [part]
        targetStates[position(of: number)].probes &+= 1
        start(&request, 0, id)
    }

    /// Any answer but 408 and 503 says that the target is there.
    mutating func endProbe(_ number: Int32, _ end: OwnEnd) {
        note(position(of: number), isUp: end.status != 408 && end.status != 503)
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
}
