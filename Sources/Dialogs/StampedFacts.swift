// The facts that scripts, operators and routes write of a dialog. Unlike what messages teach, they may be taken back,
// so each has a stamp: of two writes of one key the one with the larger stamp stays, and a removal is an entry without
// a value, which stands until the record goes (R18).
//
//     stamp = counter, then the writer's tag     counter = 1 + the largest of the writer's own and of all in the record
//
// That is Lamport's receive rule: who has seen a write is never overruled by it, whatever the clocks and tags say; of
// two who have not seen each other's, the tag decides, the same on every node.
//
// Limits: `StampedRoom`. They are looked at where a fact is written: several writers who do not know of each other stay
// below what the join takes, `RecordLimits.stamped`, at which replicas would differ.

internal import Primitives

/// When something was written, and by whom.
public struct Stamp: Hashable, Sendable {
    public var counter: UInt64
    /// The process, as in its branches.
    public var tag: UInt32

    public init(counter: UInt64, tag: UInt32) {
        self.counter = counter
        self.tag = tag
    }
}

/// What a dialog is told to be, beside its script flags.
public enum DialogProperty: String, CaseIterable, Sendable {
    /// Keep-alives go to the caller, to the callee; overrules what `RecordFlags` say.
    case keepAliveToCaller = "ka-src"
    case keepAliveToCallee = "ka-dst"
    /// No request within the dialog moves its deadline.
    case keepsDeadline = "timeout-noreset"
}

/// A text that goes with a dialog, and is nobody's variable.
public enum DialogWord: String, CaseIterable, Sendable {
    /// What the BYEs of an end that somebody asked for give as their reason (RFC 3326), and their further header lines.
    case endReason = "end-reason"
    case endHeaders = "end-headers"
    /// `caller` or `callee`: the one side that gets a BYE; `none`: no side does; both without it.
    case endSide = "end-side"
    /// The script's route for when its time is up.
    case timeoutRoute = "toroute"
    /// The last request of the cluster's own to that side, and how it ended (`RequestWish`).
    case requestToCaller = "request-caller"
    case requestToCallee = "request-callee"
    /// The dialog is the cluster's own call, and this is whom its callee is sent on to (`Proxy+Bridge`).
    case bridge
}

/// A write to a record.
public enum StampedChange: Hashable, Sendable {
    case variable([UInt8], value: [UInt8]?)
    case profile(ProfileLink, isMember: Bool)
    /// 0 to 31.
    case flag(UInt8, isSet: Bool)
    /// `nil` takes back what was said: then what else there is decides.
    case property(DialogProperty, isSet: Bool?)
    case word(DialogWord, [UInt8]?)
}

extension FieldWriter<RecordField> {
    public mutating func write(_ change: StampedChange, _ stamp: Stamp) {
        switch change {
        case .variable(let name, let value): stamped(.variables, name, value, stamp)
        case .profile(let link, let isMember): stamped(.profiles, link.key, isMember ? [] : nil, stamp)
        case .flag(let number, let isSet): stamped(.attributes, [number], isSet ? [] : nil, stamp)
        case .property(let property, let isSet):
            stamped(.attributes, Array(property.rawValue.utf8), isSet.map { $0 ? [1] : [] }, stamp)
        case .word(let word, let text): stamped(.attributes, Array(word.rawValue.utf8), text, stamp)
        }
    }

    private mutating func stamped(_ map: RecordField, _ key: [UInt8], _ value: [UInt8]?, _ stamp: Stamp) {
        message(map) { (entry: inout FieldWriter<StampedField>) in
            entry.put(.key, key)
            entry.put(.counter, stamp.counter)
            entry.put(.node) { writer in
                for shift: UInt32 in [24, 16, 8, 0] { writer.put(UInt8(truncatingIfNeeded: stamp.tag >> shift)) }
            }
            if let value { entry.put(.value, value) }
        }
    }

    /// When it began, was answered and ended; what is 0 is not written.
    public mutating func times(_ times: RecordView.Times) {
        guard times != RecordView.Times() else { return }
        message(.times) { (fields: inout FieldWriter<TimesField>) in
            if times.bornUnixMilliseconds > 0 { fields.put(.bornUnixMilliseconds, times.bornUnixMilliseconds) }
            if times.answeredMilliseconds > 0 { fields.put(.answeredMilliseconds, times.answeredMilliseconds) }
            if times.endedMilliseconds > 0 { fields.put(.endedMilliseconds, times.endedMilliseconds) }
        }
    }
}

/// How much of a record is written by scripts, and how much more may be.
public struct StampedRoom: Equatable, Sendable {
    /// Bytes of names and values, and entries, those of what was removed among them.
    public static let bytesLimit = 4_096
    public static let entryLimit = 192

