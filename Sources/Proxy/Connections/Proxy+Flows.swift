// What differs where messages go over connections: how this node is called there, which listener stands for it, when a
// hop may be taken at all, and what becomes of a request that no connection could be had for.
//
// A response goes over the connection that its request came on, by its flow; when that has ended, to the port of the
// Via at the address the request came from (RFC 3261 §18.2.2). A request to a leg that came over a connection goes over
// that one, by the flow in the record; see `useFlow`. A member that is passed such a request finds the connection named
// in a Route of its own, since its record may be a tombstone by then: the fact of a BYE is faster than the BYE.

package import Dialogs
package import Primitives
package import SIP

/// One connection of one process, as a record keeps it: 12 bytes, big-endian.
///
///     0             4                                12
///     │ member, u32 │ connection, u64                │     member: the process as a branch names it
package struct FlowFact: Equatable, Sendable {
    package var member: UInt32
    package var flow: FlowID

    package static let byteCount = 12

    package init(member: UInt32, flow: FlowID) {
        self.member = member
        self.flow = flow
    }

    package init?(_ bytes: [UInt8], _ range: ByteRange) {
        guard range.count == Self.byteCount else { return nil }
        var (member, flow): (UInt32, UInt64) = (0, 0)
        for index in range.range.prefix(4) { member = member << 8 | UInt32(bytes[index]) }
        for index in range.range.dropFirst(4) { flow = flow << 8 | UInt64(bytes[index]) }
        self.init(member: member, flow: FlowID(rawValue: flow))
    }

    package func write(into writer: inout ByteWriter) {
        for shift in stride(from: 24, through: 0, by: -8) {
            writer.put(UInt8(truncatingIfNeeded: member >> UInt32(shift)))
        }
        for shift in stride(from: 56, through: 0, by: -8) {
            writer.put(UInt8(truncatingIfNeeded: flow.rawValue >> UInt64(shift)))
        }
    }
}

/// Which client transaction a message belongs to, for when it could not be sent: context index and generation, whether
/// it is the CANCEL of the branch, branch; never 0.
struct SendToken: Equatable, Sendable {
    var context: SlotID
    var branch: UInt8
    var isCancel: Bool

    init(context: SlotID, branch: Int, isCancel: Bool = false) {
        self.context = context
        self.branch = UInt8(truncatingIfNeeded: branch)
        self.isCancel = isCancel
    }

    var rawValue: UInt64 {
        1 << 63 | UInt64(context.index) << 31 | UInt64(context.generation & Self.generationMask) << 9
            | (isCancel ? 1 << 8 : 0) | UInt64(branch)
    }

    /// An answer, not a branch.
    init(upstreamOf context: SlotID) {
        self.init(context: context, branch: Int(Self.upstream))
    }

    init?(rawValue: UInt64) {
        guard rawValue >> 63 == 1 else { return nil }
        context = SlotID(
            index: UInt32(truncatingIfNeeded: rawValue >> 31),
            generation: UInt32(truncatingIfNeeded: rawValue >> 9) & Self.generationMask)
        isCancel = rawValue >> 8 & 1 == 1
        branch = UInt8(truncatingIfNeeded: rawValue)
    }

    static let generationMask: UInt32 = 0x3f_ffff
    /// Stands where a branch's number would; no request has so many (`ClientBranch.limit`).
    static let upstream: UInt8 = 255
}

/// A connection of this process, as far as the proxy needs it.
struct LiveFlow: Sendable {
    var remote: Endpoint
    var listener: ListenerID
}

extension Proxy {
    /// Above this a request goes by TCP when the transport is ours to choose (RFC 3261 §18.1.1).
    static let datagramLimit = 1_300

    /// A connection has ended; what waits for an answer over it goes on waiting, since the answer may come by another
    /// (§18.2.2).
    package mutating func flowClosed(_ flow: FlowID) {
        flows[flow] = nil
    }

