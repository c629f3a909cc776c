// KSR.rtpengine with a relay that stands in: what it is told, and what becomes of the message when it has answered.

import Primitives
import Routes
import SIP
import Scripting
import Testing

@Suite("Scripts and media relays")
struct MediaScriptTests {
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"
    private static let relay = "127.0.0.40:2223"
    private static let other = "127.0.0.41:2223"

    private static func sdp(_ address: String) -> String {
        "v=0\r\no=- 1 1 IN IP4 \(address)\r\ns=-\r\nc=IN IP4 \(address)\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    }

    private static func with(_ body: String, _ text: String) -> String {
        text.replacing(
            "Content-Length: 0\r\n\r\n",
            with: "Content-Type: application/sdp\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    private static let invite = with(
        sdp("10.0.0.1"), ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE"))

    /// As public scripts have it: in the branch and in the onreply route.
    private static let managing = """
        function ksr_request_route()
          if KSR.is_method_in("BA") then
            if KSR.is_BYE() then KSR.info("delete " .. KSR.rtpengine.rtpengine_manage0()) end
            KSR.rr.loose_route()
            KSR.tm.t_relay()
            return
          end
          KSR.rr.record_route()
          KSR.tm.t_on_branch("branch")
          KSR.tm.t_on_reply("reply")
          KSR.tm.t_relay()
        end
        function branch()
          KSR.info("offer " .. KSR.rtpengine.rtpengine_manage("replace-origin trust-address via-branch=1 RTP/AVP"))
          KSR.hdr.append("X-Branch: 1\\r\\n")
        end
        function reply() KSR.info("reply " .. KSR.rtpengine.rtpengine_manage("via-branch=auto")) end
        """

    private static func desk(_ script: String, servers: [String] = ["0 udp:\(relay)"]) throws -> ScriptDesk {
        try ScriptDesk(script, modules: ["rtpengine"]) { _, routes in
            routes.mediaRelays.servers = servers.compactMap { MediaRelaySettings.server($0) }
            (routes.mediaRelays.timeout, routes.mediaRelays.tries) = (.milliseconds(100), 3)
        }
    }

    /// What a relay was sent last.
    private static func command(_ sent: [ScriptDesk.Sent], at relay: String = relay) throws -> (cookie: String, Bencode)
    {
        let last = try #require(sent.last { $0.to == relay })
        let parts = last.text.split(separator: " ", maxSplits: 1).map(String.init)
        return (parts[0], try #require(Bencode(Array(parts[1].utf8)[...])))
    }

    private static func text(_ value: Bencode, _ key: StaticString) -> String? {
        value[key]?.asText.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func ok(_ body: String? = nil) -> Bencode {
        var entries = [Bencode.Entry(Array("result".utf8), .text("ok"))]
        if let body { entries.append(.init(Array("sdp".utf8), .text(Array(body.utf8)))) }
        return .dictionary(entries)
    }

    @Test func `offer and answer pass by the relay, in the branch and the response; a BYE deletes`() throws {
        var desk = try Self.desk(Self.managing)
        var sent = try desk.receive(Self.invite, from: Self.caller)
        #expect(!sent.contains { $0.firstLine.hasPrefix("INVITE") }, "it waits for the relay")
        let (cookie, offer) = try Self.command(sent)
        #expect(Self.text(offer, "command") == "offer" && Self.text(offer, "call-id") == "c1")
        #expect(Self.text(offer, "from-tag") == "a" && offer["to-tag"] == nil)
        #expect(
            Self.text(offer, "sdp") == Self.sdp("10.0.0.1") && Self.text(offer, "sip-message-type") == "sip_request")
        #expect(offer["replace"] == .list([.text("origin")]) && offer["flags"] == .list([.text("trust-address")]))
        #expect(Self.text(offer, "transport-protocol") == "RTP/AVP")
        #expect(offer["received-from"] == .list([.text("IP4"), .text("127.0.0.22")]))
        #expect(Self.text(offer, "via-branch") == "z9hG4bKc11INVITE", "the caller's, not the one of the branch")
        sent = try desk.answer(cookie, Self.ok(Self.sdp("192.0.2.40")), from: Self.relay)
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        #expect(invite.text.hasSuffix("\r\n\r\n" + Self.sdp("192.0.2.40")) && invite.lines("X-Branch").count == 1)
        #expect(invite.lines("Content-Length") == ["Content-Length: \(Self.sdp("192.0.2.40").utf8.count)"])
        let ringing = try desk.receive(ScriptCall.answer("180 Ringing", to: invite), from: Self.callee)
        #expect(ringing.contains { $0.status == 180 }, "no body, nothing to ask")

        let answer = Self.with(
            Self.sdp("10.0.0.2"),
            ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:bob@127.0.0.21:5070>\r\n"))
        sent = try desk.receive(answer, from: Self.callee)
        #expect(!sent.contains { $0.status == 200 })
        let (second, answered) = try Self.command(sent)
        #expect(Self.text(answered, "command") == "answer" && Self.text(answered, "from-tag") == "a")
        #expect(Self.text(answered, "to-tag") == "b" && Self.text(answered, "via-branch") == "z9hG4bKc11INVITE")
        #expect(Self.text(answered, "sip-message-type") == "sip_reply")
        sent = try desk.answer(second, Self.ok(Self.sdp("192.0.2.41")), from: Self.relay)
        let upstream = try #require(sent.first { $0.status == 200 })
        #expect(upstream.text.hasSuffix("\r\n\r\n" + Self.sdp("192.0.2.41")))

        let bye = ScriptCall.request(
            "BYE sip:bob@127.0.0.21:5070", "BYE", cSeq: 2, to: "<sip:bob@x>;tag=b",
            extra: (invite.lines("Record-Route").first ?? "").replacing("Record-Route", with: "Route") + "\r\n")
        sent = try desk.receive(bye, from: Self.caller)
        let (third, deleted) = try Self.command(sent)
        #expect(Self.text(deleted, "command") == "delete" && deleted["sdp"] == nil && deleted["to-tag"] == nil)
        sent = try desk.answer(third, Self.ok(), from: Self.relay)
        #expect(sent.contains { $0.firstLine.hasPrefix("BYE") })
        #expect(desk.said == ["offer 1", "reply -1", "reply 1", "delete 1"], "\(desk.said)")
        #expect(desk.failures.isEmpty && desk.judge.mediaRelays.counters.answered == 3, "\(desk.failures)")
    }

    @Test func `a relay that says nothing is asked again, then the next one, then the call goes as it is`() throws {
        var desk = try Self.desk(Self.managing, servers: ["0 udp:\(Self.relay)", "0 udp:\(Self.other)"])
        let first = try desk.receive(Self.invite, from: Self.caller).filter { $0.text.contains("7:command") }
        let sent = desk.advance(milliseconds: 700)
        let commands = first + sent.filter { $0.text.contains("7:command") }
        #expect(
            commands.filter { $0.to == Self.relay }.count == 3 && commands.filter { $0.to == Self.other }.count == 3)
        #expect(Set(commands.map(\.text)).count == 1, "the same cookie and words")
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        #expect(invite.text.hasSuffix(Self.sdp("10.0.0.1")))
        #expect(desk.said.filter { $0 == "offer -1" }.count == 1, "\(desk.said)")
    }

    @Test(arguments: [
        ("d12:error-reason4:nope6:result5:errore", "offer -1"), ("d6:result2:oke", "offer -1"),
        ("d6:result2:ok3:sdp0:e", "offer -1"), ("d6:result2:ok3:sdp4:v=0\ne", "offer 1"),
    ]) func `what the relay refuses, or answers without a body, is -1 to the script`(reply: String, told: String) throws
    {
        var desk = try Self.desk(Self.managing)
        let (cookie, _) = try Self.command(try desk.receive(Self.invite, from: Self.caller))
        let sent = try desk.answer(cookie, try #require(Bencode(Array(reply.utf8)[...])), from: Self.relay)
        #expect(sent.contains { $0.firstLine.hasPrefix("INVITE") })
        #expect(desk.said.contains(told), "\(desk.said)")
    }

    @Test func `an answer of a stranger's, or to nothing, is passed over`() throws {
        var desk = try Self.desk(Self.managing)
        let (cookie, _) = try Self.command(try desk.receive(Self.invite, from: Self.caller))
        #expect(try desk.answer(cookie, Self.ok("x"), from: "127.0.0.99:2223").isEmpty)
        #expect(try desk.answer("0123456789abcdef", Self.ok("x"), from: Self.relay).isEmpty)
        #expect(desk.judge.mediaRelays.counters.stray == 2)
        #expect(try desk.answer(cookie, Self.ok("x"), from: Self.relay).contains { $0.firstLine.hasPrefix("INVITE") })
    }

    @Test func `two branches ask for themselves, each with its own answer`() throws {
        var desk = try Self.desk(
            Self.managing.replacing(
                "KSR.rr.record_route()", with: "KSR.corex.append_branch_uri('sip:bob@127.0.0.21:5071')"))
        let sent = try desk.receive(Self.invite, from: Self.caller).filter { $0.to == Self.relay }
        #expect(sent.count == 2)
        for (index, one) in sent.enumerated() {
            let cookie = String(one.text.prefix { $0 != " " })
            let next = try desk.answer(cookie, Self.ok(Self.sdp("192.0.2.\(index)")), from: Self.relay)
            let invite = try #require(next.first { $0.firstLine.hasPrefix("INVITE") })
            #expect(next.filter { $0.firstLine.hasPrefix("INVITE") }.count == 1)
            #expect(invite.text.hasSuffix(Self.sdp("192.0.2.\(index)")))
        }
    }

    @Test func `two sets are asked one after the other: the second about what the first has made`() throws {
        var desk = try Self.desk(
            """
            function ksr_request_route()
              KSR.info("sets " .. KSR.rtpengine.set_rtpengine_set2(1, 2))
              KSR.info("offer " .. KSR.rtpengine.rtpengine_offer0())
              KSR.tm.t_relay()
            end
            """, servers: ["1 udp:\(Self.relay)", "2 udp:\(Self.other)"])
        let (first, _) = try Self.command(try desk.receive(Self.invite, from: Self.caller))
        let (second, offer) = try Self.command(
            try desk.answer(first, Self.ok(Self.sdp("192.0.2.1")), from: Self.relay), at: Self.other)
        #expect(Self.text(offer, "sdp") == Self.sdp("192.0.2.1"))
        let sent = try desk.answer(second, Self.ok(Self.sdp("192.0.2.2")), from: Self.other)
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        #expect(invite.text.hasSuffix(Self.sdp("192.0.2.2")) && desk.said == ["sets 1", "offer 1"], "\(desk.said)")
    }

    @Test func `a set is chosen by its number, and its servers that answer are counted`() throws {
        var desk = try Self.desk(
            """
            function ksr_request_route()
              KSR.info(KSR.rtpengine.set_rtpengine_set(0) .. " " .. KSR.rtpengine.set_rtpengine_set(3) .. " "
                .. KSR.rtpengine.set_rtpengine_set(9))
              KSR.info("offer " .. KSR.rtpengine.rtpengine_offer0())
              KSR.sl.send_reply(480, "x")
            end
            """,
            servers: ["0 udp:127.0.0.50:1", "0 udp:127.0.0.51:1", "3 udp:\(Self.relay)"])
        _ = try desk.receive(Self.invite, from: Self.caller)
        _ = desk.advance(milliseconds: 1_000)
        #expect(desk.said.contains("2 1 -1") && desk.said.contains("offer -1"), "\(desk.said)")
        desk.clearSaid()
        _ = try desk.receive(
            Self.with(Self.sdp("x"), ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "c2")),
            from: Self.caller)
        #expect(desk.said.contains("-2 1 -1"), "none of set 0 has answered: \(desk.said)")
    }

    @Test func `the statistics of rtpstat are what the relay has counted`() throws {
        var desk = try Self.desk(
            "function ksr_request_route() KSR.info(tostring(KSR.pv.get('$rtpstat'))) KSR.sl.send_reply(480, 'x') end")
        let reply = "d6:result2:ok6:totalsd3:RTPd5:bytesi10e6:errorsi0e7:packetsi2ee4:RTCPd5:bytesi3eeee"
        let (cookie, query) = try Self.command(try desk.receive(Self.invite, from: Self.caller))
        #expect(Self.text(query, "command") == "query")
        _ = try desk.answer(cookie, try #require(Bencode(Array(reply.utf8)[...])), from: Self.relay)
        #expect(
            desk.said == ["RTP: 10 bytes, 2 packets, 0 errors; RTCP: 3 bytes, -1 packets, -1 errors"], "\(desk.said)")
        let next = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE", call: "c2")
        let (other, _) = try Self.command(try desk.receive(next, from: Self.caller))
        _ = try desk.answer(other, Self.ok(), from: Self.relay)
        #expect(desk.said.last == "nil")
    }

    @Test(arguments: [
        ("rtpengine_offer", "'via-branch=next'"), ("rtpengine_offer", "'TOS=x'"), ("rtpengine_offer", "'from-tag'"),
        ("rtpengine_offer", "'call-id'"), ("rtpengine_delete", "'force-answer'"),
        ("rtpengine_delete", "'via-branch=2'"),
        ("rtpengine_offer", "string.rep('x', 5000)"), ("rtpengine_answer", "''"),
    ]) func `what cannot be said to a relay is -1, and nobody is asked`(name: String, flags: String) throws {
        var desk = try Self.desk(
            "function ksr_request_route() KSR.info('got ' .. KSR.rtpengine.\(name)(\(flags))) KSR.x.exit() end"
        )
        let sent = try desk.receive(Self.invite, from: Self.caller)
        #expect(sent.allSatisfy { $0.to != Self.relay } && desk.said.contains("got -1"), "\(desk.said)")
    }

    @Test func `without a relay every function answers -1`() throws {
        var desk = try Self.desk(
            """
            function ksr_request_route()
              local other, count = "", 0
              for name, f in pairs(KSR.rtpengine) do
                local answer = f("1")
                if answer == false then answer = f() end
                count = count + 1
                if answer ~= -1 then other = other .. name .. tostring(answer) .. " " end
              end
              KSR.info(count .. other)
              KSR.sl.send_reply(480, "x")
            end
            """, servers: [])
        _ = try desk.receive(Self.invite, from: Self.caller)
        #expect(desk.said.last == "29", "\(desk.said)")
        #expect(desk.failures.isEmpty)
    }

    @Test func `a script that asks without end comes to its end, with a relay and without one in its set`() throws {
        let asking = "function ksr_request_route() while true do KSR.rtpengine.rtpengine_offer0() end end"
        var without = try Self.desk(asking, servers: ["1 udp:\(Self.relay)"])
        let sent = try without.receive(Self.invite, from: Self.caller)
        #expect(sent.contains { $0.status == 500 } && without.failures.count == 1, "\(without.failures)")
        #expect(without.judge.mediaRelays.counters.overflowed == 1, "one refusal is enough")
        var desk = try Self.desk(asking)
        var asked = try desk.receive(Self.invite, from: Self.caller)
        var commands = 0
        while asked.contains(where: { $0.to == Self.relay }), commands < 100 {
            commands += 1
            let (cookie, _) = try Self.command(asked)
            asked = try desk.answer(cookie, Self.ok("v=0\n"), from: Self.relay)
        }
        #expect(commands == RoutePlan.mediaCommandLimit && asked.contains { $0.status == 500 }, "\(commands)")
    }

    @Test func `a reload does not lose what waits`() throws {
        var desk = try Self.desk(Self.managing)
        let (cookie, _) = try Self.command(try desk.receive(Self.invite, from: Self.caller))
        try desk.judge.adopt(try ScriptBench.engine("function ksr_request_route() KSR.sl.send_reply(404, 'x') end"))
        let sent = try desk.answer(cookie, Self.ok(Self.sdp("192.0.2.40")), from: Self.relay)
        #expect(sent.contains { $0.firstLine.hasPrefix("INVITE") && $0.text.hasSuffix(Self.sdp("192.0.2.40")) })
    }

    @Test func `an INVITE that is cancelled while the relay is asked goes nowhere`() throws {
        var desk = try Self.desk(Self.managing)
        let (cookie, _) = try Self.command(try desk.receive(Self.invite, from: Self.caller))
        let cancel = ScriptCall.request("CANCEL sip:bob@127.0.0.21:5070", "CANCEL").replacing(
            "1CANCEL", with: "1INVITE")
        var sent = try desk.receive(cancel, from: Self.caller)
        sent += try desk.answer(cookie, Self.ok(Self.sdp("192.0.2.40")), from: Self.relay)
        #expect(!sent.contains { $0.firstLine.hasPrefix("INVITE") })
        sent += desk.advance(milliseconds: 100)
        #expect(sent.contains { $0.status == 487 && $0.to == Self.caller }, "\(sent.map(\.firstLine))")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }
}
