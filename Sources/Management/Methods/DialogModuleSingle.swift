// Methods of Kamailio's `dialog` module that are about one dialog, and the dump of all.

import Glibc
import Node

enum DialogModuleListContext: RPCMethod {
    static let name = "dlg.list_ctx"
    static let parameters: [String] = []
    static let summary = """
        As dlg.list; what programs in the node's process have to say of a dialog (DLGCB_RPC_CONTEXT) stands behind its \
        other fields, as lines in context. In understudy there is none, as in a Kamailio without a module on top of \
        dialog: all that nodes know of a dialog stands in dlg.list, the same on each.
        """
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .array(try await DialogModule.withContext(DialogModule.all(in: context), in: context))
    }
}

enum DialogModuleOneContext: RPCMethod {
    static let name = "dlg.dlg_list_ctx"
    static let parameters = DialogModuleOne.parameters
    static let summary = "As dlg.dlg_list, with context as dlg.list_ctx has it."
    static let errors: [String] = []
    static let example = DialogModuleOne.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let found = try await DialogModuleOne.dialog(arguments, in: context) else { return [:] }
        return try await DialogModule.withContext([found], in: context)[0]
    }
}

enum DialogModuleAlive: RPCMethod {
    static let name = "dlg.is_alive"
    static let parameters = ["callid", "ftag", "ttag"]
    static let summary = "Alive, when the dialog of that Call-ID and tags is confirmed."
    static let errors = [
        "400 Too few parameters (required callid, from-tag, to-tag)", "404 Dialog not found",
        "500 Dialog not in confirmed state",
    ]
    static let example = DialogModuleTerminate.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let callID = arguments.scannedText(0), let fromTag = arguments.scannedText(1),
            let toTag = arguments.scannedText(2)
        else { throw RPCError(400, "Too few parameters (required callid, from-tag, to-tag)") }
        guard let found = try await DialogModule.find(callID, fromTag, toTag, in: context) else {
            throw RPCError(404, "Dialog not found")
        }
        guard found.state == "confirmed" else { throw RPCError(500, "Dialog not in confirmed state") }
        return "Alive"
    }
}

enum DialogModuleDump: RPCMethod {
    static let name = "dlg.dump_file"
    static let parameters = ["file"]
    static let summary = """
        Appends every live dialog to a file in management.dump_folder, one JSON object a line; without that key \
        nothing is written. A path is not taken, only a name.
        """
    static let errors = ["500 Invalid parameters", "500 management.dump_folder is not set", "500 cannot write …"]
    static let example = #"["dialogs.json"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let name = arguments.scannedText(0), !name.isEmpty, !name.utf8.contains(0), name.utf8.count <= 255,
            !name.hasPrefix("."), !name.contains("/")
        else { throw RPCError(500, "Invalid parameters") }
        let folder = context.process.dumpFolder
        guard !folder.isEmpty else { throw RPCError(500, "management.dump_folder is not set") }
        var text: [UInt8] = []
        let now = context.unixSeconds()
        for dialog in try await DialogModule.all(in: context) {
            text += line(DialogModule.json(dialog, now: now)).bytes + [UInt8(ascii: "\n")]
        }
        guard append(text, to: "\(folder)/\(name)") else { throw RPCError(500, "cannot write \(name)") }
        return [:]
    }

    /// As the module writes it: `call_id`, no duration, profiles and variables as one object each.
    private static func line(_ dialog: JSONValue) -> JSONValue {
        guard case .object(let members) = dialog else { return dialog }
        return .object(
            members.compactMap { member in
                switch member.name {
                case "call-id": .init("call_id", member.value)
                case "duration": nil
                case "profiles", "variables": .init(member.name, flattened(member.value))
                default: member
                }
            })
    }

    private static func flattened(_ list: JSONValue) -> JSONValue {
        .object(
            (list.elements ?? []).flatMap { element -> [JSONValue.Member] in
                switch element {
                case .object(let members): members
                case .string(let name): [.init(name, "")]
                default: []
                }
            })
    }

    /// A symbolic link is not followed.
    private static func append(_ text: [UInt8], to path: String) -> Bool {
        // Sound: the path is lent for the call.
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var rest = text[...]
        while !rest.isEmpty {
            // Sound: the bytes are lent for the call only.
            let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
