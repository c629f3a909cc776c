// SIP over WebSocket (RFC 7118): the HTTP request that asks for the subprotocol `sip`, then one SIP message a WebSocket
// message, in text or binary frames.
//
//   GET … Upgrade: websocket, Sec-WebSocket-Protocol: sip ──▶ 101 ──▶ frames
//   anything else ──▶ 426, and the connection is closed
//
// A message that comes in fragments is put together, up to the limit of a message. Pings are answered, a close is
// answered and carried out; an unmasked frame, a fragment out of place or too much is a violation: the peer is told
// (RFC 6455 §7.4.1) and the connection closed. Two empty lines in a message of their own are a keep-alive and answered
// by one (RFC 7118 §6).
//
// What is sent is text, or binary once the peer has sent binary, and binary whenever a message is no UTF-8.

import NIOCore
import NIOHTTP1
import NIOWebSocket
import Primitives
import SIP

final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    static let subprotocol = "sip"
    static let frameLimit = Message.sizeLimit

    private let engine: StreamEngine
    private let connection: StreamConnection
    /// The fragments so far; `nil` between messages.
    private var partial: ByteBuffer?
    private var sendsBinary = false

    init(_ engine: StreamEngine, _ connection: StreamConnection) {
        self.engine = engine
        self.connection = connection
    }

    /// Gives a channel the handlers that wait for the upgrade.
    static func configure(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ engine: StreamEngine, _ connection: StreamConnection
    ) throws {
        let bound = NIOLoopBound((engine: engine, connection: connection), eventLoop: engine.loop)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: frameLimit,
            shouldUpgrade: { channel, head in
                let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"]
                let isSIP = offered.contains { $0.lowercased() == Self.subprotocol }
                let headers = isSIP ? HTTPHeaders([("Sec-WebSocket-Protocol", Self.subprotocol)]) : nil
                return channel.eventLoop.makeSucceededFuture(headers)
            },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    let (engine, connection) = bound.value
                    let pipeline = channel.pipeline.syncOperations
                    pipeline.removeHandler(name: UpgradeRefusal.name, promise: nil)
                    let decoder = try pipeline.context(handlerType: ByteToMessageHandler<WebSocketFrameDecoder>.self)
                    try pipeline.addHandler(ArrivalWatch(connection), position: .before(decoder.handler))
                    try pipeline.addHandler(WebSocketHandler(engine, connection))
                    engine.opened(connection)
                }
            })
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try pipeline.addHandler(UpgradeRefusal(engine, connection), name: UpgradeRefusal.name)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard connection.phase != .closing else { return }
        let frame = unwrapInboundIn(data)
        engine.heard(connection)
        guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            return violate(.protocolError, context)
        }
        let bytes = frame.unmaskedData
        switch frame.opcode {
        case .text, .binary:
            guard partial == nil else { return violate(.protocolError, context) }
            sendsBinary = frame.opcode == .binary
            take(bytes, isLast: frame.fin, context)
        case .continuation:
            guard partial != nil else { return violate(.protocolError, context) }
            take(bytes, isLast: frame.fin, context)
        case .ping:
            engine.counters.pings += 1
            write(.pong, bytes, context)
        case .pong: break
        case .connectionClose: endAsAsked(bytes, context)
        default: return violate(.protocolError, context)
        }
        if partial == nil { connection.partialSince = nil }
    }

    private func take(_ bytes: ByteBuffer, isLast: Bool, _ context: ChannelHandlerContext) {
        var whole = partial ?? ByteBuffer()
        if whole.readableBytes == 0 {
            whole = bytes
        } else {
            guard whole.readableBytes + bytes.readableBytes <= Message.sizeLimit else {
                return violate(.messageTooLarge, context)
            }
            whole.writeImmutableBuffer(bytes)
        }
        partial = isLast ? nil : whole
        guard isLast else { return }
        if whole.readableBytes <= 4, whole.readableBytesView.allSatisfy({ $0 == 0x0D || $0 == 0x0A }) {
            if whole.readableBytes == 4 {
                engine.counters.pings += 1
                write(sendsBinary ? .binary : .text, ByteBuffer(string: "\r\n"), context)
            }
            return
        }
        engine.deliver(whole.readableBytesSpan, connection)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        engine.readComplete(connection)
        context.fireChannelReadComplete()
    }

    private func write(_ opcode: WebSocketOpcode, _ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, data: bytes)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    /// A message of ours on its way out.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        let isText = !sendsBinary && String(validating: bytes.readableBytesView, as: UTF8.self) != nil
        let frame = WebSocketFrame(fin: true, opcode: isText ? .text : .binary, data: bytes)
        context.write(wrapOutboundOut(frame), promise: promise)
    }

    /// The peer wants to end: the same code goes back, and the connection with it.
    private func endAsAsked(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        engine.readComplete(connection)
        var bytes = bytes
        write(.connectionClose, bytes.readSlice(length: min(2, bytes.readableBytes)) ?? ByteBuffer(), context)
        engine.close(connection)
    }

    private func violate(_ code: WebSocketErrorCode, _ context: ChannelHandlerContext) {
        engine.counters.webSocketViolations += 1
        engine.readComplete(connection)
        var bytes = ByteBuffer()
        bytes.write(webSocketErrorCode: code)
        write(.connectionClose, bytes, context)
        engine.close(connection)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The frame decoder's own faults have been answered by NIO's handler in front of this one.
        if error is NIOWebSocketError { engine.counters.webSocketViolations += 1 }
        StreamTrouble.note(error, engine, connection)
        engine.close(connection)
    }
}

/// Sees bytes before they are frames: a frame that comes too slowly is a message that does.
final class ArrivalWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: StreamConnection

    init(_ connection: StreamConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if connection.partialSince == nil { connection.partialSince = .now() }
        context.fireChannelRead(data)
    }
}

/// Answers what is no request for a WebSocket that speaks SIP.
final class UpgradeRefusal: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    static let name = "upgrade-refusal"
    private let engine: StreamEngine
    private let connection: StreamConnection

    init(_ engine: StreamEngine, _ connection: StreamConnection) {
        self.engine = engine
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head = unwrapInboundIn(data), connection.phase == .opening else { return }
        engine.counters.upgradesRefused += 1
        let headers = HTTPHeaders([
            ("Upgrade", "websocket"), ("Connection", "close, Upgrade"), ("Sec-WebSocket-Protocol", "sip"),
            ("Content-Length", "0"),
        ])
        let head = HTTPResponseHead(version: .http1_1, status: .upgradeRequired, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        engine.close(connection)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Told beside the request that is refused, which comes here next.
        if error is NIOWebSocketUpgradeError { return }
        if connection.phase == .opening, !StreamTrouble.isTLS(error) { engine.counters.upgradesRefused += 1 }
        StreamTrouble.note(error, engine, connection)
        engine.close(connection)
    }
}
