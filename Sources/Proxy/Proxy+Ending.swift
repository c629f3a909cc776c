// Ending a dialog: the BYEs that the cluster makes. Branch, sent-by and CSeq follow from (did, leg) alone, so a second
// actor's BYE is a retransmission to the phone (S1-9, R7); Request-URI, Routes and target come from the
// record of whoever asked first, and travel in the intent, so whoever continues sends the same bytes.
//
//   intent payload:  count, then for each BYE: leg (1 byte), length (2, big-endian) and text of the target endpoint,
//                    empty where its name has to be looked up, length (2) and bytes of the request
//
// Limits: 16 BYEs an intent (eight confirmed dialog-outs), 30 000 bytes in all: what fits a frame. What does not fit is
// made by the actor from its own record as it acts: the transaction is the same whoever makes it. A side that no BYE
// can be made for, since nothing says where it is, is counted and noted.

package import Dialogs
package import Primitives
import SIP

/// One BYE of an intent.
package struct EndingRequest: Equatable, Sendable {
    package static let countLimit = 16
    static let payloadLimit = 30_000
    /// What is written beside the bytes of each: leg, lengths, target.
    private static let overhead = 128

    var leg: Leg
    var target: Endpoint
    var bytes: [UInt8]

    var size: Int { bytes.count + Self.overhead }

    package static func encode(_ requests: [EndingRequest]) -> [UInt8] {
        var writer = ByteWriter(capacity: 1_024)
        writer.put(UInt8(requests.count))
        for request in requests {
            var target = ByteWriter()
            if request.target != .none { request.target.writeFact(into: &target) }
            writer.put(request.leg.rawValue)
            for part in [target.bytes, request.bytes] {
                writer.put(UInt8(truncatingIfNeeded: part.count >> 8))
                writer.put(UInt8(truncatingIfNeeded: part.count))
                writer.put(part)
            }
        }
        return writer.bytes
    }

    /// `nil` for a payload that is not one: it came over the network.
    package static func decode(_ payload: [UInt8]) -> [EndingRequest]? {
        guard let count = payload.first, count <= countLimit else { return nil }
        var offset = 1
        func part() -> [UInt8]? {
            guard offset + 2 <= payload.count else { return nil }
            let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
            guard offset + 2 + length <= payload.count else { return nil }
            defer { offset += 2 + length }
            return Array(payload[(offset + 2)..<(offset + 2 + length)])
        }
        var requests: [EndingRequest] = []
        for _ in 0..<count {
            guard offset < payload.count, let leg = Leg(rawValue: payload[offset]) else { return nil }
            offset += 1
            guard let text = part(), let bytes = part(),
                let target = text.isEmpty ? Endpoint.none : Endpoint(fact: text)
            else { return nil }
            requests.append(EndingRequest(leg: leg, target: target, bytes: bytes))
        }
        return offset == payload.count ? requests : nil
    }
}

/// Why the cluster sends a BYE. Only its Reason says so (RFC 3326).
enum ByeCause {
    /// What the record has of it: an operator, keep-alives that failed, else its deadline.
    case recorded
    /// The set-up was interrupted: an heir ends a dialog that is early (S2-11).
    case interrupted
    /// Another callee has answered before.
    case elsewhere
}

extension Proxy {
    /// What an intent to end this dialog carries; `nil` when no leg can be told (no confirmed dialog-out).
    package func endingPayload(_ did: DialogID, dialogs: DialogTable) -> [UInt8]? {
        guard let record = dialogs.record(did), let state = record.state, state >= .confirmedNotAcknowledged else {
            return nil
        }
        var requests: [EndingRequest] = []
        var size = 0
        forEachLeg(of: record) { out, leg in
            guard requests.count < EndingRequest.countLimit, let request = bye(did, record, out, to: leg),
                size + request.size <= EndingRequest.payloadLimit
            else { return }
            size += request.size
            requests.append(request)
        }
        return requests.isEmpty ? nil : EndingRequest.encode(requests)
    }

    private func forEachLeg(of record: Record, _ body: (Record.Out, Leg) -> Void) {
        let side = record.word(.endSide)
        for out in record.outs where out.state == .confirmedNotAcknowledged || out.state == .confirmed {
            if side != Array("callee".utf8) { body(out, .caller) }
            if side != Array("caller".utf8) { body(out, .callee) }
        }
    }