    public private(set) var bytes = 0
    public private(set) var entries = 0
    /// The largest counter of them all.
    public private(set) var counter: UInt64 = 0
    private var sizes: [Key: Int] = [:]

    private struct Key: Hashable { var map: UInt8, key: [UInt8] }

    /// What stands in a record now.
    public init(_ view: RecordView, _ stored: [UInt8]) {
        func count(_ map: UInt8, _ entry: RecordView.Stamped) {
            bytes += entry.key.count + (entry.value?.count ?? 0)
            entries += 1
            counter = max(counter, entry.counter)
            sizes[Key(map: map, key: Array(stored[entry.key.range]))] = entry.key.count + (entry.value?.count ?? 0)
        }
        view.forEachAttribute(in: stored) { count(0, $0) }
        view.forEachVariable(in: stored) { count(1, $0) }
        view.forEachProfile(in: stored) { count(2, $0) }
    }

    /// An empty record's.
    public init() {}

    /// Counts a change in, if there is room for it: for what takes something away there always is, as long as it was
    /// there.
    public mutating func admits(_ change: StampedChange) -> Bool {
        let (key, size, adds) = Self.measure(change)
        let (old, isNew) = (sizes[key] ?? 0, sizes[key] == nil)
        let isWithin = bytes - old + size <= Self.bytesLimit && entries + (isNew ? 1 : 0) <= Self.entryLimit
        guard isWithin || (!adds && !isNew) else { return false }
        sizes[key] = size
        bytes += size - old
        entries += isNew ? 1 : 0
        return true
    }

    private static func measure(_ change: StampedChange) -> (Key, size: Int, adds: Bool) {
        switch change {
        case .variable(let name, let value):
            (Key(map: 1, key: name), name.count + (value?.count ?? 0), value != nil)
        case .profile(let link, let isMember): (Key(map: 2, key: link.key), link.key.count, isMember)
        case .flag(let number, let isSet): (Key(map: 0, key: [number]), 1, isSet)
        case .property(let property, _): (Key(map: 0, key: Array(property.rawValue.utf8)), 16, true)
        case .word(let word, let text):
            (Key(map: 0, key: Array(word.rawValue.utf8)), word.rawValue.utf8.count + (text?.count ?? 0), text != nil)
        }
    }
}

extension RecordView {
    /// The value of a variable; `nil` for one that is not set.
    public func variable(_ name: [UInt8], in bytes: [UInt8]) -> [UInt8]? {
        var found: [UInt8]?
        forEachVariable(in: bytes) { entry in
            if Text.same(bytes, entry.key, name, ByteRange(name)) { found = entry.value.map { Array(bytes[$0.range]) } }
        }
        return found
    }

    public func isMember(_ link: ProfileLink, in bytes: [UInt8]) -> Bool {
        let key = link.key
        var found = false
        forEachProfile(in: bytes) { entry in
            if entry.value != nil, Text.same(bytes, entry.key, key, ByteRange(key)) { found = true }
        }
        return found
    }

    /// The script flags, by their bits.
    public func scriptFlags(in bytes: [UInt8]) -> UInt32 {
        var flags: UInt32 = 0
        forEachAttribute(in: bytes) { entry in
            guard entry.value != nil, entry.key.count == 1, bytes[Int(entry.key.start)] < 32 else { return }
            flags |= 1 << UInt32(bytes[Int(entry.key.start)])
        }
        return flags
    }

    public func word(_ word: DialogWord, in bytes: [UInt8]) -> [UInt8]? {
        guard !attributes.isEmpty else { return nil }
        let key = Array(word.rawValue.utf8)
        var found: [UInt8]?
        forEachAttribute(in: bytes) { entry in
            guard Text.same(bytes, entry.key, key, ByteRange(key)) else { return }
            found = entry.value.map { Array(bytes[$0.range]) }
        }
        return found
    }

    /// What was said of a property; `nil` while nobody has.
    public func property(_ property: DialogProperty, in bytes: [UInt8]) -> Bool? {
        guard !attributes.isEmpty else { return nil }
        let key = Array(property.rawValue.utf8)
        var found: Bool?
        forEachAttribute(in: bytes) { entry in
            guard let value = entry.value, Text.same(bytes, entry.key, key, ByteRange(key)) else { return }
            found = !value.isEmpty
        }
        return found
    }
}

extension Record {
    public func word(_ word: DialogWord) -> [UInt8]? {
        let key = Array(word.rawValue.utf8)
        return attributes.first { $0.key == key }?.value
    }

    /// Whether keep-alives go to this side: what was said last, else what it began with.
    public func keepsAlive(_ leg: Leg) -> Bool {
        let key = Array((leg == .caller ? DialogProperty.keepAliveToCaller : .keepAliveToCallee).rawValue.utf8)
        guard let value = attributes.first(where: { $0.key == key })?.value else { return flags.keepAlive(to: leg) }
        return !value.isEmpty
    }
}
