// Kamailio's former management interface around the dispatcher: the commands of the `ims_dialog` and `dialog` modules
// and those of the core that scripts ask for. Each is a method of the table under an older name; only the tree of an
// answer is made here.

package import Node

package struct MIServer: Sendable {
    private let dispatcher: Dispatcher

    package init(_ context: RPCContext) { dispatcher = Dispatcher(context) }

    var drops: DoorDrops { dispatcher.context.process.drops }

    package static let commands = [
        "dlg_list", "dlg_list_ctx", "dlg_end_dlg", "dlg_terminate_dlg", "profile_get_size", "profile_list_dlgs",
        "dlg_bridge", "get_statistics", "reset_statistics", "uptime", "version", "ps", "which",
    ]

    package func answer(_ command: MICommand) async -> String {
        do throws(RPCError) {
            return MINode.answer(200, "OK", try await nodes(command))
        } catch {
            return refuse(error)
        }
    }

    package func refuse(_ error: RPCError) -> String {
        MINode.answer(error.code < 100 ? 500 : error.code, error.message)
    }

    private func nodes(_ command: MICommand) async throws(RPCError) -> [MINode] {
        switch command.name {
        case "dlg_list": return try await dialogs(command.parameters, "dlg.list", "dlg.dlg_list")
        case "dlg_list_ctx": return try await dialogs(command.parameters, "dlg.list_ctx", "dlg.dlg_list_ctx")
        case "dlg_end_dlg": return try await nothing("dlg.end_dlg", numbers(command.parameters))
        case "dlg_terminate_dlg": return try await nothing("dlg.terminate_dlg", texts(command.parameters))
        case "dlg_bridge": return try await nothing("dlg.bridge_dlg", texts(command.parameters))
        case "profile_get_size": return [try await size(command.parameters)]
        case "profile_list_dlgs":
            let found = try await call("dlg.profile_list", texts(command.parameters))
            return (found.elements ?? []).map(Self.tree)
        case "get_statistics":
            let found = try await call("stats.get_statistics", texts(command.parameters))
            return (found.elements ?? []).map { MINode($0.text ?? "") }
        case "reset_statistics": return try await nothing("stats.reset_statistics", texts(command.parameters))
        case "uptime":
            let found = try await call("core.uptime", [])
            return [
                MINode("Now", found["now"]?.text ?? ""), MINode("Up since", found["up_since"]?.text ?? ""),
                MINode("Up time", "\(found["uptime"]?.whole ?? 0) [sec]"),
            ]
        case "version": return [MINode("Server", try await call("core.version", []).text ?? "")]
        case "ps":
            return (try await call("core.psx", []).elements ?? []).map { process in
                MINode(
                    "Process", "",
                    attributes: [
                        ("ID", "\(process["IDX"]?.whole ?? 0)"), ("PID", "\(process["PID"]?.whole ?? 0)"),
                        ("Type", process["DSC"]?.text ?? ""),
                    ])
            }
        case "which": return Self.commands.map { MINode("", $0) }
        default: throw RPCError(500, "command '\(command.name)' not available")
        }
    }

    private func call(_ method: String, _ parameters: [JSONValue]) async throws(RPCError) -> JSONValue {
        try await dispatcher.call(method, RPCArguments(parameters, isTyped: false))
    }

    private func nothing(_ method: String, _ parameters: [JSONValue]) async throws(RPCError) -> [MINode] {
        _ = try await call(method, parameters)
        return []
    }

    private func texts(_ parameters: [String]) -> [JSONValue] { parameters.map { .string($0) } }

    /// What is no number stays a text, and is told to be none.
    private func numbers(_ parameters: [String]) -> [JSONValue] {
        parameters.map { text in Int64(text).map { .integer($0) } ?? .string(text) }
    }

    /// One dialog or all. As the module has it: a Call-ID without a From tag means a dialog that has none.
    private func dialogs(
        _ parameters: [String], _ all: String, _ one: String
    ) async throws(RPCError) -> [MINode] {
        guard let callID = parameters.first else {
            return (try await call(all, []).elements ?? []).map(Self.tree)
        }
        let fromTag = parameters.count > 1 ? parameters[1] : ""
        let found = try await call(one, [.string(callID), .string(fromTag)])
        guard found["call-id"] != nil else { throw RPCError(404, "Nu such dialog") }
        return [Self.tree(found)]
    }

    private func size(_ parameters: [String]) async throws(RPCError) -> MINode {
        let count = try await call("dlg.profile_get_size", texts(parameters)).whole ?? 0
        return MINode(
            "profile", "",
            attributes: [
                ("name", parameters.first ?? ""), ("value", parameters.count > 1 ? parameters[1] : ""),
                ("count", String(count)),
            ])
    }

    /// As the module's MI prints a dialog.
    private static func tree(_ dialog: JSONValue) -> MINode {
        func text(_ value: JSONValue?) -> String {
            switch value {
            case .string(let text): text
            case .integer(let number): String(number)
            default: ""
            }
        }
        func side(_ name: String) -> [MINode] {
            let side = dialog[name] ?? .null
            return [
                MINode("\(name)_contact", text(side["contact"])), MINode("\(name)_cseq", text(side["cseq"])),
                MINode("\(name)_route_set", text(side["route_set"])),
                MINode("\(name)_bind_addr", text(side["socket"])),
            ]
        }
        let head = [
            MINode("state", text(dialog["state"])), MINode("user_flags", text(dialog["sflags"])),
            MINode("timestart", text(dialog["start_ts"])), MINode("timeout", text(dialog["timeout"])),
            MINode("callid", text(dialog["call-id"])), MINode("from_uri", text(dialog["from_uri"])),
            MINode("from_tag", text(dialog["caller"]?["tag"])),
        ]
        let tail = [
            MINode("to_uri", text(dialog["to_uri"])), MINode("to_tag", text(dialog["callee"]?["tag"])),
        ]
        return MINode(
            "dialog", "", attributes: [("hash", "\(text(dialog["h_entry"])):\(text(dialog["h_id"]))")],
            children: head + side("caller") + tail + side("callee")
                + (dialog["context"]?.elements ?? []).map { MINode("context", $0.text ?? "") })
    }
}
