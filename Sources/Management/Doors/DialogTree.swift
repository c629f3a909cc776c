// DialogTree is a dialog as the former management interface of `ims_dialog` printed it: a node for the dialog, and
// behind it one for each of its dialog-outs, early ones among them.
//
//     dialog::  hash=3:17                  dialog_out::  hash=3301:0
//     	state:: 2                           	to_tag:: b1
//     	…                                   	…
//     	caller_bind_addr:: udp:…            	callee_bind_addr:: udp:…
//     	context::                           where contexts are asked for
//
// States are counted as everywhere else here, `dialog`'s numbers.

import Dialogs
import Node

enum DialogTree {
    /// - Parameters:
    ///   - context: What programs have to say of it; `nil` where nobody asks.
    ///   - now: Unix seconds.
    static func nodes(_ dialog: DialogReport, context: [String]?, now: Int64) -> [MINode] {
        let times = DialogModule.times(dialog, now: now)
        let identifier = DialogModule.identifier(did: dialog.did)
        var node = MINode("dialog", attributes: [("hash", "\(dialog.bucket):\(identifier)")])
        node.children = [
            MINode("state", String(DialogModule.stateNumber(dialog.state))), MINode("ref_count", "1"),
            MINode("timestart", String(times.answered)), MINode("timeout", String(times.timeout)),
            MINode("callid", dialog.callID), MINode("from_uri", DialogModule.uri(dialog.from)),
            MINode("from_tag", dialog.fromTag), MINode("did", dialog.did),
            MINode("caller_contact", dialog.caller.contact), MINode("first_req_cseq", String(dialog.inviteCSeq)),
            MINode("caller_route_set", dialog.caller.routes), MINode("caller_bind_addr", dialog.caller.socket),
        ]
        if let context { node.children.append(MINode("context", children: context.map { MINode("", $0) })) }
        let outs = dialog.outs.enumerated().filter { $0.element.state != "deleted" }
        return [node] + outs.map { out($0.element, number: $0.offset, of: dialog) }
    }

    private static func out(_ out: OutReport, number: Int, of dialog: DialogReport) -> MINode {
        MINode(
            "dialog_out", attributes: [("hash", "\(entry(of: out)):\(number)")],
            children: [
                MINode("to_tag", out.toTag), MINode("did", dialog.did), MINode("callee_contact", out.side.contact),
                MINode("caller_cseq", String(dialog.caller.cseq)), MINode("callee_cseq", String(out.side.cseq)),
                MINode("callee_route_set", out.side.routes), MINode("callee_bind_addr", out.side.socket),
            ])
    }

    /// The module's hash of its To-tag.
    static func entry(of out: OutReport) -> Int64 {
        ModuleRow.entry(of: Array(out.toTag.utf8), size: ModuleRow.calleeEntries)
    }
}
