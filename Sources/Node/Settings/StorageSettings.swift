// `storage`: where records are kept besides memory, under the names that Kamailio's modules have for it.

package struct StorageSettings: Equatable, Sendable {
    /// `storage.db_url`, `sqlite:///PATH` or `postgres://USER@HOST/DATABASE`; without one nothing is stored.
    package var url = ""
    /// `storage.db_mode`, 0 to 3, default 0.
    package var mode = Mode.none
    /// `storage.db_update_period`, seconds, 1 to 86 400, default 60: how often mode 2 writes.
    package var updatePeriod: Duration = .seconds(60)
    /// `storage.db_fetch_rows`, 1 to 10 000, default 200: rows of one read, each a turn of the SIP thread.
    package var fetchRows = 200
    /// `storage.shared`, default false: all nodes have the same database, and the actor of a dialog writes it; else
    /// each node has its own, with all that it knows.
    package var isShared = false
    /// `storage.module`, default none: which module's tables are kept beside ours.
    package var module = Module.none
    /// What they are called.
    package var tables = ModuleTables()

    package enum Module: String, CaseIterable, Sendable {
        case none
        /// `dialog` and `dialog_vars`.
        case dialog
        /// `dialog_in`, `dialog_out` and `dialog_vars`.
        case imsDialog = "ims_dialog"
    }

    package enum Mode: Int, CaseIterable, Sendable {
        case none = 0
        /// Each change, within `StorageState.linger`.
        case realtime = 1
        /// What has changed, every `updatePeriod`.
        case delayed = 2
        /// Everything, when the node leaves.
        case shutdown = 3
    }

    package init() {}

    package var isOn: Bool { !url.isEmpty && mode != .none }

    /// The file of `sqlite:///PATH`; `nil` for another URL.
    package var file: String? { Self.file(of: url) }

    static func file(of url: String) -> String? {
        let scheme = "sqlite://"
        guard url.hasPrefix(scheme) else { return nil }
        let path = String(url.dropFirst(scheme.count))
        guard path.hasPrefix("/"), path.utf8.count > 1, path.utf8.last != UInt8(ascii: "/"), !path.utf8.contains(0)
        else { return nil }
        return path
    }

    /// It names a PostgreSQL database, in libpq's manner.
    package var isPostgres: Bool { Self.isPostgres(url) }

    private static func isPostgres(_ url: String) -> Bool {
        ["postgres://", "postgresql://"].contains { url.hasPrefix($0) && url.utf8.count > $0.utf8.count }
    }

    /// A password stands in it, where logs and lists of processes would show it.
    private static func hasPassword(_ url: String) -> Bool {
        let rest = url.drop { $0 != "/" }.drop { $0 == "/" }
        // A password may hold any of the signs that end it elsewhere.
        let user = rest.lastIndex(of: "@").map { rest[..<$0] } ?? ""
        return user.contains(":") || rest.contains("password=")
    }

    static func objection(to url: String) -> String? {
        if url.isEmpty || file(of: url) != nil { return nil }
        guard isPostgres(url) else {
            // What is meant may hold a password, so it is not repeated.
            let file = "sqlite:///var/lib/understudy/dialogs.db"
            let hint = hint(to: url).map { "; \($0)" } ?? ""
            return "is not a URL like \(file) or postgres://understudy@192.0.2.5/calls\(hint)"
        }
        return hasPassword(url)
            ? "has a password in it; keep that in a file: postgres://understudy@192.0.2.5/calls?passfile=/PATH" : nil
    }

    /// What is told of a URL that is none, by its beginning alone.
    private static func hint(to url: String) -> String? {
        if url.hasPrefix("jdbc:") { return "leave jdbc: out" }
        if url.hasPrefix("sqlite:") { return "behind sqlite:// stands a whole path, with the / at its begin" }
        guard let end = url.firstRange(of: "://") else { return "it begins with sqlite:// or postgres://" }
        let scheme = String(url[..<end.lowerBound])
        let known = ["sqlite", "postgres", "postgresql"]
        if known.contains(scheme) { return nil }
        let near = NearMiss.of(scheme, among: known).map { "did you mean \($0)://?" }
        return "there is no \(scheme)://" + (near.map { "; \($0)" } ?? "")
    }

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if mode != .none, url.isEmpty {
            list.add("storage.db_mode", "\(mode.rawValue) writes nothing without storage.db_url")
        }
        list.range("storage.db_update_period", updatePeriod)
        list.range("storage.db_fetch_rows", fetchRows)
        tables.problems(&list)
        return list.problems
    }

    func advise(_ list: inout ProblemList) {
        if !url.isEmpty, mode == .none {
            list.add("storage.db_url", "is of no use with storage.db_mode 0: nothing is stored; 1 stores each change")
        }
        if isShared, isOn, file != nil {
            list.add(
                "storage.shared",
                "is for a database that all nodes reach; a file of SQLite is one host's, so leave it out, or use "
                    + "postgres://")
        }
        if module != .none, url.isEmpty {
            list.add("storage.module", "writes nothing without storage.db_url")
        }
        if module != .dialog, !tables.areStandard {
            list.add("storage.table_name", "and its columns are of no use without storage.module dialog")
        }
    }
}
