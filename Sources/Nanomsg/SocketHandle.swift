// SocketHandle owns one nanomsg socket, NanomsgMessage one received message: the only file that touches the C library's
// handles and pointers. Everything else of the module is built from these two.
//
// Invariants: a socket is closed exactly once, by its owner's deinit; a message is freed exactly once (twice is an
// abort() inside nanomsg). Every option is set here, before any bind or connect, to the values that were measured to
// be safe:
//   SNDBUF, RCVBUF 4 MiB  with the defaults, bursts of 20 frames of 16 KiB to several peers lost 2 %, with these
//                         nothing; the kernel caps them at net.core.[rw]mem_max
//   RCVMAXSIZE 1 MiB      -1 would mean that a length of 2^40 from a stranger aborts the process
//   RECONNECT_IVL 100     and IVL_MAX 0: nanomsg's backoff is never reset after a success
//   IPV4ONLY by family    0 together with an IPv4 literal aborts the process at the second connect
//   TCP_NODELAY 1
// Not attempted: raw sockets, devices, statistics as truth (a ghost connection counts as current), NN_LINGER (ignored).

import CNanomsg
import Glibc

/// The C handle of a socket; closed on destruction.
struct SocketHandle: ~Copyable, Sendable {
    /// Bytes of the largest message any node of a cluster takes; a longer one costs the sender its connection.
    static let messageLimit = 1_048_576

    private let number: Int32

    /// - Parameters:
    ///   - pattern: One of `CNN_PUB`, `CNN_SUB`, `CNN_REQ`, `CNN_REP`.
    ///   - receiveTimeout: Milliseconds after which a receive comes back with nothing.
    init(_ pattern: Int32, isIPv6: Bool, receiveTimeout: Int32) throws(NanomsgError) {
        number = nn_socket(AF_SP, pattern)
        guard number >= 0 else { throw NanomsgError(.open) }
        let buffer: Int32 = 4 << 20
        try set(NN_SOL_SOCKET, NN_SNDBUF, buffer)
        try set(NN_SOL_SOCKET, NN_RCVBUF, buffer)
        try set(NN_SOL_SOCKET, NN_RCVMAXSIZE, Int32(Self.messageLimit))
        try set(NN_SOL_SOCKET, NN_RECONNECT_IVL, 100)
        try set(NN_SOL_SOCKET, NN_RECONNECT_IVL_MAX, 0)
        try set(NN_SOL_SOCKET, NN_IPV4ONLY, isIPv6 ? 0 : 1)
        try set(NN_TCP, NN_TCP_NODELAY, 1)
        try set(NN_SOL_SOCKET, NN_RCVTIMEO, receiveTimeout)
        // No send of ours waits for more than kernel buffers; this bounds the case that was not thought of.
        try set(NN_SOL_SOCKET, NN_SNDTIMEO, 1_000)
    }

    deinit { _ = nn_close(number) }

    func set(_ level: Int32, _ option: Int32, _ value: Int32) throws(NanomsgError) {
        guard cnn_set_int(number, level, option, value) == 0 else { throw NanomsgError(.configure) }
    }

    func subscribeToAll() throws(NanomsgError) {
        guard cnn_subscribe_all(number) == 0 else { throw NanomsgError(.configure) }
    }

    func bind(_ address: BusAddress) throws(NanomsgError) {
        // Sound: the string outlives the call, which copies it.
        guard unsafe nn_bind(number, address.text) >= 0 else { throw NanomsgError(.listen, address: address.text) }
    }

    /// Starts connecting; the library goes on trying for as long as the endpoint exists.
    /// - Returns: The endpoint, for `disconnect`.
    func connect(_ address: BusAddress) throws(NanomsgError) -> Int32 {
        // Sound: as in `bind`.
        let endpoint = unsafe nn_connect(number, address.text)
        guard endpoint >= 0 else { throw NanomsgError(.connect, address: address.text) }
        return endpoint
    }

    func disconnect(_ endpoint: Int32) throws(NanomsgError) {
        guard nn_shutdown(number, endpoint) == 0 else { throw NanomsgError(.disconnect) }
    }

    /// Hands a message to the library, which copies it.
    func send(_ message: RawSpan) throws(NanomsgError) {
        guard message.byteCount <= Self.messageLimit - Self.headerAllowance else {
            throw NanomsgError(.send, .messageTooLarge(limit: Self.messageLimit - Self.headerAllowance))
        }
        // Sound: the pointer is used within the call only.
        let sent = unsafe message.withUnsafeBytes { unsafe nn_send(number, $0.baseAddress, $0.count, 0) }
        guard sent >= 0 else { throw NanomsgError(.send) }
    }

    /// Waits for a message, at most the receive timeout.
    /// - Returns: `nil` when none came in time.
    func receive() throws(NanomsgError) -> NanomsgMessage? {
        var pointer: UnsafeMutableRawPointer? = nil
        // Sound: on success the library hands over a buffer of `count` bytes, which NanomsgMessage owns from here.
        let count = unsafe cnn_receive(number, &pointer)
        if count >= 0, let pointer = unsafe pointer { return unsafe NanomsgMessage(pointer, count: Int(count)) }
        let code = nn_errno()
        guard code == EAGAIN || code == ETIMEDOUT || code == EINTR else { throw NanomsgError(.receive, code: code) }
        return nil
    }

    /// One of `NN_STAT_…`; a hint only: a connection that died in its first half millisecond counts as current for
    /// ever.
    func statistic(_ which: Int32) -> UInt64 { nn_get_statistic(number, which) }

    /// REQ and REP put up to a few hop words before the body, and they count.
    private static let headerAllowance = 64
}

/// A received message, in a buffer of the library that is freed with this value.
@safe package struct NanomsgMessage: ~Copyable {
    private let pointer: UnsafeMutableRawPointer
    package let count: Int

    fileprivate init(_ pointer: UnsafeMutableRawPointer, count: Int) {
        unsafe self.pointer = pointer
        self.count = count
    }

    deinit { _ = unsafe nn_freemsg(pointer) }

    /// Lends the message's bytes to `body`.
    package func withBytes<R>(_ body: (RawSpan) -> R) -> R {
        // Sound: the buffer has `count` bytes and lives as long as `self`, which is borrowed for the whole call.
        body(unsafe UnsafeRawBufferPointer(start: pointer, count: count).bytes)
    }
}
