// The same of PostgreSQL, and what is its own: a server that goes away and comes back.

import Dialogs
import Foundation
import Node
import Storage
import Synchronization
import Testing

@Suite("Records in PostgreSQL", .enabled(if: PostgresServer.programs != nil, "Debian's postgresql-15 is not installed"))
struct PostgresDatabaseTests {
    @Test func `it keeps what the other kind keeps, and a server that went away is there again without us`() throws {
        let server = try PostgresServer(try #require(PostgresServer.programs))
        for (number, (name, check)) in DatabaseChecks.all.enumerated() {
            server.makeDatabase("calls\(number)")
            let database = PostgresDatabase(url: server.url("calls\(number)"))
            let missing = StorageError("the tables are not there; make them with understudy storage init")
            #expect(throws: missing, "\(name)") { try database.check() }
            try database.makeTables()
            try database.makeTables()
            try check(database, PostgresDatabase(url: server.url("calls\(number)")))
        }
        let clock = Clock()
        let database = PostgresDatabase(url: server.url("calls0"), clock: clock.now)
        let another = PostgresDatabase(url: server.url("calls0"))
        #expect(try database.knownUntil(before: .max) > 0)
        server.stop()
        do {
            try database.write(DatabaseChecks.batch(1, []), by: "n1", at: 0)
            Issue.record("nobody is there to write it")
        } catch {
            #expect(!error.description.isEmpty)
        }
        #expect { try database.knownUntil(before: .max) } throws: { ($0 as? StorageError)?.isAway == true }
        try server.start()
        // Nobody tries again for a second, so that many look-ups do not wait one after another.
        #expect { try database.record(DialogID(rawValue: 1), now: 0) } throws: { ($0 as? StorageError)?.isAway == true }
        clock.milliseconds.add(1_000, ordering: .relaxed)
        try database.write(DatabaseChecks.batch(2, [DatabaseChecks.record(1)]), by: "n1", at: 0)
        #expect(try another.record(DialogID(rawValue: 1), now: 0) == DatabaseChecks.record(1))
    }

    private final class Clock: Sendable {
        let milliseconds = Atomic<Int64>(0)
        @Sendable func now() -> Int64 { milliseconds.load(ordering: .relaxed) }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a server that is stopped, whose kernel takes what it is sent, is given up after five seconds`() throws {
        let server = try PostgresServer(try #require(PostgresServer.programs))
        server.makeDatabase("calls")
        let database = PostgresDatabase(url: server.url("calls"))
        try database.makeTables()
        server.freeze(true)
        defer { server.freeze(false) }
        let start = ContinuousClock.now
        let late = StorageError("no answer within 5 s", isAway: true)
        #expect(throws: late) { try database.knownUntil(before: .max) }
        let took = ContinuousClock.now - start
        #expect(took >= .seconds(5) && took < .seconds(8), "\(took)")
        // What is asked next fails at once.
        #expect(throws: late) { try database.knownUntil(before: .max) }
        #expect(ContinuousClock.now - start < took + .seconds(1))
    }

    @Test(.timeLimit(.minutes(2)), arguments: ModuleChecks.every.map(\.name))
    func `the tables of Kamailio's module follow the records`(name: String) throws {
        let server = try PostgresServer(try #require(PostgresServer.programs))
        server.makeDatabase("calls")
        let check = try #require(ModuleChecks.every.first { $0.name == name }).check
        try check(
            ModuleChecks.Place(
                open: { module in
                    let database = PostgresDatabase(url: server.url("calls"), module: module)
                    try database.makeTables()
                    return database
                }, rows: { try server.rows("calls", $0) }))
    }

    @Test func `nobody there is told as that`() {
        let database = PostgresDatabase(url: "postgres:///none?host=/nowhere&user=nobody")
        #expect { try database.knownUntil(before: .max) } throws: { ($0 as? StorageError)?.isAway == true }
    }
}
