// What programs are told of dialogs (`DialogMoment`), and events that count as told when somebody has them
// (`Node.confirm`).

import Node
import Primitives
import Proxy
import Testing

@Suite("Moments of dialogs")
struct DialogMomentTests {
    private static func bench(_ watched: DialogMoments = .all) -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.dialogs.defaultTimeout = .seconds(20)
            settings.dialogs.tellsEvents = true
        }
        for index in 0..<3 { bench.nodes[index]?.watchedMoments = watched }
        bench.advance(milliseconds: 2_000)
        return bench
    }

    private static func kinds(_ bench: ClusterBench, of node: Int) -> [DialogMomentKind] {
        bench.moments.filter { $0.node == node }.map(\.moment.kind)
    }

    /// A request within the call, by the caller, through a node, and the callee's answer.
    private static func within(_ method: String, cSeq: Int, through node: Int, _ bench: inout ClusterBench) {
        let to = "<sip:bob@10.0.9.2>;tag=bob"
        bench.receive(
            ClusterBench.request(method, "z9hG4bKw\(cSeq)", to, cSeq: cSeq, extra: bench.route),
            from: ClusterBench.caller, at: node)
        guard let request = bench.sent.last(where: { $0.text.hasPrefix("\(method) ") && $0.to == ClusterBench.callee })
        else { return }
        if method != "BYE" {  // That is answered by the bench itself.
            bench.receive(ClusterBench.answer(200, to: request), from: ClusterBench.callee, at: node)
        }
        bench.advance(milliseconds: 300)
    }

    @Test func `each message is told where it passes, with its direction, and nowhere else`() throws {
        var bench = Self.bench()
        bench.call(through: 0)
        #expect(Self.kinds(bench, of: 0) == [.created, .responseForwarded, .confirmed])
        #expect(Self.kinds(bench, of: 1) == [.loaded] && Self.kinds(bench, of: 2) == [.loaded])
        Self.within("UPDATE", cSeq: 2, through: 1, &bench)
        #expect(Self.kinds(bench, of: 1) == [.loaded, .requestWithin, .responseWithin])
        Self.within("BYE", cSeq: 3, through: 2, &bench)
        #expect(Self.kinds(bench, of: 2) == [.loaded, .requestWithin, .responseWithin, .terminatedConfirmed])
        #expect(Self.kinds(bench, of: 0).count == 3)
        let passed = bench.moments.map(\.moment).filter { $0.kind == .requestWithin || $0.kind == .responseWithin }
        #expect(passed.map(\.direction) == [.downstream, .upstream, .downstream, .upstream])
        #expect(passed.allSatisfy { !$0.request.isEmpty && $0.reply.isEmpty == ($0.kind == .requestWithin) })
        let did = try #require(bench.moments.first?.moment.did)
        #expect(bench.moments.allSatisfy { $0.moment.did == did })
    }

    @Test func `a ringing call tells that once, and a tombstone that is forgotten tells that on each node`() {
        var bench = Self.bench(DialogMoments([.early, .destroyed]))
        bench.ring(through: 1)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        for _ in 0..<2 {
            bench.receive(
                ClusterBench.answer(180, to: invite, toTag: ";tag=bob"), from: ClusterBench.callee, at: 1)
        }
        bench.answer(486, through: 1)
        #expect(bench.moments.map(\.moment.kind) == [.early])
        bench.advance(milliseconds: 120_000)
        #expect(bench.moments.dropFirst().map(\.moment.kind) == [.destroyed, .destroyed, .destroyed])
        #expect(Set(bench.moments.dropFirst().map(\.node)) == [0, 1, 2])
    }

    @Test func `nobody who watches nothing is told anything`() {
        var bench = Self.bench([])
        bench.call(through: 0)
        bench.hangUp(through: 0)
        #expect(bench.moments.isEmpty)
    }
}

@Suite("Events that are confirmed")
struct ConfirmedEventTests {
    private static func bench() -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.dialogs.defaultTimeout = .seconds(60)
            settings.dialogs.tellsEvents = true
        }
        for index in 0..<3 { bench.nodes[index]?.awaitsConfirmation = true }
        bench.advance(milliseconds: 2_000)
        return bench
    }

    private static func told(_ bench: ClusterBench) -> [String] { bench.events.map { "\($0.node) \($0.event.kind)" } }

    @Test func `what its sink confirms in time is told once`() throws {
        var bench = Self.bench()
        bench.receive(
            ClusterBench.request("INVITE", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: ""), from: ClusterBench.caller,
            at: 0)
        let invite = bench.sent.last { $0.text.hasPrefix("INVITE") }!
        bench.receive(ClusterBench.answer(486, to: invite, toTag: ";tag=bob"), from: ClusterBench.callee, at: 0)
        bench.advance(milliseconds: 170)
        #expect(Self.told(bench) == ["0 failed"])
        bench.nodes[0]?.confirm(try #require(bench.events.first?.event), now: bench.now, into: &bench.outs[0])
        bench.deliver()
        bench.advance(milliseconds: 30_000)
        #expect(Self.told(bench) == ["0 failed"])
    }

    @Test func `what its teller's sink never has is told by the next, and again by itself`() throws {
        var bench = Self.bench()
        bench.call(through: 0)
        bench.advance(milliseconds: 3_000)
        #expect(Self.told(bench).first == "0 start" && Set(Self.told(bench)).count == 3, "each node in its turn")
        #expect(Set(bench.events.map(\.event.id)).count == 1)
        bench.advance(milliseconds: 10_000)
        #expect(Self.told(bench).count == 6, "again, by each, after ten seconds")
        bench.nodes[2]?.confirm(try #require(bench.events.last?.event), now: bench.now, into: &bench.outs[2])
        bench.deliver()
        bench.advance(milliseconds: 15_000)
        #expect(Self.told(bench).count == 6, "one has it: nobody tells it any more")
    }

    @Test func `a teller that dies before its sink has the event is followed by its heir, with the same id`() throws {
        var bench = Self.bench()
        bench.call(through: 0)
        let first = try #require(bench.events.first?.event)
        bench.kill(0)
        bench.advance(milliseconds: 3_000)
        let heirs = bench.events.dropFirst()
        #expect(heirs.first?.event.id == first.id && heirs.first?.node != 0)
    }
}
