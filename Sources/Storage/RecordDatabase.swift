// RecordDatabase is what each kind of database does for the service: whole transactions, blocking, on the service's
// thread. Every call either did all of it or throws and did nothing.
//
// Moments are Unix milliseconds of this host's clock.

package import Dialogs
package import Node

package protocol RecordDatabase: Sendable {
    /// The tables are there, and of this program's version.
    func check() throws(StorageError)

    /// Until when whoever wrote here last had written all that it knew; 0 when nobody has.
    /// - Parameter start: When this process began: what others have written since is of the cluster that it is part of.
    func knownUntil(before start: Int64) throws(StorageError) -> Int64

    /// - Parameter now: When the batch was made.
    /// - Returns: What the tables of a module had no room for.
    @discardableResult
    func write(_ batch: StorageBatch, by writer: String, at now: Int64) throws(StorageError) -> ModuleLoss

    /// Rows that are believed, in the order of their dids, of writers who knew all at `since` or later. Ages and
    /// remaining times are told for `now`.
    func records(after did: DialogID?, limit: Int, since: Int64, now: Int64) throws(StorageError) -> [StoredRecord]

    /// Rows of other writers are held back from now on.
    /// - Returns: How many rows are.
    func holdBack(since: Int64) throws(StorageError) -> Int

    /// Rows of a module's tables after the one of that number; none where there are no such tables.
    func moduleRows(after last: Int64, limit: Int, now: Int64) throws(StorageError) -> ModulePage

    /// Rows held back whose deadline has passed, and how many are held back.
    func due(limit: Int, now: Int64) throws(StorageError) -> (records: [StoredRecord], heldBack: Int)

    func record(_ did: DialogID, now: Int64) throws(StorageError) -> StoredRecord?

    /// Deletes what is not held back.
    func empty() throws(StorageError)
}

extension StoredRecord {
    /// A row: what has passed since it was saved is added to its age. A clock that was set back adds nothing.
    init(did: Int64, record: [UInt8], age: Int64, saved: Int64, deadline: Int64?, now: Int64) {
        let passed = max(0, now &- saved)
        self.init(
            did: DialogID(rawValue: UInt64(bitPattern: did)), record: record,
            ageMilliseconds: max(0, age).addingReportingOverflow(passed).partialValue,
            remainingMilliseconds: deadline.map { $0 &- now })
        isAhead = saved > now
    }
}
