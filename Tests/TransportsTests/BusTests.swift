// The bus over real sockets on loopback: delivery, requests, and what the nanomsg measurements say must be survived
// (spec of the bus, sections 0, 2 and 6). Every wait has a bound.

import Glibc
import Nanomsg
import Node
import Primitives
import SIP
import Synchronization
import Testing
import Transports

/// One end of a bus, and everything it has told.
final class BusEnd {
    let signal = Signal()
    let bus: Bus
    /// What this end says last before a test begins.
    private let marker: [UInt8]
    private(set) var events: [(event: BusEvent, bytes: [UInt8])] = []
    private var batch = BusEvents()

    init(
        _ bind: BusAddress, _ peers: [BusAddress], timeout: Int64 = 1_000,
        change: (inout BusSettings) -> Void = { _ in }
    ) throws(NanomsgError) {
        var settings = BusSettings(bind: bind, peers: peers)
        settings.requestTimeout = timeout
        change(&settings)
        bus = try Bus(settings, signal: signal)
        marker = Array(bind.text.utf8)
    }

    func publish(_ bytes: [UInt8]) { bus.publish(RawSpan(_elements: bytes.span)) }

    func request(_ peer: Int, _ id: UInt64, _ bytes: [UInt8]) {
        bus.request(peer: peer, id: id, RawSpan(_elements: bytes.span))
    }

    func collect() {
        bus.inbox.take(into: &batch)
        batch.forEach { event, bytes in events.append((event, [UInt8](copying: bytes))) }
    }

    var frames: [[UInt8]] {
        collect()
        return events.filter { $0.event == .frame }.map { $0.bytes }
    }

    /// Answers waiting requests with their own bytes.
    func serve() {
        let known = events.count
        collect()
        for entry in events.dropFirst(known) {
            if case .request(let token) = entry.event {
                bus.reply(token: token, RawSpan(_elements: entry.bytes.span))
            }
        }
    }

    func has(_ event: BusEvent) -> Bool {
        collect()
        return events.contains { $0.event == event }
    }

    /// Publishes until the others' frames show that they listen (a PUB that is not connected yet drops), then waits
    /// until nothing of that is under way any more.
    func reach(_ others: [BusEnd], seconds: Double = 5) -> Bool {
        let isReached = Loopback.wait(seconds: seconds) {
            publish([0])
            return others.allSatisfy { $0.frames.contains([0]) }
        }
        publish(marker)
        return isReached && Loopback.wait(seconds: seconds) { others.allSatisfy { $0.frames.contains(marker) } }
    }

    func forget() {
        collect()
        events = []
    }
}

