// The record's fields and how each is joined. Deploy/understudy.proto publishes the same schema for other languages.
//
//     Record     1 call_id  larger bytes      11 caller          Side, joined
//                2 from_tag larger bytes      12 settled_caller  max   CSeq of the last INVITE of that side that is
//                over 3 invite_cseq max            13 settled_callee  max
//                4 home     least bytes       16 outs      map by to_tag                 Out, joined        ≤ 64
//                5 state    max               17 pendings  map by (branch, leg, cseq)    Pending, joined    ≤ 64
//                6 deadline larger            18 variables map by key    larger stamp  ┐ together
//                7 flags    or                19 profiles  map by key    larger stamp  ┘ ≤ 256
//                                             20 adoptions map by (branch, leg, cseq)    Pending, joined    ≤ 8
//                8 from  9 to  10 request_uri    larger bytes
//                21 rejected_caller, 22 rejected_callee  max   (CSeq, branch hash) of the last re-INVITE refused
//                23 failure  max   status of the final answer other than 2xx that the INVITE got
//                14 times    Times, joined       15 attributes  map by key  larger stamp, counted with 18 and 19
//                25 refused_caller                       max   as 21, of one that a node refused by itself
//     Deadline   larger (1 generation, 2 at_ms, 3 lifetime_ms, then bytes: 4 ordinary_ms)   at_ms counts from birth
//     Side       1 cseq max   2 first_cseq least that is not 0   3 target larger   4 sent_by larger bytes
//                5 shift max   6 invite_shift max: (CSeq, shift) of its last INVITE that was moved and acknowledged
//     Target     larger (1 cseq, 6 pass, then bytes: 2 contact, 3 routes, 4 endpoint, 5 flow)
//     Out        1 to_tag   2 state max   3 side joined   4 answer larger bytes   5 acked max   6 to larger bytes
//                7 refused max: as 25, of the callee's
//                A callee without a tag has the entry without `to_tag`: the null tag.
//     Pending    1 branch   2 leg   3 cseq   4 progress or   5 vias … 11 answer larger bytes   12 pass max
//                13 session_s max   14 reason larger bytes   15 shift max
//     Stamped    1 key      larger (2 counter, 3 node, 4 boot, then bytes)   5 value, absent when removed
//     Home       1 name  2 boot (fixed64)  3 sent_by      opaque to the join
//     Times      1 born_unix_ms  2 answered_ms  3 ended_ms   each the least that is not 0; the last two since birth
//
// What is dropped (RecordJoin does it; the laws hold because each condition can only become true):
//   · a pending, or an adoption, whose cseq is not above its leg's `settled`; a pending fact without a CSeq is
//     therefore never kept, so every patch about a pending carries branch, leg and cseq;
//   · an answer once the caller's INVITE is settled;
//   · of a deleted record all but 1–5, 7–10, 14, 15, 18, 19, 23, the to_tag and state of its outs, and the shifts of
//     its sides, by which a copy of the last BYE is moved as the first one was; so whoever tells of its end sees what
//     it had. Once that was told (`RecordFlags.toldEnd`), 8–10, 15, 18 and 19 as well.
// A field of a later version is kept, the larger by (wire type, value) per number, in tombstones not at all.

internal import Primitives

public enum RecordField: UInt32, Sendable {
    case callID = 1
    case fromTag, inviteCSeq, home, state, deadline, flags, from, to, requestURI, caller, settledCaller, settledCallee
    /// When it began, was answered and ended: for people and call records, nothing is decided by it.
    case times
    /// Script flags, by one byte from 0 to 31, and properties, by name.
    case attributes
    case outs
    case pendings, variables, profiles
    /// Further copies of the caller's INVITE that a node answers from the record: each by a branch of that node's.
    case adoptions = 20
    /// The last re-INVITE of that side that was refused: CSeq in the upper word, 32 bits of a hash of its upstream
    /// branch below.
    case rejectedCaller = 21
    case rejectedCallee
    case failure
    /// The last INVITE within the dialog that a node refused to the caller without a transaction: coded as the one
    /// above.
    case refusedCaller = 25
}

public enum HomeField: UInt32, Sendable {
    case name = 1
    case boot, sentBy
}

public enum TimesField: UInt32, Sendable {
    /// The wall clock of the home when the INVITE came, Unix time in milliseconds.
    case bornUnixMilliseconds = 1
    /// The first 2xx, milliseconds since birth; the end of the dialog.
    case answeredMilliseconds, endedMilliseconds
}

