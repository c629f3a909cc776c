// StreamEngine is the event loop's side of the StreamService: which connections there are, which one a message goes
// over, and what each may cost. Everything here runs on the one event loop.
//
//   order (flow, endpoint) ──▶ the flow's connection, if it is there
//                              else the connection of the endpoint: remote address, or a port its peer offered (alias)
//                              else a new one (tcp and tls: nobody can connect to a browser)
//                              else "failed", with the order's token
//
// An order with a name goes only over a connection that we opened by that name, so whoever gets the message has shown a
// certificate for it (RFC 5922, RFC 5923 §5.2). One without, for a Contact or a Route of digits, takes any that leads
// to the endpoint: gateways with a name's certificate write their address there, and have shown who they are.
//
// Invariants: a connection is in `connections` from its acceptance, or from the attempt to open it, until it has ended,
// and counts for the limits just as long; what it still had to send is then told as failed, and after that its end.
//
// Time is looked at by one repeated task: cancelling a timer of the event loop is linear in their number. So a limit of
// time is noticed up to a quarter of itself late, or a second.

import NIOCore
import NIOPosix
import NIOSSL
import Nanomsg
import Primitives
import SIP

/// Why a connection is not accepted; it is closed and was counted.
enum StreamRefusal: Error {
    case gone, limit, sourceLimit, noTLS
}

/// A TLS server, by where it is and what it was looked up by: one address may serve many names.
private struct NamedEndpoint: Hashable {
    var endpoint: Endpoint
    var name: String
}

final class StreamEngine {
    let settings: StreamSettings
    let loop: any EventLoop
    let inbox: StreamInbox
    var counters = StreamCounters()
    var tls: TLSContexts?
    private var connections: [FlowID: StreamConnection] = [:]
    private var byEndpoint: [Endpoint: FlowID] = [:]
    private var byName: [NamedEndpoint: FlowID] = [:]
    private var perSource: [Address: Int] = [:]
    private var nextFlow: UInt64 = 1
    private var orders = StreamOrders()
    private var touched: [StreamConnection] = []
    private var arrived = StreamEvents()
    private var reader = Message()
    private var writer = ByteWriter()
    private var isStopping = false

    init(_ settings: StreamSettings, _ inbox: StreamInbox, _ tls: TLSContexts?, loop: any EventLoop) {
        self.settings = settings
        self.inbox = inbox
        self.tls = tls
        self.loop = loop
    }

    // MARK: Accepting and opening

    /// Takes in a connection that a listener has accepted.
    func accept(_ channel: any Channel, on listener: StreamSettings.Listener) throws {
        guard !isStopping, let remote = Endpoint(channel.remoteAddress, listener.endpoint.transport) else {
            throw StreamRefusal.gone
        }
        guard connections.count < settings.connectionLimit else {
            counters.refusedAtLimit += 1
            throw StreamRefusal.limit
        }
        guard
            settings.exemptSources.contains(remote.address)
                || perSource[remote.address, default: 0] < settings.connectionsPerSource
        else {
            counters.refusedAtSourceLimit += 1
            throw StreamRefusal.sourceLimit
        }
        let connection = insert(remote, listener.id, isOutgoing: false, within: settings.messageTimeout)
        connection.channel = channel
        counters.accepted += 1
        try configure(connection, channel)
    }

    private func insert(
        _ remote: Endpoint, named name: String = "", _ listener: ListenerID, isOutgoing: Bool, within limit: Duration
    ) -> StreamConnection {
        let now = NIODeadline.now()
        let connection = StreamConnection(
            flow: FlowID(rawValue: nextFlow << 1 | (isOutgoing ? 1 : 0)), listener: listener, remote: remote,
            serverName: name, isOutgoing: isOutgoing, now: now, deadline: now + limit.amount)
        nextFlow += 1
        connections[connection.flow] = connection
        if name.isEmpty {
            byEndpoint[remote] = connection.flow
        } else {
            byName[NamedEndpoint(endpoint: remote, name: name)] = connection.flow
        }
        if !isOutgoing { perSource[remote.address, default: 0] += 1 }
        counters.connections = connections.count
        return connection
    }