@Suite("Bus over loopback", .serialized)
struct BusTests {
    @Test func `three nodes deliver every frame to each other, in order`() throws {
        let addresses = try (1...3).map { try Loopback.bus($0) }
        let ends = try (0..<3).map { index in
            try BusEnd(addresses[index], addresses.indices.filter { $0 != index }.map { addresses[$0] })
        }
        for index in 0..<3 { #expect(ends[index].reach(ends.indices.filter { $0 != index }.map { ends[$0] })) }
        for end in ends { end.forget() }
        let frames = (0..<200).map { number in [UInt8(number)] + [UInt8](repeating: 7, count: 1_000) }
        for frame in frames { ends[0].publish(frame) }
        for end in ends[1...] {
            let isComplete = Loopback.wait(seconds: 5) { end.frames == frames }
            #expect(isComplete)
        }
        #expect(ends[0].frames.isEmpty, "nobody hears himself")
        for end in ends { end.bus.stop() }
    }

    @Test func `a request is answered by the peer it was meant for`() throws {
        let (one, two) = try (Loopback.bus(1), Loopback.bus(2))
        let asker = try BusEnd(one, [two])
        let server = try BusEnd(two, [one])
        let large = [UInt8](repeating: 9, count: 262_144)
        asker.request(0, 41, [1, 2, 3])
        asker.request(0, 42, large)
        let isAnswered = Loopback.wait(seconds: 5) {
            server.serve()
            return asker.has(.reply(to: 41, from: 0)) && asker.has(.reply(to: 42, from: 0))
        }
        #expect(isAnswered)
        let areTheirs = asker.events.map { $0.bytes } == [[1, 2, 3], large]
        #expect(areTheirs)
        asker.bus.stop()
        server.bus.stop()
    }

    @Test func `the bus runs over IPv6 too`() throws {
        let first = 20_000 + Int(getpid()) % 10_000 * 4
        let (one, two) = try (BusAddress("tcp://[::1]:\(first)"), BusAddress("tcp://[::1]:\(first + 2)"))
        let left: BusEnd
        do throws(NanomsgError) {
            left = try BusEnd(one, [two])
        } catch {
            // A host without IPv6 says so.
            #expect(error.operation == .listen)
            return
        }
        let right = try BusEnd(two, [one])
        #expect(left.reach([right]))
        left.request(0, 1, [6])
        let isAnswered = Loopback.wait(seconds: 5) {
            right.serve()
            return left.has(.reply(to: 1, from: 0))
        }
        #expect(isAnswered)
        left.bus.stop()
        right.bus.stop()
    }

    @Test func `an absent peer is no answer at its deadline, also for those that queue behind`() throws {
        let asker = try BusEnd(Loopback.bus(1), [Loopback.bus(9)], timeout: 300)
        let before = BootClock.now
        for id in 1...3 as ClosedRange<UInt64> { asker.request(0, id, [1]) }
        let isTold = Loopback.wait(seconds: 5) {
            asker.collect()
            return asker.events.count == 3
        }
        #expect(isTold)
        #expect(BootClock.now.milliseconds(since: before) < 1_000)
        #expect(asker.events.map { $0.event } == (1...3).map { .noReply(to: $0, from: 0) })
        // A peer that does not exist in the configuration is no answer at once.
        asker.request(5, 4, [1])
        #expect(asker.has(.noReply(to: 4, from: 5)))
        asker.bus.stop()
    }

    @Test func `the queue to one peer holds 64 requests, the rest is no answer at once`() throws {
        let asker = try BusEnd(Loopback.bus(1), [Loopback.bus(9)], timeout: 300)
        for id in 0..<100 as Range<UInt64> { asker.request(0, id, [1]) }
        asker.collect()
        #expect((35...36).contains(asker.events.count), "one is out, 64 wait, the rest is told at once")
        let isTold = Loopback.wait(seconds: 5) {
            asker.collect()
            return asker.events.count == 100
        }
        #expect(isTold)
        #expect(asker.bus.counters.requestsRefused == 35 || asker.bus.counters.requestsRefused == 36)
        asker.bus.stop()
    }

    @Test func `a peer that does not answer in time is passed over, and its late answer dropped`() throws {
        let (one, two) = try (Loopback.bus(1), Loopback.bus(2))
        let asker = try BusEnd(one, [two], timeout: 1_500)
        let server = try BusEnd(two, [one])
        asker.request(0, 1, [1])
        let isAsked = Loopback.wait(seconds: 5) { server.has(.request(token: 1)) }
        #expect(isAsked)
        // The server's own patience ends after 500 ms; from then on the answer is late.
        let isTold = Loopback.wait(seconds: 5) { asker.has(.noReply(to: 1, from: 0)) }
        #expect(isTold)
        let late: [UInt8] = [1]
        server.bus.reply(token: 1, RawSpan(_elements: late.span))
        #expect(server.bus.counters.repliesLate == 1)
        server.forget()
        asker.request(0, 2, [2])
        let isAnswered = Loopback.wait(seconds: 5) {
            server.serve()
            return asker.has(.reply(to: 2, from: 0))
        }
        #expect(isAnswered)
        asker.bus.stop()
        server.bus.stop()
    }

    @Test func `a frame above 64 KiB and a request above 512 KiB are refused by the sender`() throws {
        let (one, two) = try (Loopback.bus(1), Loopback.bus(2))
        let sender = try BusEnd(one, [two])
        let receiver = try BusEnd(two, [one])
        #expect(sender.reach([receiver]))
        receiver.forget()
        sender.publish([UInt8](repeating: 1, count: BusSettings.frameLimit + 1))
        sender.publish([UInt8](repeating: 2, count: BusSettings.frameLimit))
        let isDelivered = Loopback.wait(seconds: 5) { receiver.frames.contains { $0.count == BusSettings.frameLimit } }
        #expect(isDelivered)
        let isAnyLonger = receiver.frames.contains { $0.count > BusSettings.frameLimit }
        #expect(!isAnyLonger)
        sender.request(0, 1, [UInt8](repeating: 3, count: BusSettings.repairLimit + 1))
        #expect(sender.has(.noReply(to: 1, from: 0)))
        #expect(sender.bus.counters.oversizeRefused == 2)
        let socket = try PublishSocket(isIPv6: false)
        let error = #expect(throws: NanomsgError.self) {
            let bytes = [UInt8](repeating: 0, count: 1_048_576)
            try socket.publish(RawSpan(_elements: bytes.span))
        }
        #expect(error?.reason == .messageTooLarge(limit: 1_048_512))
        sender.bus.stop()
        receiver.bus.stop()
    }

