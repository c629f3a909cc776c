// Registration is what one REGISTER makes of the record of its address (RFC 3261 §10.3 steps 6 and 7): the entries to
// be joined and published, all of them or none, and what has become of the contact that it named last.
//
//     request, record as it is, rules ──▶ entries ──▶ joined here, published ──▶ 200 with the contacts that are there
//
// Limits: `RegistrarRules.maxContacts` and those of `LocationRecord` an address.

package import Dialogs
package import Primitives
internal import SIP

/// What a registrar takes.
package struct RegistrarRules: Equatable, Sendable {
    /// Seconds, of a contact that names no time; the least and the most that one gets.
    package var defaultExpires = 3_600
    package var minExpires = 60
    package var maxExpires = 7_200
    /// Contacts of an address.
    package var maxContacts = 10
    /// A time below the least is refused (423), not lengthened: RFC 3261 leaves the choice.
    package var refusesBrief = true
    /// The contact takes the place of all others, and there is no limit but one.
    package var keepsOne = false
    /// Thousandths that every contact gets in the place of its own.
    package var q: UInt32?

    package init() {}

    func lifetime(_ asked: UInt32?) throws(RegistrarRefusal) -> Int {
        guard let asked else { return min(defaultExpires, maxExpires) }
        guard asked > 0 else { return 0 }
        // Only what is below an hour may be refused (RFC 3261 §10.3 step 7).
        if refusesBrief, asked < minExpires, asked < 3_600 { throw .intervalTooBrief(leastSeconds: minExpires) }
        return min(max(Int(clamping: asked), minExpires), maxExpires)
    }
}

package struct Registration: Sendable {
    /// The numbers are those of Kamailio's `save`.
    package enum Outcome: Int, Sendable { case inserted = 1, updated, deleted, returned }

    package private(set) var news: LocationRecord
    package private(set) var outcome = Outcome.inserted

    /// - Parameters:
    ///   - known: The record as it is, or an empty one of that name.
    ///   - base: What all of its bindings share: the stamp, and what is known of the sender.
    package init(
        _ request: RegisterRequest, of known: LocationRecord, from base: Binding, _ rules: RegistrarRules, now: Instant
    ) throws(RegistrarRefusal) {
        news = LocationRecord(aor: known.aor)
        var base = base
        (base.callID, base.cSeq, base.path) = (request.callID, request.cSeq, request.path)
        (base.userAgent, base.methods) = (request.userAgent, request.methods)
        let writer = Writer(known: known, base: base, longest: rules.maxExpires, now: now)
        let live = known.live(at: now)
        var reached = Set(live.map(\.key))
        for contact in request.contacts {
            let seconds = try rules.lifetime(contact.expires ?? request.expires)
            guard try Self.admits(contact.key, request, known) else {
                if rules.keepsOne, seconds > 0 { break }
                continue
            }
            guard seconds > 0 else {
                // Where it is not known it may be elsewhere: with a peer that this node cannot hear, or has not heard.
                news.add(writer.entry(contact, seconds: 0, nil))
                if reached.remove(contact.key) != nil { outcome = .deleted }
                continue
            }
            outcome = reached.insert(contact.key).inserted ? .inserted : .updated
            news.add(writer.entry(contact, seconds: seconds, rules.q))
            guard rules.keepsOne else { continue }
            for other in live where other.key != contact.key { news.add(writer.removal(of: other)) }
            reached = [contact.key]
            break
        }
        if request.contacts.isEmpty { outcome = request.removesAll ? .deleted : .returned }
        if request.removesAll {
            for entry in live where try Self.admits(entry.key, request, known) { news.add(writer.removal(of: entry)) }
            // And what others know: they have it, or will have it, and this node may never have heard of it.
            if try Self.admits(StoredBinding.everything, request, known) { news.add(writer.sweep()) }
        }
        try checkRoom(known, contacts: reached.count, rules, now: now)
    }

    /// Whether an entry may be written over what the same Call-ID has said of the contact before.
    /// - Returns: False for a copy of a request that another node has answered.
    private static func admits(
        _ key: [UInt8], _ request: RegisterRequest, _ known: LocationRecord
    ) throws(RegistrarRefusal) -> Bool {
        let before = known.entries.first { $0.key == key && $0.callID == request.callID }
        guard let before, before.cSeq >= request.cSeq else { return true }
        if before.cSeq > request.cSeq { throw .outOfOrder }
        return false
    }

    private func checkRoom(
        _ known: LocationRecord, contacts: Int, _ rules: RegistrarRules, now: Instant
    ) throws(RegistrarRefusal) {
        guard contacts <= rules.maxContacts || news.entries.allSatisfy(\.isGone) else { throw .tooMany }
        let isRoom = known.byteCount + news.byteCount <= LocationRecord.byteLimit
        guard isRoom || news.entries.allSatisfy({ $0.isRemoval(in: known, now: now) }) else { throw .tooMany }
        guard news.entries.allSatisfy({ $0.bytes.count <= Binding.limit }) else { throw .malformed }
    }

    /// Makes entries of one REGISTER.
    private struct Writer {
        let known: LocationRecord
        let base: Binding
        /// Seconds that a contact which is not known here may last.
        let longest: Int
        let now: Instant

        func entry(_ contact: RegisterRequest.Contact, seconds: Int, _ q: UInt32?) -> StoredBinding {
            var binding = base
            (binding.key, binding.contact, binding.q) = (contact.key, contact.uri, q ?? contact.q)
            (binding.instance, binding.registrationID) = (contact.instance, contact.registrationID)
            (binding.isGone, binding.lifetimeSeconds) = (seconds == 0, UInt32(seconds))
            let until = now.advanced(by: .seconds(seconds))
            let kept =
                seconds > 0
                ? known.lastTrace(of: contact.key) ?? until
                : known.lastTrace(ofRemoved: contact.key, unknown: longest, now: now)
            return StoredBinding(binding, expiresAt: until, keptUntil: kept)
        }

        func sweep() -> StoredBinding {
            var binding = base
            (binding.key, binding.contact) = (StoredBinding.everything, StoredBinding.everything)
            (binding.isGone, binding.lifetimeSeconds) = (true, 0)
            let kept = known.entries.map(\.keptUntil).max() ?? now
            return StoredBinding(
                binding, expiresAt: now, keptUntil: max(kept, now.advanced(by: .seconds(longest))))
        }

        func removal(of entry: StoredBinding) -> StoredBinding {
            var binding = entry.binding
            (binding.callID, binding.cSeq, binding.stamp) = (base.callID, base.cSeq, base.stamp)
            (binding.path, binding.userAgent, binding.methods) = (base.path, base.userAgent, base.methods)
            (binding.isGone, binding.lifetimeSeconds) = (true, 0)
            let kept = known.lastTrace(ofRemoved: entry.key, unknown: longest, now: now)
            return StoredBinding(binding, expiresAt: now, keptUntil: kept)
        }
    }
}

