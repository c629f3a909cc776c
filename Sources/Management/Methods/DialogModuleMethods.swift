// `dlg.*`, the RPC of Kamailio's `dialog` module, over our records. Field names, order and error texts are the
// module's.
//
// What our records do not hold is printed the way the module prints an absent value: `ref` 1, `end_ts` of a live dialog
// 0; of `dflags` what `$dlg(dflags)` has, of `iflags` what `dlg_set_property` sets.
// `h_entry` is the bucket, `h_id` bits 32 to 62 of the did. Together they name one dialog nearly always; a pair that
// names two is refused, and their Call-ID and tags tell them apart.

import Dialogs
import Node

enum DialogModule {
    /// More are not listed: a reply has a bound. `cluster.dialogs` pages without one.
    static let listLimit = 100_000

    /// Signed 32-bit positive, as `%d` prints it.
    static func identifier(did: String) -> Int64 { Int64(DialogID(hex: did)?.moduleIdentifier ?? 0) }

    /// The did that the first two arguments, `h_entry` and `h_id`, name.
    static func did(_ arguments: RPCArguments, in context: RPCContext) async throws -> String {
        guard let entry = arguments.scannedInteger(0), let identifier = arguments.scannedInteger(1) else {
            throw RPCError(500, "Invalid parameters")
        }
        guard let bucket = Int(exactly: entry) else { throw RPCError(404, "Dialog not found") }
        let records = try await context.node.buckets([bucket]).first?.records ?? []
        let found = records.filter { $0.state != "deleted" && self.identifier(did: $0.did) == identifier }
        guard let first = found.first else { throw RPCError(404, "Dialog not found") }
        guard found.count == 1 else {
            throw RPCError(500, "Several dialogs have these numbers: use dlg.terminate_dlg")
        }
        return first.did
    }

    /// Every live dialog, by slots and within them the oldest first.
    static func all(in context: RPCContext) async throws -> [DialogReport] {
        try await sorted(context.node.allDialogs(DialogQuery(), bound: listLimit))
    }

    static func sorted(_ dialogs: [DialogReport]) -> [DialogReport] {
        dialogs.sorted { ($0.bucket, -$0.ageMilliseconds, $0.did) < ($1.bucket, -$1.ageMilliseconds, $1.did) }
    }

    /// The live dialog of a Call-ID and tags; one that rings has no To tag yet that could be told apart.
    static func find(
        _ callID: String, _ fromTag: String, _ toTag: String, in context: RPCContext
    ) async throws -> DialogReport? {
        var query = DialogQuery()
        query.callID = callID
        return try await context.node.allDialogs(query, bound: 64).first { dialog in
            dialog.fromTag == fromTag && (dialog.outs.isEmpty || dialog.outs.contains { $0.toTag == toTag })
        }
    }

    /// - Parameter headers: Lines of the BYEs, each with its CRLF.
    static func end(_ did: String, headers: String? = nil, in context: RPCContext) async throws -> JSONValue {
        let report: EndReport
        if let headers, !headers.isEmpty {
            var ending = DialogEnding()
            ending.headers = headers
            switch try await context.node.terminate(did: did, ending) {
            case .success(let told): report = told
            case .failure(let error): throw RPCError(error.code, error.message)
            }
        } else {
            report = try await context.node.end(did: did)
        }
        switch report {
        case .ending, .endingAlready: return [:]
        case .alreadyEnded, .unknown: throw RPCError(404, "Dialog not found")
        case .refused(let reason): throw RPCError(500, reason)
        }
    }

    /// `dialog`'s numbers: 1 unconfirmed … 5 deleted. (`ims_dialog` counts 4 confirmed, 5 confirmed_na, 6 deleted.)
    static func stateNumber(_ name: String) -> Int {
        switch name {
        case "unconfirmed": 1
        case "early": 2
        case "confirmed_na": 3
        case "confirmed": 4
        default: 5
        }
    }

