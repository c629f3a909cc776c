// PostgresDatabase keeps records in PostgreSQL, of one node or of all of them. A batch is one statement: rows come as
// arrays, what goes is deleted and the stamp is set by the same, so it takes one way there and back and is done whole
// or not at all.
//
// A connection that was lost is made anew by the next call; the call that found it lost has failed. Where none can be
// made, nobody tries again for a second: what is asked meanwhile fails at once, so that look-ups of single dialogs, of
// which there may be many, do not each wait for a server that is away.
//
// With a module's tables a batch is several statements in one transaction.

package import Dialogs
package import Node
import Synchronization

package final class PostgresDatabase: RecordDatabase {
    private static let versions = [("understudy_node", 1), ("understudy_record", 1)]

    private static let pauseMilliseconds: Int64 = 1_000

    private struct State: ~Copyable {
        var connection: PostgresConnection?
        /// Nobody was there: why, and until when nobody tries.
        var pause: (error: StorageError, until: Int64)?
    }

    private let url: String
    let module: ModuleStore?
    private let clock: @Sendable () -> Int64
    private let state = Mutex(State())

    /// Nothing is connected yet.
    /// - Parameters:
    ///   - module: The module whose tables are kept beside ours.
    ///   - clock: Milliseconds of a clock that nobody sets.
    package init(
        url: String, module: ModuleStore? = nil,
        clock: @escaping @Sendable () -> Int64 = { PostgresConnection.milliseconds }
    ) {
        self.url = url
        self.module = module
        self.clock = clock
    }

    func connected<R: Sendable>(
        _ body: @Sendable (PostgresConnection) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        try state.withLock { state throws(StorageError) in
            if let kept = state.connection, kept.isUsable { return try Self.asked(kept, &state, clock, body) }
            state.connection = nil
            if let pause = state.pause, clock() < pause.until { throw pause.error }
            state.pause = nil
            do throws(StorageError) {
                let made = try PostgresConnection(url)
                state.connection = made
            } catch {
                state.pause = (error, clock() + Self.pauseMilliseconds)
                throw error
            }
            guard let made = state.connection else { throw StorageError("no connection", isAway: true) }
            return try Self.asked(made, &state, clock, body)
        }
    }

    private static func asked<R: Sendable>(
        _ connection: PostgresConnection, _ state: inout State, _ clock: @Sendable () -> Int64,
        _ body: @Sendable (PostgresConnection) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        do throws(StorageError) { return try body(connection) } catch {
            if !connection.isUsable {
                // Whoever gives no answer gives none to a new connection either.
                state.connection = nil
                if connection.isSilent { state.pause = (error, clock() + pauseMilliseconds) }
            }
            throw error
        }
    }

    private func run(_ sql: String, _ values: [String?] = []) throws(StorageError) -> [[String?]] {
        try connected { connection throws(StorageError) in try connection.run(sql, values) }
    }

    /// Makes the tables where they are not there.
    package func makeTables() throws(StorageError) {
        _ = try run(ShippedSchema.records)
        if let schema = module?.schema(sqlite: false) { _ = try run(schema) }
        try check()
    }

    /// The tables are there, and of this program's version.
    package func check() throws(StorageError) {
        let known = try run(
            "SELECT to_regclass('version') IS NOT NULL AND to_regclass('understudy_record') IS NOT NULL")
        guard known.first?.first == "t" else {
            throw StorageError("the tables are not there; make them with understudy storage init")
        }
        for (table, version) in Self.versions {
            let found = try run("SELECT table_version FROM version WHERE table_name = $1", [table]).first?.first ?? nil
            guard found == String(version) else {
                throw StorageError.version(of: table, found, needed: [version])
            }
        }
        guard let module else { return }
        try connected { connection throws(StorageError) in try Self.check(module, connection) }
    }

    package func knownUntil(before start: Int64) throws(StorageError) -> Int64 {
        let sql = "SELECT coalesce(max(known_until_ms), 0) FROM understudy_node WHERE known_until_ms < $1::bigint"
        return try number(run(sql, [String(start)]))
    }

    @discardableResult
    package func write(
        _ batch: StorageBatch, by writer: String, at now: Int64
    ) throws(StorageError) -> ModuleLoss {
        guard let module else {
            try connected { connection throws(StorageError) in try Self.write(batch, by: writer, at: now, connection) }
            return ModuleLoss()
        }
        return try connected { connection throws(StorageError) in
            try connection.transaction { connection throws(StorageError) in
                let removed = try Self.removed(batch, now, connection)
                let changes = module.changes(batch.records, removed: removed, at: now)
                try Self.apply(changes, module, connection)
                try Self.write(batch, by: writer, at: now, connection)
                return changes.loss
            }
        }
    }

    private static func removed(
        _ batch: StorageBatch, _ now: Int64, _ connection: PostgresConnection
    ) throws(StorageError) -> [StoredRecord] {
        guard !batch.removed.isEmpty else { return [] }
        let dids = array(batch.removed.map { String($0.rawValue) })
        return try stored(connection.run("\(columns) WHERE did = ANY($1::bigint[])", [dids]), now)
    }

    private static func write(
        _ batch: StorageBatch, by writer: String, at now: Int64, _ connection: PostgresConnection
    ) throws(StorageError) {
        let records = batch.records.sorted { $0.did < $1.did }
        let deadlines = records.map { record in
            record.remainingMilliseconds.map { String(now &+ $0) } ?? "NULL"
        }
        _ = try connection.run(
            """
            WITH gone AS (DELETE FROM understudy_record WHERE did = ANY($1::bigint[])),
            stamp AS (
                INSERT INTO understudy_node (name, known_until_ms) VALUES ($2::text, $3::bigint)
                ON CONFLICT (name) DO UPDATE SET known_until_ms = excluded.known_until_ms)
            INSERT INTO understudy_record (did, record, age_ms, saved_ms, deadline_ms, writer, held_back)
            SELECT did, record, age_ms, $4::bigint, deadline_ms, $2::text, 0
            FROM unnest($5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[]) AS t (did, record, age_ms, deadline_ms)
            ON CONFLICT (did) DO UPDATE SET
                record = excluded.record, age_ms = excluded.age_ms, saved_ms = excluded.saved_ms,
                deadline_ms = excluded.deadline_ms, writer = excluded.writer, held_back = 0
            """,
            [
                array(batch.removed.map { String($0.rawValue) }), writer,
                String(now &- batch.lagMilliseconds), String(now), array(records.map { String($0.did.rawValue) }),
                array(ofBytes: records),
                array(records.map { String($0.ageMilliseconds) }), array(deadlines),
            ])
    }

    private static let columns =
        "SELECT did, encode(record, 'hex'), age_ms, saved_ms, deadline_ms FROM understudy_record"
    private static let believed = "writer IN (SELECT name FROM understudy_node WHERE known_until_ms >= $1::bigint)"

    package func records(
        after did: DialogID?, limit: Int, since: Int64, now: Int64
    ) throws(StorageError) -> [StoredRecord] {
        let start = did.map { String($0.rawValue) } ?? "-1"
        let rows = try run(
            """
            \(Self.columns) WHERE held_back = 0 AND did > $2::bigint AND \(Self.believed) ORDER BY did
            LIMIT $3::bigint
            """, [String(since), start, String(limit)])
        let records = try Self.stored(rows, now)
        if let module {
            // The module's tables may be younger than these rows.
            let changes = module.changes(records, at: now)
            try connected { connection throws(StorageError) in
                try connection.transaction { connection throws(StorageError) in
                    try Self.apply(changes, module, connection)
                }
            }
        }
        return records
    }

    /// Rows that are looked at at once.
    private static let page = 500

    /// What is not believed the module is not told of.
    private func withdraw(_ module: ModuleStore, since: Int64) throws(StorageError) {
        var last = "-1"
        while true {
            let rows = try run(
                """
                \(Self.columns) WHERE held_back = 0 AND did > $2::bigint AND NOT \(Self.believed) ORDER BY did
                LIMIT \(Self.page)
                """, [String(since), last])
            let changes = try module.changes([], removed: Self.stored(rows, 0), at: 0)
            try connected { connection throws(StorageError) in
                try Self.delete(changes.gone, module, connection)
            }
            guard rows.count == Self.page, let next = rows.last?.first ?? nil else { return }
            last = next
        }
    }

    package func holdBack(since: Int64) throws(StorageError) -> Int {
        if let module { try withdraw(module, since: since) }
        _ = try run(
            "UPDATE understudy_record SET held_back = 1 WHERE held_back = 0 AND NOT \(Self.believed)", [String(since)])
        return try heldBack()
    }

    private func heldBack() throws(StorageError) -> Int {
        Int(try number(run("SELECT count(*) FROM understudy_record WHERE held_back = 1")))
    }

    package func due(limit: Int, now: Int64) throws(StorageError) -> (records: [StoredRecord], heldBack: Int) {
        let rows = try run(
            "\(Self.columns) WHERE held_back = 1 AND deadline_ms <= $1::bigint ORDER BY deadline_ms LIMIT $2::bigint",
            [String(now), String(limit)])
        return (try Self.stored(rows, now), try heldBack())
    }

    package func record(_ did: DialogID, now: Int64) throws(StorageError) -> StoredRecord? {
        try Self.stored(run("\(Self.columns) WHERE did = $1::bigint", [String(did.rawValue)]), now).first
    }

    package func empty() throws(StorageError) {
        let ours = "DELETE FROM understudy_record WHERE held_back = 0"
        // As it does when the module itself has read what it keeps in mode 3. Together they are one transaction.
        let theirs = module.map { $0.tables.map { "; DELETE FROM \($0.sql)" }.joined() } ?? ""
        _ = try run(ours + theirs)
    }

    // MARK: Texts

    private func number(_ rows: [[String?]]) throws(StorageError) -> Int64 {
        guard let text = rows.first?.first ?? nil, let number = Int64(text) else {
            throw StorageError("PostgreSQL answers no number")
        }
        return number
    }

    private static func stored(_ rows: [[String?]], _ now: Int64) throws(StorageError) -> [StoredRecord] {
        var records: [StoredRecord] = []
        for row in rows {
            guard row.count == 5, let did = row[0].flatMap({ Int64($0) }) else {
                throw StorageError("PostgreSQL answers a row that is none of understudy_record")
            }
            let (age, saved) = (row[2].flatMap { Int64($0) }, row[3].flatMap { Int64($0) })
            // An empty record nobody can read, and it is counted.
            let bytes = age != nil && saved != nil ? row[1].flatMap(Self.bytes(of:)) ?? [] : []
            records.append(
                StoredRecord(
                    did: did, record: bytes, age: age ?? 0, saved: saved ?? now, deadline: row[4].flatMap { Int64($0) },
                    now: now))
        }
        return records
    }

    private static func array(_ values: [String]) -> String { "{\(values.joined(separator: ","))}" }

    /// Their records, as PostgreSQL writes a `bytea[]`: written in one go, since it is most of what a batch costs here.
    private static func array(ofBytes records: [StoredRecord]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(records.reduce(2) { $0 + 2 * $1.record.count + 6 })
        text.append(UInt8(ascii: "{"))
        for (index, record) in records.enumerated() {
            text.append(contentsOf: index == 0 ? #""\\x"#.utf8 : #","\\x"#.utf8)
            for byte in record.record {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
            text.append(UInt8(ascii: "\""))
        }
        text.append(UInt8(ascii: "}"))
        return String(decoding: text, as: UTF8.self)
    }

    private static func bytes(of digits: String) -> [UInt8]? {
        var (bytes, high): ([UInt8], UInt8?) = ([], nil)
        bytes.reserveCapacity(digits.utf8.count / 2)
        for character in digits.utf8 {
            let value: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return high == nil ? bytes : nil
    }
}
