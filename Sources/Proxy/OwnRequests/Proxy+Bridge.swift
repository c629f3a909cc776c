// `dlg_bridge`: the cluster calls one address as a phone of its own, with a description that holds the line, sends it
// on to another with REFER, and hangs up when that has said what became of it (Kamailio's INVITE(hold)-REFER-BYE).
//
//   INVITE ─▶ forwarded as any other ─▶ phone      so there is a record, an heir, a deadline
//     2xx ─▶ ACK ─▶ `.bridgeAnswered` ─▶ REFER (`Node+Requests`) ─▶ NOTIFYs, answered here ─▶ BYE to the phone
//     other final answer ─▶ ACK ─▶ `.bridgeFailed`
//
// Its user agent is hardly one: what it knows stands in the record (`DialogWord.bridge`: to whom), its messages enter
// as a phone's, from the address of a socket of this node, and answers to it come back by that socket. A node that
// dies while the phone rings leaves that to its heir, which cancels; one that dies later, to whoever is the actor then.
//
// Requests of the phone's to the controller are answered by any node; none of them needs a phone: NOTIFY, INFO, MESSAGE
// and OPTIONS get 200, BYE ends the dialog, an INVITE gets 488.

package import Dialogs
package import Primitives
import SIP

/// Whom to bridge, and how.
package struct BridgeOrder: Sendable {
    /// Who is called, and to whom it is sent on: URIs.
    package var from: [UInt8] = []
    package var to: [UInt8] = []
    /// Where the INVITE goes instead of where `from` says; empty for none.
    package var proxy: [UInt8] = []
    package var body: [UInt8] = []
    /// URIs of the controller's From and Contact.
    package var controller: [UInt8] = []
    package var contact: [UInt8] = []
    /// Different in each of this process.
    package var number: UInt64 = 0

    package init() {}

    /// The call has so long from its answer.
    static let lifetimeMilliseconds: UInt64 = 60_000
}

extension Proxy {
    private static let branchPrefix = [UInt8](copying: "z9hG4bKusb")

    /// Calls the first phone.
    /// - Returns: The dialog; `nil` for what cannot be sent, as a URI that is none.
    package mutating func bridge(
        _ order: BridgeOrder, now: Instant, dialogs: inout DialogTable
    ) -> DialogID? {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let source = ownSource, loadMessage(invite(of: order, from: source)),
            (try? message.identify()) != nil, let via = try? message.topmostVia(), let cSeq = try? message.cSeq()
        else { return nil }
        var plan = plan(from: source, via, cSeq)
        plan.scriptChanges = [.word(.bridge, order.to), .word(.endSide, Array("callee".utf8))]
        plan.scriptLifetime = BridgeOrder.lifetimeMilliseconds
        if !order.proxy.isEmpty {
            guard let target = target(order.proxy) else { return nil }
            plan.targets = [target]
        }
        let did = dialogs.did(of: inviteIdentity(plan))
        readRoutes()
        counters.requests += 1
        run(&plan, from: .match, dialogs: &dialogs)
        return did
    }

    /// What the controller's messages seem to come from: the first UDP socket of this node.
    private var ownSource: Endpoint? { settings.listeners.first { $0.transport == .udp } }

    /// Of a message of the controller's: no script is asked about it.
    private func plan(from source: Endpoint, _ via: Via, _ cSeq: CSeq) -> RequestPlan {
        let listener = settings.listeners.firstIndex(of: source) ?? 0
        var plan = RequestPlan(
            source: source, listener: ListenerID(rawValue: UInt8(truncatingIfNeeded: listener)), upstream: source,
            addsReceived: false, cSeq: cSeq, via: via)
        plan.isOfController = true
        return plan
    }

    private func target(_ uri: [UInt8]) -> ForkTarget? {
        guard let parsed = try? URI(uri, ByteRange(uri)) else { return nil }
        if let endpoint = settings.egress ?? endpoint(of: parsed, in: uri) {
            return ForkTarget(requestURI: [], group: 0, candidates: [endpoint])
        }
        guard let name = name(of: parsed, in: uri) else { return nil }
        return ForkTarget(requestURI: [], group: 0, candidates: [], name: name)
    }

