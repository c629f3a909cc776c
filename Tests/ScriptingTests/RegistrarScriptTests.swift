// KSR.registrar over contacts that are the cluster's: what its functions answer, what is found afterwards and where.

import Primitives
import Routes
import SIP
import Testing

@Suite("Scripts register phones")
struct RegistrarScriptTests {
    private static let phone = "127.0.0.21:5070"

    private static func register(
        _ contacts: [String], user: String = "bob", call: String = "r1", cSeq: Int = 1, extra: String = ""
    ) -> String {
        "REGISTER sip:127.0.0.20 SIP/2.0\r\nVia: SIP/2.0/UDP \(phone);branch=z9hG4bK\(call)\(cSeq)\(contacts.count)\r\n"
            + "Max-Forwards: 70\r\nFrom: <sip:\(user)@127.0.0.20>;tag=f\r\nTo: <sip:\(user)@127.0.0.20>\r\n"
            + "Call-ID: \(call)\r\nCSeq: \(cSeq) REGISTER\r\n"
            + contacts.map { "Contact: \($0)\r\n" }.joined() + extra + "Content-Length: 0\r\n\r\n"
    }

    /// Saves with the flags that a header names, and looks up.
    private static let script = """
        function ksr_request_route()
          if KSR.is_REGISTER() then
            local flags = tonumber(KSR.pv.get("$hdr(X-Flags)") or "0")
            KSR.info("save " .. KSR.registrar.save("location", flags))
            KSR.x.exit()
          end
          KSR.rr.record_route()
          local rc = KSR.registrar.lookup("location")
          KSR.info("lookup " .. rc)
          if rc < 0 then KSR.sl.send_reply(404, "Not Found") KSR.x.exit() end
          KSR.info("to " .. KSR.pv.get("$ru") .. " by " .. (KSR.pv.get("$du") or "none"))
          KSR.tm.t_on_failure("failed")
          KSR.tm.t_relay()
        end
        function failed()
          KSR.info("failed")
          KSR.pv.sets("$ru", "sip:voicemail@127.0.0.30:5060")
          KSR.tm.t_relay()
        end
        """

    private static func invite(_ user: String = "bob", call: String = "c1") -> String {
        ScriptCall.request(
            "INVITE sip:\(user)@127.0.0.20", "INVITE", call: call, to: "<sip:\(user)@127.0.0.20>")
    }

    private func statuses(_ sent: [ScriptDesk.Sent]) -> [Int] { sent.compactMap(\.status).filter { $0 != 100 } }

