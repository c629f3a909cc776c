// A call with everything large: eight proxies on each side, URIs of 400 bytes, an answer of 60 kB, over three nodes. It
// passes, survives the node that handled it, and both sides get their BYE when its time is over.

import Node
import Primitives
import SIP
import Testing

@Suite("A call with large route sets, URIs and answers")
struct LargeCallTests {
    /// A URI of about 400 bytes.
    private static func uri(_ user: String, _ host: String, _ parameters: String = "") -> String {
        "sip:\(user)\(String(repeating: "u", count: 370 - user.count))@\(host):5060\(parameters)"
    }

    /// The proxies of one side, the one next to the cluster last.
    private static func proxies(_ net: Int) -> [String] {
        (1...8).map { uri("p\($0)", "10.0.\(net).\($0)", ";lr") }
    }

    private static let callerProxies = proxies(7)
    private static let calleeProxies = proxies(8)
    private static let body = String(repeating: "v", count: 50_000)

    /// What reaches the cluster from the caller's side: eight Vias and eight Record-Routes, the last proxy's on top.
    private static func request(
        _ method: String, _ branch: String, cSeq: Int, to: String, routes: [String] = []
    ) -> String {
        var text = "\(method) \(uri("bob", "10.0.9.2")) SIP/2.0\r\n"
        for number in (1...8).reversed() {
            text += "Via: SIP/2.0/UDP 10.0.7.\(number):5060;branch=\(branch)-\(number)\r\n"
        }
        text += "Via: SIP/2.0/UDP 10.0.9.1:5060;branch=\(branch)\r\n"
        for route in routes { text += "Route: <\(route)>\r\n" }
        if method == "INVITE" { for proxy in callerProxies.reversed() { text += "Record-Route: <\(proxy)>\r\n" } }
        text += "Max-Forwards: 60\r\nFrom: <\(uri("alice", "example.org"))>;tag=alice\r\nTo: \(to)\r\n"
        text += "Call-ID: large\r\n"
        text += "CSeq: \(cSeq) \(method)\r\nContact: <\(uri("alice", "10.0.9.1"))>\r\n"
        return text + "Content-Length: 0\r\n\r\n"
    }

    /// The answer as the callee's last proxy sends it: its own side's Record-Routes above ours.
    private static func answer(to invite: ClusterBench.Sent) -> String {
        var text = "SIP/2.0 200 OK\r\n"
        let lines = invite.text.split(separator: "\r\n")
        for line in lines where line.hasPrefix("Via: ") { text += "\(line)\r\n" }
        for proxy in calleeProxies.reversed() { text += "Record-Route: <\(proxy)>\r\n" }
        for line in lines where line.hasPrefix("Record-Route: ") { text += "\(line)\r\n" }
        text += "From: \(invite.header("From")!)\r\nTo: \(invite.header("To")!);tag=bob\r\nCall-ID: large\r\n"
        text += "CSeq: \(invite.header("CSeq")!)\r\nContact: <\(uri("bob", "10.0.9.2"))>\r\n"
        return text + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    }

    private func metric(_ name: String, _ bench: ClusterBench, _ index: Int) -> Int64? {
        bench.nodes[index]?.metrics(now: bench.now).first { $0.name == "understudy_\(name)" }?.value
    }

    @Test func `it passes, survives the node that handled it, and both sides get their BYE`() throws {
        var bench = ClusterBench { settings in
            settings.dialogs.defaultTimeout = .seconds(40)
        }
        bench.status = ["10.0.7.8:5060": 200, "10.0.8.1:5060": 200]
        bench.advance(milliseconds: 3_000)
        let target = "<\(Self.uri("bob", "example.org"))>"
        bench.receive(
            Self.request("INVITE", "z9hG4bKbig", cSeq: 1, to: target), from: "10.0.7.8:5060", at: 0)
        let invite = try #require(bench.sent.last { $0.text.hasPrefix("INVITE") })
        let answer = Self.answer(to: invite)
        #expect(answer.utf8.count > 58_000 && answer.utf8.count < 65_000)
        bench.receive(answer, from: "10.0.8.1:5060", at: 0)
        #expect(!bench.sent.contains { $0.text.hasPrefix("SIP/2.0 200") }, "held")
        bench.advance(milliseconds: 50)
        let passed = try #require(bench.sent.last { $0.text.hasPrefix("SIP/2.0 200") })
        #expect(passed.to == "10.0.7.8:5060" && passed.text.hasSuffix(Self.body))
        #expect(metric("commits_unacknowledged_total", bench, 0) == 0, "committed, and in time")
        #expect(metric("answers_not_kept_total", bench, 0) == 0 && metric("facts_refused_total", bench, 0) == 0)

        // Its node dies before the ACK: an heir repeats the 2xx, byte for byte.
        bench.kill(0)
        bench.advance(milliseconds: 2_000)
        let repeated = try #require(bench.sent.last { $0.text.hasPrefix("SIP/2.0 200") })
        #expect(repeated.node != 0 && repeated.text == passed.text && repeated.to == passed.to)
        let ours = try #require(invite.header("Record-Route"))
        let route = String(ours.dropFirst().dropLast())
        bench.receive(
            Self.request("ACK", "z9hG4bKack", cSeq: 1, to: target + ";tag=bob", routes: [route] + Self.calleeProxies),
            from: "10.0.7.8:5060", at: 1)
        #expect(bench.sent.last?.text.hasPrefix("ACK ") == true && bench.sent.last?.to == "10.0.8.1:5060")

        // Its time is over: one BYE to each side, by the way that its route set names.
        bench.advance(milliseconds: 45_000)
        let byes = bench.sent.filter { $0.text.hasPrefix("BYE ") }
        #expect(byes.map(\.to).sorted() == ["10.0.7.8:5060", "10.0.8.1:5060"])
        for bye in byes {
            #expect(bye.text.utf8.count > 4_096)
            let route = bye.text.split(separator: "\r\n").first { $0.hasPrefix("Route: ") }
            #expect(route?.split(separator: ",").count == 8)
        }
        for index in [1, 2] {
            #expect(metric("legs_unreachable_total", bench, index) == 0)
            #expect(metric("records_refused_full_total", bench, index) == 0)
        }
    }
}