    /// Sends the BYEs of a granted intent, and those that it had no room for. `.legsEnded` follows when each leg has
    /// answered or fallen silent.
    package mutating func end(_ did: DialogID, payload: [UInt8], dialogs: DialogTable, now: Instant) {
        self.now = now
        var requests = EndingRequest.decode(payload) ?? []
        addLegs(leftOutOf: &requests, did, dialogs: dialogs)
        guard let first = requests.first.map({ generatedHash($0.bytes) }) else {
            effects.items.append(.legsEnded(did, unanswered: true))
            return
        }
        if generatedTable.first(hash: first, where: { isGenerated($0, first) }) != nil { return }  // Under way here.
        startGenerated(requests, did: did, kind: .generated)
    }

    /// Adds the BYEs that an intent was too small for; who cannot be told is counted.
    private mutating func addLegs(leftOutOf requests: inout [EndingRequest], _ did: DialogID, dialogs: DialogTable) {
        guard let record = dialogs.record(did) else { return }
        var known: [UInt64] = []
        for request in requests { known.append(generatedHash(request.bytes)) }
        var (missing, unreachable): ([EndingRequest], UInt64) = ([], 0)
        forEachLeg(of: record) { out, leg in
            guard !known.contains(generatedBranch(did, leg, .bye, toTag: out.toTag)) else { return }
            if let request = bye(did, record, out, to: leg) {
                missing.append(request)
            } else {
                unreachable += 1
            }
        }
        requests += missing
        guard unreachable > 0 else { return }
        if counters.legsUnreachable == 0 { effects.items.append(.note(.legUnreachable(callID: record.callID))) }
        counters.legsUnreachable += unreachable
    }

    /// Starts BYEs that the cluster makes, each with its own client transaction.
    mutating func startGenerated(_ requests: [EndingRequest], did: DialogID, kind: ResponseContext.Kind) {
        // At the limit the deadline is looked at again after intent-life.
        guard let id = newContext() else { return }
        var context = ResponseContext()
        context.kind = kind
        context.method = .bye
        context.did = did
        context.startedAt = now
        for request in requests {
            let target = settings.egress ?? request.target
            var branch = ClientBranch(
                client: clientTransaction(.bye, target), sent: request.bytes, target: target,
                listener: listener(ofGenerated: request.bytes, toward: target))
            branch.leg = request.leg
            branch.generated = generatedHash(request.bytes)
            generatedTable.insert(hash: branch.generated, value: id.index)
            context.branches.append(branch)
        }
        if kind == .generated { dialogTable.insert(hash: did.rawValue, value: id.index) }
        for index in context.branches.indices {
            counters.byesGenerated += 1
            if context.branches[index].target != .none {
                start(&context, branch: index, id)
            } else if let name = nameOfHop(context.branches[index].sent),
                ask(for: name, .generated(id, index))
            {
                continue
            } else {
                endUnresolved(&context, index)
            }
        }
        finish(context, id)
    }

    /// The address of a request that the cluster makes was looked up.
    mutating func generatedResolved(
        _ id: SlotID, _ index: Int, _ endpoint: Endpoint?, of host: [UInt8], dialogs: inout DialogTable
    ) {
        guard var context = take(id) else { return }
        if context.branches.indices.contains(index), context.branches[index].final == nil {
            if let endpoint { context.branches[index].serverName = serverName(host, endpoint) }
            if context.kind == .keepAlive {
                keepAliveResolved(&context, index, endpoint, id, dialogs: &dialogs)
            } else if let endpoint {
                startGenerated(&context, index, at: endpoint, id)
            } else {
                endUnresolved(&context, index)
            }
        }
        finish(context, id)
    }

    /// A leg without an address has ended: its transaction never begins.
    private mutating func endUnresolved(_ context: inout ResponseContext, _ index: Int) {
        terminateClient(&context, index)
        endLeg(&context, index, 503)
    }

