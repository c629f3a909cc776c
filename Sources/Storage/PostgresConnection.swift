// PostgresConnection is one connection of libpq, which is asked one statement at a time and waits for its answer. It
// gives up rather than wait for ever: 2 s for a connection, 5 s for an answer, whoever keeps it: the network, a lock,
// or a server that is stopped and whose kernel still takes what it is sent. A connection that was given up is not used
// again: what it was asked last may have been done.
//
// Nothing in it blocks but `poll`, which has a limit; a name of a host that nobody resolves is the one exception.
//
// Values go and come as text: of a batch the hexadecimal digits of its records, a megabyte at most.

import CPostgres
import CSockets
import Glibc

@safe
final class PostgresConnection {
    private static let connectMilliseconds: Int64 = 2_000
    private static let answerMilliseconds: Int64 = 5_000
    private static let parameters = [
        ("tcp_user_timeout", "5000"), ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "2"),
        ("client_encoding", "UTF8"), ("fallback_application_name", "understudy"),
    ]

    private let handle: OpaquePointer
    private var isGivenUp = false
    /// It was given up for want of an answer.
    private(set) var isSilent = false

    /// - Parameter url: As libpq has it, `postgres://user@host/database`.
    init(_ url: String) throws(StorageError) {
        let names = ["dbname"] + Self.parameters.map(\.0)
        let values = [url] + Self.parameters.map(\.1)
        // Sound: both arrays end in nil and are lent for the call; libpq copies what it keeps.
        let opened = unsafe Self.withTexts(names) { names in
            unsafe Self.withTexts(values) { values in unsafe PQconnectStartParams(names, values, 1) }
        }
        guard let opened = unsafe opened else { throw StorageError("no memory for a connection") }
        unsafe handle = opened
        try connect(until: Self.milliseconds + Self.connectMilliseconds)
        guard unsafe PQsetnonblocking(handle, 1) == 0 else {
            throw StorageError(unsafe Self.sentence(PQerrorMessage(handle)), isAway: true)
        }
        // The server gives up a little before we do, and tells why.
        _ = try run("SET statement_timeout = 4500; SET client_min_messages = warning", [])
    }

    deinit { unsafe PQfinish(handle) }

    /// The connection has not been lost.
    var isUsable: Bool { unsafe !isGivenUp && PQstatus(handle) == CONNECTION_OK }

    private func connect(until end: Int64) throws(StorageError) {
        var wanted = PGRES_POLLING_WRITING
        while wanted != PGRES_POLLING_OK {
            guard unsafe wanted != PGRES_POLLING_FAILED && PQstatus(handle) != CONNECTION_BAD else {
                throw StorageError(unsafe Self.sentence(PQerrorMessage(handle)), isAway: true)
            }
            guard wait(toWrite: wanted == PGRES_POLLING_WRITING, until: end) else {
                throw StorageError("no connection within \(Self.connectMilliseconds / 1_000) s", isAway: true)
            }
            unsafe wanted = PQconnectPoll(handle)
        }
    }

    /// One statement, or with no values several; rows of texts, `nil` for NULL.
    func run(_ sql: String, _ values: [String?]) throws(StorageError) -> [[String?]] {
        let end = Self.milliseconds + Self.answerMilliseconds
        // Sound: as many texts as said, lent for the call.
        let isSent = unsafe Self.withTexts(values) { texts in
            unsafe values.isEmpty
                ? PQsendQuery(handle, sql)
                : PQsendQueryParams(handle, sql, Int32(values.count), nil, texts, nil, nil, 0)
        }
        guard isSent == 1 else { throw lost() }
        try flush(until: end)
        var (rows, failure): ([[String?]], StorageError?) = ([], nil)
        while let result = unsafe try nextResult(until: end) {
            defer { unsafe PQclear(result) }
            switch unsafe PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: unsafe rows = Self.rows(of: result)
            default:
                failure = failure ?? StorageError(unsafe Self.sentence(PQresultErrorMessage(result)))
            }
        }
        if let failure { throw failure }
        return rows
    }

    /// Several, all of them or none.
    func transaction<R>(
        _ body: (PostgresConnection) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        _ = try run("BEGIN", [])
        do throws(StorageError) {
            let result = try body(self)
            _ = try run("COMMIT", [])
            return result
        } catch {
            // Where that fails, too, the connection goes, and the transaction with it.
            if isUsable, (try? run("ROLLBACK", [])) == nil { isGivenUp = true }
            throw error
        }
    }

    // MARK: Waiting

    private func flush(until end: Int64) throws(StorageError) {
        while true {
            let left = unsafe PQflush(handle)
            if left == 0 { return }
            guard left > 0 else { throw lost() }
            guard wait(toWrite: true, until: end) else { throw late() }
            // What the server says meanwhile must be taken, else neither side goes on.
            guard unsafe PQconsumeInput(handle) == 1 else { throw lost() }
        }
    }

    /// - Returns: `nil` when there are no more. Its owner frees it.
    private func nextResult(until end: Int64) throws(StorageError) -> OpaquePointer? {
        while unsafe PQisBusy(handle) == 1 {
            guard wait(toWrite: false, until: end) else { throw late() }
            guard unsafe PQconsumeInput(handle) == 1 else { throw lost() }
        }
        return unsafe PQgetResult(handle)
    }

    /// Whether the socket can be read, or as asked written, before the end.
    private func wait(toWrite: Bool, until end: Int64) -> Bool {
        while true {
            let left = end - Self.milliseconds
            guard left > 0 else { return false }
            let events = Int16(toWrite ? POLLIN | POLLOUT : POLLIN)
            var entry = pollfd(fd: unsafe PQsocket(handle), events: events, revents: 0)
            // Sound: one pollfd, lent for the call.
            let ready = unsafe csys_poll(&entry, 1, left * 1_000_000)
            if ready > 0 { return true }
            if ready < 0, -ready != EINTR { return false }
        }
    }

    private func late() -> StorageError {
        (isGivenUp, isSilent) = (true, true)
        return StorageError("no answer within \(Self.answerMilliseconds / 1_000) s", isAway: true)
    }

    private func lost() -> StorageError {
        isGivenUp = true
        return StorageError(unsafe Self.sentence(PQerrorMessage(handle)), isAway: true)
    }

    /// Of a clock that nobody sets.
    static var milliseconds: Int64 {
        let now = ContinuousClock.now
        return Int64(start.duration(to: now) / .milliseconds(1))
    }

    private static let start = ContinuousClock.now

    // MARK: Texts

    private static func rows(of result: OpaquePointer) -> [[String?]] {
        let (rows, columns) = unsafe (PQntuples(result), PQnfields(result))
        return (0..<rows).map { row in
            (0..<columns).map { column in
                unsafe PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
    }

    /// The first line of what libpq says, without what it begins every one with.
    private static func sentence(_ message: UnsafeMutablePointer<CChar>?) -> String {
        guard let message = unsafe message else { return "PostgreSQL says nothing" }
        let line = unsafe String(cString: message).split(separator: "\n").first.map(String.init) ?? ""
        let plain = line.replacing("ERROR:  ", with: "").replacing("FATAL:  ", with: "")
        return plain.isEmpty ? "PostgreSQL says nothing" : plain
    }

    /// Lends an array of C strings, with a nil at its end.
    private static func withTexts<R>(
        _ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R
    ) -> R {
        // Sound: each is freed below, after the last use.
        let copies = unsafe texts.map { text in unsafe text.flatMap { unsafe strdup($0) } }
        defer { unsafe copies.forEach { unsafe free($0) } }
        let pointers = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
    }
}
