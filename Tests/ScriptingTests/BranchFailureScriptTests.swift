// Routes for branches that have failed (`t_on_branch_failure`), and the one for what is about to leave
// (`ksr_onsend_route`).

import Proxy
import Routes
import SIP
import Testing

@Suite("Scripts and branches that fail or leave")
struct BranchFailureScriptTests {
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"
    private static let other = "127.0.0.21:5071"
    private static let third = "127.0.0.21:5072"

    private static let invite = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")

    /// Rings two phones; a branch that fails is told, and with `next` tried at another place.
    private static func forking(_ failure: String) -> String {
        """
        function ksr_request_route()
          KSR.corex.append_branch_uri("sip:bob@127.0.0.21:5071")
          KSR.tm.t_on_branch_failure("gone")
          KSR.tm.t_on_failure("failed")
          KSR.tm.t_relay()
        end
        function gone()
          KSR.info("gone " .. KSR.pv.get("$T_branch_idx") .. " " .. KSR.pv.get("$T_reply_code"))
          \(failure)
        end
        function failed() KSR.info("failed " .. KSR.pv.get("$T_reply_code")) end
        """
    }

    private static let next = """
        if KSR.pv.get("$T_branch_idx") == 0 then
          KSR.pv.sets("$ru", "sip:carol@127.0.0.21:5072")
          KSR.hdr.append("X-Second: 1\\r\\n")
          KSR.info("relay " .. KSR.tm.t_relay())
        end
        """

    private func ring(_ desk: inout ScriptDesk) throws -> [String: ScriptDesk.Sent] {
        let sent = try desk.receive(Self.invite, from: Self.caller).filter { $0.firstLine.hasPrefix("INVITE") }
        return Dictionary(sent.map { ($0.to, $0) }) { first, _ in first }
    }

