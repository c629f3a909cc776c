// What a record's flags and a pending transaction's progress are made of, and what each is called in reports. Both are
// joined by OR, so what was ever raised stays raised, and a bit is never used for anything else again.

/// What has happened to a dialog (`RecordField.flags`).
public struct RecordFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let cancelled = Self(rawValue: 1)
    public static let byeFromCaller = Self(rawValue: 2)
    public static let byeFromCallee = Self(rawValue: 4)
    public static let timedOut = Self(rawValue: 8)
    public static let endedByOperator = Self(rawValue: 16)
    public static let failed = Self(rawValue: 32)
    /// Keep-alives go to the caller (`ka-src`), to the callee (`ka-dst`).
    public static let keepAliveToCaller = Self(rawValue: 64)
    public static let keepAliveToCallee = Self(rawValue: 128)
    /// A side did not answer its keep-alives, or did not know the dialog.
    public static let endedByKeepAlive = Self(rawValue: 256)
    /// A side did not answer the cluster's BYE, or had no way for one.
    public static let unanswered = Self(rawValue: 512)
    /// That the dialog was answered, that its time was up, that it has ended or failed: somebody has told it.
    public static let toldStart = Self(rawValue: 1_024)
    public static let toldTimeout = Self(rawValue: 2_048)
    public static let toldEnd = Self(rawValue: 4_096)
    /// An heir has ended a further pass of its INVITE, and the early dialogs of that pass: should one of them have been
    /// answered, whoever knows that has its phones to tell (R15).
    public static let interrupted = Self(rawValue: 8_192)
    /// The cluster has made requests of its own within the dialog: the CSeqs of a side may be moved (`CSeqShift`).
    public static let asked = Self(rawValue: 16_384)
    /// The phones of a dialog that was answered, and ended by who had not heard of that, are being told (R15).
    public static let phonesTold = Self(rawValue: 32_768)

    /// What reports call them, in the order of the bits; who has told of what is nobody's news.
    public static let allNames: [(flag: Self, name: String)] = [
        (.cancelled, "cancelled"), (.byeFromCaller, "bye_from_caller"), (.byeFromCallee, "bye_from_callee"),
        (.timedOut, "timed_out"), (.endedByOperator, "ended_by_operator"), (.failed, "failed"),
        (.keepAliveToCaller, "ka-src"), (.keepAliveToCallee, "ka-dst"), (.endedByKeepAlive, "ended_by_keep_alive"),
        (.unanswered, "unanswered"), (.interrupted, "interrupted"), (.asked, "asked"), (.phonesTold, "phones_told"),
    ]

    public var names: [String] { Self.allNames.filter { contains($0.flag) }.map(\.name) }

    public func keepAlive(to leg: Leg) -> Bool {
        contains(leg == .caller ? .keepAliveToCaller : .keepAliveToCallee)
    }
}

/// How far an INVITE that is under way has come (`PendingField.progress`). Two further bits, 8 and 16, had a meaning
/// once.
public struct PendingProgress: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let provisional = Self(rawValue: 1)
    public static let final = Self(rawValue: 2)
    /// A CANCEL came for it.
    public static let cancelled = Self(rawValue: 4)
    /// Its heir's CANCEL has had no answer: the heir may have no way to the callee.
    public static let unheard = Self(rawValue: 8)

    /// What reports call them, in the order of the bits.
    public static let allNames: [(progress: Self, name: String)] = [
        (.provisional, "provisional"), (.final, "final"), (.cancelled, "cancelled"),
        (.unheard, "unheard"),
    ]

    public var names: [String] { Self.allNames.filter { contains($0.progress) }.map(\.name) }
}
