// Peers that come, move and go while the bus runs.

import Nanomsg
import Node
import Primitives
import Testing
import Transports

@Suite("Peers of a running bus, over loopback", .serialized)
struct BusPeersTests {
    /// Publishes until the other end has heard it, as a node's heartbeats do.
    private func hears(_ listener: BusEnd, _ speaker: BusEnd, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return Loopback.wait(seconds: 10) {
            speaker.publish(bytes)
            return listener.frames.contains(bytes)
        }
    }

    @Test func `a peer is added, moved to another address, and given up`() throws {
        let first = try BusEnd(Loopback.bus(31), [])
        let second = try BusEnd(Loopback.bus(32), [])
        let third = try BusEnd(Loopback.bus(33), [])
        defer {
            for end in [first, second, third] { end.bus.stop() }
        }
        first.request(0, 1, [1])
        #expect(first.has(.noReply(to: 1, from: 0)))
        try first.bus.connect(peer: 0, to: Loopback.bus(32))
        #expect(hears(second, first, "hello"))
        first.request(0, 2, [2])
        #expect(
            Loopback.wait(seconds: 10) {
                second.serve()
                return first.has(.reply(to: 2, from: 0))
            })
        first.bus.probe(peer: 0)
        #expect(Loopback.wait(seconds: 5) { first.has(.probe(.connected, of: 0)) })

        try first.bus.connect(peer: 0, to: Loopback.bus(33))
        #expect(hears(third, first, "moved"))
        let known = second.frames.count
        #expect(hears(third, first, "again"))
        #expect(!second.frames.dropFirst(known).contains(Array("again".utf8)))
        first.request(0, 3, [3])
        #expect(
            Loopback.wait(seconds: 10) {
                third.serve()
                second.serve()
                return first.has(.reply(to: 3, from: 0))
            })
        #expect(!second.events.contains { $0.bytes == [3] })

        first.bus.disconnect(peer: 0)
        first.bus.disconnect(peer: 0)
        try first.bus.connect(peer: 1, to: Loopback.bus(32))
        #expect(hears(second, first, "back"))
        #expect(!third.frames.contains(Array("back".utf8)))
    }

    @Test func `a gap, another family and the 65th position are refused`() throws {
        let end = try BusEnd(Loopback.bus(34), [])
        defer { end.bus.stop() }
        #expect(throws: NanomsgError.self) { try end.bus.connect(peer: 1, to: Loopback.bus(35)) }
        #expect(throws: NanomsgError(.connect, .mixedFamilies, address: "tcp://[::1]:7400")) {
            try end.bus.connect(peer: 0, to: BusAddress("[::1]:7400"))
        }
        for peer in 0..<BusSettings.peerLimit { try end.bus.connect(peer: peer, to: Loopback.bus(35)) }
        #expect(throws: NanomsgError.self) {
            try end.bus.connect(peer: BusSettings.peerLimit, to: Loopback.bus(35))
        }
    }
}
