// Finding a dialog by what a request says (RFC 3261 §12.2), and reading it.
//
// The did in a Route is a hint: `matches` verifies it against Call-ID and tags. Without it, or when it lies, `find`
// goes by Call-ID. A request without a To-tag (a retransmitted INVITE, CANCEL) belongs to a dialog that is unconfirmed
// or early.

public import Primitives

extension DialogTable {
    /// The dialog that Call-ID and tags name, and the side that sent the request: the youngest live one, else a
    /// tombstone.
    public func find(
        callID: [UInt8], _ callIDRange: ByteRange, fromTag: [UInt8], _ fromTagRange: ByteRange, toTag: [UInt8],
        _ toTagRange: ByteRange
    ) -> (DialogID, Leg)? {
        var best: (entry: Entry, leg: Leg)?
        byCallID.forEach(hash: callIDHash(callID, callIDRange)) { index in
            guard let id = entries.id(at: index), let entry = entries[id],
                let leg = leg(entry, callID, callIDRange, fromTag, fromTagRange, toTag, toTagRange)
            else { return }
            if let known = best, !Self.isBetter(entry, than: known.entry) { return }
            best = (entry, leg)
        }
        return best.map { ($0.entry.did, $0.leg) }
    }

    private static func isBetter(_ entry: Entry, than other: Entry) -> Bool {
        let (isLive, otherIsLive) = (entry.state != .deleted, other.state != .deleted)
        if isLive != otherIsLive { return isLive }
        if entry.birth != other.birth { return entry.birth > other.birth }
        return entry.did > other.did
    }

    /// The side of dialog `did` that sent a request with this Call-ID and these tags; `nil` when it is another
    /// dialog's.
    public func matches(
        _ did: DialogID, callID: [UInt8], _ callIDRange: ByteRange, fromTag: [UInt8], _ fromTagRange: ByteRange,
        toTag: [UInt8], _ toTagRange: ByteRange
    ) -> Leg? {
        guard let id = slotID(did), let entry = entries[id] else { return nil }
        return leg(entry, callID, callIDRange, fromTag, fromTagRange, toTag, toTagRange)
    }

    private func leg(
        _ entry: Entry, _ callID: [UInt8], _ callIDRange: ByteRange, _ fromTag: [UInt8], _ fromTagRange: ByteRange,
        _ toTag: [UInt8], _ toTagRange: ByteRange
    ) -> Leg? {
        let stored = blobs.location(entry.blob)
        let span = RawSpan(_elements: stored.bytes.span)
        var names = RecordNames(span, stored.range)
        guard Text.same(stored.bytes, names.callID, callID, callIDRange) || mutated("did-unchecked") else { return nil }
        let isCaller = Text.same(stored.bytes, names.fromTag, fromTag, fromTagRange)
        let isCallee = Text.same(stored.bytes, names.fromTag, toTag, toTagRange)
        guard isCaller || isCallee else { return nil }
        if isCaller, toTagRange.isEmpty, entry.state <= .early { return .caller }
        var leg: Leg?
        while let tag = names.nextToTag(span) {
            if isCaller, Text.same(stored.bytes, tag, toTag, toTagRange) { return .caller }
            if isCallee, Text.same(stored.bytes, tag, fromTag, fromTagRange) { leg = .callee }
        }
        return leg
    }

    /// Records of one Call-ID that are looked at for one request.
    public static let attemptLimit = 16

    /// The records that INVITEs with this Call-ID, From-tag and CSeq have made, the living before the dead, the
    /// youngest first: a proxy above that tries one target after another makes several (R16).
    /// - Returns: `attemptLimit` of them at most, and whether there were more.
    public func attempts(
        callID: [UInt8], _ callIDRange: ByteRange, fromTag: [UInt8], _ fromTagRange: ByteRange, inviteCSeq: UInt32
    ) -> (dids: [DialogID], isCut: Bool) {
        var found: [Entry] = []
        var isCut = false
        _ = byCallID.first(hash: callIDHash(callID, callIDRange)) { index in
            guard let id = entries.id(at: index), let entry = entries[id] else { return false }
            let stored = blobs.location(entry.blob)
            let view = RecordView(stored.bytes, stored.range)
            guard view.inviteCSeq == inviteCSeq, Text.same(stored.bytes, view.callID, callID, callIDRange),
                Text.same(stored.bytes, view.fromTag, fromTag, fromTagRange)
            else { return false }
            isCut = found.count == Self.attemptLimit
            if !isCut { found.append(entry) }
            return isCut
        }
        return (found.sorted { Self.isBetter($0, than: $1) }.map(\.did), isCut)
    }

    /// The youngest live dialog of a Call-ID.
    public func live(callID: [UInt8]) -> DialogID? {
        var best: Entry?
        byCallID.forEach(hash: callIDHash(callID, ByteRange(callID))) { index in
            guard let id = entries.id(at: index), let entry = entries[id], entry.state != .deleted else { return }
            let stored = blobs.location(entry.blob)
            let view = RecordView(stored.bytes, stored.range)
            guard Text.same(stored.bytes, view.callID, callID, ByteRange(callID)) else { return }
            if best.map({ Self.isBetter(entry, than: $0) }) ?? true { best = entry }
        }
        return best?.did
    }

