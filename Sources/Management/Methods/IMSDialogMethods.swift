// `dlg2.*`, the RPC of Kamailio's `ims_dialog` module. Its known defects are not copied: `confirmed_na` is spelled
// "Confirmed_NA" where the module prints "Unknown", and each dialog-out has an Id of its own where the module prints 0;
// `management.compat: kamailio-5.6` brings both back.

import Node

enum IMSDialogList: RPCMethod {
    static let name = "dlg2.list"
    static let parameters: [String] = []
    static let summary = "The table's size and every live dialog with its dialog-outs, as ims_dialog prints them."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let size = try await context.node.digests().buckets.count
        let dialogs = try await DialogModule.all(in: context)
        let showsDefects = context.process.showsDefects
        return ["Size": .count(size), "Dialogs": .array(dialogs.map { ["Dialog": json($0, showsDefects)] })]
    }

    private static func json(_ dialog: DialogReport, _ showsDefects: Bool) -> JSONValue {
        let outs: [JSONValue] = dialog.outs.enumerated().map { index, out in
            ["dlg_out": ["Entry": .integer(DialogTree.entry(of: out)), "Id": .count(showsDefects ? 0 : index)]]
        }
        let routes = dialog.caller.routes
        return .object([
            .init("Entry", .count(dialog.bucket)), .init("Id", .integer(DialogModule.identifier(did: dialog.did))),
            .init("RURI", .string(dialog.requestURI)), .init("From", .string(DialogModule.uri(dialog.from))),
            .init("Call-ID", .string(dialog.callID)), .init("Caller Contact", .string(dialog.caller.contact)),
            .init("Caller Route Set", routes.isEmpty ? .null : .string(routes)),
            .init("Dialog-ID", .string(dialog.did)), .init("From Tag", .string(dialog.fromTag)),
            .init("State", .string(stateName(dialog, showsDefects))),
            .init("Ref", 1), .init("dlg_outs", .array(outs)),
        ])
    }

    /// As `ims_dialog` names them; a dialog that several callees have confirmed is the module's seventh state.
    private static func stateName(_ dialog: DialogReport, _ showsDefects: Bool) -> String {
        if showsDefects, dialog.state == "confirmed_na" { return "Unknown" }
        let confirmed = dialog.outs.count { $0.state == "confirmed" || $0.state == "confirmed_na" }
        return switch dialog.state {
        case "confirmed_na" where confirmed > 1, "confirmed" where confirmed > 1: "Concurrently_Confirmed"
        case "unconfirmed": "Unconfirmed"
        case "early": "Early"
        case "confirmed_na": "Confirmed_NA"
        case "confirmed": "Confirmed"
        default: "Deleted"
        }
    }
}

enum IMSDialogEnd: RPCMethod {
    static let name = "dlg2.end_dlg"
    static let parameters = DialogModuleEnd.parameters
    static let summary = "Ends a dialog, as dlg.end_dlg does."
    static let errors = ["500 Invalid parameters", "404 Dialog not found"]
    static let example = "[17,1593744261]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let did = try await DialogModule.did(arguments, in: context)
        return try await DialogModule.end(did, headers: arguments.scannedText(2), in: context)
    }
}

enum IMSDialogEndAll: RPCMethod {
    static let name = "dlg2.end_all_active_dlg"
    static let parameters: [String] = []
    static let summary = "Ends every confirmed dialog of the cluster, one after another."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        var query = DialogQuery()
        query.states = ["confirmed"]
        for dialog in try await context.node.allDialogs(query, bound: DialogModule.listLimit) {
            _ = try await context.node.end(did: dialog.did)
        }
        return [:]
    }
}
