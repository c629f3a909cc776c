// Functions of a script that are told of the cluster's own requests (`tm.event_callback`) and of contacts whose time is
// over (`registrar.event_callback`).

import Node
import Primitives
import Routes
import SIP
import Testing

@Suite("Scripts are told of events")
struct EventScriptTests {
    private static let caller = "127.0.0.22:5080"
    private static let callee = "127.0.0.21:5070"

    private static func script(_ body: String) -> String {
        """
        function ksr_request_route()
          if KSR.is_method_in("M") then
            KSR.info("bye " .. KSR.dialog.dlg_get("c1", "a", "b") .. KSR.dialog.dlg_bye("all"))
            KSR.sl.send_reply(200, "OK")
            return
          end
          KSR.rr.record_route()
          KSR.tm.t_relay()
        end
        function own(event) \(body) end
        """
    }

    /// A call that a MESSAGE ends.
    private func endedCall(_ body: String) throws -> (desk: ScriptDesk, sent: [ScriptDesk.Sent]) {
        var desk = try ScriptDesk(Self.script(body))
        desk.localCallback = "own"
        let text = ScriptCall.request("INVITE sip:bob@127.0.0.21:5070", "INVITE")
        let invite = try #require(try desk.receive(text, from: Self.caller).first { $0.firstLine.hasPrefix("INVITE") })
        _ = try desk.receive(
            ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:bob@127.0.0.21:5070>\r\n"), from: Self.callee)
        #expect(desk.said.isEmpty, "nothing of its own has left yet")
        var sent = try desk.receive(
            ScriptCall.request("MESSAGE sip:x@127.0.0.20", "MESSAGE", call: "m1"), from: "127.0.0.23:5060")
        sent += desk.advance(milliseconds: 500)
        return (desk, sent.filter { $0.firstLine.hasPrefix("BYE") })
    }

    @Test func `a BYE of the cluster's is seen and changed before it leaves, its copies are the same`() throws {
        var (desk, byes) = try endedCall(
            """
            KSR.info(table.concat({event, KSR.pv.get("$rm"), KSR.pv.get("$ci"), KSR.pv.get("$snd(port)")}, " "))
            KSR.hdr.append("X-Own: 1\\r\\n")
            """)
        #expect(Set(desk.said.dropFirst()) == ["tm:local-request BYE c1 5070", "tm:local-request BYE c1 5080"])
        #expect(byes.count == 2 && byes.allSatisfy { $0.lines("X-Own").count == 1 })
        let again = desk.advance(milliseconds: 600).filter { $0.firstLine.hasPrefix("BYE") }
        #expect(!again.isEmpty && again.allSatisfy { copy in byes.contains { $0.text == copy.text } })
        #expect(desk.said.count == 3, "each once: \(desk.said)")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `one that is dropped counts as one that could not be sent, and the dialog ends`() throws {
        var (desk, byes) = try endedCall("if KSR.pv.get('$snd(port)') == 5070 then KSR.x.drop() end")
        #expect(byes.map(\.to) == [Self.caller])
        _ = try desk.receive(
            ScriptCall.answer("200 OK", to: try #require(byes.first)).replacing(";tag=b\r\n", with: "\r\n"),
            from: Self.caller)
        _ = desk.advance(milliseconds: 33_000)
        #expect(desk.node.dialogs(DialogQuery(), now: desk.now).dialogs.isEmpty)
    }

    @Test(arguments: ["error('x')", "KSR.cfgutils.usleep(1000)", "KSR.hdr.append('no line')", "while true do end"])
    func `a function that fails, or would wait, changes nothing`(body: String) throws {
        let (desk, byes) = try endedCall(body)
        #expect(byes.count == 2)
        #expect(desk.failures.count == 2, "\(desk.failures)")
    }

    // MARK: Contacts

    private static let registrar = """
        function ksr_request_route() KSR.registrar.save("location", 0) end
        function over(event)
          KSR.info(table.concat({event, KSR.pv.get("$ulc(exp=>aor)"), KSR.pv.get("$ulc(exp=>addr)"),
            KSR.pv.get("$ulc(exp=>domain)"), KSR.pv.get("$ulc(exp=>callid)")}, " "))
        end
        """

    private static func register(_ contact: String, cSeq: Int = 1) -> String {
        "REGISTER sip:127.0.0.20 SIP/2.0\r\nVia: SIP/2.0/UDP \(callee);branch=z9hG4bKr\(cSeq)\r\nMax-Forwards: 70\r\n"
            + "From: <sip:bob@127.0.0.20>;tag=f\r\nTo: <sip:bob@127.0.0.20>\r\nCall-ID: r1\r\n"
            + "CSeq: \(cSeq) REGISTER\r\nContact: \(contact)\r\nContent-Length: 0\r\n\r\n"
    }

    @Test func `a contact whose time is over is told once; one that was renewed or taken back is not`() throws {
        var desk = try ScriptDesk(Self.registrar)
        desk.contactCallback = "over"
        _ = try desk.receive(Self.register("<sip:bob@127.0.0.21:5070>;expires=60"), from: Self.callee)
        _ = desk.advance(milliseconds: 50_000)
        _ = try desk.receive(Self.register("<sip:bob@127.0.0.21:5070>;expires=60", cSeq: 2), from: Self.callee)
        _ = desk.advance(milliseconds: 55_000)
        #expect(desk.said.isEmpty, "it was renewed")
        _ = desk.advance(milliseconds: 50_000)
        #expect(desk.said == ["usrloc:contact-expired bob sip:bob@127.0.0.21:5070 location r1"], "\(desk.said)")
        _ = try desk.receive(Self.register("<sip:bob@127.0.0.21:5070>;expires=60", cSeq: 3), from: Self.callee)
        _ = try desk.receive(Self.register("<sip:bob@127.0.0.21:5070>;expires=0", cSeq: 4), from: Self.callee)
        _ = desk.advance(milliseconds: 200_000)
        #expect(desk.said.count == 1, "it was taken back: \(desk.said)")
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }

    @Test func `of three nodes one tells`() throws {
        var cluster = try ScriptCluster(Self.registrar)
        for index in 0..<3 { cluster.tellExpired(at: index, to: "over") }
        _ = try cluster.receive(Self.register("<sip:bob@127.0.0.21:5070>;expires=60"), from: Self.callee, at: 0)
        _ = try cluster.advance(milliseconds: 120_000)
        let said = cluster.notes.filter { $0.message == "the script says" }
        #expect(said.count == 1, "\(said)")
        #expect(cluster.failures.isEmpty, "\(cluster.failures)")
    }
}
