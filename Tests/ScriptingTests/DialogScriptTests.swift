// Scripts and dialogs: what a run writes stands in the record, from the INVITE's first copy on; what it reads is the
// record with its own writes over it.

import Node
import Primitives
import Routes
import SIP
import Scripting
import Testing

@Suite("Dialogs of a script")
struct DialogScriptTests {
    private static let invite = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"

    private func desk(
        _ script: String, flag: Int? = nil, timeoutAVP: String = ""
    ) throws -> ScriptDesk {
        try ScriptDesk(script) { settings, routes in
            settings.dialogs.tellsEvents = true
            settings.dialogs.profilesWithValue = ["caller"]
            settings.dialogs.profilesNoValue = ["calls"]
            routes.profilesWithValue = [Array("caller".utf8)]
            routes.profilesNoValue = [Array("calls".utf8)]
            routes.beginningFlag = flag
            routes.timeoutAVP = Array(timeoutAVP.utf8)
        }
    }

    private func dialogs(_ desk: ScriptDesk) -> [DialogReport] {
        desk.node.dialogs(DialogQuery(), now: desk.now).dialogs
    }

    /// Has a call answered.
    private func answered(_ desk: inout ScriptDesk) throws -> ScriptDesk.Sent {
        let sent = try desk.receive(Self.invite, from: Self.caller)
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        let answer = ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:bob@127.0.0.21:5070>\r\n")
        _ = try desk.receive(answer, from: Self.callee) + desk.advance(milliseconds: 100)
        return invite
    }

    private func within(_ method: String, _ invite: ScriptDesk.Sent, cSeq: Int = 2) throws -> String {
        let route = try #require(invite.lines("Record-Route").first).replacing("Record-Route:", with: "Route:")
        return ScriptCall.request(
            "\(method) sip:bob@127.0.0.21:5070", method, cSeq: cSeq, to: "<sip:bob@x>;tag=b", extra: route + "\r\n")
    }