    /// Unix seconds; 0 for what has not been.
    static func times(_ dialog: DialogReport, now: Int64) -> (born: Int64, answered: Int64, timeout: Int64) {
        let born = now * 1_000 - dialog.ageMilliseconds
        let state = stateNumber(dialog.state)
        // A dialog whose answer was not seen, of a record that others have told of, counts from its birth.
        let answered = state == 3 || state == 4 ? born + Int64(clamping: dialog.answeredMilliseconds) : 0
        return (born / 1_000, answered / 1_000, dialog.remainingMilliseconds.map { now + $0 / 1_000 } ?? 0)
    }

    static func json(_ dialog: DialogReport, now: Int64) -> JSONValue {
        let (born, answered, timeout) = times(dialog, now: now)
        let state = stateNumber(dialog.state)
        let callee = dialog.outs.first { $0.toTag == dialog.toTag }?.side ?? SideReport()
        return .object([
            .init("h_entry", .count(dialog.bucket)), .init("h_id", .integer(identifier(did: dialog.did))),
            .init("ref", 1), .init("call-id", .string(dialog.callID)), .init("from_uri", .string(uri(dialog.from))),
            .init("to_uri", .string(uri(dialog.to))), .init("state", .count(state)),
            .init("start_ts", .integer(answered)), .init("init_ts", .integer(born)), .init("end_ts", 0),
            .init("duration", .integer(state == 3 || state == 4 ? now - answered : 0)),
            .init("timeout", .integer(timeout)),
            .init("lifetime", .count(dialog.lifetimeMilliseconds / 1_000)),
            .init("dflags", .count(dialog.moduleFlags)),
            .init("sflags", .count(Int(dialog.scriptFlags))), .init("iflags", .count(flags(dialog.properties))),
            .init("caller", side(dialog.caller, tag: dialog.fromTag)),
            .init("callee", side(callee, tag: dialog.toTag)),
            .init("profiles", state == 5 ? [] : .array(dialog.profiles.map(profile))),
            .init("variables", state == 5 ? [] : .array(dialog.variables.map(variable))),
        ])
    }

    /// The bits of `iflags` that `dlg_set_property` sets.
    private static func flags(_ properties: [String]) -> Int {
        let bits = ["ka-src": 1, "ka-dst": 2, "timeout-noreset": 3]
        return properties.reduce(0) { $0 | (bits[$1].map { 1 << $0 } ?? 0) }
    }

    /// The URI of a From or To value: what stands in `< >`, or all before the first parameter.
    static func uri(_ value: String) -> String {
        if let open = value.lastIndex(of: "<"), let close = value[open...].firstIndex(of: ">") {
            return String(value[value.index(after: open)..<close])
        }
        return String(value.prefix { $0 != ";" })
    }

    private static func side(_ side: SideReport, tag: String) -> JSONValue {
        [
            "tag": .string(tag), "contact": .string(side.contact), "cseq": .string(String(side.cseq)),
            "route_set": .string(side.routes), "socket": .string(side.socket),
        ]
    }

    private static func profile(_ link: StampedReport) -> JSONValue {
        link.value.isEmpty ? .string(link.key) : .object([.init(link.key, .string(link.value))])
    }

    private static func variable(_ pair: StampedReport) -> JSONValue {
        .object([.init(pair.key, .string(pair.value))])
    }
}

extension DialogModule {
    /// The lines that programs in the node's process have for a dialog, behind its other fields; none where they have
    /// nothing to say.
    static func withContext(
        _ dialogs: [DialogReport], in context: RPCContext
    ) async throws -> [JSONValue] {
        let now = context.unixSeconds()
        let said = try await context.node.contexts(.rpc, of: dialogs.map(\.did))
        return dialogs.map { dialog in
            let whole = json(dialog, now: now)
            guard let lines = said[dialog.did], !lines.isEmpty, case .object(let members) = whole else { return whole }
            return .object(members + [.init("context", .array(lines.map { .string($0) }))])
        }
    }
}

