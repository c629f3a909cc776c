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
        if side == Array("none".utf8) { return }
        for out in record.outs where out.state == .confirmedNotAcknowledged || out.state == .confirmed {
            if side != Array("callee".utf8) { body(out, .caller) }
            if side != Array("caller".utf8) { body(out, .callee) }
        }
    }

    /// Sends the BYEs of a granted intent, and those that it had no room for. `.legsEnded` follows when each leg has
    /// answered or fallen silent.
    package mutating func end(_ did: DialogID, payload: [UInt8], dialogs: inout DialogTable, now: Instant) {
        self.now = now
        var requests = EndingRequest.decode(payload) ?? []
        addLegs(leftOutOf: &requests, did, dialogs: dialogs)
        guard let first = requests.first.map({ generatedHash($0.bytes) }) else {
            let isSilent = dialogs.record(did)?.word(.endSide) == Array("none".utf8)
            effects.items.append(.legsEnded(did, unanswered: !isSilent))
            return
        }
        if ownRequests.find(hash: first) != nil { return }  // Under way here.
        // At the limit the deadline is looked at again after intent-life.
        _ = sendByes(requests, did: did, for: .end, dialogs: &dialogs)
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

    /// Sends BYEs that the cluster makes, each with its own client transaction.
    /// - Returns: False when there is no room.
    mutating func sendByes(
        _ requests: [EndingRequest], did: DialogID, for purpose: OwnRequest.Purpose, dialogs: inout DialogTable
    ) -> Bool {
        guard let id = reserve(purpose, .bye, did) else { return false }
        var parts: [OwnPart] = []
        for request in requests {
            let target = settings.egress ?? request.target
            var part = OwnPart(
                client: ownTransaction(target), sent: request.bytes, target: target,
                listener: listener(ofGenerated: request.bytes, toward: target))
            part.leg = request.leg
            part.number = UInt8(truncatingIfNeeded: parts.count)
            part.hash = generatedHash(request.bytes)
            parts.append(part)
        }
        begin(parts, id, dialogs: &dialogs)
        return true
    }

    mutating func receiveGeneratedResponse(_ hash: UInt64, from source: Endpoint, dialogs: inout DialogTable) {
        if receiveOwnAnswer(hash: hash, dialogs: &dialogs) { return }
        counters.strayResponses += 1
        passToPeers(from: source)
    }

    /// The answer to a BYE of the cluster's passes by on its way back through a server. Where that way leads to the
    /// address of a dead node, whose name the BYE has (R7), this is where it is seen: another node's BYE has its answer
    /// from here, without the Vias of those who have it next.
    mutating func noteAnswerPassing(dialogs: inout DialogTable) {
        guard message.count(of: .via) > 2 else { return }
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        for (index, via) in vias.enumerated() {
            guard case .generated(let hash) = Branch(message.bytes, via.branch, mark: settings.mark) else { continue }
            if !receiveOwnAnswer(hash: hash, dialogs: &dialogs) { passToPeers(withoutVias: index) }
        }
    }

    /// Any final answer, 408, 481 or silence until timer F ends a leg (S1-9); the last one ends the dialog.
    mutating func endLeg(_ request: OwnRequest) {
        guard let did = request.did, request.hasEnded else { return }
        let isUnanswered = request.parts.contains { $0.final == 408 || $0.final == 503 }
        effects.items.append(.legsEnded(did, unanswered: isUnanswered))
    }

    /// Whether BYEs of this dialog are under way here.
    package func isEnding(_ did: DialogID) -> Bool { ownRequests.isEnding(did) }

    /// The record becomes a tombstone: every leg has ended, or there was none to end.
    package mutating func bury(_ did: DialogID, unanswered: Bool = false, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let flags = dialogs.flags(did) ?? []
        let wasAnswered = (dialogs.state(did) ?? .unconfirmed) >= .confirmedNotAcknowledged
        // A CANCEL that the answer crossed explains no end of the call: who reads none owes one (R15).
        let isExplained = flags.contains(.endedByOperator) || flags.contains(.cancelled) && !wasAnswered
        cancelOrphans(did, dialogs: &dialogs)
        facts.begin()
        var ending: RecordFlags = unanswered ? .unanswered : []
        if !isExplained { ending.insert(.timedOut) } else if !wasAnswered { ending.insert(.failed) }
        if !wasAnswered { oweIfAnswered(did, dialogs: dialogs) }
        writeEnd(did, ending, dialogs: dialogs)
        learn(did, dialogs: &dialogs)
        payOwedEnds(dialogs: &dialogs)
    }

    /// Asks the owner, or the heir, of a ringing call to cancel it; the fact reaches whichever it is.
    /// - Returns: False when that was asked before.
    package mutating func cancelEarly(_ did: DialogID, flags: RecordFlags, now: Instant, dialogs: inout DialogTable)
        -> Bool
    {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let known = dialogs.flags(did) ?? .cancelled
        guard !known.contains(.cancelled) else { return false }
        facts.begin()
        facts.raise(flags.union(.cancelled))
        learn(did, dialogs: &dialogs)
        return true
    }
}
