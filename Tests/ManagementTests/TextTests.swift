// What commands print for people: tables that fit, times, one dialog in full, the state of a node.

import Management
import Node
import Testing

@Suite("Text for terminals")
struct TextTests {
    @Test(arguments: [
        (0.0, "0 s", "0s"), (59.9, "59 s", "59s"), (61, "1 m 01 s", "1m01s"), (7_200, "2 h 00 m", "2h00m"),
        (90_000, "1 d 01 h", "1d01h"), (-75, "-1 m 15 s", "-1m15s"), (-0.5, "0 s", "0s"),
    ])
    func `a span has two units at most`(seconds: Double, text: String, column: String) {
        #expect(TimeText.span(seconds: seconds) == text)
        #expect(TimeText.column(seconds: seconds) == column)
    }

    @Test(arguments: [
        (#""Bob" <sip:bob@example.org:5062;x=y>;tag=1"#, "bob@example.org:5062"), ("sip:a@h;tag=f", "a@h"),
        ("<tel:+4912>;tag=2", "+4912"), ("<sips:[2001:db8::1]>", "[2001:db8::1]"), ("", ""),
        ("<sip:a\u{1B}[2Jb@h>", "a?[2Jb@h"),
    ])
    func `a party is its address, and nothing that a terminal acts on`(value: String, text: String) {
        #expect(DialogText.party(value) == text)
    }

    @Test func `an age is read with its unit`() {
        #expect(AgeText.seconds("90") == 90 && AgeText.seconds("15m") == 900 && AgeText.seconds("2H") == 7_200)
        for text in ["", "-1", "m", "1 w", "1w", "99999999999999999999"] { #expect(AgeText.seconds(text) == nil) }
    }

    func list(_ numbers: [Int], order: DialogList.Order = .age, reversed: Bool = false, limit: Int = .max) -> DialogList
    {
        var list = DialogList(order: order, isReversed: reversed, limit: limit)
        list.add(
            numbers.map { number in
                var dialog = DialogReport.confirmed(number)
                dialog.ageMilliseconds = Int64(number) * 1_000
                dialog.from = "<sip:\(String(repeating: "a", count: 20))\(number)@one.example.org>;tag=f"
                dialog.callID = String(repeating: "c", count: 40)
                return dialog.summary
            })
        return list
    }

    @Test func `a list fits 80 columns, with From, To and age`() {
        var dialogs = list(Array(1...30))
        let text = DialogList.table(dialogs.rows(), width: 80)
        let lines = text.split(separator: "\n")
        #expect(lines.count == 31 && lines.allSatisfy { $0.count <= 80 }, "\(text)")
        #expect(lines[0].split(separator: " ") == ["DID", "STATE", "AGE", "LEFT", "NODE", "FROM", "TO"])
        #expect(lines[1].hasPrefix("0000000000000001  confirmed   1s   17s  n1"))
        #expect(lines[1].contains("…") && lines[1].hasSuffix("b@h"))
        #expect(DialogList.table(dialogs.rows(), width: .max).contains(String(repeating: "c", count: 40)))
    }

    @Test func `order and limit are kept, and the rest is counted`() {
        var newest = list([5, 3, 9, 1], limit: 2)
        #expect(newest.rows().map { Cell.text($0["age_s"]) } == ["1.0", "3.0"])
        #expect(newest.footer(shown: 2, held: 2_000) == "2 of 4 that match, of 2000 dialogs")
        #expect(newest.footer(shown: 2, held: 4) == "2 of 4 dialogs")
        var oldest = list([5, 3, 9, 1], reversed: true, limit: 2)
        #expect(oldest.rows().map { Cell.text($0["age_s"]) } == ["9.0", "5.0"])
        #expect(list([]).footer(shown: 0, held: 7) == "none of 7 dialogs matches")
        #expect(list([]).footer(shown: 0, held: 0) == "no dialogs")
        var many = DialogList(order: .age, isReversed: false, limit: 1)
        for number in (1...9_000).reversed() { many.add([DialogReport.confirmed(number).summary]) }
        #expect(many.matched == 9_000 && many.rows().count == 1)
    }

    @Test func `one dialog is told in moments and spans, not in milliseconds`() {
        var dialog = DialogReport.confirmed(1)
        dialog.deadlineMilliseconds = 7_200_000
        let text = DialogText.fields(of: dialog.json, unixSeconds: 1_800_000_000)
        #expect(!text.contains("_ms") && !text.contains("_s "))
        #expect(text.contains("began") && text.contains(", 2 s ago"))
        #expect(text.contains(", in 17 s") && text.contains("lifetime") && text.contains("20 s"))
        #expect(text.contains(TimeText.moment(unixSeconds: 1_800_000_017)))
    }

    @Test func `a joining node tells whom it waits for, and a peer that was never heard is called so`() {
        var status = StatusReport()
        status.node = "n1"
        status.cluster = "demo"
        status.state = "joining"
        status.waiting = "waits for 12 s for 192.0.2.12:7400, not heard; serves without in 18 s"
        status.notReadyReason = "joining: \(status.waiting)"
        status.quorum = "lost"
        status.version = "0.2.0"
        var peer = MemberReport()
        peer.state = "absent"
        peer.bus = "192.0.2.12:7400"
        peer.isListed = true
        var other = MemberReport()
        other.name = "n3"
        other.state = "down"
        other.silentMilliseconds = 61_000
        status.members = [peer, other]
        status.strangers = [StrangerReport(name: "x1", silentMilliseconds: 1_000)]
        let text = StatusText.text(status.json, width: 80)
        #expect(
            text.contains("n1 of demo, joining: waits for 12 s for 192.0.2.12:7400, not heard; serves without in 18 s"))
        #expect(text.contains("never heard") && !text.contains("absent") && !text.contains("(never heard)"))
        #expect(text.contains("down, silent 1m01s, not in cluster.peers"))
        #expect(text.contains("x1 sends frames with another cluster.name or cluster key, last 1 s ago"))
        #expect(text.contains("version   0.2.0") && text.contains("view      none yet"))
    }
}

@Suite("The URL of a node's management")
struct ManagementURLTests {
    @Test(arguments: [
        ("127.0.0.1", "http://127.0.0.1:8080"), ("127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://h.example", "http://h.example:8080"), ("https://h.example/", "https://h.example:443"),
        ("HTTP://[::1]:9", "http://[::1]:9"), ("::1", "http://[::1]:8080"), ("localhost", "http://localhost:8080"),
    ])
    func `a port that was forgotten is 8080`(written: String, text: String) {
        #expect(ManagementURL(written)?.text == text)
    }

