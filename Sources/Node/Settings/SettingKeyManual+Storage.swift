// The manual of the keys of `storage`.

extension SettingManual {
    static let storage = storageItself.merging(moduleColumns) { first, _ in first }

    /// One line each, since there are many.
    private static let moduleColumns = Dictionary(
        ModuleColumn.allCases.map { column in
            let table = column.isOfVariables ? "vars_table_name" : "table_name"
            return ("storage.\(column.rawValue)", SettingManual("Column of `storage.\(table)`", range: "a name"))
        }
    ) { first, _ in first }

    private static let storageItself: [String: SettingManual] = [
        "storage.db_url": SettingManual(
            """
            Where records are kept besides memory, <doc:Storage>. An SQLite file is made when it is not there, its \
            folder must be; PostgreSQL is named in libpq's manner, without a password. Needs a restart, like \
            everything here
            """,
            range: "`sqlite:///PATH`, `postgres://USER@HOST/DATABASE`",
            value: "none: nothing is stored"),
        "storage.db_mode": SettingManual(
            """
            When it is written: 0 never; 1 each change, with what changes within 8 ms of it; 2 what has changed, every \
            `storage.db_update_period`; 3 everything, when the node leaves
            """),
        "storage.db_update_period": SettingManual(
            """
            How often mode 2 writes, seconds: so much is lost at most when all nodes end at once
            """),
        "storage.db_fetch_rows": SettingManual(
            """
            Rows of one read at the start; each read is a turn of the SIP thread
            """),
        "storage.shared": SettingManual(
            """
            `true`: all nodes name the same database, and who acts for a dialog writes it. `false`: each node has one \
            of its own with all that it knows, and any of them brings everything back
            """),
        "storage.module": SettingManual(
            """
            `dialog`: the tables `dialog` and `dialog_vars` of Kamailio's module are kept beside ours, for other \
            programs and for moving calls, <doc:Storage>; `ims_dialog`: `dialog_in`, `dialog_out` and `dialog_vars`
            """),
        "storage.table_name": SettingManual(
            """
            The table of dialogs of the module `dialog`, version 7. It and its columns have other names only where \
            they are there: `understudy storage init` makes them under the module's
            """,
            range: "at most 63 letters, digits and `_`"),
        "storage.vars_table_name": SettingManual(
            """
            The module's table of variables, version 1, or 7 as ims_dialog has it
            """,
            range: "a name"),
    ]
}
