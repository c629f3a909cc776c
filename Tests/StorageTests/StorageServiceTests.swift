// The thread between a node and its database: order, failures and the end.

import Dialogs
import Glibc
import Node
import Storage
import Synchronization
import Testing

@Suite("The storage's thread")
struct StorageServiceTests {
    /// Remembers what was asked, and fails on demand.
    private final class Database: RecordDatabase {
        let written = Mutex<[UInt64]>([])
        let isBroken = Mutex(false)
        let isHanging = Atomic<Bool>(false)

        func check() throws(StorageError) {
            if isBroken.withLock({ $0 }) { throw StorageError("broken") }
        }

        func knownUntil(before start: Int64) throws(StorageError) -> Int64 {
            try check()
            return 7
        }
        func write(_ batch: StorageBatch, by writer: String, at now: Int64) throws(StorageError) -> ModuleLoss {
            while isHanging.load(ordering: .relaxed) { sched_yield() }
            try check()
            written.withLock { $0.append(batch.number) }
            return ModuleLoss()
        }
        func records(after did: DialogID?, limit: Int, since: Int64, now: Int64) throws(StorageError) -> [StoredRecord]
        {
            try check()
            return [DatabaseChecks.record(1)]
        }
        func moduleRows(after last: Int64, limit: Int, now: Int64) throws(StorageError) -> ModulePage {
            try check()
            var page = ModulePage()
            page.readAt = last
            return page
        }
        func holdBack(since: Int64) throws(StorageError) -> Int {
            try check()
            return 3
        }
        func due(limit: Int, now: Int64) throws(StorageError) -> (records: [StoredRecord], heldBack: Int) {
            try check()
            return ([], 3)
        }
        func record(_ did: DialogID, now: Int64) throws(StorageError) -> StoredRecord? {
            try check()
            return nil
        }
        func empty() throws(StorageError) { try check() }
    }

    private final class Outcomes: Sendable {
        let all = Mutex<[StorageOutcome]>([])
        /// Nobody is there for the first so many.
        let absent = Atomic<Int>(0)

        func take(_ outcome: StorageOutcome) -> Bool {
            if absent.load(ordering: .relaxed) > 0 {
                absent.subtract(1, ordering: .relaxed)
                return false
            }
            all.withLock { $0.append(outcome) }
            return true
        }
    }

    private static let actions: [StorageAction] = [
        .read(after: nil, limit: 1, since: 0), .read(after: nil, limit: 2, since: 0), .holdBack(since: 0),
        .readModule(after: 5, limit: 1), .readDue(limit: 1), .find(DialogID(rawValue: 1)), .empty, .open,
        .write(StorageBatch(number: 4)),
    ]

    @Test(.timeLimit(.minutes(1)))
    func `each action ends in one outcome, in order, and the end waits for all of them`() throws {
        let (database, outcomes) = (Database(), Outcomes())
        outcomes.absent.store(2, ordering: .relaxed)
        let service = try StorageService(database, writer: "n1", clock: { 0 }, deliver: outcomes.take)
        service.perform(Self.actions)
        while outcomes.all.withLock({ $0.count }) < Self.actions.count { sched_yield() }
        #expect(service.stop(within: 60_000) && service.stop(within: 60_000))
        let record = DatabaseChecks.record(1)
        var page = ModulePage()
        page.readAt = 5
        #expect(
            outcomes.all.withLock { $0 } == [
                .read([record], isLast: false), .read([record], isLast: true), .heldBack(3), .moduleRows(page),
                .due([], heldBack: 3),
                .found(nil), .emptied, .opened(knownUntil: 7), .written(4),
            ])
        #expect(database.written.withLock { $0 } == [4])
    }

    @Test func `what fails is told as what was asked, and not tried again here`() throws {
        let (database, outcomes) = (Database(), Outcomes())
        database.isBroken.withLock { $0 = true }
        let service = try StorageService(database, writer: "n1", clock: { 0 }, deliver: outcomes.take)
        service.perform(Self.actions)
        while outcomes.all.withLock({ $0.count }) < Self.actions.count { sched_yield() }
        let failed = StorageOutcome.failed(why: "broken")
        #expect(
            outcomes.all.withLock { $0 } == [
                failed, failed, failed, failed, failed, .notFound(why: "broken"), failed, failed,
                .notWritten(4, why: "broken"),
            ])
    }

    @Test func `look-ups beyond the limit count as not found`() throws {
        let (database, outcomes) = (Database(), Outcomes())
        let service = try StorageService(database, writer: "n1", clock: { 0 }, deliver: outcomes.take)
        let finds = (1...StorageService.findLimit + 5).map { StorageAction.find(DialogID(rawValue: UInt64($0))) }
        service.perform(finds)
        while outcomes.all.withLock({ $0.count }) < StorageService.findLimit + 1 { sched_yield() }
        let all = outcomes.all.withLock { $0 }
        #expect(all.count { $0 == .found(nil) } == StorageService.findLimit)
        #expect(all.count { $0 == .notFound(why: "too many are looked for", count: 5) } == 1)
    }

    @Test(.timeLimit(.minutes(1)))
    func `the end writes what was asked, reads nothing, and waits for no database that hangs`() throws {
        let (database, outcomes) = (Database(), Outcomes())
        let service = try StorageService(database, writer: "n1", clock: { 0 }, deliver: outcomes.take)
        database.isHanging.store(true, ordering: .relaxed)
        service.perform([.write(StorageBatch(number: 1))])
        service.perform([.find(DialogID(rawValue: 1)), .write(StorageBatch(number: 2))])
        #expect(!service.stop(within: 50))
        database.isHanging.store(false, ordering: .relaxed)
        #expect(service.stop(within: 60_000))
        #expect(database.written.withLock { $0 } == [1, 2])
        #expect(outcomes.all.withLock { $0.allSatisfy { $0 != .found(nil) } })
    }
}
