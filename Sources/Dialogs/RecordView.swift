// RecordView is where things are in a stored record: one pass over its fields, no copy, no allocation. The hot path
// reads contacts, routes and CSeqs through it. The ranges index the array that was given to `init` (or to
// `DialogTable.view`'s closure) and are good until the record changes.
//
// It reads canonical records, which came out of a join and were checked there; should the bytes be anything else, the
// view ends where they stop making sense and never reads outside of them.

public import Primitives

public struct RecordView: Sendable {
    public struct Deadline: Equatable, Sendable {
        public var generation: UInt32 = 0
        /// Milliseconds since the dialog's birth.
        public var atMilliseconds: UInt64 = 0
        /// What a refresh moves the deadline by.
        public var lifetimeMilliseconds: UInt64 = 0
        /// The dialog's own lifetime, to go back to when its session timer (RFC 4028) is given up; 0 without one.
        public var ordinaryMilliseconds: UInt64 = 0

        /// The generations of ends that somebody has asked for: above all others, so that nothing voids them.
        public static let explicitEnd: UInt32 = 1 << 31
        /// Somebody has asked for the end: no refresh writes here.
        public var isExplicitEnd: Bool { generation >= Self.explicitEnd }
        /// When the 2xx came that set it, in milliseconds since the dialog's birth; of an end it says nothing.
        public var writtenMilliseconds: UInt64 { atMilliseconds - min(atMilliseconds, lifetimeMilliseconds) }
        /// The generation of a shortening; the last one is its own.
        public var nextGeneration: UInt32 { generation + 1 < Self.explicitEnd ? generation + 1 : generation }

        public init() {}
    }

    public struct Side: Equatable, Sendable {
        public var cseq: UInt32 = 0
        public var firstCSeq: UInt32 = 0
        public var targetCSeq: UInt32 = 0
        public var contact = ByteRange.empty
        public var routes = ByteRange.empty
        public var endpoint = ByteRange.empty
        public var flow = ByteRange.empty
        public var pass = SpiralPass.first
        /// What the home is called toward this side; empty where that is `home`'s.
        public var sentBy = ByteRange.empty
        /// See `CSeqShift`.
        public var shift: UInt32 = 0
        public var inviteShift: UInt64 = 0

        public init() {}
    }

    public struct Out: Equatable, Sendable {
        public var toTag = ByteRange.empty
        public var state: DialogState?
        public var side = Side()
        public var answer = ByteRange.empty
        public var acked: UInt32 = 0
        public var to = ByteRange.empty
        /// As `RecordView.refusedCaller`, of the callee's.
        public var refused: UInt64 = 0
    }

    public struct Pending: Equatable, Sendable {
        public var branch = ByteRange.empty
        public var leg = Leg.caller
        public var cseq: UInt32 = 0
        public var progress: PendingProgress = []
        public var vias = ByteRange.empty
        public var source = ByteRange.empty
        public var requestURI = ByteRange.empty
        public var routes = ByteRange.empty
        public var via = ByteRange.empty
        public var target = ByteRange.empty
        public var answer = ByteRange.empty
        public var pass = SpiralPass.first
        public var sessionSeconds: UInt32 = 0
        public var shift: UInt32 = 0
        public var reason = ByteRange.empty
    }

    public struct Times: Equatable, Sendable {
        /// Unix time in milliseconds, by the home's wall clock.
        public var bornUnixMilliseconds: UInt64 = 0
        /// Milliseconds since birth; 0 for what has not been, or was not seen.
        public var answeredMilliseconds: UInt64 = 0
        public var endedMilliseconds: UInt64 = 0

        public init() {}
    }

    public struct Stamped: Equatable, Sendable {
        public var key = ByteRange.empty
        public var counter: UInt64 = 0
        public var node = ByteRange.empty
        public var boot: UInt64 = 0
        /// `nil` when the entry says that the key was removed.
        public var value: ByteRange?
    }

