// The repair socket's two ends: REP listens beside the SUB, one REQ a peer connects to it.
//
// Both work in lock step: a REQ has one request outstanding, a REP one request being answered. nanomsg resends a
// request when its connection breaks, so requests are idempotent; the timed resend is set so far off that it never
// happens (0 would resend without end, -1 aborts the process). A request nobody answered is abandoned by closing its
// socket.

import CNanomsg

/// Asks one peer, one question at a time.
package struct RequestSocket: ~Copyable, Sendable {
    private let handle: SocketHandle

    /// - Parameter timeout: Milliseconds after which `receive` comes back with nothing; the request stays outstanding.
    package init(connectingTo address: BusAddress, timeout: Int32) throws(NanomsgError) {
        let handle = try SocketHandle(CNN_REQ, isIPv6: address.isIPv6, receiveTimeout: timeout)
        try handle.set(CNN_REQ, NN_REQ_RESEND_IVL, 600_000)
        _ = try handle.connect(address)
        self.handle = handle
    }

    /// Sends a request; the one before, if unanswered, is forgotten. Without a connection the library keeps it for
    /// later.
    package func send(_ request: RawSpan) throws(NanomsgError) { try handle.send(request) }

    /// Waits for the answer, at most the timeout given at creation.
    package func receive() throws(NanomsgError) -> NanomsgMessage? { try handle.receive() }
}

/// Answers the requests of all peers, one at a time.
package struct ReplySocket: ~Copyable, Sendable {
    private let handle: SocketHandle

    package init(listeningOn address: BusAddress, timeout: Int32) throws(NanomsgError) {
        let handle = try SocketHandle(CNN_REP, isIPv6: address.isIPv6, receiveTimeout: timeout)
        try handle.bind(address)
        self.handle = handle
    }

    /// Waits for a request. Receiving again without a reply abandons the request before.
    package func receive() throws(NanomsgError) -> NanomsgMessage? { try handle.receive() }

    /// Answers the request received last.
    package func send(_ reply: RawSpan) throws(NanomsgError) { try handle.send(reply) }
}