    /// The fact of a connection; `nil` where there is none, or where it is one that we opened: then the other side can
    /// be connected to, and its Contact says where.
    func flowFact(_ flow: FlowID) -> FlowFact? {
        flow == .none || flow.isOutgoing ? nil : FlowFact(member: settings.memberTag, flow: flow)
    }

    /// The same for whoever sent a request, if that was not another proxy: then there is more than one Via, and the
    /// connection is not the user agent's.
    func flowFact(_ flow: FlowID, ofSender request: Message) -> FlowFact? {
        guard request.count(of: .via) == 1, let via = try? request.topmostVia(), via.isOnlyInField else { return nil }
        return flowFact(flow)
    }

    /// A client transaction that knows whether its transport delivers.
    func clientTransaction(_ method: Method, _ target: Endpoint) -> ClientBranch.Client {
        let isReliable = target.transport.isReliable
        return method == .invite
            ? .invite(InviteClientTransaction(timers: settings.timers, reliable: isReliable))
            : .nonInvite(NonInviteClientTransaction(timers: settings.timers, reliable: isReliable))
    }

    /// Whether Record-Route must be sips: the Request-URI or the first Route left is (§16.6 step 4).
    func isSecure(_ plan: RequestPlan) -> Bool {
        if plan.consumedRoutes < routes.count {
            return (try? URI(message.bytes, routes[plan.consumedRoutes].uri))?.scheme == .sips
        }
        if plan.requestURI.isEmpty { return message.parsedRequestURI?.scheme == .sips }
        return (try? URI(plan.requestURI, ByteRange(plan.requestURI)))?.scheme == .sips
    }

    /// Whether a request goes by TCP instead of UDP for its size (RFC 3261 §18.1.1).
    func outgrowsUDP(_ request: [UInt8], to hop: Endpoint, isTransportOpen: Bool) -> Bool {
        request.count > Self.datagramLimit && isTransportOpen && hop.transport == .udp && settings.egress == nil
            && settings.speaks(.tcp)
    }

    // MARK: Flows of legs (S2-13)

    enum FlowUse { case none, taken, gone }

    /// Sends a request in a dialog over the connection that its receiver came on: one of ours, or a member's, which is
    /// then passed the request as it came, with a Via of ours. Passing on happens once.
    mutating func useFlow(_ plan: inout RequestPlan, dialogs: DialogTable) -> FlowUse {
        if plan.namedFlow != .none {
            guard let live = flows[plan.namedFlow] else { return .gone }
            plan.nextHop = live.remote
            plan.flow = plan.namedFlow
            return .taken
        }
        guard settings.hasStreams, plan.isKnown, let did = plan.did, plan.isInDialog,
            let fact = flowFact(of: did, toward: plan.leg, dialogs: dialogs)
        else { return .none }
        return takeFlow(fact, &plan)
    }

    /// Sends a request over a connection: one of ours, or a member's, which is then passed the request with the Routes
    /// that it has.
    mutating func takeFlow(_ fact: FlowFact, _ plan: inout RequestPlan) -> FlowUse {
        if settings.isOwn(fact.member) {
            guard let live = flows[fact.flow] else { return .gone }
            plan.nextHop = live.remote
            plan.flow = fact.flow
            return .taken
        }
        guard let peer = neighbours.peer(fact.member), peer.isLive, let endpoint = peer.endpoint,
            !neighbours.isPeerAddress(plan.source)
        else {
            return .gone
        }
        counters.passedToFlow += 1
        plan.nextHop = endpoint
        plan.memberFlow = fact
        plan.consumedRoutes = 0  // Our own Route names the dialog to the member as it did to us.
        return .taken
    }

    /// Writes the Route that names one of a member's connections to it.
    static func writeRoute(to flow: FlowID, at member: Endpoint, into writer: inout ByteWriter) {
        writer.put("Route: <sip:")
        member.write(into: &writer)
        writer.put(";lr;flow=")
        writer.putHex(flow.rawValue, digits: 16)
        writer.put(">\r\n")
    }

