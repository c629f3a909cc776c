// A server behind the cluster: a stateful SIP proxy (RFC 3261 §16) that sends a call on to its targets by way of the
// balancer, one after another or all at once, and, where it record-routes, what belongs to the call later.
//
//     caller ─▶ balancer ─▶ node ─▶ server ─▶ balancer ─▶ node ─▶ target
//
// For the INVITE it keeps a server transaction and one client transaction a target; all else it forwards without state
// (§16.11), by a branch that follows from the branch it came by. It knows nothing of nodes or clusters.
//
// Limits: one call a server; UDP only; no timer C.

internal import SIP

/// A server's timers. They are never cancelled: each looks whether what it was for is still there.
enum ServerTimer {
    /// Timer A of the INVITE to a target, or E of its CANCEL.
    case retransmit(branch: Int, isCancel: Bool)
    /// Timer B.
    case timeout(branch: Int)
    /// It has rung long enough.
    case patience(branch: Int)
    /// Timer G of the failure that goes back.
    case repeatResponse
    /// Timer H.
    case giveUp
}

final class HuntingServer {
    /// The client transaction of the INVITE to one target.
    struct Branch {
        let id: String
        let place: Int
        var invite: [UInt8]
        var isProceeding = false
        /// Of its final answer; 408 when there was none.
        var code: Int?
        /// The server has gone on to the next target.
        var isGivenUp = false
        var interval = PhoneTimes.t1
        var wantsCancel = false
        /// The CANCEL, until it is answered.
        var cancel: [UInt8] = []
        var isCancelled = false
        var cancelInterval = PhoneTimes.t1
    }

    let index: Int
    let call: Int
    let endpoint: Endpoint
    let plan: SpiralPlan
    let isSerial: Bool
    let targets: [String]
    let outbound: Endpoint

    /// The INVITE that it works on.
    var invite: PhoneMessage?
    var startedAt: Nanoseconds = 0
    var replyTo: Endpoint
    var response: [UInt8] = []
    /// Of the final answer that went back; 0 without one.
    var statusCode = 0
    var isAcknowledged = false
    var isCancelled = false
    var interval = PhoneTimes.t1
    var branches: [Branch] = []

    init(index: Int, call: CallPlan, plan: SpiralPlan, endpoint: Endpoint, targets: [String], outbound: Endpoint) {
        self.index = index
        self.call = call.index
        self.plan = plan
        self.endpoint = endpoint
        self.targets = targets
        self.outbound = outbound
        isSerial = call.fork?.order == .serial
        replyTo = endpoint
    }

    /// Nobody has heard the end of its search yet.
    var isHunting: Bool { invite != nil && statusCode == 0 && !isCancelled }

    func send(_ bytes: [UInt8], to destination: Endpoint, _ world: World) {
        world.send(Packet(bytes: bytes, source: endpoint, to: destination, sender: .server(index)))
    }

    func start(_ timer: ServerTimer, after delay: Nanoseconds, _ world: World) {
        world.schedule(.server(index, timer), after: delay)
    }

    func receive(_ packet: Packet, _ world: World) {
        var problem = ""
        guard let message = PhoneMessage(packet.bytes, parser: &world.parser, problem: &problem) else {
            return world.violate("sip", call: call, "the server got a message it cannot read: \(problem)")
        }
        if message.isRequest {
            receive(request: message, packet, world)
        } else {
            receive(response: message, packet, world)
        }
    }

    // MARK: Requests

    private func receive(request: PhoneMessage, _ packet: Packet, _ world: World) {
        if let invite, request.branch == invite.branch, request.vias[0].sentBy == invite.vias[0].sentBy {
            switch request.method {
            case .invite: if !response.isEmpty { send(response, to: replyTo, world) }
            case .ack: isAcknowledged = true
            case .cancel: receiveCancel(request, packet, world)
            default: break
            }
            return
        }
        if request.method == .cancel && request.toTag.isEmpty {
            return send(answer(481, to: request), to: packet.source, world)
        }
        guard request.method == .invite, request.toTag.isEmpty else { return forward(request, world) }
        if invite != nil {
            world.reachesServerAgain(self)
            return send(answer(482, to: request), to: packet.source, world)
        }
        invite = request
        startedAt = world.now
        replyTo = packet.source
        answerInvite(100, world)
        if isSerial {
            tryNext(world)
        } else {
            for place in targets.indices { begin(place, world) }
        }
    }

