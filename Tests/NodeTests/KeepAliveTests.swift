// Keep-alives over the whole node: the settings that switch them on, who asks while nodes die and return, and the way
// from a 481 to the BYEs and the tombstones.

import Node
import Primitives
import SIP
import Testing

@Suite("Keep-alives in a cluster: asked by the actor, ended by all, gone on with by the heir")
struct KeepAliveTests {
    private static func bench(_ change: @escaping (inout Settings) -> Void = { _ in }) -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.dialogs.keepAliveTimer = .seconds(1)
            settings.dialogs.keepAliveInterval = .seconds(30)
            settings.dialogs.keepsCallerAlive = true
            settings.dialogs.keepsCalleeAlive = true
            change(&settings)
        }
        bench.advance(milliseconds: 2_000)
        for node in bench.nodes { #expect(node?.status(now: bench.now).state == "up") }
        bench.call(through: 0)
        return bench
    }

    /// Keep-alives sent between two moments: by which node, to whom.
    private static func asked(_ bench: ClusterBench, since: Instant) -> [String] {
        bench.sent.filter { $0.at >= since && $0.text.hasPrefix("OPTIONS") }.map { "n\($0.node + 1) → \($0.to)" }
    }

    private static func byes(_ bench: ClusterBench) -> [ClusterBench.Sent] {
        bench.sent.filter { $0.text.hasPrefix("BYE") }
    }

    private static func metric(_ bench: ClusterBench, _ index: Int, _ name: String) -> Int64? {
        bench.nodes[index]?.metrics(now: bench.now).first { $0.name == "understudy_\(name)" }?.value
    }

    private static let ofHome = ["n1 → 10.0.9.1:5060", "n1 → 10.0.9.2:5060"]

    @Test func `home asks both sides once an interval, the others none, and all of them watch`() {
        var bench = Self.bench()
        for _ in 1...3 {
            let since = bench.now
            bench.advance(milliseconds: 30_000)
            #expect(Self.asked(bench, since: since) == Self.ofHome)
        }
        #expect(Self.byes(bench).isEmpty)
        #expect((0..<3).map { Self.metric(bench, $0, "keepalives_watched") } == [1, 1, 1])
        #expect((0..<3).map { Self.metric(bench, $0, "keepalives_sent_total") } == [6, 0, 0])
        #expect(bench.nodes.allSatisfy { $0?.status(now: bench.now).dialogs.confirmed == 1 })
    }

    @Test func `with ka_timer 0 nothing is watched or sent`() {
        var bench = Self.bench { $0.dialogs.keepAliveTimer = .zero }
        bench.advance(milliseconds: 61_000)
        #expect(Self.asked(bench, since: .zero) == [])
        #expect(Self.metric(bench, 0, "keepalives_watched") == 0)
    }

    @Test(arguments: [ClusterBench.caller, ClusterBench.callee])
    func `a phone that lost the call gets its dialog ended within an interval: one BYE a side, tombstones everywhere`(
        lost: String
    ) {
        var bench = Self.bench()
        bench.status[lost] = 481
        let since = bench.now
        bench.advance(milliseconds: 31_500)
        #expect(Self.asked(bench, since: since).count == 2)
        #expect(Self.byes(bench).map(\.to) == [ClusterBench.caller, ClusterBench.callee])
        #expect(Self.byes(bench).allSatisfy { $0.header("Reason") == "SIP ;cause=408 ;text=\"Keep-alive failed\"" })
        #expect(bench.nodes.allSatisfy { $0?.status(now: bench.now).dialogs.deleted == 1 })
        #expect(Self.metric(bench, 0, "dialogs_ended_by_keepalive_total") == 1)
        #expect((0..<3).map { Self.metric(bench, $0, "keepalives_watched") } == [0, 0, 0])
    }

    @Test func `a phone that has gone is ended after an interval and 64·T1, and the other side is told`() {
        var bench = Self.bench()
        bench.status[ClusterBench.callee] = 0
        let since = bench.now
        bench.advance(milliseconds: 63_000)
        let byes = Self.byes(bench)
        #expect(Set(byes.map(\.to)) == [ClusterBench.caller, ClusterBench.callee])
        let first = byes.first { $0.to == ClusterBench.caller }?.at ?? .zero
        #expect(first - since > .seconds(32) && first - since < .milliseconds(62_500))
    }

    @Test func `after a node's death its heir goes on, alone; when it returns, it asks again and the heir no more`() {
        var bench = Self.bench()
        bench.advance(milliseconds: 30_000)
        bench.kill(0)
        // The dead node's moments are the heir's: at most one interval from the last question to the next.
        let last = bench.sent.last { $0.text.hasPrefix("OPTIONS") }!.at
        bench.advance(milliseconds: 30_000)
        let taken = Self.asked(bench, since: last.advanced(milliseconds: 1_000))
        #expect(Set(taken.map { $0.prefix(2) }).count == 1 && !taken[0].hasPrefix("n1"), "\(taken)")
        #expect(taken.map { $0.suffix(13) } == [ClusterBench.caller.suffix(13), ClusterBench.callee.suffix(13)])
        let next = bench.sent.first { $0.text.hasPrefix("OPTIONS") && $0.at > last }!.at
        #expect(next - last < .milliseconds(30_100) && next - last > .milliseconds(29_900))

        bench.start(0)
        bench.advance(milliseconds: 30_000)
        let since = bench.now
        bench.advance(milliseconds: 60_000)
        #expect(Self.asked(bench, since: since) == Self.ofHome + Self.ofHome)

        // And what the heir finds, it ends.
        bench.kill(0)
        bench.status[ClusterBench.caller] = 481
        bench.advance(milliseconds: 32_000)
        #expect(Self.byes(bench).map(\.to) == [ClusterBench.caller, ClusterBench.callee])
        #expect(Self.byes(bench).allSatisfy { $0.node != 0 })
    }

    @Test
    func `a node without quorum asks nobody and ends nobody's call, also when it is lost while a phone is silent`() {
        var bench = Self.bench()
        bench.status = [:]
        for _ in 0..<310 where Self.asked(bench, since: .zero).isEmpty { bench.advance(milliseconds: 100) }
        bench.kill(1)
        bench.kill(2)
        bench.advance(milliseconds: 2_000)
        let since = bench.now
        bench.advance(milliseconds: 90_000)
        #expect(Set(bench.sent.filter { $0.at >= since }.map(\.text)).count == 2, "timer E of the two sent before")
        #expect(Self.metric(bench, 0, "keepalives_sent_total") == 2)
        #expect(Self.metric(bench, 0, "keepalives_failed_total") == 2)
        #expect(Self.metric(bench, 0, "dialogs_ended_by_keepalive_total") == 0)
        #expect(Self.byes(bench).isEmpty)
        #expect(bench.nodes[0]?.status(now: bench.now).dialogs.confirmed == 1)
    }
}
