// A phone that registers and sends MESSAGEs (RFC 3261 §10.2, RFC 3428): one Call-ID for all its registrations, one of
// them at a time, non-INVITE transactions of §17.1.2 and §17.2.2. A request goes by the balancer, or straight to a node
// where the phone has moved to; a copy of it goes by the balancer when the first three had no answer.

internal import Primitives
internal import SIP

enum UserTimer {
    /// Act by its place in the plan.
    case act(Int)
    /// Timer E of a request.
    case retransmit(request: Int)
}

final class UserPhone {
    struct Request {
        enum Kind: Equatable {
            case register(version: Int, seconds: Int)
            case remove(version: Int)
            case message(to: Int)
            case odd(Int)
        }

        let kind: Kind
        let cseq: UInt32
        let branch: String
        let bytes: [UInt8]
        let startedAt: Nanoseconds
        let destination: Endpoint
        var interval = PhoneTimes.t1
        var sent = 1
        var status = 0
        /// Nobody waits for it any more.
        var isOver: Bool { status != 0 }
    }

    let index: Int
    let plan: UserPlan
    let endpoint: Endpoint
    let name: String
    let callID: String
    var requests: [Request] = []
    /// Which address it has; part of its contact.
    var version = 0
    var cseq: UInt32 = 0

    init(_ plan: UserPlan, seed: UInt64) {
        index = plan.index
        self.plan = plan
        endpoint = World.endpoint("10.4.0.\(plan.index + 1):5060")
        name = "u\(plan.index)"
        callID = "reg-\(plan.index)-\(seed)"
    }

    static let domain = "sim.org"
    var address: String { "\(name)@\(Self.domain)" }
    /// The user part tells contacts apart: parameters do not (RFC 3261 §19.1.4 as the registrar has it).
    func contact(_ version: Int) -> String { "sip:\(name)-\(version)@\(endpoint.text)" }

    func timerFired(_ timer: UserTimer, _ world: World) {
        switch timer {
        case .act(let place): perform(plan.acts[place].act, world)
        case .retransmit(let number): retransmit(number, world)
        }
    }

    private var isRegistering: Bool {
        requests.contains { request in
            switch request.kind {
            case .register, .remove: !request.isOver
            case .message, .odd: false
            }
        }
    }

    private func perform(_ act: UserPlan.Act, _ world: World) {
        switch act {
        case .register(let seconds):
            guard !isRegistering else { return }
            begin(.register(version: version, seconds: seconds), world)
        case .remove:
            guard !isRegistering, world.userTruth[index].isEverRegistered else { return }
            begin(.remove(version: version), world)
        case .move(let seconds):
            guard !isRegistering else { return }
            version += 1
            begin(.register(version: version, seconds: seconds), world)
        case .message(let other): begin(.message(to: other), world)
        case .odd(let place): begin(.odd(place), world)
        }
    }

    private func begin(_ kind: Request.Kind, _ world: World) {
        let number = requests.count
        let branch = "z9hG4bK-\(name)-\(number)"
        cseq += 1
        let bytes: [UInt8]
        switch kind {
        case .register(let version, let seconds):
            bytes = registration(version, expires: seconds, branch: branch)
        case .remove(let version): bytes = registration(version, expires: 0, branch: branch)
        case .message(let other): bytes = message("u\(other)", number, branch: branch)
        case .odd(let place): bytes = message(SimulatedScript.odd[place].user, number, branch: branch)
        }
        let destination = world.drawnWay()
        requests.append(
            Request(
                kind: kind, cseq: cseq, branch: branch, bytes: bytes, startedAt: world.now, destination: destination))
        world.userSends(self, number)
        send(bytes, to: destination, world)
        world.schedule(.user(index, .retransmit(request: number)), after: PhoneTimes.t1)
    }

    private func registration(_ version: Int, expires: Int, branch: String) -> [UInt8] {
        text(
            "REGISTER sip:\(Self.domain)", "REGISTER", to: address, callID: callID, branch: branch,
            more: "Contact: <\(contact(version))>;expires=\(expires)\r\n")
    }

    private func message(_ user: String, _ number: Int, branch: String) -> [UInt8] {
        text(
            "MESSAGE sip:\(user)@\(Self.domain)", "MESSAGE", to: "\(user)@\(Self.domain)",
            callID: "\(callID)-\(number)", branch: branch, more: "")
    }

    private func text(
        _ start: String, _ method: String, to: String, callID: String, branch: String, more: String
    ) -> [UInt8] {
        Array(
            ("\(start) SIP/2.0\r\nVia: SIP/2.0/UDP \(endpoint.text);branch=\(branch);rport\r\nMax-Forwards: 70\r\n"
                + "From: <sip:\(address)>;tag=t-\(name)\r\nTo: <sip:\(to)>\r\nCall-ID: \(callID)\r\n"
                + "CSeq: \(cseq) \(method)\r\n\(more)Content-Length: 0\r\n\r\n").utf8)
    }

    private func send(_ bytes: [UInt8], to destination: Endpoint, _ world: World) {
        world.send(Packet(bytes: bytes, source: endpoint, to: destination, sender: .user(index)))
    }

    private func retransmit(_ number: Int, _ world: World) {
        guard !requests[number].isOver else { return }
        guard world.now - requests[number].startedAt < PhoneTimes.transaction else {
            requests[number].status = 408
            return world.userIsTold(self, number)
        }
        requests[number].sent += 1
        requests[number].interval = min(requests[number].interval * 2, PhoneTimes.t2)
        let request = requests[number]
        send(request.bytes, to: request.sent > 3 ? world.balancer.endpoint : request.destination, world)
        world.schedule(.user(index, .retransmit(request: number)), after: request.interval)
    }

    // MARK: What comes

    func receive(_ packet: Packet, _ world: World) {
        var problem = ""
        guard let message = PhoneMessage(packet.bytes, parser: &world.parser, problem: &problem) else {
            return world.violate("sip", "\(name) got a message that it cannot read: \(problem)")
        }
        guard message.isRequest else { return receive(answer: message, world) }
        var text = "SIP/2.0 200 OK\r\n"
        for via in message.vias { text += "Via: \(via.text)\r\n" }
        text += "From: \(message.from)\r\nTo: \(message.to);tag=t-\(name)\r\nCall-ID: \(message.callID)\r\n"
        text += "CSeq: \(message.cseq) \(message.methodName)\r\nContent-Length: 0\r\n\r\n"
        send(Array(text.utf8), to: packet.source, world)
    }

    private func receive(answer message: PhoneMessage, _ world: World) {
        guard let number = requests.firstIndex(where: { $0.branch == message.branch }) else {
            return world.violate("sip", "\(name) gets an answer to nothing: \(message.bytes.firstLine)")
        }
        guard message.statusCode >= 200, !requests[number].isOver else { return }
        requests[number].status = message.statusCode
        world.userIsTold(self, number)
    }
}
