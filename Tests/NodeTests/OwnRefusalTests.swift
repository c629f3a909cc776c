// A refusal within a dialog on one node, its ACK on another: what the record carries over the bus, and past a death.

import Node
import Primitives
import Testing

@Suite("Refusals within a dialog, over the cluster")
struct OwnRefusalClusterTests {
    private static func within(_ method: String, _ bench: ClusterBench) -> String {
        let route = bench.sent.first { $0.text.hasPrefix("INVITE") }!.header("Record-Route")!
        return "\(method) sip:bob@10.0.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP \(ClusterBench.caller);branch=z9hG4bKr1\r\n"
            + "Max-Forwards: \(method == "ACK" ? 70 : 0)\r\nRoute: \(route)\r\nFrom: <sip:alice@10.0.9.1>;tag=alice\r\n"
            + "To: <sip:bob@10.0.9.2>;tag=bob\r\nCall-ID: c\r\nCSeq: 2 \(method)\r\nContent-Length: 0\r\n\r\n"
    }

    @Test(arguments: [false, true])
    func `another node ends its ACK, also when the one that refused is dead`(dies: Bool) {
        var bench = ClusterBench { _ in }
        bench.advance(milliseconds: 2_000)
        bench.call(through: 0)
        bench.receive(Self.within("INVITE", bench), from: ClusterBench.caller, at: 0)
        #expect(bench.sent.last?.text.hasPrefix("SIP/2.0 483") == true)
        bench.advance(milliseconds: 50)
        if dies { bench.kill(0) }
        let count = bench.sent.count
        bench.receive(Self.within("ACK", bench), from: ClusterBench.caller, at: 1)
        #expect(bench.sent.count == count, "nobody hears of it")
    }
}
