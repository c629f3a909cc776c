// What happens to a request before it is forwarded: RFC 3261 §16.3 (validation), §16.4 (routes), §16.5 (targets), with
// the rules for a cluster: all Routes that name it are consumed at once (S1-5), an INVITE is looked up among the
// records before anything is created (S1-2b), a request in a dialog is routed whether or not the record is here (S1-7).

import Dialogs
import Primitives
import SIP

/// Where a request goes, found step by step.
struct RequestPlan {
    var source: Endpoint
    var listener: ListenerID
    /// Where answers go (§18.2.2, RFC 3581), and what the topmost Via must say for it.
    var upstream: Endpoint
    var addsReceived: Bool
    var cSeq: CSeq
    var via: Via
    /// How many Routes from the top are the cluster's.
    var consumedRoutes = 0
    /// The same, even when they are passed on to the member that holds a connection.
    var ownRoutes = 0
    /// The socket that the last of them names, where there are several to choose from (RFC 5658).
    var routeListener: ListenerID?
    var did: DialogID?
    /// It is sent within a dialog: by its To tag, or by what stands for one (`isWithinDialog`).
    var isInDialog = false
    var leg = Leg.caller
    /// Whether the record of `did` is here and agrees.
    var isKnown = false
    var afterTheEnd = false
    var createsDialog = false
    /// The new Request-URI; empty keeps the old one.
    var requestURI: [UInt8] = []
    var nextHop = Endpoint.none
    /// Where it goes instead, when that is more than one known address.
    var targets: [ForkTarget] = []
    /// The number of the next hop in the table of targets (`targetStates`), if it has one.
    var health: Int32?
    /// The connection of the member that it is passed to, which must send it on.
    var memberFlow: FlowFact?
    /// The connection that the member which passed it here names.
    var namedFlow = FlowID.none
    /// The connection to the next hop, when it must be a certain one.
    var flow = FlowID.none
    /// What the last Route of ours says of the side beyond it, and whether any of them is a subscription's.
    var routeToken: RouteToken?
    var namesSubscription = false
    /// Routes that are not in the message, and should be (`routeLeniently`): the value of a header.
    var addedRoutes: [UInt8] = []
    /// Where a Path of ours leads to.
    var path: PathToken?
    /// The request gets our Path, and whether the registrar must understand it (RFC 3327).
    var addsPath = false
    var requiresPath = false
    /// The next hop was given without a transport.
    var isTransportOpen = false
    /// The first Route left does not route loosely (§16.6 step 6).
    var nextHopIsStrict = false
    /// Who must see a dialog's requests is in its route set, on each pass (RFC 3261 §16.6 step 4).
    var recordsRoute = false
    /// It begins an emergency call, which is shed last.
    var isEmergency = false
    /// Which pass of a spiral it is.
    var pass = SpiralPass.first
    /// Branches it may have at once, here and further down (RFC 5393 §5.3.3).
    var breadth = MaxBreadth.assumed
    /// What becomes of its session timer.
    var session = SessionChange()
    /// The draining member that relayed it here; `source` is its sender then, and `upstream` that member.
    var relay: Relay?
}

extension Proxy {
    mutating func receiveRequest(from source: Endpoint, on listener: ListenerID, dialogs: inout DialogTable) {
        guard let via = try? message.topmostVia(), let cSeq = try? message.cSeq() else {
            counters.malformed += 1
            return
        }
        defer {
            if isRefusalAtHand { rememberRefusal(dialogs: &dialogs) }
        }
        let reply = replyPath(via: via, source: source)
        var plan = RequestPlan(
            source: source, listener: listener, upstream: reply.endpoint, addsReceived: reply.adds, cSeq: cSeq, via: via
        )
        readRelay(&plan)
        guard isAllowed(plan) else { return }
        switch message.method {
        case .ack:
            receiveAcknowledgement(&plan, dialogs: &dialogs)
            return
        case .cancel:
            receiveCancel(&plan, dialogs: &dialogs)
            return
        default: break
        }
        if absorbRetransmission(plan) { return }
        if let problem = checkRequest() {
            reject(problem, plan)
            return
        }
        consumeRoutes(&plan, dialogs: dialogs)
        plan.isInDialog = isWithinDialog(plan, dialogs: dialogs)
        if !plan.isInDialog {
            guard beginsOutside(&plan) else { return }
            guard prepareInitial(&plan, dialogs: &dialogs) else { return }
        } else {
            guard prepareInDialog(&plan, dialogs: dialogs) else { return }
        }
        guard readBreadth(&plan),
            findNextHop(&plan, dialogs: dialogs)
        else { return }
        forward(plan, dialogs: &dialogs)
    }

