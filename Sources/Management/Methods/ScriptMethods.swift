// `app_lua.*`, the RPC of Kamailio's module: the script of this node, read again, named, and what it may call.

import Node

enum ScriptReload: RPCMethod {
    static let name = "app_lua.reload"
    static let parameters = ["[pos]"]
    static let summary = """
        Reads the configuration and the script again, as cluster.reload does; a script that does not run is refused \
        with its line, and the one from before serves on.
        """
    static let errors = ["500 Reload Failed: …"]
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let report = try await context.node.reload()
        guard report.refused.isEmpty else {
            throw RPCError(500, "Reload Failed: \(report.refused.joined(separator: "; "))")
        }
        return [:]
    }
}

enum ScriptList: RPCMethod {
    static let name = "app_lua.list"
    static let parameters: [String] = []
    static let summary = "The script of this node, as the module prints it."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let script = try await context.node.status().script
        return .string(script.map { "0: [\($0.file)]" } ?? "No scripts loaded")
    }
}

enum ScriptFunctions: RPCMethod {
    static let name = "app_lua.api_list"
    static let parameters: [String] = []
    static let summary = "Every function of KSR that the script of this node may call."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let functions = context.process.scriptFunctions
        return [
            "msize": .count(functions.count),
            "methods": .array(
                functions.map { function in
                    [
                        "func": [
                            "ret": .string(function.result), "module": .string(function.module),
                            "name": .string(function.name), "params": .string(function.parameters),
                        ]
                    ]
                }),
        ]
    }
}
