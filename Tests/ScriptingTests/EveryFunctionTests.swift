// Every function of chapter 6 of ims_dialog's README and every pseudo-variable of its chapter 10, called from a script
// under both modules' names: what it answers, within its range and beyond.

import Node
import Primitives
import Routes
import SIP
import Scripting
import Testing

@Suite("Each function and variable of the module (ims_dialog 6, 10)")
struct EveryFunctionTests {
    private static let invite = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"

    /// A call that is up, whose INVITE's and whose INFO's routes are these; and what leaves after the INFO.
    private func called(_ inviting: String, _ within: String) throws -> (desk: ScriptDesk, sent: [ScriptDesk.Sent]) {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              if KSR.is_INVITE() then \(inviting)
              elseif KSR.is_method("INFO") then KSR.rr.loose_route() \(within)
              else KSR.rr.loose_route() end
              KSR.tm.t_relay()
            end
            """
        ) { settings, routes in
            settings.dialogs.profilesWithValue = ["caller"]
            settings.dialogs.profilesNoValue = ["calls"]
            routes.profilesWithValue = [Array("caller".utf8)]
            routes.profilesNoValue = [Array("calls".utf8)]
        }
        let first = try desk.receive(Self.invite, from: Self.caller)
        let invite = try #require(first.first { $0.firstLine.hasPrefix("INVITE") })
        let contact = "Contact: <sip:bob@127.0.0.21:5070>\r\n"
        _ = try desk.receive(ScriptCall.answer("200 OK", to: invite, extra: contact), from: Self.callee)
        let route = try #require(invite.lines("Record-Route").first).replacing("Record-Route:", with: "Route:") + "\r\n"
        func request(_ method: String, _ cSeq: Int) -> String {
            ScriptCall.request(
                "\(method) sip:bob@127.0.0.21:5070", method, cSeq: cSeq, to: "<sip:bob@x>;tag=b", extra: route)
        }
        _ = try desk.receive(request("ACK", 1), from: Self.caller)
        _ = desk.advance(milliseconds: 2_500)
        let sent = try desk.receive(request("INFO", 2), from: Self.caller) + desk.advance(milliseconds: 3_000)
        #expect(desk.failures.isEmpty)
        return (desk, sent)
    }

    /// What expressions of Lua come to within a call.
    private func values(_ expressions: [String], _ inviting: String = "") throws -> [String] {
        let lines = expressions.map { "KSR.info(tostring(\($0)))" }.joined(separator: "\n")
        return try called(inviting, lines).desk.said
    }

    @Test(arguments: ["dialog", "ims_dialog"])
    func `profiles are set, counted, asked for and left (6.1 to 6.4)`(module: String) throws {
        let m = "KSR.\(module)"
        let inviting = """
            KSR.pv.sets("$dlg_var(a)", "" .. \(m).set_dlg_profile("caller", "alice")
              .. \(m).set_dlg_profile("calls", "x") .. \(m).set_dlg_profile("caller", "")
              .. \(m).set_dlg_profile("nose", "x"))
            """
        let asked = [
            (#"KSR.pv.get("$dlg_var(a)")"#, "11-1-1"), (#"\#(m).is_in_profile("caller", "alice")"#, "1"),
            (#"\#(m).is_in_profile("caller", "")"#, "1"), (#"\#(m).is_in_profile("caller", "bob")"#, "-1"),
            (#"\#(m).is_in_profile("calls", "any")"#, "1"), (#"\#(m).is_in_profile("nose", "")"#, "-1"),
            (#"\#(m).get_profile_size("caller", "alice", "$var(n)") .. KSR.pv.get("$var(n)")"#, "11"),
            (#"\#(m).get_profile_size("caller", "", "$avp(n)") .. KSR.pv.get("$avp(n)")"#, "11"),
            (#"\#(m).get_profile_size("caller", "bob", "$var(n)") .. KSR.pv.get("$var(n)")"#, "10"),
            (#"\#(m).get_profile_size("calls", "any", "$var(n)") .. KSR.pv.get("$var(n)")"#, "11"),
            (#"\#(m).get_profile_size("nose", "", "$var(n)")"#, "-1"),
            (#"\#(m).unset_dlg_profile("caller", "alice")"#, "1"), (#"\#(m).is_in_profile("caller", "alice")"#, "-1"),
            (#"\#(m).unset_dlg_profile("calls", "any")"#, "1"), (#"\#(m).is_in_profile("calls", "")"#, "-1"),
            (#"\#(m).unset_dlg_profile("nose", "x")"#, "-1"),
        ]
        // What is not configured is told, too.
        let said = try values(asked.map(\.0), inviting).filter { !$0.contains("profile") }
        #expect(said == asked.map(\.1))
    }

    @Test(arguments: ["dialog", "ims_dialog"])
    func `flags are set, asked for and reset, 0 to 31 (6.5 to 6.7)`(module: String) throws {
        let m = "KSR.\(module)"
        let asked = [
            ("\(m).dlg_isflagset(0)", "-1"), ("\(m).dlg_setflag(0)", "1"), ("\(m).dlg_setflag(31)", "1"),
            ("\(m).dlg_setflag(32)", "-1"), ("\(m).dlg_setflag(-1)", "-1"), ("\(m).dlg_isflagset(31)", "1"),
            ("\(m).dlg_resetflag(31)", "1"), ("\(m).dlg_isflagset(31)", "-1"), ("\(m).dlg_resetflag(32)", "-1"),
            ("\(m).dlg_isflagset(32)", "-1"), (#"\#(m).dlg_isflagset("0")"#, "1"),
            (#"KSR.pv.get("$dlg_ctx(flags)")"#, "1"),
        ]
        #expect(try values(asked.map(\.0)) == asked.map(\.1))
    }

    @Test(arguments: ["dialog", "ims_dialog"], ["", "Insufficient QoS"])
    func `a dialog is terminated on a side or both, with a reason (6.8)`(module: String, reason: String) throws {
        let m = "KSR.\(module)"
        let (desk, sent) = try called(
            #"KSR.info(\#(m).dlg_terminate("all", "x"))"#,
            #"KSR.info(\#(m).dlg_terminate("nobody", "x") .. \#(m).dlg_terminate("all", "\#(reason)"))"#)
        #expect(desk.said == ["-1", "-11"], "there is none yet at the INVITE")
        let byes = sent.filter { $0.firstLine.hasPrefix("BYE") }
        #expect(Set(byes.map(\.to)) == [Self.caller, Self.callee])
        #expect(byes.allSatisfy { $0.text.contains(reason.isEmpty ? "call failed" : reason) })
    }

    @Test(arguments: ["dialog", "ims_dialog"])
    func `a side is told to call somebody else, and two addresses are bridged (6.9, 6.11)`(module: String) throws {
        let m = "KSR.\(module)"
        let (desk, sent) = try called(
            "",
            """
            KSR.info(\(m).dlg_refer("nobody", "sip:carol@127.0.0.23") .. \(m).dlg_refer("callee", "")
              .. \(m).dlg_refer("callee", "sip:carol@127.0.0.23:5060"))
            KSR.info(\(m).dlg_bridge("sip:dave@127.0.0.24:5060", "sip:erin@127.0.0.25:5060", ""))
            """)
        #expect(desk.said == ["-1-11", "1"])
        let refer = try #require(sent.first { $0.firstLine.hasPrefix("REFER") && $0.to == Self.callee })
        #expect(refer.lines("Refer-To").first?.contains("sip:carol@127.0.0.23:5060") == true)
        let bridge = try #require(sent.first { $0.firstLine.hasPrefix("INVITE sip:dave@127.0.0.24") })
        #expect(bridge.lines("From").first?.contains("sip:controller@kamailio.org") == true)
    }

    @Test(arguments: ["dialog", "ims_dialog"])
    func `a dialog is found, managed and known (6.10, 6.12, 6.13)`(module: String) throws {
        let m = "KSR.\(module)"
        let asked = [
            ("\(m).is_known_dlg()", "1"), ("\(m).dlg_manage()", "1"), (#"\#(m).dlg_get("c1", "a", "b")"#, "1"),
            (#"\#(m).dlg_get("c1", "a", "x")"#, "-1"), (#"\#(m).dlg_get("c9", "a", "b")"#, "-1"),
        ]
        #expect(try values(asked.map(\.0)) == asked.map(\.1))
    }

    @Test func `each variable has a value within a call (10.1 to 10.6)`() throws {
        let ofDialog = [
            "h_id", "h_entry", "ref", "state", "to_rs", "dflags", "sflags", "callid", "to_uri", "to_tag", "to_cseq",
            "from_rs", "from_uri", "from_tag", "lifetime", "start_ts", "from_cseq", "to_contact", "to_bindaddr",
            "from_contact", "from_bindaddr", "toroute",
        ]
        let ofContext = ["on", "flags", "timeout", "timeout_bye", "timeout_route", "timeout_route_id", "set", "dir"]
        let names =
            ["DLG_count", "DLG_status", "DLG_lifetime", "dlg_var(k)"] + ofDialog.map { "dlg(\($0))" }
            + ofContext.map { "dlg_ctx(\($0))" }
        let found = try values(
            names.map { #"KSR.pv.get("$\#($0)")"# },
            #"KSR.pv.sets("$dlg_var(k)", "v") KSR.pv.sets("$dlg_ctx(timeout_route)", "late")"#)
        let values = Dictionary(uniqueKeysWithValues: zip(names, found))
        #expect(found.count == names.count)
        // A route set that is empty is none, as there.
        #expect(names.filter { values[$0] == "nil" } == ["dlg(to_rs)", "dlg(from_rs)"])
        for (name, wanted) in [
            ("DLG_count", "1"), ("DLG_status", "4"), ("DLG_lifetime", "2"), ("dlg_var(k)", "v"), ("dlg(state)", "4"),
            ("dlg(ref)", "1"), ("dlg(callid)", "c1"), ("dlg(from_tag)", "a"), ("dlg(to_tag)", "b"),
            ("dlg(lifetime)", "43200"), ("dlg(to_contact)", "sip:bob@127.0.0.21:5070"), ("dlg(toroute)", "late"),
            ("dlg_ctx(on)", "1"), ("dlg_ctx(timeout_bye)", "1"), ("dlg_ctx(timeout_route)", "late"),
            ("dlg_ctx(set)", "1"), ("dlg_ctx(dir)", "1"),
        ] {
            #expect(values[name] == wanted, "\(name)")
        }
    }

    @Test func `outside of a dialog they are null, and nothing can be written`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              for _, name in ipairs({"$DLG_status", "$DLG_lifetime", "$dlg(state)", "$dlg_var(k)"}) do
                KSR.info(tostring(KSR.pv.get(name)))
              end
              KSR.info(KSR.dialog.is_known_dlg() .. KSR.dialog.dlg_setflag(1) .. KSR.dialog.var_sets("k", "v")
                .. KSR.dialog.dlg_set_timeout(60) .. KSR.dialog.dlg_terminate("all", "x") .. KSR.pv.get("$DLG_count"))
              KSR.sl.send_reply(200, "OK")
            end
            """)
        _ = try desk.receive(ScriptCall.request("MESSAGE sip:bob@127.0.0.21:5070", "MESSAGE"), from: Self.caller)
        #expect(desk.said == ["nil", "nil", "nil", "nil", "-1-1-1-1-10"])
    }
}