    public private(set) var callID = ByteRange.empty
    public private(set) var fromTag = ByteRange.empty
    public private(set) var inviteCSeq: UInt32 = 0
    /// The bytes of a `Home`.
    public private(set) var home = ByteRange.empty
    /// Unconfirmed while nothing else was learned.
    public private(set) var state = DialogState.unconfirmed
    private(set) var hasState = false
    public private(set) var deadline: Deadline?
    public private(set) var flags: RecordFlags = []
    public private(set) var from = ByteRange.empty
    public private(set) var to = ByteRange.empty
    public private(set) var requestURI = ByteRange.empty
    public private(set) var caller = Side()
    public private(set) var settledCaller: UInt32 = 0
    public private(set) var settledCallee: UInt32 = 0
    /// CSeq in the upper word, branch hash in the lower, of the last re-INVITE that was refused; 0 for none.
    public private(set) var rejectedCaller: UInt64 = 0
    public private(set) var rejectedCallee: UInt64 = 0
    /// The same of the last INVITE that a node refused to the caller without a transaction.
    public private(set) var refusedCaller: UInt64 = 0
    /// The status of the final answer other than 2xx that the INVITE got; 0 for none.
    public private(set) var failure: UInt32 = 0
    public private(set) var outCount = 0
    public private(set) var pendingCount = 0
    // Entries of one map are neighbours; each of these spans all of one map's fields, tags included.
    private var outs = ByteRange.empty
    private var pendings = ByteRange.empty
    private var adoptions = ByteRange.empty
    private var timesRange = ByteRange.empty
    var attributes = ByteRange.empty
    private var variables = ByteRange.empty
    private var profiles = ByteRange.empty

    public init(_ bytes: [UInt8], _ range: ByteRange) {
        let span = RawSpan(_elements: bytes.span)
        // No closure and no look-up of names: every question about a dialog begins here.
        var reader = ProtobufReader(range.range)
        while let field = reader.nextChecked(in: span) {
            let payload = Self.bytes(field)
            switch field.number {
            case RecordField.callID.rawValue: callID = payload
            case RecordField.fromTag.rawValue: fromTag = payload
            case RecordField.inviteCSeq.rawValue: inviteCSeq = UInt32(truncatingIfNeeded: field.value)
            case RecordField.home.rawValue: home = payload
            case RecordField.state.rawValue:
                hasState = true
                state = DialogState(rawValue: UInt8(truncatingIfNeeded: field.value)) ?? .unconfirmed
            case RecordField.deadline.rawValue: deadline = Self.deadline(span, payload)
            case RecordField.flags.rawValue: flags = RecordFlags(rawValue: field.value)
            case RecordField.from.rawValue: from = payload
            case RecordField.to.rawValue: to = payload
            case RecordField.requestURI.rawValue: requestURI = payload
            case RecordField.caller.rawValue: caller = Self.side(span, payload)
            case RecordField.outs.rawValue:
                outCount += 1
                Self.extend(&outs, field)
            case RecordField.pendings.rawValue:
                pendingCount += 1
                Self.extend(&pendings, field)
            default: if let name = RecordField(rawValue: field.number) { takeSeldom(name, field) }
            }
        }
    }

    /// Fields that few records have; by itself, since the reader is no longer inlined into a loop that has all of them.
    @inline(never)
    private mutating func takeSeldom(_ name: RecordField, _ field: WireField) {
        switch name {
        case .settledCaller: settledCaller = UInt32(truncatingIfNeeded: field.value)
        case .settledCallee: settledCallee = UInt32(truncatingIfNeeded: field.value)
        case .rejectedCaller: rejectedCaller = field.value
        case .rejectedCallee: rejectedCallee = field.value
        case .refusedCaller: refusedCaller = field.value
        case .failure: failure = UInt32(truncatingIfNeeded: field.value)
        case .adoptions: Self.extend(&adoptions, field)
        case .times: timesRange = Self.bytes(field)
        case .attributes: Self.extend(&attributes, field)
        case .variables: Self.extend(&variables, field)
        case .profiles: Self.extend(&profiles, field)
        case .callID, .fromTag, .inviteCSeq, .home, .state, .deadline, .flags, .from, .to, .requestURI, .caller, .outs,
            .pendings:
            break
        }
    }

    // MARK: Maps

