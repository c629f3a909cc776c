// StreamConnection is what the event loop knows of one connection.
//
//     opening ──handshake, upgrade──▶ open
//        │                             │
//        └─────────────────────────────┴──fault, limit, time, end of the peer──▶ closing ──▶ gone
//
// Invariants: it belongs to the event loop; while it is opening, what is to be sent waits in `queue`; `pendingBytes`
// counts those and what the channel has not written.
//
// Tried and dropped: to keep a connection whose peer sends no more for the answers under way. It looks the same as one
// whose peer has gone, so flows stayed in use that led nowhere, and their messages were lost. Closed at once, answers
// go over a new connection (RFC 3261 §18.2.2).

import NIOCore
import Primitives
import SIP

final class StreamConnection {
    enum Phase: Equatable {
        /// Connecting, shaking hands or upgrading.
        case opening
        case open
        case closing
    }

    let flow: FlowID
    let listener: ListenerID
    /// The other end, with the transport.
    let remote: Endpoint
    /// The name that a TLS server was asked by and must show; empty for one given as an address, and for a client.
    let serverName: String
    let isOutgoing: Bool
    /// `nil` until a connection that we open is there.
    var channel: (any Channel)?
    var phase = Phase.opening
    /// When the phase must have ended; opening and closing have one.
    var deadline: NIODeadline?
    var lastActivity: NIODeadline
    /// When the first byte of a message came whose last byte has not.
    var partialSince: NIODeadline?
    var pendingBytes = 0
    var queue: [(bytes: ByteBuffer, token: UInt64)] = []
    var needsFlush = false
    /// Endpoints beside `remote` that lead here (RFC 5923).
    var aliases: [Endpoint] = []
    var aliasChecks = StreamSettings.aliasChecks

    init(
        flow: FlowID, listener: ListenerID, remote: Endpoint, serverName: String, isOutgoing: Bool, now: NIODeadline,
        deadline: NIODeadline
    ) {
        self.flow = flow
        self.listener = listener
        self.remote = remote
        self.serverName = serverName
        self.isOutgoing = isOutgoing
        self.deadline = deadline
        lastActivity = now
    }

    var isWritable: Bool { phase != .closing }
}

extension SocketAddress {
    init(_ endpoint: Endpoint) throws {
        try self.init(ipAddress: endpoint.address.text, port: Int(endpoint.port))
    }
}

extension Endpoint {
    /// By way of text, once a connection.
    init?(_ address: SocketAddress?, _ transport: TransportProtocol) {
        guard let text = address?.ipAddress, let port = address?.port, let address = Address(text: text) else {
            return nil
        }
        self.init(address: address, port: UInt16(truncatingIfNeeded: port), transport: transport)
    }
}

extension Duration {
    var amount: TimeAmount { .nanoseconds(saturatedNanoseconds) }
}
