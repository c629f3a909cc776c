// The bits that a record's flags and a pending transaction's progress are made of. Both are joined by OR, so a bit that
// was ever set stays.

/// Bits of a pending transaction's progress; joined by OR. 8 is not used any more.
package enum Progress {
    package static let provisional: UInt64 = 1
    package static let final: UInt64 = 2
    package static let cancelled: UInt64 = 4
    package static let cancelSent: UInt64 = 16
}

/// Bits of a record's flags; joined by OR.
package enum RecordFlag {
    package static let cancelled: UInt64 = 1
    package static let byeFromCaller: UInt64 = 2
    package static let byeFromCallee: UInt64 = 4
    package static let timedOut: UInt64 = 8
    package static let endedByOperator: UInt64 = 16
    package static let failed: UInt64 = 32
    /// A side did not answer the cluster's BYE, or had no way for one (bits between: `KeepAlives`).
    package static let unanswered: UInt64 = 512
}
