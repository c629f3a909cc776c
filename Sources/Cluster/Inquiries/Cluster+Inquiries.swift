// Inquiries on the bus: an operator asks one node, and it asks the others over the repair socket, because their
// management may be closed to everybody but their own hosts.
//
//   operator ─▶ inquire ─▶ lane to the member ═request: Inquiry═▶ hear ─▶ `.inquiry` ─▶ the shell works on it
//                  ▲                           ◀═reply: InquiryPart═  parts ◀── answer ◀──┘
//                  └── `.inquired` ◀── all parts, or why not
//
// With a cluster key every inquiry, and every part of an answer, carries a code that only its holders can make, and an
// inquiry a number that is taken once; which questions are answered at all is the shell's to say.

package import Primitives

extension Cluster {
    // MARK: Asking

    /// Asks a member; ends in exactly one `.inquired` with this token.
    package mutating func inquire(
        of name: String, _ text: [UInt8], token: UInt64, now: Instant, out: inout ClusterActions
    ) {
        func end(_ outcome: InquiryOutcome) { out.append(.inquired(token: token, outcome)) }
        guard let at = place(of: name) else { return end(.unknownMember) }
        guard peers[at].verdict == .heard else { return end(.notHeard) }
        guard peers[at].index != nil else { return end(.notListed) }
        guard text.count <= InquiryMessage.textLimit else { return end(.tooLong) }
        guard inquiries.begin(text, to: peers[at].id, token: token, now: now) else {
            counters.inquiriesLeftOut += 1
            return end(.tooMany)
        }
        counters.inquiriesOut += 1
    }

    /// When the inquiry that a peer is to be asked next is to be sent; `nil` without one.
    func inquiryDue(ofPeer at: Int) -> Instant? {
        inquiries.isEmpty ? nil : inquiries.first(to: peers[at].id)?.notBefore
    }

    /// Writes the inquiry that is due.
    /// - Returns: Its number.
    func writeInquiry(to peer: Peer, now: Instant, into writer: inout ByteWriter) -> UInt64? {
        guard let due = inquiries.first(to: peer.id), due.notBefore <= now else { return nil }
        var message = InquiryMessage()
        message.number = due.number
        message.boot = peer.boot
        message.offset = UInt64(due.received.count)
        message.text = due.text
        if let authenticator { message.code = authenticator.code(of: message, from: localMember, to: peer.name) }
        writer.put(EntryKind.inquiry.rawValue)
        writer.putLengthDelimited { message.write(into: &$0) }
        return due.number
    }

    /// A reply came to the request that held an inquiry.
    /// - Parameter part: `nil` when there was none in it.
    mutating func take(
        _ part: InquiryPart?, _ bytes: [UInt8], to number: UInt64, of sender: MemberID, now: Instant,
        out: inout ClusterActions
    ) {
        guard let open = inquiries[number], open.to == sender else { return }
        guard let part, part.number == number else { return endInquiry(number, .notUnderstood, &out) }
        switch part.state {
        case .pending: inquiries.putOff(number, now: now)
        case .refused: endInquiry(number, .refused, &out)
        case .tooLong: endInquiry(number, .tooLong, &out)
        case .part:
            if settings.requiresCodes {
                let isProven = authenticator?.accepts(part, bytes[part.part], by: sender, to: localMember) ?? false
                guard isProven else {
                    counters.inquiriesForged += 1
                    noteOnce("answer \(sender.name)", .answerForged(sender), &out)
                    return endInquiry(number, .forged, &out)
                }
            }
            if let outcome = inquiries.take(part, bytes[part.part], now: now) { endInquiry(number, outcome, &out) }
        }
    }

    private mutating func endInquiry(_ number: UInt64, _ outcome: InquiryOutcome, _ out: inout ClusterActions) {
        guard let open = inquiries[number] else { return }
        inquiries.end(number)
        if outcome == .silent { counters.inquiriesUnanswered += 1 }
        out.append(.inquired(token: open.token, outcome))
    }

    /// Ends what cannot be answered any more.
    mutating func advanceInquiries(_ now: Instant, _ out: inout ClusterActions) {
        for open in inquiries.open {
            let isHeard = position(of: open.to).map { peers[$0].verdict == .heard } ?? false
            if !isHeard {
                endInquiry(open.number, .notHeard, &out)
            } else if now >= open.until {
                endInquiry(open.number, .silent, &out)
            }
        }
    }

    /// Forgets answers that nobody fetches; looked at with each heartbeat.
    mutating func forgetInquiries(_ now: Instant) {
        for index in peers.indices {
            if let heard = peers[index].inquiry, now >= heard.until { peers[index].inquiry = nil }
        }
    }

    // MARK: Answering

    /// A member asks. What it may not ask, or asks again, becomes nothing; `writePart` tells it.
    mutating func hear(_ message: InquiryMessage, from at: Int, now: Instant, out: inout ClusterActions) {
        let asker = peers[at].id
        guard message.boot == localMember.boot else { return counters.inquiriesRefused += 1 }
        if settings.requiresCodes {
            guard let authenticator, authenticator.accepts(message, from: asker, to: localMember.name) else {
                counters.inquiriesRefused += 1
                return noteOnce("inquiry \(asker.name)", .inquiryRefused(asker), &out)
            }
        }
        if let current = peers[at].inquiry {
            if current.number == message.number {
                peers[at].inquiry?.until = now.advanced(by: HeardInquiry.life)
                return
            }
            // One of each member at a time: the next is heard when it asks again.
            if current.isPending(now), message.number > current.number { return }
        }
        guard inquiryLedger.take(message.number, of: asker) else { return counters.inquiriesRefused += 1 }
        counters.inquiriesIn += 1
        peers[at].inquiry = HeardInquiry(number: message.number, until: now.advanced(by: HeardInquiry.life))
        out.append(.inquiry(InquiryID(asker: asker, number: message.number), message.text))
    }

    /// The answer to an inquiry; it is fetched by whoever asked. One that was forgotten takes none.
    package mutating func answer(_ id: InquiryID, with bytes: [UInt8], now: Instant) {
        guard let at = position(of: id.asker), peers[at].inquiry?.number == id.number else { return }
        guard bytes.count <= InquiryTable.answerLimit else {
            counters.inquiriesTooLong += 1
            peers[at].inquiry?.isTooLong = true
            return
        }
        peers[at].inquiry?.answer = bytes
        peers[at].inquiry?.until = now.advanced(by: HeardInquiry.life)
    }

    /// Writes what there is for an inquiry, as far as the reply has room.
    func writePart(
        to message: InquiryMessage, from asker: MemberID, now: Instant, into writer: inout ByteWriter, room: Int
    ) {
        let heard = position(of: asker).flatMap { peers[$0].inquiry }
        var part = InquiryPart(number: message.number, state: .refused)
        var bytes: ArraySlice<UInt8> = []
        if let heard, heard.number == message.number {
            if heard.isTooLong {
                part.state = .tooLong
            } else if let answer = heard.answer {
                part.state = .part
                part.total = UInt64(answer.count)
                part.offset = min(message.offset, part.total)
                bytes = answer[Int(part.offset)...].prefix(max(0, min(InquiryPart.sizeLimit, room)))
            } else {
                part.state = .pending
            }
        } else if let heard, heard.isPending(now), message.number > heard.number {
            part.state = .pending
        }
        if part.state == .part, let authenticator {
            part.code = authenticator.code(of: part, bytes, by: localMember, to: asker)
        }
        writer.put(EntryKind.inquiryPart.rawValue)
        writer.putLengthDelimited { part.write(bytes, into: &$0) }
    }
}
