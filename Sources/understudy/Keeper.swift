// Keeper joins the node and its storage: what the node wants written and read goes to the storage's thread, and what
// became of it back to the node. A database whose file cannot be opened, or whose tables are not there, keeps the
// process from starting: whoever has named one counts on it. A server that is not there does not: it is asked again.

import Node
import Storage
import Transports

struct Keeper: Sendable {
    let service: StorageService?
    /// Until when the storage knows all; `nil` while it is not there.
    let knownUntil: Int64?

    init(_ settings: Settings, _ live: LiveNode) throws(StartError) {
        guard settings.storage.isOn else {
            (service, knownUntil) = (nil, nil)
            return
        }
        let (database, isThere) = try Self.open(settings)
        knownUntil = isThere ? try Self.knownUntil(of: database) : nil
        do {
            service = try StorageService(
                database, writer: settings.node.name, clock: { BootClock.unixMilliseconds },
                deliver: { [weak live] in live?.tell($0) ?? false })
        } catch {
            throw StartError(description: "\(error); see storage.db_url")
        }
    }

    /// Opens the database that the settings name; the tables of a file are made.
    /// - Parameter makesTables: Those of a server, too.
    /// - Returns: The database, and whether it is there: a server may come later.
    static func open(
        _ settings: Settings, makesTables: Bool = false
    ) throws(StartError) -> (database: any RecordDatabase, isThere: Bool) {
        let (url, module) = (settings.storage.url, ModuleStore(settings))
        do throws(StorageError) {
            if let file = settings.storage.file { return (try SQLiteDatabase(file: file, module: module), true) }
            let database = PostgresDatabase(url: url, module: module)
            do throws(StorageError) {
                if makesTables { try database.makeTables() } else { try database.check() }
            } catch {
                guard error.isAway, !makesTables else { throw error }
                return (database, false)
            }
            return (database, true)
        } catch {
            throw StartError(description: "\(url): \(error.description); see storage.db_url")
        }
    }

    static func knownUntil(of database: any RecordDatabase) throws(StartError) -> Int64 {
        do throws(StorageError) { return try database.knownUntil(before: .max) } catch {
            throw StartError(description: "\(error.description); see storage.db_url")
        }
    }

    /// Takes what is to be done out of the outbox, on the SIP thread.
    func take(_ out: inout Outbox) {
        guard !out.storage.isEmpty else { return }
        service?.perform(out.storage)
        out.storage.removeAll(keepingCapacity: true)
    }
}