    private func receiveCancel(_ request: PhoneMessage, _ packet: Packet, _ world: World) {
        send(answer(200, to: request), to: packet.source, world)
        guard statusCode == 0, !isCancelled else { return }
        isCancelled = true
        for index in branches.indices { cancel(index, world) }
        concludeIfOver(world)
    }

    /// Without state, where it is to go next (§16.11).
    private func forward(_ request: PhoneMessage, _ world: World) {
        let isRouted = request.routes.first.flatMap { Endpoint(uriText: $0) } == endpoint
        let routes = Array(request.routes.dropFirst(isRouted ? 1 : 0))
        guard let next = Endpoint(uriText: routes.first ?? request.requestURI), next != endpoint else {
            // An ACK for a failure, by a node that did not know of the call: dropped, as it has no transaction here.
            guard request.method != .ack else { return }
            return world.violate("sip", call: call, "the server gets \(request.bytes.firstLine), which is for nobody")
        }
        var hash = TraceHash()
        hash.combine([UInt8](request.branch.utf8))
        hash.combine([UInt8](request.vias[0].sentBy.utf8))
        let branch = HuntingServer.statelessPrefix + String(hash.value, radix: 16)
        let bytes = edited(request, uri: request.requestURI, branch: branch, routes: routes, recordRoutes: false)
        send(bytes, to: next, world)
    }

    static let branchPrefix = "z9hG4bK-srv"
    static let statelessPrefix = "z9hG4bK-through-"

    /// A request with our Via, one hop less, and other Routes.
    func edited(
        _ request: PhoneMessage, uri: String, branch: String, routes: [String], recordRoutes: Bool
    ) -> [UInt8] {
        let text = String(decoding: request.bytes, as: UTF8.self)
        var parts = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        let end = parts.firstIndex { $0.isEmpty } ?? parts.count
        let body = parts[end...].joined(separator: "\r\n")
        parts.removeSubrange(end...)
        var head = "\(request.methodName) \(uri) SIP/2.0\r\n"
        head += "Via: SIP/2.0/UDP \(endpoint.text);branch=\(branch);rport\r\n"
        if recordRoutes { head += "Record-Route: <sip:\(endpoint.text);lr>\r\n" }
        for route in routes { head += "Route: \(route)\r\n" }
        for line in parts.dropFirst() where !line.hasPrefix("Route:") {
            if line.hasPrefix("Max-Forwards:") {
                let hops = Int(line.dropFirst(13).drop { $0 == " " }) ?? 70
                head += "Max-Forwards: \(hops - 1)\r\n"
            } else {
                head += line + "\r\n"
            }
        }
        return [UInt8]((head + body).utf8)
    }

    // MARK: Answers of its own

    func answerInvite(_ code: Int, _ world: World) {
        guard let invite else { return }
        response = answer(code, to: invite)
        send(response, to: replyTo, world)
        guard code >= 200 else { return }
        statusCode = code
        start(.repeatResponse, after: interval, world)
        start(.giveUp, after: PhoneTimes.transaction, world)
    }

    private func answer(_ code: Int, to request: PhoneMessage) -> [UInt8] {
        var text = "SIP/2.0 \(code) Server\r\n"
        for via in request.vias { text += "Via: \(via.text)\r\n" }
        let to = request.toTag.isEmpty && code > 100 ? "\(request.to);tag=srv-\(call)" : request.to
        text += "From: \(request.from)\r\nTo: \(to)\r\nCall-ID: \(request.callID)\r\n"
        text += "CSeq: \(request.cseq) \(request.methodName)\r\nContent-Length: 0\r\n\r\n"
        return [UInt8](text.utf8)
    }

    func timerFired(_ timer: ServerTimer, _ world: World) {
        switch timer {
        case .retransmit(let branch, let isCancel): retransmit(branch, isCancel: isCancel, world)
        case .timeout(let branch): timeOut(branch, world)
        case .patience(let branch): losePatience(branch, world)
        case .giveUp: isAcknowledged = true
        case .repeatResponse:
            guard !isAcknowledged else { return }
            send(response, to: replyTo, world)
            interval = min(interval * 2, PhoneTimes.t2)
            start(.repeatResponse, after: interval, world)
        }
    }
}
