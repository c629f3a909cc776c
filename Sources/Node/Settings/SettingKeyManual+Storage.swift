// The manual of the keys of `storage`.

extension SettingManual {
    static let storage: [String: SettingManual] = [
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
            When it is written: 0 never; 1 each change, within 10 ms; 2 what has changed, every \
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
    ]
}