    @Test func `save says what became of the contact, and answers with all that are there`() throws {
        var desk = try ScriptDesk(Self.script)
        func save(_ text: String) throws -> (told: String?, sent: ScriptDesk.Sent?) {
            let sent = try desk.receive(text, from: Self.phone)
            return (desk.said.last, sent.last)
        }
        var answer = try save(Self.register(["<sip:bob@127.0.0.21:5070>"], extra: "Expires: 600\r\n"))
        #expect(answer.told == "save 1" && answer.sent?.status == 200)
        #expect(answer.sent?.lines("Contact") == ["Contact: <sip:bob@127.0.0.21:5070>;expires=600"])
        answer = try save(Self.register(["<sip:bob@127.0.0.21:5070>;expires=10"], cSeq: 2))
        #expect(answer.told == "save 2", "a known one")
        #expect(
            answer.sent?.lines("Contact") == ["Contact: <sip:bob@127.0.0.21:5070>;expires=60"],
            "too short a time is lengthened, as the module does it")
        answer = try save(Self.register([], cSeq: 3))
        #expect(answer.told == "save 4" && answer.sent?.lines("Contact").count == 1, "asked")
        answer = try save(Self.register(["<sip:bob@127.0.0.21:5070>;expires=0"], cSeq: 4))
        #expect(answer.told == "save 3" && answer.sent?.lines("Contact").isEmpty == true, "taken back")
        answer = try save(Self.register(["<sip:bob@127.0.0.21:5070>"], cSeq: 3))
        #expect(answer.told == "save -1" && answer.sent?.status == 500, "out of order")
        answer = try save(Self.register((1...11).map { "<sip:bob@127.0.0.\($0)>" }, call: "r2"))
        #expect(answer.told == "save -2" && answer.sent?.status == 503, "too many")
        #expect(answer.sent?.lines("P-Registrar-Error") == ["P-Registrar-Error: Too many registered contacts"])
        answer = try save(Self.register(["*"], call: "r3", extra: "Expires: 0\r\n"))
        #expect(answer.told == "save 3")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `flag 4 keeps one contact, flag 2 answers nobody`() throws {
        var desk = try ScriptDesk(Self.script)
        _ = try desk.receive(Self.register(["<sip:bob@127.0.0.21:1>", "<sip:bob@127.0.0.21:2>"]), from: Self.phone)
        let sent = try desk.receive(
            Self.register(["<sip:bob@127.0.0.21:3>"], call: "r2", extra: "X-Flags: 4\r\n"), from: Self.phone)
        #expect(sent.last?.lines("Contact") == ["Contact: <sip:bob@127.0.0.21:3>;expires=3600"])
        let silent = try desk.receive(
            Self.register(["<sip:bob@127.0.0.21:4>"], call: "r3", extra: "X-Flags: 2\r\n"), from: Self.phone)
        #expect(silent.isEmpty && desk.said.last == "save 1")
    }

    @Test func `all contacts are called at once, whatever their q`() throws {
        var desk = try ScriptDesk(Self.script)
        _ = try desk.receive(
            Self.register(["<sip:bob@127.0.0.21:5071>;q=0.2", "<sip:bob@127.0.0.21:5070>;q=0.9"]), from: Self.phone)
        let sent = try desk.receive(Self.invite(), from: "127.0.0.22:5080")
        let invites = sent.filter { $0.firstLine.hasPrefix("INVITE ") }
        #expect(invites.map(\.to) == ["127.0.0.21:5070", "127.0.0.21:5071"])
        #expect(invites[1].firstLine == "INVITE sip:bob@127.0.0.21:5071 SIP/2.0")
        #expect(desk.said.contains("lookup 1") && desk.said.contains("to sip:bob@127.0.0.21:5070 by none"))
        #expect(statuses(try desk.receive(Self.invite("carol", call: "c2"), from: "127.0.0.22:5080")) == [404])
        #expect(desk.said.last == "lookup -1")
    }

    @Test func `a Path leads to the contact, and $du says so`() throws {
        var desk = try ScriptDesk(Self.script)
        _ = try desk.receive(
            Self.register(["<sip:bob@10.1.1.1>"], extra: "Path: <sip:127.0.0.23:5090;lr>\r\n"), from: Self.phone)
        let sent = try desk.receive(Self.invite(), from: "127.0.0.22:5080")
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE ") })
        #expect(invite.to == "127.0.0.23:5090" && invite.lines("Route") == ["Route: <sip:127.0.0.23:5090;lr>"])
        #expect(invite.firstLine == "INVITE sip:bob@10.1.1.1 SIP/2.0")
        #expect(desk.said.last == "to sip:bob@10.1.1.1 by sip:127.0.0.23:5090;lr")
    }

    @Test func `a phone is called over its connection; when that has ended, the failure route says what is done`()
        throws
    {
        var desk = try ScriptDesk(Self.script) { _, routes in routes.transports = [.udp, .tcp, .ws] }
        let flow = FlowID(rawValue: 6)
        _ = try desk.receive(
            Self.register(["<sip:bob@phone.invalid;transport=ws>"]), from: "127.0.0.21:40000", flow: flow)
        let called = try desk.receive(Self.invite(), from: "127.0.0.22:5080")
        #expect(
            called.contains { $0.firstLine.hasPrefix("INVITE sip:bob@phone.invalid") && $0.to == "127.0.0.21:40000" })
        desk.close(flow)
        let sent = try desk.receive(Self.invite(call: "c2"), from: "127.0.0.22:5080") + desk.advance(milliseconds: 50)
        #expect(desk.said.contains("failed"))
        #expect(sent.contains { $0.firstLine.hasPrefix("INVITE sip:voicemail@127.0.0.30:5060 ") })
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `what leads to ourselves is no way to a phone`() throws {
        var desk = try ScriptDesk(
            Self.script.replacing(
                "KSR.tm.t_relay()\nend\nfunction",
                with: """
                    if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
                    end
                    function
                    """))
        _ = try desk.receive(
            Self.register(["<sip:bob@10.1.1.1>"], extra: "Path: <sip:127.0.0.20:5060;lr>\r\n"), from: Self.phone)
        #expect(statuses(try desk.receive(Self.invite(), from: "127.0.0.22:5080")) == [404])
    }

    @Test func `registered, unregister and the contacts that are fetched`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              if KSR.is_REGISTER() then KSR.registrar.save("phones", 0) KSR.x.exit() end
              local uri = "sip:bob@127.0.0.20"
              KSR.info(KSR.registrar.registered("phones") .. KSR.registrar.registered_uri("location", uri))
              KSR.info(KSR.registrar.reg_fetch_contacts("phones", uri, "a"))
              local ruid = KSR.pv.get("$(ulc(a=>ruid)[1])")
              KSR.info(KSR.pv.get("$ulc(a=>count)") .. KSR.pv.get("$ulc(a=>aor)") .. KSR.pv.get("$ulc(a=>domain)"))
              KSR.info(KSR.pv.get("$(ulc(a=>addr)[1])") .. KSR.pv.get("$(ulc(a=>callid)[1])"))
              KSR.info(
                KSR.registrar.unregister_ruid("phones", uri, "uloc-0") .. KSR.registrar.unregister("phones", "x"))
              KSR.info(KSR.registrar.unregister_ruid("phones", uri, ruid) .. KSR.registrar.registered("phones"))
              KSR.info(KSR.registrar.unregister("phones", uri) .. KSR.registrar.registered_flags("phones", uri, 1))
              KSR.sl.send_reply(486, "Busy Here")
            end
            """)
        _ = try desk.receive(Self.register(["<sip:bob@127.0.0.21:1>", "<sip:bob@127.0.0.21:2>"]), from: Self.phone)
        let sent = try desk.receive(Self.invite(), from: "127.0.0.22:5080")
        #expect(
            desk.said == ["1-1", "1", "2bobphones", "sip:bob@127.0.0.21:2r1", "-3-1", "11", "1-1"])
        #expect(statuses(sent) == [486] && desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `credentials that were good are taken out, those for other realms stay`() throws {
        var desk = try ScriptDesk(
            """
            function ksr_request_route()
              if KSR.auth.pv_auth_check("home", "secret", 0, 0) < 0 then
                KSR.auth.auth_challenge("home", 0)
                KSR.x.exit()
              end
              KSR.auth.consume_credentials()
              KSR.pv.sets("$ru", "sip:carol@127.0.0.21:5072")
              KSR.tm.t_relay()
            end
            """, modules: ["auth"])
        let asked = try #require(try desk.receive(Self.invite(), from: "127.0.0.22:5080").last)
        let nonce = try #require(asked.text.split(separator: "nonce=\"").last?.prefix { $0 != "\"" })
        let header = DigestAnswer.header(user: "alice", realm: "home", password: "secret", nonce: String(nonce))
        let other = "Proxy-Authorization: Digest username=\"x\", realm=\"elsewhere\", response=\"0\"\r\n"
        let sent = try desk.receive(
            ScriptCall.request(
                "INVITE sip:bob@127.0.0.20", "INVITE", cSeq: 2, to: "<sip:bob@127.0.0.20>", extra: other + header),
            from: "127.0.0.22:5080")
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE ") })
        #expect(invite.lines("Proxy-Authorization").map { $0.contains("elsewhere") } == [true])
    }

    // MARK: The cluster

    @Test func `the 200 waits for its commit, and a kill right after it loses no contact`() throws {
        var cluster = try ScriptCluster(Self.script)
        for index in 0..<20 {
            let text = Self.register(["<sip:u\(index)@127.0.0.21>"], user: "u\(index)", call: "r\(index)")
            #expect(statuses(try cluster.receive(text, from: Self.phone, at: 0)).isEmpty, "not before a peer has it")
        }
        var answered = 0
        while answered < 20 { answered += statuses(try cluster.advance(milliseconds: 1)).count }
        cluster.kill(0)
        for index in 0..<20 {
            let sent = try cluster.receive(
                Self.invite("u\(index)", call: "i\(index)"), from: "127.0.0.22:5080", at: 1 + index % 2)
            #expect(sent.contains { $0.firstLine.hasPrefix("INVITE sip:u\(index)@127.0.0.21 ") })
        }
    }

    @Test func `a table is its own, on every node`() throws {
        var cluster = try ScriptCluster(
            """
            function ksr_request_route()
              local table = KSR.pv.get("$hdr(X-Table)") or "location"
              if KSR.is_REGISTER() then KSR.registrar.save(table, 0) KSR.x.exit() end
              if KSR.registrar.lookup(table) < 0 then KSR.sl.send_reply(404, "Not Found") KSR.x.exit() end
              KSR.tm.t_relay()
            end
            """)
        let text = Self.register(["<sip:bob@127.0.0.21:9>"], extra: "X-Table: aliases\r\n")
        _ = try cluster.receive(text, from: Self.phone, at: 0) + cluster.advance(milliseconds: 50)
        #expect(statuses(try cluster.receive(Self.invite(), from: "127.0.0.22:5080", at: 1)) == [404])
        let request = ScriptCall.request(
            "INVITE sip:bob@127.0.0.20", "INVITE", call: "c2", to: "<sip:bob@127.0.0.20>",
            extra: "X-Table: aliases\r\n")
        let sent = try cluster.receive(request, from: "127.0.0.22:5080", at: 2)
        #expect(sent.contains { $0.to == "127.0.0.21:9" })
    }
}

/// The answer of a phone to a challenge with MD5 and without qop (RFC 3261 §22.4).
private enum DigestAnswer {
    static func header(user: String, realm: String, password: String, nonce: String) -> String {
        func hash(_ text: String) -> String { RouteText.hex(MD5.digest(Array(text.utf8))).shown }
        let response = hash(
            "\(hash("\(user):\(realm):\(password)")):\(nonce):\(hash("INVITE:sip:bob@127.0.0.20"))")
        return "Proxy-Authorization: Digest username=\"\(user)\", realm=\"\(realm)\", nonce=\"\(nonce)\", "
            + "uri=\"sip:bob@127.0.0.20\", response=\"\(response)\"\r\n"
    }
}
