// The former management interface of `ims_dialog`: what its commands answer, line by line.

import Management
import Node
import Synchronization
import Testing

@Suite("MI commands (ims_dialog 8.1 to 8.7)")
struct MITests {
    private let node = FakeNode.withProfiles()

    init() {
        node.state.withLock { $0.contexts = ["0000000000000002": ["tenant red"]] }
    }

    private func ask(_ command: String, _ parameters: String...) async -> String {
        let context = RPCContext(node: node, allowsFaultInjection: false, unixSeconds: { 1_000_000 })
        return await MIServer(context).answer(MICommand(name: command, replyName: "r", parameters: parameters))
    }

    /// Two phones ring for the first dialog.
    private func ring() {
        node.state.withLock { state in
            state.dialogs[0].state = "early"
            state.dialogs[0].inviteCSeq = 7
            (state.dialogs[0].caller.cseq, state.dialogs[0].caller.contact) = (7, "sip:a@192.0.2.7")
            state.dialogs[0].caller.socket = "udp:192.0.2.11:5060"
            state.dialogs[0].remainingMilliseconds = nil
            state.dialogs[0].outs = ["b19629x1", "b19629x2", "gone"].map { tag in
                var out = OutReport()
                (out.toTag, out.state) = (tag, tag == "gone" ? "deleted" : "early")
                (out.side.contact, out.side.routes) = ("sip:\(tag)@192.0.2.9", "<sip:edge.example.org;lr>")
                return out
            }
        }
    }

    @Test func `a dialog that rings is listed with every dialog-out, in the module's order`() async {
        ring()
        let head = [
            "200 OK", "dialog::  hash=1:0", "\tstate:: 2", "\tref_count:: 1", "\ttimestart:: 0", "\ttimeout:: 0",
            "\tcallid:: call-1@pc33", "\tfrom_uri:: sip:a@h", "\tfrom_tag:: f1", "\tdid:: 0000000000000001",
            "\tcaller_contact:: sip:a@192.0.2.7", "\tfirst_req_cseq:: 7", "\tcaller_route_set:: ",
            "\tcaller_bind_addr:: udp:192.0.2.11:5060",
        ]
        // Their entries are the module's hashes of the To-tags.
        let outs = [("b19629x1", 3_301, 0), ("b19629x2", 3_298, 1)].flatMap { tag, entry, number in
            [
                "dialog_out::  hash=\(entry):\(number)", "\tto_tag:: \(tag)", "\tdid:: 0000000000000001",
                "\tcallee_contact:: sip:\(tag)@192.0.2.9", "\tcaller_cseq:: 7", "\tcallee_cseq:: 0",
                "\tcallee_route_set:: <sip:edge.example.org;lr>", "\tcallee_bind_addr:: ",
            ]
        }
        let wanted = (head + outs + ["", ""]).joined(separator: "\n")
        #expect(await ask("dlg_list", "call-1@pc33", "f1") == wanted)
        #expect(await ask("dlg_list").hasPrefix(wanted.dropLast()))
    }

    @Test func `one dialog is named by Call-ID and From tag, and without that tag it has none`() async {
        #expect(await ask("dlg_list", "call-2@pc33", "f2").contains("\n\tcallid:: call-2@pc33\n"))
        for parameters in [("call-2@pc33", "f1"), ("nobody@h", "f1")] {
            #expect(await ask("dlg_list", parameters.0, parameters.1) == "404 Nu such dialog\n\n")
        }
        #expect(await ask("dlg_list", "call-2@pc33") == "404 Nu such dialog\n\n")
        node.state.withLock { $0.dialogs[1].fromTag = "" }
        #expect(await ask("dlg_list", "call-2@pc33").contains("\n\tcallid:: call-2@pc33\n"))
        #expect(await ask("dlg_list", "a", "b", "c") == "400 Too few or too many arguments\n\n")
    }

    @Test func `dlg_list_ctx has a context for each dialog, with what programs say of it`() async {
        let all = await ask("dlg_list_ctx")
        #expect(all.contains("\n\tcontext:: \ndialog_out:: "), "of the first nobody says anything")
        #expect(all.contains("\n\tcontext:: \n\t\t:: MI tenant red\ndialog_out:: "))
        #expect(await ask("dlg_list_ctx", "call-2@pc33", "f2").contains("MI tenant red"))
        #expect(await ask("dlg_list").contains("context") == false)
    }

    @Test func `dlg_end_dlg ends by numbers, dlg_terminate_dlg by Call-ID and tags, early or confirmed`() async {
        #expect(await ask("dlg_end_dlg", "1", "0") == "200 OK\n\n")
        ring()
        #expect(await ask("dlg_terminate_dlg", "call-1@pc33", "f1", "b19629x2") == "200 OK\n\n")
        #expect(node.deeds == ["end 0000000000000001", "end 0000000000000001"])
        #expect(await ask("dlg_end_dlg", "7", "7") == "404 Dialog not found\n\n")
        #expect(await ask("dlg_end_dlg", "x") == "500 Invalid parameters\n\n")
        #expect(await ask("dlg_terminate_dlg", "nobody", "f1", "t1") == "500 Couldnt find callid in dialog\n\n")
        #expect(await ask("dlg_terminate_dlg", "nobody") == "400 Need a Callid ,from tag ,to tag\n\n")
    }

    @Test func `profiles are counted and listed`() async {
        #expect(await ask("profile_get_size", "nose") == "404 Profile not found: nose\n\n")
        #expect(await ask("profile_get_size", "calls").hasPrefix("200 OK\nprofile::  name=calls value= count=1\n"))
        let listed = await ask("profile_list_dlgs", "caller", "alice")
        #expect(listed.contains("\n\tcallid:: call-1@pc33\n") && !listed.contains("call-2@pc33"))
        #expect(await ask("profile_list_dlgs", "nose") == "404 Profile not found: nose\n\n")
    }

    @Test func `dlg_bridge asks the node`() async {
        #expect(await ask("dlg_bridge", "sip:a@h", "sip:b@h") == "200 OK\n\n")
        #expect(node.deeds.count == 1 && node.deeds[0].contains("sip:a@h") && node.deeds[0].contains("sip:b@h"))
        #expect(await ask("dlg_bridge", "sip:a@h") == "500 Invalid parameters\n\n")
    }
}
