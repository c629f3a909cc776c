// LineFile appends lines to a file on a thread of its own, in the order given, and says which of them are in it: what
// the kernel has taken survives the end of this process, and with `syncs` that of the host.
//
//   SIP thread ──append──▶ queue (bounded) ──▶ open, write, (fdatasync,) close ──▶ written(tags)
//                             └ full: refused, counted: nobody confirms, so the event is told again
//
// The file is opened anew for each batch, so it may be moved away at any time, as log rotation does. What cannot be
// written is tried again for as long as the thread runs; meanwhile the queue fills, and then refuses.
//
// Limit: `lineLimit` lines that wait; a batch of 256 lines.

import Glibc
package import Nanomsg
import Synchronization

package final class LineFile<Tag: Sendable>: Sendable {
    package static var lineLimit: Int { 65_536 }
    private static var batchLimit: Int { 256 }
    private static var retryMilliseconds: Int64 { 1_000 }

    package struct Counters: Equatable, Sendable {
        package var written: UInt64 = 0
        /// Lines that found no room.
        package var refused: UInt64 = 0
        /// Attempts to write that failed.
        package var failures: UInt64 = 0
        package var waiting = 0
        /// Of the last failure; 0 when the last attempt succeeded.
        package var errno: Int32 = 0

        package init() {}
    }

    private struct State: Sendable {
        var lines: [(bytes: [UInt8], tag: Tag)] = []
        var counters = Counters()
        var isStopping = false
    }

    /// What the thread and its owner share.
    private final class Core: Sendable {
        let path: String
        let syncs: Bool
        let signal = Signal()
        let state = Mutex(State())
        let written: @Sendable ([Tag]) -> Void

        init(_ path: String, syncs: Bool, _ written: @escaping @Sendable ([Tag]) -> Void) {
            self.path = path
            self.syncs = syncs
            self.written = written
        }

        func run() {
            while true {
                signal.clear()
                let (batch, isStopping) = state.withLock {
                    (Array($0.lines.prefix(LineFile.batchLimit)), $0.isStopping)
                }
                if batch.isEmpty {
                    if isStopping { return }
                    signal.wait(milliseconds: 60_000)
                    continue
                }
                let failure = append(batch.flatMap(\.bytes))
                state.withLock { state in
                    state.counters.errno = failure
                    if failure == 0 {
                        state.lines.removeFirst(batch.count)
                        state.counters.written += UInt64(batch.count)
                    } else {
                        state.counters.failures += 1
                    }
                }
                if failure == 0 {
                    written(batch.map(\.tag))
                } else if isStopping {
                    return
                } else {
                    signal.wait(milliseconds: LineFile.retryMilliseconds)
                }
            }
        }

        /// - Returns: 0, or why not. A batch that was cut short is written whole again, after a line's end.
        private func append(_ bytes: [UInt8]) -> Int32 {
            let file = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
            guard file >= 0 else { return Glibc.errno }
            defer { close(file) }
            var offset = 0
            while offset < bytes.count {
                // Sound: the bytes are lent for the call, and the count is what is left of them.
                let count = unsafe bytes.withUnsafeBytes {
                    unsafe write(file, $0.baseAddress?.advanced(by: offset), bytes.count - offset)
                }
                if count < 0, Glibc.errno == EINTR { continue }
                guard count >= 0 else {
                    let failure = Glibc.errno
                    if offset > 0 { _ = unsafe write(file, "\n", 1) }
                    return failure
                }
                offset += count
            }
            return syncs && fdatasync(file) != 0 ? Glibc.errno : 0
        }
    }

    private let core: Core
    private let thread: WorkerThread

    /// - Parameters:
    ///   - syncs: A line counts as written when the disk has it.
    ///   - written: Gets the tags of lines that are in the file, on the thread of this file.
    package init(
        path: String, syncs: Bool = false, written: @escaping @Sendable ([Tag]) -> Void
    ) throws(NanomsgError) {
        let core = Core(path, syncs: syncs, written)
        self.core = core
        thread = try WorkerThread(name: "lines") { core.run() }
    }

    deinit { stop() }

    /// Never waits.
    /// - Parameter line: Without its end.
    /// - Returns: Whether there was room.
    @discardableResult
    package func append(_ line: [UInt8], _ tag: Tag) -> Bool {
        let hasRoom = core.state.withLock { state in
            guard state.lines.count < Self.lineLimit, !state.isStopping else {
                state.counters.refused += 1
                return false
            }
            state.lines.append((line + [10], tag))
            return true
        }
        if hasRoom { core.signal.kick() }
        return hasRoom
    }

    package var counters: Counters {
        core.state.withLock { state in
            var counters = state.counters
            counters.waiting = state.lines.count
            return counters
        }
    }

    /// Writes what waits, if it can be written, and ends. Blocks for as long.
    package func stop() {
        core.state.withLock { $0.isStopping = true }
        core.signal.kick()
        thread.join()
    }
}
