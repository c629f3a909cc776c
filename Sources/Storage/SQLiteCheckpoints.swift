// SQLiteCheckpoints moves what stands in an SQLite file's write-ahead log into the file, by a connection and a thread
// of its own: that waits for the disk, tens of milliseconds, and a batch that waited with it would be as late.
//
//   writer ──wrote──▶ (every `interval` records) ──kick──▶ thread: checkpoint ──the log is empty──▶ begun anew
//                                                                └── it is not, and `longest` ──▶ writer: the rest
//
// A log to which is written meanwhile is never quite empty, and only an empty one is begun anew. So one that has become
// long the writer empties itself, when the thread has just left it little to do.
//
// Limit: about `longest` pages of log, 64 MiB.

import GRDB
import Nanomsg
import Synchronization

final class SQLiteCheckpoints: Sendable {
    /// Records between two checkpoints: of the pages that they have changed, most more than once.
    static let interval = 4_096
    /// Pages of log that are too many.
    static let longest = 16_384

    private struct State: Sendable {
        var records = 0
        var isTooLong = false
        var isStopping = false
    }

    private final class Core: Sendable {
        let queue: DatabaseQueue
        let signal = Signal()
        let state = Mutex(State())

        init(_ queue: DatabaseQueue) { self.queue = queue }

        func run() {
            while true {
                signal.wait(milliseconds: 60_000)
                signal.clear()
                if state.withLock({ $0.isStopping }) { return }
                do {
                    let log = try queue.writeWithoutTransaction { try $0.checkpoint(.passive) }
                    let isTooLong =
                        log.walFrameCount >= SQLiteCheckpoints.longest
                        && log.checkpointedFrameCount < log.walFrameCount
                    state.withLock { $0.isTooLong = isTooLong }
                } catch {
                    // Another process has the lock for it, or the disk is full: the next records ask again.
                    continue
                }
            }
        }
    }

    private let core: Core
    private let thread: WorkerThread

    init(file: String, _ configuration: GRDB.Configuration) throws {
        core = Core(try DatabaseQueue(path: file, configuration: configuration))
        thread = try WorkerThread(name: "checkpoints") { [core] in core.run() }
    }

    deinit {
        core.state.withLock { $0.isStopping = true }
        core.signal.kick()
        thread.join()
    }

    /// The writer has written so many records.
    /// - Returns: Whether it is to empty the log itself.
    func wrote(_ records: Int) -> Bool {
        let (isDue, isTooLong) = core.state.withLock { state in
            state.records += records
            let isDue = state.records >= Self.interval
            if isDue { state.records = 0 }
            defer { state.isTooLong = false }
            return (isDue, state.isTooLong)
        }
        if isDue { core.signal.kick() }
        return isTooLong
    }
}
