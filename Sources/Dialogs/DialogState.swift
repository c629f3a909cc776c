// The states of a dialog and of its dialog-outs, in the order in which they join: a record's state only ever rises.
//
//     unconfirmed ──provisional with a To-tag──▶ early ──2xx──▶ confirmed_na ──ACK──▶ confirmed
//          └──────────────────┴──────────── final failure, BYE, deadline ──────────────┴──────▶ deleted

/// State of a dialog (RFC 3261 §12; the names are those of `dlg.list` and of the metrics).
public enum DialogState: UInt8, Comparable, CaseIterable, Sendable {
    /// The INVITE was seen and has no answer with a To-tag.
    case unconfirmed = 1
    /// At least one provisional answer created a dialog-out (RFC 3261 §12.1).
    case early
    /// A 2xx passed and its ACK did not.
    case confirmedNotAcknowledged
    case confirmed
    /// Ended; what is kept is a tombstone.
    case deleted

    public var name: String {
        switch self {
        case .unconfirmed: "unconfirmed"
        case .early: "early"
        case .confirmedNotAcknowledged: "confirmed_na"
        case .confirmed: "confirmed"
        case .deleted: "deleted"
        }
    }

    public static func < (left: DialogState, right: DialogState) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One side of a dialog. In a lookup: the side that sent the request.
public enum Leg: UInt8, Sendable {
    case caller, callee
}
