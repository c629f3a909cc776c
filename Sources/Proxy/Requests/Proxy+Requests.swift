// What happens to a request before it is forwarded: RFC 3261 §16.3 (validation), §16.4 (routes), §16.5 (targets), with
// the rules for a cluster: all Routes that name it are consumed at once (S1-5), an INVITE is looked up among the
// records before anything is created (S1-2b), a request in a dialog is routed whether or not the record is here (S1-7).

import Dialogs
import Primitives
import SIP

extension Proxy {
    // MARK: Reply path

    /// Where answers to a request go: RFC 3261 §18.2.2, RFC 3581, and rule S2-16.
    mutating func replyPath(via: Via, source: Endpoint) -> (endpoint: Endpoint, adds: Bool) {
        if neighbours.isPeerAddress(source), relayMark() == nil, let origin = originBehind(via, passedBy: source) {
            return (origin, false)
        }
        let sentByAddress = Address(bytes: message.bytes, range: via.host)
        let differs = sentByAddress != source.address
        let toSource: Bool
        switch settings.forceRport {
        case .always: toSource = true
        case .never: toSource = via.hasRport
        case .auto: toSource = via.hasRport || differs || settings.balancers.contains(source.address)
        }
        if source.transport.isReliable {
            // Over the connection by its flow; should that be gone, to the port of sent-by (§18.2.2).
            let port = via.port ?? source.transport.defaultPort
            return (Endpoint(address: source.address, port: port, transport: source.transport), toSource || differs)
        }
        let port = toSource ? source.port : via.port ?? 5_060
        return (Endpoint(address: source.address, port: port), toSource || differs)
    }

    /// Who sent a request that a member only passed on: the member has completed its Via, or had no need to. What a
    /// draining member relays is answered to that one.
    private func originBehind(_ via: Via, passedBy member: Endpoint) -> Endpoint? {
        guard case .foreign = Branch(message.bytes, via.branch, mark: settings.mark),
            let address = Address(bytes: message.bytes, range: via.received.isEmpty ? via.host : via.received)
        else { return nil }
        return Endpoint(address: address, port: via.rport ?? via.port ?? 5_060, transport: member.transport)
    }

    /// Completes the topmost Via with received and rport (RFC 3261 §18.2.1, RFC 3581 §4) in the edit under way.
    mutating func completeVia(_ plan: RequestPlan) {
        guard plan.addsReceived else { return }
        editor.stamp(plan.via, of: message, source: plan.source, forceRport: plan.forcesRport)
    }

    // MARK: Retransmissions

    func serverKey(_ plan: RequestPlan, method: Method) -> UInt64 {
        let isItsOwn = method == message.method || method == .invite && message.method == .ack
        if isItsOwn, plan.key != 0 { return plan.key }
        return serverKey(plan.via, cSeq: plan.cSeq.number, method: method)
    }

    func serverKey(_ via: Via, cSeq: UInt32, method: Method) -> UInt64 {
        let named = method == .ack ? .invite : method
        if hasMagicCookie(via.branch) { return serverKey(named, via, in: message.bytes) }
        // RFC 2543: matched by what it is instead of by its branch (§17.2.3).
        var stream = hash.begin()
        stream.combine(UInt64(named.rawValue))
        stream.combine(message.bytes, message.callID)
        stream.combine(message.bytes, message.fromTag)
        stream.combine(UInt64(cSeq))
        stream.combine(message.bytes, via.sentBy)
        stream.combine(message.bytes, message.requestURI)
        return stream.finish() | 1
    }

    /// The key of a request whose branch has the magic cookie; that of an INVITE is its ACK's, too.
    func serverKey(_ method: Method, _ via: Via, in bytes: [UInt8]) -> UInt64 {
        var stream = hash.begin()
        stream.combine(UInt64(method.rawValue))
        stream.combine(bytes, via.branch)
        stream.combine(bytes, via.sentBy)
        return stream.finish() | 1
    }

    func serverContext(_ key: UInt64) -> SlotID? {
        let index = serverTable.first(hash: key) { index in
            guard let id = contexts.id(at: index) else { return false }
            return contexts.read(id) { $0.serverKey == key } ?? false
        }
        return index.flatMap { contexts.id(at: $0) }
    }

    /// The transaction of a request that this node has already (§17.2).
    func contextOfCopy(_ plan: RequestPlan) -> SlotID? { serverContext(serverKey(plan, method: message.method)) }

    /// Answers or swallows a copy of a request (§17.2).
    mutating func absorb(_ id: SlotID) {
        guard var context = take(id) else { return }
        counters.retransmissionsAbsorbed += 1
        actions.removeAll(keepingCapacity: true)
        switch context.server {
        case .invite(var transaction):
            transaction.receiveRetransmission(actions: &actions)
            context.server = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.receiveRetransmission(actions: &actions)
            context.server = .nonInvite(transaction)
        case .none: break
        }
        performServer(&context, id)
        put(consume context, id)
    }

    // MARK: §16.3

