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
        case "dlg_list": return try await dialogs(command.parameters, context: false)
        case "dlg_list_ctx": return try await dialogs(command.parameters, context: true)
        case "dlg_end_dlg": return try await nothing("dlg.end_dlg", numbers(command.parameters))
        case "dlg_terminate_dlg": return try await nothing("dlg.terminate_dlg", texts(command.parameters))
        case "dlg_bridge": return try await nothing("dlg.bridge_dlg", texts(command.parameters))
        case "profile_get_size": return [try await size(command.parameters)]
        case "profile_list_dlgs":
            let arguments = RPCArguments(texts(command.parameters), isTyped: false)
            return try await trees { context in try await DialogModuleProfileList.dialogs(arguments, in: context) }
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

    /// One dialog or all, as ims_dialog's MI prints them. As the module has it: a Call-ID without a From tag means a
    /// dialog that has none.
    private func dialogs(_ parameters: [String], context hasContext: Bool) async throws(RPCError) -> [MINode] {
        guard parameters.count <= 2 else { throw RPCError(400, "Too few or too many arguments") }
        return try await trees(context: hasContext) { context in
            guard let callID = parameters.first else { return try await DialogModule.all(in: context) }
            let fromTag = parameters.count > 1 ? parameters[1] : ""
            var query = DialogQuery()
            query.callID = callID
            let found = try await context.node.allDialogs(query, bound: DialogModule.listLimit)
            guard let one = found.first(where: { $0.fromTag == fromTag }) else {
                throw RPCError(404, "Nu such dialog")
            }
            return [one]
        }
    }

    private func trees(
        context hasContext: Bool = false, _ find: (RPCContext) async throws -> [DialogReport]
    ) async throws(RPCError) -> [MINode] {
        let context = dispatcher.context
        do {
            let found = try await find(context)
            let said = hasContext ? try await context.node.contexts(.management, of: found.map(\.did)) : nil
            let now = context.unixSeconds()
            return found.flatMap { dialog in
                DialogTree.nodes(dialog, context: said.map { $0[dialog.did] ?? [] }, now: now)
            }
        } catch let error as RPCError {
            throw error
        } catch {
            throw .stopping
        }
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
}
