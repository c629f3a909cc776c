// Probing: each target of a set with `probe-interval-s` is asked OPTIONS, again and again, by a request of its own that
// never ends. A probe that has no answer when the next is due has failed, so a dead target is down after `down-after`
// intervals; transaction timers only repeat it meanwhile.
//
// Probes of one set are spread over the interval, so that many targets do not get them at once.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Begins to probe.
    mutating func startProbes() {
        for (index, set) in board.sets.enumerated() where set.probeInterval > .zero {
            for position in set.targets.indices {
                let offset = set.probeInterval / set.targets.count * position
                startProbing(board.number(ofSet: index, position), at: now.advanced(by: offset))
            }
        }
    }

    private mutating func startProbing(_ number: Int32, at moment: Instant) {
        var request = OwnRequest(purpose: .probe(number), method: .options)
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
        guard case .probe(let number) = request.purpose, let (set, target) = board.target(number) else { return }
        if let last = request.parts.first, last.final == nil {
            terminate(&request.parts[0])
            endProbe(number, .silent)
        }
        request.parts = []
        request.timer = wheel.schedule(
            TimerToken(context: id, machine: .probe).rawValue, at: now.advanced(by: set.probeInterval))
        if let endpoint = settings.egress ?? target.endpoint {
            probe(&request, id, number, target, endpoint)
        } else if let name = target.name {
            if !ask(for: name, .own(id, 0)) { counters.overloaded += 1 }
        }
    }

    /// The address of a target that is probed came, or there is none: then it cannot be reached.
    mutating func probeResolved(
        _ request: inout OwnRequest, _ id: SlotID, _ endpoint: Endpoint?, of host: [UInt8]
    ) {
        guard case .probe(let number) = request.purpose, let target = board.target(number)?.target else { return }
        if let endpoint {
            probe(&request, id, number, target, endpoint, of: host)
        } else {
            count(board.note(number, isUp: false, now: now))
        }
    }

    private mutating func probe(
        _ request: inout OwnRequest, _ id: SlotID, _ number: Int32, _ target: TargetSet.Target, _ endpoint: Endpoint,
        of host: [UInt8] = []
    ) {
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
        board.noteProbe(number)
        start(&request, 0, id)
    }

    /// Any answer but 408 and 503 says that the target is there.
    mutating func endProbe(_ number: Int32, _ end: OwnEnd) {
        count(board.note(number, isUp: end.status != 408 && end.status != 503, now: now))
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