    /// Starts a request that the cluster makes, at the address that was found for it.
    mutating func startGenerated(_ context: inout ResponseContext, _ index: Int, at endpoint: Endpoint, _ id: SlotID) {
        context.branches[index].sent = request(context.branches[index].sent, at: endpoint)
        context.branches[index].target = endpoint
        context.branches[index].listener = listener(ofGenerated: context.branches[index].sent, toward: endpoint)
        context.branches[index].client = clientTransaction(context.method, endpoint)
        start(&context, branch: index, id)
    }

    /// What has to be looked up for a request as it leaves: its first Route, else its Request-URI.
    mutating func nameOfHop(_ request: [UInt8]) -> ResolutionTarget? {
        guard loadStored(request) else { return nil }
        addresses.removeAll(keepingCapacity: true)
        stored.nameAddresses(.route, into: &addresses)
        guard let uri = try? URI(stored.bytes, addresses.first?.uri ?? stored.requestURI) else { return nil }
        return name(of: uri, in: stored.bytes)
    }

    /// The endpoint that a URI names, none where it has to be looked up; `nil` for one that can never be sent to.
    private func hop(of uri: URI, in bytes: [UInt8]) -> Endpoint? {
        endpoint(of: uri, in: bytes) ?? (name(of: uri, in: bytes) == nil ? nil : Endpoint.none)
    }

    /// The hash in the branch of a request we made; 0 for bytes that are not such a request.
    mutating func generatedHash(_ bytes: [UInt8]) -> UInt64 {
        guard loadStored(bytes), let via = try? stored.topmostVia(),
            case .generated(let hash) = Branch(stored.bytes, via.branch, mark: settings.mark)
        else { return 0 }
        return hash
    }

    func isGenerated(_ index: UInt32, _ hash: UInt64) -> Bool {
        guard let id = contexts.id(at: index) else { return false }
        return contexts.read(id) { context in context.branches.contains { $0.generated == hash } } ?? false
    }

    mutating func receiveGeneratedResponse(_ hash: UInt64, from source: Endpoint, dialogs: inout DialogTable) {
        guard answersGenerated(hash) else {
            counters.strayResponses += 1
            passToPeers(from: source)
            return
        }
    }

    /// The answer to a BYE of the cluster's passes by on its way back through a server. Where that way leads to the
    /// address of a dead node, whose name the BYE has (R7), this is where it is seen.
    mutating func noteAnswerPassing() {
        guard message.count(of: .via) > 2 else { return }
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        for via in vias {
            guard case .generated(let hash) = Branch(message.bytes, via.branch, mark: settings.mark) else { continue }
            _ = answersGenerated(hash)  // Another node's learns it by its own answer.
        }
    }

    /// The response at hand answers a request of the cluster's that this node sent.
    private mutating func answersGenerated(_ hash: UInt64) -> Bool {
        guard let index = generatedTable.first(hash: hash, where: { isGenerated($0, hash) }),
            let id = contexts.id(at: index), var context = take(id)
        else { return false }
        if let branch = context.branches.firstIndex(where: { $0.generated == hash }),
            case .nonInvite(var transaction) = context.branches[branch].client
        {
            actions.removeAll(keepingCapacity: true)
            transaction.receive(statusCode: message.statusCode, actions: &actions)
            context.branches[branch].client = .nonInvite(transaction)
            performClient(&context, branch: branch, id)
            if message.statusCode >= 200 { endLeg(&context, branch, message.statusCode) }
        }
        finish(context, id)
        return true
    }

    /// Any final answer, 408, 481 or silence until timer F ends a leg (S1-9).
    mutating func endLeg(_ context: inout ResponseContext, _ branch: Int, _ status: Int) {
        guard context.branches[branch].final == nil else { return }
        context.branches[branch].final = status
        guard context.kind == .generated, let did = context.did,
            context.branches.allSatisfy({ $0.final != nil })
        else { return }
        let isUnanswered = context.branches.contains { $0.final == 408 || $0.final == 503 }
        effects.items.append(.legsEnded(did, unanswered: isUnanswered))
    }

    /// Whether BYEs of this dialog are under way here.
    package func isEnding(_ did: DialogID) -> Bool {
        inviteContext(
            of: did,
            where: { context in
                context.kind == .generated && context.branches.contains { $0.final == nil }
            }) != nil
    }

