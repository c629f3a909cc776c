// Which media relay is asked, how often, and what its answer means; without a socket, time as an argument.

import Primitives
import Routes
import SIP
import Testing

@Suite("Media relays")
struct MediaRelaysTests {
    private static func endpoint(_ number: Int) -> Endpoint {
        Endpoint(address: Address(ipv4: 0x7f00_0028 + UInt32(number)), port: 2_223)
    }

    private static func relays(_ weights: [Int] = [1, 1], change: (inout MediaRelaySettings) -> Void = { _ in })
        -> MediaRelays
    {
        var settings = MediaRelaySettings()
        settings.servers = weights.enumerated().map { .init(set: 0, endpoint: endpoint($0.0), weight: $0.1) }
        (settings.timeout, settings.tries, settings.disabledFor) = (.milliseconds(100), 3, .seconds(60))
        change(&settings)
        return MediaRelays(settings)
    }

    private static func request(_ call: String = "c1", makesCall: Bool = true) -> MediaRequest {
        MediaRequest(
            command: [.init(Array("command".utf8), .text("offer"))], callID: Array(call.utf8), sets: [0],
            makesCall: makesCall)
    }

    private static func at(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    /// A relay's answer to what it was sent.
    private static func answer(_ sent: MediaDatagram, _ text: String) -> ArraySlice<UInt8> {
        (Array(sent.bytes.prefix { $0 != 0x20 }) + [0x20] + Array(text.utf8))[...]
    }

    private static let ok = "d6:result2:oke"

    private var chance = SplitMix(seed: 1)

    @Test mutating func `a command goes to one server, and its answer ends it`() throws {
        var relays = Self.relays()
        let token = try #require(relays.ask(Self.request(), set: 0, now: .zero, using: &chance))
        let sent = relays.takeOutgoing()
        #expect(
            sent.count == 1
                && String(decoding: sent[0].bytes.drop { $0 != 0x20 }, as: UTF8.self) == " d7:command5:offere")
        relays.receive(Self.answer(sent[0], Self.ok), from: sent[0].to, now: .zero)
        let ended = relays.takeEnded()
        #expect(ended.count == 1 && ended[0].token == token)
        #expect(ended[0].outcome == .answered(.dictionary([.init(Array("result".utf8), .text("ok"))])))
        #expect(relays.pendingCount == 0 && relays.takeOutgoing().isEmpty && relays.counters.answered == 1)
        relays.receive(Self.answer(sent[0], Self.ok), from: sent[0].to, now: .zero)
        #expect(relays.takeEnded().isEmpty && relays.counters.stray == 1, "a second copy is nobody's")
    }

    @Test(arguments: [
        "", "x", "d6:resulte", "d6:result2:ok", "de", "d6:resulti1ee", "l2:oke",
    ]) mutating func `what is no answer is passed over and counted`(text: String) throws {
        var relays = Self.relays()
        _ = relays.ask(Self.request(), set: 0, now: .zero, using: &chance)
        let sent = relays.takeOutgoing()[0]
        relays.receive(Self.answer(sent, text), from: sent.to, now: .zero)
        relays.receive(Array(Self.ok.utf8)[...], from: sent.to, now: .zero)
        relays.receive([], from: sent.to, now: .zero)
        relays.receive(Self.answer(sent, Self.ok), from: Self.endpoint(9), now: .zero)
        #expect(relays.takeEnded().isEmpty && relays.counters.stray == 4 && relays.pendingCount == 1)
        relays.receive(Self.answer(sent, Self.ok), from: sent.to, now: .zero)
        #expect(relays.takeEnded().count == 1)
    }

