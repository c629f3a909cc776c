// A node without peers: it serves at once, ends what expires by itself, and reports what it holds.

import Node
import Primitives
import SIP
import Testing

@Suite("A node without cluster.peers")
struct LoneNodeTests {
    static func settings(_ change: (inout Settings) -> Void = { _ in }) -> Settings {
        var settings = Settings()
        settings.node.name = "n1"
        settings.sip.listen = [Endpoint(text: "10.0.1.1:5060")!]
        settings.dialogs.defaultTimeout = .seconds(20)
        change(&settings)
        return settings
    }

    /// A node and its clock.
    struct Bench {
        var node: Node
        var now = Instant.zero
        var out = Outbox()

        init(_ settings: Settings) {
            node = Node(settings: settings, boot: 1, seed: 7, now: .zero, unixMilliseconds: 0)
            node.advance(to: now, into: &out)
            out.removeAll()
        }

        mutating func receive(_ text: String, from: String) -> [String] {
            let bytes = Array(text.utf8)
            node.receive(
                datagram: RawSpan(_elements: bytes.span), from: Endpoint(text: from)!, on: ListenerID(rawValue: 0),
                ageMilliseconds: 0, now: now, into: &out)
            node.advance(to: now, into: &out)
            return drain()
        }

        /// What comes of it stays in `out`.
        mutating func receiveKeeping(_ text: String, from: String) {
            let bytes = Array(text.utf8)
            node.receive(
                datagram: RawSpan(_elements: bytes.span), from: Endpoint(text: from)!, on: ListenerID(rawValue: 0),
                ageMilliseconds: 0, now: now, into: &out)
        }

        mutating func advance(milliseconds: Int64) -> [String] {
            let end = now.advanced(milliseconds: milliseconds)
            var sent: [String] = []
            var turns = 0
            while node.nextDeadline <= end, turns < 100_000 {
                now = max(now, node.nextDeadline)
                node.advance(to: now, into: &out)
                sent += drain()
                turns += 1
            }
            now = end
            return sent
        }

        mutating func drain() -> [String] {
            defer { out.removeAll() }
            return out.datagrams.map { String(decoding: out.arena[$0.range.range], as: UTF8.self) }
        }
    }

    private func message(
        _ start: String, _ cSeq: String, to: String = "<sip:bob@10.0.0.2>", via: String, extra: String = ""
    ) -> String {
        "\(start)\r\n\(via)From: <sip:alice@10.0.0.1>;tag=a\r\nTo: \(to)\r\nCall-ID: c\r\nCSeq: \(cSeq)\r\n"
            + "Max-Forwards: 70\r\n\(extra)Content-Length: 0\r\n\r\n"
    }

    @Test func `an expired dialog gets one BYE to each side at its deadline, and no live record is left`() {
        var bench = Bench(Self.settings())
        let contact = "Contact: <sip:alice@10.0.0.1:5060>\r\n"
        let sent = bench.receive(
            message(
                "INVITE sip:bob@10.0.0.2:5060 SIP/2.0", "1 INVITE",
                via: "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n",
                extra: contact), from: "10.0.0.1:5060")
        let invite = sent.first { $0.hasPrefix("INVITE") }!
        let lines = invite.split(separator: "\r\n").map(String.init)
        let vias =
            lines.filter { $0.hasPrefix("Via: ") || $0.hasPrefix("Record-Route: ") }.joined(separator: "\r\n") + "\r\n"
        _ = bench.receive(
            message(
                "SIP/2.0 200 OK", "1 INVITE", to: "<sip:bob@10.0.0.2>;tag=b", via: vias,
                extra: "Contact: <sip:bob@10.0.0.2:5060>\r\n"), from: "10.0.0.2:5060")
        #expect(bench.node.status(now: bench.now).dialogs.confirmedNotAcknowledged == 1)
        let route = lines.first { $0.hasPrefix("Record-Route: ") }!.replacing("Record-Route", with: "Route")
        _ = bench.receive(
            message(
                "ACK sip:bob@10.0.0.2:5060 SIP/2.0", "1 ACK", to: "<sip:bob@10.0.0.2>;tag=b",
                via: "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK2\r\n\(route)\r\n"), from: "10.0.0.1:5060")
        let status = bench.node.status(now: bench.now)
        #expect(status.dialogs.confirmed == 1 && status.dialogs.held == 1 && status.dialogs.acting == 1)
        #expect(status.state == "up" && status.quorum == "held" && status.view == ["n1"])
        #expect(bench.advance(milliseconds: 19_900).isEmpty)
        let byes = bench.advance(milliseconds: 400).filter { $0.hasPrefix("BYE") }
        #expect(byes.count == 2)
        for bye in byes {
            let via = bye.split(separator: "\r\n").first { $0.hasPrefix("Via: ") }!
            let from = bye.hasPrefix("BYE sip:alice") ? "10.0.0.1:5060" : "10.0.0.2:5060"
            _ = bench.receive(message("SIP/2.0 200 OK", "16777217 BYE", via: "\(via)\r\n"), from: from)
        }
        let after = bench.node.status(now: bench.now).dialogs
        #expect(after.held == 0 && after.deleted == 1)
    }