    /// The record becomes a tombstone: every leg has ended, or there was none to end.
    package mutating func bury(_ did: DialogID, unanswered: Bool = false, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let flags = dialogs.view(did) { view, _ in view.flags } ?? []
        let isExplained = !flags.isDisjoint(with: [.endedByOperator, .cancelled])
        let wasAnswered = (dialogs.state(did) ?? .unconfirmed) >= .confirmedNotAcknowledged
        cancelOrphans(did, dialogs: &dialogs)
        facts.begin()
        var ending: RecordFlags = unanswered ? .unanswered : []
        if !isExplained { ending.insert(.timedOut) } else if !wasAnswered { ending.insert(.failed) }
        writeEnd(did, ending, dialogs: dialogs)
        learn(did, dialogs: &dialogs)
    }

    /// Asks the owner, or the heir, of a ringing call to cancel it; the fact reaches whichever it is.
    /// - Returns: False when that was asked before.
    package mutating func cancelEarly(_ did: DialogID, flags: RecordFlags, now: Instant, dialogs: inout DialogTable)
        -> Bool
    {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let known = dialogs.view(did) { view, _ in view.flags } ?? .cancelled
        guard !known.contains(.cancelled) else { return false }
        facts.begin()
        facts.raise(flags.union(.cancelled))
        learn(did, dialogs: &dialogs)
        return true
    }

    // MARK: The bytes

