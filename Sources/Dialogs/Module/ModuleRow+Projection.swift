// A record becomes a row.

internal import Primitives
internal import SIP

extension ModuleProjection {
    /// When a dialog was born and when its time is up, Unix milliseconds.
    public struct Times: Equatable, Sendable {
        public var born: Int64
        /// `nil` without a deadline.
        public var ends: Int64?

        public init(born: Int64, ends: Int64?) { (self.born, self.ends) = (born, ends) }
    }

    /// - Parameters:
    ///   - bytes: The canonical record.
    ///   - size: The module's `hash_size`.
    ///   - allCallees: Whether the row has further callees, too.
    public init(_ did: DialogID, _ bytes: [UInt8], _ times: Times, size: Int, allCallees: Bool = false) {
        let view = RecordView(bytes, ByteRange(bytes))
        guard !view.callID.isEmpty else {
            self = .unreadable
            return
        }
        let callID = Array(bytes[view.callID.range])
        let key = ModuleRow.Key(
            entry: ModuleRow.entry(of: callID, size: size), identifier: Int64(did.moduleIdentifier),
            callID: ColumnText.text(callID))
        // As the module: nothing of what has no answer yet, or is over.
        guard view.state >= .early, view.state != .deleted, let out = view.mainOut(in: bytes) else {
            self = .none(key)
            return
        }
        var text = ColumnText(bytes)
        var row = ModuleRow(key: key)
        text.take(view.callID, ModuleRow.Width.callID, isWhole: true)
        row.caller = text.side(view.caller, uri: view.from, tag: view.fromTag, in: view)
        row.callee = text.side(out.side, uri: out.to.isEmpty ? view.to : out.to, tag: out.toTag, in: view)
        if allCallees { row.others = text.others(view, but: out) }
        row.inviteCSeq = String(view.inviteCSeq)
        row.requestURI = text.take(view.requestURI, ModuleRow.Width.uri)
        row.state = Int64(view.state.rawValue)
        let answered = view.times(in: bytes).answeredMilliseconds
        row.startTime = Self.seconds(times.born.addingReportingOverflow(Int64(clamping: answered)).partialValue)
        row.timeout = times.ends.map(Self.seconds) ?? 0
        row.scriptFlags = Int64(Int32(bitPattern: view.scriptFlags(in: bytes)))
        row.flags = Self.flags(view, bytes)
        row.timeoutRoute = view.word(.timeoutRoute, in: bytes).map { text.take($0, ModuleRow.Width.route) }
        let links = ModuleLinks.text(of: view, in: bytes, limit: ModuleRow.Width.extra)
        row.extra = links.text
        row.variables = text.variables(view)
        self = text.isTooLong ? .tooLong(key) : .row(row, cut: text.cut + links.leftOut)
    }

    /// Databases have 31 bits.
    private static func seconds(_ milliseconds: Int64) -> Int64 {
        min(max(milliseconds / 1_000, 0), Int64(Int32.max))
    }

    private static func flags(_ view: RecordView, _ bytes: [UInt8]) -> ModuleRow.Flags {
        var flags: ModuleRow.Flags = .endsWithBye
        if view.property(.keepAliveToCaller, in: bytes) ?? view.flags.contains(.keepAliveToCaller) {
            flags.insert(.keepAliveToCaller)
        }
        if view.property(.keepAliveToCallee, in: bytes) ?? view.flags.contains(.keepAliveToCallee) {
            flags.insert(.keepAliveToCallee)
        }
        if view.property(.keepsDeadline, in: bytes) ?? false { flags.insert(.keepsDeadline) }
        return flags
    }
}

/// Texts of a record as a column takes them: characters, none of them NUL, no more than fit.
private struct ColumnText {
    let bytes: [UInt8]
    private(set) var cut = 0
    /// One that may not be cut did not fit.
    private(set) var isTooLong = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// A database refuses a statement that has NUL, or what is not UTF-8.
    static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).replacing("\0", with: "\u{FFFD}")
    }

    @discardableResult
    mutating func take(_ range: ByteRange, _ width: Int, isWhole: Bool = false) -> String {
        take(Array(bytes[range.range]), width, isWhole: isWhole)
    }

    mutating func take(_ bytes: [UInt8], _ width: Int, isWhole: Bool = false) -> String {
        let text = Self.text(bytes)
        guard text.utf8.count > width, text.unicodeScalars.count > width else { return text }
        if isWhole { isTooLong = true } else { cut += 1 }
        var kept = ""
        kept.unicodeScalars.append(contentsOf: text.unicodeScalars.prefix(width))
        return kept
    }

    mutating func side(_ side: RecordView.Side, uri: ByteRange, tag: ByteRange, in view: RecordView) -> ModuleRow.Side {
        var row = ModuleRow.Side()
        if let address = try? NameAddress(bytes, uri) { row.uri = take(address.uri, ModuleRow.Width.uri) }
        row.tag = take(tag, ModuleRow.Width.tag, isWhole: true)
        row.cSeq = String(side.cseq)
        row.routes = take(side.routes, ModuleRow.Width.routes, isWhole: true)
        row.contact = take(side.contact, ModuleRow.Width.contact, isWhole: true)
        row.socket = take(view.socket(side, bytes) ?? [], ModuleRow.Width.socket)
        return row
    }

    /// Callees that are as far as the main one. One whose texts do not fit is left out, and counts as cut.
    mutating func others(_ view: RecordView, but main: RecordView.Out) -> [ModuleRow.Side] {
        var outs: [RecordView.Out] = []
        view.forEachOut(in: bytes) { out in
            guard out.toTag != main.toTag, let state = out.state, state != .deleted else { return }
            if (state >= .confirmedNotAcknowledged) == (view.state >= .confirmedNotAcknowledged) { outs.append(out) }
        }
        return outs.compactMap { out in
            var own = ColumnText(bytes)
            let row = own.side(out.side, uri: out.to.isEmpty ? view.to : out.to, tag: out.toTag, in: view)
            cut += own.isTooLong ? 1 : own.cut
            return own.isTooLong ? nil : row
        }
    }

    mutating func variables(_ view: RecordView) -> [ModuleRow.Variable] {
        var pairs: [(name: [UInt8], value: [UInt8])] = []
        view.forEachVariable(in: bytes) { entry in
            guard let value = entry.value else { return }
            pairs.append((Array(bytes[entry.key.range]), Array(bytes[value.range])))
        }
        return pairs.map { pair in
            ModuleRow.Variable(
                name: take(pair.name, ModuleRow.Width.name), value: take(pair.value, ModuleRow.Width.value))
        }.sorted()
    }
}
