// What Kamailio's tools ask its core for: version, uptime, processes, sockets, the list of methods.

import Node

enum CoreVersion: RPCMethod {
    static let name = "core.version"
    static let parameters: [String] = []
    static let summary = "Name and version of the program."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .string(context.process.version)
    }
}

enum CoreUptime: RPCMethod {
    static let name = "core.uptime"
    static let parameters: [String] = []
    static let summary = "Now, when the process began, and the seconds between."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let now = context.unixSeconds()
        let uptime = try await context.node.status().uptimeMilliseconds / 1_000
        return [
            "now": .string(TimeText.calendar(unixSeconds: now)),
            "up_since": .string(TimeText.calendar(unixSeconds: now - uptime)), "uptime": .integer(uptime),
        ]
    }
}

enum CoreProcessList: RPCMethod {
    static let name = "core.psx"
    static let parameters: [String] = []
    static let summary = "The processes: there is one."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let node = try await context.node.status().node
        return [["IDX": 0, "PID": .count(context.process.processID), "DSC": .string("understudy \(node)")]]
    }
}

enum CoreProcesses: RPCMethod {
    static let name = "core.ps"
    static let parameters: [String] = []
    static let summary = "As core.psx, in pairs of number and name."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let node = try await context.node.status().node
        return [.count(context.process.processID), .string("understudy \(node)")]
    }
}

enum CoreEcho: RPCMethod {
    static let name = "core.echo"
    static let parameters = Array(repeating: "[value]", count: 8)
    static let summary = "Its parameters, as texts; what stands behind a number's point is dropped."
    static let errors: [String] = []
    static let example = #"["a",2]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .texts(arguments.words)
    }
}

enum SystemMethods: RPCMethod {
    static let name = "system.listMethods"
    static let parameters: [String] = []
    static let summary = "The names of all methods."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .texts(RPCMethods.names.sorted())
    }
}

enum SystemMethodHelp: RPCMethod {
    static let name = "system.methodHelp"
    static let parameters = ["name"]
    static let summary = "What a method does."
    static let errors = ["400 Method Name Expected", "400 Unknown command"]
    static let example = #"["dlg.list"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let name = arguments.scannedText(0) else { throw RPCError(400, "Method Name Expected") }
        guard let method = RPCMethods.named(name) else { throw RPCError(400, "Unknown command") }
        return .string(method.summary)
    }
}

enum SystemMethodSignature: RPCMethod {
    static let name = "system.methodSignature"
    static let parameters = ["name"]
    static let summary = "The parameters of a method; those in brackets may be left out."
    static let errors = SystemMethodHelp.errors
    static let example = SystemMethodHelp.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let name = arguments.scannedText(0) else { throw RPCError(400, "Method Name Expected") }
        guard let method = RPCMethods.named(name) else { throw RPCError(400, "Unknown command") }
        return .string(method.parameters.joined(separator: " "))
    }
}

enum ListSockets: RPCMethod {
    static let name = "corex.list_sockets"
    static let parameters: [String] = []
    static let summary = "Where SIP is listened for."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .array(
            context.process.sockets.map { socket in
                [
                    "PROTO": .string(socket.transport), "NAME": .string(socket.address),
                    "ADDRLIST": ["ADDR": .string(socket.address)], "PORT": .string(String(socket.port)), "MCAST": "no",
                    "MHOMED": "no", "VIRTUAL": "no", "SOCKNAME": "-",
                    "ADVERTISE": .string(socket.advertised.isEmpty ? "-" : socket.advertised),
                ]
            })
    }
}