public enum DeadlineField: UInt32, Sendable {
    case generation = 1
    case atMilliseconds, lifetimeMilliseconds
    /// The dialog's own lifetime, while `lifetimeMilliseconds` is what a session timer says (RFC 4028).
    case ordinaryMilliseconds
}

public enum SideField: UInt32, Sendable {
    case cseq = 1
    case firstCSeq, target
    /// What the home is called toward this side, where that is not the home's `sentBy`.
    case sentBy
    /// What is added to the CSeqs of this side's requests (`CSeqShift`), and, CSeq in the upper word, to the last
    /// INVITE of those that were moved and have had their ACK.
    case shift, inviteShift
}

public enum TargetField: UInt32, Sendable {
    case cseq = 1
    case contact, routes, endpoint
    /// The connection that the side's message came on: 4 bytes of the member's tag, 8 bytes of its number.
    case flow
    /// The pass of a spiral that told it (`SpiralPass`); absent for the first one.
    case pass
}

public enum OutField: UInt32, Sendable {
    case toTag = 1
    case state, side, answer, acked, to
    /// As `RecordField.refusedCaller`, of the callee's.
    case refused
}

public enum PendingField: UInt32, Sendable {
    case branch = 1
    case leg, cseq, progress, vias, source, requestURI, routes, via, target, answer
    /// The pass of a spiral that the transaction is (`SpiralPass`); absent for the first one.
    case pass
    /// The Session-Expires that a 2xx without one gets (RFC 4028 §8.2), seconds.
    case sessionSeconds
    /// Header lines: the Reasons of the CANCEL that its sender sent (RFC 3326).
    case reason
    /// What was added to its CSeq (`CSeqShift`).
    case shift
}

public enum StampedField: UInt32, Sendable {
    case key = 1
    case counter, node, boot, value
}

/// The messages of a record, as the join sees them.
enum RecordMessage: UInt8, CaseIterable {
    case record, deadline, side, target, out, pending, stamped, times
    /// An Out whose answer is no longer needed, and what a deleted record has of one, and of a Side.
    case settledOut, deletedOut, deletedSide

    /// How two values of one field become one.
    enum Rule: Sendable {
        case max(UInt64)
        case or(UInt64)
        case leastNonzero(UInt64)
        case largerBytes
        case leastBytes
        /// Like `largerBytes`, but empty is not the same as absent.
        case presentBytes
        case joined(RecordMessage)
        case picked(RecordMessage)
        case joinedMap(RecordMessage)
        case pickedMap(RecordMessage)
        case dropped
        case unknown
    }

    /// The field holds the bytes of a 2xx, which are as large as a callee likes.
    func isAnswer(_ field: UInt32) -> Bool {
        switch self {
        case .out: OutField(rawValue: field) == .answer
        case .pending: PendingField(rawValue: field) == .answer
        default: false
        }
    }

    /// A row of the table.
    struct Row: Sendable {
        var rule: Rule
        var span = Span.dialog

        /// How long a record has the field; of outs and sides `deletedOut` and `deletedSide` say what a tombstone has.
        enum Span: Sendable {
            /// While the dialog lives.
            case dialog
            /// In its tombstone, too, until its end was told.
            case telling
            /// For as long as there is a tombstone.
            case tombstone
        }

        init(_ rule: Rule, _ span: Span = .dialog) {
            self.rule = rule
            self.span = span
        }

        /// Whether a record that has come so far no longer has the field.
        func isDropped(tombstone: Bool, isTold: Bool) -> Bool {
            switch span {
            case .dialog: tombstone
            case .telling: tombstone && (isTold || mutated("tombstone-narrows-at-once"))
            case .tombstone: false
            }
        }

        static func lasting(_ rule: Rule) -> Row { Row(rule, .tombstone) }
        static func untilTold(_ rule: Rule) -> Row { Row(rule, .telling) }
    }

    private static let word = UInt64(UInt32.max)
    private static let highestState = UInt64(DialogState.deleted.rawValue)

    /// Fields of every message, one message behind the other: each field that is joined looks its row up. Whoever joins
    /// has the table at hand, since what is static is asked each time whether it is there yet.
    struct Table: Sendable {
        private static let rowCount: UInt32 = 32
        private let rows: [Row]

        fileprivate init() {
            rows = RecordMessage.allCases.flatMap { message in (0..<Self.rowCount).map { message.makeRow($0) } }
        }

