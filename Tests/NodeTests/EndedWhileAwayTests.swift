// Nothing that has ended comes back (number 6): a node that slept still has the dialog, and who saw its end may be gone
// by the time it wakes. Three nodes on a bus, and the phones of a call.

import Node
import Testing

@Suite("A dialog that ended while a node slept")
struct EndedWhileAwayTests {
    private static func states(_ bench: ClusterBench, of index: Int) -> [String] {
        var query = DialogQuery()
        query.states = ["unconfirmed", "early", "confirmed_na", "confirmed", "deleted"]
        return bench.nodes[index]?.dialogs(query, now: bench.now).dialogs.map(\.state) ?? []
    }

    @Test func `does not come back by way of one that joined after its end`() {
        var bench = ClusterBench { _ in }
        bench.advance(milliseconds: 3_000)
        bench.call(through: 0)
        let invite = bench.sent.first { $0.text.hasPrefix("INVITE ") }
        bench.pause(2)
        bench.advance(milliseconds: 2_000)
        bench.receive(
            ClusterBench.request(
                "BYE", "z9hG4bKb1", "<sip:bob@10.0.9.2>;tag=bob", cSeq: 2,
                extra: "Route: \(invite?.header("Record-Route") ?? "")\r\n"),
            from: ClusterBench.caller, at: 0)
        bench.advance(milliseconds: 1_000)
        #expect([0, 1].map { Self.states(bench, of: $0) } == [["deleted"], ["deleted"]])
        bench.kill(1)
        bench.advance(milliseconds: 2_000)
        bench.start(1)
        bench.advance(milliseconds: 5_000)
        #expect(Self.states(bench, of: 1) == ["deleted"], "it has heard of what it never had")
        bench.kill(0)
        bench.advance(milliseconds: 2_000)
        bench.resume(2)
        bench.advance(milliseconds: 10_000)
        #expect([1, 2].map { Self.states(bench, of: $0) } == [["deleted"], ["deleted"]])
    }
}
