// The stream's two sockets. SUB listens and PUB connects, never the other way about: sixteen bytes from a stranger
// make a listening PUB abort the whole process, while a connecting one takes bytes only from the address that it
// dialled.
//
// PUB drops in silence: a subscriber that cannot keep up, or is not there, misses messages and nobody is told. That
// is why frames are numbered and repaired one level up.

import CNanomsg

/// Sends each message to every connected subscriber that can take it now. Never waits.
package struct PublishSocket: ~Copyable, Sendable {
    private let handle: SocketHandle

    package init(isIPv6: Bool) throws(NanomsgError) {
        handle = try SocketHandle(CNN_PUB, isIPv6: isIPv6, receiveTimeout: 100)
    }

    /// Connects to a subscriber, now and whenever the connection is lost.
    package func connect(to address: BusAddress) throws(NanomsgError) -> Int32 {
        try handle.connect(address)
    }

    /// Drops a connection; made anew, that is the cure for one that the library takes for alive and is not.
    package func disconnect(_ endpoint: Int32) throws(NanomsgError) { try handle.disconnect(endpoint) }

    /// Publishes one message; the bytes are copied before return. Success means "handed to the library", no more.
    package func publish(_ message: RawSpan) throws(NanomsgError) {
        try handle.send(message)
    }

    /// Connections the library believes in; a hint.
    package var connections: Int { Int(clamping: handle.statistic(NN_STAT_CURRENT_CONNECTIONS)) }
    /// Connections lost, and attempts that failed, since the socket was opened.
    package var brokenConnections: Int { Int(clamping: handle.statistic(NN_STAT_BROKEN_CONNECTIONS)) }
    package var failedAttempts: Int { Int(clamping: handle.statistic(NN_STAT_CONNECT_ERRORS)) }
}

/// Receives every message of every publisher that has connected to it. Who sent it is for the message to say.
package struct SubscribeSocket: ~Copyable, Sendable {
    private let handle: SocketHandle

    /// - Parameter timeout: Milliseconds after which `receive` comes back empty-handed; a blocked receiver notices a
    /// stop
    ///   only then.
    package init(listeningOn address: BusAddress, timeout: Int32) throws(NanomsgError) {
        let handle = try SocketHandle(CNN_SUB, isIPv6: address.isIPv6, receiveTimeout: timeout)
        try handle.subscribeToAll()
        try handle.bind(address)
        self.handle = handle
    }

    /// Waits for a message, at most the timeout given at creation.
    package func receive() throws(NanomsgError) -> NanomsgMessage? { try handle.receive() }
}
