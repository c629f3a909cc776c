// `script`: the Lua file that routes requests, in the place of `routes`.

package struct ScriptSettings: Equatable, Sendable {
    /// `script.lua`, a file; without one there is no script.
    package var lua = ""
    /// `script.path`, a folder: the files that the script may require.
    package var path = ""
    /// `script.modules`: modules that a script asks for before it calls them.
    package var modules: [Module] = []

    package enum Module: String, CaseIterable, Sendable {
        case auth
        case authDatabase = "auth_db"
        case nathelper
        case permissions
        case rtpengine
    }

    /// Parameters of modules, by their names.
    package var parameters = ScriptModuleSettings()

    package init() {}
}
