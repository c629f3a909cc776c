// The article Scripts is written from the table of functions: RERECORD=1 in the environment writes it anew.

import Foundation
import Routes
import Scripting
import Testing

@Suite("The article Scripts")
struct ScriptArticleTests {
    private static let path = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Sources/Node/Understudy.docc/Scripts.md")

    private static let head = """
        # Scripts

        Functions and pseudo-variables that Kamailio's Lua scripts (KEMI) call, as they are here.

        ## Overview

        A script for Kamailio's `app_lua` names its functions `KSR.module.function`. `understudy script check FILE` says
        which of them a script uses that are not here, with file and line. The language is Lua 5.4, with the names of
        5.1 that scripts use (`unpack`, `table.getn`, `loadstring`, `math.pow`). There is no `io`, no `debug`, no module
        of C; `require` finds files below one folder, which are read before the script begins.

        What differs from Kamailio:

        - Reading sees the message as it was received; edits are made when the route has ended, as there. An edit that
          does not fit (a text that is no header, the same bytes changed twice, a message that would be another
          transaction's) is an error of the script, where there it makes a wrong message.
        - `KSR.force_rport()` is for show: answers go where `sip.force_rport` says.
        - `KSR.x.exit()` within `pcall` ends the route, too.
        - `KSR.tm.t_relay()` answers 1 or -1 at once, by what can be known without asking a name server; the request
          goes when the route has ended. One verdict counts: after an answer, `t_relay` says -1.
        - Copies of a request never reach a script: `t_precheck_trans` is always -1, and `t_check_trans` never 0.
        - `$var(x)` begins as 0 in each transaction; there it keeps what another message left.
        - `KSR.cfgutils.sleep()` lets other messages pass.
        - `KSR.auth_db.auth_check()` knows the users of the configuration. A nonce of one node is good at every other.
        - What a script writes of a dialog (`$dlg_var`, profiles, flags, a timeout) is seen on every node and outlives
          the one that ran it; a profile's size is the cluster's, and a dialog that is put into one twice counts once.
          What does not fit into the record (4 KiB of names and values) is refused: -1.
        - A dialog begins where the INVITE leaves record-routed, or where `KSR.dialog.dlg_manage()` was called. Its
          variables, profiles and flags may be set before that.
        - `KSR.dialog.dlg_bye()` and `dlg_terminate()` answer 1 when the end can be asked for; the BYEs need the grants
          of the members, like those of an expired dialog. `$dlg_ctx(timeout_bye)` is always 1.
        - `dlg_update_state`, `dlg_update_contact`, `dlg_update_socket`, `dlg_db_load_extra` have nothing left to do;
          `dlg_db_load_callid` says whether there is such a dialog.
        - A script without `ksr_request_route` is refused. A request that cannot be read gets 400.
        - `KSR.pike` counts no balancer and no member of the cluster.
        - `KSR.tmx.t_suspend()` puts a request aside on this node, for as long as its sender waits (32 s);
          `t_continue()` goes on with it in the script that serves then. A function for events cannot wait.
        - `KSR.tm.t_set_fr()` holds for the branches of this request route, or of this failure route. A callee that
          rings for too long is cancelled, and the failure route sees 408 when it has answered to that.
        - `ims_dialog.event_callback` names the function that is told `dialog:start`, `dialog:timeout`, `dialog:end`
          and `dialog:failed`: once, on the node that acts for the dialog, whichever has seen it.
        - `t_on_branch_failure(f)` arms a function for branches that begin from then on. It is run when one of them ends
          without a 2xx, while others may ring; what it relays to rings beside them, unarmed unless it says so again. It
          cannot answer. Where the branch had a 6xx, what it relays to is tried in its place.
        - `ksr_onsend_route` sees a request as it leaves (`$snd(ip)`, `$snd(port)`, `$snd(buf)`, …), once a branch, and
          the ACK of a 2xx, of which it does not know what the request route has kept; not copies, CANCELs or other
          ACKs, and no response. It can stop it (`KSR.x.drop()`), not change it: there an edit has no effect, here it is
          an error. Kamailio 5.6.3 runs it for responses that pass, too.
        - `$T_rpl(…)` in a failure or branch-failure route is a variable of the response that is the reason, as it came:
          `$T_rpl($rs)`, `$T_rpl($hdr(Retry-After))`. It is null where nobody answered.
        - `t_relay` in a failure route begins another round. What the rounds before it came to counts no more
          (`failure_reply_mode` 3).
        - A run has 1 000 000 instructions, 8 MiB of its own and 20 000 calls within one another.
        - `tm.event_callback` names the function that is told `tm:local-request` of what the cluster sends itself: BYEs,
          OPTIONS, requests within dialogs. Its edits are sent; what it drops counts as what could not be sent. An
          actor's BYE and the one of its heir are the same transaction, whatever the function adds.
        - `registrar.event_callback` names the function that is told `usrloc:contact-expired`, with the contact in
          `$ulc(exp=>…)`: within 40 s of its end, by the node that acts for the address, and not at all where that one
          dies in this moment. What a phone took back is not told.
        - `KSR.rr.add_rr_param()` in a branch route answers -1 where the branch has no Record-Route of ours.
          `record_route_advertised_address()` takes addresses that are ours; which one is written follows from
          `sip.advertise`.
        - `KSR.rtpengine` asks the media relays of `rtpengine.sets` and goes on when one has answered; other messages
          pass meanwhile. Servers stand in an order that follows from the Call-ID, so any node asks the one that has the
          call; where that one does not know it, the next is asked. The body is replaced when the route has ended.
          `via-branch` is `1`, `2` or `auto`, and means Vias as they were received. A body in parts, `extra`, `next`,
          and the values of a query beside `$rtpstat` are not there. That is read by `KSR.pv.get`, `gete`, `getw`.
        - `KSR.dialog.dlg_set_state()` answers 1 for the state that the dialog has, and for 5 (deleted) of an answered
          one, which then ends without a BYE: other states follow from messages.
          `dlg_remote_profile()` counts on this node; `dlg_set_timeout_by_profile()` is carried out within moments.
        - `KSR.registrar` keeps contacts in the cluster's records: every node finds them. The verdict of a request route
          that has saved waits until a peer has what it saved. A table is a name, and needs no configuration. Addresses
          are the user alone, in lower case; times, and how many contacts an address may have, are `registrar.*`'s. A
          Path is always kept and followed, and a contact that came over a connection is reached by it, from any node.
          Of contacts with one q the latest comes first; of a phone that has registered more than once (`+sip.instance`)
          one way is taken, the first that is there. Where none is, the failure route gets 480.
        - `KSR.registrar.save()` answers a REGISTER out of order with 500 (RFC 3261 §10.3), where there it is 400, and
          its refusals list no contacts. `P-Registrar-Error` says why, in the module's words.
        - Regular expressions are those of `routes`: no counted repetition, no back reference.

        A function answers -1, or `false`, where Kamailio's does. Called with no parameter where it wants one, or with
        any where it wants none, it answers `false` and is logged; a number is taken as text and text as a number.

        This page is written from the code (`RERECORD=1 swift test --filter ScriptArticleTests`).

        """

