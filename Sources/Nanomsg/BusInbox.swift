// BusInbox is the one door from the bus threads to the SIP thread: events with their bytes in one arena, swapped whole.
//
//   SUB thread ──┐
//   REP thread ──┤ put: lock, append, kick if it was empty        take: lock, swap ──▶ SIP thread reads at leisure
//   REQ threads ─┤
//   prober ──────┘
//
// So a burst of frames costs one wake-up, a message costs one copy and no allocation (both arenas are reused), and
// the SIP thread holds the lock for the time of a swap. Limit: 16 MiB or 65 536 events waiting. Beyond it frames and
// requests are dropped and counted (streams repair themselves, askers ask again), an answer becomes "no answer";
// events without bytes are always taken, for their number is bounded by the questions that are out.

import Synchronization

/// How a peer's port answered a plain TCP connect.
package enum PeerProbe: Equatable, Sendable {
    case connected
    /// Nobody listens there: proof that the process is gone.
    case refused
    /// Neither, within the timeout.
    case silent
}

/// What the bus has to tell, in order of arrival.
package enum BusEvent: Equatable, Sendable {
    /// A message of some publisher's stream.
    case frame
    /// A peer's request; it is answered with `Bus.reply(token:_:)`.
    case request(token: UInt64)
    /// The answer to our request.
    case reply(to: UInt64, from: Int)
    /// There will be no answer to our request.
    case noReply(to: UInt64, from: Int)
    case probe(PeerProbe, of: Int)
}

/// A batch of events; a reusable buffer.
package struct BusEvents: Sendable {
    private var arena: [UInt8] = []
    private var entries: [(event: BusEvent, bytes: Range<Int>)] = []

    package init() {}

    package var count: Int { entries.count }
    package var byteCount: Int { arena.count }

    /// Hands each event to `body` with its bytes (empty for events that have none).
    package func forEach(_ body: (BusEvent, RawSpan) -> Void) {
        let bytes = RawSpan(_elements: arena.span)
        for entry in entries { body(entry.event, bytes.extracting(entry.bytes)) }
    }

    /// Forgets the events and keeps the memory.
    package mutating func removeAll() {
        arena.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }

    mutating func append(_ event: BusEvent, _ bytes: RawSpan) {
        let start = arena.count
        // Sound: the pointer is read within the call only.
        unsafe bytes.withUnsafeBytes { unsafe arena.append(contentsOf: $0) }
        entries.append((event, start..<arena.count))
    }

    mutating func append(_ event: BusEvent) {
        entries.append((event, arena.count..<arena.count))
    }
}

/// Events waiting for the SIP thread.
package final class BusInbox: Sendable {
    package static let byteLimit = 16 << 20
    package static let eventLimit = 65_536

    private let waiting = Mutex(BusEvents())
    private let signal: Signal

    /// - Parameter signal: Kicked when the first event of a batch has arrived.
    package init(signal: Signal) { self.signal = signal }

    /// Adds an event with bytes.
    /// - Returns: Whether there was room.
    package func put(_ event: BusEvent, _ bytes: RawSpan) -> Bool {
        let countBefore: Int? = waiting.withLock { waiting in
            guard waiting.count < Self.eventLimit, waiting.byteCount + bytes.byteCount <= Self.byteLimit else {
                return nil
            }
            waiting.append(event, bytes)
            return waiting.count - 1
        }
        if countBefore == 0 { signal.kick() }
        return countBefore != nil
    }

    /// Adds an event without bytes; there is always room.
    package func put(_ event: BusEvent) {
        let countBefore = waiting.withLock { waiting in
            waiting.append(event)
            return waiting.count - 1
        }
        if countBefore == 0 { signal.kick() }
    }

    /// Exchanges what waits for `batch`, which is emptied first.
    package func take(into batch: inout BusEvents) {
        batch.removeAll()
        waiting.withLock { swap(&$0, &batch) }
    }
}