    private func invite(of order: BridgeOrder, from source: Endpoint) -> [UInt8] {
        func name(_ purpose: UInt64) -> UInt64 {
            var stream = hash.begin()
            stream.combine(0x6272_6964_6765_0000 | purpose)
            stream.combine(UInt64(settings.memberTag))
            stream.combine(order.number)
            return stream.finish()
        }
        var writer = ByteWriter(capacity: 1_024)
        writer.put("INVITE ")
        writer.put(order.from)
        writer.put(" SIP/2.0\r\n")
        writeOwnVia(source, name(1), into: &writer)
        writer.put("Max-Forwards: ")
        writer.putDecimal(UInt64(settings.maxForwards))
        writer.put("\r\nFrom: <")
        writer.put(order.controller)
        writer.put(">;tag=")
        writer.putHex(name(2), digits: 16)
        writer.put("\r\nTo: <")
        writer.put(order.from)
        writer.put(">\r\nCall-ID: ")
        writer.putHex(name(3), digits: 16)
        writer.put("@bridge\r\nCSeq: 1 INVITE\r\nContact: <")
        writer.put(order.contact)
        writer.put(">\r\n")
        writer.put(settings.extraHeaders)
        if !order.body.isEmpty { writer.put("Content-Type: application/sdp\r\n") }
        writer.put("Content-Length: ")
        writer.putDecimal(UInt64(order.body.count))
        writer.put("\r\n\r\n")
        writer.put(order.body)
        return writer.bytes
    }

    private func writeOwnVia(_ source: Endpoint, _ name: UInt64, into writer: inout ByteWriter) {
        writer.put("Via: SIP/2.0/UDP ")
        writer.put(Array(source.text.utf8))
        writer.put(";branch=")
        writer.put(Self.branchPrefix)
        writer.putHex(name, digits: 16)
        writer.put("\r\n")
    }

    // MARK: Answers to the controller

    /// The answer at hand has no Via but the controller's.
    /// - Returns: False for any other.
    mutating func receiveBridgeAnswer(_ via: Via, _ cSeq: CSeq, dialogs: inout DialogTable) -> Bool {
        guard via.branch.count == Self.branchPrefix.count + 16,
            Text.same(
                message.bytes, ByteRange(start: Int(via.branch.start), end: Int(via.branch.start) + 10),
                Self.branchPrefix, ByteRange(Self.branchPrefix))
        else { return false }
        guard cSeq.method == .invite, message.statusCode >= 200, let source = ownSource else { return true }
        let status = message.statusCode
        let bytes = message.bytes
        let did = dialogs.find(
            callID: bytes, message.callID, fromTag: bytes, message.fromTag, toTag: bytes, message.toTag)?.0
        if status < 300 {
            guard let did, isBridge(did, dialogs: dialogs) else {
                counters.strayResponses += 1  // Its record has gone, or is not here: the phone repeats it.
                return true
            }
            acknowledgeForController(of: source, via, cSeq, isSuccess: true, dialogs: &dialogs)
            effects.items.append(.bridgeAnswered(did))
        } else {
            let callID = message.copy(message.callID)
            acknowledgeForController(of: source, via, cSeq, isSuccess: false, dialogs: &dialogs)
            effects.items.append(.bridgeFailed(callID: callID, status: status))
        }
        return true
    }

    package func isBridge(_ did: DialogID, dialogs: DialogTable) -> Bool {
        dialogs.view(did) { view, stored in view.word(.bridge, in: stored) != nil } ?? false
    }

