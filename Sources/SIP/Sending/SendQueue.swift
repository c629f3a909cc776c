// SendQueue collects the datagrams that one event gives rise to: their bytes stand one behind the other in one arena,
// so nothing is allocated for them once the arena has grown. The shell sends them in order and empties the queue.
//
// Limit: what one receive batch (32 datagrams) and the timers of one tick can cause; the shell empties it after each.

package import Primitives

/// One local socket, by its place: the listen addresses of the settings first, then service addresses.
package struct ListenerID: Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }
}

package struct Datagram: Hashable, Sendable {
    /// Where its bytes are in the arena.
    package var range: ByteRange
    package var to: Endpoint
    package var from: ListenerID

    package init(range: ByteRange, to: Endpoint, from: ListenerID) {
        self.range = range
        self.to = to
        self.from = from
    }
}

package struct SendQueue: Sendable {
    package var arena = ByteWriter(capacity: 65_536)
    package var datagrams: [Datagram] = []

    package init() {}

    package mutating func removeAll() {
        arena.removeAll()
        datagrams.removeAll(keepingCapacity: true)
    }

    /// Queues what `fill` writes as one datagram.
    package mutating func send(to: Endpoint, from: ListenerID, _ fill: (inout ByteWriter) -> Void) {
        let start = arena.count
        fill(&arena)
        let range = ByteRange(start: start, end: arena.count)
        if !range.isEmpty { datagrams.append(Datagram(range: range, to: to, from: from)) }
    }

    package mutating func send(_ bytes: [UInt8], to: Endpoint, from: ListenerID) {
        send(to: to, from: from) { $0.put(bytes) }
    }
}
