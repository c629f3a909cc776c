// What strangers and broken connections do to the bus: the attacks and states that were measured to matter (spec of
// the bus, sections 0 and 6), each followed by the proof that the bus goes on working.

import Glibc
import Nanomsg
import Node
import Primitives
import SIP
import Testing
import Transports

@Suite("Bus under attack and after faults", .serialized)
struct BusFaultTests {
    @Test func `only SUB and REP listen, and the sixteen bytes that abort a listening PUB do nothing to them`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let target = try BusEnd(one, [two])
        let sender = try BusEnd(two, [one])
        // The kernel's list may show a socket twice while others come and go.
        #expect(Set(Stranger.listeners(on: Loopback.host(11))) == [7400, 7401])
        for address in [one, one.repair] {
            for header in [Stranger.subscriberHeader, Stranger.publisherHeader, Stranger.requesterHeader] {
                guard let stranger = Stranger.connected(to: address) else {
                    Issue.record("the bus does not listen on \(address.text)")
                    return
                }
                stranger.write(header + [UInt8](repeating: 0, count: 8))
                _ = stranger.isAnswered(milliseconds: 50)
            }
        }
        #expect(sender.reach([target]))
        target.bus.stop()
        sender.bus.stop()
    }

    @Test func `garbage at SUB and REP is survived`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let target = try BusEnd(one, [two])
        let peer = try BusEnd(two, [one])
        var generator = SplitMix(seed: 0x5EED)
        for number in 0..<200 {
            let address = number.isMultiple(of: 2) ? one : one.repair
            guard let stranger = Stranger.connected(to: address) else {
                Issue.record("the bus does not listen on \(address.text)")
                return
            }
            var bytes = (0..<Int(generator.next() % 64)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            switch number % 5 {
            case 0: bytes = Stranger.publisherHeader + bytes
            case 1: bytes = Stranger.requesterHeader + bytes
            case 2: bytes = Stranger.publisherHeader + [0x7F] + [UInt8](repeating: 0xFF, count: 7)
            case 3: bytes = Array(Stranger.publisherHeader.prefix(5))
            default: break
            }
            stranger.write(bytes)
            if number.isMultiple(of: 3) { stranger.resetOnClose() }
        }
        #expect(peer.reach([target]))
        peer.request(0, 1, [1])
        let isAnswered = Loopback.wait(seconds: 5) {
            target.serve()
            return peer.has(.reply(to: 1, from: 0))
        }
        #expect(isAnswered)
        target.bus.stop()
        peer.bus.stop()
    }

    @Test func `recycle heals a connection that has become a ghost`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(13))
        guard let listener = Stranger.listening(on: two) else {
            Issue.record("no listener on \(two.text)")
            return
        }
        let sender = try BusEnd(one, [two])
        // A peer that greets and closes at once: after 1 to 40 rounds the sender takes it for connected and stays away.
        var rounds = 0
        while rounds < 200, let connection = listener.accepted(milliseconds: 1_000) {
            connection.write(Stranger.subscriberHeader)
            connection.resetOnClose()
            rounds += 1
        }
        let isGhost = rounds < 200 && sender.bus.connections.current == 1
        listener.resetOnClose()
        _ = consume listener
        let peer = try BusEnd(two, [one])
        if isGhost {
            #expect(!sender.reach([peer], seconds: 0.5), "the ghost is cured by itself: the watchdog is not needed")
            #expect(sender.bus.connections.current == 1, "the library still believes in it")
        }
        sender.bus.recycle(peer: 0)
        #expect(sender.reach([peer], seconds: 2))
        #expect(sender.bus.counters.recycled == 1)
        sender.bus.stop()
        peer.bus.stop()
    }

    @Test func `recycle may be called over and over, for peers that are there and that are not`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let sender = try BusEnd(one, [two, Loopback.bus(19)])
        let peer = try BusEnd(two, [one])
        for _ in 0..<50 {
            sender.bus.recycle(peer: 0)
            sender.bus.recycle(peer: 1)
        }
        sender.bus.recycle(peer: 7)
        #expect(sender.reach([peer]))
        sender.request(0, 1, [1])
        let isAnswered = Loopback.wait(seconds: 5) {
            peer.serve()
            return sender.has(.reply(to: 1, from: 0))
        }
        #expect(isAnswered)
        sender.bus.stop()
        peer.bus.stop()
    }

    @Test func `a peer that restarts is found again without help`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let sender = try BusEnd(one, [two])
        for _ in 0..<3 {
            let peer = try BusEnd(two, [one])
            #expect(sender.reach([peer]))
            peer.bus.stop()
        }
        sender.bus.stop()
    }

    @Test func `a probe tells a listening peer from a dead one`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let asker = try BusEnd(one, [two])
        asker.bus.probe(peer: 0)
        #expect(Loopback.wait(seconds: 5) { asker.has(.probe(.refused, of: 0)) })
        let peer = try BusEnd(two, [])
        asker.bus.probe(peer: 0)
        #expect(Loopback.wait(seconds: 5) { asker.has(.probe(.connected, of: 0)) })
        asker.bus.pause(seconds: 60)
        asker.bus.probe(peer: 0)
        #expect(Loopback.wait(seconds: 5) { asker.has(.probe(.silent, of: 0)) })
        asker.bus.stop()
        peer.bus.stop()
    }

    @Test func `a paused bus neither sends nor receives, and nothing of the pause comes later`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let (left, right) = try (BusEnd(one, [two]), BusEnd(two, [one]))
        #expect(left.reach([right]) && right.reach([left]))
        left.bus.pause(seconds: 60)
        left.forget()
        right.forget()
        left.publish([1])
        right.publish([2])
        #expect(Loopback.wait(seconds: 5) { left.bus.counters.pausedDropped == 2 })
        left.request(0, 1, [3])
        #expect(Loopback.wait(seconds: 5) { left.has(.noReply(to: 1, from: 0)) })
        left.bus.pause(seconds: 0)
        left.publish([4])
        right.publish([5])
        let isHealed = Loopback.wait(seconds: 5) { left.frames == [[5]] && right.frames == [[4]] }
        #expect(isHealed)
        left.bus.stop()
        right.bus.stop()
    }

    @Test func `two SIP threads exchange frames, requests and probes through their outboxes`() throws {
        let addresses = try [Loopback.bus(14), Loopback.bus(15)]
        let threads = try (0..<2).map { index in
            let signal = Signal()
            let settings = BusSettings(bind: addresses[index], peers: [addresses[1 - index]])
            return try SIPThread(
                machine: EchoMachine(), sockets: [UDPSocket(Loopback.endpoint(14 + index, 5060))],
                bus: Bus(settings, signal: signal), signal: signal, note: { _ in })
        }
        let isDelivered = Loopback.wait(seconds: 5) {
            threads[0].performBlocking { _, _, outbox in outbox.add([1]) { .publish($0) } }
            return threads[1].performBlocking { machine, _, _ in machine.entries.contains(.frame([1])) }
        }
        #expect(isDelivered)
        threads[0].performBlocking { _, _, outbox in
            outbox.add([2, 3]) { .request(peer: 0, id: 77, $0) }
            outbox.bus.append(.probe(peer: 0))
            outbox.bus.append(.recycle(peer: 0))
        }
        let isAnswered = Loopback.wait(seconds: 5) {
            threads[0].performBlocking { machine, _, _ in
                machine.entries.contains(.reply([2, 3], 77, 0)) && machine.entries.contains(.probe(.connected, 0))
            }
        }
        #expect(isAnswered)
        for thread in threads { thread.stop() }
    }

    @Test func `a connection that greets and says nothing more is ended, and a member's stays`() throws {
        let (one, two) = try (Loopback.bus(11), Loopback.bus(12))
        let target = try BusEnd(one, [two]) { settings in
            settings.silence = 400
            settings.doorInterval = 50
        }
        let sender = try BusEnd(two, [one])
        #expect(sender.reach([target]))
        let broken = sender.bus.connections.broken
        for (address, greeting) in [(one, Stranger.publisherHeader), (one.repair, Stranger.requesterHeader)] {
            guard let stranger = Stranger.connected(to: address) else {
                Issue.record("the bus does not listen on \(address.text)")
                return
            }
            stranger.write(greeting)
            let isEnded = Loopback.wait(seconds: 5) {
                sender.publish([7])
                return stranger.isOver()
            }
            #expect(isEnded)
        }
        #expect(target.bus.counters.silentClosed >= 2)
        #expect(sender.bus.connections.broken == broken, "who speaks stays connected")
        // And who was silent for too long connects again when it has something to say.
        let isAgain = Loopback.wait(seconds: 5) { sender.bus.connections.broken > broken }
        #expect(isAgain)
        #expect(sender.reach([target]))
        target.bus.stop()
        sender.bus.stop()
    }
}
