// `cluster.*`: what the command line asks a node.

import Node

/// `understudy status`
enum ClusterStatus: RPCMethod {
    static let name = "cluster.status"
    static let parameters: [String] = []
    static let summary = "The node's state, quorum, view, dialogs by state, and every member with its lag."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try await context.node.status().json
    }
}

/// Part of `understudy status`.
enum ClusterTargets: RPCMethod {
    static let name = "cluster.targets"
    static let parameters: [String] = []
    static let summary = "The targets of static routes, up or down as this node finds them."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        ["targets": .array(try await context.node.status().targets.map(\.json))]
    }
}

/// `understudy dialogs list`
enum ClusterDialogs: RPCMethod {
    static let name = "cluster.dialogs"
    static let parameters = [
        "[cursor]", "[limit]", "[state]", "[home]", "[actor]", "[call_id]", "[full]", "[from]", "[to]", "[older_s]",
        "[younger_s]", "[profile]", "[variable]",
    ]
    static let summary = """
        One page of dialogs and the cursor of the next; live ones unless state, one or several with commas, has \
        deleted; \
        from and to are parts of those headers; profile and variable are a name, or name=value; with full, all of \
        each dialog.
        """
    static let errors = ["400 Parameter state …", "400 Parameter limit …", "400 Parameter older_s …"]
    static let example = #"{"state":"confirmed","home":"n1","limit":100}"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let page = try await context.node.dialogs(try query(arguments))
        let isFull = arguments.value("full", at: 6)?.flag == true
        return [
            "dialogs": .array(page.dialogs.map { isFull ? $0.json : $0.summary }),
            "next": page.next.map { .count($0) } ?? .null,
        ]
    }

    static let states = ["unconfirmed", "early", "confirmed_na", "confirmed", "deleted"]

    private static func query(_ arguments: RPCArguments) throws(RPCError) -> DialogQuery {
        var query = DialogQuery()
        query.cursor = try arguments.integer("cursor", at: 0, in: 0...Int(UInt32.max)).map { UInt32($0) }
        if let limit = try arguments.integer("limit", at: 1, in: DialogQuery.limitRange) { query.limit = limit }
        for written in (try arguments.text("state", at: 2) ?? "").split(separator: ",") {
            let state = String(written.lowercased().map { $0 == "-" ? "_" : $0 }.filter { $0 != " " })
            guard states.contains(state) else {
                throw .wrongParameter("state", "must be one or several of \(states.joined(separator: ", "))")
            }
            query.states.append(state)
        }
        query.home = try arguments.text("home", at: 3)
        query.actor = try arguments.text("actor", at: 4)
        query.callID = try arguments.text("call_id", at: 5)
        query.from = try arguments.text("from", at: 7)
        query.to = try arguments.text("to", at: 8)
        let ages = 0...3_155_760_000
        query.olderMilliseconds = try arguments.integer("older_s", at: 9, in: ages).map { Int64($0) * 1_000 }
        query.youngerMilliseconds = try arguments.integer("younger_s", at: 10, in: ages).map { Int64($0) * 1_000 }
        (query.profile, query.profileValue) = pair(try arguments.text("profile", at: 11))
        (query.variable, query.variableValue) = pair(try arguments.text("variable", at: 12))
        return query
    }

    /// `name` or `name=value`.
    private static func pair(_ text: String?) -> (String?, String?) {
        guard let text, !text.isEmpty else { return (nil, nil) }
        guard let mark = text.firstIndex(of: "=") else { return (text, nil) }
        return (String(text[..<mark]), String(text[text.index(after: mark)...]))
    }
}

/// `understudy dialogs show`
enum ClusterDialog: RPCMethod {
    static let name = "cluster.dialog"
    static let parameters = ["id"]
    static let summary =
        "Everything this node knows of one dialog, by did or Call-ID; the live one when there are several."
    static let errors = ["404 No dialog …"]
    static let example = #"["5f0e9c2b7a114d38"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let key = try arguments.requiredText("id", at: 0)
        return try await find(key, in: context).json
    }

    static func find(_ key: String, in context: RPCContext) async throws -> DialogReport {
        if let found = try await context.node.dialog(did: key) { return found }
        var query = DialogQuery()
        query.callID = key
        if let live = try await context.node.allDialogs(query, bound: 1).first { return live }
        query.states = ["deleted"]
        if let ended = try await context.node.allDialogs(query, bound: 1).first { return ended }
        throw RPCError(404, "No dialog has the did or Call-ID \(key)")
    }
}