    /// Visits the dialog-outs in the order of their To-tags.
    public func forEachOut(in bytes: [UInt8], _ body: (Out) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, outs) { body(Self.out(span, $0.payload)) }
    }

    public func out(toTag tags: [UInt8], _ tag: ByteRange, in bytes: [UInt8]) -> Out? {
        var result: Out?
        forEachOut(in: bytes) { out in
            if result == nil, Text.same(bytes, out.toTag, tags, tag) { result = out }
        }
        return result
    }

    /// The dialog-out that a request without a choice belongs to: the one with the highest state, the first of equals.
    public func mainOut(in bytes: [UInt8]) -> Out? {
        var result: Out?
        forEachOut(in: bytes) { out in
            guard let state = out.state, state != .deleted else {
                result = result ?? out
                return
            }
            let best = result?.state
            if best == nil || best == .deleted || state > best ?? .unconfirmed { result = out }
        }
        return result
    }

    /// How its dialog-outs stand: read without what else they have.
    public struct OutStates: Equatable, Sendable {
        /// One is in a call; one has ended.
        public var hasLive = false
        public var hasEnded = false
        /// The highest CSeq of the caller's INVITEs that a callee's 2xx to was acknowledged; 0 without one.
        public var acknowledged: UInt32 = 0
    }

    public func outStates(in bytes: [UInt8]) -> OutStates {
        Self.outStates(RawSpan(_elements: bytes.span), outs)
    }

    /// What a pending INVITE is known by, and how far it has come.
    public struct Branching: Equatable, Sendable {
        public var branch = ByteRange.empty
        public var leg = Leg.caller
        public var cseq: UInt32 = 0
        public var progress: PendingProgress = []
    }

    /// Visits the pending INVITEs, and, if asked to, the copies of the caller's: as much of each as a cheap look needs.
    public func forEachBranching(withAdoptions: Bool = false, in bytes: [UInt8], _ body: (Branching) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, pendings) { body(Self.branching(span, $0.payload)) }
        if withAdoptions { Self.walk(span, adoptions) { body(Self.branching(span, $0.payload)) } }
    }

    /// Visits the copies of the caller's INVITE that nodes answer from the record. Each has the node's branch, source
    /// and Via stack, CSeq and pass.
    public func forEachAdoption(in bytes: [UInt8], _ body: (Pending) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, adoptions) { body(Self.pending(span, $0.payload)) }
    }

    /// Visits the pending INVITEs in the order of branch, leg and CSeq.
    public func forEachPending(in bytes: [UInt8], _ body: (Pending) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, pendings) { body(Self.pending(span, $0.payload)) }
    }

    public func pending(branch branches: [UInt8], _ branch: ByteRange, in bytes: [UInt8]) -> Pending? {
        var result: Pending?
        forEachPending(in: bytes) { pending in
            if result == nil, Text.same(bytes, pending.branch, branches, branch) { result = pending }
        }
        return result
    }

    public func forEachVariable(in bytes: [UInt8], _ body: (Stamped) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, variables) { body(Self.stamped(span, $0.payload)) }
    }

    public func forEachProfile(in bytes: [UInt8], _ body: (Stamped) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, profiles) { body(Self.stamped(span, $0.payload)) }
    }

    public func forEachAttribute(in bytes: [UInt8], _ body: (Stamped) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, attributes) { body(Self.stamped(span, $0.payload)) }
    }

    /// Nothing that a script may write is in it, not even a removal.
    public var hasNothingStamped: Bool { attributes.isEmpty && variables.isEmpty && profiles.isEmpty }

    /// When it began, was answered and ended.
    public func times(in bytes: [UInt8]) -> Times {
        Self.times(RawSpan(_elements: bytes.span), timesRange)
    }

    public typealias HomeParts = (name: ByteRange, boot: UInt64, sentBy: ByteRange)

    /// The parts of `home`; all empty when the record has none.
    public func homeParts(in bytes: [UInt8]) -> HomeParts {
        Self.homeParts(RawSpan(_elements: bytes.span), home)
    }

    static func homeParts(_ span: RawSpan, _ home: ByteRange) -> HomeParts {
        var parts: HomeParts = (.empty, 0, .empty)
        walk(span, home) { field in
            switch HomeField(rawValue: field.number) {
            case .name: parts.name = bytes(field)
            case .boot: parts.boot = field.value
            case .sentBy: parts.sentBy = bytes(field)
            case nil: break
            }
        }
        return parts
    }
}
