// What an operator changes of a dialog while it lives, and what the profiles of the cluster hold.

import Node

/// `understudy dialogs set`
enum ClusterChange: RPCMethod {
    static let name = "cluster.change"
    static let parameters = ["id", "kind", "name", "[value]", "[remove]"]
    static let summary = """
        Changes a dialog, by did or Call-ID, on every node: kind var with name and value, profile with name and, where \
        it takes one, value, flag with 0 to 31, property with ka-src, ka-dst or timeout-noreset, timeout with seconds \
        from now. With remove, true, a variable, link, flag or property is taken away.
        """
    static let errors = [
        "400 Parameter …", "400 Profile needs a value: …", "400 (what is allowed)", "404 No dialog …",
        "404 Profile not found: …", "404 Dialog has ended", "500 (why the record takes no more)",
    ]
    static let example = #"["5f0e9c2b7a114d38","var","tenant","red"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let id = try arguments.requiredText("id", at: 0)
        let change = try change(arguments)
        let dialog = try await ClusterDialog.find(id, in: context)
        if let error = try await context.node.change(did: dialog.did, [change]) {
            throw RPCError(error.code, error.message)
        }
        return ["did": .string(dialog.did), "outcome": "changed"]
    }

    private static func change(_ arguments: RPCArguments) throws(RPCError) -> DialogChange {
        let kind = try arguments.requiredText("kind", at: 1)
        let name = try arguments.requiredText("name", at: 2)
        let value = try arguments.text("value", at: 3)
        let isRemoval = arguments.value("remove", at: 4)?.flag == true
        switch kind {
        case "var":
            guard isRemoval || value != nil else { throw .wrongParameter("value", "is missing") }
            return .variable(name, value: isRemoval ? nil : value)
        case "profile": return .profile(name, value: value, isMember: !isRemoval)
        case "flag":
            guard let number = Int(name) else { throw RPCError(400, "\(DialogChange.flagSentence), not '\(name)'") }
            return .flag(number, isSet: !isRemoval)
        case "property": return .property(name, isSet: !isRemoval)
        case "timeout":
            guard !isRemoval, let seconds = Int(name) else {
                throw RPCError(400, "\(DialogChange.timeoutSentence), not '\(name)'")
            }
            return .timeout(seconds: seconds)
        default: throw .wrongParameter("kind", "must be var, profile, flag, property or timeout")
        }
    }
}

/// `understudy profiles`
enum ClusterProfiles: RPCMethod {
    static let name = "cluster.profiles"
    static let parameters = ["[name]", "[value]"]
    static let summary = """
        The profiles of the configuration and how many live dialogs of the cluster are in each; with a name that one's \
        size alone, under one value or all.
        """
    static let errors = DialogModuleProfileSize.errors
    static let example = #"["caller","alice"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let value = try arguments.text("value", at: 1)
        let profiles = try await context.node.profiles()
        guard let name = try arguments.text("name", at: 0) else { return .array(profiles.map { json($0, $0.size) }) }
        guard let profile = profiles.first(where: { $0.name == name }) else {
            throw RPCError(404, "Profile not found: \(name)")
        }
        switch try await context.node.size(ofProfile: name, value: value) {
        case .success(let size): return [json(profile, size)]
        case .failure(let error): throw RPCError(error.code, error.message)
        }
    }

    private static func json(_ profile: ProfileReport, _ size: Int) -> JSONValue {
        ["name": .string(profile.name), "takes_value": .bool(profile.takesValue), "size": .count(size)]
    }
}
