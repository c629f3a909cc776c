// What of this node's work is kept for `understudy trace`, and the answer to it. A message is kept after the proxy has
// handled it, because only then is it known whether it belongs to a call; its number is from before, so that what it
// gave rise to stands behind it.

import Cluster
import Dialogs
package import Primitives
import Proxy
import SIP

extension Node {
    /// Keeps a message that the proxy has handled, and what it sent for it.
    /// - Parameter queued: How many datagrams were there before.
    mutating func traceReceived(
        _ message: RawSpan, from source: Endpoint, on listener: ListenerID, number: UInt64, queued: Int, now: Instant
    ) {
        let lane: TraceLane
        switch proxy.lastOutcome {
        case .keepAlive: return
        case .unreadable:
            trace.keepUnreadable(message, source, listener, number: number, now: now)
            return
        case .ofCall: lane = .calls
        case .other: lane = .others
        case .refused: lane = .refused
        }
        trace.keep(
            message, .received, source, listener, lane: lane, number: number, outline: proxy.outline, now: now)
        traceSent(from: queued, as: lane, now: now)
    }

    /// Keeps what was queued since: as what came, or, when time alone has caused it, as what it is.
    mutating func traceSent(from queued: Int, as lane: TraceLane?, now: Instant) {
        guard trace.isOn, proxy.effects.queue.datagrams.count > queued else { return }
        tracedDatagrams = proxy.effects.queue.datagrams.count
        for index in queued..<tracedDatagrams {
            Self.keep(proxy.effects.queue, index, in: &trace, lane: lane, now: now)
        }
    }

    private static func keep(
        _ queue: SendQueue, _ index: Int, in trace: inout TraceRing, lane: TraceLane?, now: Instant
    ) {
        let range = queue.datagrams[index].range.range
        let message = RawSpan(_elements: queue.arena.bytes.span).extracting(range)
        trace.keep(
            message, .sent, queue.datagrams[index].to, queue.datagrams[index].from,
            lane: lane ?? self.lane(of: message), number: trace.nextNumber(), outline: queue.datagrams[index].outline,
            now: now)
    }

    func traceHeldKind(_ purpose: CommitToken.Purpose) -> TraceKind {
        switch purpose {
        case .trying: .heldTrying
        case .confirmation, .inheritance, .registration, .request: .heldConfirmation
        case .refresh: .heldRefresh
        }
    }

    mutating func traceHeld(_ token: CommitToken, now: Instant) {
        guard trace.isOn, let did = proxy.dialog(of: token) else { return }
        trace.keep(traceHeldKind(token.purpose), did, now: now)
    }

    /// OPTIONS to targets and phones are no calls.
    private static func lane(of message: RawSpan) -> TraceLane {
        message.byteCount > 8 && message.word(at: 0) == 0x2053_4e4f_4954_504f ? .others : .calls  // "OPTIONS "
    }

    // MARK: The answer

    /// What this node has of a call, in order.
    package func trace(callID: String, now: Instant) -> TraceReport {
        var report = TraceReport()
        report.node = settings.node.name
        report.addresses = settings.sip.listen.map(\.text) + [settings.sip.serviceAddress?.text].compactMap(\.self)
        report.isOn = trace.isOn
        report.keptSince = trace.oldest.map(unixTime)
        let messages = trace.messages(of: Array(callID.utf8))
        var dids = Set<UInt64>()
        for (entry, bytes) in messages {
            if let did = Self.did(in: bytes, mark: proxy.settings.mark) { dids.insert(did) }
            var event = TraceEvent(at: unixTime(at: entry.at), number: entry.number)
            event.kind = entry.kind == .received ? .received : .sent
            event.peer = Self.text(entry.peer)
            event.own =
                settings.sip.listen.indices.contains(Int(entry.listener))
                ? settings.sip.listen[Int(entry.listener)].text : settings.sip.serviceAddress?.text ?? ""
            event.text = String(decoding: bytes, as: UTF8.self)
            report.events.append(event)
        }
        for did in dids.sorted() where store.dialogs.contains(DialogID(rawValue: did)) {
            let dialog = DialogID(rawValue: did)
            report.dialogs.append(
                TraceDialog(
                    did: dialog.hex, home: homeName(dialog) ?? "", actor: actorName(dialog) ?? "",
                    state: store.dialogs.state(dialog)?.name ?? ""))
        }
        for entry in trace.deeds(of: dids, callID: Array(callID.utf8)) {
            var event = TraceEvent(at: unixTime(at: entry.at), number: entry.number)
            event.kind = .deed
            event.text = Self.sentence(entry.kind)
            report.events.append(event)
        }
        for moment in traceOfMembers where !messages.isEmpty {
            var event = TraceEvent(at: unixTime(at: moment.at), number: moment.number)
            event.kind = .members
            event.text = moment.text
            report.events.append(event)
        }
        report.events.sort { ($0.at, $0.number) < ($1.at, $1.number) }
        return report
    }

    private static func text(_ endpoint: Endpoint) -> String {
        endpoint.transport == .udp ? endpoint.text : "\(endpoint.transport.configuredName)://\(endpoint.text)"
    }

    /// The dialog that the topmost Via of ours in a message names.
    private static func did(in bytes: [UInt8], mark: UInt16) -> UInt64? {
        var message = Message()
        guard (try? message.load(RawSpan(_elements: bytes.span))) != nil else { return nil }
        var vias: [Via] = []
        message.vias(into: &vias)
        for via in vias {
            if case .transaction(let token) = Branch(message.bytes, via.branch, mark: mark), token.did.rawValue != 0 {
                return token.did.rawValue
            }
        }
        return nil
    }

    private static func sentence(_ kind: TraceKind) -> String {
        switch kind {
        case .received, .sent: ""
        case .published: "publishes the dialog"
        case .heldTrying: "waits with 100 until a peer has the dialog"
        case .heldConfirmation: "holds the 2xx until a peer has it"
        case .heldRefresh: "holds the 2xx until enough peers have the refresh"
        case .committed: "is told that it is committed"
        case .uncommitted: "waited in vain, and goes on uncommitted"
        case .asked: "asks the others whether the dialog may be ended"
        case .granted: "ends the dialog, which a majority has granted"
        case .refused: "may not end the dialog: a member knew better"
        case .tookOver: "takes the call over from a node that died or left"
        case .ended: "has ended the dialog on both sides"
        }
    }

    /// Keeps what became of members, for the ladders of the calls that it concerned: the last 64 of that.
    mutating func traceMembers(_ note: ClusterNote, now: Instant) {
        guard trace.isOn else { return }
        let text: String
        switch note {
        case .peerSilent(let id): text = "hears nothing of \(id.name) any more"
        case .peerGone(let id): text = "finds \(id.name) dead"
        case .peerLeft(let id): text = "is told that \(id.name) leaves"
        case .peerHeard(let id): text = "hears \(id.name)"
        case .viewChanged(_, let names):
            text = "agrees with the others that the members are \(names.joined(separator: ", "))"
        case .quorumLost: text = "has no quorum"
        case .quorumRegained: text = "has quorum again"
        default: return
        }
        if traceOfMembers.count == TraceReport.memberLimit { traceOfMembers.removeFirst() }
        traceOfMembers.append((now, trace.nextNumber(), text))
    }
}