    @Test mutating func `silence is asked again, then the next server, then it has failed`() throws {
        var relays = Self.relays()
        _ = relays.ask(Self.request(), set: 0, now: .zero, using: &chance)
        let first = relays.takeOutgoing()[0]
        var sent: [MediaDatagram] = []
        for step in 1...2 {
            #expect(relays.next == Self.at(Int64(step) * 100))
            relays.advance(to: Self.at(Int64(step) * 100 - 1))
            #expect(relays.takeOutgoing().isEmpty)
            relays.advance(to: Self.at(Int64(step) * 100))
            sent += relays.takeOutgoing()
        }
        #expect(sent == [first, first], "the same bytes")
        relays.advance(to: Self.at(300))
        let second = relays.takeOutgoing()
        #expect(second.count == 1 && second[0].to != first.to && second[0].bytes == first.bytes)
        #expect(relays.awayCount(now: Self.at(300)) == 1 && relays.activeCounts(now: Self.at(300)) == [0: 1])
        for step in 4...6 { relays.advance(to: Self.at(Int64(step) * 100)) }
        #expect(relays.takeEnded().map(\.outcome) == [.silent])
        #expect(relays.counters.retransmitted == 4 && relays.counters.failovers == 1 && relays.counters.failed == 1)
        #expect(relays.activeCounts(now: Self.at(600)) == [0: 0] && relays.next == nil)
        #expect(relays.activeCounts(now: Self.at(60_400)) == [0: 1], "the first is asked again after its time")
    }

    @Test mutating func `a server that was silent is asked last, and first again when it has answered`() throws {
        var relays = Self.relays()
        func first(_ at: Int64) -> MediaDatagram {
            _ = relays.ask(Self.request(), set: 0, now: Self.at(at), using: &chance)
            return relays.takeOutgoing()[0]
        }
        let preferred = first(0)
        for step in 1...3 { relays.advance(to: Self.at(Int64(step) * 100)) }
        let other = relays.takeOutgoing().last
        #expect(other?.to != preferred.to)
        #expect(first(400).to == other?.to)
        #expect(first(61_000).to == preferred.to)
    }

    @Test(arguments: [
        ("d6:result10:load limite", true), ("d12:error-reason30:Parallel session limit reached6:result5:errore", true),
        ("d12:error-reason16:Ran out of ports6:result5:errore", true),
        ("d12:error-reason4:nope6:result5:errore", false),
        ("d6:result5:errore", false), ("d12:error-reason15:Unknown call-id6:result5:errore", false),
    ]) mutating func `a server that is full sends on to the next, one that says no has the last word`(
        text: String, goesOn: Bool
    ) throws {
        var relays = Self.relays()
        _ = relays.ask(Self.request(), set: 0, now: .zero, using: &chance)
        let sent = relays.takeOutgoing()[0]
        relays.receive(Self.answer(sent, text), from: sent.to, now: .zero)
        let next = relays.takeOutgoing()
        #expect(next.isEmpty == !goesOn && (next.first.map { $0.to != sent.to } ?? true))
        guard let second = next.first else {
            guard case .refused = relays.takeEnded().first?.outcome else {
                Issue.record("\(text)")
                return
            }
            return
        }
        relays.receive(Self.answer(second, text), from: second.to, now: .zero)
        guard case .refused = relays.takeEnded().first?.outcome else {
            Issue.record("\(text)")
            return
        }
        #expect(relays.awayCount(now: .zero) == 0, "it did answer")
    }

    @Test(arguments: [
        "d12:error-reason15:Unknown call-id6:result5:errore",
        "d6:result2:ok7:warning38:Call-ID not found or tags didn't matche",
    ]) mutating func `who does not know the call sends on to who may`(text: String) throws {
        var relays = Self.relays([1, 1, 1])
        _ = relays.ask(Self.request(makesCall: false), set: 0, now: .zero, using: &chance)
        let first = relays.takeOutgoing()[0]
        relays.receive(Self.answer(first, text), from: first.to, now: .zero)
        let second = relays.takeOutgoing()[0]
        relays.receive(Self.answer(second, Self.ok), from: second.to, now: .zero)
        #expect(relays.takeEnded().count == 1 && relays.counters.answered == 1)
        _ = relays.ask(Self.request("c2", makesCall: false), set: 0, now: .zero, using: &chance)
        for _ in 0..<3 {
            let sent = relays.takeOutgoing()
            #expect(sent.count == 1)
            relays.receive(Self.answer(sent[0], text), from: sent[0].to, now: .zero)
        }
        #expect(relays.takeEnded().count == 1, "nobody does: what was said stands")
    }

