// The keys of `storage`, as those of `SettingKeyTable`.

import Primitives

extension SettingKey {
    static let storageKeys =
        [
            SettingKey(name: "storage.db_url", isList: false, example: "sqlite:///var/lib/understudy/dialogs.db") {
                settings, texts in
                let text = texts[0].trimmed
                if let objection = StorageSettings.objection(to: text) { return objection }
                settings.storage.url = text
                return nil
            },
            storageMode,
            duration("storage.db_update_period", \.storage.updatePeriod, unit: .seconds, in: 1...86_400),
            integer("storage.db_fetch_rows", \.storage.fetchRows, in: 1...10_000),
            flag("storage.shared", \.storage.isShared),
            choice("storage.module", \.storage.module),
            name("storage.table_name", \.storage.tables.dialogs),
            name("storage.vars_table_name", \.storage.tables.variables),
        ] + ModuleColumn.allCases.map(column)

    private static func name(_ name: String, _ path: Path<String>) -> SettingKey {
        var key = SettingKey(name: name, isList: false) { settings, texts in
            let text = texts[0].trimmed
            guard ModuleTables.isName(text) else { return objection(toName: texts[0]) }
            settings[keyPath: path] = text
            return nil
        }
        key.value = { "`\($0[keyPath: path])`" }
        return key
    }

    private static func column(_ column: ModuleColumn) -> SettingKey {
        var key = SettingKey(name: "storage.\(column.rawValue)", isList: false) { settings, texts in
            let text = texts[0].trimmed
            guard ModuleTables.isName(text) else { return objection(toName: texts[0]) }
            settings.storage.tables.columns[column] = text == column.standard ? nil : text
            return nil
        }
        key.value = { "`\($0.storage.tables.name(column))`" }
        return key
    }

    private static func objection(toName text: String) -> String {
        "'\(text)' is no name of at most 63 letters, digits and _, the first one no digit"
    }

    private static let storageMode: SettingKey = {
        var key = SettingKey(name: "storage.db_mode", isList: false) { settings, texts in
            guard let number = Int(texts[0].trimmed), let mode = StorageSettings.Mode(rawValue: number) else {
                return "'\(texts[0])' is not one of 0, 1, 2, 3"
            }
            settings.storage.mode = mode
            return nil
        }
        key.choices = StorageSettings.Mode.allCases.map { String($0.rawValue) }
        key.value = { String($0.storage.mode.rawValue) }
        return key
    }()
}
