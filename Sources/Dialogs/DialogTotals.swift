// DialogTotals counts what has become of dialogs: those of the whole cluster as one node's table has seen them, from
// its start on, or those alone that this node is the home of.

public struct DialogTotals: Equatable, Sendable {
    public private(set) var processed: UInt64 = 0
    /// Ended because their time was up.
    public private(set) var expired: UInt64 = 0
    /// The INVITE got another final answer than a 2xx, or none.
    public private(set) var failed: UInt64 = 0

    public init() {}

    /// - Parameter flags: Of one that has ended.
    mutating func count(isNew: Bool, _ flags: RecordFlags) {
        if isNew { processed &+= 1 }
        if flags.contains(.failed) {
            failed &+= 1
        } else if flags.contains(.timedOut) {
            expired &+= 1
        }
    }
}
