// Signal wakes one waiting thread from any other: an eventfd. A kick before the wait is not lost; many kicks are one
// wake.
//
// It is the only way threads of the shells wait for each other, because the SIP thread waits for sockets at the same
// time, in one ppoll. A wake costs 2 to 6 µs, as much as a datagram: kick once a batch, and only when the reader may
// be asleep.

import CSockets
import Glibc

/// One thread waits, any thread kicks.
package final class Signal: Sendable {
    /// Readable while kicked; for the waiting thread's own poll.
    package let descriptor: Int32

    package init() {
        descriptor = csys_event_create()
        precondition(descriptor >= 0, "no eventfd: errno \(-descriptor)")
    }

    deinit { csys_close(descriptor) }

    package func kick() { csys_event_kick(descriptor) }

    /// Forgets the kicks so far. Clear first, then look at what they announced; the other order loses wake-ups.
    package func clear() { csys_event_clear(descriptor) }

    /// Waits for a kick, which it clears, at most `milliseconds`.
    /// - Returns: Whether there was one.
    @discardableResult
    package func wait(milliseconds: Int64) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // Sound: one pollfd, lent for the call.
        guard unsafe csys_poll(&entry, 1, milliseconds * 1_000_000) > 0 else { return false }
        clear()
        return true
    }
}
