// ReceiveBatch and SendBatch move datagrams in groups between sockets and the core, through memory allocated once.
//
// What a group saves is wake-ups, not system calls: the kernel's UDP path costs about 1.6 µs a datagram either way. The
// receive slots are 64 KiB each, more than any UDP datagram, and only touched pages count; a smaller slot (in tests)
// flags what it had to cut. The send batch points into the arena of the outbox and is used up before the arena
// changes.

import CSockets
import Glibc
package import Node
import Primitives
package import SIP

/// What is known of a received datagram beside its bytes.
package struct Arrival: Equatable, Sendable {
    package var from: Endpoint
    /// Time it spent in the socket's queue, by the kernel's receive time; 0 when the wall clock was set in between.
    package var ageMilliseconds: Int64
    /// The slot was too small for it; the bytes are its beginning.
    package var isTruncated: Bool
}

/// Reused slots for up to `slots` datagrams.
@safe package struct ReceiveBatch: ~Copyable {
    package static let slots = 32
    private let batch: OpaquePointer

    package init(slots: Int = slots, slotBytes: Int = 65_536) {
        guard let created = unsafe csys_receive_batch_create(Int32(slots), Int32(slotBytes)) else {
            preconditionFailure("no memory for \(slots) receive slots of \(slotBytes) bytes")
        }
        unsafe batch = created
    }

    // Sound, here and below: `batch` came from create, is destroyed once, and is borrowed for each call.
    deinit { unsafe csys_receive_batch_destroy(batch) }

    /// Takes what waits on the socket; the datagrams of the receive before are gone.
    /// - Returns: How many, or the negative errno.
    package mutating func receive(from socket: UDPSocket) -> Int {
        Int(unsafe csys_receive(batch, socket.descriptor))
    }

    /// Lends datagram `index` of the last receive to `body`.
    package func withDatagram<R>(_ index: Int, _ body: (RawSpan, Arrival) -> R) -> R {
        let datagram = unsafe csys_received(batch, Int32(index))
        let arrival = unsafe Arrival(
            from: Endpoint(datagram.from), ageMilliseconds: datagram.age / 1_000_000,
            isTruncated: datagram.is_truncated != 0)
        // Sound: the slot holds `count` bytes until the next receive, which cannot happen while `self` is borrowed.
        return unsafe body(UnsafeRawBufferPointer(start: datagram.bytes, count: Int(datagram.count)).bytes, arrival)
    }
}

/// Reused headers for up to `slots` datagrams at a time.
@safe package struct SendBatch: ~Copyable {
    package static let slots = 64
    private let batch: OpaquePointer
    /// Datagrams with a token that the last `send` could not send and never could: no route, too large, forbidden.
    package private(set) var unsendable: [Datagram] = []

    package init() {
        guard let created = unsafe csys_send_batch_create(Int32(Self.slots)) else {
            preconditionFailure("no memory for \(Self.slots) send slots")
        }
        unsafe batch = created
    }

    // Sound, here and below: as for ReceiveBatch.
    deinit { unsafe csys_send_batch_destroy(batch) }

    /// Sends every datagram of the outbox, in order, each from its own socket. What cannot be sent is counted and
    /// skipped: SIP retransmits, and waiting would delay every other call. What never could stands in `unsendable`.
    /// - Returns: How many of them are for connections, and were left alone.
    @discardableResult
    package mutating func send(
        _ outbox: borrowing Outbox, through sockets: [UDPSocket?], counting counters: inout TransportCounters
    ) -> Int {
        let datagrams = outbox.datagrams
        unsendable.removeAll(keepingCapacity: true)
        var index = 0
        var left = 0
        // Sound: the arena is borrowed until the last of its bytes has been handed to the kernel, and each range is
        // checked against it.
        unsafe outbox.arena.withUnsafeBytes { arena in
            while index < datagrams.count {
                guard datagrams[index].isForUDP else {
                    left += 1
                    index += 1
                    continue
                }
                let listener = Int(datagrams[index].from.rawValue)
                guard listener < sockets.count, let socket = sockets[listener] else {
                    counters.unknownListener += 1
                    index += 1
                    continue
                }
                let first = index
                var free: Int32 = 1
                while index < datagrams.count, free > 0, Int(datagrams[index].from.rawValue) == listener {
                    let datagram = datagrams[index]
                    guard datagram.isForUDP else { break }
                    var to = csys_endpoint(datagram.to)
                    let bytes = unsafe UnsafeRawBufferPointer(rebasing: arena[datagram.range.range])
                    free = unsafe csys_send_add(
                        batch, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(bytes.count), &to)
                    index += 1
                }
                flush(socket, datagrams[first..<index], &counters)
            }
        }
        return left
    }

    private mutating func flush(
        _ socket: UDPSocket, _ datagrams: ArraySlice<Datagram>, _ counters: inout TransportCounters
    ) {
        let count = unsafe csys_send_count(batch)
        var first: Int32 = 0
        while first < count {
            let sent = unsafe csys_send(batch, socket.descriptor, first)
            if sent > 0 {
                counters.datagramsSent += Int(sent)
                counters.sendCalls += 1
                first += sent
            } else {
                // A refusal reported for an earlier datagram says nothing of this one; it is lost like any datagram
                // may be.
                if sent != -ECONNREFUSED { counters.sendErrors[-sent, default: 0] += 1 }
                let datagram = datagrams[datagrams.startIndex + Int(first)]
                if datagram.token != 0, Self.isFinal(-sent) { unsendable.append(datagram) }
                first += 1
            }
        }
        unsafe csys_send_clear(batch)
    }

    /// Whether an error is the datagram's own, so that sending it again is no use (RFC 3261 §18.4).
    private static func isFinal(_ code: Int32) -> Bool {
        switch code {
        case ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT, EACCES, EPERM, EMSGSIZE, EINVAL: true
        default: false
        }
    }
}
