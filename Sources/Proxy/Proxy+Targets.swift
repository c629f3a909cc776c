// From a request that may pass to where it goes: which dialog it belongs to (S1-2b, S1-7, S2-17), and the next hop
// (RFC 3261 §16.5, §16.6 steps 6 and 7).

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Looks a request without To tag up before anything is created.
    /// - Returns: Whether it is to be forwarded.
    mutating func prepareInitial(_ plan: inout RequestPlan, dialogs: inout DialogTable) -> Bool {
        if message.method == .options, plan.consumedRoutes == routes.count, isForThisNode() {
            answerOptions(plan)
            return false
        }
        if let passage = passedBefore(plan) {
            if passage.returned {
                reject(482, plan)
                return false
            }
            if relays(plan) { return false }
            return preparePass(passage, &plan, dialogs: &dialogs)
        }
        plan.isEmergency = isEmergency(plan)
        guard plan.relay != nil || plan.isEmergency || isWithinLimits(plan) else { return false }
        guard message.method == .invite else { return !isShed(plan) }
        let did = dialogs.did(of: inviteIdentity(plan))
        plan.did = did
        if dialogs.contains(did) {
            receiveRepeatedInvite(plan, did: did, dialogs: &dialogs)
            return false
        }
        if relays(plan) { return false }
        if let known = attemptTriedAgain(plan, dialogs: dialogs) {
            counters.foreignAbsorbed += 1
            adopt(plan, known, dialogs: &dialogs)
            return false
        }
        if isShed(plan) { return false }
        if isFull(for: plan, dialogs) {  // New dialogs are shed first, requests in a dialog never.
            counters.overloaded += 1
            effects.items.append(.note(.overloaded))
            reject(503, plan) { $0.put("Retry-After: 10\r\n") }
            return false
        }
        counters.callsTried += 1
        counters.emergencyCalls += plan.isEmergency ? 1 : 0
        plan.createsDialog = true
        plan.recordsRoute = true
        return true
    }

    /// The Request-URI is the node or the cluster itself, without a user part.
    private func isForThisNode() -> Bool {
        guard let uri = try? URI(message.bytes, message.requestURI) else { return false }
        return uri.user.isEmpty && isOwn(uri, in: message.bytes)
    }

    private mutating func answerOptions(_ plan: RequestPlan) {
        if isReady {
            answer(200, plan) { $0.put("Accept: application/sdp\r\n") }
        } else {
            answer(503, plan) { $0.put("Retry-After: 5\r\n") }
        }
    }

    /// Hash of everything that routing depends on (RFC 3261 §16.6 step 8): Request-URI, the Routes that are not ours,
    /// the connection that a Path of ours or a member names, and the headers that decide who may pass.
    func loopHash(_ plan: RequestPlan) -> UInt32 {
        var stream = hash.begin()
        stream.combine(message.bytes, message.requestURI)
        stream.combine(message.bytes, message.callID)
        stream.combine(message.bytes, message.fromTag)
        stream.combine(message.bytes, message.toTag)
        stream.combine(UInt64(plan.cSeq.number))
        for route in routes.dropFirst(plan.ownRoutes) { stream.combine(message.bytes, route.element) }
        if plan.namedFlow != .none { stream.combine(plan.namedFlow.rawValue) }
        if let path = plan.path {
            stream.combine(path.flow.map { UInt64($0.member) << 32 ^ $0.flow.rawValue } ?? 0)
            stream.combine(path.source.address.high ^ UInt64(path.source.port))
            stream.combine(path.source.address.low)
        }
        message.forEach(.proxyRequire) { stream.combine(message.bytes, $0.value) }
        message.forEach(.proxyAuthorization) { stream.combine(message.bytes, $0.value) }
        message.forEach(.authorization) { stream.combine(message.bytes, $0.value) }
        return UInt32(truncatingIfNeeded: stream.finish())
    }

    /// Finds the dialog of a request with a To tag; it is forwarded without one just as well.
    mutating func prepareInDialog(_ plan: inout RequestPlan, dialogs: DialogTable) -> Bool {
        let hint = plan.did
        matchDialog(&plan, dialogs: dialogs)
        if let hint, !plan.isKnown, Self.refreshing(message.method),
            waitsForRecord(hint, plan, dialogs: dialogs)
        {
            return false
        }
        guard let did = plan.did, plan.isKnown else { return true }
        plan.afterTheEnd = dialogs.state(did) == .deleted
        if message.method == .invite, let passage = passedBefore(plan) { plan.pass = passage.pass }
        if message.method == .invite, isRepeatedReInvite(did, plan, dialogs: dialogs) {
            return false
        }
        if plan.leg == .callee,
            let id = inviteContext(of: did, where: { !$0.held.isEmpty })
        {
            queueBehindHeld(plan, id)
            return false
        }
        if frozenDialogs.contains(did, now: now), message.method != .bye, !isKeepAlive(plan) {
            rejectFrozen(did, plan, dialogs: dialogs)
            return false
        }
        return true
    }

    /// Refuses a request whose dialog a member may be ending just now (R1). Where a later deadline has come since the
    /// end was granted, the call most likely goes on, and 481 would make its sender hang up (RFC 3261 §12.2.1.2): it is
    /// told to ask once more.
    private mutating func rejectFrozen(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) {
        if let deadline = dialogs.deadline(did), deadline > now {
            reject(500, plan) { $0.put("Retry-After: 1\r\n") }
        } else {
            reject(481, plan)
        }
    }

    /// Keeps a request that would refresh a dialog, or cancel it, until its record has been fetched, 200 ms at most:
    /// facts are published only of records that are here (R2). After that it goes by its Route, as any request does
    /// without a record (S1-7).
    mutating func waitsForRecord(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        guard commits, !hasWaited, !dialogs.contains(did), peers.contains(where: \.isLive) else { return false }
        let request = QueuedRequest(
            bytes: message.snapshot(), source: plan.arrivedFrom, listener: plan.listener, flow: arrivalFlow,
            hasWaited: true)
        let isKept = waitingRoom.keep(request, for: did, now: now)
        counters.waitsRefused += isKept ? 0 : 1
        return isKept
    }

    /// Verifies the hint or falls back to Call-ID and tags (S3-21).
    mutating func matchDialog(_ plan: inout RequestPlan, dialogs: DialogTable) {
        let bytes = message.bytes
        if let hint = plan.did {
            if let leg = leg(of: hint, from: plan.source, dialogs: dialogs) {
                plan.leg = leg
                plan.isKnown = true
                return
            }
            if !dialogs.contains(hint) {
                park(hint)
            } else if let leg = legOfUnansweredDialog(hint, dialogs: dialogs) {
                plan.leg = leg
                plan.isKnown = true
                return
            } else {
                counters.routeHintMismatches += 1
                plan.did = nil
            }
        }
        let found = dialogs.find(
            callID: bytes, message.callID, fromTag: bytes, message.fromTag, toTag: bytes, message.toTag)
        if let (did, leg) = found {
            plan.did = did
            plan.leg = hasEqualTags ? sender(did, from: plan.source, dialogs: dialogs) ?? leg : leg
            plan.isKnown = true
        }
    }

    /// The 2xx with the other To tag may still be on its way to this node: Call-ID and the caller's tag have to do
    /// until then.
    func legOfUnansweredDialog(_ did: DialogID, dialogs: DialogTable) -> Leg? {
        dialogs.view(did) { view, bytes -> Leg? in
            guard view.state < .confirmed, Text.same(bytes, view.callID, message.bytes, message.callID) else {
                return nil
            }
            if hasEqualTags, Text.same(bytes, view.fromTag, message.bytes, message.fromTag) {
                return sender(did, from: .none, dialogs: dialogs) ?? .caller
            }
            if Text.same(bytes, view.fromTag, message.bytes, message.fromTag) { return .caller }
            return Text.same(bytes, view.fromTag, message.bytes, message.toTag) ? .callee : nil
        } ?? nil
    }

    /// Keeps a message whose dialog is not here for what it will teach when the record comes (R2); it is forwarded
    /// meanwhile.
    private mutating func park(_ did: DialogID) {
        effects.items.append(.wanted(did))
        guard message.method == .ack || message.method == .bye else { return }
        counters.parkedRefused += waitingRoom.park(message.snapshot(), of: did, now: now) ? 0 : 1
    }

    /// A record came that was wanted: what was parked of it is learned, nothing is forwarded again.
    package mutating func recordArrived(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let came = waitingRoom.take(did)
        released += came.requests
        for bytes in came.messages {
            guard loadMessage(bytes),
                let via = try? message.topmostVia(), let cSeq = try? message.cSeq()
            else { continue }
            var plan = RequestPlan(
                source: .none, listener: ListenerID(rawValue: 0), upstream: .none, addsReceived: false, cSeq: cSeq,
                via: via)
            consumeRoutes(&plan, dialogs: dialogs)
            plan.did = did
            matchDialog(&plan, dialogs: dialogs)
            guard plan.isKnown, plan.did == did else { continue }
            if message.method == .ack {
                learnAcknowledgement(did, plan, dialogs: &dialogs)
            } else {
                learnBye(did, plan.leg, dialogs: &dialogs)
            }
        }
    }

    private mutating func queueBehindHeld(_ plan: RequestPlan, _ id: SlotID) {
        let request = QueuedRequest(
            bytes: message.snapshot(), source: plan.source, listener: plan.listener, flow: arrivalFlow)
        let admitted =
            contexts.update(id) { context in
                guard context.queued.count < ResponseContext.queuedLimit else { return false }
                context.queued.append(request)
                return true
            } ?? false
        if !admitted { counters.queuesRefused += 1 }  // Its sender repeats it.
    }

    /// Decides the next hop (§16.5, §16.6 steps 6, 7).
    /// - Returns: False when the request was refused.
    mutating func findNextHop(_ plan: inout RequestPlan, dialogs: DialogTable) -> Bool {
        if plan.consumedRoutes < routes.count {
            let next = routes[plan.consumedRoutes]
            guard let uri = try? URI(message.bytes, next.uri) else {
                reject(400, plan)
                return false
            }
            plan.nextHopIsStrict = !uri.hasLooseRoute(in: message.bytes)
            return resolve(uri, next.uri, &plan)
        }
        guard let uri = try? URI(message.bytes, message.requestURI) else {
            reject(416, plan)
            return false
        }
        switch takePath(&plan) {
        case .taken: return true
        case .gone:
            counters.flowsGone += 1
            reject(430, plan)
            return false
        case .none: break
        }
        if plan.isInDialog, isOwn(uri, in: message.bytes),
            let isRouted = routeLeniently(&plan, dialogs: dialogs)
        {
            return isRouted
        }
        switch useFlow(&plan, dialogs: dialogs) {
        case .taken: return true
        case .gone where !isOwn(uri, in: message.bytes) && endpoint(of: uri, in: message.bytes) == nil:
            counters.flowsGone += 1
            reject(430, plan)
            return false
        case .gone, .none: break
        }
        switch takeRouteToken(&plan) {
        case .taken: return true
        case .gone where endpoint(of: uri, in: message.bytes) == nil:
            counters.flowsGone += 1
            reject(430, plan)
            return false
        case .gone, .none: break
        }
        if !plan.isInDialog, let route = settings.routes.first(where: { matches($0, plan) }) {
            return follow(route, &plan)
        }
        if isOwn(uri, in: message.bytes) {
            reject(404, plan)
            return false
        }
        if uri.scheme == .other {  // A service that no route takes (RFC 5031 §4): nothing else leads there.
            reject(416, plan)
            return false
        }
        return resolve(uri, message.requestURI, &plan)
    }

    private mutating func resolve(_ uri: URI, _ range: ByteRange, _ plan: inout RequestPlan) -> Bool {
        if isOwn(uri, in: message.bytes) {  // What is then still ours is never sent to (S1-5).
            effects.items.append(.note(.hairpin(callID: Array(message.bytes[message.callID.range]))))
            reject(483, plan)
            return false
        }
        if let egress = settings.egress {
            plan.nextHop = egress
            return true
        }
        guard let endpoint = endpoint(of: uri, in: message.bytes) else {
            if let name = name(of: uri, in: message.bytes) {
                return waitsForName(name, &plan)
            }
            effects.items.append(.note(.unresolvable(uri: Array(message.bytes[range.range]))))
            reject(502, plan)
            return false
        }
        plan.nextHop = endpoint
        plan.isTransportOpen = uri.scheme == .sip && uri.transport(in: message.bytes) == nil
        return true
    }

    /// The next hop has to be looked up first, unless too many wait for that already.
    mutating func waitsForName(_ name: ResolutionTarget, _ plan: inout RequestPlan) -> Bool {
        guard resolutions.count < Self.resolutionLimit else {
            counters.overloaded += 1
            effects.items.append(.note(.overloaded))
            reject(503, plan) { $0.put("Retry-After: 5\r\n") }
            return false
        }
        var target = ForkTarget(requestURI: plan.requestURI, group: 0, candidates: [], name: name)
        target.health = plan.health
        target.isTransportOpen = name.transport == nil && !name.isSecure
        plan.targets = [target]
        return true
    }

    /// Address, port and transport that a URI names in digits: maddr before host, the transports of this node only. A
    /// sips URI is reached by TLS (RFC 3261 §26.2.2); nobody can be connected to by WebSocket, but a connection that is
    /// there is found by its endpoint.
    func endpoint(of uri: URI, in bytes: [UInt8]) -> Endpoint? {
        let named = uri.transport(in: bytes)
        let transport: TransportProtocol
        switch uri.scheme {
        case .sip: transport = named ?? .udp
        case .sips: transport = named == .ws || named == .wss ? .wss : .tls
        default: return nil
        }
        guard settings.speaks(transport) else { return nil }
        let host = uri.parameter("maddr", in: bytes) ?? uri.host
        guard let address = Address(bytes: bytes, range: host) else { return nil }
        let endpoint = Endpoint(address: address, port: uri.port ?? transport.defaultPort, transport: transport)
        return settings.reaches(endpoint) ? endpoint : nil
    }
}