    /// The ACK, as the controller would send it (RFC 3261 §13.2.2.4, §17.1.1.3).
    private mutating func acknowledgeForController(
        of source: Endpoint, _ via: Via, _ cSeq: CSeq, isSuccess: Bool, dialogs: inout DialogTable
    ) {
        guard let to = message.first(.to), let from = message.first(.from) else { return }
        let target = contactURI() ?? (try? NameAddress(message.bytes, to.value))?.uri
        guard let target else {
            counters.dropped += 1
            return
        }
        addresses.removeAll(keepingCapacity: true)
        message.nameAddresses(.recordRoute, into: &addresses)
        var writer = ByteWriter(capacity: 512)
        writer.put("ACK ")
        writer.put(message.bytes, target)
        writer.put(" SIP/2.0\r\n")
        let branch = message.copy(via.branch)
        let name = Text.hex(branch, ByteRange(start: Self.branchPrefix.count, end: branch.count)) ?? 0
        writeOwnVia(source, isSuccess ? ~name : name, into: &writer)
        if isSuccess {
            for address in addresses.reversed() {
                writer.put("Route: ")
                writer.put(message.bytes, address.element)
                writer.put("\r\n")
            }
        }
        writer.put("Max-Forwards: 70\r\nFrom: ")
        writer.put(message.bytes, from.value)
        writer.put("\r\nTo: ")
        writer.put(message.bytes, to.value)
        writer.put("\r\nCall-ID: ")
        writer.put(message.bytes, message.callID)
        writer.put("\r\nCSeq: ")
        writer.putDecimal(UInt64(cSeq.number))
        writer.put(" ACK\r\nContent-Length: 0\r\n\r\n")
        guard loadMessage(writer.bytes), (try? message.identify()) != nil, let via = try? message.topmostVia(),
            let cSeq = try? message.cSeq()
        else {
            counters.dropped += 1  // A Contact or a Record-Route of the phone's makes no request.
            return
        }
        var plan = plan(from: source, via, cSeq)
        receiveAcknowledgement(&plan, dialogs: &dialogs)
    }

    // MARK: Requests to the controller

    /// Whether the cluster itself is asked: by the phone of a bridge, or by a NOTIFY of what became of its REFER.
    func decideOwn(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Decision? {
        guard dialogs.hasAsked, dialogs.flags(did)?.contains(.asked) == true else { return nil }
        if message.method == .notify, isOfOwnRefer(did, plan, dialogs: dialogs) { return .answerOwn(did, plan.leg) }
        guard plan.leg == .callee, isBridge(did, dialogs: dialogs) else { return nil }
        switch message.method {
        case .bye, .notify, .info, .message, .options, .update: return .answerOwn(did, plan.leg)
        case .invite: return .refuse(488)
        default: return .refuse(501)
        }
    }

    /// `Event: refer`, with the CSeq of our REFER or without one (RFC 3515 §2.4.6).
    private func isOfOwnRefer(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        guard let event = message.first(.event),
            Text.equalsIgnoringCase(
                message.bytes, ByteRange(start: Int(event.value.start), end: endOfToken(event.value)), "refer")
        else { return false }
        let wish = dialogs.view(did) { view, stored in view.wish(to: plan.leg, in: stored)?.wish } ?? nil
        guard let wish, wish.method == [UInt8](copying: "REFER"), wish.status < 300 else { return false }
        let identifier = Parameters.value("id", in: message.bytes, parameters(of: event.value))
        guard let identifier else { return true }
        return Text.decimal(message.bytes, identifier) == UInt64(wish.place.cSeq)
    }

    private func endOfToken(_ value: ByteRange) -> Int {
        var end = Int(value.start)
        while end < Int(value.end), message.bytes[end] != UInt8(ascii: ";"), message.bytes[end] > 0x20 { end += 1 }
        return end
    }

    private func parameters(of value: ByteRange) -> ByteRange {
        ByteRange(start: endOfToken(value), end: Int(value.end))
    }

    /// Answers a request to the cluster itself, and learns what it says.
    mutating func answerOwn(_ did: DialogID, _ leg: Leg, _ plan: RequestPlan, dialogs: inout DialogTable) {
        counters.ownAnswered += 1
        answer(200, plan)
        switch message.method {
        case .bye: learnBye(did, leg, dialogs: &dialogs)
        case .notify:
            effects.items.append(
                .referNotified(did, leg, status: fragmentStatus() ?? 0, isOver: isSubscriptionOver()))
        default: break
        }
    }

    private func isSubscriptionOver() -> Bool {
        message.headers.contains { field in
            field.name == .other
                && Text.equalsIgnoringCase(message.bytes, message.nameText(of: field), "Subscription-State")
                && Text.equalsIgnoringCase(
                    message.bytes, ByteRange(start: Int(field.value.start), end: endOfToken(field.value)), "terminated")
        }
    }

    /// The status in a body of message/sipfrag (RFC 3420).
    private func fragmentStatus() -> Int? {
        let (bytes, body) = (message.bytes, message.body)
        let start = Int(body.start)
        guard body.count >= 11, Text.equals(bytes, ByteRange(start: start, end: start + 8), "SIP/2.0 "),
            let status = Text.decimal(bytes, ByteRange(start: start + 8, end: start + 11)), 100...699 ~= status
        else { return nil }
        return Int(status)
    }
}
