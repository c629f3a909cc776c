// The states of a dialog and of its dialog-outs, in the order in which they join: a record's state only ever rises.
//
//     unconfirmed ──provisional with a To-tag──▶ early ──2xx──▶ confirmed_na ──ACK──▶ confirmed
//          └──────────────────┴──────────── final failure, BYE, deadline ──────────────┴──────▶ deleted

/// State of a dialog (RFC 3261 §12; the names are those of `dlg.list` and of the metrics).
package enum DialogState: UInt8, Comparable, CaseIterable, Sendable {
    /// The INVITE was seen and has no answer with a To-tag.
    case unconfirmed = 1
    /// At least one provisional answer created a dialog-out (RFC 3261 §12.1).
    case early
    /// A 2xx passed and its ACK did not.
    case confirmedNotAcknowledged
    case confirmed
    /// Ended; what is kept is a tombstone.
    case deleted

    package var name: String {
        switch self {
        case .unconfirmed: "unconfirmed"
        case .early: "early"
        case .confirmedNotAcknowledged: "confirmed_na"
        case .confirmed: "confirmed"
        case .deleted: "deleted"
        }
    }

    package static func < (left: DialogState, right: DialogState) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One side of a dialog. In a lookup: the side that sent the request.
package enum Leg: UInt8, Sendable {
    case caller, callee
}

/// Bits of `RecordField.flags`; once set they stay.
package enum DialogFlags {
    package static let cancelled: UInt64 = 1
    package static let byeFromCaller: UInt64 = 2
    package static let byeFromCallee: UInt64 = 4
    package static let endedByTimeout: UInt64 = 8
    package static let endedByOperator: UInt64 = 16
    package static let inviteFailed: UInt64 = 32
}

/// Bits of `PendingField.progress`; once set they stay.
package enum PendingProgress {
    package static let provisional: UInt64 = 1
    package static let final: UInt64 = 2
    package static let cancelSeen: UInt64 = 4
    package static let acknowledgedFailure: UInt64 = 8
    package static let cancelSent: UInt64 = 16
}
