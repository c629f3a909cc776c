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

    @Test(arguments: ["", "KSR.hdr.append('X-Script: 1\\r\\n')"], ["", "KSR.hdr.append('X-Branch: 1\\r\\n')"])
    func `a trace has what left, and no credentials, whoever has changed it`(request: String, branch: String) throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route() \(request) KSR.tm.t_on_branch("b") KSR.tm.t_relay() end
            function b() KSR.dbg("branch") \(branch) end
            function ksr_reply_route() KSR.dbg("reply") end
            """
        ) { settings, _ in settings.trace.memory = 1 }
        for (number, secret) in ["", "Authorization: Digest response=\"SECRET\"\r\n"].enumerated() {
            let call = "c\(number)"
            let text = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: call, extra: secret)
            let invite = try #require(try desk.receive(text, from: Self.caller).first { $0.status == nil })
            #expect(invite.text.contains(secret), "it passes on what it is given")
            let up = try desk.receive(ScriptCall.answer("180 Ringing", to: invite), from: Self.callee)
            let ringing = try #require(up.first { $0.status == 180 })
            let kept = desk.node.trace(callID: call, now: desk.now).events.map(\.text)
            #expect(kept.contains(ringing.text) && kept.allSatisfy { !$0.contains("SECRET") }, "\(kept)")
            #expect(kept.contains(invite.text) == secret.isEmpty, "\(kept)")
            #expect(kept.filter { $0.hasPrefix("INVITE") }.count == 2, "\(kept)")
        }
    }

    @Test func `lines that nobody reads are not kept, from the next run on`() throws {
        let lines = ["dbg", "info", "notice", "warn", "err"].map { "KSR.\($0)('\($0)') " }.joined()
        let body = "\(lines) KSR.log('info', 'l') KSR.x.drop()"
        var desk = try desk("function ksr_request_route() \(body) end")
        var heard: [[String]] = []
        for level in [RouteNote.Level.debug, .notice, .error, .info] {
            desk.judge.lowestNote = { level }
            desk.clearSaid()
            _ = try desk.receive(
                ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "\(level)"), from: Self.caller)
            heard.append(desk.said)
        }
        #expect(
            heard == [
                ["dbg", "info", "notice", "warn", "err", "l"], ["notice", "warn", "err"], ["err"],
                ["info", "notice", "warn", "err", "l"],
            ])
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

    @Test func `another script serves from the next request on; what waits ends where it began`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              KSR.htable.sht_seti("ipban", "kept", 7)
              KSR.cfgutils.sleep(1)
              KSR.sl.send_reply(480, "Old")
            end
            """
        ) { _, routes in
            routes.tables = [HashTableSettings(name: Array("ipban".utf8), lifetime: .seconds(300))]
        }
        let first = desk.judge.version
        #expect(try desk.receive(Self.invite, from: Self.caller).allSatisfy { $0.status == 100 })
        try desk.judge.adopt(
            try ScriptBench.engine(
                """
                function ksr_request_route() KSR.sl.send_reply(KSR.htable.sht_get("ipban", "kept") + 474, "New") end
                """))
        #expect(desk.judge.version != first)
        let other = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "c2")
        #expect(try desk.receive(other, from: Self.caller).compactMap(\.status).last == 481, "with what is remembered")
        let late = desk.advance(milliseconds: 1_100).compactMap(\.status)
        #expect(late.contains(480), "\(late)")
        #expect(throws: ScriptError.self) { try desk.judge.adopt(try ScriptBench.engine("function f() end")) }
        let third = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "c3")
        #expect(try desk.receive(third, from: Self.caller).compactMap(\.status).last == 481)
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `chance goes on over waits and reloads: nothing is drawn twice`() throws {
        let text = """
            function ksr_request_route()
              if KSR.is_INVITE() then KSR.cfgutils.sleep(1) end
              KSR.info("drew " .. math.random(1000000000))
              KSR.sl.send_reply(480, "x")
            end
            """
        var desk = try desk(text)
        func draw(_ method: String, _ call: String) throws {
            let request = ScriptCall.request("\(method) sip:bob@127.0.0.21:5070", method, call: call)
            _ = try desk.receive(request, from: Self.caller)
        }
        try draw("INVITE", "c1")
        try draw("OPTIONS", "c2")
        try desk.judge.adopt(try ScriptBench.engine(text))
        try draw("OPTIONS", "c3")
        _ = desk.advance(milliseconds: 1_100)
        try draw("OPTIONS", "c4")
        try draw("OPTIONS", "c5")
        let drawn = desk.said.filter { $0.hasPrefix("drew ") }
        #expect(drawn.count == 5 && Set(drawn).count == 5, "\(drawn)")
    }

    private static let hunting = """
        function ksr_request_route()
          KSR.tm.t_set_fr(2000, 1000)
          KSR.tm.t_on_failure("failed")
          KSR.tm.t_relay()
        end
        function failed()
          if KSR.tm.t_check_status("408") < 0 then return end
          KSR.pv.sets("$ru", "sip:voicemail@127.0.0.30:5060")
          KSR.tm.t_relay()
        end
        """

    @Test func `a callee that says nothing for the script's first time is given up for the next`() throws {
        var desk = try desk(Self.hunting)
        _ = try desk.receive(Self.invite, from: Self.caller)
        #expect(desk.advance(milliseconds: 990).filter { $0.firstLine.contains("voicemail") }.isEmpty)
        let sent = desk.advance(milliseconds: 30)
        #expect(sent.contains { $0.firstLine.hasPrefix("INVITE sip:voicemail@127.0.0.30:5060 ") })
        let after = desk.advance(milliseconds: 5_000)
        #expect(after.filter { $0.to == Self.callee }.isEmpty, "nothing is sent again to who was given up")
    }

    @Test func `one that rings is cancelled after the script's final time, and its 487 counts as 408`() throws {
        var desk = try desk(Self.hunting)
        let sent = try desk.receive(Self.invite, from: Self.caller)
        let invite = try #require(sent.first { $0.status == nil })
        _ = desk.advance(milliseconds: 500)
        _ = try desk.receive(ScriptCall.answer("180 Ringing", to: invite), from: Self.callee)
        #expect(desk.advance(milliseconds: 1_900).filter { $0.firstLine.hasPrefix("CANCEL") }.isEmpty)
        #expect(desk.advance(milliseconds: 200).contains { $0.firstLine.hasPrefix("CANCEL") && $0.to == Self.callee })
        let next = try desk.receive(ScriptCall.answer("487 Request Terminated", to: invite), from: Self.callee)
        #expect(next.contains { $0.firstLine.hasPrefix("INVITE sip:voicemail@127.0.0.30:5060 ") })
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `a request that is suspended goes on when another run says so, by its numbers`() throws {
        var desk = try desk(
            """
            function ksr_request_route()
              if KSR.is_method_in("M") then
                local i, l = KSR.pv.get("$hdr(X-Index)"), KSR.pv.get("$hdr(X-Label)")
                KSR.info("continued " .. KSR.tmx.t_continue(i, l, "go_on") .. KSR.tmx.t_continue(i, l, "go_on"))
                KSR.info("none " .. KSR.tmx.t_continue(1, 2, "go_on"))
                KSR.sl.send_reply(200, "OK")
                return
              end
              KSR.setflag(3)
              KSR.hdr.append("X-Before: 1\\r\\n")
              KSR.tm.t_newtran()
              KSR.tmx.t_suspend()
              KSR.info(KSR.pv.get("$T(id_index)") .. " " .. KSR.pv.get("$T(id_label)"))
            end
            function go_on()
              KSR.info("flag " .. tostring(KSR.isflagset(3)) .. " " .. KSR.pv.get("$rU"))
              KSR.pv.sets("$rU", "carol")
              KSR.tm.t_relay()
            end
            """)
        let first = try desk.receive(Self.invite, from: Self.caller)
        #expect(first.allSatisfy { $0.status == 100 }, "nothing but 100 while it is suspended")
        let numbers = try #require(desk.said.last).split(separator: " ").map(String.init)
        _ = desk.advance(milliseconds: 2_000)
        let message = ScriptCall.request(
            "MESSAGE sip:x@127.0.0.20", "MESSAGE", call: "m1",
            extra: "X-Index: \(numbers[0])\r\nX-Label: \(numbers[1])\r\n")
        let sent = try desk.receive(message, from: "127.0.0.23:5060")
        let invite = try #require(sent.first { $0.firstLine == "INVITE sip:carol@127.0.0.21:5070 SIP/2.0" })
        #expect(invite.lines("X-Before") == ["X-Before: 1"], "with what was changed before")
        #expect(sent.contains { $0.status == 200 }, "and the MESSAGE has its own answer")
        #expect(desk.said.suffix(3) == ["continued 1-1", "none -1", "flag true bob"], "\(desk.said)")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `two suspended requests that continue each other wait again after one turn`() throws {
        var desk = try desk(
            """
            local other = {}
            function ksr_request_route()
              if KSR.is_method_in("M") then
                KSR.tmx.t_continue(other[1][1], other[1][2], "go_on")
                KSR.sl.send_reply(200, "OK")
                return
              end
              KSR.tm.t_newtran()
              KSR.tmx.t_suspend()
              table.insert(other, {KSR.pv.get("$T(id_index)"), KSR.pv.get("$T(id_label)")})
            end
            function go_on()
              local mine = KSR.pv.get("$T(id_index)")
              for _, one in ipairs(other) do
                if one[1] ~= mine then KSR.tmx.t_continue(one[1], one[2], "go_on") end
              end
              KSR.tmx.t_suspend()
            end
            """)
        for call in ["c1", "c2"] {
            _ = try desk.receive(
                ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: call), from: Self.caller)
        }
        let sent = try desk.receive(
            ScriptCall.request("MESSAGE sip:x@127.0.0.20", "MESSAGE", call: "m1"), from: "127.0.0.23:5060")
        #expect(sent.compactMap(\.status) == [200], "it ends, and neither has a verdict")
        #expect(desk.failures.contains { "\($0)".contains("goes on once in a turn") }, "\(desk.failures)")
        #expect(Set(desk.advance(milliseconds: 33_000).compactMap(\.status)) == [500])
    }

    @Test func `those that were abandoned make room when their senders have given up`() throws {
        var desk = try desk(
            "function ksr_request_route() KSR.tm.t_newtran() KSR.info('s ' .. KSR.tmx.t_suspend()) end")
        func invite(_ number: Int) throws {
            let text = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "c\(number)")
            _ = try desk.receive(text, from: Self.caller)
        }
        for number in 0..<SuspendedRequests.limit { try invite(number) }
        #expect(desk.said.allSatisfy { $0 == "s 1" })
        try invite(SuspendedRequests.limit)
        #expect(desk.said.last == "s -1", "one more than there is room for")
        _ = desk.advance(milliseconds: 33_000)
        try invite(SuspendedRequests.limit + 1)
        #expect(desk.said.last == "s 1")
    }

    @Test func `a suspended request that nobody goes on with gets 500, or 487 where it was cancelled`() throws {
        var desk = try desk("function ksr_request_route() KSR.tmx.t_suspend() end")
        _ = try desk.receive(Self.invite, from: Self.caller)
        let cancel = Self.invite.replacing("INVITE sip", with: "CANCEL sip").replacing("1 INVITE", with: "1 CANCEL")
        let answers = try desk.receive(cancel, from: Self.caller).compactMap(\.status)
        #expect(answers.contains(200))
        let other = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "c2")
        _ = try desk.receive(other, from: Self.caller)
        let late = desk.advance(milliseconds: 33_000).compactMap(\.status)
        #expect(late.contains(487) && late.contains(500), "\(late)")
    }
}