    /// The connection that the side came on that this sender's requests go to.
    private func flowFact(of did: DialogID, toward sender: Leg, dialogs: DialogTable) -> FlowFact? {
        dialogs.view(did) { view, bytes -> FlowFact? in
            if sender == .callee { return FlowFact(bytes, view.caller.flow) }
            var found: FlowFact?
            view.forEachOut(in: bytes) { out in
                if Text.same(bytes, out.toTag, message.bytes, message.toTag) { found = FlowFact(bytes, out.side.flow) }
            }
            return found
        } ?? nil
    }

    /// Where a request that the cluster makes is sent so that it goes over a leg's connection: to the member that holds
    /// it, which passes it on; this one, if it is that member.
    func holder(ofFlow bytes: [UInt8]) -> Endpoint? {
        guard let fact = FlowFact(bytes, ByteRange(bytes)) else { return nil }
        if settings.isOwn(fact.member) {
            guard flows[fact.flow] != nil else { return nil }
            return settings.listeners.first { $0.transport == .udp } ?? flows[fact.flow]?.remote
        }
        guard let peer = neighbours.peer(fact.member), peer.isLive else { return nil }
        return peer.endpoint
    }

    // MARK: Failures

    /// A request could not be sent: its branch ends as if the target had answered 503 (§16.9), unless the request may
    /// still go by UDP. What else could not be sent is left to the timers.
    package mutating func receiveUnsent(_ rawToken: UInt64, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let token = SendToken(rawValue: rawToken) else { return }
        if token.context.isOwn { return receiveUnsentOwn(token, dialogs: &dialogs) }
        guard let id = resolve(token.context, generationMask: SendToken.generationMask), var context = take(id)
        else { return }
        if token.branch == SendToken.upstream {
            // The caller's connection was the dead node's, and it takes none itself.
            if !context.isUnreachable { counters.takeoverUnreachable += 1 }
            context.isUnreachable = true
        } else if context.branches.indices.contains(Int(token.branch)) {
            if token.isCancel {
                endUnsentCancel(&context, id, branch: Int(token.branch), dialogs: &dialogs)
            } else {
                endUnsent(&context, id, branch: Int(token.branch), dialogs: &dialogs)
            }
        }
        finish(consume context, id)
    }

    private mutating func endUnsent(
        _ context: inout ResponseContext, _ id: SlotID, branch index: Int, dialogs: inout DialogTable
    ) {
        guard context.branches[index].final == nil else { return }
        if goByUDP(&context, id, branch: index) { return }
        actions.removeAll(keepingCapacity: true)
        switch context.branches[index].client {
        case .invite(var transaction):
            transaction.transportError(actions: &actions)
            context.branches[index].client = .invite(transaction)
        case .nonInvite(var transaction):
            transaction.transportError(actions: &actions)
            context.branches[index].client = .nonInvite(transaction)
        }
        let hasFailed = actions.contains(.transportFailed)
        performClient(&context, branch: index, id)
        guard hasFailed else { return }  // It has had an answer meanwhile.
        counters.transportErrors += 1
        context.branches[index].final = 503
        branchEnded(&context, id, branch: index, .failed, dialogs: &dialogs)
    }

    /// Begins a branch again by UDP that went by TCP for its size alone (§18.1.1).
    private mutating func goByUDP(_ context: inout ResponseContext, _ id: SlotID, branch index: Int) -> Bool {
        guard !context.branches[index].datagram.isEmpty else { return false }
        cancelTimers(context.branches[index].timers)
        context.branches[index].timers = TimerSet()
        context.branches[index].sent = context.branches[index].datagram
        context.branches[index].outline = nil
        context.branches[index].datagram = []
        context.branches[index].target.transport = .udp
        context.branches[index].listener = listener(for: context, toward: context.branches[index].target)
        context.branches[index].client = clientTransaction(context.method, context.branches[index].target)
        start(&context, branch: index, id)
        return true
    }
}