        @inline(__always)
        subscript(_ message: RecordMessage, _ field: UInt32) -> Row {
            field < Self.rowCount
                ? rows[Int(message.rawValue) &* Int(Self.rowCount) &+ Int(field)] : message.makeRow(field)
        }
    }

    static let table = Table()

    private func makeRow(_ field: UInt32) -> Row {
        switch self {
        case .record: Self.recordRow(field)
        case .deadline: Row(Self.deadlineRule(field))
        case .side: Row(Self.sideRule(field))
        case .target: Row(Self.targetRule(field))
        case .out: Row(Self.outRule(field))
        case .settledOut: Row(OutField(rawValue: field) == .answer ? .dropped : Self.outRule(field))
        case .deletedOut:
            switch OutField(rawValue: field) {
            case .toTag, .state: Row(Self.outRule(field))
            case .side: Row(.joined(.deletedSide))
            default: Row(.dropped)
            }
        case .deletedSide: Row(SideField(rawValue: field) == .shift ? Self.sideRule(field) : .dropped)
        case .pending: Row(Self.pendingRule(field))
        case .stamped: Row(Self.stampedRule(field))
        case .times: Row(TimesField(rawValue: field) == nil ? .unknown : .leastNonzero(.max))
        }
    }

    private static func recordRow(_ field: UInt32) -> Row {
        switch RecordField(rawValue: field) {
        case .callID, .fromTag: .lasting(.largerBytes)
        case .inviteCSeq, .failure: .lasting(.max(word))
        case .home: .lasting(.leastBytes)
        case .state: .lasting(.max(highestState))
        case .flags: .lasting(.or(word))
        case .outs: .lasting(.joinedMap(.out))
        case .deadline: Row(.picked(.deadline))
        case .from, .to, .requestURI: .untilTold(.largerBytes)
        case .times: .lasting(.joined(.times))
        case .attributes: .untilTold(.pickedMap(.stamped))
        case .caller: .lasting(.joined(.side))
        case .settledCaller, .settledCallee: Row(.max(word))
        case .pendings, .adoptions: Row(.joinedMap(.pending))
        case .variables, .profiles: .untilTold(.pickedMap(.stamped))
        case .rejectedCaller, .rejectedCallee, .refusedCaller: Row(.max(.max))
        case nil: Row(.unknown)
        }
    }

    private static func deadlineRule(_ field: UInt32) -> Rule {
        switch DeadlineField(rawValue: field) {
        case .generation: .max(word)
        case .atMilliseconds, .lifetimeMilliseconds, .ordinaryMilliseconds: .max(.max)
        case nil: .unknown
        }
    }

    private static func sideRule(_ field: UInt32) -> Rule {
        switch SideField(rawValue: field) {
        case .cseq: .max(word)
        case .firstCSeq: .leastNonzero(word)
        case .target: .picked(.target)
        case .sentBy: .largerBytes
        case .shift: mutated("shift-forgotten") ? .dropped : .max(word)
        case .inviteShift: .max(.max)
        case nil: .unknown
        }
    }

    private static func targetRule(_ field: UInt32) -> Rule {
        switch TargetField(rawValue: field) {
        case .cseq: .max(word)
        case .contact, .routes, .endpoint, .flow: .largerBytes
        case .pass: .max(.max)
        case nil: .unknown
        }
    }

    private static func outRule(_ field: UInt32) -> Rule {
        switch OutField(rawValue: field) {
        case .toTag, .answer, .to: .largerBytes
        case .state: .max(highestState)
        case .side: .joined(.side)
        case .acked: .max(word)
        case .refused: .max(.max)
        case nil: .unknown
        }
    }

    private static func pendingRule(_ field: UInt32) -> Rule {
        switch PendingField(rawValue: field) {
        case .leg: .max(UInt64(Leg.callee.rawValue))
        case .shift where mutated("shift-forgotten"): .dropped
        case .cseq, .sessionSeconds, .shift: .max(word)
        case .progress: .or(word)
        case .branch, .vias, .source, .requestURI, .routes, .via, .target, .answer, .reason: .largerBytes
        case .pass: .max(.max)
        case nil: .unknown
        }
    }

    private static func stampedRule(_ field: UInt32) -> Rule {
        switch StampedField(rawValue: field) {
        case .key, .node: .largerBytes
        case .counter, .boot: .max(.max)
        case .value: .presentBytes
        case nil: .unknown
        }
    }
}