    /// The live dialog of a Call-ID whose INVITE nobody has acknowledged yet, as far as is known here; `nil` where
    /// there are several.
    public func onlyUnconfirmed(callID: [UInt8], _ callIDRange: ByteRange) -> DialogID? {
        var found: [DialogID] = []
        byCallID.forEach(hash: callIDHash(callID, callIDRange)) { index in
            guard let id = entries.id(at: index), let entry = entries[id], entry.state < .confirmed else { return }
            let stored = blobs.location(entry.blob)
            let view = RecordView(stored.bytes, stored.range)
            if Text.same(stored.bytes, view.callID, callID, callIDRange) { found.append(entry.did) }
        }
        return found.count == 1 ? found[0] : nil
    }

    /// The tags of a dialog of this Call-ID that differ from these in the case of letters only, as they are in its
    /// record: From-tag and To-tag of whoever sent these. All ranges are of one message.
    public func spelling(
        _ message: [UInt8], callID: ByteRange, fromTag: ByteRange, toTag: ByteRange
    ) -> (from: [UInt8], to: [UInt8])? {
        var found: (from: [UInt8], to: [UInt8])?
        byCallID.forEach(hash: callIDHash(message, callID)) { index in
            guard found == nil, let id = entries.id(at: index), let entry = entries[id] else { return }
            let stored = blobs.location(entry.blob)
            let span = RawSpan(_elements: stored.bytes.span)
            var names = RecordNames(span, stored.range)
            guard Text.same(stored.bytes, names.callID, message, callID) else { return }
            let caller = names.fromTag
            let isCaller = Text.sameIgnoringCase(stored.bytes, caller, message, fromTag)
            guard isCaller || Text.sameIgnoringCase(stored.bytes, caller, message, toTag) else { return }
            while let tag = names.nextToTag(span) {
                guard Text.sameIgnoringCase(stored.bytes, tag, message, isCaller ? toTag : fromTag) else { continue }
                let tags = (Array(stored.bytes[caller.range]), Array(stored.bytes[tag.range]))
                found = isCaller ? (tags.0, tags.1) : (tags.1, tags.0)
                return
            }
        }
        return found
    }

    /// Whether a dialog of this Call-ID is here.
    public func holds(callID: [UInt8]) -> Bool {
        var isHere = false
        byCallID.forEach(hash: callIDHash(callID, ByteRange(callID))) { index in
            guard let id = entries.id(at: index), let entry = entries[id], entry.state != .deleted else { return }
            let stored = blobs.location(entry.blob)
            let view = RecordView(stored.bytes, stored.range)
            if Text.same(stored.bytes, view.callID, callID, ByteRange(callID)) { isHere = true }
        }
        return isHere
    }

    // MARK: Reading

    public func slot(_ did: DialogID) -> UInt32? { slotID(did)?.index }

    public func contains(_ did: DialogID) -> Bool { slotID(did) != nil }

    /// Reads a record where it lies. The ranges of the view index the array that `body` gets, for as long as it runs.
    public func view<R>(_ did: DialogID, _ body: (RecordView, [UInt8]) -> R) -> R? {
        guard let entry = entry(did) else { return nil }
        let stored = blobs.location(entry.blob)
        return body(RecordView(stored.bytes, stored.range), stored.bytes)
    }

    /// Whether a record remembers an INVITE within its dialog that was refused, by the cluster or the other side: read
    /// without what else it has.
    public func hasRefusal(_ did: DialogID) -> Bool {
        guard let entry = entry(did) else { return false }
        let stored = blobs.location(entry.blob)
        return RecordView.hasRefusal(RawSpan(_elements: stored.bytes.span), stored.range)
    }

    /// Appends the record's bytes.
    /// - Returns: Whether it is here.
    public func write(_ did: DialogID, into out: inout ByteWriter) -> Bool {
        guard let entry = entry(did) else { return false }
        let stored = blobs.location(entry.blob)
        out.put(stored.bytes, stored.range)
        return true
    }

    public func record(_ did: DialogID) -> Record? {
        guard let entry = entry(did) else { return nil }
        let stored = blobs.location(entry.blob)
        return Record(canonical: stored.bytes, stored.range)
    }

    public func bytes(_ did: DialogID) -> [UInt8]? {
        guard let entry = entry(did) else { return nil }
        let stored = blobs.location(entry.blob)
        return Array(stored.bytes[stored.range.range])
    }

    public func state(_ did: DialogID) -> DialogState? { entry(did)?.state }

    /// Its flags: answered without a look into the record.
    public func flags(_ did: DialogID) -> RecordFlags? { entry(did)?.flags }

    /// Whether a live record has INVITEs that are not over: answered without a look into the record.
    public func isPending(_ did: DialogID) -> Bool {
        guard let entry = entry(did) else { return false }
        return entry.hasPendings && entry.state != .deleted
    }

    public func birth(_ did: DialogID) -> Instant? { entry(did)?.birth }

    public func changedAt(_ did: DialogID) -> Instant? { entry(did)?.changedAt }

    public func age(_ did: DialogID, now: Instant) -> Duration? { entry(did).map { now - $0.birth } }

    /// When the dialog's time is up; `nil` while it has no deadline, and for a tombstone.
    public func deadline(_ did: DialogID) -> Instant? {
        guard let entry = entry(did), entry.deadline != .max else { return nil }
        return entry.birth.advanced(milliseconds: Int64(clamping: entry.deadline))
    }

    func slotID(_ did: DialogID) -> SlotID? {
        let index = byDID.first(hash: did.rawValue) { index in
            guard let id = entries.id(at: index) else { return false }
            return entries.read(id) { $0.did == did } ?? false
        }
        return index.flatMap { entries.id(at: $0) }
    }

    func entry(_ did: DialogID) -> Entry? {
        slotID(did).flatMap { entries[$0] }
    }
}
