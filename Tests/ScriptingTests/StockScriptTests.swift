// Debian's kamailio-basic-kemi-lua.lua, unchanged, over what Kamailio 5.6.3 was sent: the answers of cases that need no
// registrar, by their status codes. Both are read where they are; without them the tests are skipped.

import Foundation
import Scripting
import Testing

@Suite("The stock script")
struct StockScriptTests {
    private static let script = "/usr/share/doc/kamailio/examples/kemi/kamailio-basic-kemi-lua.lua"
    private static let cases = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "../shared/testdata/golden/kemi-basic-lua/cases.jsonl").standardizedFileURL
    private static let isPresent =
        FileManager.default.fileExists(atPath: script) && FileManager.default.fileExists(atPath: cases.path)

    /// Cases that need no registrar, with our status where it is another one, and why.
    private static let expected: [(name: String, ours: Int?)] = [
        // The node answers OPTIONS to itself before any script, so that a balancer is told when it drains.
        ("options-keepalive", 200), ("max-forwards-zero", nil), ("scanner-user-agent", nil),
        ("invite-no-user-484", nil), ("bye-no-route-404", nil), ("ack-stray", nil), ("cseq-method-mismatch", nil),
        // A request without CSeq is told so, not dropped (RFC 3261 §16.3).
        ("missing-cseq", nil),
    ]

    private struct Event: Decodable {
        var dir: String
        var end: String
        var bytes: String
    }

    private struct Case: Decodable {
        var `case`: String
        var events: [Event]
    }

    @Test(.enabled(if: isPresent, "Kamailio's examples or ../shared/testdata are not here"))
    func `what needs no registrar is answered as Kamailio answers it`() throws {
        let text = try String(contentsOf: Self.cases, encoding: .utf8)
        let all = try text.split(separator: "\n").map { try JSONDecoder().decode(Case.self, from: Data($0.utf8)) }
        let script = try String(contentsOf: URL(filePath: Self.script), encoding: .utf8)
        for (name, ours) in Self.expected {
            let known = try #require(all.first { $0.case == name })
            let first = try #require(known.events.first)
            let golden = known.events.dropFirst().first { $0.dir.hasPrefix("proxy>") }
                .flatMap { Int($0.bytes.dropFirst(8).prefix(3)) }
            var desk = try ScriptDesk(script)
            let sent = try desk.receive(first.bytes, from: "127.0.0.22:5080").compactMap(\.status).filter { $0 != 100 }
            if name == "missing-cseq" {
                #expect(sent.isEmpty || sent == [400])
            } else {
                #expect(sent == (ours ?? golden).map { [$0] } ?? [], "\(name)")
            }
            #expect(desk.failures.isEmpty, "\(name): \(desk.failures)")
        }
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: script), "Kamailio's examples are not here"))
    func `a call to a foreign domain goes there, record-routed, with the script's hint, and its BYE by the Route`()
        throws
    {
        var desk = try ScriptDesk(try String(contentsOf: URL(filePath: Self.script), encoding: .utf8))
        let request = ScriptCall.request("INVITE sip:carol@127.0.0.21:5072", "INVITE", to: "<sip:carol@127.0.0.21>")
        let sent = try desk.receive(request, from: "127.0.0.22:5080")
        let invite = try #require(sent.first { $0.firstLine.hasPrefix("INVITE") })
        #expect(invite.to == "127.0.0.21:5072")
        #expect(invite.lines("P-Hint") == ["P-Hint: outbound"] && invite.lines("Record-Route").count == 1)
        let answer = ScriptCall.answer("200 OK", to: invite, extra: "Contact: <sip:carol@127.0.0.21:5072>\r\n")
        let up = try desk.receive(answer, from: "127.0.0.21:5072") + desk.advance(milliseconds: 100)
        #expect(up.contains { $0.status == 200 && $0.to == "127.0.0.22:5080" })
        let route = try #require(invite.lines("Record-Route").first).replacing("Record-Route:", with: "Route:")
        let bye = ScriptCall.request(
            "BYE sip:carol@127.0.0.21:5072", "BYE", cSeq: 2, to: "<sip:carol@127.0.0.21>;tag=b", extra: route + "\r\n")
        let relayed = try desk.receive(bye, from: "127.0.0.22:5080")
        #expect(
            relayed.contains { $0.firstLine.hasPrefix("BYE sip:carol@127.0.0.21:5072") && $0.to == "127.0.0.21:5072" })
        #expect(desk.failures.isEmpty, "\(desk.failures)")
    }
}
