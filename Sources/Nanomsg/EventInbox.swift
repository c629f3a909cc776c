// EventInbox is the one door from other threads to the SIP thread: events with their bytes in one arena, swapped
// whole.
//
//   SUB thread ──┐
//   REP thread ──┤ put: lock, append, kick if it was empty        take: lock, swap ──▶ SIP thread reads at leisure
//   REQ threads ─┤
//   event loop ──┘
//
// So a burst costs one wake-up, a message costs one copy and no allocation (both arenas are reused), and the SIP
// thread holds the lock for the time of a swap. Limit: 16 MiB or 65 536 events waiting. What becomes of what finds no
// room is told by whoever puts it in; events without bytes are always taken, for their number is bounded by what they
// answer.

import Synchronization

/// A batch of events; a reusable buffer.
package struct EventBatch<Event: Equatable & Sendable>: Sendable {
    private var arena: [UInt8] = []
    private var entries: [(event: Event, bytes: Range<Int>)] = []

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    package var byteCount: Int { arena.count }

    /// Hands each event to `body` with its bytes (empty for events that have none).
    package func forEach(_ body: (Event, RawSpan) -> Void) {
        let bytes = RawSpan(_elements: arena.span)
        for entry in entries { body(entry.event, bytes.extracting(entry.bytes)) }
    }

    /// Forgets the events and keeps the memory.
    package mutating func removeAll() {
        arena.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ event: Event, _ bytes: RawSpan) {
        let start = arena.count
        // Sound: the pointer is read within the call only.
        unsafe bytes.withUnsafeBytes { unsafe arena.append(contentsOf: $0) }
        entries.append((event, start..<arena.count))
    }

    package mutating func append(_ event: Event) {
        entries.append((event, arena.count..<arena.count))
    }

    mutating func append(_ other: EventBatch) {
        let base = arena.count
        arena += other.arena
        for entry in other.entries {
            entries.append((entry.event, entry.bytes.lowerBound + base..<entry.bytes.upperBound + base))
        }
    }
}

/// Events waiting for the SIP thread.
package final class EventInbox<Event: Equatable & Sendable>: Sendable {
    package static var byteLimit: Int { 16 << 20 }
    package static var eventLimit: Int { 65_536 }

    private let waiting = Mutex(EventBatch<Event>())
    private let signal: Signal

    /// - Parameter signal: Kicked when the first event of a batch has arrived.
    package init(signal: Signal) { self.signal = signal }

    /// Adds an event with bytes.
    /// - Returns: Whether there was room.
    package func put(_ event: Event, _ bytes: RawSpan) -> Bool {
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

    /// Adds a batch at once and empties it.
    /// - Returns: Whether there was room; otherwise nothing of it was taken.
    package func put(_ batch: inout EventBatch<Event>) -> Bool {
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
    package func put(_ event: Event) {
        let countBefore = waiting.withLock { waiting in
            waiting.append(event)
            return waiting.count - 1
        }
        if countBefore == 0 { signal.kick() }
    }

    /// Exchanges what waits for `batch`, which is emptied first.
    package func take(into batch: inout EventBatch<Event>) {
        batch.removeAll()
        waiting.withLock { swap(&$0, &batch) }
    }
}