    @Test func `a subscriber that does not read loses frames and never holds up the sender`() throws {
        let (one, two, three) = try (Loopback.bus(1), Loopback.bus(2), Loopback.bus(3))
        let sender = try BusEnd(one, [two, three])
        let reader = try BusEnd(three, [one])
        // Bound, connected, and never asked for a message: what a stopped process looks like from outside.
        let sleeper = try SubscribeSocket(listeningOn: two, timeout: 100)
        #expect(Loopback.wait(seconds: 5) { sender.bus.connections.current == 2 })
        #expect(sender.reach([reader]))
        reader.forget()
        let before = BootClock.now
        let frame = [UInt8](repeating: 5, count: 16_384)
        var delivered = 0
        // 3000 frames of 16 KiB are 49 MB, far more than the sleeper's buffers; paced by what the reader has got.
        for number in 1...3_000 {
            sender.publish(frame)
            if number.isMultiple(of: 50) {
                _ = Loopback.wait(seconds: 2) { delivered + reader.frames.count >= number }
                delivered += reader.frames.count
                reader.forget()
            }
        }
        #expect(delivered == 3_000, "the reader has them all")
        #expect(BootClock.now.milliseconds(since: before) < 20_000)
        var kept = 0
        while let message = try sleeper.receive() { kept += message.count > 1 ? 1 : 0 }
        #expect(kept > 0 && kept < 3_000, "the sleeper has lost some")
        sender.bus.stop()
        reader.bus.stop()
    }

    @Test func `stop wakes every blocked thread within a second`() throws {
        let asker = try BusEnd(Loopback.bus(1), [Loopback.bus(8), Loopback.bus(9)], timeout: 10_000)
        asker.request(0, 1, [1])
        asker.request(1, 2, [1])
        #expect(Loopback.wait(seconds: 5) { asker.bus.counters.requestsSent == 2 })
        let before = BootClock.now
        asker.bus.stop()
        #expect(BootClock.now.milliseconds(since: before) < 1_000)
        asker.publish([1])
        #expect(asker.bus.counters.sendsFailed >= 1, "after the stop a publish is a counted failure")
    }

    @Test func `an address in use is an error that names it, and mixed families are refused`() throws {
        let address = try Loopback.bus(1)
        let first = try BusEnd(address, [])
        let error = #expect(throws: NanomsgError.self) { _ = try BusEnd(address, []) }
        #expect(error?.reason == .addressInUse)
        #expect(error?.description.contains("\(Loopback.host(1)):7400") == true)
        first.bus.stop()
        let second = try BusEnd(address, [])
        second.bus.stop()
        let mixed = #expect(throws: NanomsgError.self) { _ = try BusEnd(address, [BusAddress("[::1]:7400")]) }
        #expect(mixed?.reason == .mixedFamilies)
        let foreign = #expect(throws: NanomsgError.self) { _ = try BusEnd(BusAddress("203.0.113.77:7400"), []) }
        #expect(foreign?.reason == .addressNotAvailable)
    }

    @Test(arguments: [
        ("10.0.0.1:7400", "tcp://10.0.0.1:7400"), ("tcp://10.0.0.1:7400", "tcp://10.0.0.1:7400"),
        ("tcp://[fd00::1]:1", "tcp://[fd00::1]:1"), ("10.0.0.1:65535", nil), ("10.0.0.1:0", nil), ("*:7400", nil),
        ("localhost:7400", nil), ("ws://10.0.0.1:7400", nil), ("tcp://10.0.0.1;10.0.0.2:7400", nil),
        ("fd00::1:7400", nil), ("[10.0.0.1]:7400", nil), ("10.0.0.1", nil), ("", nil), ("[]:1", nil),
    ])
    func `a bus address is a literal address and a port below 65535`(text: String, expected: String?) {
        #expect((try? BusAddress(text))?.text == expected)
    }

    @Test func `the inbox drops frames at its limit and always takes what has no bytes`() {
        let inbox = BusInbox(signal: Signal())
        let chunk = [UInt8](repeating: 0, count: 1 << 20)
        let put = { inbox.put(.frame, RawSpan(_elements: chunk.span)) }
        for _ in 0..<16 { #expect(put()) }
        #expect(!put())
        inbox.put(.noReply(to: 1, from: 0))
        var batch = BusEvents()
        inbox.take(into: &batch)
        #expect(batch.count == 17)
        #expect(batch.byteCount == BusInbox.byteLimit)
        #expect(put(), "a swap makes room")
        inbox.take(into: &batch)
        for _ in 0..<BusInbox.eventLimit { inbox.put(.noReply(to: 1, from: 0)) }
        #expect(!put(), "and so many events without bytes are a limit too")
    }
}
