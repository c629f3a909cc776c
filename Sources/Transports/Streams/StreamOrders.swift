// StreamOrders are messages on their way from the SIP thread to the event loop: those of one turn, in one batch, with
// one `execute`. The two sides swap two buffers, so nothing is allocated once they have grown.
//
// Limit: 16 MiB or 65 536 messages waiting for the event loop. What is beyond it is counted, and told to whoever cares.

import Primitives
import SIP
import Synchronization

struct StreamOrders: Sendable {
    struct Order: Sendable {
        var bytes: Range<Int>
        var to: Endpoint
        var from: ListenerID
        var flow: FlowID
        var token: UInt64
        /// Behind `bytes`; empty when it has none.
        var serverName: Range<Int>
    }

    static let byteLimit = 16 << 20
    static let orderLimit = 65_536

    private(set) var arena: [UInt8] = []
    private(set) var orders: [Order] = []

    var isEmpty: Bool { orders.isEmpty }

    mutating func removeAll() {
        arena.removeAll(keepingCapacity: true)
        orders.removeAll(keepingCapacity: true)
    }

    /// - Returns: Whether there was room.
    mutating func append(_ datagram: Datagram, of source: [UInt8]) -> Bool {
        let (range, name) = (datagram.range.range, datagram.serverName.range)
        guard orders.count < Self.orderLimit, arena.count + range.count + name.count <= Self.byteLimit else {
            return false
        }
        let start = arena.count
        arena += source[range]
        let end = arena.count
        arena += source[name]
        orders.append(
            Order(
                bytes: start..<end, to: datagram.to, from: datagram.from, flow: datagram.flow, token: datagram.token,
                serverName: end..<arena.count))
        return true
    }
}

/// Orders that wait for the event loop.
final class StreamOutbox: Sendable {
    private let waiting = Mutex(StreamOrders())

    /// Adds every message of the queue that does not leave by UDP; those that find no room are handed to `refuse`.
    /// - Returns: Whether the event loop has to be told: nothing was waiting before.
    func put(_ datagrams: [Datagram], of arena: [UInt8], refuse: (Datagram) -> Void) -> Bool {
        var refused: [Datagram] = []
        let wasEmpty = waiting.withLock { waiting in
            let wasEmpty = waiting.isEmpty
            for datagram in datagrams where !datagram.isForUDP {
                if !waiting.append(datagram, of: arena) { refused.append(datagram) }
            }
            return wasEmpty && !waiting.isEmpty
        }
        for datagram in refused { refuse(datagram) }
        return wasEmpty
    }

    func take(into batch: inout StreamOrders) {
        batch.removeAll()
        waiting.withLock { swap(&$0, &batch) }
    }
}
