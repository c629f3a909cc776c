// StorageService does what a node asks of its storage, on a thread of its own, in the order asked.
//
//   SIP thread ──perform──▶ queue ──▶ database ──▶ deliver(outcome) ──▶ SIP thread, between two turns
//
// Nothing on the SIP thread waits for it. The node has one batch and one read out at a time, so the queue holds those
// two, and look-ups of single dialogs, `findLimit` at most: beyond it a dialog counts as not there. How long to wait
// after a failure is the node's decision; here nothing is tried twice.
//
// Who ends it waits for what was to be written, `stopMilliseconds` at most: a database that answers late, or never,
// holds up no end of the process. The thread is left behind then, and its process ends under it.

package import Nanomsg
package import Node
import Synchronization

package final class StorageService: Sendable {
    package static let findLimit = 256
    package static let stopMilliseconds: Int64 = 1_000
    /// While there is nobody yet to be told.
    private static let deliveryMilliseconds: Int64 = 10

    private struct State: Sendable {
        /// With the moment of each, Unix milliseconds.
        var actions: [(action: StorageAction, at: Int64)] = []
        var finds = 0
        /// Look-ups that there was no room for.
        var refused = 0
        var isStopping = false
    }

    private final class Core: Sendable {
        let database: any RecordDatabase
        let writer: String
        let clock: @Sendable () -> Int64
        let deliver: @Sendable (StorageOutcome) -> Bool
        let start: Int64
        let signal = Signal()
        /// The thread has ended.
        let ended = Signal()
        let state = Mutex(State())

        init(
            _ database: any RecordDatabase, _ writer: String, _ clock: @escaping @Sendable () -> Int64,
            _ deliver: @escaping @Sendable (StorageOutcome) -> Bool
        ) {
            start = clock()
            self.database = database
            self.writer = writer
            self.clock = clock
            self.deliver = deliver
        }

        func run() {
            defer { ended.kick() }
            while true {
                signal.clear()
                let (actions, refused, isStopping) = state.withLock { state in
                    defer { (state.actions, state.refused, state.finds) = ([], 0, 0) }
                    return (state.actions, state.refused, state.isStopping)
                }
                if refused > 0 { tell(.notFound(why: "too many are looked for", count: refused)) }
                for (action, at) in actions {
                    // At the end what is to be written is; nobody waits for what is read.
                    if !action.isWrite, state.withLock({ $0.isStopping }) { continue }
                    tell(outcome(of: action, at: at))
                }
                guard actions.isEmpty, refused == 0 else { continue }
                if isStopping { return }
                signal.wait(milliseconds: 60_000)
            }
        }

        private func tell(_ outcome: StorageOutcome) {
            // The thread of the node may not have been named yet when its first turn has asked already.
            while !deliver(outcome) {
                if state.withLock({ $0.isStopping }) { return }
                signal.wait(milliseconds: StorageService.deliveryMilliseconds)
            }
        }

        private func outcome(of action: StorageAction, at: Int64) -> StorageOutcome {
            do throws(StorageError) {
                return try done(action, at: at)
            } catch {
                let why = error.description
                switch action {
                case .write(let batch): return .notWritten(batch.number, why: why)
                case .find: return .notFound(why: why)
                case .open, .read, .holdBack, .readModule, .readDue, .empty: return .failed(why: why)
                }
            }
        }

        private func done(_ action: StorageAction, at: Int64) throws(StorageError) -> StorageOutcome {
            switch action {
            case .open:
                try database.check()
                return .opened(knownUntil: try database.knownUntil(before: start))
            case .write(let batch):
                let loss = try database.write(batch, by: writer, at: at)
                return .written(batch.number, loss)
            case .read(let last, let limit, let since):
                let records = try database.records(after: last, limit: limit, since: since, now: clock())
                return .read(records, isLast: records.count < limit)
            case .holdBack(let since): return .heldBack(try database.holdBack(since: since))
            case .readModule(let last, let limit):
                return .moduleRows(try database.moduleRows(after: last, limit: limit, now: clock()))
            case .readDue(let limit):
                let (records, heldBack) = try database.due(limit: limit, now: clock())
                return .due(records, heldBack: heldBack)
            case .find(let did): return .found(try database.record(did, now: clock()))
            case .empty:
                try database.empty()
                return .emptied
            }
        }
    }

    private let core: Core
    private let thread: WorkerThread

    /// - Parameters:
    ///   - writer: Whose rows they are: the node's name.
    ///   - clock: Unix milliseconds.
    ///   - deliver: Gets each outcome, on the service's thread, which it may block; answers whether somebody took it,
    ///     and is called again when nobody did.
    package init(
        _ database: any RecordDatabase, writer: String, clock: @escaping @Sendable () -> Int64,
        deliver: @escaping @Sendable (StorageOutcome) -> Bool
    ) throws(NanomsgError) {
        let core = Core(database, writer, clock, deliver)
        self.core = core
        thread = try WorkerThread(name: "storage") { core.run() }
    }

    deinit { stop() }

    /// Never waits.
    package func perform(_ actions: [StorageAction]) {
        let now = core.clock()
        core.state.withLock { state in
            for action in actions {
                if case .find = action {
                    guard state.finds < Self.findLimit else {
                        state.refused += 1
                        continue
                    }
                    state.finds += 1
                }
                state.actions.append((action, now))
            }
        }
        core.signal.kick()
    }

    /// Writes what was asked, and ends. Blocks for as long, and no longer than `milliseconds`.
    /// - Returns: Whether it has ended.
    @discardableResult
    package func stop(within milliseconds: Int64 = StorageService.stopMilliseconds) -> Bool {
        core.state.withLock { $0.isStopping = true }
        core.signal.kick()
        guard core.ended.wait(milliseconds: milliseconds) else { return false }
        // For whoever asks again.
        core.ended.kick()
        thread.join()
        return true
    }
}
