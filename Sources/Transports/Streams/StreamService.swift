// StreamService is SIP over TCP, TLS, WebSocket and secure WebSocket: listeners and connections on one event loop
// thread of its own. The SIP thread speaks to it in batches and never waits for it.
//
//   SIP thread ──orders of one turn, one execute──▶ event loop ──▶ connections
//              ◀──────StreamInbox, one kick a read──            ◀──
//
// Limits are in `StreamSettings`; each is counted where it is reached. Certificates are read anew by
// `reloadCertificates`, and hold for the connections that come after.

import Glibc
import NIOCore
import NIOPosix
package import Nanomsg
package import SIP

package final class StreamService: Sendable {
    package let inbox: StreamInbox
    /// Where connections are accepted, in the order of the settings; a port of 0 has become the one that was given.
    package let endpoints: [Endpoint]
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let engine: NIOLoopBoundBox<StreamEngine>
    private let listeners: [any Channel]
    private let outbox = StreamOutbox()
    private let tls: TLSFiles?

    private init(
        _ inbox: StreamInbox, _ group: MultiThreadedEventLoopGroup, _ engine: NIOLoopBoundBox<StreamEngine>,
        _ listeners: [any Channel], _ endpoints: [Endpoint], _ tls: TLSFiles?
    ) {
        self.inbox = inbox
        self.group = group
        loop = group.next()
        self.engine = engine
        self.listeners = listeners
        self.endpoints = endpoints
        self.tls = tls
    }

    /// Opens every listener.
    /// - Parameter signal: Kicked when something waits in `inbox`.
    /// - Throws: The first thing that is wrong; nothing is left open then.
    package static func start(_ settings: StreamSettings, signal: Signal) async throws(StreamError) -> StreamService {
        let needsTLS = settings.listeners.contains { $0.endpoint.transport == .tls || $0.endpoint.transport == .wss }
        guard settings.tls != nil || !needsTLS else { throw StreamError(.noCertificate) }
        var contexts: TLSContexts?
        if let files = settings.tls { contexts = try TLSContexts(files) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let inbox = StreamInbox(signal: signal)
        let made = contexts
        let engine = NIOLoopBoundBox.makeBoxSendingValue(
            StreamEngine(settings, inbox, made, loop: loop), as: StreamEngine.self, eventLoop: loop)
        var listeners: [any Channel] = []
        var endpoints: [Endpoint] = []
        do throws(StreamError) {
            for listener in settings.listeners {
                let channel = try await bind(listener, loop, engine)
                listeners.append(channel)
                endpoints.append(Endpoint(channel.localAddress, listener.endpoint.transport) ?? listener.endpoint)
            }
        } catch {
            for channel in listeners { try? await channel.close() }
            try? await group.shutdownGracefully()
            throw error
        }
        loop.execute {
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: engine.value.sweepInterval) { _ in
                engine.value.sweep()
            }
        }
        return StreamService(inbox, group, engine, listeners, endpoints, settings.tls)
    }

    private static func bind(
        _ listener: StreamSettings.Listener, _ loop: any EventLoop, _ engine: NIOLoopBoundBox<StreamEngine>
    ) async throws(StreamError) -> any Channel {
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try engine.value.accept(channel, on: listener) }
            }
        do {
            return try await bootstrap.bind(to: SocketAddress(listener.endpoint)).get()
        } catch let error as IOError {
            switch error.errnoCode {
            case EADDRINUSE: throw StreamError(.addressInUse, at: listener.endpoint)
            case EADDRNOTAVAIL: throw StreamError(.addressNotAvailable, at: listener.endpoint)
            case EACCES, EPERM: throw StreamError(.notPermitted, at: listener.endpoint)
            default: throw StreamError(.other("\(error)"), at: listener.endpoint)
            }
        } catch {
            throw StreamError(.other("\(error)"), at: listener.endpoint)
        }
    }

    /// Hands over every message that does not leave by UDP; never waits.
    ///
    /// - Parameter refuse: Gets what finds no room, because the event loop is too far behind.
    package func send(_ datagrams: [Datagram], of arena: [UInt8], refuse: (Datagram) -> Void) {
        guard outbox.put(datagrams, of: arena, refuse: refuse) else { return }
        let (engine, outbox) = (engine, outbox)
        loop.execute { engine.value.perform(outbox) }
    }

    package func counters() async -> StreamCounters {
        let engine = engine
        return (try? await loop.submit { engine.value.counters }.get()) ?? StreamCounters()
    }

    /// Reads certificates and keys anew; on an error those before stay.
    package func reloadCertificates() async throws(StreamError) {
        guard let tls else { throw StreamError(.noCertificate) }
        let contexts = try TLSContexts(tls)
        let engine = engine
        // Waited for: a connection that comes after the return must find the new ones, also on a loop that is behind.
        try? await loop.submit {
            engine.value.tls = contexts
            engine.value.counters.certificateReloads += 1
        }.get()
    }

    /// Ends all connections and the thread. What has been handed over before is sent as far as peers take it.
    package func stop() async {
        let engine = engine
        for listener in listeners { try? await listener.close() }
        _ = try? await loop.flatSubmit { engine.value.stop() }.get()
        try? await group.shutdownGracefully()
    }
}