    /// Gives a channel its handlers.
    private func configure(_ connection: StreamConnection, _ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        // Whatever ends it, also while it is being upgraded: the channel is closed exactly once.
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.ended(connection) }
        if connection.remote.transport == .tls || connection.remote.transport == .wss {
            guard let tls else { throw StreamRefusal.noTLS }
            if connection.isOutgoing {
                let name = connection.serverName
                try pipeline.addHandler(
                    NIOSSLClientHandler(context: tls.client, serverHostname: name.isEmpty ? nil : name))
            } else {
                try pipeline.addHandler(NIOSSLServerHandler(context: tls.server))
            }
        }
        switch connection.remote.transport {
        case .ws, .wss: try WebSocketHandler.configure(pipeline, self, connection)
        case .tcp, .tls, .udp, .other: try pipeline.addHandler(StreamHandler(self, connection))
        }
        if connection.remote.transport == .tcp, !connection.isOutgoing { opened(connection) }
    }

    /// Begins a connection; what is to be sent waits in it.
    private func open(to remote: Endpoint, named name: String, from listener: ListenerID) -> StreamConnection? {
        guard !isStopping, remote.port != 0, !remote.address.isUnspecified,
            remote.transport == .tcp || (remote.transport == .tls && tls != nil)
        else { return nil }
        guard connections.count < settings.connectionLimit else {
            counters.refusedAtLimit += 1
            return nil
        }
        let connection = insert(remote, named: name, listener, isOutgoing: true, within: settings.connectTimeout)
        let flow = connection.flow
        let engine = NIOLoopBound(self, eventLoop: loop)
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(settings.connectTimeout.amount)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try engine.value.connected(flow, channel) }
            }
        let local = settings.listeners.first { $0.id == listener }?.endpoint.address
        if let local, local.isIPv6 == remote.address.isIPv6,
            let name = try? SocketAddress(ipAddress: local.text, port: 0)
        {
            bootstrap = bootstrap.bind(to: name)
        }
        guard let target = try? SocketAddress(remote) else {
            ended(connection)
            return nil
        }
        bootstrap.connect(to: target).assumeIsolated().whenComplete { result in
            switch result {
            case .success: if remote.transport == .tcp { self.opened(connection) }
            case .failure: self.ended(connection)
            }
        }
        return connection
    }

    private func connected(_ flow: FlowID, _ channel: any Channel) throws {
        guard let connection = connections[flow] else { throw StreamRefusal.gone }
        connection.channel = channel
        try configure(connection, channel)
    }

    /// Connected, encrypted and upgraded: what waited is sent.
    func opened(_ connection: StreamConnection) {
        guard connection.phase == .opening else { return }
        connection.phase = .open
        connection.deadline = nil
        connection.lastActivity = .now()
        if connection.isOutgoing { counters.opened += 1 }
        if !connection.serverName.isEmpty, byEndpoint[connection.remote] == nil {
            byEndpoint[connection.remote] = connection.flow
        }
        let queue = connection.queue
        connection.queue = []
        for (bytes, token) in queue { write(bytes, token, to: connection) }
        connection.channel?.flush()
    }

    // MARK: Receiving

    /// Something came, if only a keep-alive.
    func heard(_ connection: StreamConnection) { connection.lastActivity = .now() }

    /// A whole message; `readComplete` passes on what one read brought.
    func deliver(_ message: RawSpan, _ connection: StreamConnection) {
        counters.messagesReceived += 1
        if connection.aliasChecks > 0 { lookForAlias(message, connection) }
        arrived.append(
            .message(from: connection.remote, on: connection.listener, flow: connection.flow), message)
    }

    func readComplete(_ connection: StreamConnection) {
        guard !inbox.put(&arrived) else { return }
        counters.inboxClosed += 1
        close(connection)
    }

    /// The port that the peer offers for requests to it; of its own address only, and never another connection's.
    private func lookForAlias(_ message: RawSpan, _ connection: StreamConnection) {
        connection.aliasChecks -= 1
        guard connection.remote.transport == .tcp || connection.remote.transport == .tls,
            let port = StreamAlias.port(of: message, reader: &reader)
        else { return }
        var offered = connection.remote
        offered.port = port
        guard byEndpoint[offered] != connection.flow else { return }
        guard byEndpoint[offered] == nil, connection.aliases.count < StreamSettings.aliasLimit else {
            counters.aliasesRefused += 1
            return
        }
        byEndpoint[offered] = connection.flow
        connection.aliases.append(offered)
        counters.aliases += 1
    }

    /// What to write back for a fault; empty when there is nothing to say.
    func answer(_ fault: StreamFault, _ head: RawSpan, _ connection: StreamConnection) -> ByteBuffer {
        counters.faults += 1
        writer.removeAll()
        StreamAnswer.write(fault, head: head, source: connection.remote, reader: &reader, into: &writer)
        if !writer.isEmpty { counters.faultsAnswered += 1 }
        return ByteBuffer(bytes: writer.bytes)
    }

    // MARK: Sending

    /// Sends what the SIP thread has put into `outbox`, each connection flushed once.
    func perform(_ outbox: StreamOutbox) {
        var batch = StreamOrders()
        swap(&batch, &orders)
        outbox.take(into: &batch)
        send(batch)
        swap(&batch, &orders)
        for connection in touched {
            connection.needsFlush = false
            connection.channel?.flush()
        }
        touched.removeAll(keepingCapacity: true)
    }

    private func send(_ batch: StreamOrders) {
        let arena = RawSpan(_elements: batch.arena.span)
        for order in batch.orders {
            let name = String(decoding: batch.arena[order.serverName], as: UTF8.self)
            guard let connection = connection(for: order, named: name) else {
                counters.sendsFailed += 1
                fail(order.to, order.flow, order.token)
                continue
            }
            var bytes = ByteBufferAllocator().buffer(capacity: order.bytes.count)
            bytes.write(arena.extracting(order.bytes))
            send(bytes, order.token, over: connection)
        }
    }

    private func connection(for order: StreamOrders.Order, named name: String) -> StreamConnection? {
        if let connection = connections[order.flow], connection.isWritable { return connection }
        guard order.to.port != 0 else { return nil }
        let known = name.isEmpty ? byEndpoint[order.to] : byName[NamedEndpoint(endpoint: order.to, name: name)]
        if let flow = known, let connection = connections[flow], connection.isWritable { return connection }
        return open(to: order.to, named: name, from: order.from)
    }

    private func send(_ bytes: ByteBuffer, _ token: UInt64, over connection: StreamConnection) {
        guard connection.pendingBytes + bytes.readableBytes <= settings.writeLimit else {
            counters.backlogClosed += 1
            counters.sendsFailed += 1
            fail(connection.remote, connection.flow, token)
            close(connection)
            return
        }
        connection.pendingBytes += bytes.readableBytes
        if connection.phase == .opening {
            connection.queue.append((bytes, token))
            return
        }
        write(bytes, token, to: connection)
        if !connection.needsFlush {
            connection.needsFlush = true
            touched.append(connection)
        }
    }

    /// Hands bytes to the channel, which tells when the system has taken them, or that it never will.
    private func write(_ bytes: ByteBuffer, _ token: UInt64, to connection: StreamConnection) {
        guard let channel = connection.channel else { return unsent(bytes.readableBytes, token, connection) }
        let promise = loop.makePromise(of: Void.self)
        let count = bytes.readableBytes
        promise.futureResult.assumeIsolated().whenComplete { result in
            switch result {
            case .success:
                connection.pendingBytes -= count
                connection.lastActivity = .now()
                self.counters.messagesSent += 1
            case .failure: self.unsent(count, token, connection)
            }
        }
        channel.write(bytes, promise: promise)
    }

    private func unsent(_ count: Int, _ token: UInt64, _ connection: StreamConnection) {
        connection.pendingBytes -= count
        counters.sendsFailed += 1
        fail(connection.remote, connection.flow, token)
    }

    private func fail(_ to: Endpoint, _ flow: FlowID, _ token: UInt64) {
        if token != 0 { inbox.put(.failed(to: to, flow: flow, token: token)) }
    }

    // MARK: Ending

    /// Closes at once; `ended` follows.
    func close(_ connection: StreamConnection) {
        connection.phase = .closing
        connection.deadline = .distantFuture
        connection.partialSince = nil
        forgetEndpoints(connection)
        guard let channel = connection.channel else { return ended(connection) }
        channel.close(promise: nil)
    }

    /// Writes a last word and closes; the peer gets a moment to read it before the connection goes.
    func close(_ connection: StreamConnection, saying word: ByteBuffer) {
        guard let channel = connection.channel, word.readableBytes > 0 else { return close(connection) }
        connection.phase = .closing
        connection.deadline = .now() + StreamSettings.lingerTime.amount
        connection.partialSince = nil
        forgetEndpoints(connection)
        channel.writeAndFlush(word, promise: nil)
        channel.close(mode: connection.remote.transport == .tcp ? .output : .all, promise: nil)
    }

    /// Sends what was written, says that no more comes, and reads on, for nothing, until the peer has closed. A socket
    /// that is closed with bytes unread is reset, and what was still on its way to the peer is lost.
    private func finish(_ connection: StreamConnection) {
        guard connection.phase == .open, let channel = connection.channel else { return close(connection) }
        switch connection.remote.transport {
        case .tcp, .ws:
            connection.phase = .closing
            connection.deadline = .distantFuture
            connection.partialSince = nil
            forgetEndpoints(connection)
            channel.close(mode: .output, promise: nil)
        case .tls, .wss, .udp, .other: close(connection)  // TLS says goodbye by itself, and waits for the answer.
        }
    }

    /// It is gone: told once, after what it had still to send.
    func ended(_ connection: StreamConnection) {
        guard connections.removeValue(forKey: connection.flow) != nil else { return }
        if connection.isOutgoing, connection.phase == .opening { counters.connectsFailed += 1 }
        connection.phase = .closing
        forgetEndpoints(connection)
        if !connection.isOutgoing { releaseSource(connection.remote.address) }
        counters.connections = connections.count
        let queue = connection.queue
        connection.queue = []
        for (bytes, token) in queue { unsent(bytes.readableBytes, token, connection) }
        // Where an error cut a read short, what it had brought is told before the end: its flow must not come up again.
        if !inbox.put(&arrived) { counters.inboxClosed += 1 }
        inbox.put(.closed(connection.flow))
    }

    private func releaseSource(_ address: Address) {
        let left = perSource[address, default: 1] - 1
        perSource[address] = left > 0 ? left : nil
    }

    private func forgetEndpoints(_ connection: StreamConnection) {
        for endpoint in connection.aliases + [connection.remote] where byEndpoint[endpoint] == connection.flow {
            byEndpoint[endpoint] = nil
        }
        connection.aliases = []
        let named = NamedEndpoint(endpoint: connection.remote, name: connection.serverName)
        if byName[named] == connection.flow { byName[named] = nil }
    }

    /// Ends what has taken too long.
    func sweep() {
        let now = NIODeadline.now()
        var over: [StreamConnection] = []
        for connection in connections.values where isOver(connection, now) { over.append(connection) }
        for connection in over { close(connection) }
    }

    private func isOver(_ connection: StreamConnection, _ now: NIODeadline) -> Bool {
        if let deadline = connection.deadline, now >= deadline {
            if connection.phase == .opening { counters.openingsTimedOut += 1 }
            return true
        }
        if let since = connection.partialSince, now - since >= settings.messageTimeout.amount {
            counters.slowClosed += 1
            return true
        }
        if connection.phase == .open, now - connection.lastActivity >= settings.idleTimeout.amount {
            counters.idleClosed += 1
            return true
        }
        return false
    }

    /// How often `sweep` is wanted.
    var sweepInterval: TimeAmount {
        let shortest = min(settings.idleTimeout, settings.messageTimeout, settings.connectTimeout)
        return min(max(shortest / 4, .milliseconds(5)), .seconds(1)).amount
    }

    /// Ends everything; nothing is accepted or opened after it.
    /// - Returns: When every connection has ended, `goodbyeTime` later at the latest.
    func stop() -> EventLoopFuture<Void> {
        isStopping = true
        let ends = connections.values.compactMap { $0.channel?.closeFuture }
        for connection in Array(connections.values) { finish(connection) }
        let late = loop.assumeIsolated().scheduleTask(in: StreamSettings.goodbyeTime.amount) {
            for connection in Array(self.connections.values) { self.close(connection) }
        }
        let ended = EventLoopFuture.andAllComplete(ends, on: loop)
        ended.assumeIsolated().whenComplete { _ in late.cancel() }
        return ended
    }
}

extension ByteBuffer {
    /// Appends a copy of the span's bytes.
    mutating func write(_ span: RawSpan) {
        // Sound: the pointer is read within the call only.
        _ = unsafe span.withUnsafeBytes { unsafe writeBytes($0) }
    }
}
