// RecordView is where things are in a stored record: one pass over its fields, no copy, no allocation. The hot path reads
// contacts, routes and CSeqs through it. The ranges index the array that was given to `init` (or to `DialogTable.view`'s
// closure) and are good until the record changes.
//
// It reads canonical records, which came out of a join and were checked there; should the bytes be anything else, the view
// ends where they stop making sense and never reads outside of them.

package import Primitives

package struct RecordView: Sendable {
    package struct Deadline: Equatable, Sendable {
        package var generation: UInt32 = 0
        /// Milliseconds since the dialog's birth.
        package var atMilliseconds: UInt64 = 0
        package var lifetimeMilliseconds: UInt64 = 0

        package init() {}
    }

    package struct Side: Equatable, Sendable {
        package var cseq: UInt32 = 0
        package var firstCSeq: UInt32 = 0
        package var targetCSeq: UInt32 = 0
        package var contact = ByteRange.empty
        package var routes = ByteRange.empty
        package var endpoint = ByteRange.empty
    }

    package struct Out: Equatable, Sendable {
        package var toTag = ByteRange.empty
        package var state: DialogState?
        package var side = Side()
        package var answer = ByteRange.empty
        package var acked: UInt32 = 0
        package var to = ByteRange.empty
    }

    package struct Pending: Equatable, Sendable {
        package var branch = ByteRange.empty
        package var leg = Leg.caller
        package var cseq: UInt32 = 0
        /// Bits of `PendingProgress`.
        package var progress: UInt64 = 0
        package var vias = ByteRange.empty
        package var source = ByteRange.empty
        package var requestURI = ByteRange.empty
        package var routes = ByteRange.empty
        package var via = ByteRange.empty
        package var target = ByteRange.empty
        package var answer = ByteRange.empty
    }

    package struct Stamped: Equatable, Sendable {
        package var key = ByteRange.empty
        package var counter: UInt64 = 0
        package var node = ByteRange.empty
        package var boot: UInt64 = 0
        /// `nil` when the entry says that the key was removed.
        package var value: ByteRange?
    }

    package private(set) var callID = ByteRange.empty
    package private(set) var fromTag = ByteRange.empty
    package private(set) var inviteCSeq: UInt32 = 0
    /// The bytes of a `Home`.
    package private(set) var home = ByteRange.empty
    /// Unconfirmed while nothing else was learned.
    package private(set) var state = DialogState.unconfirmed
    private(set) var hasState = false
    package private(set) var deadline: Deadline?
    /// Bits of `DialogFlags`.
    package private(set) var flags: UInt64 = 0
    package private(set) var from = ByteRange.empty
    package private(set) var to = ByteRange.empty
    package private(set) var requestURI = ByteRange.empty
    package private(set) var caller = Side()
    package private(set) var settledCaller: UInt32 = 0
    package private(set) var settledCallee: UInt32 = 0
    package private(set) var outCount = 0
    package private(set) var pendingCount = 0
    // Entries of one map are neighbours; each of these spans all of one map's fields, tags included.
    private var outs = ByteRange.empty
    private var pendings = ByteRange.empty
    private var variables = ByteRange.empty
    private var profiles = ByteRange.empty

    package init(_ bytes: [UInt8], _ range: ByteRange) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, range) { field in
            let payload = Self.bytes(field)
            switch RecordField(rawValue: field.number) {
            case .callID: callID = payload
            case .fromTag: fromTag = payload
            case .inviteCSeq: inviteCSeq = UInt32(truncatingIfNeeded: field.value)
            case .home: home = payload
            case .state:
                hasState = true
                state = DialogState(rawValue: UInt8(truncatingIfNeeded: field.value)) ?? .unconfirmed
            case .deadline: deadline = Self.deadline(span, payload)
            case .flags: flags = field.value
            case .from: from = payload
            case .to: to = payload
            case .requestURI: requestURI = payload
            case .caller: caller = Self.side(span, payload)
            case .settledCaller: settledCaller = UInt32(truncatingIfNeeded: field.value)
            case .settledCallee: settledCallee = UInt32(truncatingIfNeeded: field.value)
            case .outs:
                outCount += 1
                Self.extend(&outs, field)
            case .pendings:
                pendingCount += 1
                Self.extend(&pendings, field)
            case .variables: Self.extend(&variables, field)
            case .profiles: Self.extend(&profiles, field)
            case nil: break
            }
        }
    }

    // MARK: Maps

    /// Visits the dialog-outs in the order of their To-tags.
    package func forEachOut(in bytes: [UInt8], _ body: (Out) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, outs) { body(Self.out(span, $0.payload)) }
    }

    package func out(toTag tags: [UInt8], _ tag: ByteRange, in bytes: [UInt8]) -> Out? {
        var result: Out?
        forEachOut(in: bytes) { out in
            if result == nil, Text.same(bytes, out.toTag, tags, tag) { result = out }
        }
        return result
    }

    /// The dialog-out that a request without a choice belongs to: the one with the highest state, the first of equals.
    package func mainOut(in bytes: [UInt8]) -> Out? {
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

    /// Visits the pending INVITEs in the order of branch, leg and CSeq.
    package func forEachPending(in bytes: [UInt8], _ body: (Pending) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, pendings) { body(Self.pending(span, $0.payload)) }
    }

    package func pending(branch branches: [UInt8], _ branch: ByteRange, in bytes: [UInt8]) -> Pending? {
        var result: Pending?
        forEachPending(in: bytes) { pending in
            if result == nil, Text.same(bytes, pending.branch, branches, branch) { result = pending }
        }
        return result
    }

    package func forEachVariable(in bytes: [UInt8], _ body: (Stamped) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, variables) { body(Self.stamped(span, $0.payload)) }
    }

    package func forEachProfile(in bytes: [UInt8], _ body: (Stamped) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        Self.walk(span, profiles) { body(Self.stamped(span, $0.payload)) }
    }

    /// The parts of `home`; all empty when the record has none.
    package func homeParts(in bytes: [UInt8]) -> (name: ByteRange, boot: UInt64, sentBy: ByteRange) {
        var parts = (name: ByteRange.empty, boot: UInt64(0), sentBy: ByteRange.empty)
        Self.walk(RawSpan(_elements: bytes.span), home) { field in
            switch HomeField(rawValue: field.number) {
            case .name: parts.name = Self.bytes(field)
            case .boot: parts.boot = field.value
            case .sentBy: parts.sentBy = Self.bytes(field)
            case nil: break
            }
        }
        return parts
    }
}
