// Path (RFC 3327): a REGISTER that takes a route with `path` gets our URI, so that requests from the registrar to the
// phone come back through the cluster. The URI's user part says where the phone was heard from, since its Contact often
// leads nowhere: over a connection, or behind a NAT.
//
//     Path: <sip:usp2f0c…e1@192.0.2.10:5060;lr>
//               └ "usp", then hexadecimal: connection (FlowFact; by UDP 0 and, with several sockets to choose from, the
//                 place of the one that it was heard on, from 1), source, 64-bit keyed hash of both
//
// Any node takes the request, and passes it to the member that holds the connection; when that has ended the answer is
// 430 (RFC 5626 §5.3.1). The hash is the cluster's, so nobody else can name one of its phones' connections. A REGISTER
// that came through another proxy gets a URI without user part: the next Path is that proxy's.
//
// Limits: 256 characters.

import Primitives
import SIP

/// Where a Path of ours leads to.
struct PathToken: Equatable, Sendable {
    /// The connection; `nil` for a phone that was heard by UDP.
    var flow: FlowFact?
    /// The socket that it was heard on by UDP, where there are several.
    var listener: ListenerID?
    var source: Endpoint

    static let mark: StaticString = "usp"
    static let sizeLimit = 256

    /// The user part of the URI.
    func write(_ hash: KeyedHash, into writer: inout ByteWriter) {
        var payload = ByteWriter(capacity: 64)
        let place = listener.map { FlowID(rawValue: UInt64($0.rawValue) + 1) } ?? .none
        (flow ?? FlowFact(member: 0, flow: place)).write(into: &payload)
        source.writeFact(into: &payload)
        writer.put(Self.mark)
        for byte in payload.bytes { writer.putHex(UInt64(byte), digits: 2) }
        writer.putHex(Self.seal(payload.bytes, hash), digits: 16)
    }

    /// `nil` for what is not ours.
    init?(_ bytes: [UInt8], _ user: ByteRange, _ hash: KeyedHash) {
        let start = Int(user.start) + Self.mark.utf8CodeUnitCount
        let sealStart = Int(user.end) - 16
        guard user.count <= Self.sizeLimit, sealStart - start >= 2 * FlowFact.byteCount,
            (sealStart - start).isMultiple(of: 2),
            Text.equalsIgnoringCase(bytes, ByteRange(start: Int(user.start), end: start), Self.mark),
            let seal = Text.hex(bytes, ByteRange(start: sealStart, end: Int(user.end)))
        else { return nil }
        var payload: [UInt8] = []
        for offset in stride(from: start, to: sealStart, by: 2) {
            guard let byte = Text.hex(bytes, ByteRange(start: offset, end: offset + 2)) else { return nil }
            payload.append(UInt8(byte))
        }
        guard Self.seal(payload, hash) == seal,
            let fact = FlowFact(payload, ByteRange(start: 0, end: FlowFact.byteCount)),
            let source = Endpoint(fact: Array(payload[FlowFact.byteCount...]))
        else { return nil }
        self.init(flow: fact.member == 0 ? nil : fact, source: source)
        if fact.member == 0, 1...256 ~= fact.flow.rawValue {
            listener = ListenerID(rawValue: UInt8(fact.flow.rawValue - 1))
        }
    }

    init(flow: FlowFact?, source: Endpoint) {
        self.flow = flow
        self.source = source
    }

    private static func seal(_ payload: [UInt8], _ hash: KeyedHash) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x7061_7468_746f_6b65)
        stream.combine(payload, ByteRange(payload))
        return stream.finish()
    }
}

extension Proxy {
    /// Decides whether a REGISTER that takes a route gets our Path. It is refused where the route requires Path, and
    /// its sender does not support it (421).
    func usePath(_ use: PathUse?, _ plan: inout RequestPlan) -> Decision {
        guard let use, message.method == .register else { return .proceed }
        let isSupported = message.lists("path", in: .supported)
        switch use {
        case .supported: plan.addsPath = isSupported
        case .always: plan.addsPath = true
        case .required:
            guard isSupported else { return .refuse(421) }
            plan.addsPath = true
            plan.requiresPath = true
        }
        return .proceed
    }

    /// Writes our Path above all others, in the edit under way.
    mutating func insertPath(_ plan: RequestPlan) {
        let token = pathToken(plan)
        let hop = plan.targets.isEmpty ? plan.nextHop : plan.targets[0].candidates.first
        let name = settings.name(hop.map { listener(for: plan, toward: $0) } ?? settings.mainListener)
        let isSecure = isSecure(plan) && name.transport != .udp
        editor.insert(at: message.firstLineEnd) { [hash] writer in
            writer.put(isSecure ? "Path: <sips:" : "Path: <sip:")
            if let token {
                token.write(hash, into: &writer)
                writer.put("@")
            }
            writer.put(name.advertised)
            writer.put(";lr>\r\n")
        }
        if plan.requiresPath, !message.lists("path", in: .require) {
            editor.insert(at: message.headersEnd) { $0.put("Require: path\r\n") }
        }
    }

    /// Where the phone that sent a REGISTER was heard from; `nil` when it came through another proxy, or by UDP through
    /// a balancer, whose port says nothing of the phone.
    private func pathToken(_ plan: RequestPlan) -> PathToken? {
        guard message.count(of: .via) == 1, plan.via.isOnlyInField else { return nil }
        if let fact = flowFact(plan.arrivalFlow) { return PathToken(flow: fact, source: plan.source) }
        guard !plan.source.transport.isReliable, !settings.balancers.contains(plan.source.address) else { return nil }
        var token = PathToken(flow: nil, source: plan.source)
        if settings.hasTwins { token.listener = plan.listener }
        return token
    }

    /// What the user part of a Route of ours says, if it is a Path of ours.
    func pathToken(_ uri: URI) -> PathToken? {
        uri.user.isEmpty ? nil : PathToken(message.bytes, uri.user, hash)
    }

    /// Sends a request outside of a dialog where its Path leads.
    mutating func takePath(_ plan: inout RequestPlan) -> FlowUse {
        guard let path = plan.path, !plan.isInDialog, plan.namedFlow == .none else { return .none }
        if let fact = path.flow { return takeFlow(fact, &plan) }
        plan.routeListener = path.listener
        plan.nextHop = settings.egress ?? path.source
        return .taken
    }
}
