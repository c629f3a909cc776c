// SendQueue collects the datagrams that one event gives rise to: their bytes stand one behind the other in one arena,
// so nothing is allocated for them once the arena has grown. The shell sends them in order and empties the queue.
//
// A message over TCP, TLS or WebSocket is a datagram here too: its transport says that it goes to a connection, and its
// flow, if it has one, to which. Over TLS it may have a name, which stands behind its bytes in the arena.
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

/// One connection of this process, from its opening to its end; a number is never given twice. Even ones were opened by
/// the peer, odd ones by us.
package struct FlowID: Hashable, Sendable {
    package var rawValue: UInt64

    /// Written out as that of `Method`.
    package static func == (left: FlowID, right: FlowID) -> Bool { left.rawValue == right.rawValue }

    /// We opened it, so there is somebody to connect to.
    package var isOutgoing: Bool { rawValue & 1 != 0 }

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// No connection: UDP, or whichever connection leads to the endpoint.
    package static let none = FlowID(rawValue: 0)
}

package struct Datagram: Hashable, Sendable {
    /// Where its bytes are in the arena.
    package var range: ByteRange
    package var to: Endpoint
    package var from: ListenerID
    /// The connection that it goes over. Without one, or when that has ended: the connection to `to`, opened if need
    /// be; a `to` with port 0 leads nowhere else.
    package var flow: FlowID
    /// Names the message when it is told that it could not be sent; 0: nobody cares.
    package var token: UInt64
    /// Where in the arena the name is that `to` was looked up by, and which its certificate must show (RFC 5922); empty
    /// when it was given as an address.
    package var serverName: ByteRange
    /// What whoever keeps it need not look for; `nil` where that is not known.
    package var outline: MessageOutline?

    package init(
        range: ByteRange, to: Endpoint, from: ListenerID, flow: FlowID = .none, token: UInt64 = 0,
        serverName: ByteRange = .empty
    ) {
        self.range = range
        self.to = to
        self.from = from
        self.flow = flow
        self.token = token
        self.serverName = serverName
    }

    /// It leaves by a UDP socket.
    @inline(__always)
    package var isForUDP: Bool { to.transport == .udp && flow == .none }
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
    package mutating func send(
        to: Endpoint, from: ListenerID, flow: FlowID = .none, token: UInt64 = 0, serverName: [UInt8] = [],
        outline: MessageOutline? = nil, _ fill: (inout ByteWriter) -> Void
    ) {
        let start = arena.count
        fill(&arena)
        let range = ByteRange(start: start, end: arena.count)
        guard !range.isEmpty else { return }
        var datagram = Datagram(range: range, to: to, from: from, flow: flow, token: token)
        datagram.outline = outline
        if !serverName.isEmpty {
            arena.put(serverName)
            datagram.serverName = ByteRange(start: Int(range.end), end: arena.count)
        }
        datagrams.append(datagram)
    }

    package mutating func send(
        _ bytes: [UInt8], to: Endpoint, from: ListenerID, flow: FlowID = .none, token: UInt64 = 0,
        serverName: [UInt8] = [], outline: MessageOutline? = nil
    ) {
        send(to: to, from: from, flow: flow, token: token, serverName: serverName, outline: outline) { $0.put(bytes) }
    }
}
