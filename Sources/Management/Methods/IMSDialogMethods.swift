// `dlg2.*`, the RPC of Kamailio's `ims_dialog` module. Its known defects are not copied: `confirmed_na` is spelled
// "Confirmed_NA" where the module prints "Unknown", and each dialog-out has an Id of its own where the module prints 0.

import Node

enum IMSDialogList: RPCMethod {
    static let name = "dlg2.list"
    static let parameters: [String] = []
    static let summary = "The table's size and every live dialog with its dialog-outs, as ims_dialog prints them."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let size = try await context.node.digests().buckets.count
        let dialogs = try await context.node.allDialogs(DialogQuery(), bound: DialogModule.listLimit)
        return ["Size": .count(size), "Dialogs": .array(dialogs.map { ["Dialog": json($0)] })]
    }

    private static func json(_ dialog: DialogReport) -> JSONValue {
        let outs: [JSONValue] = dialog.outs.enumerated().map { index, _ in
            ["dlg_out": ["Entry": .count(dialog.bucket), "Id": .count(index)]]
        }
        return .object([
            .init("Entry", .count(dialog.bucket)), .init("Id", .integer(DialogModule.identifier(did: dialog.did))),
            .init("RURI", .string(dialog.requestURI)), .init("From", .string(DialogModule.uri(dialog.from))),
            .init("Call-ID", .string(dialog.callID)), .init("Caller Contact", .string(dialog.caller.contact)),
            .init("Caller Route Set", .string(dialog.caller.routes)), .init("Dialog-ID", .string(dialog.did)),
            .init("From Tag", .string(dialog.fromTag)), .init("State", .string(stateName(dialog))),
            .init("Ref", 1), .init("dlg_outs", .array(outs)),
        ])
    }

    /// As `ims_dialog` names them; a dialog that several callees have confirmed is the module's seventh state.
    private static func stateName(_ dialog: DialogReport) -> String {
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
    static let parameters = ["h_entry", "h_id"]
    static let summary = "Ends a dialog, as dlg.end_dlg does."
    static let errors = ["500 Invalid parameters", "404 Dialog not found"]
    static let example = "[17,1593744261]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let did = try await DialogModule.did(arguments[0], arguments[1], in: context)
        return try await DialogModule.end(did, in: context)
    }
}
