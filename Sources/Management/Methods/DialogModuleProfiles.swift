// `dlg.profile_get_size`, `dlg.profile_list` and `dlg.set_state` of Kamailio's `dialog` module. Sizes are the
// cluster's, on every node the same.

import Node

enum DialogModuleProfileSize: RPCMethod {
    static let name = "dlg.profile_get_size"
    static let parameters = ["profile", "[value]"]
    static let summary = """
        How many live dialogs of the cluster are in a profile, under one value or all; the value of a profile without \
        values is ignored.
        """
    static let errors = ["404 Profile not found: …"]
    static let example = #"["caller","alice"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let profile = arguments.scannedWord(0) else { return [:] }
        switch try await context.node.size(ofProfile: profile, value: arguments.scannedWord(1)) {
        case .success(let size): return .count(size)
        case .failure(let error): throw RPCError(error.code, error.message)
        }
    }
}

enum DialogModuleProfileList: RPCMethod {
    static let name = "dlg.profile_list"
    static let parameters = DialogModuleProfileSize.parameters
    static let summary =
        "The live dialogs of the cluster in a profile, under one value or any, as dlg.list prints them."
    static let errors = DialogModuleProfileSize.errors
    static let example = #"["calls"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let now = context.unixSeconds()
        return .array(try await dialogs(arguments, in: context).map { DialogModule.json($0, now: now) })
    }

    static func dialogs(_ arguments: RPCArguments, in context: RPCContext) async throws -> [DialogReport] {
        guard let name = arguments.scannedWord(0) else { return [] }
        guard let profile = try await context.node.profiles().first(where: { $0.name == name }) else {
            throw RPCError(404, "Profile not found: \(name)")
        }
        var query = DialogQuery()
        query.profile = name
        query.profileValue = profile.takesValue ? arguments.scannedWord(1) : nil
        return try await DialogModule.sorted(context.node.allDialogs(query, bound: DialogModule.listLimit))
    }
}

enum DialogModuleSetState: RPCMethod {
    static let name = "dlg.set_state"
    static let parameters = ["callid", "ftag", "ttag", "[state]"]
    static let summary = """
        Done, when the dialog of that Call-ID and tags has the state 1 to 5 already, or is answered and is to be \
        deleted, 5: then it ends on every node, and no phone gets a BYE. Any other state follows from messages, so it \
        is not taken.
        """
    static let errors = [
        "400 Need the callid, from tag,to tag and state", "500 Dialog not found", "500 Invalid state value",
        "500 The state of a dialog follows from its messages: dlg.terminate_dlg ends it",
    ]
    static let example = #"["a84b4c76e66710@pc33","1928301774","a6c85cf",4]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let callID = arguments.scannedText(0), let fromTag = arguments.scannedText(1),
            let toTag = arguments.scannedText(2)
        else { throw RPCError(400, "Need the callid, from tag,to tag and state") }
        let state = arguments.count > 3 ? arguments.scannedInteger(3) ?? 0 : 5
        guard 1...5 ~= state else { throw RPCError(500, "Invalid state value") }
        guard let found = try await DialogModule.find(callID, fromTag, toTag, in: context) else {
            throw RPCError(500, "Dialog not found")
        }
        let known = DialogModule.stateNumber(found.state)
        if known == state { return "Done" }
        guard state == 5, known == 3 || known == 4 else {
            throw RPCError(500, "The state of a dialog follows from its messages: dlg.terminate_dlg ends it")
        }
        var ending = DialogEnding()
        ending.side = .none
        switch try await context.node.terminate(did: found.did, ending) {
        case .success(.refused(let reason)): throw RPCError(500, reason)
        case .success: return "Done"
        case .failure(let error): throw RPCError(error.code, error.message)
        }
    }
}
