// KSR.rr: what a script adds to our Record-Route, and what it finds of it in the requests that come by it.

import Node
import Primitives
import Routes
import SIP
import Scripting
import Testing

@Suite("Scripts and Record-Route")
struct RecordRouteScriptTests {
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"

    private static let script = """
        function ksr_request_route()
          if KSR.siputils.has_totag() > 0 then
            KSR.info("route " .. KSR.rr.loose_route() .. KSR.rr.check_route_param("nat=yes")
              .. KSR.rr.check_route_param("nat=no") .. KSR.rr.check_route_param("x=1"))
          else
            KSR.rr.record_route()
            KSR.info("add " .. KSR.rr.add_rr_param(";x=1"))
            KSR.tm.t_on_branch("b")
          end
          KSR.tm.t_relay()
        end
        function b()
          if KSR.tmx.t_is_branch_route() > 0 then KSR.info("branch " .. KSR.rr.add_rr_param(";nat=yes")) end
        end
        """

    @Test func `what a request and a branch route add stands behind ours, and is found again`() throws {
        var desk = try ScriptDesk(Self.script)
        let text = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")
        let sent = try desk.receive(text, from: Self.caller)
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        let record = try #require(invite.lines("Record-Route").first)
        #expect(record.hasPrefix("Record-Route: <sip:127.0.0.20") && record.contains(";lr;did="), "\(record)")
        #expect(record.hasSuffix(";x=1;nat=yes>"), "\(record)")
        #expect(desk.said == ["add 1", "branch 1"])
        _ = try desk.receive(
            ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:bob@127.0.0.21:5070>\r\n"), from: Self.callee)
        let bye = ScriptCall.request(
            "BYE sip:bob@127.0.0.21:5070", "BYE", cSeq: 2, to: "<sip:bob@x>;tag=b",
            extra: record.replacing("Record-Route", with: "Route") + "\r\n")
        #expect(try desk.receive(bye, from: Self.caller).contains { $0.firstLine.hasPrefix("BYE") })
        #expect(desk.said.last == "route 11-11", "\(desk.said)")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `a branch that is not record-routed has nothing to add to`() throws {
        var desk = try ScriptDesk(Self.script.replacing("KSR.rr.record_route()", with: ""))
        let text = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")
        let invite = try #require(try desk.receive(text, from: Self.caller).first { $0.firstLine.hasPrefix("INVITE") })
        #expect(invite.lines("Record-Route").isEmpty && desk.said == ["add 1", "branch -1"], "\(desk.said)")
    }

    @Test func `both of two Record-Routes get them`() throws {
        var desk = try ScriptDesk(Self.script) { settings, routes in
            settings.sip.listen += [Endpoint(text: "[2001:db8::20]:5060")].compactMap { $0 }
            settings.sip.advertise = ["sip:192.0.2.1", "sip:[2001:db8::1]"].compactMap { ConfiguredURI($0) }
            routes.domains = ["192.0.2.1", "[2001:db8::1]"].map { Array($0.utf8) }
        }
        let text = ScriptCall.request("INVITE sip:bob@[2001:db8::21]:5070", "INVITE")
        let sent = try desk.receive(text, from: Self.caller)
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        let records = invite.lines("Record-Route")
        #expect(records.count == 2 && records.allSatisfy { $0.hasSuffix(";x=1;nat=yes>") }, "\(records)")
    }

    @Test(arguments: [
        (";nat=yes", 1), (";a;b=c", 1), (";x=%20[::1]", 1), ("", -1), (";", -1), ("nat=yes", -1), (";=yes", -1),
        (";nat=", -1), (";a=b=c", -1), (";a>", -1), (";a b", -1), (";a\\r\\nX: 1", -1), (";a;", -1), (";;a", -1),
        (";a=\\\"b\\\"", -1), (";a?b=c", -1),
    ]) func `only parameters of a URI are added`(text: String, answer: Int) throws {
        for function in ["add_rr_param", "record_route_params"] {
            if function == "record_route_params", text.isEmpty { continue }
            let engine = try ScriptBench.engine("function f() KSR.info(KSR.rr.\(function)(\"\(text)\")) end")
            #expect(engine.route("f") == .ended)
            #expect(engine.notes == ["\(answer)"], "\(function) \(text)")
            #expect(engine.run.plan.recordsRoute == (function == "record_route_params" && answer == 1))
        }
    }

    @Test func `more than there is room for is refused, and what was there stays`() throws {
        let engine = try ScriptBench.engine(
            """
            function f()
              local n = 0
              while KSR.rr.add_rr_param(";p" .. n .. "=0123456789") > 0 do n = n + 1 end
              KSR.info(n)
              KSR.rr.remove_record_route()
              KSR.info(KSR.rr.add_rr_param(";a") .. KSR.rr.record_route_advertised_address("127.0.0.20:5060")
                .. KSR.rr.record_route_advertised_address("192.0.2.1"))
            end
            """)
        #expect(engine.route("f") == .ended)
        #expect(engine.notes == ["34", "11-1"])
        #expect(engine.run.plan.recordParameters == Array(";a".utf8) && engine.run.plan.recordsRoute)
    }

    @Test(arguments: [
        ("Route: <sip:127.0.0.20:5060;lr>, <sip:192.0.2.7:5070;lr>", "1sip:192.0.2.7:5070;lr"),
        ("Route: <sip:192.0.2.7;lr>", "1sip:192.0.2.7;lr"), ("Route: <sip:127.0.0.20:5060;lr>", "-1<null>"),
        ("X-None: 1", "-1<null>"), ("Route: <tel:+1>", "-1<null>"),
    ]) func `next_hop_route takes the first Route that is not ours`(route: String, answer: String) throws {
        let engine = try ScriptBench.engine("function f() KSR.info(KSR.rr.next_hop_route() .. KSR.pv.getw('$du')) end")
        #expect(engine.route("f", ScriptBench.invite.replacing("Max-Forwards: 10", with: route)) == .ended)
        #expect(engine.notes == [answer])
    }
}
