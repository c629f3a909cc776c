// `management.ctl`: BINRPC over connections, on a Unix socket or on a TCP port of loopback, as Kamailio's `ctl` has it
// for kamcmd. A connection's requests are answered one after another, in their order.
//
// Limits: `connectionLimit` connections at a time, `BINRPC.sizeLimit` bytes of a request, `backlogLimit` requests of
// one connection that wait, after which nothing is read from it, `idleTime` without a request, `DoorRate`.

import Glibc
import NIOCore
import NIOPosix
import Node
import SIP

final class ControlDoor: Sendable {
    static let connectionLimit = 256
    static let backlogLimit = 16
    static let idleTime = TimeAmount.minutes(10)
    static let key = "management.ctl"

    private let listener: any Channel
    private let file: DoorFile?

    private init(_ listener: any Channel, _ file: DoorFile?) {
        self.listener = listener
        self.file = file
    }

    static func open(
        _ address: ControlAddress, _ server: BinaryServer, _ group: any EventLoopGroup
    ) async throws(DoorError) -> ControlDoor {
        let (rate, connections) = (DoorRate(), BoundedCount(limit: connectionLimit, drops: server.drops))
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.take() else { throw ChannelError.eof }
                    channel.closeFuture.whenComplete { _ in connections.giveBack() }
                    try channel.pipeline.syncOperations.addHandlers([
                        IdleStateHandler(readTimeout: idleTime), ControlHandler(server, rate),
                    ])
                }
            }
        switch address {
        case .unix(let path):
            let file = DoorFile(path: path, key: key)
            try await file.clearForSocket {
                let probe = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get()
                try? await probe?.close()
                return probe != nil
            }
            do {
                let listener = try await bootstrap.bind(unixDomainSocketPath: path).get()
                try file.protect()
                return ControlDoor(listener, file)
            } catch {
                throw DoorError(key: key, reason: "cannot listen on \(path): \(error)")
            }
        case .tcp(let endpoint):
            do {
                let listener = try await bootstrap.bind(host: endpoint.address.text, port: Int(endpoint.port)).get()
                return ControlDoor(listener, nil)
            } catch let error as IOError where error.errnoCode == EADDRINUSE {
                throw DoorError(key: key, reason: "cannot listen on tcp \(endpoint.text): the address is in use")
            } catch {
                throw DoorError(key: key, reason: "cannot listen on tcp \(endpoint.text): \(error)")
            }
        }
    }

    func close() async {
        try? await listener.close()
        file?.remove()
    }
}

private final class ControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: BinaryServer
    private let rate: DoorRate
    private var received: [UInt8] = []
    private var waiting: [BINRPC.Request] = []
    private var isAnswering = false

    init(_ server: BinaryServer, _ rate: DoorRate) {
        self.server = server
        self.rate = rate
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        takeRequests(context)
    }

    private func takeRequests(_ context: ChannelHandlerContext) {
        var rest = received[...]
        defer { received = Array(rest) }
        while waiting.count < ControlDoor.backlogLimit {
            do throws(BINRPC.Fault) {
                let (request, length) = try BINRPC.request(rest)
                rest = rest.dropFirst(length)
                waiting.append(request)
            } catch {
                switch error {
                case .incomplete: break
                case .malformed(let length):
                    rest = rest.dropFirst(length)
                    continue
                case .notBINRPC, .tooLong: context.close(promise: nil)
                }
                break
            }
        }
        // What is not taken now waits with its sender.
        context.channel.setOption(.autoRead, value: waiting.count < ControlDoor.backlogLimit).whenFailure { _ in }
        answerNext(context)
    }

    private func answerNext(_ context: ChannelHandlerContext) {
        guard !isAnswering, !waiting.isEmpty else { return }
        isAnswering = true
        let request = waiting.removeFirst()
        let (server, isTaken) = (server, rate.takes())
        let promise = context.eventLoop.makePromise(of: [UInt8].self)
        promise.completeWithTask {
            isTaken ? await server.answer(request) : server.refuse(request, Dispatcher.tooFast)
        }
        promise.futureResult.assumeIsolated().whenSuccess { bytes in
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            self.isAnswering = false
            self.takeRequests(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent, !isAnswering { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