    @Test func `what a request route says of the coming dialog stands in its record`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              KSR.pv.sets("$dlg_var(tenant)", "blue") KSR.dialog.var_sets("gone", "1") KSR.pv.unset("$dlg_var(gone)")
              KSR.dialog.set_dlg_profile("caller", KSR.pv.get("$fU")) KSR.dialog.set_dlg_profile_static("calls")
              KSR.dialog.dlg_setflag(3) KSR.dialog.dlg_set_property("ka-src") KSR.dialog.dlg_set_timeout(77)
              KSR.pv.sets("$dlg_ctx(timeout_route)", "late")
              KSR.info(table.concat({KSR.pv.get("$dlg_var(tenant)"), KSR.dialog.is_in_profile("caller", "alice"),
                KSR.dialog.is_in_profile("caller", "x"), KSR.dialog.is_in_profile_static("calls"),
                KSR.dialog.dlg_isflagset(3), KSR.dialog.is_known_dlg(), KSR.dialog.dlg_manage(),
                KSR.dialog.is_known_dlg(), tostring(KSR.pv.get("$DLG_status")), KSR.dialog.dlg_bye("all")}, " "))
              KSR.tm.t_relay()
            end
            """)
        _ = try desk.receive(Self.invite, from: Self.caller)
        #expect(desk.said == ["blue 1 -1 1 1 -1 1 1 nil -1"])
        let record = try #require(dialogs(desk).first)
        #expect(record.variables == [StampedReport(key: "tenant", value: "blue")])
        #expect(
            record.profiles == [
                StampedReport(key: "caller", value: "alice"), StampedReport(key: "calls", value: ""),
            ])
        #expect(record.scriptFlags == 8 && record.lifetimeMilliseconds == 77_000)
        #expect(record.properties == ["ka-src", "toroute=late"])
        #expect(try desk.node.size(ofProfile: "calls", value: nil) == 1)
    }

    @Test func `what a script leaves in timeout_avp is the dialog's lifetime, at the INVITE and within`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              if KSR.is_INVITE() then KSR.pv.seti("$avp(s:timeout)", 77) else KSR.rr.loose_route() end
              if KSR.is_method("INFO") then KSR.pv.sets("$avp(timeout)", "50") end
              if KSR.is_method("MESSAGE") then KSR.pv.sets("$avp(timeout)", "soon") end
              if KSR.is_method("UPDATE") then KSR.pv.seti("$avp(timeout)", 60) KSR.dialog.dlg_set_timeout(40) end
              KSR.tm.t_relay()
            end
            """, timeoutAVP: "timeout")
        let invite = try answered(&desk)
        #expect(dialogs(desk).first?.lifetimeMilliseconds == 77_000)
        for (number, (method, most)) in [("INFO", 50_000), ("MESSAGE", 50_000), ("UPDATE", 40_000)].enumerated() {
            _ = try desk.receive(try within(method, invite, cSeq: number + 2), from: Self.caller)
            let remaining = try #require(dialogs(desk).first?.remainingMilliseconds)
            #expect((Int64(most) - 1_000...Int64(most)).contains(remaining), "\(method)")
        }
    }

    @Test(
        arguments: [
            ("KSR.rr.record_route()", nil, 1), ("", nil, 0), ("KSR.dialog.dlg_manage()", nil, 1),
            ("KSR.rr.record_route()", 4, 0), ("KSR.rr.record_route() KSR.setflag(4)", 4, 1), ("KSR.setflag(4)", 4, 1),
            ("KSR.rr.record_route() KSR.setflag(5)", 4, 0), ("KSR.dialog.dlg_manage()", 4, 1),
        ] as [(String, Int?, Int)])
    func `with dlg_flag an INVITE begins a dialog where it has the flag`(route: String, flag: Int?, count: Int) throws {
        var desk = try desk("function ksr_request_route() \(route) KSR.tm.t_relay() end", flag: flag)
        let sent = try desk.receive(Self.invite, from: Self.caller)
        #expect(sent.contains { $0.firstLine.hasPrefix("INVITE") })
        #expect(dialogs(desk).count == count)
    }

    @Test func `later routes read and change the record`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              if KSR.is_INVITE() then
                KSR.pv.sets("$dlg_var(a)", "1") KSR.tm.t_on_branch("b") KSR.tm.t_on_reply("r")
              else
                KSR.rr.loose_route()
                KSR.info(table.concat({KSR.kx.get_method(), KSR.dialog.is_known_dlg(), KSR.pv.get("$dlg_var(a)"),
                  KSR.pv.get("$dlg_var(b)"), KSR.pv.get("$dlg_var(c)"), KSR.pv.get("$DLG_status"),
                  KSR.pv.get("$DLG_lifetime"), KSR.pv.get("$DLG_count"), KSR.pv.get("$dlg(from_uri)"),
                  KSR.pv.get("$dlg(to_tag)"), KSR.pv.get("$dlg(to_contact)"), KSR.pv.get("$dlg_ctx(dir)"),
                  KSR.rr.is_direction("downstream"), KSR.dialog.dlg_setflag(1), KSR.pv.get("$dlg(sflags)"),
                  KSR.dialog.get_profile_size("calls", "", "$var(n)"), KSR.pv.get("$var(n)")}, " "))
                KSR.dialog.dlg_set_timeout(50) KSR.dialog.var_sets("d", KSR.kx.get_method())
              end
              KSR.tm.t_relay()
            end
            function b() KSR.dialog.var_sets("b", "2") KSR.dialog.set_dlg_profile_static("calls") end
            function r() KSR.pv.sets("$dlg_var(c)", KSR.kx.get_status()) end
            """)
        let invite = try answered(&desk)
        _ = desk.advance(milliseconds: 2_000)
        _ = try desk.receive(try within("INFO", invite), from: Self.caller)
        #expect(
            desk.said == [
                "INFO 1 1 2 200 3 2 1 sip:alice@127.0.0.22 b sip:bob@127.0.0.21:5070 1 1 1 2 1 1"
            ])
        let record = try #require(dialogs(desk).first)
        #expect(record.variables.contains(StampedReport(key: "d", value: "INFO")) && record.scriptFlags == 2)
        #expect(try #require(record.remainingMilliseconds) <= 50_000)
        _ = try desk.receive(try within("BYE", invite, cSeq: 3), from: Self.caller)
        let ended = try #require(desk.node.dialog(did: record.did, now: desk.now))
        #expect(ended.state == "deleted")
        #expect(ended.variables.contains(StampedReport(key: "d", value: "BYE")))
        #expect(desk.failures.isEmpty)
    }

    @Test func `an INVITE that leaves without Record-Route begins no dialog unless the script says so`() throws {
        for (body, count) in [("", 0), ("KSR.dialog.dlg_manage()", 1), ("KSR.rr.record_route()", 1)] {
            var desk = try desk("function ksr_request_route() \(body) KSR.tm.t_relay() end")
            let sent = try desk.receive(Self.invite, from: Self.caller)
            let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
            let answer = ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:bob@127.0.0.21:5070>\r\n")
            let up = try desk.receive(answer, from: Self.callee) + desk.advance(milliseconds: 100)
            #expect(up.contains { $0.status == 200 && $0.to == Self.caller }, "\(body)")
            #expect(dialogs(desk).count == count, "\(body)")
        }
    }

    @Test func `dlg_bye ends the dialog on both sides, dlg_get finds another one`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              if KSR.is_method_in("M") then
                KSR.info(KSR.dialog.dlg_get("none", "a", "b") .. KSR.dialog.dlg_get("c1", "a", "b"))
                KSR.info(KSR.pv.get("$dlg(callid)") .. KSR.dialog.dlg_set_var("c1", "a", "b", "k", "v")
                  .. KSR.dialog.dlg_get_var("c1", "a", "b", "k"))
                KSR.info(KSR.dialog.dlg_set_timeout_id(60, KSR.pv.get("$dlg(h_entry)"), KSR.pv.get("$dlg(h_id)")))
                KSR.info(KSR.ims_dialog.dlg_terminate("all", "no credit"))
                KSR.sl.send_reply(200, "OK")
                return
              end
              KSR.tm.t_relay()
            end
            """)
        _ = try answered(&desk)
        let message = ScriptCall.request("MESSAGE sip:bob@127.0.0.21:5070", "MESSAGE", call: "c2")
        let sent = try desk.receive(message, from: Self.caller) + desk.advance(milliseconds: 3_000)
        #expect(desk.said == ["-11", "c11v", "1", "1"])
        #expect(Set(sent.filter { $0.firstLine.hasPrefix("BYE") }.map(\.to)) == [Self.caller, Self.callee])
        #expect(sent.filter { $0.firstLine.hasPrefix("BYE") }.allSatisfy { $0.text.contains("no credit") })
        #expect(desk.failures.isEmpty)
    }

    @Test func `a run that waits goes on with the records as they are then, and keeps none of them`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              KSR.dialog.var_sets("before", "1")
              KSR.cfgutils.usleep(100000)
              KSR.info(tostring(KSR.dialog.var_get("before")) .. " " .. KSR.pv.get("$DLG_count"))
              KSR.tm.t_relay()
            end
            """)
        _ = try desk.receive(Self.invite, from: Self.caller)
        let sent = desk.advance(milliseconds: 200)
        #expect(desk.said == ["1 0"] && sent.contains { $0.firstLine.hasPrefix("INVITE") })
        #expect(dialogs(desk).first?.variables == [StampedReport(key: "before", value: "1")])
    }

    @Test func `a record takes no more than it should, and a profile that is not configured is an error`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              KSR.info(KSR.dialog.set_dlg_profile("nobody", "x") .. KSR.dialog.set_dlg_profile("caller", ""))
              KSR.info(KSR.dialog.var_sets("big", string.rep("x", 5000)) .. KSR.dialog.var_sets("small", "x"))
              KSR.tm.t_relay()
            end
            """)
        _ = try desk.receive(Self.invite, from: Self.caller)
        #expect(desk.said.contains("-1-1") && desk.said.contains("-11"))
        #expect(desk.said.contains { $0.contains("nobody") } && desk.said.contains { $0.contains("no more") })
        #expect(dialogs(desk).first?.variables == [StampedReport(key: "small", value: "x")])
    }

    @Test func `a script without ksr_request_route is none`() throws {
        #expect(throws: ScriptError.self) { try ScriptDesk("function ksr_request_rout() end") }
    }

    @Test func `a state is what the messages made it, calls of others count, a profile gets its time`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              if KSR.is_INVITE() then
                KSR.dialog.set_dlg_profile("caller", "alice")
              else
                KSR.rr.loose_route()
                local function size(v)
                  KSR.dialog.get_profile_size("caller", v, "$var(n)")
                  return KSR.pv.get("$var(n)")
                end
                KSR.info(table.concat({KSR.dialog.dlg_set_state("e"), KSR.ims_dialog.dlg_set_state("c"),
                  KSR.dialog.dlg_set_state("?")}, " "))
                KSR.info(table.concat({size("alice"), KSR.dialog.dlg_remote_profile("add", "caller", "alice", "u1", 60),
                  size("alice"), KSR.dialog.dlg_remote_profile("add", "caller", "alice", "u2", 0), size("alice"),
                  size(""), KSR.dialog.dlg_remote_profile("rm", "caller", "alice", "u1"), size("alice"),
                  KSR.dialog.dlg_remote_profile("rm", "caller", "alice", "u1"),
                  KSR.dialog.dlg_remote_profile("add", "nose", "x", "u1", 60)}, " "))
                KSR.info(table.concat({KSR.dialog.dlg_set_timeout_by_profile("caller", "alice", 33),
                  KSR.dialog.dlg_set_timeout_by_profile("nose", "", 33),
                  KSR.dialog.dlg_set_timeout_by_profile("caller", "alice", 0)}, " "))
              end
              KSR.tm.t_relay()
            end
            """)
        let invite = try answered(&desk)
        _ = try desk.receive(try within("ACK", invite, cSeq: 1), from: Self.caller)
        desk.clearSaid()
        _ = try desk.receive(try within("INFO", invite), from: Self.caller)
        #expect(desk.said.last == "1 -1 -1" && desk.said.contains("1 1 2 1 2 2 1 1 -1 -1"), "\(desk.said)")
        #expect(desk.said.contains("-1 1 -1"))
        _ = desk.advance(milliseconds: 50)
        let left = try #require(dialogs(desk).first?.remainingMilliseconds)
        #expect((32_000...33_000).contains(left), "\(left)")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `the script's function is told what becomes of dialogs, and may read and write them`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              if KSR.is_INVITE() then KSR.pv.sets("$dlg_var(tenant)", "blue") else KSR.rr.loose_route() end
              KSR.tm.t_relay()
            end
            function told(event)
              KSR.info(event .. " " .. KSR.pv.get("$dlg_var(tenant)") .. " " .. KSR.pv.get("$ci") .. " "
                .. KSR.pv.get("$fU") .. " " .. KSR.dialog.var_sets("seen", event))
            end
            """)
        desk.eventCallback = "told"
        let invite = try answered(&desk)
        _ = try desk.receive(try within("ACK", invite, cSeq: 1), from: Self.caller)
        #expect(desk.said == ["dialog:start blue c1 alice 1"])
        #expect(dialogs(desk).first?.variables.contains(StampedReport(key: "seen", value: "dialog:start")) == true)
        _ = try desk.receive(try within("BYE", invite), from: Self.caller)
        _ = desk.advance(milliseconds: 1_000)
        #expect(desk.said.last == "dialog:end blue c1 alice -1", "one that is over takes no more")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }
}