extension StoredBinding {
    /// Whether it takes back what is there, or stands in the place of an entry: however full a record is, that goes in.
    fileprivate func isRemoval(in known: LocationRecord, now: Instant) -> Bool {
        isSweep || isGone && known.entries.contains { $0.key == key && ($0.callID == callID || $0.isLive(at: now)) }
    }
}

extension LocationRecord {
    /// Until when something may be somewhere of a contact that is taken back now. Of one that is here, a renewal that
    /// is not known here may last as long again; one that is not here, so many seconds.
    fileprivate func lastTrace(ofRemoved key: [UInt8], unknown seconds: Int, now: Instant) -> Instant {
        let lifetimes = entries.lazy.filter { $0.key == key && $0.isLive(at: now) }
            .map { Int($0.binding.lifetimeSeconds) }
        let renewed = now.advanced(by: .seconds(lifetimes.max() ?? seconds))
        return max(renewed, lastTrace(of: key) ?? renewed)
    }

    /// What takes contacts back, all or those that are meant: entries to be joined.
    package func removals(
        stamp: Stamp, now: Instant, where isMeant: (StoredBinding) -> Bool = { _ in true }
    ) -> LocationRecord {
        var news = LocationRecord(aor: aor)
        for entry in live(at: now) where isMeant(entry) {
            var binding = entry.binding
            let kept = lastTrace(ofRemoved: entry.key, unknown: Int(binding.lifetimeSeconds), now: now)
            (binding.isGone, binding.stamp, binding.lifetimeSeconds) = (true, stamp, 0)
            news.add(StoredBinding(binding, expiresAt: now, keptUntil: kept))
        }
        return news
    }

    /// The same entries under another stamp; those that are not gone have the connection, where there is one.
    package func stamped(_ stamp: Stamp, flow: [UInt8]) -> LocationRecord {
        var news = LocationRecord(aor: aor)
        for entry in entries {
            var binding = entry.binding
            binding.stamp = stamp
            if !flow.isEmpty, !binding.isGone { binding.flow = flow }
            news.add(StoredBinding(binding, expiresAt: entry.expiresAt, keptUntil: entry.keptUntil))
        }
        return news
    }

    /// The header lines of the 200 to a REGISTER: the contacts that are there, and what it came by.
    package func answerLines(to request: RegisterRequest, now: Instant) -> [UInt8] {
        var lines = ByteWriter(capacity: 512)
        for contact in live(at: now) { Self.write(contact, now: now, into: &lines) }
        if !request.path.isEmpty {
            lines.put("Path: ")
            lines.put(request.path)
            lines.put("\r\n")
        }
        if request.usesOutbound { lines.put("Require: outbound\r\n") }
        return lines.bytes
    }

    private static func write(_ stored: StoredBinding, now: Instant, into lines: inout ByteWriter) {
        let binding = stored.binding
        lines.put("Contact: <")
        lines.put(binding.contact)
        lines.put(">;expires=")
        lines.putDecimal(UInt64(max(1, (stored.expiresAt.milliseconds(since: now) + 999) / 1_000)))
        if binding.q < 1_000 { lines.put(text: ";q=0.\(String(String(1_000 + binding.q).dropFirst()))") }
        if !binding.instance.isEmpty {
            lines.put(";+sip.instance=\"")
            lines.put(binding.instance)
            lines.put("\"")
        }
        if binding.registrationID > 0 {
            lines.put(";reg-id=")
            lines.putDecimal(UInt64(binding.registrationID))
        }
        lines.put("\r\n")
    }
}