    // MARK: Reply path

    /// Where answers to a request go: RFC 3261 §18.2.2, RFC 3581, and rule S2-16.
    mutating func replyPath(via: Via, source: Endpoint) -> (endpoint: Endpoint, adds: Bool) {
        if isPeerAddress(source), relayMark() == nil, let origin = originBehind(via, passedBy: source) {
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
        editor.stamp(
            plan.via, of: message, source: plan.source,
            forceRport: !plan.source.transport.isReliable && plan.upstream.port != plan.via.sentByPort)
    }

    // MARK: Retransmissions

    func serverKey(_ plan: RequestPlan, method: Method) -> UInt64 {
        serverKey(plan.via, cSeq: plan.cSeq.number, method: method)
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

    /// Answers or swallows a request that this node has already (§17.2).
    mutating func absorbRetransmission(_ plan: RequestPlan) -> Bool {
        guard let id = serverContext(serverKey(plan, method: message.method)), var context = take(id) else {
            return false
        }
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
        put(context, id)
        return true
    }

    // MARK: §16.3

    /// The status to refuse the request with, if it must be.
    mutating func checkRequest() -> Int? {
        guard let requestURI = try? URI(message.bytes, message.requestURI) else { return 416 }
        if requestURI.scheme == .other, !message.namesEmergencyService { return 416 }
        let hops: Int?
        do { hops = try message.maxForwards() } catch { return error.statusCode }
        if hops == 0, message.method != .options { return 483 }
        if hops == 0, !isOwn(requestURI, in: message.bytes) { return 483 }
        if message.first(.proxyRequire) != nil { return 420 }
        return isTooBrief() ? 422 : nil
    }

    /// Reads how many branches the request may have.
    /// - Returns: False when it may have none, or says what cannot be read; it was refused then.
    private mutating func readBreadth(_ plan: inout RequestPlan) -> Bool {
        do {
            plan.breadth = try message.maxBreadth() ?? MaxBreadth.assumed
        } catch {
            reject(error.statusCode, plan)
            return false
        }
        if plan.breadth == 0 { reject(440, plan) }
        return plan.breadth > 0
    }

    /// Refuses a request without keeping anything (§8.2.7): our To tag is a function of the request, so the ACK is
    /// known again; within a dialog by its branch (`Refusals`).
    mutating func reject(_ status: Int, _ plan: RequestPlan, extra: (inout ByteWriter) -> Void = { _ in }) {
        counters.rejected += 1
        answer(status, plan, extra: extra)
    }

    /// Answers a request that ends here, without keeping anything.
    mutating func answer(_ status: Int, _ plan: RequestPlan, extra: (inout ByteWriter) -> Void = { _ in }) {
        let received: (Endpoint, forceRport: Bool)? =
            plan.addsReceived
            ? (plan.source, forceRport: !plan.source.transport.isReliable && plan.upstream.port == plan.source.port)
            : nil
        answer(status, to: plan.upstream, from: plan.listener, flow: arrivalFlow, received: received, extra: extra)
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
        if let requestURI = try? URI(message.bytes, message.requestURI), isOwn(requestURI, in: message.bytes),
            let hint = didHint(requestURI, in: message.bytes), undoStrictRoute()
        {
            plan.did = hint
            if let via = try? message.topmostVia() { plan.via = via }
            if let cSeq = try? message.cSeq() { plan.cSeq = cSeq }
        }
        routes.removeAll(keepingCapacity: true)
        message.nameAddresses(.route, into: &routes)
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
            if let value = uri.parameter("flow", in: message.bytes), isPeerAddress(plan.source),
                let flow = Text.hex(message.bytes, value)
            {
                plan.namedFlow = FlowID(rawValue: flow)
            }
        }
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

    /// Puts the last Route back as Request-URI (§16.4): the request was sent on by a strict router.
    private mutating func undoStrictRoute() -> Bool {
        routes.removeAll(keepingCapacity: true)
        message.nameAddresses(.route, into: &routes)
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