    @Test func `OPTIONS to the node says 200 while it is up and 503 while it drains, S2-14`() {
        var bench = Bench(Self.settings())
        let options = message(
            "OPTIONS sip:10.0.1.1:5060 SIP/2.0", "1 OPTIONS", via: "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKo1\r\n"
        )
        #expect(bench.receive(options, from: "10.0.0.9:5060").first?.hasPrefix("SIP/2.0 200") == true)
        _ = bench.node.drain(true, now: bench.now, into: &bench.out)
        bench.out.removeAll()
        let again = options.replacing("z9hG4bKo1", with: "z9hG4bKo2")
        #expect(bench.receive(again, from: "10.0.0.9:5060").first?.hasPrefix("SIP/2.0 503") == true)
    }

    @Test func `routes of the settings decide, and status shows their targets`() throws {
        var problems: [SettingProblem] = []
        let set = try #require(
            RouteSet.read(
                ["name": ["gw"], "to": ["sip:10.0.0.7:5080", "sip:carol@10.0.0.8"], "policy": ["round-robin"]],
                number: 1, problems: &problems))
        let shared = try #require(
            Route.read(
                ["match": ["sip:.*@10.0.0.2"], "method": ["MESSAGE"], "set": ["gw"]], number: 1, problems: &problems))
        let own = try #require(
            Route.read(
                ["header": ["X-Class: gold|silver"], "to": ["sip:10.0.0.9"]], number: 2, problems: &problems))
        var bench = Bench(
            Self.settings { settings in
                settings.sets = [set]
                settings.routes = [shared, own]
            })
        #expect(problems == [] && bench.node.settings.problems() == [])
        func send(_ number: Int, _ method: String, _ extra: String = "") -> String {
            let via = "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKr\(number)\r\n"
            let text = message("\(method) sip:bob@10.0.0.2:5060 SIP/2.0", "\(number) \(method)", via: via, extra: extra)
            bench.receiveKeeping(text, from: "10.0.0.1:5060")
            defer { bench.out.removeAll() }
            return bench.out.datagrams.last?.to.text ?? ""
        }
        #expect(send(1, "MESSAGE") == "10.0.0.7:5080")
        #expect(send(2, "MESSAGE") == "10.0.0.8:5060", "the next one of the set")
        #expect(send(3, "SUBSCRIBE") == "10.0.0.2:5060", "no route: by its Request-URI")
        #expect(send(4, "SUBSCRIBE", "X-Class: gold\r\n") == "10.0.0.9:5060")
        #expect(send(5, "SUBSCRIBE", "X-Class: golden\r\n") == "10.0.0.2:5060", "a value matches as a whole")
        let targets = bench.node.status(now: bench.now).targets
        #expect(targets.map(\.set) == ["gw", "gw", "routes[2]"])
        #expect(targets.map(\.state) == ["up", "up", "up"])
        #expect(targets[1].uri == "sip:carol@10.0.0.8" && targets[1].policy == "round-robin")
    }
}
