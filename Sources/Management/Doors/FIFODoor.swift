// `management.jsonrpc_fifo` and `management.mi_fifo`: commands that are written into a FIFO, answered through another
// one that whoever asks has made in the reply folder, as kamctl does. Kamailio's jsonrpcs and its former MI have the
// same.
//
// Limits: `JSONFraming.sizeLimit`, `MICommand.sizeLimit` bytes of a request; `pendingLimit` requests at a time, more
// are let go and counted; `DoorRate`; an answer has `ReplyFIFO.patience` to be taken, and goes into a FIFO only: a
// symbolic link is not followed, and what is anything else, or has a second name, is left alone.

import Glibc
import NIOCore
import NIOPosix
import Node

final class FIFODoor: Sendable {
    enum Kind: Sendable {
        case json(TextServer)
        case mi(MIServer)
    }

    static let pendingLimit = 64

    private let channel: any Channel

    private init(_ channel: any Channel) { self.channel = channel }

    static func open(
        _ path: String, key: String, replies folder: String, _ kind: Kind, _ group: any EventLoopGroup
    ) async throws(DoorError) -> FIFODoor {
        let descriptor = try DoorFile(path: path, key: key).openFIFO()
        do {
            let channel = try await NIOPipeBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(FIFOHandler(kind, folder))
                    }
                }
                .takingOwnershipOfDescriptor(input: descriptor).get()
            return FIFODoor(channel)
        } catch {
            Glibc.close(descriptor)
            throw DoorError(key: key, reason: "cannot read \(path): \(error)")
        }
    }

    /// The FIFO stays: whoever has it open goes on writing into it, and it is taken over at the next start.
    func close() async { try? await channel.close() }
}

private final class FIFOHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let kind: FIFODoor.Kind
    private let folder: String
    private let rate = DoorRate()
    private var received: [UInt8] = []
    private let pending: BoundedCount

    init(_ kind: FIFODoor.Kind, _ folder: String) {
        self.kind = kind
        self.folder = folder
        let drops =
            switch kind {
            case .json(let server): server.drops
            case .mi(let server): server.drops
            }
        pending = BoundedCount(limit: FIFODoor.pendingLimit, drops: drops)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        switch kind {
        case .json(let server): while takesJSON(server, context.eventLoop) {}
        case .mi(let server): while takesMI(server, context.eventLoop) {}
        }
    }

    /// - Returns: Whether there may be another.
    private func takesJSON(_ server: TextServer, _ loop: any EventLoop) -> Bool {
        switch JSONFraming.read(received[...]) {
        case .incomplete: return false
        case .skipped(let length): received.removeFirst(length)
        case .object(let skipped, let length):
            let bytes = Array(received[skipped..<skipped + length])
            received.removeFirst(skipped + length)
            guard let request = try? JSONValue(parsing: bytes) else { return true }
            let name = request["reply_name"]?.text ?? ""
            run(name, loop) { isTaken in await server.answer(request, isTaken: isTaken) }
        }
        return true
    }

    private func takesMI(_ server: MIServer, _ loop: any EventLoop) -> Bool {
        switch MICommand.read(received[...]) {
        case .incomplete: return false
        case .skipped(let length): received.removeFirst(length)
        case .command(let command, let length):
            received.removeFirst(length)
            run(command.replyName, loop) { isTaken in
                let text = isTaken ? await server.answer(command) : server.refuse(Dispatcher.tooFast)
                return Array(text.utf8)
            }
        }
        return true
    }

    private func run(
        _ name: String, _ loop: any EventLoop, _ answer: @escaping @Sendable (_ isTaken: Bool) async -> [UInt8]
    ) {
        guard pending.take() else { return }
        let (folder, isTaken) = (folder, rate.takes())
        let promise = loop.makePromise(of: Void.self)
        promise.completeWithTask {
            let bytes = await answer(isTaken)
            if !name.isEmpty { await ReplyFIFO.write(bytes, to: name, in: folder) }
        }
        promise.futureResult.assumeIsolated().whenComplete { _ in self.pending.giveBack() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// The FIFO that an answer goes into.
enum ReplyFIFO {
    static let patience: Duration = .seconds(2)
    private static let interval: Duration = .milliseconds(5)

    static func write(_ bytes: [UInt8], to name: String, in folder: String) async {
        // A name, not a path, and none that leads elsewhere.
        guard !name.contains("/"), !name.hasPrefix("."), name.utf8.count <= 128, !name.utf8.contains(0) else { return }
        let end = ContinuousClock.now + patience
        guard let descriptor = await open("\(folder)/\(name)", until: end) else { return }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty, ContinuousClock.now < end {
            // Sound: the bytes are lent for the call only.
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN || errno == EINTR {
                try? await Task.sleep(for: interval)
            } else {
                return  // Whoever asked has gone.
            }
        }
    }

    /// Whoever asks may open its end only after it has asked.
    private static func open(_ path: String, until end: ContinuousClock.Instant) async -> CInt? {
        while ContinuousClock.now < end {
            let descriptor = unsafe Glibc.open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else {
                guard errno == ENXIO || errno == EINTR else { return nil }
                try? await Task.sleep(for: interval)
                continue
            }
            guard DoorFile.isLoneFIFO(descriptor) else {
                close(descriptor)
                return nil
            }
            return descriptor
        }
        return nil
    }
}
