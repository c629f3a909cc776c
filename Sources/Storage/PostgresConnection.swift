// PostgresConnection is one connection of libpq, which is asked one statement at a time and waits for its answer. It
// gives up rather than wait for ever: 2 s for a connection, 5 s for an answer that does not come, be it the server's
// or the network's doing.
//
// Values go and come as text: of a batch the hexadecimal digits of its records, a megabyte at most.

import CPostgres
import Glibc

@safe
final class PostgresConnection {
    private static let patience = [
        ("connect_timeout", "2"), ("tcp_user_timeout", "5000"), ("keepalives_idle", "5"), ("keepalives_interval", "2"),
        ("keepalives_count", "2"), ("client_encoding", "UTF8"), ("fallback_application_name", "understudy"),
    ]

    private let handle: OpaquePointer

    /// - Parameter url: As libpq has it, `postgres://user@host/database`.
    init(_ url: String) throws(StorageError) {
        let names = ["dbname"] + Self.patience.map(\.0)
        let values = [url] + Self.patience.map(\.1)
        // Sound: both arrays end in nil and are lent for the call; libpq copies what it keeps.
        let opened = unsafe Self.withTexts(names) { names in
            unsafe Self.withTexts(values) { values in unsafe PQconnectdbParams(names, values, 1) }
        }
        guard let opened = unsafe opened else { throw StorageError("no memory for a connection") }
        unsafe handle = opened
        guard unsafe PQstatus(handle) == CONNECTION_OK else {
            throw StorageError(unsafe Self.sentence(PQerrorMessage(handle)), isAway: true)
        }
        _ = try run("SET statement_timeout = 5000; SET client_min_messages = warning", [])
    }

    deinit { unsafe PQfinish(handle) }

    /// The connection has not been lost.
    var isUsable: Bool { unsafe PQstatus(handle) == CONNECTION_OK }

    /// One statement, or with no values several; rows of texts, `nil` for NULL.
    func run(_ sql: String, _ values: [String?]) throws(StorageError) -> [[String?]] {
        // Sound: as many texts as said, lent for the call.
        let result = unsafe Self.withTexts(values) { texts in
            unsafe values.isEmpty
                ? PQexec(handle, sql)
                : PQexecParams(handle, sql, Int32(values.count), nil, texts, nil, nil, 0)
        }
        guard let result = unsafe result else { throw StorageError(unsafe Self.sentence(PQerrorMessage(handle))) }
        defer { unsafe PQclear(result) }
        let status = unsafe PQresultStatus(result)
        guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
            throw StorageError(unsafe Self.sentence(PQresultErrorMessage(result)))
        }
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
