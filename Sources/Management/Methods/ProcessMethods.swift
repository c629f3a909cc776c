// What is asked of the process around a node: to read its configuration again, and how much it logs.

import Node

/// `understudy reload`
enum ClusterReload: RPCMethod {
    static let name = "cluster.reload"
    static let parameters = ["[node]"]
    static let summary = """
        Reads the configuration and the files of TLS again, as SIGHUP does; answers what changed, what needs a \
        restart, \
        and what was refused. With a node's name only that node does it.
        """
    static let errors = ["409 This is …"]
    static let example = #"["n1"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try await ClusterDrain.requireName(arguments, in: context)
        return try await context.node.reload().json
    }
}

/// `understudy log-level`
enum ClusterLogLevel: RPCMethod {
    static let name = "cluster.log_level"
    static let parameters = ["[level]"]
    static let summary =
        "The level of the node's log: debug, info, notice, warning or error; sets it when one is given."
    static let errors = ["400 Parameter level …"]
    static let example = #"["debug"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        var wanted: NoteLevel?
        if let text = try arguments.text("level", at: 0) {
            guard let level = NoteLevel(name: text) else {
                let names = NoteLevel.all.map(\.name).joined(separator: ", ")
                throw RPCError.wrongParameter("level", "must be one of \(names)")
            }
            wanted = level
        }
        return ["level": .string(try await context.node.logLevel(wanted).name)]
    }
}
