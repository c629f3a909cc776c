// What the table keeps of a record beside it: several questions about a dialog are one look-up.

public import Primitives

extension DialogTable {
    /// What is known of a record without a look into it.
    public struct Glance: Sendable {
        public var state: DialogState
        public var flags: RecordFlags
        /// It lives and has INVITEs that are not over.
        public var isPending: Bool
        /// When the dialog's time is up; `nil` while it has no deadline, and for a tombstone.
        public var deadline: Instant?
        public var changedAt: Instant

        init(_ entry: Entry) {
            state = entry.state
            flags = entry.flags
            isPending = entry.hasPendings && entry.state != .deleted
            deadline =
                entry.deadline == .max ? nil : entry.birth.advanced(milliseconds: Int64(clamping: entry.deadline))
            changedAt = entry.changedAt
        }
    }

    public func glance(_ did: DialogID) -> Glance? { entry(did).map { Glance($0) } }

    /// The same, and the record where it lies, as `view` gives it.
    public func look<R>(_ did: DialogID, _ body: (Glance, RecordView, [UInt8]) -> R) -> R? {
        guard let entry = entry(did) else { return nil }
        let stored = blobs.location(entry.blob)
        return body(Glance(entry), RecordView(stored.bytes, stored.range), stored.bytes)
    }
}
