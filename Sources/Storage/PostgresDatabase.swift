// PostgresDatabase keeps records in PostgreSQL, of one node or of all of them. A batch is one statement: rows come as
// arrays, what goes is deleted and the stamp is set by the same, so it takes one way there and back and is done whole
// or not at all.
//
// A connection that was lost is made anew by the next call; the call that found it lost has failed.

package import Dialogs
package import Node
import Synchronization

package final class PostgresDatabase: RecordDatabase {
    private static let versions = [("understudy_node", 1), ("understudy_record", 1)]

    private let url: String
    private let connection = Mutex<PostgresConnection?>(nil)

    /// Nothing is connected yet.
    package init(url: String) { self.url = url }

    private func run(_ sql: String, _ values: [String?] = []) throws(StorageError) -> [[String?]] {
        try connection.withLock { held throws(StorageError) in
            if let kept = held, kept.isUsable { return try kept.run(sql, values) }
            held = nil
            let made = try PostgresConnection(url)
            held = made
            return try made.run(sql, values)
        }
    }

    /// Makes the tables where they are not there.
    package func makeTables() throws(StorageError) {
        _ = try run(ShippedSchema.postgres)
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
                let told = found.map { "is of version \($0)" } ?? "has no version"
                throw StorageError("table \(table) \(told); this program needs \(version)")
            }
        }
    }

    package func knownUntil(before start: Int64) throws(StorageError) -> Int64 {
        let sql = "SELECT coalesce(max(known_until_ms), 0) FROM understudy_node WHERE known_until_ms < $1::bigint"
        return try number(run(sql, [String(start)]))
    }

    package func write(_ batch: StorageBatch, by writer: String, at now: Int64) throws(StorageError) {
        let records = batch.records.sorted { $0.did < $1.did }
        let deadlines = records.map { record in
            record.remainingMilliseconds.map { String(now &+ $0) } ?? "NULL"
        }
        _ = try run(
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
                Self.array(batch.removed.map { String($0.rawValue) }), writer,
                String(now &- batch.lagMilliseconds), String(now), Self.array(records.map { String($0.did.rawValue) }),
                Self.array(records.map { "\"\\\\x\(Self.digits(of: $0.record))\"" }),
                Self.array(records.map { String($0.ageMilliseconds) }), Self.array(deadlines),
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
        return try stored(rows, now)
    }

    package func holdBack(since: Int64) throws(StorageError) -> Int {
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
        return (try stored(rows, now), try heldBack())
    }

    package func record(_ did: DialogID, now: Int64) throws(StorageError) -> StoredRecord? {
        try stored(run("\(Self.columns) WHERE did = $1::bigint", [String(did.rawValue)]), now).first
    }

    package func empty() throws(StorageError) { _ = try run("DELETE FROM understudy_record WHERE held_back = 0") }

    // MARK: Texts

    private func number(_ rows: [[String?]]) throws(StorageError) -> Int64 {
        guard let text = rows.first?.first ?? nil, let number = Int64(text) else {
            throw StorageError("PostgreSQL answers no number")
        }
        return number
    }

    private func stored(_ rows: [[String?]], _ now: Int64) throws(StorageError) -> [StoredRecord] {
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

    private static func digits(of bytes: [UInt8]) -> String {
        let table = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [table[Int($0 >> 4)], table[Int($0 & 15)]] }, as: UTF8.self)
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
