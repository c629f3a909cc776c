// Keeper joins the node and its storage: what the node wants written and read goes to the storage's thread, and what
// became of it back to the node. A database that cannot be opened keeps the process from starting: whoever has named
// one counts on it.

import Node
import Storage
import Transports

struct Keeper: Sendable {
    let service: StorageService?
    /// Until when the storage knows all; `nil` without one.
    let knownUntil: Int64?

    init(_ settings: Settings, _ live: LiveNode) throws(StartError) {
        guard settings.storage.isOn else {
            (service, knownUntil) = (nil, nil)
            return
        }
        let database = try Self.open(settings.storage)
        knownUntil = try Self.knownUntil(of: database)
        do {
            service = try StorageService(
                database, writer: settings.node.name, clock: { BootClock.unixMilliseconds },
                deliver: { [weak live] in live?.tell($0) ?? false })
        } catch {
            throw StartError(description: "\(error); see storage.db_url")
        }
    }

    /// Opens the database that the settings name, and makes its tables.
    static func open(_ settings: StorageSettings) throws(StartError) -> any RecordDatabase {
        guard let file = settings.file else {
            throw StartError(description: "'\(settings.url)' names no database; see storage.db_url")
        }
        do throws(StorageError) {
            return try SQLiteDatabase(file: file)
        } catch {
            throw StartError(description: "\(file): \(error.description); see storage.db_url")
        }
    }

    static func knownUntil(of database: any RecordDatabase) throws(StartError) -> Int64 {
        do throws(StorageError) { return try database.knownUntil() } catch {
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
