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
    /// The script's function for events.
    private let eventCallback: [UInt8]
    /// The script's function for contacts whose time is over.
    private let contactCallback: [UInt8]
    /// Nobody else says that an event was told.
    private let confirmsEvents: Bool
    /// The sockets of media relays.
    private let mediaListeners: (ipv4: ListenerID?, ipv6: ListenerID?)

    /// - Parameter hasSink: Events go into a file, too, which confirms them.
    init(_ node: consuming Node, judge: ScriptJudge?, hasSink: Bool) {
        self.node = node
        self.judge = judge
        eventCallback = Array(self.node.settings.dialogs.eventCallback.utf8)
        confirmsEvents = !hasSink
        let modules = self.node.settings.script.parameters
        contactCallback = judge == nil ? [] : Array(modules.contactCallback.utf8)
        if judge != nil, !eventCallback.isEmpty { self.node.awaitsConfirmation = true }
        mediaListeners = MediaSockets.listeners(self.node.settings)
        self.node.tellsExpiredContacts = !contactCallback.isEmpty
        guard let judge else { return }
        judge.mediaListeners = (mediaListeners.ipv4 ?? .init(rawValue: 0), mediaListeners.ipv6 ?? .init(rawValue: 0))
        judge.localCallback = Array(modules.transactionCallback.utf8)
        self.node.scriptPoints = judge.points
    }

    /// What runs, for the status.
    var script: ScriptReport? {
        judge.map { ScriptReport(file: $0.fileName, version: $0.version) }
    }

    /// Serves with another script from the next question on.
    /// - Returns: Why the one from before serves on; `nil` when it does not.
    mutating func adopt(_ source: ScriptSource, _ recipe: ScriptRecipe) -> String? {
        guard let judge else { return nil }
        do throws(ScriptError) {
            try judge.adopt(try recipe.engine(source))
            node.scriptPoints = judge.points
            return nil
        } catch {
            return error.sentence
        }
    }

    func metrics(now: Instant) -> [MetricReport] { node.metrics(now: now) + ScriptMetrics.reports(judge) }

    /// Tells the script what stands in the outbox of dialogs' lives and of contacts.
    mutating func tellScript(_ now: Instant, _ out: inout Outbox) {
        if let judge, !contactCallback.isEmpty {
            judge.tellExpired(to: contactCallback, &node, time(now), into: &out)
        }
        guard let judge, !eventCallback.isEmpty, !out.events.isEmpty else { return }
        judge.tell(to: eventCallback, confirms: confirmsEvents, &node, time(now), into: &out)
    }

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
        if let judge, flow == .none, listener == mediaListeners.ipv4 || listener == mediaListeners.ipv6 {
            judge.receive(media: datagram, from: from, &node, time(now), into: &out)
            return
        }
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

    var watchesAddresses: Bool { node.watchesAddresses }

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
