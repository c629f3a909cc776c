// A node's notes as log lines on standard output (`LogLine`). The level can be changed while the node runs.
//
// Notes come on the SIP thread, which must not wait for a slow disk or a full pipe, so a line is handed to a task of
// its own through a queue of `queueLimit` lines; when that is full the newest is dropped and counted, and the count is
// a line later. One kind of line that comes again and again is written once, then once a minute with how often it came
// (`LogRepeats`), so that whoever floods a node does not flood its log.

import Foundation
import Logging
import Management
import Node
import Synchronization
import Transports

final class NodeLog: Sendable {
    static let queueLimit = 4_096

    /// For the shells that log by themselves; they have nothing to say that is not told otherwise.
    let logger = Logger(label: "understudy", factory: { _ in SwiftLogNoOpLogHandler() })
    /// By the command line: the configuration has no say.
    let isLevelGiven: Bool
    private let node: String
    private let format: LogLine.Format
    private let lines: AsyncStream<LogLine>.Continuation
    private let writer: Task<Void, Never>
    private let state: Mutex<State>

    private struct State: Sendable {
        var level: NoteLevel
        var dropped = 0
        var lastError: String?
        var repeats = LogRepeats()
    }

    /// - Parameter given: The level that the command line names; without one the configuration's.
    init(node: String, given: NoteLevel?, configured: NoteLevel?, format: LogLine.Format) {
        self.node = node
        isLevelGiven = given != nil
        let format = format == .auto ? Self.isJournal ? .journal : .text : format
        self.format = format
        state = Mutex(State(level: given ?? configured ?? .info))
        let (stream, continuation) = AsyncStream<LogLine>.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        lines = continuation
        writer = Task { for await line in stream { Console.print(line.text(format)) } }
    }

    /// Standard output goes to the journal when the two are one file (systemd.exec(5), $JOURNAL_STREAM).
    private static var isJournal: Bool {
        guard let named = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] else { return false }
        let output = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/1")
        return named.split(separator: ":").last.map { output == "socket:[\($0)]" } ?? false
    }

    var level: NoteLevel {
        get { state.withLock { $0.level } }
        set { state.withLock { $0.level = newValue } }
    }

    /// The last line of level error, for the sentence a process ends with.
    var lastError: String? { state.withLock { $0.lastError } }

    /// Never waits.
    func write(_ note: Note) {
        let now = BootClock.unixMilliseconds
        let wanted = state.withLock { state -> [Note] in
            if note.level == .error { state.lastError = Self.sentence(note) }
            guard note.level >= state.level else { return [] }
            var notes = state.repeats.take(note, now: now)
            if state.dropped > 0 {
                notes.insert(Note(.warning, "log lines were dropped", [("count", String(state.dropped))]), at: 0)
                state.dropped = 0
            }
            return notes
        }
        for note in wanted { deliver(note, now) }
    }

    /// Tells what was left out of kinds that have fallen silent; called now and then.
    func tellRepeats() {
        let now = BootClock.unixMilliseconds
        for note in state.withLock({ $0.repeats.settle(now: now) }) { deliver(note, now) }
    }

    private func deliver(_ note: Note, _ now: Int64) {
        let line = LogLine(unixMilliseconds: now, node: node, note: note)
        if case .dropped = lines.yield(line) { state.withLock { $0.dropped += 1 } }
    }

    /// Writes what is queued; nothing after this is written.
    func finish() async {
        lines.finish()
        await writer.value
    }

    private static func sentence(_ note: Note) -> String {
        let details = note.metadata.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        return details.isEmpty ? note.message : "\(note.message) (\(details))"
    }
}