    @Test func `a branch that fails is told with its number and status, while others ring`() throws {
        var desk = try ScriptDesk(Self.forking(""))
        let sent = try ring(&desk)
        let (first, second) = (try #require(sent[Self.callee]), try #require(sent[Self.other]))
        let busy = try desk.receive(ScriptCall.answer("486 Busy Here", to: first), from: Self.callee)
        #expect(busy.map(\.to) == [Self.callee])
        #expect(desk.said == ["gone 0 486"])
        let last = try desk.receive(ScriptCall.answer("404 Not Found", to: second), from: Self.other)
        #expect(desk.said == ["gone 0 486", "gone 1 404", "failed 486"], "\(desk.said)")
        #expect(last.contains { $0.status == 486 && $0.to == Self.caller })
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `a target that it adds rings beside the others, and fails with no route but its own`() throws {
        var desk = try ScriptDesk(Self.forking(Self.next))
        let sent = try ring(&desk)
        let (first, second) = (try #require(sent[Self.callee]), try #require(sent[Self.other]))
        let more = try desk.receive(ScriptCall.answer("486 Busy Here", to: first), from: Self.callee)
        let added = try #require(more.first { $0.to == Self.third })
        #expect(added.firstLine == "INVITE sip:carol@127.0.0.21:5072 SIP/2.0" && added.lines("X-Second").count == 1)
        #expect(!more.contains { $0.to == Self.other }, "the other one rings on")
        _ = try desk.receive(ScriptCall.answer("480 Away", to: added, tag: "c"), from: Self.third)
        #expect(desk.said == ["gone 0 486", "relay 1"], "the added one was not armed: \(desk.said)")
        let answered = try desk.receive(ScriptCall.answer("200 OK", to: second, tag: "d"), from: Self.other)
        #expect(answered.contains { $0.status == 200 && $0.to == Self.caller })
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `after a 6xx the added target is tried in its place, and the others ring on`() throws {
        var desk = try ScriptDesk(Self.forking(Self.next))
        let sent = try ring(&desk)
        let more = try desk.receive(
            ScriptCall.answer("603 Decline", to: try #require(sent[Self.callee])), from: Self.callee)
        #expect(more.contains { $0.to == Self.third && $0.firstLine.hasPrefix("INVITE") })
        #expect(!more.contains { $0.firstLine.hasPrefix("CANCEL") })
        var without = try ScriptDesk(Self.forking(""))
        let rung = try ring(&without)
        let (first, second) = (try #require(rung[Self.callee]), try #require(rung[Self.other]))
        _ = try without.receive(ScriptCall.answer("180 Ringing", to: second, tag: "d"), from: Self.other)
        let ended = try without.receive(ScriptCall.answer("603 Decline", to: first), from: Self.callee)
        #expect(ended.contains { $0.firstLine.hasPrefix("CANCEL") && $0.to == Self.other })
    }

    @Test func `a callee that says nothing fails as 408; what was cancelled is nobody's failure`() throws {
        var desk = try ScriptDesk(Self.forking(""))
        _ = try ring(&desk)
        _ = desk.advance(milliseconds: 33_000)
        #expect(desk.said == ["gone 0 408", "gone 1 408", "failed 408"], "\(desk.said)")
        var cancelled = try ScriptDesk(Self.forking(Self.next))
        let sent = try ring(&cancelled)
        for (phone, invite) in sent {
            _ = try cancelled.receive(ScriptCall.answer("180 Ringing", to: invite), from: phone)
        }
        let cancel = Self.invite.replacing("INVITE sip", with: "CANCEL sip").replacing("1 INVITE", with: "1 CANCEL")
        _ = try cancelled.receive(cancel, from: Self.caller)
        for (phone, invite) in sent {
            _ = try cancelled.receive(ScriptCall.answer("487 Request Terminated", to: invite), from: phone)
        }
        #expect(cancelled.said.isEmpty, "\(cancelled.said)")
    }

    @Test(arguments: [
        "KSR.info('answer ' .. KSR.tm.t_reply(404, 'x'))", "KSR.info('answer ' .. KSR.sl.send_reply(404, 'x'))",
        "KSR.info('answer ' .. KSR.tmx.t_suspend())",
    ]) func `it cannot answer the caller, whom others may still answer`(call: String) throws {
        var desk = try ScriptDesk(Self.forking(call))
        let sent = try ring(&desk)
        let first = try #require(sent[Self.callee])
        let busy = try desk.receive(ScriptCall.answer("486 Busy", to: first), from: Self.callee)
        #expect(busy.allSatisfy { $0.to != Self.caller })
        #expect(desk.said == ["gone 0 486", "answer -1"])
    }

    @Test(arguments: [
        "error('x')", "while true do end", "KSR.hdr.append('no line')",
        "KSR.pv.sets('$ru', 'sip:x@y') KSR.tm.t_relay() error('late')",
    ]) func `one that fails leaves the branch as failed as it was`(body: String) throws {
        var desk = try ScriptDesk(Self.forking(body))
        let sent = try ring(&desk)
        let (first, second) = (try #require(sent[Self.callee]), try #require(sent[Self.other]))
        _ = try desk.receive(ScriptCall.answer("486 Busy", to: first), from: Self.callee)
        #expect(desk.failures.count == 1)
        let last = try desk.receive(ScriptCall.answer("404 No", to: second), from: Self.other)
        #expect(last.contains { $0.status == 486 && $0.to == Self.caller })
    }

    @Test func `targets that routes add without end come to one`() throws {
        var desk = try ScriptDesk(
            """
            n = 5070
            function ksr_request_route() KSR.tm.t_on_branch_failure("gone") KSR.tm.t_relay() end
            function gone()
              n = n + 1
              KSR.pv.sets("$ru", "sip:bob@127.0.0.21:" .. n)
              KSR.tm.t_on_branch_failure("gone")
              KSR.tm.t_relay()
            end
            """)
        var invite = try desk.receive(Self.invite, from: Self.caller).first { $0.firstLine.hasPrefix("INVITE") }
        var rounds = 0
        while let at = invite {
            rounds += 1
            let sent = try desk.receive(ScriptCall.answer("486 Busy", to: at, tag: "t\(rounds)"), from: at.to)
            invite = sent.first { $0.firstLine.hasPrefix("INVITE") }
            if invite == nil { #expect(sent.contains { $0.status == 486 && $0.to == Self.caller }) }
        }
        #expect(rounds == ForkTarget.limit)
    }

    @Test func `a failure route reads the response that it is about`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              KSR.tm.t_on_branch_failure("failed")
              KSR.tm.t_on_failure("failed")
              KSR.tm.t_relay()
            end
            function failed()
              KSR.info(table.concat({KSR.pv.getw("$T_rpl($rs)"), KSR.pv.getw("$T_rpl($rr)"),
                KSR.pv.getw("$T_rpl($hdr(Retry-After))"), KSR.pv.getw("$T_rpl($hdr(X-None))"), KSR.pv.get("$rm")}, " "))
            end
            """)
        let sent = try desk.receive(Self.invite, from: Self.caller)
        let invite = try #require(sent.first { $0.to == Self.callee })
        let busy = ScriptCall.answer("486 Busy Here", to: invite, extra: "Retry-After: 7\r\n")
        _ = try desk.receive(busy, from: Self.callee)
        #expect(desk.said == Array(repeating: "486 Busy Here 7 <null> INVITE", count: 2), "\(desk.said)")
        var silent = try ScriptDesk(
            """
            function ksr_request_route()
              KSR.info(KSR.pv.getw("$T_rpl($rs)"))
              KSR.tm.t_on_failure("failed")
              KSR.tm.t_relay()
            end
            function failed() KSR.info(KSR.pv.getw("$T_rpl($rs)") .. " " .. KSR.pv.get("$T_reply_code")) end
            """)
        _ = try silent.receive(Self.invite, from: Self.caller)
        _ = silent.advance(milliseconds: 33_000)
        #expect(silent.said == ["<null>", "<null> 408"], "nobody answered: \(silent.said)")
    }

    // MARK: What leaves

    @Test func `ksr_onsend_route sees what leaves, and whither, after the branch route`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              KSR.pv.sets("$du", "sip:127.0.0.21:5072")
              KSR.tm.t_on_branch("b")
              KSR.tm.t_relay()
            end
            function b() KSR.hdr.append("X-Branch: 1\\r\\n") end
            function ksr_onsend_route()
              KSR.info(table.concat({KSR.pv.get("$snd(ip)"), KSR.pv.get("$sndto(port)"), KSR.pv.get("$snd(proto)"),
                KSR.pv.get("$snd(sproto)"), KSR.pv.get("$snd(af)"), KSR.pv.get("$hdr(X-Branch)")}, " "))
              KSR.info(tostring(#KSR.pv.get("$snd(buf)") == KSR.pv.get("$snd(len)")))
              KSR.info(tostring(KSR.pv.get("$snd(buf)"):find("Record%-Route") ~= nil))
            end
            """)
        let sent = try desk.receive(Self.invite, from: Self.caller)
        #expect(sent.contains { $0.to == Self.third && $0.lines("X-Branch").count == 1 })
        #expect(desk.said == ["127.0.0.21 5072 1 udp 2 1", "true", "true"], "\(desk.said)")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test(arguments: [("", true), ("KSR.x.drop()", false)])
    func `it sees the ACK of a 2xx, and can stop it`(verdict: String, isSent: Bool) throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              if KSR.siputils.has_totag() > 0 then KSR.rr.loose_route() else KSR.rr.record_route() end
              KSR.tm.t_relay()
            end
            function ksr_onsend_route()
              KSR.info(KSR.pv.get("$rm") .. " to " .. KSR.pv.get("$sndto(port)"))
              if KSR.is_ACK() then \(verdict) end
            end
            """)
        let invite = try #require(try desk.receive(Self.invite, from: Self.caller).first { $0.to == Self.callee })
        let answer = ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:bob@127.0.0.21:5070>\r\n")
        let told = try #require(try desk.receive(answer, from: Self.callee).first { $0.status == 200 })
        let route = try #require(told.lines("Record-Route").first).replacing("Record-Route", with: "Route")
        let ack = ScriptCall.request(
            "ACK sip:bob@127.0.0.21:5070", "ACK", to: "<sip:bob@x>;tag=b", extra: route + "\r\n")
        let sent = try desk.receive(ack, from: Self.caller)
        #expect(desk.said == ["INVITE to 5070", "ACK to 5070"], "\(desk.said)")
        #expect(sent.contains { $0.firstLine.hasPrefix("ACK") && $0.to == Self.callee } == isSent)
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `what it drops is not sent, and counts as a branch that was not begun`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              KSR.tm.t_on_branch_failure("gone")
              KSR.tm.t_on_failure("failed")
              KSR.tm.t_relay()
            end
            function gone() KSR.info("gone") end
            function failed() KSR.info("failed " .. KSR.pv.get("$T_reply_code")) end
            function ksr_onsend_route() KSR.x.drop() end
            """)
        let sent = try desk.receive(Self.invite, from: Self.caller)
        #expect(!sent.contains { $0.firstLine.hasPrefix("INVITE") })
        #expect(sent.contains { $0.status == 480 && $0.to == Self.caller })
        #expect(desk.said == ["failed 480"], "\(desk.said)")
    }

    @Test(arguments: [
        "error('x')", "KSR.hdr.append('X-A: 1\\r\\n')", "KSR.cfgutils.usleep(1000)", "while true do end",
    ]) func `one that fails, changes something or would wait is told of, and the request leaves`(body: String) throws {
        var desk = try ScriptDesk(
            "function ksr_request_route() KSR.tm.t_relay() end function ksr_onsend_route() \(body) end")
        let sent = try desk.receive(Self.invite, from: Self.caller)
        #expect(sent.contains { $0.firstLine.hasPrefix("INVITE") && $0.lines("X-A").isEmpty })
        #expect(desk.failures.count == 1, "\(desk.failures)")
    }

    @Test func `a branch route that waits is followed by it, a reply route that waits by its onreply route`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route() KSR.tm.t_on_branch("b") KSR.tm.t_on_reply("r") KSR.tm.t_relay() end
            function b() KSR.cfgutils.usleep(50000) KSR.hdr.append("X-Branch: 1\\r\\n") end
            function ksr_onsend_route() KSR.info("leaves with " .. KSR.pv.getw("$hdr(X-Branch)")) end
            function ksr_reply_route() KSR.cfgutils.usleep(50000) KSR.hdr.append("X-First: 1\\r\\n") end
            function r() KSR.hdr.append("X-Second: " .. KSR.pv.getw("$hdr(X-First)") .. "\\r\\n") end
            """)
        #expect(try desk.receive(Self.invite, from: Self.caller).allSatisfy { $0.status == 100 })
        let invite = try #require(desk.advance(milliseconds: 60).first { $0.firstLine.hasPrefix("INVITE") })
        #expect(desk.said == ["leaves with 1"] && invite.lines("X-Branch").count == 1)
        #expect(try desk.receive(ScriptCall.answer("180 Ringing", to: invite), from: Self.callee).isEmpty)
        let ringing = try #require(desk.advance(milliseconds: 60).first { $0.status == 180 })
        #expect(ringing.lines("X-First").count == 1 && ringing.lines("X-Second") == ["X-Second: 1"])
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }
}
