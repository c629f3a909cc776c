// A node's notes as log lines: constant sentences with metadata (swift-log, standard output).
//
// Notes come on the SIP thread, which must not wait for a slow disk or a full pipe, so a line is handed to a task of
// its own through a queue of `queueLimit` lines; when that is full the newest is dropped and counted, and the count is
// a line later.

import Logging
import Node
import Synchronization

final class NodeLog: Sendable {
    static let queueLimit = 4_096

    let logger: Logger
    private let lines: AsyncStream<Note>.Continuation
    private let writer: Task<Void, Never>
    private let state = Mutex<State>(State())

    private struct State: Sendable {
        var dropped = 0
        var lastError: String?
    }

    init(node: String, level: Logger.Level) {
        var logger = Logger(label: "understudy", factory: { StreamLogHandler.standardOutput(label: $0) })
        logger.logLevel = level
        logger[metadataKey: "node"] = "\(node)"
        self.logger = logger
        let (stream, continuation) = AsyncStream<Note>.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        lines = continuation
        writer = Task { [logger] in
            for await note in stream { Self.write(note, to: logger) }
        }
    }

    /// The last line of level error, for the sentence a process ends with.
    var lastError: String? { state.withLock { $0.lastError } }

    /// Never waits.
    func write(_ note: Note) {
        let dropped = state.withLock { state in
            if note.level == .error { state.lastError = Self.sentence(note) }
            defer { state.dropped = 0 }
            return state.dropped
        }
        if dropped > 0 {
            deliver(Note(.warning, "log lines were dropped", [("count", String(dropped))]), counting: dropped)
        }
        deliver(note, counting: 1)
    }

    private func deliver(_ note: Note, counting count: Int) {
        if case .dropped = lines.yield(note) { state.withLock { $0.dropped += count } }
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

    private static func write(_ note: Note, to logger: Logger) {
        let level: Logger.Level =
            switch note.level {
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            }
        var metadata: Logger.Metadata = [:]
        for (name, value) in note.metadata { metadata[name] = "\(value)" }
        logger.log(level: level, "\(note.message)", metadata: metadata)
    }
}