    private static func line(_ function: KSRFunction) -> String {
        let parameters = function.parameters.map(\.rawValue).joined(separator: ", ")
        return "| `KSR.\(function.name)` | \(parameters.isEmpty ? "none" : parameters) | \(function.result.rawValue) |"
    }

    private static var text: String {
        var text = head
        let modules = Set(Library.functions.map(\.module)).sorted()
        for module in modules {
            let isOptional = Library.optionalModules.contains(module)
            text += "\n## " + (module.isEmpty ? "KSR itself" : "KSR.\(module)") + "\n\n"
            if isOptional { text += "There only where `script.modules` names it: scripts ask for its table.\n\n" }
            text += "| Function | Parameters | Result |\n|---|---|---|\n"
            text += Library.functions.filter { $0.module == module }.map(line).joined(separator: "\n") + "\n"
        }
        text += "\n## Pseudo-variables\n\n"
        text += PseudoVariable.names.map { "`$\($0)`" }.joined(separator: " ") + "\n"
        return text
    }

    @Test func `it has every function as the code has it`() throws {
        if ProcessInfo.processInfo.environment["RERECORD"] == "1" { try Data(Self.text.utf8).write(to: Self.path) }
        let written = try String(contentsOf: Self.path, encoding: .utf8)
        #expect(written == Self.text, "RERECORD=1 swift test --filter ScriptArticleTests, and look at the difference")
    }
}
