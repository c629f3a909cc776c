// A call as several nodes saw it, side by side.

import Management
import Testing

@Suite("A ladder of one call")
struct CallLadderTests {
    private static let invite = "INVITE sip:bob@h SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"
    private static let busy = "SIP/2.0 486 Busy <Here>\r\nCSeq: 1 INVITE\r\n\r\n"

    private static func report(_ node: String, _ address: String, _ events: [(Int64, String, String, String)])
        -> JSONValue
    {
        [
            "node": .string(node), "addresses": .texts([address]), "on": true,
            "dialogs": .array(
                node == "n2" ? [["did": "61cb", "home": "n1", "actor": "n2", "state": "deleted"]] : []),
            "events": .array(
                events.enumerated().map { number, event in
                    [
                        "at_ms": .count(event.0), "number": .count(number), "kind": .string(event.1),
                        "peer": .string(event.2), "text": .string(event.3),
                    ]
                }),
        ]
    }

    private static func ladder() -> CallLadder {
        let (caller, callee) = ("10.0.0.1:5060", "10.0.0.9:5060")
        return CallLadder([
            report(
                "n1", "10.0.1.1:5060",
                [
                    (1_000, "received", caller, invite), (1_001, "sent", "10.0.1.2:5060", invite),
                    (1_020, "received", "10.0.1.2:5060", busy), (1_021, "sent", caller, busy),
                    (1_600, "sent", caller, busy), (900_000, "members", "", "finds n3 dead"),
                ]),
            report(
                "n2", "10.0.1.2:5060",
                [
                    // Its clock is 500 ms behind.
                    (502, "received", "10.0.1.1:5060", invite), (503, "sent", callee, invite),
                    (504, "deed", "", "publishes the dialog"), (510, "received", callee, busy),
                    (511, "sent", "10.0.1.1:5060", busy),
                ]),
        ])
    }

    @Test func `a ladder shows a call over two nodes once, with what was held and committed`() {
        let ladder = Self.ladder()
        #expect(ladder.parties == ["10.0.0.1:5060", "n1", "n2", "10.0.0.9:5060"])
        let text = ladder.text(messages: false) { String($0) }.split(separator: "\n").map(String.init)
        func row(_ part: String) -> [String] { text.filter { $0.contains(part) } }
        #expect(row("INVITE").count == 3 && row("486").count == 5)
        #expect(row(">|").count == 3 && row("|<").count == 4)
        #expect(row("==").count == 1 && row("* publishes the dialog").count == 1)
        #expect(row("finds n3 dead").isEmpty)
        #expect(text.last { $0.hasPrefix("failed") }?.contains("486 Busy <Here>, said first by 10.0.0.9:5060") == true)
        #expect(text.contains("dialog 61cb: deleted, home n1, now n2 acts for it"))
        // Nothing arrives before it was sent.
        #expect(ladder.rows.map(\.at) == ladder.rows.map(\.at).sorted())
        #expect(text.allSatisfy { $0.count <= 100 })
        #expect(ladder.text(messages: true) { String($0) }.contains("\n    CSeq: 1 INVITE\n"))
    }

    @Test func `as SVG it is well-formed and shows nothing that a message could smuggle in`() {
        var ladder = Self.ladder()
        ladder.addSilent(["n3 could not be asked: <b>&"])
        let svg = ladder.svg(title: "<script>&\"\u{1}") { String($0) }
        #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n") && !svg.contains("<script>"))
        #expect(svg.contains("486 Busy &lt;Here&gt;") && svg.contains("&lt;b&gt;&amp;") && !svg.contains("\u{1}"))
        for tag in ["text", "g", "title", "defs", "marker"] {
            #expect(svg.ranges(of: "<\(tag)").count == svg.ranges(of: "</\(tag)>").count, "\(tag)")
        }
    }

    @Test func `a call that nobody knows is empty, and one that keeps nothing says so`() {
        let ladder = CallLadder([["node": "n1", "on": false, "events": []]])
        #expect(ladder.isEmpty && ladder.remarks == ["n1 keeps no messages: trace.memory-mb is 0 there"])
    }

    @Test func `rates are those of two looks, and a node that restarted begins anew`() {
        func look(_ node: String, _ time: Int64, _ tried: Int64, _ answered: Int64) -> JSONValue {
            [
                "node": .string(node), "state": "up", "uptime_ms": .count(time), "calls_tried": .count(tried),
                "calls_answered": .count(answered), "requests": .count(tried * 4), "cpu_us": .count(time * 250),
                "answers": .array([0, 1, 0, 2, 0, 0].map { .count($0 * tried) }), "held": 7, "acting": 3,
            ]
        }
        let text = TopText.text(
            [look("n1", 12_000, 150, 100), look("n2", 500, 3, 3)],
            before: [look("n1", 10_000, 50, 50), look("n2", 9_000, 9, 9)],
            silent: [("n3", "n1 does not hear n3")], width: 120)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines[0].joined(separator: " ") == "2 nodes, 6 dialogs, 50.0 calls/s")
        #expect(Array(lines[2].prefix(6)) == ["n1", "up", "50.0", "50%", "200", "50.0"])
        #expect(lines[2].last == "25%" && Array(lines[3].prefix(4)) == ["n2", "up", "-", "-"])
        #expect(text.hasSuffix("n3: n1 does not hear n3"))
    }

    @Test func `a terminal of 80 columns has room for a line of a busy node`() {
        func look(_ time: Int64) -> JSONValue {
            [
                "node": "understudy-0", "state": "up", "uptime_ms": .count(time), "calls_tried": .count(time / 10),
                "calls_answered": .count(time / 10), "requests": .count(time / 2), "cpu_us": .count(time * 250),
                "answers": .array([0, 1, 0, 2, 1, 0].map { .count($0 * time / 10) }), "held": 9_999, "acting": 3_333,
                "ringing": 120, "transactions": 240, "lag_ms": 12,
            ]
        }
        let text = TopText.text([look(4_000)], before: [look(2_000)], silent: [], width: 80)
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(text)")
    }
}
