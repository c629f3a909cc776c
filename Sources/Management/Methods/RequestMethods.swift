// Requests within dialogs, and bridges: `cluster.request`, `cluster.refer`, and `dlg.bridge_dlg` of Kamailio's `dialog`
// module. They answer when the wish is taken; how it ends is an event, stands in the dialog's properties on every node,
// and is counted.

import Dialogs
import Node

enum ClusterRequest: RPCMethod {
    static let name = "cluster.request"
    static let parameters = ["id", "side", "method", "[headers]", "[content_type]", "[body]"]
    static let summary = """
        Sends a request within a dialog, by did or Call-ID, to caller or callee as the other would: any method that an \
        answer ends, with header lines and a body. It answers with the CSeq when the request is taken; it leaves when \
        every member moves the other side's CSeqs, and how it ended is in the dialog's properties.
        """
    static let errors = [
        "400 Parameter …", "400 (what is allowed)", "404 No dialog …", "404 Dialog has ended",
        "500 (why it cannot be made)",
    ]
    static let example =
        #"["5f0e9c2b7a114d38","callee","INFO","X-Note: hello\r\n","text/plain","what the phone is to know"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let id = try arguments.requiredText("id", at: 0)
        let side = try side(arguments)
        var request = DialogRequest(try arguments.requiredText("method", at: 2), to: side)
        request.headers = try arguments.text("headers", at: 3) ?? ""
        request.contentType = try arguments.text("content_type", at: 4) ?? ""
        request.body = try arguments.text("body", at: 5) ?? ""
        let dialog = try await ClusterDialog.find(id, in: context)
        return try answer(try await context.node.request(did: dialog.did, request), dialog.did)
    }

    static func side(_ arguments: RPCArguments) throws(RPCError) -> Leg {
        switch try arguments.requiredText("side", at: 1) {
        case "caller": return .caller
        case "callee": return .callee
        default: throw .wrongParameter("side", "must be caller or callee")
        }
    }

    static func answer(_ result: Result<UInt32, DialogError>, _ did: String) throws(RPCError) -> JSONValue {
        switch result {
        case .success(let cSeq): return ["did": .string(did), "cseq": .integer(Int64(cSeq)), "outcome": "taken"]
        case .failure(let error): throw RPCError(error.code, error.message)
        }
    }
}

enum ClusterRefer: RPCMethod {
    static let name = "cluster.refer"
    static let parameters = ["id", "side", "address"]
    static let summary = """
        Tells one side of a dialog, by did or Call-ID, to call an address: REFER, as dlg_refer of the dialog module, \
        without the BYE that follows there. Otherwise as cluster.request.
        """
    static let errors = ClusterRequest.errors
    static let example = #"["5f0e9c2b7a114d38","caller","sip:carol@192.0.2.7"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let id = try arguments.requiredText("id", at: 0)
        let side = try ClusterRequest.side(arguments)
        let address = try arguments.requiredText("address", at: 2)
        let dialog = try await ClusterDialog.find(id, in: context)
        let result = try await context.node.refer(did: dialog.did, side, to: address)
        return try ClusterRequest.answer(result, dialog.did)
    }
}

enum DialogModuleBridge: RPCMethod {
    static let name = "dlg.bridge_dlg"
    static let parameters = ["from", "to", "[op]", "[body]"]
    static let summary = """
        Calls from, as ims_dialog.bridge_controller, and sends it on to to: INVITE, REFER, and BYE when the phone has \
        told what became of it. With op the INVITE goes there; a point is none. A body that is a point is one that \
        holds the line, _ none.
        """
    static let errors = ["500 Invalid parameters", "500 (why it cannot be made)"]
    static let example = #"["sip:alice@192.0.2.5","sip:bob@192.0.2.6"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let from = arguments.scannedText(0), let to = arguments.scannedText(1) else {
            throw RPCError(500, "Invalid parameters")
        }
        var bridge = DialogBridge(from: from, to: to)
        if let proxy = arguments.scannedText(2), proxy != "." { bridge.proxy = proxy }
        if let body = arguments.scannedText(3), body != "." { bridge.body = body == "_" ? "" : body }
        if let error = try await context.node.bridge(bridge) { throw RPCError(500, error.message) }
        return [:]
    }
}
