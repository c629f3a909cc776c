// What answers to other nodes' transactions teach as they pass: their owner is dead, and nobody else hears them.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Whether the caller has had a final answer to the INVITE that made the dialog, or is about to.
    func isDecided(_ cSeq: UInt32, _ record: Record) -> Bool {
        cSeq == record.inviteCSeq && (record.state ?? .unconfirmed) >= .confirmedNotAcknowledged
            && Text.same(record.fromTag, ByteRange(record.fromTag), message.bytes, message.fromTag)
    }

    /// A dead node's branch has failed after another was answered, or after an heir has spoken: nothing of that is for
    /// the caller. The phone repeats it until it is acknowledged (RFC 3261 §17.1.1.3).
    mutating func failLate(
        _ did: DialogID, _ via: Via, _ record: Record, from source: Endpoint, dialogs: inout DialogTable
    ) {
        counters.foreignAbsorbed += 1
        acknowledgeLate(via, record, to: source)
        guard record.state != .deleted else { return }
        let (bytes, tag) = (message.bytes, message.toTag)
        facts.begin()
        if let out = record.out(toTag: message.copy(tag)), (out.state ?? .unconfirmed) < .confirmedNotAcknowledged {
            facts.out(bytes, tag) { $0.reach(.deleted) }
        }
        facts.pending(.caller, cSeq: record.inviteCSeq, bytes, via.branch) { $0.mark(.final) }
        learn(did, dialogs: &dialogs)
    }

    private mutating func acknowledgeLate(_ via: Via, _ record: Record, to source: Endpoint) {
        guard source != .none, !neighbours.isPeerAddress(source) else { return }
        let out = record.out(toTag: message.copy(message.toTag))
        let requestURI = out.map(\.side.contact).flatMap { $0.isEmpty ? nil : $0 } ?? record.requestURI
        var invite = ByteWriter(capacity: 512)
        invite.put("INVITE ")
        invite.put(requestURI)
        invite.put(" SIP/2.0\r\nVia: SIP/2.0/")
        invite.put(via.transport.name)
        invite.put(0x20)
        invite.put(message.bytes, via.sentBy)
        invite.put(";branch=")
        invite.put(message.bytes, via.branch)
        invite.put(";rport\r\nFrom: ")
        invite.put(record.from)
        invite.put("\r\nTo: ")
        invite.put(record.to)
        invite.put("\r\nCall-ID: ")
        invite.put(record.callID)
        invite.put("\r\nCSeq: ")
        invite.putDecimal(UInt64(record.inviteCSeq))
        invite.put(" INVITE\r\n\r\n")
        guard loadStored(invite.bytes) else { return }
        effects.queue.send(to: source, from: egressListener(source)) {
            [hops = settings.maxForwards, stored, message] writer in
            AckWriter.write(invite: stored, response: message, maxForwards: hops, into: &writer)
        }
    }

    /// The 2xx of a dead node's INVITE passes by, and the record knows only of another copy of that INVITE, or of an
    /// answer by another callee: the dialog is confirmed all the same, and whoever waits for an answer to the other
    /// copy need wait no longer.
    /// - Returns: Whether it was such a 2xx.
    mutating func learnPassingConfirmation(
        _ did: DialogID, _ cSeq: CSeq, _ via: Via, _ spiral: SpiralPass, dialogs: inout DialogTable
    ) -> Bool {
        guard cSeq.method == .invite, let state = dialogs.state(did), state != .deleted,
            dialogs.view(did, { isUnknownAnswer(cSeq.number, spiral, $0, $1) }) ?? false
        else { return false }
        var context = ResponseContext()
        context.did = did
        context.cSeq = cSeq.number
        context.isInitial = true
        context.pass = spiral
        let answer = responseWithoutVia(via, from: .none, to: .none)
        let kept = message.snapshot()
        facts.begin()
        writeOut(context, 0, state: .confirmedNotAcknowledged, answer: spiral.isFirst ? answer : nil)
        if spiral.isFirst {
            facts.reach(.confirmedNotAcknowledged)
            writeDeadline(did, sessionWord(cSeq.method), calleeTag: message.toTag, dialogs: dialogs)
        }
        facts.pending(.caller, cSeq: cSeq.number, message.bytes, via.branch) { $0.mark(.final) }
        learn(did, dialogs: &dialogs)
        // An heir that repeats this 2xx from now on does not say it before it is committed: the copy at hand is held.
        holdsAnswer = true
        review(did, dialogs: &dialogs)
        holdsAnswer = false
        _ = loadMessage(kept)
        return true
    }

    /// The message at hand answers the INVITE that made the dialog, and its dialog-out is not known to be answered.
    private func isUnknownAnswer(
        _ cSeq: UInt32, _ spiral: SpiralPass, _ view: RecordView, _ stored: [UInt8]
    ) -> Bool {
        guard view.inviteCSeq == cSeq else { return false }
        if view.state < .confirmedNotAcknowledged, spiral.isFirst { return true }
        let bytes = message.bytes
        let known = view.out(toTag: bytes, message.toTag, in: stored)?.state ?? .unconfirmed
        return known < .confirmedNotAcknowledged && Text.same(stored, view.fromTag, bytes, message.fromTag)
    }

    /// A 2xx of a dead node's transaction passes by: that both sides live is worth the refresh, and the Contact of who
    /// sent it is news.
    /// - Returns: Whether it moves the deadline, and so must be committed before it is sent on.
    mutating func learnPassingSuccess(_ did: DialogID, _ cSeq: CSeq, dialogs: inout DialogTable) -> Bool {
        let bytes = message.bytes
        guard let state = dialogs.state(did), state != .deleted,
            let sender = leg(of: did, from: .none, dialogs: dialogs)
                ?? legOfUnansweredDialog(did, dialogs: dialogs)
        else { return false }
        let isInitial = dialogs.view(did) { view, _ in sender == .caller && view.inviteCSeq == cSeq.number } ?? false
        let confirms = cSeq.method == .invite && !isInitial && state < .confirmed
        guard confirms || state >= .confirmedNotAcknowledged else { return false }
        let calleeTag = sender == .caller ? message.toTag : message.fromTag
        let record = dialogs.record(did)
        let known = (caller: record?.caller, callee: record.flatMap { out(of: $0, calleeTag)?.side })
        let turn = Self.turn(of: cSeq.number, by: sender, beside: known.caller, known.callee)
        let contact = [.invite, .update].contains(cSeq.method) ? contactURI() : nil
        let routes = (sender == .caller ? known.callee : known.caller)?.routes ?? []
        func writeSide(_ side: inout SideFacts) {
            guard let contact else { return }
            side.target(cSeq: turn) { target in
                target.put(.contact, bytes, contact)
                if !routes.isEmpty { target.put(.routes, routes) }
            }
        }
        let callee = nameOfCallee(did, calleeTag, leg: sender, dialogs: dialogs)
        facts.begin()
        if confirms { facts.reach(.confirmed) }
        let livesOn = writeDeadline(did, sessionWord(cSeq.method), calleeTag: calleeTag, dialogs: dialogs)
        if sender == .callee { facts.caller { writeSide(&$0) } }
        facts.out(bytes, calleeTag) { out in
            if confirms { out.reach(.confirmed) }
            if sender == .caller { out.side { writeSide(&$0) } }
            if let callee { out.put(.to, bytes, callee) }
        }
        guard let learned = learn(did, dialogs: &dialogs) else { return false }
        if learned.deadlineChanged { return true }
        guard livesOn, neighbours.commits else { return false }
        effects.items.append(.put(did))  // As in `learnSuccess`.
        return true
    }
}
