// What a node and its storage say to each other. Rows go out in batches and come back at the start; each action ends in
// exactly one outcome, and the node never waits for it.
//
//   changed records ──RecordLedger──▶ write ──▶ written │ notWritten      one batch at a time
//   the start       ──StorageState──▶ open ──▶ opened                     where it was not there at the start
//   the first view  ──StorageState──▶ read, page by page ──▶ read         what the disk had of live dialogs
//                                     holdBack ──▶ heldBack               what is not believed (R5)
//                                     readModule ──▶ moduleRows           what a Kamailio has left
//                                     readDue ──▶ due                     of that, what has come to its end
//   a request for a dialog that nobody has ──▶ find ──▶ found             of that, what somebody still talks about
//
// The wall clock is the shell's: it stamps what it writes, and adds to an age what has passed since. This is the one
// place where clocks of different hosts and boots are compared.

package import Dialogs

/// One record, byte for byte, with what does not stand in it: how old its dialog is.
package struct StoredRecord: Equatable, Sendable {
    package var did: DialogID
    package var record: [UInt8]
    /// The dialog's age, milliseconds, when the record was handed over.
    package var ageMilliseconds: Int64
    /// From then to its deadline; not above 0 when that had passed, `nil` without one.
    package var remainingMilliseconds: Int64?
    /// It was saved when the clock was further than it is now: how long it lay nobody knows.
    package var isAhead = false

    package init(did: DialogID, record: [UInt8], ageMilliseconds: Int64, remainingMilliseconds: Int64? = nil) {
        self.did = did
        self.record = record
        self.ageMilliseconds = ageMilliseconds
        self.remainingMilliseconds = remainingMilliseconds
    }
}

/// What is written in one transaction.
package struct StorageBatch: Equatable, Sendable {
    package var number: UInt64
    package var records: [StoredRecord] = []
    /// Rows that go.
    package var removed: [DialogID] = []
    /// For how long the oldest change has waited that is not in it: until then, after it, the storage knows all.
    package var lagMilliseconds: Int64 = 0

    package init(number: UInt64) { self.number = number }
}

/// Rows of a module's tables, in the order of their numbers.
package struct ModulePage: Equatable, Sendable {
    package var rows: [ModuleRow] = []
    /// Rows that no `ModuleRow` could be made of.
    package var unreadable = 0
    /// The number of the last row; `nil` for an empty page.
    package var last: Int64?
    package var isLast = false
    /// When they were read, Unix milliseconds.
    package var readAt: Int64 = 0

    package init() {}
}

package enum StorageAction: Equatable, Sendable {
    /// Find out until when it knows all.
    case open
    case write(StorageBatch)
    /// The next rows in the order of dids, of writers who knew all at `since` or later, in Unix milliseconds.
    case read(after: DialogID?, limit: Int, since: Int64)
    /// Rows of other writers are not believed until somebody asks for them.
    case holdBack(since: Int64)
    /// The next rows of a module's tables, after the one of that number.
    case readModule(after: Int64, limit: Int)
    /// Rows held back whose deadline has passed.
    case readDue(limit: Int)
    /// One row, held back or not.
    case find(DialogID)
    /// Rows that were read go: they are written again at the end.
    case empty

    /// It tells the storage something.
    package var isWrite: Bool {
        switch self {
        case .write, .holdBack, .empty: true
        case .open, .read, .readModule, .readDue, .find: false
        }
    }
}

package enum StorageOutcome: Equatable, Sendable {
    case opened(knownUntil: Int64)
    /// - Parameter loss: What the tables of a module had no room for.
    case written(UInt64, ModuleLoss = ModuleLoss())
    case notWritten(UInt64, why: String)
    case read([StoredRecord], isLast: Bool)
    case heldBack(Int)
    case moduleRows(ModulePage)
    /// What is due, and how many rows are held back, these among them.
    case due([StoredRecord], heldBack: Int)
    case found(StoredRecord?)
    /// It could not be looked for.
    case notFound(why: String, count: Int = 1)
    case emptied
    /// What else was asked could not be done.
    case failed(why: String)
}