    /// The branch hash of a generated request.
    func generatedBranch(_ did: DialogID, _ leg: Leg, _ method: Method, toTag: [UInt8]) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x6765_6e65_7261_7465)
        stream.combine(did.rawValue)
        stream.combine(UInt64(leg.rawValue) << 8 | UInt64(method.rawValue))
        stream.combine(toTag, ByteRange(toTag))
        return stream.finish() | 1
    }

    /// BYE for one side of a dialog-out.
    ///
    /// CSeq and branch are those of any other BYE to this leg: should the dialog turn out to be confirmed elsewhere,
    /// the BYE at its deadline is a retransmission of this one (S1-9).
    func bye(
        _ did: DialogID, _ record: Record, _ out: Record.Out, to leg: Leg, because cause: ByeCause = .recorded
    ) -> EndingRequest? {
        var side = leg == .caller ? record.caller : out.side
        // Whoever knows of the dialog by its ACK alone knows the callee by the URI that was called, and by its tag.
        if side.contact.isEmpty, leg == .callee {
            // Behind a server that sends calls back the called URI is the server's, which knows nothing of the phone.
            guard record.outs.allSatisfy({ $0.side.pass.isFirst }) else { return nil }
            side.contact = record.requestURI
        }
        guard !side.contact.isEmpty else { return nil }
        let sender = leg == .caller ? out.side : record.caller
        let cSeq = GeneratedCSeq.bye(first: sender.firstCSeq, highest: sender.cseq)
        guard let hop = nextHop(side) else { return nil }
        let request = requestWithin(
            record, out, to: leg, method: "BYE", cSeq: cSeq, hop,
            via: { writeGeneratedVia(did, record, out, to: leg, .bye, settings.egress ?? hop.endpoint, into: &$0) },
            extra: { writer in
                Self.writeReason(cause, record, into: &writer)
                if cause == .recorded, let headers = record.word(.endHeaders) { writer.put(headers) }
            })
        return EndingRequest(leg: leg, target: hop.endpoint, bytes: request)
    }

    /// The value of the Via of a request that the cluster makes: it follows from dialog, side and method, and the home
    /// that the record names.
    func writeGeneratedVia(
        _ did: DialogID, _ record: Record, _ out: Record.Out, to leg: Leg, _ method: Method,
        _ hop: Endpoint, into writer: inout ByteWriter
    ) {
        writer.put("SIP/2.0/")
        writer.put(hop.transport.name)
        writer.put(0x20)
        writer.put(generatedSentBy(record.home, leg == .caller ? record.caller : out.side, toward: hop))
        writer.put(";branch=")
        Branch.generated(generatedBranch(did, leg, method, toTag: out.toTag)).write(mark: settings.mark, into: &writer)
        writer.put(";rport")
    }

    /// Why the cluster ends a dialog (RFC 3326).
    private static func writeReason(_ cause: ByeCause, _ record: Record, into writer: inout ByteWriter) {
        let flags = record.flags
        if cause == .recorded, flags.contains(.endedByOperator), let reason = record.word(.endReason) {
            return ReasonWriter.write(cause: 480, text: reason, into: &writer)
        }
        if cause == .elsewhere { return writeCancelReason(.elsewhere, ofCaller: [], into: &writer) }
        let (code, text): (Int, String) =
            if flags.contains(.endedByOperator) {
                (480, "Ended by the operator")
            } else if cause == .interrupted {
                (480, "Call set-up was interrupted")
            } else if flags.contains(.endedByKeepAlive) {
                (408, "Keep-alive failed")
            } else {
                (408, "Dialog lifetime expired")
            }
        ReasonWriter.write(cause: code, text: Array(text.utf8), into: &writer)
    }

    /// A request of the cluster's own within a dialog-out, to one side as the other would send it (RFC 3261 §12.2.1.1).
    /// `via` writes the value of its Via, `extra` further headers.
    func requestWithin(
        _ record: Record, _ out: Record.Out, to leg: Leg, method: StaticString, cSeq: UInt64, _ hop: Hop,
        via: (inout ByteWriter) -> Void, extra: (inout ByteWriter) -> Void = { _ in }
    ) -> [UInt8] {
        // A callee without a tag has the null tag, and gets none (RFC 3261 §12.1.1).
        let tag = out.toTag.isEmpty ? [] : Array(";tag=".utf8) + out.toTag
        let toValue = out.to.isEmpty ? record.to + tag : out.to
        var writer = ByteWriter(capacity: 512)
        writer.put(method)
        writer.put(0x20)
        writer.put(hop.requestURI)
        writer.put(" SIP/2.0\r\nVia: ")
        via(&writer)
        writer.put("\r\n")
        if !hop.routes.isEmpty {
            writer.put("Route: ")
            writer.put(hop.routes)
            writer.put("\r\n")
        }
        writer.put("Max-Forwards: ")
        writer.putDecimal(UInt64(settings.maxForwards))
        writer.put("\r\nFrom: ")
        writer.put(leg == .caller ? toValue : record.from)
        writer.put("\r\nTo: ")
        writer.put(leg == .caller ? record.from : toValue)
        writer.put("\r\nCall-ID: ")
        writer.put(record.callID)
        writer.put("\r\nCSeq: ")
        writer.putDecimal(cSeq)
        writer.put(0x20)
        writer.put(method)
        writer.put("\r\n")
        extra(&writer)
        writer.put(settings.extraHeaders)
        writer.put("Content-Length: 0\r\n\r\n")
        return writer.bytes
    }

    typealias Hop = (requestURI: [UInt8], routes: [UInt8], endpoint: Endpoint)

    /// Request-URI, Route value and endpoint of a request in a dialog (RFC 3261 §12.2.1.1): a first route without lr
    /// becomes the Request-URI, and the Contact goes last. No endpoint means that a name has to be looked up.
    func nextHop(_ side: Record.Side) -> Hop? {
        let (contact, value) = (side.contact, side.routes)
        var routes: [NameAddress] = []
        if !value.isEmpty { NameAddress.append(listIn: value, ByteRange(value), to: &routes) }
        guard let first = routes.first else {
            if let holder = holder(ofFlow: side.flow) { return (contact, [], holder) }
            guard let uri = try? URI(contact, ByteRange(contact)), let endpoint = hop(of: uri, in: contact)
            else { return nil }
            return (contact, [], endpoint)
        }
        guard let uri = try? URI(value, first.uri), let endpoint = hop(of: uri, in: value) else { return nil }
        if uri.hasLooseRoute(in: value) { return (contact, value, endpoint) }
        var rest = ByteWriter()
        for route in routes.dropFirst() {
            rest.put(value, route.element)
            rest.put(", ")
        }
        rest.put("<")
        rest.put(contact)
        rest.put(">")
        return (Array(value[URI.withoutHeaders(value, first.uri).range]), rest.bytes, endpoint)
    }
}
