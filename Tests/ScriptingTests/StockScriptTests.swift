// Debian's kamailio-basic-kemi-lua.lua, unchanged, over what Kamailio 5.6.3 was sent: all cases in their order, on one
// node, and with every datagram dealt at random over three. What each end gets is compared with what it got from
// Kamailio: statuses, methods, Request-URIs, Max-Forwards, and how many Routes and Record-Routes. Both files are read
// where they are; without them the tests are skipped.
//
// What the phones send is theirs, but for what they copy from what they got: Vias, Record-Routes and Routes are those
// of our messages.

import Foundation
import Primitives
import Routes
import Scripting
import Testing

@Suite("The stock script")
struct StockScriptTests {
    private static let script = "/usr/share/doc/kamailio/examples/kemi/kamailio-basic-kemi-lua.lua"
    private static let cases = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "../shared/testdata/golden/kemi-basic-lua/cases.jsonl").standardizedFileURL
    private static let hasScript = FileManager.default.fileExists(atPath: script)
    private static let isPresent = hasScript && FileManager.default.fileExists(atPath: cases.path)

    private struct Event: Decodable {
        var dir: String
        var end: String
        var bytes: String
    }

    private struct Case: Decodable {
        var `case`: String
        var events: [Event]
    }

    /// What another answer is than Kamailio's, by case, and why.
    private static let differences: [String: (golden: [String], ours: [String])] = [
        // A request without CSeq is told so, not dropped (RFC 3261 §16.3).
        "missing-cseq": ([], ["400  rr=0 "]),
        // There the 180 was overtaken by the 200 that follows it at once.
        "cancel-after-200": (
            ["200 1 INVITE rr=1 ", "200 1 CANCEL rr=0 "],
            ["180 1 INVITE rr=1 ", "200 1 INVITE rr=1 ", "200 1 CANCEL rr=0 "]
        ),
    ]

    /// What phones sent in Kamailio's run between the cases, which the file leaves out.
    private static let between: [String: String] = [
        "fork-both-busy": register("<sip:bob@127.0.0.21:5072>", "reg2", port: 5_072),
        "invite-after-unregister": register("*", "reg3", extra: "Expires: 0\r\n"),
    ]

    private static func register(_ contact: String, _ call: String, port: Int = 5_070, extra: String = "") -> String {
        "REGISTER sip:127.0.0.20 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.21:\(port);branch=z9hG4bK\(call)\r\n"
            + "Max-Forwards: 70\r\nFrom: <sip:bob@127.0.0.20>;tag=f\r\nTo: <sip:bob@127.0.0.20>\r\nCall-ID: \(call)\r\n"
            + "CSeq: 1 REGISTER\r\nContact: \(contact)\r\n\(extra)Content-Length: 0\r\n\r\n"
    }

    private static let ends = ["uac": "127.0.0.22:5080", "uas": "127.0.0.21:5070", "uas2": "127.0.0.21:5072"]

    // MARK: One line of what an end gets

    private static func first(_ text: String, _ name: String) -> String? {
        text.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }.map {
            $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
        }
    }

    private static func count(_ text: String, _ name: String) -> Int {
        text.split(separator: "\r\n").count { $0.lowercased().hasPrefix(name.lowercased() + ":") }
    }

    /// `nil` for a provisional answer of the proxy's own, which comes when it likes.
    private static func summary(_ text: String) -> String? {
        let line = text.prefix { $0 != "\r\n" }
        let recorded = count(text, "Record-Route")
        if line.hasPrefix("SIP/2.0 ") {
            let status = line.dropFirst(8).prefix(3)
            let contact = first(text, "CSeq")?.hasSuffix("REGISTER") == true ? first(text, "Contact") ?? "" : ""
            return status == "100" ? nil : "\(status) \(first(text, "CSeq") ?? "") rr=\(recorded) \(contact)"
        }
        // A CANCEL and the ACK of a failure begin here, with 70 hops (RFC 3261 §8.1.1.6); Kamailio copies the INVITE's.
        let isOwn = line.hasPrefix("CANCEL ") || line.hasPrefix("ACK sip:bob@")
        let hops = isOwn ? "" : first(text, "Max-Forwards") ?? ""
        return "\(line) max-forwards=\(hops) routes=\(count(text, "Route")) rr=\(recorded)"
    }

    /// Without repetitions.
    private static func told(_ texts: [String]) -> [String] {
        texts.compactMap(summary).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    // MARK: What phones copy

    /// A golden message as the phone would have sent it here.
    private static func adapted(_ event: Event, _ got: [ScriptDesk.Sent]) -> String {
        let call = first(event.bytes, "Call-ID")
        var lines = event.bytes.components(separatedBy: "\r\n")
        if event.bytes.hasPrefix("SIP/2.0 ") {
            let answered = got.last {
                $0.status == nil && $0.to == ends[event.end] && $0.lines("Call-ID").first == "Call-ID: \(call ?? "")"
                    && first($0.text, "CSeq") == first(event.bytes, "CSeq")
            }
            guard let answered else { return event.bytes }
            let isRecorded = lines.contains { $0.hasPrefix("Record-Route:") }
            let copied = answered.text.components(separatedBy: "\r\n").filter {
                $0.hasPrefix("Via:") || isRecorded && $0.hasPrefix("Record-Route:")
            }
            lines.removeAll { $0.hasPrefix("Via:") || $0.hasPrefix("Record-Route:") }
            lines.insert(contentsOf: copied, at: 1)
        } else if lines.contains(where: { $0.hasPrefix("Route: <sip:127.0.0.20;lr=on>") }) {
            let recorded = got.last { $0.lines("Record-Route").count == 1 && first($0.text, "Call-ID") == call }
            guard let route = recorded?.lines("Record-Route").first?.replacing("Record-Route:", with: "Route:") else {
                return event.bytes
            }
            lines = lines.map { $0.hasPrefix("Route: <sip:127.0.0.20;lr=on>") ? route : $0 }
        }
        return lines.joined(separator: "\r\n")
    }

    /// Replays all cases; every datagram of a phone goes to the node that `deal` names.
    private func replay(nodes: Int, deal: () -> Int) throws {
        let text = try String(contentsOf: Self.cases, encoding: .utf8)
        let all = try text.split(separator: "\n").map { try JSONDecoder().decode(Case.self, from: Data($0.utf8)) }
        #expect(all.count == 29)
        let script = try String(contentsOf: URL(filePath: Self.script), encoding: .utf8)
        var cluster = try ScriptCluster(script, nodes: nodes) { _, routes in
            routes.registrar.rules.maxExpires = 3_600
        }
        for known in all {
            if let missing = Self.between[known.case] {
                let port = missing.contains("127.0.0.21:5072;") ? "5072" : "5070"
                let sent =
                    try cluster.receive(missing, from: "127.0.0.21:\(port)", at: deal())
                    + cluster.advance(milliseconds: 100)
                #expect(sent.contains { $0.status == 200 }, "before \(known.case)")
            }
            var got: [ScriptDesk.Sent] = []
            for event in known.events where !event.dir.hasPrefix("proxy>") {
                let from = try #require(Self.ends[event.end])
                got += try cluster.receive(Self.adapted(event, got), from: from, at: deal())
                got += try cluster.advance(milliseconds: 20)
            }
            got += try cluster.advance(milliseconds: 100)
            // What callers of cases before have not acknowledged comes again meanwhile.
            let calls = Set(known.events.compactMap { Self.first($0.bytes, "Call-ID") })
            got.removeAll { sent in Self.first(sent.text, "Call-ID").map { !calls.contains($0) } ?? false }
            for (end, address) in Self.ends {
                let golden = Self.told(known.events.filter { $0.dir.hasPrefix("proxy>") && $0.end == end }.map(\.bytes))
                let ours = Self.told(got.filter { $0.to == address }.map(\.text))
                let other = Self.differences[known.case]
                let expected = other.map { $0.golden == golden && end == "uac" ? $0.ours : golden } ?? golden
                #expect(ours == expected, "\(known.case): what \(end) gets")
            }
            #expect(cluster.failures.isEmpty, "\(known.case): \(cluster.failures)")
            // Pike counts what one source sends; and what is asked of a registration at once has lost no second.
            if !known.case.hasPrefix("register") { _ = try cluster.advance(milliseconds: 2_000) }
        }
    }

    @Test(.enabled(if: isPresent, "Kamailio's examples or ../shared/testdata are not here"))
    func `all cases are answered as Kamailio answers them`() throws {
        try replay(nodes: 1) { 0 }
    }

    @Test(.enabled(if: isPresent, "Kamailio's examples or ../shared/testdata are not here"), arguments: [1, 2, 3])
    func `and so they are when every datagram goes to any of three nodes`(seed: UInt64) throws {
        var chance = SplitMix(seed: seed)
        try replay(nodes: 3) { Int(chance.next(below: 3)) }
    }

    @Test(.enabled(if: hasScript, "Kamailio's examples are not here"))
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
