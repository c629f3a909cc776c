// The same of PostgreSQL, and what is its own: a server that goes away and comes back.

import Dialogs
import Foundation
import Node
import Storage
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
        let database = PostgresDatabase(url: server.url("calls0"))
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
        try database.write(DatabaseChecks.batch(2, [DatabaseChecks.record(1)]), by: "n1", at: 0)
        #expect(try another.record(DialogID(rawValue: 1), now: 0) == DatabaseChecks.record(1))
    }

    @Test func `nobody there is told as that`() {
        let database = PostgresDatabase(url: "postgres:///none?host=/nowhere&user=nobody")
        #expect { try database.knownUntil(before: .max) } throws: { ($0 as? StorageError)?.isAway == true }
    }
}
