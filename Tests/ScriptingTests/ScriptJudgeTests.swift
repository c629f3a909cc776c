// A script at the points of a node: what it says of requests, branches, responses and the last failure is done.

import Node
import Primitives
import Proxy
import Routes
import SIP
import Scripting
import Testing

@Suite("A node with a script")
struct ScriptJudgeTests {
    private static let invite = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"

    private func desk(_ body: String) throws -> ScriptDesk { try ScriptDesk(body) }

    @Test func `a request is answered, dropped, or answered 500 when its route fails`() throws {
        for (body, status) in [
            ("KSR.sl.sl_send_reply(404, 'Not here')", 404),
            ("KSR.hdr.append_to_reply('X-A: 1') KSR.sl.send_reply(480, 'No')", 480),
            ("error('x')", 500), ("while true do end", 500), ("KSR.hdr.append('bad')", 500),
        ] {
            var desk = try desk("function ksr_request_route() \(body) end")
            let sent = try desk.receive(Self.invite, from: Self.caller).filter { $0.status != 100 }
            #expect(sent.map(\.status) == [status], "\(body)")
            #expect(sent.first?.to == Self.caller)
        }
        var dropped = try desk("function ksr_request_route() KSR.x.drop() end")
        #expect(try dropped.receive(Self.invite, from: Self.caller).filter { $0.status != 100 }.isEmpty)
    }

    @Test func `a request goes where the script sends it, changed as it says`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.rr.record_route()
              KSR.hdr.append("X-Script: 1\\r\\n")
              KSR.pv.sets("$rU", "carol")
              KSR.pv.sets("$du", "sip:127.0.0.21:5072")
              KSR.tm.t_on_branch("b") KSR.tm.t_on_reply("r")
              KSR.tm.t_relay()
            end
            function b() KSR.hdr.append("X-Branch: " .. KSR.pv.get("$T_branch_idx") .. "\\r\\n") end
            function ksr_reply_route() KSR.hdr.append("X-Reply: 1\\r\\n") end
            function r() KSR.hdr.append("X-Onreply: " .. KSR.kx.get_status() .. "\\r\\n") end
            """)
        let sent = try desk.receive(Self.invite, from: Self.caller)
        let invite = try #require(sent.first { $0.status == nil })
        #expect(invite.to == "127.0.0.21:5072")
        #expect(invite.firstLine == "INVITE sip:carol@127.0.0.21:5070 SIP/2.0")
        #expect(invite.lines("X-Script") == ["X-Script: 1"] && invite.lines("X-Branch") == ["X-Branch: 0"])
        #expect(invite.lines("Record-Route").count == 1 && invite.lines("Max-Forwards") == ["Max-Forwards: 69"])
        let ringing = try desk.receive(ScriptCall.answer("180 Ringing", to: invite), from: "127.0.0.21:5072")
        let upstream = try #require(ringing.first { $0.status == 180 })
        #expect(upstream.lines("X-Reply").count == 1 && upstream.lines("X-Onreply") == ["X-Onreply: 180"])
        #expect(desk.failures.isEmpty)
    }

    @Test func `a failure route tries another target, then answers`() throws {
        var desk = try desk(
            """
            function ksr_request_route() KSR.tm.t_on_failure("f") KSR.tm.t_relay() end
            function f()
              if KSR.tm.t_check_status("486") > 0 then
                KSR.seturi("sip:voicemail@127.0.0.21:5072") KSR.tm.t_on_failure("g") KSR.tm.t_relay()
              end
            end
            function g() KSR.tm.t_reply(480, "Nobody there") end
            """)
        let first = try #require(try desk.receive(Self.invite, from: Self.caller).first { $0.status == nil })
        let second = try desk.receive(ScriptCall.answer("486 Busy Here", to: first), from: Self.callee)
        let invite = try #require(second.first { $0.firstLine.hasPrefix("INVITE") })
        #expect(invite.to == "127.0.0.21:5072" && invite.firstLine.contains("voicemail"))
        #expect(second.allSatisfy { $0.to != Self.caller })
        let last = try desk.receive(ScriptCall.answer("503 Down", to: invite, tag: "c"), from: "127.0.0.21:5072")
        #expect(last.contains { $0.status == 480 && $0.to == Self.caller && $0.firstLine.contains("Nobody there") })
    }

    @Test func `branches that a script adds ring at once`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              KSR.corex.append_branch_uri("sip:bob@127.0.0.21:5072")
              KSR.tm.t_relay()
            end
            """)
        let sent = try desk.receive(Self.invite, from: Self.caller).filter { $0.status == nil }
        #expect(Set(sent.map(\.to)) == [Self.callee, "127.0.0.21:5072"])
    }

    @Test func `a run that waits is answered later, and copies meanwhile are not asked about again`() throws {
        var desk = try desk(
            """
            n = 0
            function ksr_request_route()
              n = n + 1
              KSR.cfgutils.usleep(300000)
              KSR.sl.send_reply(480 + n, 'x')
            end
            """)
        #expect(try desk.receive(Self.invite, from: Self.caller).allSatisfy { $0.status == 100 })
        #expect(try desk.receive(Self.invite, from: Self.caller).allSatisfy { $0.status == 100 })
        #expect(desk.advance(milliseconds: 299).allSatisfy { $0.status == 100 || $0.status == nil })
        #expect(desk.advance(milliseconds: 50).contains { $0.status == 481 })
    }

    @Test func `a provisional response that is dropped goes no further, a final one does`() throws {
        var desk = try desk(
            "function ksr_request_route() KSR.tm.t_on_reply('r') KSR.tm.t_relay() end function r() KSR.x.drop() end")
        let invite = try #require(try desk.receive(Self.invite, from: Self.caller).first { $0.status == nil })
        #expect(try desk.receive(ScriptCall.answer("180 Ringing", to: invite), from: Self.callee).isEmpty)
        let final = try desk.receive(ScriptCall.answer("486 Busy", to: invite), from: Self.callee)
        #expect(final.contains { $0.status == 486 && $0.to == Self.caller })
    }

    @Test func `what was kept for a transaction is forgotten when as many others have begun`() throws {
        var desk = try desk("function ksr_request_route() KSR.sl.send_reply(404, 'No') end")
        let bytes = Array(Self.invite.utf8)
        desk.node.receive(
            datagram: RawSpan(_elements: bytes.span), from: try #require(Endpoint(text: Self.caller)),
            on: ListenerID(rawValue: 0), ageMilliseconds: 0, now: .zero, into: &desk.out)
        var question = try #require(desk.out.scripts.first)
        let time = RouteTime(microseconds: 0, now: .zero)
        for number in 1...(ScriptJudge.transactionLimit + 1) {
            question.transaction = UInt64(number)
            _ = desk.judge.judge(question, time)
        }
        #expect(desk.judge.transactionCount == ScriptJudge.transactionLimit)
        _ = desk.advance(milliseconds: 1)
    }
}
