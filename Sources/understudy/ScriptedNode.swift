// ScriptedNode is the node with its script, as the SIP thread drives it: what the node asks is answered in the same
// turn, before anything of that turn is sent. Without a script each event costs one test more.

import Management
import Node
import Primitives
import Proxy
import Routes
import SIP
import Scripting
import Transports

struct ScriptedNode: ~Copyable, NodeMachine {
    var node: Node
    private let judge: ScriptJudge?

    init(_ node: consuming Node, judge: ScriptJudge?) {
        self.node = node
        self.judge = judge
        if judge != nil { self.node.scriptPoints = [.request, .branch, .response, .final] }
    }

    func metrics(now: Instant) -> [MetricReport] { node.metrics(now: now) + ScriptMetrics.reports(judge) }

    private func time(_ now: Instant) -> RouteTime {
        RouteTime(microseconds: Int(BootClock.unixMilliseconds) * 1_000, now: now)
    }

    /// Answers what stands in the outbox, and what its answers lead to.
    private mutating func answer(_ now: Instant, _ out: inout Outbox) {
        guard !out.scripts.isEmpty, let judge else { return }
        judge.answer(&node, time(now), into: &out)
    }

    // MARK: Events

    mutating func receive(
        datagram: RawSpan, from: Endpoint, on listener: ListenerID, flow: FlowID, ageMilliseconds: Int64, now: Instant,
        into out: inout Outbox
    ) {
        node.receive(
            datagram: datagram, from: from, on: listener, flow: flow, ageMilliseconds: ageMilliseconds, now: now,
            into: &out)
        answer(now, &out)
    }

    mutating func receive(closed flow: FlowID, now: Instant, into out: inout Outbox) {
        node.receive(closed: flow, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(unsent token: UInt64, to: Endpoint, flow: FlowID, now: Instant, into out: inout Outbox) {
        node.receive(unsent: token, to: to, flow: flow, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(frame: RawSpan, now: Instant, into out: inout Outbox) {
        node.receive(frame: frame, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(request: RawSpan, token: UInt64, now: Instant, into out: inout Outbox) {
        node.receive(request: request, token: token, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(
        reply: RawSpan, to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox
    ) {
        node.receive(reply: reply, to: request, from: peer, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receiveNoReply(to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox) {
        node.receiveNoReply(to: request, from: peer, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(refusal: UInt8, claimed: RawSpan, now: Instant, into out: inout Outbox) {
        node.receive(refusal: refusal, claimed: claimed, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(probe: ProbeResult, of peer: Int, now: Instant, into out: inout Outbox) {
        node.receive(probe: probe, of: peer, now: now, into: &out)
        answer(now, &out)
    }

    mutating func receive(answer: DNSAnswer, to question: DNSQuestion, now: Instant, into out: inout Outbox) {
        node.receive(answer: answer, to: question, now: now, into: &out)
        self.answer(now, &out)
    }

    mutating func hold(addresses: [Address], now: Instant, into out: inout Outbox) {
        node.hold(addresses: addresses, now: now, into: &out)
        answer(now, &out)
    }

    mutating func advance(to now: Instant, into out: inout Outbox) {
        node.advance(to: now, into: &out)
        answer(now, &out)
        judge?.goOn(&node, time(now), into: &out)
    }

    var nextDeadline: Instant { min(node.nextDeadline, judge?.next ?? .distantFuture) }
}

extension ScriptJudge {
    /// The judge of a configuration; `nil` without a script.
    static func configured(_ settings: Settings, seed: UInt64) throws -> ScriptJudge? {
        guard !settings.script.lua.isEmpty else { return nil }
        let source = try CheckScript.source(
            settings.script.lua, settings.script.path.isEmpty ? nil : settings.script.path)
        let socket = settings.sip.listen.first ?? Endpoint(address: Address(ipv4: 0), port: 5_060)
        let run = RouteRun(
            settings: RouteSettings(settings, seed: settings.cluster.key.isEmpty ? Array("\(seed)".utf8) : []),
            point: RoutePoint(kind: .request, source: socket, socket: socket),
            time: RouteTime(microseconds: Int(BootClock.unixMilliseconds) * 1_000, now: BootClock.now), seed: seed)
        let judge = try ScriptJudge(
            try ScriptEngine(source, limits: ScriptLimits(), run: run), sockets: settings.sip.listen)
        judge.clock = { BootClock.now }
        return judge
    }
}

extension RouteSettings {
    /// What routes know of a configured node.
    /// - Parameter seed: Nobody else's bytes, for a node without a key; empty where the cluster has one.
    init(_ settings: Settings, seed: [UInt8]) {
        self.init()
        names = settings.sip.listen.map { HostPort($0) }
        for uri in settings.sip.advertise {
            let port = uri.port ?? uri.transport.defaultPort
            let transport = uri.namesTransport ? uri.transport : nil
            names.append(HostPort(host: Array(uri.host.utf8), port: port, transport: transport))
        }
        if let service = settings.sip.serviceAddress { names.append(HostPort(service)) }
        domains = settings.sip.alias.map { Array($0.utf8) }
        profilesWithValue = Set(settings.dialogs.profilesWithValue.map { Array($0.utf8) })
        profilesNoValue = Set(settings.dialogs.profilesNoValue.map { Array($0.utf8) })
        dialogLifetime = settings.dialogs.defaultTimeout
        balancers = settings.sip.balancer.map(\.address)
        members = settings.cluster.peers.map(\.address)
        transports = Set(settings.sip.listen.map(\.transport)).union([.udp])
        modules = Set(settings.script.modules.map(\.rawValue))
        registrar.rules = settings.registrar.rules
        registrar.rules.refusesBrief = false
        auth.credentials = settings.registrar.credentials.all.map { known in
            AuthSettings.Credential(
                user: known.user, realm: known.realm, password: known.password.bytes, isDigest: known.isDigest)
        }
        // Nothing of the cluster's key is in what goes out: a nonce has a mark made with what is made of it.
        auth.key = SHA256.authenticationCode(Array("nonce".utf8), key: settings.cluster.key.bytes + seed)
    }
}
