// StreamHandler cuts what a TCP or TLS connection brings into messages, answers keep-alives, and tells the engine what
// becomes of the connection. What is a message and what is a fault, `StreamFramer` says.

import NIOCore
import NIOSSL
import NIOTLS
import Primitives
import SIP

final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let engine: StreamEngine
    private let connection: StreamConnection
    private var framer = StreamFramer()

    init(_ engine: StreamEngine, _ connection: StreamConnection) {
        self.engine = engine
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard connection.phase != .closing else { return }
        engine.heard(connection)
        let buffer = unwrapInboundIn(data)
        framer.append(buffer.readableBytesSpan)
        var found = 0
        while true {
            do throws(StreamFault) {
                guard let element = try framer.next() else { break }
                found += 1
                switch element {
                case .message: framer.withElement { engine.deliver($0, connection) }
                case .ping: answerPing(context)
                case .pong: continue
                }
            } catch {
                found += 1
                let word = framer.withElement { engine.answer(error, $0, connection) }
                guard error.canGoOn else {
                    // What came before the fault is passed on before the end is told.
                    engine.readComplete(connection)
                    engine.close(connection, saying: word)
                    return
                }
                if word.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(word), promise: nil) }
            }
        }
        notePartial(found > 0)
    }

    /// The clock of a message runs from its first byte, and anew for each message.
    private func notePartial(_ foundAny: Bool) {
        guard framer.isWithinMessage else {
            connection.partialSince = nil
            return
        }
        if foundAny || connection.partialSince == nil { connection.partialSince = .now() }
    }

    private func answerPing(_ context: ChannelHandlerContext) {
        engine.counters.pings += 1
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "\r\n")), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        engine.readComplete(connection)
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            if ServerIdentity.isShown(connection.serverName, context.pipeline) {
                engine.opened(connection)
            } else {
                engine.counters.tlsFailures += 1
                engine.close(connection)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        StreamTrouble.note(error, engine, connection)
        engine.close(connection)
    }
}

/// What NIOSSL's check leaves to do. It wants the certificate to show the name or the address of the connection, but
/// whoever forges DNS has a certificate for its own address; and a wildcard is no SIP domain (RFC 5922 §7.2).
enum ServerIdentity {
    /// Whether the server has shown the name that it was looked up by, if it was, whole and as such.
    static func isShown(_ name: String, _ pipeline: ChannelPipeline) -> Bool {
        guard !name.isEmpty else { return true }
        guard let certificate = try? pipeline.syncOperations.nioSSL_peerCertificate() else { return false }
        return certificate._subjectAlternativeNames().contains { shown in
            shown.nameType == .dnsName && String(decoding: shown.contents, as: UTF8.self).lowercased() == name
        }
    }
}

/// What counts when a channel reports an error; its end follows in any case.
enum StreamTrouble {
    static func note(_ error: any Error, _ engine: StreamEngine, _ connection: StreamConnection) {
        guard connection.phase == .opening, isTLS(error) else { return }
        engine.counters.tlsFailures += 1
    }

    static func isTLS(_ error: any Error) -> Bool {
        error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
    }
}