enum DialogModuleList: RPCMethod {
    static let name = "dlg.list"
    static let parameters: [String] = []
    static let summary = "Every live dialog, as the dialog module prints it."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let now = context.unixSeconds()
        return .array(try await DialogModule.all(in: context).map { DialogModule.json($0, now: now) })
    }
}

enum DialogModuleOne: RPCMethod {
    static let name = "dlg.dlg_list"
    static let parameters = ["callid", "[from_tag]"]
    static let summary = "The dialog of that Call-ID and From-tag, or an empty object."
    static let errors: [String] = []
    static let example = #"["a84b4c76e66710@pc33","1928301774"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let found = try await dialog(arguments, in: context) else { return [:] }
        return DialogModule.json(found, now: context.unixSeconds())
    }

    /// The last one of that Call-ID, and From-tag if there is one.
    static func dialog(_ arguments: RPCArguments, in context: RPCContext) async throws -> DialogReport? {
        guard let callID = arguments.scannedWord(0) else { return nil }
        var query = DialogQuery()
        query.callID = callID
        let fromTag = arguments.scannedWord(1)
        return try await context.node.allDialogs(query, bound: 64).last { fromTag == nil || $0.fromTag == fromTag }
    }
}

enum DialogModuleEnd: RPCMethod {
    static let name = "dlg.end_dlg"
    static let parameters = ["h_entry", "h_id", "[extra_hdrs]"]
    static let summary = """
        Ends a dialog: BYE both ways, or CANCEL and a final reply while it is early. The BYEs get the extra header \
        lines, each with its CRLF.
        """
    static let errors = ["500 Invalid parameters", "404 Dialog not found"]
    static let example = "[17,1593744261]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let did = try await DialogModule.did(arguments, in: context)
        return try await DialogModule.end(did, headers: arguments.scannedText(2), in: context)
    }
}

enum DialogModuleTerminate: RPCMethod {
    static let name = "dlg.terminate_dlg"
    static let parameters = ["callid", "ftag", "ttag"]
    static let summary = "Ends the dialog of that Call-ID and tags."
    static let errors = ["400 Need a Callid ,from tag ,to tag", "500 Couldnt find callid in dialog"]
    static let example = #"["a84b4c76e66710@pc33","1928301774","a6c85cf"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let callID = arguments.scannedText(0), let fromTag = arguments.scannedText(1),
            let toTag = arguments.scannedText(2)
        else { throw RPCError(400, "Need a Callid ,from tag ,to tag") }
        guard let found = try await DialogModule.find(callID, fromTag, toTag, in: context) else {
            throw RPCError(500, "Couldnt find callid in dialog")
        }
        return try await DialogModule.end(found.did, in: context)
    }
}

enum DialogModuleStatistics: RPCMethod {
    static let name = "dlg.stats_active"
    static let parameters = ["[own]"]
    static let summary = """
        Live dialogs by state; all is their sum, home and replicas. With own, not 0, those alone that this node is the \
        home of.
        """
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let status = try await context.node.status()
        var counts = status.dialogs
        if arguments.scannedInteger(0) ?? 0 != 0 {
            var query = DialogQuery()
            query.home = status.node
            let own = try await context.node.allDialogs(query, bound: DialogModule.listLimit)
            func count(_ state: String) -> Int { own.count { $0.state == state } }
            (counts.unconfirmed, counts.early) = (count("unconfirmed"), count("early"))
            counts.confirmedNotAcknowledged = count("confirmed_na")
            counts.confirmed = count("confirmed")
        }
        let all = counts.unconfirmed + counts.early + counts.confirmedNotAcknowledged + counts.confirmed
        return [
            "starting": .count(counts.unconfirmed), "connecting": .count(counts.early),
            "answering": .count(counts.confirmedNotAcknowledged), "ongoing": .count(counts.confirmed),
            "all": .count(all),
        ]
    }
}
