// `management.jsonrpc_socket`: JSON-RPC by datagrams on a Unix socket, as Kamailio's jsonrpcs has it for kamcli. The
// answer goes to the socket that asked; who has none gets none.
//
// Limits: `JSONFraming.sizeLimit` bytes of a request; `answerLimit` bytes of an answer, which is what the system passes
// on by default: a longer one is an error that says so; `pendingLimit` requests at a time; `DoorRate`.

import NIOCore
import NIOPosix
import Node

final class DatagramDoor: Sendable {
    static let answerLimit = 200_000
    static let pendingLimit = 64
    static let key = "management.jsonrpc_socket"

    private let channel: any Channel
    private let file: DoorFile

    private init(_ channel: any Channel, _ file: DoorFile) {
        self.channel = channel
        self.file = file
    }

    static func open(
        _ path: String, _ server: TextServer, _ group: any EventLoopGroup
    ) async throws(DoorError) -> DatagramDoor {
        let file = DoorFile(path: path, key: key)
        try await file.clearForSocket {
            let probe = try? await DatagramBootstrap(group: group).connect(unixDomainSocketPath: path).get()
            try? await probe?.close()
            return probe != nil
        }
        let bootstrap = DatagramBootstrap(group: group)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: JSONFraming.sizeLimit + 1)
            )
            .channelOption(.socketOption(.so_sndbuf), value: 1 << 20)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramHandler(server))
                }
            }
        do {
            let channel = try await bootstrap.bind(unixDomainSocketPath: path).get()
            try file.protect()
            return DatagramDoor(channel, file)
        } catch {
            throw DoorError(key: key, reason: "cannot listen on \(path): \(error)")
        }
    }

    func close() async {
        try? await channel.close()
        file.remove()
    }
}

private final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let server: TextServer
    private let rate = DoorRate()
    private let pending: BoundedCount

    init(_ server: TextServer) {
        self.server = server
        pending = BoundedCount(limit: DatagramDoor.pendingLimit, drops: server.drops)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        let bytes = Array(envelope.data.readableBytesView)
        guard pending.take() else { return }
        let (server, isTaken) = (server, rate.takes())
        let promise = context.eventLoop.makePromise(of: [UInt8].self)
        promise.completeWithTask { await server.answer(bytes, isTaken: isTaken, limit: DatagramDoor.answerLimit) }
        promise.futureResult.assumeIsolated().whenSuccess { answer in
            self.pending.giveBack()
            guard !answer.isEmpty else { return }
            let reply = AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))
            context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil)
        }
    }

    /// Who has asked may be gone by the time of the answer.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
