// StreamInbox is the door from the connections' event loop to the SIP thread, as BusInbox is from the bus: what one
// read of one connection brought is put in at once, with at most one kick, and the SIP thread swaps out everything that
// waits.
//
// Limit: 16 MiB or 65 536 events waiting. Beyond it messages are refused, and whoever sent them is cut off: over a
// reliable transport nobody repeats a message, so the end of the connection is the honest answer. Events without bytes
// are always taken: there is one end a connection, and one report a message that was to be sent.

package import Nanomsg
package import SIP
import Synchronization

/// What connections have to tell.
package enum StreamEvent: Equatable, Sendable {
    /// A whole message.
    case message(from: Endpoint, on: ListenerID, flow: FlowID)
    /// The connection has ended; its number will not come again.
    case closed(FlowID)
    /// A message that somebody cared for could not be sent.
    case failed(to: Endpoint, flow: FlowID, token: UInt64)
}

/// A batch of events; a reusable buffer.
package struct StreamEvents: Sendable {
    private var arena: [UInt8] = []
    private var entries: [(event: StreamEvent, bytes: Range<Int>)] = []

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    package var byteCount: Int { arena.count }

    /// Hands each event to `body` with its bytes (empty for events that have none).
    package func forEach(_ body: (StreamEvent, RawSpan) -> Void) {
        let bytes = RawSpan(_elements: arena.span)
        for entry in entries { body(entry.event, bytes.extracting(entry.bytes)) }
    }

    /// Forgets the events and keeps the memory.
    package mutating func removeAll() {
        arena.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ event: StreamEvent, _ bytes: RawSpan) {
        let start = arena.count
        // Sound: the pointer is read within the call only.
        unsafe bytes.withUnsafeBytes { unsafe arena.append(contentsOf: $0) }
        entries.append((event, start..<arena.count))
    }

    package mutating func append(_ event: StreamEvent) {
        entries.append((event, arena.count..<arena.count))
    }

    mutating func append(_ other: StreamEvents) {
        let base = arena.count
        arena += other.arena
        for entry in other.entries {
            entries.append((entry.event, entry.bytes.lowerBound + base..<entry.bytes.upperBound + base))
        }
    }
}

/// Events waiting for the SIP thread.
package final class StreamInbox: Sendable {
    package static let byteLimit = 16 << 20
    package static let eventLimit = 65_536

    private let waiting = Mutex(StreamEvents())
    private let signal: Signal

    /// - Parameter signal: Kicked when the first event of a batch has arrived.
    package init(signal: Signal) { self.signal = signal }

    /// Adds what one read brought and empties `batch`.
    /// - Returns: Whether there was room; otherwise nothing of it was taken.
    package func put(_ batch: inout StreamEvents) -> Bool {
        guard !batch.isEmpty else { return true }
        let countBefore: Int? = waiting.withLock { waiting in
            guard waiting.count + batch.count <= Self.eventLimit,
                waiting.byteCount + batch.byteCount <= Self.byteLimit
            else { return nil }
            let count = waiting.count
            if count == 0 { swap(&waiting, &batch) } else { waiting.append(batch) }
            return count
        }
        batch.removeAll()
        if countBefore == 0 { signal.kick() }
        return countBefore != nil
    }

    /// Adds an event without bytes; there is always room.
    package func put(_ event: StreamEvent) {
        let countBefore = waiting.withLock { waiting in
            waiting.append(event)
            return waiting.count - 1
        }
        if countBefore == 0 { signal.kick() }
    }

    /// Exchanges what waits for `batch`, which is emptied first.
    package func take(into batch: inout StreamEvents) {
        batch.removeAll()
        waiting.withLock { swap(&$0, &batch) }
    }
}