    /// The status to refuse the request with, if it must be.
    mutating func checkRequest() -> Int? {
        guard let requestURI = message.parsedRequestURI else { return 416 }
        if requestURI.scheme == .other, !message.namesEmergencyService { return 416 }
        let hops: Int?
        do { hops = try message.maxForwards() } catch { return error.statusCode }
        if hops == 0, message.method != .options { return 483 }
        if hops == 0, !isOwn(requestURI, in: message.bytes) { return 483 }
        if message.first(.proxyRequire) != nil { return 420 }
        return isTooBrief() ? 422 : nil
    }

    // MARK: Answers of ours

    /// Refuses a request without keeping anything (§8.2.7): our To tag is a function of the request, so the ACK is
    /// known again; within a dialog by its branch (`Refusals`).
    mutating func refuse(_ refusal: Refusal, _ plan: RequestPlan) {
        counters.rejected += 1
        count(refusal.cause)
        answer(refusal.status, plan) { writer in
            guard refusal.retryAfter > 0 else { return }
            writer.put("Retry-After: ")
            writer.putDecimal(UInt64(refusal.retryAfter))
            writer.put("\r\n")
        }
    }

    private mutating func count(_ cause: Refusal.Cause) {
        switch cause {
        case .request: break
        case .accessDenied: counters.accessDenied += 1
        case .sourceLimit: counters.rateLimitedSource += 1
        case .totalLimit: counters.rateLimitedTotal += 1
        case .shed: counters.shed += 1
        case .full:
            counters.overloaded += 1
            effects.items.append(.note(.overloaded))
        case .nobodyTakesCalls: counters.relaysRefused += 1
        case .connectionGone: counters.flowsGone += 1
        case .hairpin: effects.items.append(.note(.hairpin(callID: message.copy(message.callID))))
        case .routeToOurselves:
            effects.items.append(.note(.routeToOurselves(callID: message.copy(message.callID))))
        case .unresolvable(let uri): effects.items.append(.note(.unresolvable(uri: uri)))
        case .ofAnotherNode: counters.foreignAbsorbed += 1
        case .numbersUsedUp: counters.numbersUsedUp += 1
        }
    }

    /// OPTIONS to the node itself says whether it is ready (S2-14).
    mutating func answerOptions(_ plan: RequestPlan) {
        if neighbours.isReady {
            answer(200, plan) { $0.put("Accept: application/sdp\r\n") }
        } else {
            answer(503, plan) { $0.put("Retry-After: 5\r\n") }
        }
    }

    /// Answers a request that ends here, without keeping anything.
    mutating func answer(_ status: Int, _ plan: RequestPlan, extra: (inout ByteWriter) -> Void = { _ in }) {
        let received: (Endpoint, forceRport: Bool)? =
            plan.addsReceived
            ? (plan.source, forceRport: !plan.source.transport.isReliable && plan.upstream.port == plan.source.port)
            : nil
        answer(
            status, to: plan.upstream, from: plan.listener, flow: plan.arrivalFlow, received: received, extra: extra)
    }

    private mutating func answer(
        _ status: Int, to upstream: Endpoint, from listener: ListenerID, flow: FlowID,
        received: (Endpoint, forceRport: Bool)?, extra: (inout ByteWriter) -> Void = { _ in }
    ) {
        answersByClass[min(6, status / 100)] &+= 1
        if status >= 300, message.method == .invite, !message.toTag.isEmpty { isRefusalAtHand = true }
        let toTag = status > 100 && message.toTag.isEmpty ? ownToTagText(message) : []
        let minimumSession = settings.minimumSession
        effects.queue.send(to: upstream, from: listener, flow: flow) { [message] writer in
            ResponseWriter.write(
                status, to: message, toTag: toTag, received: received,
                extra: { writer in
                    if status == 420 {
                        writer.put("Unsupported: ")
                        _ = message.writeUnsupported(.proxyRequire, known: [], into: &writer)
                        writer.put("\r\n")
                    }
                    if status == 421 { writer.put("Require: path\r\n") }
                    if status == 422 { Self.writeMinimumSession(minimumSession, into: &writer) }
                    extra(&writer)
                }, into: &writer)
        }
    }

    /// Refuses what could not be understood (RFC 4475): what is there of From, To, Call-ID and CSeq is copied. Without
    /// any Via there is nobody to tell; where the topmost one cannot be read, the answer goes back to the source.
    mutating func rejectStatelessly(_ status: Int, source: Endpoint, listener: ListenerID) {
        guard message.first(.via) != nil else {
            counters.dropped += 1
            return
        }
        counters.rejected += 1
        guard let via = try? message.topmostVia() else {
            answer(status, to: source, from: listener, flow: arrivalFlow, received: nil)
            return
        }
        let reply = replyPath(via: via, source: source)
        let received: (Endpoint, forceRport: Bool)? =
            reply.adds
            ? (source, forceRport: !source.transport.isReliable && reply.endpoint.port == source.port) : nil
        answer(status, to: reply.endpoint, from: listener, flow: arrivalFlow, received: received)
    }

