// The machine of the requests that the cluster makes itself (`OwnRequest`): a client transaction for each receiver,
// from its first sending to its end, and what the end means.
//
//   begin ─┬ has an address ──▶ sent ──▶ final answer, silence, transport error ──┐
//          └ has a name ──▶ looked up ─┬▶ sent …                                  ├──▶ ended(part): by purpose
//                                      └▶ no address ─────────────────────────────┘

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// A place for requests that are to be sent; `nil` when there is no room, which is counted and noted.
    mutating func reserve(
        _ purpose: OwnRequest.Purpose, _ method: Method, _ did: DialogID?, cSeq: UInt32 = 0
    ) -> SlotID? {
        var request = OwnRequest(purpose: purpose, method: method, did: did)
        request.cSeq = cSeq
        if let id = ownRequests.insert(request) { return id }
        counters.overloaded += 1
        effects.items.append(.note(.overloaded))
        return nil
    }

    /// Sends what has an address, and has the names of the others looked up.
    mutating func begin(_ parts: [OwnPart], _ id: SlotID, dialogs: inout DialogTable) {
        guard var request = ownRequests.take(id) else { return }
        request.parts = parts
        for index in parts.indices {
            ownRequests.note(parts[index], of: id)
            beginPart(&request, index, id, dialogs: &dialogs)
        }
        finish(request, id)
    }

    private mutating func beginPart(
        _ request: inout OwnRequest, _ index: Int, _ id: SlotID, dialogs: inout DialogTable
    ) {
        if request.parts[index].target != .none {
            start(&request, index, id)
        } else if let name = nameOfHop(request.parts[index].sent), ask(for: name, .own(id, index)) {
            return
        } else {
            end(&request, index, .unresolved, dialogs: &dialogs)
        }
    }

    /// Sends one for the first time, once a script has seen it.
    mutating func start(_ request: inout OwnRequest, _ index: Int, _ id: SlotID) {
        if !askAboutOwn(request, index, id) { send(&request, index, id) }
    }

    mutating func send(_ request: inout OwnRequest, _ index: Int, _ id: SlotID) {
        noteSending(request)
        actions.removeAll(keepingCapacity: true)
        request.parts[index].client.start(actions: &actions)
        perform(&request, index, id)
    }

    private mutating func noteSending(_ request: OwnRequest) {
        switch request.purpose {
        case .end, .interruption: counters.byesGenerated += 1
        case .within: counters.requestsWithin += 1
        case .keepAlive: counters.keepAlivesSent += 1
        case .probe: counters.probes += 1
        }
    }

    private mutating func perform(_ request: inout OwnRequest, _ index: Int, _ id: SlotID) {
        for action in actions {
            switch action {
            case .send:
                let part = request.parts[index]
                let token = SendToken(context: id, branch: Int(part.number)).rawValue
                effects.queue.send(
                    part.sent, to: part.target, from: part.listener, flow: part.flow, token: token,
                    serverName: part.serverName)
            case .start(let timer, let delay):
                let token = TimerToken(context: id, branch: index, machine: .own, timer: timer)
                wheel.cancel(request.parts[index].timers[timer])
                request.parts[index].timers[timer] = wheel.schedule(token.rawValue, at: now.advanced(by: delay))
            case .stop(let timer):
                wheel.cancel(request.parts[index].timers[timer])
                request.parts[index].timers[timer] = .none
            case .deliver, .acknowledge, .timedOut, .transportFailed, .terminated: break
            }
        }
    }

    // MARK: What comes of them

    /// The answer at hand, to OPTIONS of this node's.
    mutating func receiveOwnAnswer(_ token: Branch.Token, _ cSeq: CSeq, dialogs: inout DialogTable) {
        guard var request = ownRequests.take(token.slot) else {
            counters.strayResponses += 1
            return
        }
        let index = request.parts.firstIndex { $0.number == token.branch }
        if let index, request.method == cSeq.method, token.did == request.did ?? DialogID(rawValue: 0),
            request.cSeq == 0 || request.cSeq == token.loop
        {
            receive(&request, index, token.slot, dialogs: &dialogs)
        } else {
            counters.strayResponses += 1
        }
        finish(request, token.slot)
    }

    /// The answer at hand, to a BYE of the cluster's.
    /// - Returns: Whether this node sent it.
    mutating func receiveOwnAnswer(hash: UInt64, dialogs: inout DialogTable) -> Bool {
        guard let id = ownRequests.find(hash: hash), var request = ownRequests.take(id) else { return false }
        if let index = request.parts.firstIndex(where: { $0.hash == hash }) {
            receive(&request, index, id, dialogs: &dialogs)
        }
        finish(request, id)
        return true
    }

    private mutating func receive(
        _ request: inout OwnRequest, _ index: Int, _ id: SlotID, dialogs: inout DialogTable
    ) {
        actions.removeAll(keepingCapacity: true)
        request.parts[index].client.receive(statusCode: message.statusCode, actions: &actions)
        perform(&request, index, id)
        if message.statusCode >= 200 {
            end(&request, index, .answered(message.statusCode), dialogs: &dialogs)
        }
    }

    mutating func fireOwn(_ token: TimerToken, dialogs: inout DialogTable) {
        guard let id = ownRequests.resolve(token.context, generationMask: 0xffff), var request = ownRequests.take(id)
        else { return }
        let index = Int(token.branch)
        if token.machine == .probe {
            sendProbe(&request, id)
        } else if request.parts.indices.contains(index) {
            actions.removeAll(keepingCapacity: true)
            request.parts[index].client.timerFired(token.timer, actions: &actions)
            let isOver = actions.contains(.timedOut)
            counters.retransmissionsSent += actions.contains(.send) ? 1 : 0
            perform(&request, index, id)
            if isOver { end(&request, index, .silent, dialogs: &dialogs) }
        }
        finish(request, id)
    }

    /// One could not be sent.
    mutating func receiveUnsentOwn(_ token: SendToken, dialogs: inout DialogTable) {
        guard let id = ownRequests.resolve(token.context, generationMask: SendToken.generationMask),
            var request = ownRequests.take(id)
        else { return }
        if let index = request.parts.firstIndex(where: { $0.number == token.branch && $0.final == nil }) {
            actions.removeAll(keepingCapacity: true)
            request.parts[index].client.transportError(actions: &actions)
            let hasFailed = actions.contains(.transportFailed)  // Else it has had an answer meanwhile.
            perform(&request, index, id)
            if hasFailed {
                counters.transportErrors += 1
                end(&request, index, .unsent, dialogs: &dialogs)
            }
        }
        finish(request, id)
    }

    /// A name was looked up; no endpoint means that it has none.
    mutating func ownResolved(
        _ id: SlotID, _ index: Int, _ endpoint: Endpoint?, of host: [UInt8], dialogs: inout DialogTable
    ) {
        guard var request = ownRequests.take(id) else { return }
        if case .probe = request.purpose {
            probeResolved(&request, id, endpoint, of: host)
        } else if request.parts.indices.contains(index), request.parts[index].final == nil {
            if let endpoint {
                let method = request.method
                set(&request.parts[index], method, endpoint, of: host)
                start(&request, index, id)
            } else {
                end(&request, index, .unresolved, dialogs: &dialogs)
            }
        }
        finish(request, id)
    }

    /// The address of a request was found: its Via says how it goes there.
    private mutating func set(_ part: inout OwnPart, _ method: Method, _ endpoint: Endpoint, of host: [UInt8]) {
        part.sent = request(part.sent, at: endpoint)
        part.target = endpoint
        part.serverName = serverName(host, endpoint)
        part.listener = listener(ofGenerated: part.sent, toward: endpoint)
        part.client = ownTransaction(endpoint)
    }

    func ownTransaction(_ target: Endpoint) -> NonInviteClientTransaction {
        NonInviteClientTransaction(timers: settings.timers, reliable: target.transport.isReliable)
    }

    // MARK: Ends

    /// One has ended: what that says is its purpose's.
    mutating func end(_ request: inout OwnRequest, _ index: Int, _ end: OwnEnd, dialogs: inout DialogTable) {
        guard request.parts[index].final == nil else { return }
        request.parts[index].final = end.status
        if case .answered = end {} else { terminate(&request.parts[index]) }
        switch request.purpose {
        case .end: endLeg(request)
        case .interruption: break
        case .within: endRequestWithin(request, index, end)
        case .keepAlive:
            terminate(&request.parts[index])  // A late copy of an answer is a stray.
            endKeepAlive(request, index, end, dialogs: &dialogs)
        case .probe(let target): endProbe(target, end)
        }
    }

    /// Nothing more is expected of one.
    mutating func terminate(_ part: inout OwnPart) {
        cancelTimers(part.timers)
        part.timers = TimerSet()
        part.client.abandon()
    }

    /// Puts one back, or forgets it when each of its transactions has ended.
    mutating func finish(_ request: OwnRequest, _ id: SlotID) {
        var isOver = request.parts.allSatisfy { $0.client.phase == .terminated }
        if case .probe = request.purpose { isOver = false }
        if isOver { ownRequests.remove(request, id) } else { ownRequests.put(request, id) }
    }

    /// Forgets one and its timers.
    mutating func discardOwn(_ id: SlotID) {
        guard let request = ownRequests.take(id) else { return }
        for part in request.parts { cancelTimers(part.timers) }
        wheel.cancel(request.timer)
        ownRequests.remove(request, id)
    }
}
