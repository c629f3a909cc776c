// Max-Breadth: what leaves has it, a fork deals it out, and what does not fit waits for its turn.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Max-Breadth, RFC 5393 §5.3.3")
struct MaxBreadthTests {
    private static func request(
        _ breadth: String?, _ method: String = "INVITE", uri: String = "sip:bob@10.0.0.2:5060"
    ) -> String {
        Call.request(method, uri: uri, extra: breadth.map { "Max-Breadth: \($0)\r\n" } ?? "")
    }

    private static func breadths(_ sent: [Sent]) -> [[String]] { sent.map { $0.headers("Max-Breadth") } }

    @Test(arguments: [(nil, "60"), ("1", "1"), ("7", "7"), ("60", "60"), ("500", "500")] as [(String?, String)])
    func `a request with one target passes on what it has, and 60 if it has nothing`(breadth: String?, leaves: String) {
        for method in ["INVITE", "MESSAGE"] {
            var bench = ProxyBench()
            let sent = bench.receive(Self.request(breadth, method), from: ProxyBench.caller)
            #expect(Self.breadths([sent[0]]) == [[leaves]] && sent[0].to == ProxyBench.callee)
        }
    }

    @Test func `requests within a dialog and ACK have it too`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let route = invite.header("Record-Route")!
        for method in ["ACK", "BYE"] {
            let sent = bench.receive(
                Call.request(
                    method, branch: "z9hG4bK\(method)", cSeq: method == "ACK" ? 1 : 2, toTag: "bob", route: [route],
                    contact: nil), from: ProxyBench.caller)
            #expect(Self.breadths(sent) == [["60"]])
        }
    }

    @Test(
        arguments: [
            (nil, 3, [20, 20, 20]), ("61", 3, [21, 20, 20]), ("8", 8, [1, 1, 1, 1, 1, 1, 1, 1]), ("9", 2, [5, 4]),
            ("60", 1, [60]), ("2", 3, [1, 1]), ("1", 3, [1]), (nil, 10, [8, 8, 8, 8, 7, 7, 7, 7]),
        ] as [(String?, Int, [Int])])
    func `branches at once share it, and no more begin than there is`(breadth: String?, phones: Int, shares: [Int]) {
        var bench = Fork.bench(phones)
        let invites = Fork.invites(bench.receive(Self.request(breadth), from: ProxyBench.caller))
        #expect(invites.map { $0.headers("Max-Breadth") } == shares.map { ["\($0)"] })
    }

    @Test func `who found nothing left is tried when another has failed, with what that one had`() {
        var bench = Fork.bench(4)
        let first = Fork.invites(bench.receive(Self.request("2"), from: ProxyBench.caller))
        #expect(first.map(\.to) == [Fork.phone(1), Fork.phone(2)])
        let third = Fork.invites(Fork.answer(486, first[1], tag: "t2", &bench))
        #expect(third.map(\.to) == [Fork.phone(3)] && Self.breadths(third) == [["1"]])
        let fourth = Fork.invites(Fork.answer(486, first[0], tag: "t1", &bench))
        #expect(fourth.map(\.to) == [Fork.phone(4)])
        #expect(Fork.upstream(Fork.answer(486, third[0], tag: "t3", &bench)) == [])
        #expect(Fork.upstream(Fork.answer(404, fourth[0], tag: "t4", &bench)) == ["486"], "the best of all four")
    }

    @Test func `after a 2xx what was waiting begins no more`() {
        var bench = Fork.bench(3)
        let first = Fork.invites(bench.receive(Self.request("1"), from: ProxyBench.caller))
        let sent = Fork.answer(200, first[0], tag: "t1", &bench)
        #expect(Fork.upstream(sent) == ["200"] && Fork.invites(sent).isEmpty)
    }

    @Test func `one after another, each has all of it`() {
        var bench = Fork.bench(2, .failover)
        let first = Fork.invites(bench.receive(Self.request("5"), from: ProxyBench.caller))
        let second = Fork.invites(Fork.answer(486, first[0], tag: "t1", &bench))
        #expect(Self.breadths(first + second) == [["5"], ["5"]])
    }

    @Test func `0 is answered 440, and what cannot be read 400; nothing is sent on, and no dialog begins`() {
        for (value, status) in [("0", "440 Max-Breadth Exceeded"), ("many", "400 Bad Request")] {
            for method in ["INVITE", "MESSAGE"] {
                var bench = Fork.bench(2)
                let sent = bench.receive(Self.request(value, method), from: ProxyBench.caller)
                #expect(sent.map(\.firstLine) == ["SIP/2.0 \(status)"])
                #expect(bench.dialogs.count == 0 && bench.proxy.contextCount == 0)
            }
        }
        var bench = ProxyBench()
        let ours = bench.receive(Self.request("0", "OPTIONS", uri: "sip:10.0.1.1:5060"), from: ProxyBench.caller)
        #expect(ours.map(\.firstLine) == ["SIP/2.0 200 OK"], "it is not sent on anyhow")
    }
}
