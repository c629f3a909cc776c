// DialogField is a part of a dialog by the name that Kamailio's `$dlg(…)` has for it, read from the record where it
// lies. Numbers and texts are the module's: states 1 to 5, the socket as `udp:192.0.2.1:5060`, times in Unix seconds.
//
// What a record does not hold is as the module has it absent: `ref` is 1, a tag or contact that nobody has told is
// null. Times come from the home's clock and the record's own: the same on every node.

public import Primitives
internal import SIP

/// What a field is: null is `nil`.
public enum DialogFieldValue: Hashable, Sendable {
    case number(Int)
    case text([UInt8])
}

public enum DialogField: String, CaseIterable, Sendable {
    case reference = "ref"
    case identifier = "h_id"
    case entry = "h_entry"
    case state
    case dialogFlags = "dflags"
    case scriptFlags = "sflags"
    case callID = "callid"
    case timeoutRoute = "toroute"
    case lifetime
    case start = "start_ts"
    case fromURI = "from_uri"
    case fromTag = "from_tag"
    case fromCSeq = "from_cseq"
    case fromRoutes = "from_rs"
    case fromContact = "from_contact"
    case fromSocket = "from_bindaddr"
    case toURI = "to_uri"
    case toTag = "to_tag"
    case toCSeq = "to_cseq"
    case toRoutes = "to_rs"
    case toContact = "to_contact"
    case toSocket = "to_bindaddr"
}

extension DialogID {
    /// What the module calls `h_id`: 31 bits, which every tool takes for a positive number.
    public var moduleIdentifier: Int { Int(rawValue >> 32 & 0x7fff_ffff) }
}

extension DialogTable {
    /// A field of a dialog; `nil` where it has no such thing, or is not here.
    /// - Parameter defaultLifetime: Seconds, of a dialog that was given none.
    public func value(of field: DialogField, _ did: DialogID, defaultLifetime: Int) -> DialogFieldValue? {
        switch field {
        case .identifier: contains(did) ? .number(did.moduleIdentifier) : nil
        case .entry: contains(did) ? .number(bucket(of: did)) : nil
        default: view(did) { view, bytes in view.value(of: field, in: bytes, defaultLifetime) } ?? nil
        }
    }

    /// Whole seconds since the answer; 0 while there is none.
    public func secondsSinceAnswer(_ did: DialogID, now: Instant) -> Int? {
        guard let age = age(did, now: now) else { return nil }
        let answered = view(did) { view, bytes in view.times(in: bytes).answeredMilliseconds } ?? 0
        return answered > 0 ? max(0, Int(age.wholeMilliseconds - Int64(clamping: answered)) / 1_000) : 0
    }

    /// The dialog that the module's `h_entry` and `h_id` name; `nil` where they name none, or two.
    public func did(entry: Int, identifier: Int) -> DialogID? {
        guard 0..<bucketCount ~= entry else { return nil }
        let found = dids(inBucket: entry).filter { $0.moduleIdentifier == identifier && state($0) != .deleted }
        return found.count == 1 ? found[0] : nil
    }
}

extension RecordView {
    fileprivate func value(of field: DialogField, in bytes: [UInt8], _ defaultLifetime: Int) -> DialogFieldValue? {
        switch field {
        case .reference: return .number(1)
        case .state: return .number(Int(state.rawValue))
        case .dialogFlags: return .number(flags.moduleBits)
        case .scriptFlags: return .number(Int(scriptFlags(in: bytes)))
        case .callID: return text(callID, bytes)
        case .timeoutRoute: return word(.timeoutRoute, in: bytes).map { .text($0) }
        case .lifetime:
            let known = (deadline?.lifetimeMilliseconds ?? 0) / 1_000
            return .number(known > 0 ? Int(clamping: known) : defaultLifetime)
        case .start:
            let times = times(in: bytes)
            guard times.answeredMilliseconds > 0 else { return .number(0) }
            return .number(Int(clamping: (times.bornUnixMilliseconds &+ times.answeredMilliseconds) / 1_000))
        case .fromURI: return uri(from, bytes)
        case .fromTag: return text(fromTag, bytes)
        case .fromCSeq, .fromRoutes, .fromContact, .fromSocket: return value(of: field, caller, bytes)
        case .toURI: return uri(to, bytes)
        case .toTag: return mainOut(in: bytes).flatMap { text($0.toTag, bytes) }
        case .toCSeq, .toRoutes, .toContact, .toSocket:
            return mainOut(in: bytes).flatMap { value(of: field, $0.side, bytes) }
        case .identifier, .entry: return nil
        }
    }

    private func value(of field: DialogField, _ side: Side, _ bytes: [UInt8]) -> DialogFieldValue? {
        switch field {
        case .fromCSeq, .toCSeq: .text(Array(String(side.cseq).utf8))
        case .fromRoutes, .toRoutes: text(side.routes, bytes)
        case .fromContact, .toContact: text(side.contact, bytes)
        default: socket(side, bytes).map { .text($0) }
        }
    }

    /// `udp:host:port`, by which the home speaks with a side.
    func socket(_ side: Side, _ bytes: [UInt8]) -> [UInt8]? {
        let name = side.sentBy.isEmpty ? homeParts(in: bytes).sentBy : side.sentBy
        guard !name.isEmpty, let endpoint = Endpoint(fact: Array(bytes[side.endpoint.range])) else { return nil }
        return [UInt8](copying: endpoint.transport.lowercasedName) + [0x3A] + Array(bytes[name.range])
    }

    private func text(_ range: ByteRange, _ bytes: [UInt8]) -> DialogFieldValue? {
        range.isEmpty ? nil : .text(Array(bytes[range.range]))
    }

    private func uri(_ value: ByteRange, _ bytes: [UInt8]) -> DialogFieldValue? {
        (try? NameAddress(bytes, value)).flatMap { text($0.uri, bytes) }
    }
}

extension RecordFlags {
    /// The bits that `dflags` of the module has for what a record tells: HASBYE 2, CALLERBYE 4, CALLEEBYE 5, EXPIRED
    /// 10.
    public var moduleBits: Int {
        var bits = 0
        if contains(.byeFromCaller) { bits |= 1 << 2 | 1 << 4 }
        if contains(.byeFromCallee) { bits |= 1 << 2 | 1 << 5 }
        if contains(.timedOut) { bits |= 1 << 10 }
        return bits
    }
}
