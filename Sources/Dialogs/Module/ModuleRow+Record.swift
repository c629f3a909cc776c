// A row becomes a record: a call that a Kamailio has answered, and that is the cluster's from now on.
//
// The record is born when the call was answered, and knows of its INVITE what the row has. Every node makes the same of
// the same row, byte for byte but for the home: so it does not matter how many of them read one database.
//
// A call that rings is not taken over: its transaction was the Kamailio's. A row that says what cannot be is refused,
// typed; whoever reads rows counts them.

internal import Primitives
internal import SIP

/// Why no dialog can be made of a row.
public enum ModuleRowError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It rings, or is over.
    case notAnswered
    case noCallID, noFromTag
    /// No row of a callee.
    case noCallee
    /// It stands where another Call-ID belongs, or another `hash_size`.
    case wrongEntry
    /// `hash_id` beyond 31 bits, or below 0.
    case wrongIdentifier
    case badTime, badURI, badContact, badRoutes, badCSeq, badExtra
    /// More variables, or longer ones, than a record has room for.
    case tooLarge

    public var description: String {
        switch self {
        case .notAnswered: "it has no answer, or is over"
        case .noCallID: "it has no Call-ID"
        case .noFromTag: "it has no tag of its caller"
        case .noCallee: "it has no row of its callee"
        case .wrongEntry: "hash_entry is not the hash of its Call-ID: ims_dialog.hash_size must be Kamailio's hash_size"
        case .wrongIdentifier: "hash_id is not a number of 31 bits"
        case .badTime: "start_time or timeout is no Unix time"
        case .badURI: "from_uri, to_uri or req_uri is no URI"
        case .badContact: "a Contact is no URI"
        case .badRoutes: "a route set is no list of routes"
        case .badCSeq: "a CSeq is no number below 2³¹"
        case .badExtra: "xdata is no JSON of profiles"
        case .tooLarge: "its variables and profiles are more than a record takes"
        }
    }
}

/// What a row makes.
public struct ModuleTakeover: Equatable, Sendable {
    public var did: DialogID
    /// The canonical record.
    public var record: [UInt8]
    public var ageMilliseconds: Int64
}

extension DialogTable {
    /// The did of a row's dialog: its upper half is `hash_id`, its bucket is `hash_entry`, so that both go on naming
    /// it; the rest is a keyed hash.
    public func did(ofModule row: ModuleRow) -> DialogID {
        var stream = hash.begin()
        for text in [row.key.callID, row.caller.tag] {
            let bytes = Array(text.utf8)
            stream.combine(bytes, ByteRange(bytes))
        }
        stream.combine(UInt64(bitPattern: row.key.entry))
        stream.combine(UInt64(bitPattern: row.key.identifier))
        let size = UInt64(bucketCount)
        // `hash_size` is a power of two.
        let low = (stream.finish() & 0xFFFF_FFFF) / size * size + UInt64(bitPattern: row.key.entry) % size
        return DialogID(rawValue: max(1, UInt64(row.key.identifier & 0x7FFF_FFFF) << 32 | low & 0xFFFF_FFFF))
    }
}

extension ModuleRow {
    /// - Parameters:
    ///   - now: Unix seconds: how long the row's times lie back.
    ///   - takes: Whether a profile is one of the configuration; others are left out, as by the module.
    public func takeover(
        _ did: DialogID, home: Record.Home, size: Int, now: Int64, takes: (ProfileLink) -> Bool
    ) throws(ModuleRowError) -> ModuleTakeover {
        try check(size: size)
        var record = Record()
        record.home = home
        try record.take(self)
        // Clocks may differ, and a row may be wrong: no dialog is younger than born.
        let age = max(0, now - startTime)
        // 0 would be no deadline: what is over ends at once.
        let end = max(1, UInt64(max(0, timeout - now + age)) * 1_000)
        var deadline = RecordView.Deadline()
        (deadline.atMilliseconds, deadline.lifetimeMilliseconds) = (end, end)
        record.deadline = deadline
        record.times.bornUnixMilliseconds = UInt64(max(0, now - age)) * 1_000
        // The first moment that is not "never".
        record.times.answeredMilliseconds = 1
        try record.stamp(self, takes: takes)
        do throws(RecordError) {
            return ModuleTakeover(did: did, record: try record.encoded(), ageMilliseconds: age * 1_000)
        } catch {
            throw .tooLarge
        }
    }

    private func check(size: Int) throws(ModuleRowError) {
        guard
            state == Int64(DialogState.confirmedNotAcknowledged.rawValue)
                || state == Int64(DialogState.confirmed.rawValue)
        else { throw .notAnswered }
        guard !key.callID.isEmpty else { throw .noCallID }
        guard !caller.tag.isEmpty else { throw .noFromTag }
        guard callee != Side() else { throw .noCallee }
        guard key.entry == Self.entry(of: Array(key.callID.utf8), size: size) else { throw .wrongEntry }
        guard 0...0x7FFF_FFFF ~= key.identifier else { throw .wrongIdentifier }
        let moments = 0...Int64(UInt32.max)
        guard moments.contains(startTime), moments.contains(timeout) else { throw .badTime }
        let sides = [caller, callee] + others
        for uri in sides.map(\.uri) { guard Self.isURI(uri) else { throw .badURI } }
        guard requestURI.isEmpty || Self.isURI(requestURI) else { throw .badURI }
        for side in sides {
            guard Self.isURI(side.contact) else { throw .badContact }
            var routes: [NameAddress] = []
            let bytes = Array(side.routes.utf8)
            guard
                bytes.isEmpty || Self.isClean(bytes) && NameAddress.append(listIn: bytes, ByteRange(bytes), to: &routes)
            else { throw .badRoutes }
        }
    }