/// `understudy dialogs end`
enum ClusterEnd: RPCMethod {
    static let name = "cluster.end"
    static let parameters = ["id"]
    static let summary =
        """
        Ends a dialog, by did or Call-ID: BYE to both sides, or CANCEL and a final reply while it is early. The answer \
        comes at once; cluster.dialog says in `end` what becomes of it, until its phase is `ended`.
        """
    static let errors = ["404 No dialog …", "409 Already ended", "503 (why this node may not act)"]
    static let example = #"["5f0e9c2b7a114d38"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let dialog = try await ClusterDialog.find(try arguments.requiredText("id", at: 0), in: context)
        return try await end(dialog.did, in: context)
    }

    static func end(_ did: String, in context: RPCContext) async throws -> JSONValue {
        switch try await context.node.end(did: did) {
        case .ending: return ["did": .string(did), "outcome": "ending"]
        case .endingAlready: return ["did": .string(did), "outcome": "ending already"]
        case .alreadyEnded: throw RPCError(409, "Already ended")
        case .unknown: throw RPCError(404, "No dialog has the did \(did)")
        case .refused(let reason): throw RPCError(503, reason)
        }
    }
}

/// `understudy drain`
enum ClusterDrain: RPCMethod {
    static let name = "cluster.drain"
    static let parameters = ["[node]"]
    static let summary = """
        Tells balancers to send no new calls here (OPTIONS gets 503), and goes on with the old ones; answers the \
        status. \
        With a node's name only that node does it.
        """
    static let errors = ["409 This is …"]
    static let example = #"["n1"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try await requireName(arguments, in: context)
        return try await context.node.drain(true).json
    }

    /// A URL may lead to another node than its user thinks; what was meant for one is not done by another.
    static func requireName(_ arguments: RPCArguments, in context: RPCContext) async throws {
        guard let wanted = try arguments.text("node", at: 0) else { return }
        let name = try await context.node.status().node
        guard wanted == name else { throw RPCError(409, "This is \(name), not \(wanted)") }
    }
}

/// `understudy undrain`
enum ClusterUndrain: RPCMethod {
    static let name = "cluster.undrain"
    static let parameters = ["[node]"]
    static let summary = "Ends a drain: balancers may send new calls again; answers the status."
    static let errors = ["409 This is …"]
    static let example = #"["n1"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try await ClusterDrain.requireName(arguments, in: context)
        return try await context.node.drain(false).json
    }
}

/// First step of `understudy check`.
enum ClusterDigests: RPCMethod {
    static let name = "cluster.digests"
    static let parameters = ["[from]", "[count]"]
    static let summary = """
        The digest of every bucket of live records, or of some; size is how many there are. Two nodes that agree on \
        all hold the same records.
        """
    static let errors = ["400 Parameter …"]
    static let example = "[0,1024]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let from = try arguments.integer("from", at: 0, in: 0...DialogSettings.hashSizeLimit) ?? 0
        let count = try arguments.integer("count", at: 1, in: 1...DialogSettings.hashSizeLimit)
        return try await context.node.digests().json(from: from, count: count ?? DialogSettings.hashSizeLimit)
    }
}

/// Second step of `understudy check`.
enum ClusterBucket: RPCMethod {
    static let name = "cluster.bucket"
    static let parameters = ["buckets"]
    static let summary = "The records of some buckets, tombstones too: did, Call-ID, state, digest, last change."
    static let errors = ["400 Parameter buckets …"]
    static let example = "[[17,4001]]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let allowed = "must be a list of 1 to \(BucketReport.requestLimit) bucket numbers"
        guard let elements = arguments.value("buckets", at: 0)?.elements else {
            throw RPCError.wrongParameter("buckets", allowed)
        }
        let numbers = elements.compactMap { $0.whole.flatMap { Int(exactly: $0) } }
        guard (1...BucketReport.requestLimit).contains(numbers.count), numbers.count == elements.count else {
            throw RPCError.wrongParameter("buckets", allowed)
        }
        return ["buckets": .array(try await context.node.buckets(numbers).map(\.json))]
    }
}

/// `understudy check --repair`
enum ClusterRepair: RPCMethod {
    static let name = "cluster.repair"
    static let parameters: [String] = []
    static let summary = "Compares digests with every peer at once and joins what differs."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let report = try await context.node.repair()
        return ["asked": .texts(report.asked), "repaired": .count(report.repaired)]
    }
}