    @Test
    mutating func `every node asks the same server first, by weight, and one that is gone moves its own calls alone`() {
        var (by, gone) = ([Endpoint: Int](), 0)
        var (one, other) = (Self.relays([1, 3, 0]), Self.relays([1, 3, 0]))
        var without = Self.relays([1, 3, 0]) { $0.servers.removeFirst() }
        for number in 0..<2_000 {
            let request = Self.request("call-\(number)")
            func first(_ relays: inout MediaRelays) -> Endpoint? {
                _ = relays.ask(request, set: 0, now: .zero, using: &chance)
                return relays.takeOutgoing().first?.to
            }
            let to = first(&one)
            #expect(to == first(&other))
            if let to { by[to, default: 0] += 1 }
            if to != Self.endpoint(0) { gone += first(&without) == to ? 0 : 1 }
        }
        #expect(gone == 0, "calls of those that stayed stay")
        #expect(by[Self.endpoint(2)] == nil, "a weight of 0 gets no new call")
        #expect(400...600 ~= by[Self.endpoint(0)] ?? 0, "\(by)")
    }

    @Test mutating func `one of weight 0 is asked about a call that exists, last`() throws {
        var relays = Self.relays([0, 1])
        _ = relays.ask(Self.request(makesCall: false), set: 0, now: .zero, using: &chance)
        let first = relays.takeOutgoing()[0]
        #expect(first.to == Self.endpoint(1))
        relays.receive(
            Self.answer(first, "d12:error-reason15:Unknown call-id6:result5:errore"), from: first.to, now: .zero)
        #expect(relays.takeOutgoing().first?.to == Self.endpoint(0))
    }

    @Test mutating func `no more wait than there is room for, and none for longer than a request's sender`() throws {
        var relays = Self.relays([1]) { ($0.timeout, $0.tries) = (.seconds(5), 10) }
        for number in 0..<MediaRelays.limit {
            #expect(relays.ask(Self.request("c\(number)"), set: 0, now: .zero, using: &chance) != nil)
        }
        #expect(relays.ask(Self.request("more"), set: 0, now: .zero, using: &chance) == nil)
        #expect(relays.counters.overflowed == 1)
        var seconds: Int64 = 0
        while relays.pendingCount > 0, seconds < 60 {
            seconds += 1
            relays.advance(to: Self.at(seconds * 1_000))
            _ = relays.takeOutgoing()
        }
        #expect(seconds <= 25 && relays.takeEnded().count == MediaRelays.limit && relays.next == nil)
    }

    @Test mutating func `a set that has no server, and a command that is too long, are refused`() {
        var relays = Self.relays()
        #expect(relays.ask(Self.request(), set: 7, now: .zero, using: &chance) == nil)
        var request = Self.request()
        request.command = [.init(Array("sdp".utf8), .text([UInt8](repeating: 65, count: Bencode.sizeLimit)))]
        #expect(relays.ask(request, set: 0, now: .zero, using: &chance) == nil)
        #expect(relays.counters.overflowed == 2 && relays.takeOutgoing().isEmpty && relays.next == nil)
    }

    @Test(arguments: [
        ("0 udp:127.0.0.1:2223", true), ("3 udp:[::1]:2223=20", true), ("0 udp:127.0.0.1:2223=0", true),
        ("udp:127.0.0.1:2223", false), ("0 127.0.0.1:2223", false), ("0 udp:relay.example.org:2223", false),
        ("-1 udp:127.0.0.1:2223", false), ("0 udp:127.0.0.1", false), ("0 udp:127.0.0.1:0", false),
        ("0 udp:127.0.0.1:2223=101", false),
        ("0 udp:127.0.0.1:2223=", false), ("0 udp:127.0.0.1:2223=1=2", false), ("", false),
    ]) func `a server is a set, an address and perhaps a weight`(text: String, isOne: Bool) {
        #expect((MediaRelaySettings.server(text) != nil) == isOne)
    }
}