    private static func isURI(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return !bytes.isEmpty && isClean(bytes) && (try? URI(bytes, ByteRange(bytes))) != nil
    }

    /// Nothing that would begin a line, or end one.
    private static func isClean(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}

extension Record {
    fileprivate mutating func take(_ row: ModuleRow) throws(ModuleRowError) {
        let callees = [row.callee] + row.others
        let tags = ([row.caller] + callees).map { Array($0.tag.utf8) }
        guard tags.allSatisfy({ $0.allSatisfy { $0 > 0x20 && $0 != 0x3B && $0 < 0x7F } }) else { throw .badURI }
        guard row.key.callID.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw .noCallID }
        callID = Array(row.key.callID.utf8)
        fromTag = tags[0]
        state = .confirmed
        // Its start has been told where it was.
        flags = .toldStart
        from = Array("<\(row.caller.uri)>;tag=\(row.caller.tag)".utf8)
        to = Array("<\(row.callee.uri)>".utf8)
        requestURI = Array(row.requestURI.utf8)
        caller = try Self.side(row.caller)
        inviteCSeq = max(1, caller.cseq)
        settledCaller = inviteCSeq
        for (callee, tag) in zip(callees, tags.dropFirst()) {
            // A tag names one callee.
            guard !outs.contains(where: { $0.toTag == tag }) else { continue }
            var out = Out()
            (out.toTag, out.state, out.acked) = (tag, .confirmed, inviteCSeq)
            out.side = try Self.side(callee)
            if callee.uri != row.callee.uri { out.to = Array("<\(callee.uri)>".utf8) }
            outs.append(out)
        }
    }

    private static func side(_ row: ModuleRow.Side) throws(ModuleRowError) -> Side {
        let digits = Array(row.cSeq.utf8)
        guard let cSeq = digits.isEmpty ? 0 : Text.decimal(digits, ByteRange(digits)), cSeq < 1 << 31 else {
            throw .badCSeq
        }
        var side = Side()
        (side.cseq, side.firstCSeq) = (UInt32(cSeq), UInt32(cSeq))
        side.contact = Array(row.contact.utf8)
        side.routes = Array(row.routes.utf8)
        side.endpoint = endpoint(side)
        // Whatever either side says next is newer.
        side.targetCSeq = 1
        return side
    }

    /// Where requests to a side go, if its first route, or its Contact, has an address and no name.
    private static func endpoint(_ side: Side) -> [UInt8] {
        var routes: [NameAddress] = []
        if !side.routes.isEmpty { NameAddress.append(listIn: side.routes, ByteRange(side.routes), to: &routes) }
        let bytes = routes.isEmpty ? side.contact : side.routes
        guard let uri = try? URI(bytes, routes.first?.uri ?? ByteRange(bytes)),
            let address = Address(bytes: bytes, range: uri.parameter("maddr", in: bytes) ?? uri.host)
        else { return [] }
        let transport = uri.transport(in: bytes) ?? (uri.scheme == .sips ? .tls : .udp)
        guard transport != .other else { return [] }
        var writer = ByteWriter()
        Endpoint(address: address, port: uri.port ?? transport.defaultPort, transport: transport)
            .writeFact(into: &writer)
        return writer.bytes
    }

    /// What scripts have written: by nobody, before everybody, the same on each node.
    fileprivate mutating func stamp(_ row: ModuleRow, takes: (ProfileLink) -> Bool) throws(ModuleRowError) {
        var changes: [StampedChange] = row.variables.map {
            .variable(Array($0.name.utf8), value: Array($0.value.utf8))
        }
        guard let links = row.links else { throw .badExtra }
        changes += links.filter(takes).map { .profile($0, isMember: true) }
        let bits = UInt32(truncatingIfNeeded: row.scriptFlags)
        changes += (0..<32).filter { bits & 1 << UInt32($0) != 0 }.map { .flag(UInt8($0), isSet: true) }
        for (flag, property) in Self.properties where row.flags.contains(flag) {
            changes.append(.property(property, isSet: true))
        }
        if let route = row.timeoutRoute, !route.isEmpty { changes.append(.word(.timeoutRoute, Array(route.utf8))) }
        var room = StampedRoom()
        var facts = FactsWriter()
        for change in changes {
            guard room.admits(change) else { throw .tooLarge }
            facts.write(change, Stamp(counter: 1, tag: 0))
        }
        do throws(RecordError) {
            let stamped = try Record(RawSpan(_elements: facts.bytes.span))
            (variables, profiles, attributes) = (stamped.variables, stamped.profiles, stamped.attributes)
        } catch {
            throw .tooLarge
        }
    }

    private static let properties: [(ModuleRow.Flags, DialogProperty)] = [
        (.keepAliveToCaller, .keepAliveToCaller), (.keepAliveToCallee, .keepAliveToCallee),
        (.keepsDeadline, .keepsDeadline),
    ]
}