    @Test(arguments: ["", "ftp://h", "http://", "h:0", "h:70000", "http://h/rpc", "h:80:80", "[::1", "a b", "-h"])
    func `what is no such URL is refused`(written: String) {
        #expect(ManagementURL(written) == nil)
    }

    @Test func `members are told management_advertise, or the bus address for a wildcard`() {
        func told(_ more: [String]) -> String {
            let loaded = load(
                ["node.name=n1", "sip.listen=udp://127.0.0.11:5060", "cluster.bus=127.0.0.11:7400"] + more)
            #expect(loaded.problems == [])
            return loaded.settings.management.told(bus: loaded.settings.cluster.bus)
        }
        #expect(told([]) == "")
        #expect(told(["management.http=127.0.0.1:8080"]) == "http://127.0.0.1:8080")
        var secure = load(["management.http=127.0.0.1:8080"]).settings.management
        secure.certificateFile = "/etc/understudy/management.pem"
        #expect(secure.told(bus: nil) == "https://127.0.0.1:8080")
        let advertise = ["management.http=127.0.0.1:8080", "management.advertise=https://n1.example.org"]
        #expect(told(advertise) == "https://n1.example.org:443")
        #expect(load(["management.advertise=ftp://h"]).problems.contains { $0.key == "management.advertise" })
        #expect(
            load(["management.advertise=http://h"]).problems.contains { $0.message.contains("needs management.http") })
    }
}