    // MARK: §16.4

    /// Consumes every Route from the top that names the cluster, and takes the did from the first that has one. A
    /// strict router's rewrite, our Record-Route as Request-URI, is undone before.
    mutating func consumeRoutes(_ plan: inout RequestPlan, dialogs: DialogTable) {
        if let requestURI = message.parsedRequestURI, !requestURI.parameters.isEmpty {
            if let hint = didHint(requestURI, in: message.bytes), isOwn(requestURI, in: message.bytes),
                undoStrictRoute()
            {
                plan.did = hint
                readAgain(&plan)
            } else if leadsHere(requestURI), dropPlace(requestURI) {
                readAgain(&plan)
            }
        }
        readRoutes()
        (plan.consumedRoutes, plan.ownRoutes) = (0, 0)
        for route in routes {
            guard let uri = try? URI(message.bytes, route.uri), isOwn(uri, in: message.bytes) else { break }
            plan.consumedRoutes += 1
            plan.ownRoutes += 1
            let hint = didHint(uri, in: message.bytes)
            if plan.did == nil { plan.did = hint }
            if let path = pathToken(uri) { plan.path = path }
            plan.routeToken = routeToken(uri)
            if plan.routeToken != nil { plan.namesSubscription = true }
            if settings.hasTwins, hint != nil || plan.routeToken != nil {
                plan.routeListener = settings.listener(named: uri, in: message.bytes)
            }
            // Only members may say which connection is used: a stranger would reach phones that are none of his calls.
            if let value = uri.parameter("flow", in: message.bytes), neighbours.isPeerAddress(plan.source),
                let flow = Text.hex(message.bytes, value)
            {
                plan.namedFlow = FlowID(rawValue: flow)
            }
        }
    }

    mutating func readRoutes() {
        routes.removeAll(keepingCapacity: true)
        message.nameAddresses(.route, into: &routes)
    }

    /// The did that a Route of ours carries: a hint, to be verified (S3-21).
    func didHint(_ uri: URI, in bytes: [UInt8]) -> DialogID? {
        let name = settings.routeParameter
        var offset = Int(uri.parameters.start)
        let end = Int(uri.parameters.end)
        while offset < end {
            var stop = offset
            while stop < end, bytes[stop] != UInt8(ascii: ";") { stop += 1 }
            let value = offset + name.count + 1
            if stop - offset == name.count + 17, bytes[value - 1] == UInt8(ascii: "="),
                Text.sameIgnoringCase(bytes, ByteRange(start: offset, end: value - 1), name, ByteRange(name))
            {
                return Text.hex(bytes, ByteRange(start: value, end: stop)).map { DialogID(rawValue: $0) }
            }
            offset = stop + 1
        }
        return nil
    }

    /// The message at hand has another Request-URI than before.
    private func readAgain(_ plan: inout RequestPlan) {
        if let via = try? message.topmostVia() { plan.via = via }
        if let cSeq = try? message.cSeq() { plan.cSeq = cSeq }
        plan.key = 0  // Without a magic cookie it depends on the Request-URI.
    }

    /// Whether the maddr of a Request-URI is a place of ours: it brought the request here, and has no more to say
    /// (§16.4).
    private func leadsHere(_ uri: URI) -> Bool {
        let bytes = message.bytes
        guard let maddr = uri.parameter("maddr", in: bytes), var place = URIPlace(uri, in: bytes) else { return false }
        (place.host, place.address) = (maddr, Address(bytes: bytes, range: maddr))
        return settings.ownNames.contains { $0.matches(place, in: bytes) }
            || neighbours.memberNames.contains { $0.matches(place, in: bytes) }
    }

    /// Takes maddr, port and transport out of the Request-URI (§16.4).
    private mutating func dropPlace(_ uri: URI) -> Bool {
        editor.begin()
        editor.replace(uri.whole) { [message] in
            let bytes = message.bytes
            $0.put(bytes, ByteRange(start: Int(uri.whole.start), end: Int(uri.host.end)))
            uri.writeParameters(in: bytes, but: ["maddr", "transport"], into: &$0)
            $0.put(bytes, uri.headers)
        }
        scratch.removeAll()
        editor.write(message, into: &scratch)
        return loadMessage(scratch.copy())
    }

    /// Puts the last Route back as Request-URI (§16.4): the request was sent on by a strict router.
    private mutating func undoStrictRoute() -> Bool {
        readRoutes()
        guard let last = routes.last else { return false }
        editor.begin()
        editor.replace(message.requestURI) { [message] in
            $0.put(message.bytes, URI.withoutHeaders(message.bytes, last.uri))
        }
        if last.isOnlyInField {
            editor.remove(last.field)
        } else if routes.count > 1 {
            editor.remove(ByteRange(start: Int(routes[routes.count - 2].element.end), end: Int(last.element.end)))
        }
        scratch.removeAll()
        editor.write(message, into: &scratch)
        return loadMessage(scratch.copy())
    }
}
